//! Octets as hex.

use std::fmt::Write as _;

/// `8F0A`
pub(crate) fn upper(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02X}").expect("a String takes all");
        text
    })
}

/// `8f0a`
pub(crate) fn lower(bytes: &[u8]) -> String {
    upper(bytes).to_ascii_lowercase()
}
