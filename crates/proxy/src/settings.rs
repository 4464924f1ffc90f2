//! How a proxy is set up.

use crate::tls::CertificateSource;
use ipnet::IpNet;
use narthex_token::cookie;
use narthex_upstream::MinimumRate;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Which requests are written to the log, one line each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogRequests {
    /// None.
    Off,
    /// Those that were refused or failed.
    #[default]
    Refused,
    /// All.
    All,
}

/// Where a core learns how long work waits for its turn.
#[derive(Clone, Debug, Default)]
pub enum Lateness {
    /// It looks.
    #[default]
    Measured,
    /// It is told, in tests of what it does then.
    Told(ToldLateness),
}

/// A wait that cores are told of. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ToldLateness(Arc<AtomicU64>);

impl ToldLateness {
    /// From now on work waits so long.
    pub fn set(&self, wait: Duration) {
        self.0.store(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// What nobody may exceed (security §3). Places, such as connections and tokens, are for the whole process and shared out
/// among the cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Connections open at once from one address; trusted proxies are exempt.
    pub connections_per_address: usize,
    /// TLS handshakes under way at once.
    pub handshakes: usize,
    /// How long work may wait for its turn on a core before requests are turned away.
    pub queue_delay: Duration,
    /// Connections that a core takes each second while it is overloaded.
    pub overload_connections: u32,
    /// Bytes of a ClientHello, and of what comes with it.
    pub client_hello: usize,
    /// Time for a TLS handshake, from the first byte.
    pub handshake_time: Duration,
    /// Bytes of a request's head; in HTTP/2 of its fields, unpacked.
    pub head: usize,
    /// Bytes of one header field's value.
    pub field: usize,
    /// Header fields of a request. HTTP/2 may send one cookie in each of many fields; they count as one.
    pub fields: usize,
    /// Bytes of a request's target.
    pub target: usize,
    /// Which cookies of a request are looked at.
    pub cookies: cookie::Limits,
    /// Bytes of a token; a longer one is no credential. At most [`narthex_token::MAX_TOKEN_BYTES`].
    pub token: usize,
    /// Time for the head of a request, from its first byte.
    pub head_time: Duration,
    /// Bytes a second that a request's body must bring on average.
    pub body_rate: u64,
    /// How long it may be slower than that.
    pub body_grace: Duration,
    /// How long a connection without requests is kept.
    pub keep_alive: Duration,
    /// How long a client may refuse to take what is sent to it.
    pub write_stall: Duration,
    /// How long connecting to an origin may take, TLS included, where its ingress rule does not say.
    pub origin_connect: Duration,
    /// How long an origin may take to begin its answer, where its ingress rule does not say.
    pub origin_first_byte: Duration,
    /// How long an origin may stand still within an answer.
    pub origin_idle: Duration,
    /// The same for streams that may be silent for long: WebSockets, server-sent events, gRPC.
    pub stream_idle: Duration,
    /// After what time callers with a request under way are asked about again, for sessions that end by the clock.
    pub recheck: Duration,
    /// HTTP/2 streams open at once on one connection.
    pub streams: u32,
    /// HTTP/2 streams that a client may make the gateway reset before its connection is closed.
    pub resets: usize,
    /// Bytes that an HTTP/2 connection may bring within five seconds while it asks for nothing: SETTINGS and PING.
    pub idle_bytes: u64,
    /// Verified tokens remembered.
    pub tokens: usize,
    /// Bytes of a request's body for the admin host.
    pub admin_body: usize,
    /// Bytes of a request's body for the team domain and the reserved paths.
    pub portal_body: usize,
    /// The same for the callback, to which providers post SAML responses.
    pub callback_body: usize,
    /// How long the control side may take for an answer.
    pub control_time: Duration,
    /// Bytes of a form that is kept for a stranger until the login.
    pub form_body: usize,
    /// How long such a form may take to arrive.
    pub form_time: Duration,
    /// Such forms read at once.
    pub forms_at_once: usize,
    /// Such forms read in a minute from one address.
    pub forms_per_minute: usize,
    /// Redirects to login signed with a meta token, each second on each core; beyond it they go without
    /// (access-protocol §3.3: it is optional), because a signature costs a hundred times what a redirect does.
    pub signatures_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_per_address: 10_000,
            handshakes: 4_096,
            queue_delay: Duration::from_millis(50),
            overload_connections: 200,
            client_hello: 32 * 1024,
            handshake_time: Duration::from_secs(10),
            head: 64 * 1024,
            field: 32 * 1024,
            fields: 100,
            target: 16 * 1024,
            cookies: cookie::Limits::default(),
            token: narthex_token::MAX_TOKEN_BYTES,
            head_time: Duration::from_secs(10),
            body_rate: 1024,
            body_grace: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            origin_connect: Duration::from_secs(5),
            origin_first_byte: Duration::from_secs(60),
            origin_idle: Duration::from_secs(60),
            stream_idle: Duration::from_secs(3600),
            recheck: Duration::from_secs(30),
            streams: 128,
            resets: 200,
            idle_bytes: 16 * 1024,
            tokens: 262_144,
            admin_body: 10 * 1024 * 1024,
            portal_body: 64 * 1024,
            callback_body: 1280 * 1024,
            control_time: Duration::from_secs(60),
            form_body: 256 * 1024,
            form_time: Duration::from_secs(10),
            forms_at_once: 64,
            forms_per_minute: 20,
            signatures_per_second: 500,
        }
    }
}

impl Limits {
    pub(crate) fn body(&self) -> MinimumRate {
        MinimumRate { bytes_per_second: self.body_rate, grace: self.body_grace }
    }
}

/// Everything a proxy is started with, apart from the world it reads.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where TLS connections are accepted. Port 0 takes a free one.
    pub https: Vec<SocketAddr>,
    /// Where plain connections are accepted, to be sent to https.
    pub http: Vec<SocketAddr>,
    /// The port of https as clients see it, for those redirects; `None` takes the team domain's.
    pub public_https_port: Option<u16>,
    /// How many threads serve; at least one.
    pub cores: usize,
    /// The certificates shown.
    pub certificates: CertificateSource,
    /// What nobody may exceed.
    pub limits: Limits,
    /// Networks whose PROXY protocol and `X-Forwarded-For` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Which requests are logged.
    pub log_requests: LogRequests,
    /// How overload is noticed.
    pub lateness: Lateness,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            https: Vec::new(),
            http: Vec::new(),
            public_https_port: None,
            cores: 1,
            certificates: CertificateSource::default(),
            limits: Limits::default(),
            trusted_proxies: Vec::new(),
            log_requests: LogRequests::default(),
            lateness: Lateness::default(),
        }
    }
}
