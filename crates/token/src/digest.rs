//! SHA-256 in hexadecimal digits: how a token refers to a cookie without holding it.

use aws_lc_rs::{constant_time, digest};
use std::fmt::Write;

/// 64 lowercase hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(digits, "{byte:02x}").expect("a string takes everything");
    }
    digits
}

/// Whether `text` hashes to `hash`; the time taken does not tell where they differ.
pub(crate) fn hashes_to(text: &str, hash: &str) -> bool {
    constant_time::verify_slices_are_equal(sha256_hex(text).as_bytes(), hash.as_bytes()).is_ok()
}

/// A claim that is a SHA-256 in hexadecimal digits.
pub(crate) struct Sha256Hex(pub(crate) String);

impl TryFrom<String> for Sha256Hex {
    type Error = ();
    fn try_from(raw: String) -> Result<Self, ()> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if raw.len() == 64 && raw.bytes().all(digit) { Ok(Self(raw)) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_text_only() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-4 example
        assert_eq!(sha256_hex("abc"), abc);
        assert!(hashes_to("abc", abc));
        for (text, hash) in
            [("abd", abc), ("abc", &abc[1..]), ("abc", ""), ("abc", &abc.to_uppercase())]
        {
            assert!(!hashes_to(text, hash), "{text} {hash}");
        }
    }
}
