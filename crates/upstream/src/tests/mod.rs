//! Stories of requests between a client and a scripted origin, over real sockets. No time is waited for: a story
//! goes on when the other side has done its part.

mod bodies;
mod frames;
mod grpc;
mod hostile;
mod pooling;
mod retries;
mod tls;
mod upgrades;

use super::carrier::Carrier;
use super::*;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use narthex_model::{HostPattern, OriginRequest};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

/// Longest story; only one that hangs takes as long.
const TOO_LONG: Duration = Duration::from_secs(60);

/// The rate that clients are held to.
const RATE: MinimumRate = MinimumRate { bytes_per_second: 1024, grace: Duration::from_secs(10) };

/// Runs a story on one core.
fn story(told: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = async { tokio::time::timeout(TOO_LONG, told()).await };
    LocalSet::new().block_on(&runtime, whole).expect("the story hangs");
}

/// A gateway in front of one origin; everybody is let in.
#[derive(Clone)]
struct Gateway {
    upstreams: Rc<Upstreams>,
    tally: Rc<Counted>,
    origin: Arc<IngressRule>,
    revocations: watch::Sender<u64>,
    admitted: Rc<Cell<bool>>,
    who: Who,
    errors: Rc<RefCell<Vec<UpstreamError>>>,
}

/// What was counted.
#[derive(Default)]
struct Counted {
    retries: Cell<u32>,
    impostors: Cell<u32>,
    /// Addresses ejected, and returned.
    ejected: Cell<(u32, u32)>,
}

impl Tally for Rc<Counted> {
    fn retried(&self) {
        self.retries.set(self.retries.get() + 1);
    }

    fn impostor(&self) {
        self.impostors.set(self.impostors.get() + 1);
    }

    fn ejected(&self) {
        let (ejected, returned) = self.ejected.get();
        self.ejected.set((ejected + 1, returned));
    }

    fn returned(&self) {
        let (ejected, returned) = self.ejected.get();
        self.ejected.set((ejected, returned + 1));
    }
}

/// What the permit says.
#[derive(Clone, Default)]
struct Who {
    token: Option<HeaderValue>,
    email: Option<HeaderValue>,
    spent: Option<http::HeaderName>,
}

impl Gateway {
    fn to(service: &str) -> Self {
        Self::with(service, OriginRequest::default())
    }

    fn with(service: &str, origin_request: OriginRequest) -> Self {
        let hostname: HostPattern = IngressRule::hostname("app.example.com").unwrap();
        let service = service.parse().unwrap();
        let rule = IngressRule { hostname, path: None, service, origin_request };
        let origin = Arc::new(rule);
        let tally = Rc::<Counted>::default();
        let (revocations, watched) = watch::channel(0);
        let tick = Duration::from_millis(10);
        let patience = Patience {
            connect: Duration::from_secs(5),
            recheck: TOO_LONG,
            first_byte: TOO_LONG,
            idle: 5 * tick,
            stream: TOO_LONG,
            untaken: 5 * tick,
        };
        let upstreams =
            Rc::new(Upstreams::with_tick(watched, Rc::new(Rc::clone(&tally)), patience, tick));
        let admitted = Rc::new(Cell::new(true));
        let errors = Rc::default();
        Self { upstreams, tally, origin, revocations, admitted, who: Who::default(), errors }
    }

    /// Ends the caller's admission.
    fn revoke(&self) {
        self.admitted.set(false);
        self.revocations.send_modify(|generation| *generation += 1);
    }

    async fn answer(&self, request: Request<ClientBody>) -> Response<ProxyBody> {
        let path = request.uri().path_and_query().cloned().unwrap();
        let websocket_over_http2 = request.method() == Method::CONNECT;
        let admitted = Rc::clone(&self.admitted);
        let ray: RayId = "0123456789abcdef".to_owned().try_into().unwrap();
        let outbound = Outbound {
            origin: &self.origin,
            who: Introduction {
                token: self.who.token.as_ref(),
                email: self.who.email.as_ref(),
                spent: self.who.spent.as_ref(),
                certified: Certified::default(),
            },
            hop: Hop {
                host: &HeaderValue::from_static("app.example.com"),
                client: [203, 0, 113, 9].into(),
                through: None,
                country: "JP".parse().ok(),
            },
            path: &path,
            websocket_over_http2,
            leash: Leash::held_by(move || admitted.get()),
        };
        let answered = match self.upstreams.send(outbound, request, &ray) {
            Ok(mut asking) => asking.answer().await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(answer) => answer,
            Err(error) => {
                self.errors.borrow_mut().push(error);
                let mut answer = Response::new(ProxyBody::Empty);
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
                answer
            }
        }
    }

