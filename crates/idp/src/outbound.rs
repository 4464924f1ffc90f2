//! The one HTTP client for calls to addresses that an administrator typed in.
//!
//! No redirects, no proxy from the environment, no compressed answers; total time and size are bounded; and every connection
//! is checked against the fence at the moment it is made, with the very addresses that it is made to, so that a name which
//! changes its addresses in between gains nothing.

use crate::fence::{self, Fence, FencedOff};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How calls are fenced.
#[derive(Clone)]
pub struct OutboundSettings {
    /// Which private, loopback and link-local addresses may be called: none by default.
    pub fence: Fence,
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
            fence: Fence::default(),
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
    #[error(transparent)]
    Fenced(#[from] FencedOff),
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
    fence: Fence,
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
            .dns_resolver(Arc::new(Resolver(settings.fence.clone())))
            .tls_certs_merge(roots)
            .build()
            .map_err(setting)?;
        let OutboundSettings { fence, timeout, max_answer, .. } = settings;
        Ok(Self { client, fence, timeout, max_answer })
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
            .map_err(|_| FencedOff::Scheme("the address".to_owned()))?;
        let url = request.url().clone();
        self.fence.admits(&url)?;
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

    fn explain(&self, url: &Url, error: &reqwest::Error) -> OutboundError {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(this) = cause {
            if let Some(fenced) = this.downcast_ref::<FencedOff>() {
                return OutboundError::Fenced(fenced.clone());
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

/// The text of the innermost cause: outer ones repeat the URL.
fn deepest(error: &dyn Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// Resolves names, keeps what the fence admits, and knows `localhost` by heart.
struct Resolver(Fence);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let fence = self.0.clone();
        Box::pin(async move {
            let name = name.as_str();
            let at = |ip| SocketAddr::new(ip, 0);
            let admitted: Vec<SocketAddr> = if fence::is_localhost(name) {
                fence.this_machine().into_iter().map(at).collect()
            } else {
                let found = tokio::net::lookup_host((name, 0)).await?;
                found.filter(|found| fence.admits_address(found.ip())).collect()
            };
            if admitted.is_empty() {
                return Err(FencedOff::Private(name.to_owned()).into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(fence: Fence) -> OutboundHttp {
        OutboundHttp::new(OutboundSettings { fence, ..Default::default() }).unwrap()
    }

    #[tokio::test]
    async fn names_are_fenced_by_what_they_lead_to() {
        let resolve = |name: &str, fence: Fence| {
            let name = name.parse().unwrap();
            async move { Resolver(fence).resolve(name).await.map(Iterator::collect) }
        };
        let (closed, here) = (Fence::default, Fence::open_to_this_machine);
        let found: Vec<SocketAddr> = resolve("any.thing.localhost", here()).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|a| a.ip().is_loopback()));
        // A number in the place of a name resolves without a network, as a hostile name would.
        for name in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "localhost", "any.thing.localhost"]
        {
            let refused = resolve(name, closed()).await.unwrap_err();
            assert_eq!(
                refused.downcast_ref(),
                Some(&FencedOff::Private(name.to_owned())),
                "{name}"
            );
        }
        let office = Fence::open_to(&["10.0.0.0/8".parse().unwrap()]);
        assert!(resolve("10.0.0.1", office.clone()).await.is_ok_and(|found| found.len() == 1));
        assert!(resolve("127.0.0.1", office).await.is_err());
    }

    /// Leads to an ordinary address the first time and inside from then on, as a name under attack does.
    struct Rebinding(Resolver, std::sync::atomic::AtomicUsize);

    impl Resolve for Rebinding {
        fn resolve(&self, _name: Name) -> Resolving {
            let before = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let name = if before == 0 { "192.88.100.1" } else { "127.0.0.1" };
            self.0.resolve(name.parse().unwrap())
        }
    }

    #[tokio::test]
    async fn a8_a_name_that_moves_inside_is_fenced_and_not_just_unreachable() {
        let resolver = Rebinding(Resolver(Fence::default()), Default::default());
        let first = resolver.resolve("idp.example.com".parse().unwrap()).await;
        assert!(first.is_ok(), "what a check before the call would have seen");
        let client = reqwest::Client::builder().dns_resolver(Arc::new(resolver)).build().unwrap();
        let http = OutboundHttp { client, ..http(Fence::default()) };
        let request = http::Request::get("https://idp.example.com/keys").body(Vec::new()).unwrap();
        let refused = http.call(request).await.unwrap_err();
        assert_eq!(refused, OutboundError::Fenced(FencedOff::Private("127.0.0.1".to_owned())));
    }

    #[tokio::test]
    async fn a8_a_number_is_fenced_before_any_connection() {
        let request =
            http::Request::get("https://169.254.169.254/latest").body(Vec::new()).unwrap();
        let refused = http(Fence::default()).call(request).await.unwrap_err();
        let private = FencedOff::Private("169.254.169.254".to_owned());
        assert_eq!(refused, OutboundError::Fenced(private));
    }
}
