//! The slash form, as OpenSSL's `X509_NAME_oneline` writes it.

use super::Attribute;
use super::attributes::{GENERAL_STRING, dotted, short_name};
use std::fmt::Write as _;

pub(super) fn text(attributes: &[Attribute<'_>]) -> String {
    let mut text = String::new();
    let mut previous = None;
    for attribute in attributes {
        text.push(if previous == Some(attribute.set) { '+' } else { '/' });
        previous = Some(attribute.set);
        match short_name(attribute.oid) {
            Some(name) => text.push_str(name),
            None => text.push_str(&dotted(attribute.oid)),
        }
        text.push('=');
        for &octet in shown(attribute).iter() {
            match octet {
                b'/' | b'+' => {
                    text.push('\\');
                    text.push(char::from(octet));
                }
                b' '..=b'~' => text.push(char::from(octet)),
                _ => write!(text, "\\x{octet:02X}").expect("a String takes all"),
            }
        }
    }
    text
}

/// The octets that are shown: all of them, but only every fourth of a GeneralString that is four-octet ASCII.
fn shown(attribute: &Attribute<'_>) -> Vec<u8> {
    let value = attribute.value;
    let wide = attribute.tag == GENERAL_STRING
        && value.len().is_multiple_of(4)
        && value.chunks_exact(4).all(|four| four[..3] == [0, 0, 0]);
    if wide { value.chunks_exact(4).map(|four| four[3]).collect() } else { value.to_vec() }
}