    /// A connection from a client that speaks HTTP/1.1 by hand.
    fn raw(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let gateway = self.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let gateway = gateway.clone();
            let request = request.map(|body| ClientBody::of(body, RATE));
            async move { Ok::<_, Infallible>(gateway.answer(request).await) }
        });
        let server = hyper::server::conn::http1::Builder::new();
        spawn_local(server.serve_connection(TokioIo::new(theirs), service).with_upgrades());
        ours
    }

    /// A client that speaks HTTP/1.1.
    async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.raw())).await.unwrap();
        spawn_local(connection.with_upgrades());
        sender
    }

    /// A client that speaks HTTP/2.
    async fn http2<B>(&self) -> http2::SendRequest<B>
    where
        B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let gateway = self.clone();
        spawn_local(async move {
            let mut server = ::h2::server::Builder::new();
            let server = server.enable_connect_protocol().handshake(theirs);
            let mut server = server.await.unwrap();
            while let Some(Ok((request, respond))) = server.accept().await {
                spawn_local(gateway.clone().stream(request, respond));
            }
        });
        let io = TokioIo::new(ours);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        spawn_local(connection);
        sender
    }

    /// Serves one stream of an HTTP/2 connection.
    async fn stream(
        self,
        request: Request<::h2::RecvStream>,
        mut respond: ::h2::server::SendResponse<Bytes>,
    ) {
        let (mut head, body) = request.into_parts();
        let (body, tunnel) = if head.method == Method::CONNECT {
            let (offer, tunnel) = TunnelOffer::of(body);
            head.extensions.insert(offer);
            (ClientBody::Empty, tunnel)
        } else {
            (ClientBody::of_stream(body, None, RATE), None)
        };
        let (head, mut body) = self.answer(Request::from_parts(head, body)).await.into_parts();
        let tunnel = tunnel.filter(|_| head.status.is_success());
        let ends = tunnel.is_none() && body.is_end_stream();
        let mut sink = respond.send_response(Response::from_parts(head, ()), ends).unwrap();
        if let Some(tunnel) = tunnel {
            return tunnel.open(|body| Tunnel::new(sink, body));
        }
        if ends {
            return;
        }
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return sink.send_reset(::h2::Reason::INTERNAL_ERROR) };
            match frame.into_data() {
                Ok(data) => sink.send_data(data, false).unwrap(),
                Err(frame) => {
                    return sink.send_trailers(frame.into_trailers().unwrap()).unwrap();
                }
            }
        }
        sink.send_data(Bytes::new(), true).unwrap();
    }

    /// One request over a connection of its own, with the whole answer.
    async fn ask(&self, request: Request<Full<Bytes>>) -> (StatusCode, http::HeaderMap, Bytes) {
        let mut client = self.http1().await;
        let answer = client.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }

    /// The one error so far.
    fn error(&self) -> UpstreamError {
        let error = self.errors.borrow_mut().pop().expect("there was an error");
        assert!(self.errors.borrow().is_empty(), "there was one error");
        error
    }
}

/// A request without a body.
fn request(method: Method, path: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).header("host", "app.example.com");
    request.body(Full::default()).unwrap()
}

fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path)
}

/// An origin that speaks by hand, and its address as a service.
async fn origin() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = format!("http://{}", listener.local_addr().unwrap());
    (listener, service)
}

/// Reads to the end of a head. `None` when the connection ends before one begins.
async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return None,
            Err(error) => panic!("in the middle of a head: {error}"),
        }
    }
    Some(String::from_utf8(head).unwrap())
}

/// Reads exactly `text`.
async fn expect(stream: &mut (impl AsyncReadExt + Unpin), text: &str) {
    let mut read = vec![0; text.len()];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&read), text);
}

/// Whether the other side closes the connection without saying anything more.
async fn is_closed(stream: &mut (impl AsyncReadExt + Unpin)) -> bool {
    matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

/// Answers every request on every connection with `answer`, and tells how many connections and requests there were.
fn echo_forever(listener: TcpListener, answer: &'static str) -> Rc<Cell<(u32, u32)>> {
    let seen = Rc::new(Cell::new((0, 0)));
    let counted = Rc::clone(&seen);
    spawn_local(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.set((counted.get().0 + 1, counted.get().1));
            let counted = Rc::clone(&counted);
            spawn_local(async move {
                while read_head(&mut stream).await.is_some() {
                    counted.set((counted.get().0, counted.get().1 + 1));
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    seen
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
