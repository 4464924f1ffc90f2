//! The road to an origin: the fields of cloudflared's ingress rules.

use crate::{Authority, Destination, GoDuration, HostPattern};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

/// Text that is not a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a service is http://host:port, https://host:port, unix:/path, or http_status:404, not {0:?}"
)]
pub struct InvalidService(String);

/// Where an origin listens.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OriginService {
    /// Plain HTTP to host and port.
    Http {
        /// Name or address; an IPv6 address without brackets.
        host: Box<str>,
        /// Port.
        port: u16,
    },
    /// HTTP over TLS to host and port.
    Https {
        /// Name or address; an IPv6 address without brackets.
        host: Box<str>,
        /// Port.
        port: u16,
    },
    /// Plain HTTP over a socket in the file system.
    Unix(PathBuf),
    /// No origin: this status is the answer.
    Status(u16),
}

impl FromStr for OriginService {
    type Err = InvalidService;
    fn from_str(raw: &str) -> Result<Self, InvalidService> {
        let invalid = || InvalidService(raw.chars().take(120).collect());
        if let Some(path) = raw.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() { Ok(Self::Unix(path)) } else { Err(invalid()) };
        }
        if let Some(status) = raw.strip_prefix("http_status:") {
            let status = status.parse().ok().filter(|s| (200..600).contains(s));
            return status.map(Self::Status).ok_or_else(invalid);
        }
        let url = Url::parse(raw).map_err(|_| invalid())?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().filter(|_| bare).ok_or_else(invalid)?;
        let host: Box<str> = host.trim_matches(['[', ']']).into();
        let port = url.port_or_known_default().ok_or_else(invalid)?;
        match url.scheme() {
            "http" => Ok(Self::Http { host, port }),
            "https" => Ok(Self::Https { host, port }),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for OriginService {
    type Error = InvalidService;
    fn try_from(raw: String) -> Result<Self, InvalidService> {
        raw.parse()
    }
}

impl From<OriginService> for String {
    fn from(service: OriginService) -> Self {
        service.to_string()
    }
}

impl fmt::Display for OriginService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brackets =
            |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match self {
            Self::Http { host, port } => write!(f, "http://{}:{port}", brackets(host)),
            Self::Https { host, port } => write!(f, "https://{}:{port}", brackets(host)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Status(status) => write!(f, "http_status:{status}"),
        }
    }
}

impl fmt::Debug for OriginService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How to speak to the origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginRequest {
    /// Time to connect; 5 s when absent.
    #[serde(default)]
    pub connect_timeout: Option<GoDuration>,
    /// Time to the first byte of the answer; 60 s when absent.
    #[serde(default)]
    pub response_timeout: Option<GoDuration>,
    /// `Host` towards the origin in place of the client's.
    #[serde(default)]
    pub http_host_header: Option<String>,
    /// The name on the origin's certificate in place of the service's host.
    #[serde(default)]
    pub origin_server_name: Option<String>,
    /// Do not verify the origin's certificate. For development.
    #[serde(default)]
    pub no_tls_verify: bool,
    /// PEM file of the CAs that sign origins, in place of the system's.
    #[serde(default)]
    pub ca_pool: Option<PathBuf>,
    /// What the gateway shows an origin that asks for a certificate.
    #[serde(default)]
    pub client_certificate: Option<CertificateFiles>,
    /// Stands for the contents of the files above when they were read: where they change, it does.
    #[serde(skip)]
    pub files: u64,
    /// Speak HTTP/2 to the origin (needed for gRPC).
    #[serde(default)]
    pub http2_origin: bool,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The key of the leaf.
    pub key: PathBuf,
}

/// One `[[ingress]]` entry.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressRule {
    /// Which hosts it serves.
    pub hostname: HostPattern,
    /// A regular expression that the canonical path must match; none matches every path.
    pub path: Option<String>,
    /// The origin.
    pub service: OriginService,
    /// How to speak to it.
    pub origin_request: OriginRequest,
}

impl IngressRule {
    /// Reads a `hostname` of the configuration file: a name, possibly with wildcards.
    ///
    /// # Errors
    /// When it is no hostname or carries a path.
    pub fn hostname(raw: &str) -> Result<HostPattern, crate::InvalidDestination> {
        raw.parse::<Destination>().map(|d| d.host)
    }

    /// `Host` for the origin when the rule sets one.
    #[must_use]
    pub fn host_header(&self) -> Option<&str> {
        self.origin_request.http_host_header.as_deref()
    }
}

impl From<&Authority> for OriginService {
    fn from(authority: &Authority) -> Self {
        Self::Http { host: authority.host.as_str().into(), port: authority.port.unwrap_or(80) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_read_and_write_the_same() {
        for (raw, shown) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("http://localhost", "http://localhost:80"),
            ("https://app.internal:8443/", "https://app.internal:8443"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("http_status:404", "http_status:404"),
        ] {
            assert_eq!(
                raw.parse::<OriginService>().map(|s| s.to_string()),
                Ok(shown.to_owned()),
                "{raw}"
            );
        }
        for near_miss in [
            "",
            "127.0.0.1:9000",
            "ftp://a",
            "http://a/b",
            "http://u@a",
            "http://a?b",
            "unix:run",
            "http_status:99",
            "http_status:",
            "tcp://a:1",
        ] {
            assert!(near_miss.parse::<OriginService>().is_err(), "{near_miss}");
        }
    }
}
