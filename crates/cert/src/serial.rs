//! The serial number of a certificate.

use crate::hex;

/// A serial number: the octets of its INTEGER, in the shortest form, so that two spellings of one number are one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Box<[u8]>);

impl Serial {
    pub(crate) fn new(content: &[u8]) -> Self {
        let mut octets = content;
        while let [0, next, ..] = octets
            && *next < 0x80
        {
            octets = &octets[1..];
        }
        Self(octets.into())
    }

    /// Reads upper- or lower-case hex of the number, as [`Self::hex`] and `openssl x509 -serial` write it. `None` unless
    /// it is an even number of hex digits, at most 42.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > 42 || !text.len().is_multiple_of(2) || !text.is_ascii() {
            return None;
        }
        let digit = |at: usize| char::from(text.as_bytes()[at]).to_digit(16);
        let mut octets = vec![0];
        for at in (0..text.len()).step_by(2) {
            octets.push(u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()?);
        }
        Some(Self::new(&octets))
    }

    /// The content octets of the INTEGER.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Upper-case hex without leading zero octets: `openssl x509 -serial`. A negative number (which RFC 5280 forbids)
    /// has a minus sign.
    #[must_use]
    pub fn hex(&self) -> String {
        if self.0.first().is_some_and(|first| *first >= 0x80) {
            let mut magnitude: Vec<u8> = self.0.iter().map(|octet| !octet).collect();
            for octet in magnitude.iter_mut().rev() {
                let carried;
                (*octet, carried) = octet.overflowing_add(1);
                if !carried {
                    break;
                }
            }
            return format!("-{}", hex::upper(without_zeros(&magnitude)));
        }
        hex::upper(without_zeros(&self.0))
    }
}

fn without_zeros(octets: &[u8]) -> &[u8] {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    &octets[zeros.min(octets.len().saturating_sub(1))..]
}

impl std::fmt::Debug for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Serial({})", self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for (octets, hex) in [
            (&[0][..], "00"),
            (&[1], "01"),
            (&[0x7f], "7F"),
            (&[0, 0x80], "80"),
            (&[0, 0, 0, 0x0a, 0xbc], "0ABC"),
            (&[0xff], "-01"),
            (&[0x80], "-80"),
            (&[0xff, 0x00], "-0100"),
        ] {
            assert_eq!(Serial::new(octets).hex(), hex, "{octets:02x?}");
            if !hex.starts_with('-') {
                assert_eq!(Serial::from_hex(hex), Some(Serial::new(octets)), "{hex}");
                assert_eq!(
                    Serial::from_hex(&format!("00{}", hex.to_lowercase())),
                    Some(Serial::new(octets))
                );
            }
        }
        for near_miss in ["", "1", "0x01", "-01", "0G", "é1", " 01", &"0".repeat(44)] {
            assert_eq!(Serial::from_hex(near_miss), None, "{near_miss:?}");
        }
    }
}
