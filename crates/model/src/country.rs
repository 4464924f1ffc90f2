//! Countries by their two letters.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Text that is not a country code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a country code is two letters (ISO 3166-1 alpha-2), as in JP, not {0:?}")]
pub struct InvalidCountryCode(String);

/// An ISO 3166-1 alpha-2 code in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX")
    }
}

impl FromStr for CountryCode {
    type Err = InvalidCountryCode;
    fn from_str(raw: &str) -> Result<Self, InvalidCountryCode> {
        match raw.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(InvalidCountryCode(raw.chars().take(20).collect())),
        }
    }
}

impl TryFrom<String> for CountryCode {
    type Error = InvalidCountryCode;
    fn try_from(raw: String) -> Result<Self, InvalidCountryCode> {
        raw.parse()
    }
}

impl From<CountryCode> for String {
    fn from(code: CountryCode) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_in_capitals() {
        assert_eq!("jp".parse::<CountryCode>().map(|c| c.to_string()), Ok("JP".to_owned()));
        for near_miss in ["", "J", "JPN", "J1", "日"] {
            assert!(near_miss.parse::<CountryCode>().is_err(), "{near_miss}");
        }
    }
}
