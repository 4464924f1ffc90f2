//! Serial numbers of certificates (RFC 5280 §4.1.2.2).

use crate::id::hex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Text that is not a serial number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number is 1 to 40 hexadecimal digits, with or without colons, not {0:?}")]
pub struct InvalidSerial(String);

/// The serial number of a certificate: pairs of upper-case hexadecimal digits without leading zero octets, as
/// `openssl x509 -serial` prints them; `00` for zero.
///
/// Negative numbers, which RFC 5280 forbids and old authorities made, are read as the bytes that stand in the
/// certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SerialNumber(Box<str>);

impl SerialNumber {
    /// The number whose big-endian bytes stand in a certificate.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::canonical(&hex(bytes))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn canonical(digits: &str) -> Self {
        let significant = digits.trim_start_matches('0');
        let odd = significant.is_empty() || !significant.len().is_multiple_of(2);
        let zeros = if significant.is_empty() {
            "00"
        } else if odd {
            "0"
        } else {
            ""
        };
        Self(format!("{zeros}{}", significant.to_ascii_uppercase()).into())
    }
}

impl FromStr for SerialNumber {
    type Err = InvalidSerial;
    fn from_str(raw: &str) -> Result<Self, InvalidSerial> {
        let refuse = || InvalidSerial(raw.chars().take(80).collect());
        let digits: String = raw.chars().filter(|c| *c != ':').collect();
        let significant = digits.trim_start_matches('0').len();
        if digits.is_empty() || significant > 40 || digits.len() > 64 {
            return Err(refuse());
        }
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        Ok(Self::canonical(&digits))
    }
}

impl TryFrom<String> for SerialNumber {
    type Error = InvalidSerial;
    fn try_from(raw: String) -> Result<Self, InvalidSerial> {
        raw.parse()
    }
}

impl From<SerialNumber> for String {
    fn from(serial: SerialNumber) -> Self {
        serial.0.into()
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_number_are_one() {
        let of = |raw: &str| raw.parse::<SerialNumber>().map(String::from);
        for raw in ["0a1B", "A1B", "a:1b", "000A1b", "0A:1B"] {
            assert_eq!(of(raw), Ok("0A1B".to_owned()), "{raw}");
        }
        assert_eq!(of("0"), Ok("00".to_owned()));
        assert_eq!(of("00ABCD"), Ok("ABCD".to_owned()));
        assert_eq!(SerialNumber::of_bytes(&[0x00, 0x0a, 0x1b]), "A1B".parse().unwrap());
        assert_eq!(SerialNumber::of_bytes(&[]), "0".parse().unwrap());
        for near_miss in ["", ":", "0x1b", "12 34", "-5", &"f".repeat(41), &"0".repeat(65)] {
            assert!(of(near_miss).is_err(), "{near_miss}");
        }
        assert!(of(&"f".repeat(40)).is_ok(), "20 bytes, the longest of RFC 5280");
    }
}
