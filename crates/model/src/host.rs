//! Hostnames in their one canonical spelling.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Text that is not a hostname, or not a host with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host is a DNS name such as wiki.example.com, optionally with :port, not {0:?}")]
pub struct InvalidHost(String);

impl InvalidHost {
    fn new(raw: &str) -> Self {
        Self(raw.chars().take(80).collect())
    }
}

/// A DNS name: lower case, A-labels, no trailing dot. Not an IP address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(Box<str>);

/// Lower-case letters, digits, hyphens and underscores in labels of 1 to 63, 253 in all.
fn is_canonical(name: &str) -> bool {
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(sound)
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label) && !ends_in_a_number(name)
}

/// A last label that is a number makes browsers read the whole as an IPv4 address (WHATWG URL, "ends in a number").
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    digits(last)
        || last.strip_prefix("0x").is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl Hostname {
    /// The canonical spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `raw` is this name already in canonical spelling, or differs only in ASCII case.
    #[must_use]
    pub fn is(&self, raw: &str) -> bool {
        self.0.eq_ignore_ascii_case(raw)
    }

    /// Whether this name is `zone` or lies below it.
    #[must_use]
    pub fn is_within(&self, zone: &Hostname) -> bool {
        self.0.strip_suffix(&*zone.0).is_some_and(|head| head.is_empty() || head.ends_with('.'))
    }
}

impl FromStr for Hostname {
    type Err = InvalidHost;
    fn from_str(raw: &str) -> Result<Self, InvalidHost> {
        let name = raw.strip_suffix('.').unwrap_or(raw);
        // A label that claims to be an A-label is looked at, in either case: browsers take no other.
        if is_canonical(name) && !name.contains("xn--") {
            return Ok(Self(name.into()));
        }
        let ascii = idna::domain_to_ascii(name).map_err(|_| InvalidHost::new(raw))?;
        if !is_canonical(&ascii) {
            return Err(InvalidHost::new(raw));
        }
        Ok(Self(ascii.into()))
    }
}

impl TryFrom<String> for Hostname {
    type Error = InvalidHost;
    fn try_from(raw: String) -> Result<Self, InvalidHost> {
        raw.parse()
    }
}

impl From<Hostname> for String {
    fn from(name: Hostname) -> Self {
        name.0.into()
    }
}

impl std::borrow::Borrow<str> for Hostname {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hostname with an optional port, as in `Host` and `:authority` (RFC 9110 §7.2); no user information.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Authority {
    /// The name.
    pub host: Hostname,
    /// The port when one was written.
    pub port: Option<u16>,
}

impl FromStr for Authority {
    type Err = InvalidHost;
    fn from_str(raw: &str) -> Result<Self, InvalidHost> {
        let (host, port) = match raw.split_once(':') {
            None => (raw, None),
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, Some(port.parse().map_err(|_| InvalidHost::new(raw))?))
            }
            Some(_) => return Err(InvalidHost::new(raw)),
        };
        let host = host.parse().map_err(|_| InvalidHost::new(raw))?;
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for Authority {
    type Error = InvalidHost;
    fn try_from(raw: String) -> Result<Self, InvalidHost> {
        raw.parse()
    }
}

impl From<Authority> for String {
    fn from(authority: Authority) -> Self {
        authority.to_string()
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            None => write!(f, "{}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
        }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where people log in; also the `iss` of every token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TeamDomain {
    authority: Authority,
    issuer: Box<str>,
}

impl TeamDomain {
    /// Host and port of the team domain.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The hostname alone.
    #[must_use]
    pub fn host(&self) -> &Hostname {
        &self.authority.host
    }

    /// `https://` and the authority, without a trailing slash: the `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

impl From<Authority> for TeamDomain {
    fn from(authority: Authority) -> Self {
        let issuer = match authority.port {
            None | Some(443) => format!("https://{}", authority.host),
            Some(port) => format!("https://{}:{port}", authority.host),
        };
        Self { authority, issuer: issuer.into() }
    }
}

impl FromStr for TeamDomain {
    type Err = InvalidHost;
    fn from_str(raw: &str) -> Result<Self, InvalidHost> {
        raw.parse::<Authority>().map(Self::from)
    }
}

impl TryFrom<String> for TeamDomain {
    type Error = InvalidHost;
    fn try_from(raw: String) -> Result<Self, InvalidHost> {
        raw.parse()
    }
}

impl From<TeamDomain> for String {
    fn from(domain: TeamDomain) -> Self {
        domain.authority.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_one_name_become_one() {
        for (raw, canonical) in [
            ("wiki.example.com", "wiki.example.com"),
            ("WIKI.Example.com.", "wiki.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("_dmarc.example", "_dmarc.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(
                raw.parse::<Hostname>().map(String::from),
                Ok(canonical.to_owned()),
                "{raw}"
            );
        }
        for near_miss in [
            "",
            ".",
            "a..b",
            "a b",
            "a,b",
            "127.0.0.1",
            "[::1]",
            "a/b",
            "user@a",
            "a%2eb",
            "-a.b",
            "a.b..",
            "0x7f.1",
            "xn--a.example",
            "XN--A.example",
            "xn--a-ecp.example",
            &"a".repeat(64),
            &"a.".repeat(130),
        ] {
            assert!(near_miss.parse::<Hostname>().is_err(), "{near_miss}");
        }
    }

    #[test]
    fn an_authority_may_carry_a_port() {
        let authority: Authority = "App.example.com:8443".parse().unwrap();
        assert_eq!((authority.host.as_str(), authority.port), ("app.example.com", Some(8443)));
        for near_miss in ["app:", "app:x", "app:99999", "app:1:2", "u@app:1", "app:+1"] {
            assert!(near_miss.parse::<Authority>().is_err(), "{near_miss}");
        }
    }

    #[test]
    fn the_issuer_has_no_slash_and_no_default_port() {
        let issuer = |raw: &str| raw.parse::<TeamDomain>().unwrap().issuer().to_owned();
        assert_eq!(issuer("access.example.com:8443"), "https://access.example.com:8443");
        assert_eq!(issuer("Access.example.com:443"), "https://access.example.com");
    }

    #[test]
    fn a_zone_holds_itself_and_what_is_below() {
        let name = |raw: &str| raw.parse::<Hostname>().unwrap();
        assert!(name("example.com").is_within(&name("example.com")));
        assert!(name("a.b.example.com").is_within(&name("example.com")));
        assert!(!name("badexample.com").is_within(&name("example.com")));
        assert!(!name("com").is_within(&name("example.com")));
    }
}
