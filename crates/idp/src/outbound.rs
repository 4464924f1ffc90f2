//! The one HTTP client for calls to addresses that an administrator typed in.
//!
//! No redirects, no proxy from the environment, no compressed answers; total time and size are bounded; and every connection
//! is checked against the fence at the moment it is made, with the very addresses that it is made to, so that a name which
//! changes its addresses in between gains nothing.

use crate::fence;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// How calls are fenced.
#[derive(Clone)]
pub struct OutboundSettings {
    /// Whether private, loopback and link-local addresses may be called. Off by default.
    pub allow_private: bool,
    /// Certificate authorities trusted besides the system's, each file PEM.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// Total time of one call, from resolving to the last byte of the answer: 10 s by default.
    pub timeout: Duration,
    /// The longest answer, in bytes: 1 MiB by default.
    pub max_answer: usize,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            allow_private: false,
            extra_roots_pem: Vec::new(),
            timeout: Duration::from_secs(10),
            max_answer: 1024 * 1024,
        }
    }
}

/// Why a call failed, or why the client could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The settings do not make a client.
    #[error("the HTTP client cannot be built: {0}")]
    Setting(String),
    /// The address is fenced off.
    #[error("{0}")]
    Fenced(String),
    /// No connection, or no whole answer in time.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is larger than allowed, or compressed.
    #[error("{0}")]
    Answer(String),
}

/// A fenced HTTP client. Cloning shares its connections.
#[derive(Clone)]
pub struct OutboundHttp {
    client: reqwest::Client,
    allow_private: bool,
    timeout: Duration,
    max_answer: usize,
}

