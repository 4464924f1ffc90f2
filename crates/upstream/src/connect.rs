//! Opening a connection to an origin: name, address, TCP or a socket in the file system, TLS.

use crate::Tally;
use crate::ejected::Failure;
use crate::error::{Step, UpstreamError};
use crate::resolve::Addresses;
use crate::tls::OriginTls;
use narthex_model::{OriginRequest, OriginService};
use rustls::ClientConfig;
use std::cell::OnceCell;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long one of several addresses is waited for before the next is tried.
const MOVE_ON: Duration = Duration::from_millis(500);

/// Silent connections are probed by the kernel after this time.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Which version of HTTP a new connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Http1,
    Http2,
}

/// How to get to one origin.
pub(super) struct Dialer {
    shown: String,
    way: Way,
    request: OriginRequest,
    timeout: Duration,
    tally: Rc<dyn Tally>,
}

enum Way {
    Tcp(Addresses),
    Tls { addresses: Addresses, host: Box<str>, settings: OnceCell<OriginTls> },
    Unix(PathBuf),
}

/// An open connection.
pub(crate) enum Wire {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Dialer {
    /// The way to a service; none for `http_status:`. Connecting may take `timeout` where the rule does not say.
    pub(super) fn of(
        service: &OriginService,
        request: &OriginRequest,
        timeout: Duration,
        tally: Rc<dyn Tally>,
    ) -> Option<Self> {
        let way = match service {
            OriginService::Http { host, port } => Way::Tcp(Addresses::of(host, *port)),
            OriginService::Https { host, port } => Way::Tls {
                addresses: Addresses::of(host, *port),
                host: host.clone(),
                settings: OnceCell::new(),
            },
            OriginService::Unix(path) => Way::Unix(path.clone()),
            OriginService::Status(_) => return None,
        };
        let limit = |d: &narthex_model::GoDuration| (!d.is_zero()).then(|| d.std());
        let timeout = request.connect_timeout.as_ref().and_then(limit).unwrap_or(timeout);
        Some(Self { shown: service.to_string(), way, request: request.clone(), timeout, tally })
    }

    /// Opens a connection that speaks HTTP/1.1, or HTTP/2 when `wanted` and the origin agrees; without TLS both
    /// sides know (RFC 9113 §3.3).
    ///
    /// # Errors
    /// One variant for each step that can fail; never a fall back to less security (checklist T31).
    pub(super) async fn open(&self, wanted: Speech) -> Result<(Wire, Speech), UpstreamError> {
        let deadline = Instant::now() + self.timeout;
        let opening = async {
            match &self.way {
                Way::Unix(path) => {
                    let stream = UnixStream::connect(path).await.map_err(|e| self.refused(e))?;
                    Ok((Wire::Unix(stream), wanted))
                }
                Way::Tcp(addresses) => {
                    Ok((Wire::Tcp(self.reach(addresses, deadline).await?), wanted))
                }
                Way::Tls { addresses, host, settings } => {
                    let settings = self.tls(host, settings)?;
                    let tcp = self.reach(addresses, deadline).await?;
                    self.handshake(tcp, settings, wanted).await
                }
            }
        };
        timeout_at(deadline, opening).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// Tries the addresses one after the other; each but the last gets so little time that a dead one is hardly
    /// noticed. Those that did not answer a moment ago are passed over.
    async fn reach(&self, to: &Addresses, deadline: Instant) -> Result<TcpStream, UpstreamError> {
        let addresses = to
            .find()
            .await
            .map_err(|source| UpstreamError::Resolve { origin: self.shown.clone(), source })?;
        let mut last = None;
        for (tried, address) in addresses.iter().enumerate() {
            if !to.ejected.may_try(*address, Instant::now()) {
                continue;
            }
            let is_last = tried + 1 == addresses.len();
            let until = if is_last { deadline } else { deadline.min(Instant::now() + MOVE_ON) };
            let (failure, error) = match timeout_at(until, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    if to.ejected.works(*address) {
                        self.tally.returned();
                    }
                    to.prefer(*address);
                    tune(&stream).map_err(|e| self.refused(e))?;
                    return Ok(stream);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    (Failure::Silent, error)
                }
                Ok(Err(error)) => (Failure::Refused, error),
                Err(_) => (Failure::Silent, io::ErrorKind::TimedOut.into()),
            };
            if to.ejected.failed(*address, failure, Instant::now()) {
                self.tally.ejected();
            }
            last = Some(error);
        }
        match last {
            None if addresses.is_empty() => {
                Err(self.refused(io::ErrorKind::AddrNotAvailable.into()))
            }
            None => Err(UpstreamError::Down {
                origin: self.shown.clone(),
                retry_after: to.ejected.next_try(&addresses, Instant::now()),
            }),
            Some(error) if error.kind() == io::ErrorKind::TimedOut => Err(self.late()),
            Some(error) => Err(self.refused(error)),
        }
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        settings: &OriginTls,
        wanted: Speech,
    ) -> Result<(Wire, Speech), UpstreamError> {
        let config: &Arc<ClientConfig> = match wanted {
            Speech::Http1 => &settings.http1,
            Speech::Http2 => &settings.either,
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(settings.name.clone(), tcp).await;
        let stream =
            stream.map_err(|source| UpstreamError::Tls { origin: self.shown.clone(), source })?;
        let speech = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") if wanted == Speech::Http2 => Speech::Http2,
            Some(_) | None => Speech::Http1,
        };
        Ok((Wire::Tls(Box::new(stream)), speech))
    }

    /// The TLS settings, made at the first connection and again as long as they cannot be.
    fn tls<'a>(
        &self,
        host: &str,
        settings: &'a OnceCell<OriginTls>,
    ) -> Result<&'a OriginTls, UpstreamError> {
        if let Some(made) = settings.get() {
            return Ok(made);
        }
        let made =
            OriginTls::of(host, &self.request).map_err(|reason| self.misconfigured(reason))?;
        Ok(settings.get_or_init(|| made))
    }

    /// How long connecting may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// It took longer.
    pub(super) fn late(&self) -> UpstreamError {
        UpstreamError::Timeout { step: Step::Connect, limit: self.timeout }
    }

    /// The rule cannot be obeyed because of `reason`.
    pub(super) fn misconfigured(&self, reason: String) -> UpstreamError {
        UpstreamError::Misconfigured { origin: self.shown.clone(), reason }
    }

    fn refused(&self, source: io::Error) -> UpstreamError {
        UpstreamError::Connect { origin: self.shown.clone(), source }
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probes = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
    socket2::SockRef::from(stream).set_tcp_keepalive(&probes)
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
