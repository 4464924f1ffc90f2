//! RFC 2253 text as OpenSSL writes it with `XN_FLAG_RFC2253`.

use super::Attribute;
use super::attributes::{
    BMP_STRING, GENERALIZED_TIME, IA5_STRING, NUMERIC_STRING, PRINTABLE_STRING, T61_STRING,
    UNIVERSAL_STRING, UTC_TIME, UTF8_STRING, VISIBLE_STRING, dotted, short_name,
};
use crate::hex;
use std::fmt::Write as _;

pub(super) fn text(attributes: &[Attribute<'_>]) -> String {
    let mut text = String::new();
    let mut previous = None;
    for attribute in attributes.iter().rev() {
        match previous {
            None => {}
            Some(set) if set == attribute.set => text.push('+'),
            Some(_) => text.push(','),
        }
        previous = Some(attribute.set);
        match short_name(attribute.oid) {
            Some(name) => {
                text.push_str(name);
                text.push('=');
                push_value(&mut text, attribute);
            }
            None => {
                text.push_str(&dotted(attribute.oid));
                text.push_str("=#");
                text.push_str(&hex::upper(attribute.whole));
            }
        }
    }
    text
}

/// The value's characters, escaped; a value that is no string, or no whole one, as `#` and the hex of its DER.
fn push_value(text: &mut String, attribute: &Attribute<'_>) {
    let value = attribute.value;
    // A UTF8String's octets are taken as they are, so that a broken one still shows what it holds.
    let octets = match attribute.tag {
        UTF8_STRING => Some(value.to_vec()),
        NUMERIC_STRING | PRINTABLE_STRING | T61_STRING | IA5_STRING | VISIBLE_STRING | UTC_TIME
        | GENERALIZED_TIME => utf8(value.iter().map(|octet| u32::from(*octet))),
        BMP_STRING if value.len().is_multiple_of(2) => {
            utf8(value.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])))
        }
        UNIVERSAL_STRING if value.len().is_multiple_of(4) => utf8(
            value
                .chunks_exact(4)
                .map(|four| four.iter().fold(0, |n, octet| n << 8 | u32::from(*octet))),
        ),
        _ => None,
    };
    let Some(octets) = octets else {
        text.push('#');
        text.push_str(&hex::upper(attribute.whole));
        return;
    };
    for (at, &octet) in octets.iter().enumerate() {
        let first = at == 0;
        let last = at + 1 == octets.len();
        match octet {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                text.push('\\');
                text.push(char::from(octet));
            }
            b'#' if first && !last => text.push_str("\\#"),
            b' ' if first || last => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(octet)),
            _ => write!(text, "\\{octet:02X}").expect("a String takes all"),
        }
    }
}

/// The UTF-8 of the characters with these numbers; `None` when one is no character (a surrogate, or too large).
fn utf8(numbers: impl Iterator<Item = u32>) -> Option<Vec<u8>> {
    numbers.map(char::from_u32).collect::<Option<String>>().map(String::into_bytes)
}