impl OutboundHttp {
    /// Builds the client.
    ///
    /// # Errors
    /// [`OutboundError::Setting`] when a root certificate does not parse or TLS cannot be set up.
    pub fn new(settings: OutboundSettings) -> Result<Self, OutboundError> {
        let setting = |e: reqwest::Error| OutboundError::Setting(deepest(&e));
        let mut roots = Vec::new();
        for pem in &settings.extra_roots_pem {
            roots.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(setting)?);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .timeout(settings.timeout)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("narthex/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Fence { allow_private: settings.allow_private })
            .tls_certs_merge(roots)
            .build()
            .map_err(setting)?;
        let OutboundSettings { allow_private, timeout, max_answer, .. } = settings;
        Ok(Self { client, allow_private, timeout, max_answer })
    }

    /// Makes one call and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// `Fenced`, `Unreachable` or `Answer`; no text holds more of the request than its host.
    pub async fn call(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, OutboundError> {
        let request = reqwest::Request::try_from(request)
            .map_err(|_| OutboundError::Fenced("the address is not an http URL".to_owned()))?;
        let url = request.url().clone();
        self.admits(&url)?;
        let mut answer = self.client.execute(request).await.map_err(|e| self.explain(&url, &e))?;
        let host = url.host_str().unwrap_or_default();
        let refuse = |what: &str| Err(OutboundError::Answer(format!("{host} sent {what}")));
        if answer.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return refuse("a compressed answer that nobody asked for");
        }
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        if length.and_then(|v| v.parse::<u64>().ok()).is_some_and(|n| n > self.max_answer as u64) {
            return refuse(&format!("more than {} bytes", self.max_answer));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.explain(&url, &e))? {
            if body.len() + chunk.len() > self.max_answer {
                return refuse(&format!("more than {} bytes", self.max_answer));
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = http::Response::new(body);
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(whole)
    }

    /// The part of the fence that needs no resolving: the scheme, and addresses written as numbers, which a client connects
    /// to without asking a resolver.
    fn admits(&self, url: &Url) -> Result<(), OutboundError> {
        let fenced = |why: String| Err(OutboundError::Fenced(why));
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return fenced("the address has no host".to_owned()),
        };
        let this_machine = fence::is_this_machine(url);
        match url.scheme() {
            "https" => {}
            "http" if this_machine || self.allow_private => {}
            _ => return fenced(format!("{url} is not an https address")),
        }
        match literal {
            Some(ip) if !this_machine && !self.allow_private && !fence::is_public(ip) => {
                fenced(private(&ip.to_string()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn explain(&self, url: &Url, error: &reqwest::Error) -> OutboundError {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(this) = cause {
            if let Some(FencedOff(name)) = this.downcast_ref() {
                return OutboundError::Fenced(private(name));
            }
            cause = this.source();
        }
        let host = url.host_str().unwrap_or_default();
        OutboundError::Unreachable(if error.is_timeout() {
            format!("{host} did not answer within {:?}", self.timeout)
        } else {
            let why: String = deepest(error).chars().take(200).collect();
            format!("{host}: {why}")
        })
    }
}

impl fmt::Debug for OutboundHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutboundHttp")
    }
}

fn private(host: &str) -> String {
    format!("{host} is a private address; calls to private addresses are not allowed here")
}

/// The text of the innermost cause: outer ones repeat the URL.
fn deepest(error: &dyn Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// A name that leads only to addresses beyond the fence.
#[derive(Debug, thiserror::Error)]
#[error("{0} leads to private addresses only")]
struct FencedOff(String);

/// Resolves names, keeps what the fence admits, and knows `localhost` by heart.
struct Fence {
    allow_private: bool,
}

impl Resolve for Fence {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let name = name.as_str();
            let addresses: Vec<SocketAddr> = if fence::is_localhost(name) {
                let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
                loopback.map(|ip| SocketAddr::new(ip, 0)).into()
            } else {
                let admitted = |a: &SocketAddr| allow_private || fence::is_public(a.ip());
                let found = tokio::net::lookup_host((name, 0)).await?;
                let found: Vec<SocketAddr> = found.filter(admitted).collect();
                if found.is_empty() {
                    return Err(FencedOff(name.to_owned()).into());
                }
                found
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl From<Fence> for Arc<dyn Resolve> {
    fn from(fence: Fence) -> Self {
        Arc::new(fence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(allow_private: bool) -> OutboundHttp {
        OutboundHttp::new(OutboundSettings { allow_private, ..Default::default() }).unwrap()
    }

    #[test]
    fn numbers_and_schemes_are_fenced_before_any_connection() {
        for (url, fenced, allowed) in [
            ("https://idp.example.com/", true, true),
            ("https://8.8.8.8/", true, true),
            ("http://127.0.0.1:1/", true, true),
            ("http://idp.localhost/", true, true),
            ("http://idp.example.com/", false, true),
            ("https://10.0.0.1/", false, true),
            ("https://169.254.169.254/", false, true),
            ("https://[::ffff:127.0.0.1]/", false, true),
            ("https://[fd00::1]/", false, true),
            ("https://0.0.0.0/", false, true),
            ("https://2130706434/", true, true), // 127.0.0.2, as the URL parser reads it
            ("ftp://idp.example.com/", false, false),
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(http(false).admits(&url).is_ok(), fenced, "{url}");
            assert_eq!(http(true).admits(&url).is_ok(), allowed, "{url}, private allowed");
        }
    }

    #[tokio::test]
    async fn names_are_fenced_by_what_they_lead_to() {
        let resolve = |name: &str, allow_private| {
            let name = name.parse().unwrap();
            async move { Fence { allow_private }.resolve(name).await.map(Iterator::collect) }
        };
        let here: Vec<SocketAddr> = resolve("any.thing.localhost", false).await.unwrap();
        assert!(!here.is_empty() && here.iter().all(|a| a.ip().is_loopback()));
        // A number in the place of a name resolves without a network, as a hostile name would.
        for name in ["10.0.0.1", "127.0.0.1", "169.254.169.254"] {
            let refused = resolve(name, false).await.unwrap_err();
            assert!(refused.downcast_ref::<FencedOff>().is_some(), "{name}");
            assert!(resolve(name, true).await.is_ok_and(|a| a.len() == 1), "{name}");
        }
    }

    /// Finds private addresses behind every name.
    struct Inside;

    impl Resolve for Inside {
        fn resolve(&self, name: Name) -> Resolving {
            Box::pin(async move { Err(FencedOff(name.as_str().to_owned()).into()) })
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_fenced_and_not_just_unreachable() {
        let client = reqwest::Client::builder().dns_resolver(Arc::new(Inside)).build().unwrap();
        let http = OutboundHttp { client, ..http(false) };
        let request = http::Request::get("https://idp.example.com/keys").body(Vec::new()).unwrap();
        let refused = http.call(request).await.unwrap_err();
        assert_eq!(refused, OutboundError::Fenced(private("idp.example.com")));
    }
}
