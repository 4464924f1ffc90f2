//! E-mail addresses as identities compare them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Text that is not an address we accept as an identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address is name@domain without spaces or quotes, not {0:?}")]
pub struct InvalidEmail(String);

/// An address in canonical form: ASCII letters in lower case, nothing else changed (access-protocol §16, 35).
///
/// Quoted local parts, comments, spaces, control characters and more than one `@` are refused: mail systems
/// read them differently, and an identity must have one reading.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(Box<str>);

impl EmailAddress {
    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;
    fn from_str(raw: &str) -> Result<Self, InvalidEmail> {
        let invalid = || InvalidEmail(raw.chars().take(80).collect());
        let (local, domain) = raw.split_once('@').ok_or_else(invalid)?;
        let odd = |c: char| c.is_whitespace() || c.is_control() || "\"(),:;<>@[\\]".contains(c);
        let label = |l: &str| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-');
        let sound = !local.is_empty()
            && local.len() <= 64
            && raw.len() <= 254
            && !local.contains(odd)
            && !domain.contains(odd)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && domain.split('.').all(label);
        if !sound {
            return Err(invalid());
        }
        Ok(Self(raw.to_ascii_lowercase().into()))
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;
    fn try_from(raw: String) -> Result<Self, InvalidEmail> {
        raw.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(email: EmailAddress) -> Self {
        email.0.into()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_or_none() {
        for (raw, canonical) in [
            ("user@example.com", "user@example.com"),
            ("User.Name+tag@Example.COM", "user.name+tag@example.com"),
            ("root@localhost", "root@localhost"),
        ] {
            assert_eq!(
                raw.parse::<EmailAddress>().map(|e| e.to_string()),
                Ok(canonical.to_owned())
            );
        }
        for near_miss in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c.d",
            "a@b@c",
            "\"a\"@b.c",
            "a@b..c",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "a@-b.c",
            "a@b.c ",
            "a@b.c\r\nBcc: x@y.z",
            "<a@b.c>",
            "a@[127.0.0.1]",
        ] {
            assert!(near_miss.parse::<EmailAddress>().is_err(), "{near_miss:?}");
        }
    }
}
