//! A hostname as somebody wrote it, which is for showing only.

use crate::{Hostname, InvalidHost};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A hostname, and how it was written. Everything is decided by the [`host`](Self::host); the API answers with the spelling that it
/// was sent, because clients take another one for a change that somebody else made (api/README "Terraform provider").
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WrittenHostname {
    host: Hostname,
    written: Box<str>,
}

impl WrittenHostname {
    /// The hostname.
    #[must_use]
    pub fn host(&self) -> &Hostname {
        &self.host
    }
}

impl TryFrom<String> for WrittenHostname {
    type Error = InvalidHost;
    fn try_from(raw: String) -> Result<Self, InvalidHost> {
        Ok(Self { host: raw.parse()?, written: raw.into() })
    }
}

impl From<WrittenHostname> for String {
    fn from(name: WrittenHostname) -> Self {
        name.written.into()
    }
}

impl fmt::Display for WrittenHostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for WrittenHostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_is_kept_beside_the_name() {
        for (written, host) in [
            ("Wiki.Example.COM", "wiki.example.com"),
            ("wiki.example.com.", "wiki.example.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
        ] {
            let read: WrittenHostname = serde_json::from_value(written.into()).unwrap();
            assert_eq!((read.host().as_str(), read.to_string().as_str()), (host, written));
            assert_eq!(serde_json::to_value(&read).unwrap(), written);
        }
        assert!(WrittenHostname::try_from("no host".to_owned()).is_err());
    }
}
