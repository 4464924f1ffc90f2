//! HTTP/2 origins that break the rules frame by frame (checklist N19): what that costs the request it is about, what
//! it costs the others on the same connection, and that the gateway goes on.

use super::*;
use tokio::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` (RFC 7541, appendix A).
const OK_BLOCK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block of literal fields (RFC 7541 §6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An answer of 200 without a body.
fn fine(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, OK_BLOCK)
}

fn settings(id: u8, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&[0, id], &value.to_be_bytes()[..]].concat())
}

fn go_away(last: u32, reason: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

/// The origin's end of a connection.
struct Raw(TcpStream);

impl Raw {
    async fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap(); // the preface
        let greeting = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat();
        stream.write_all(&greeting).await.unwrap();
        Self(stream)
    }

    /// The stream of the next request.
    async fn request(&mut self) -> u32 {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.unwrap();
            if head[3] == HEADERS {
                return u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            }
        }
    }

    /// Sends and goes on to read and forget, so that the gateway can always write.
    async fn send(&mut self, bytes: &[u8]) {
        let (mut read, mut write) = self.0.split();
        let mut sink = [0; 4096];
        let reading = async { while let Ok(1..) = read.read(&mut sink).await {} };
        tokio::select! {
            _ = write.write_all(bytes) => {}
            () = reading => {}
        }
    }
}

/// What hostile frames cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    /// Nothing: the request is answered after them.
    Nothing,
    /// The request that they are about.
    Request,
    /// The connection with all that is under way on it.
    Connection,
}

#[test]
fn n19_a_hostile_origin_costs_no_more_than_it_must() {
    let head = |fields: &[(&str, &str)], flags| {
        let block = block(fields);
        move |stream| frame(HEADERS, END_HEADERS | flags, stream, &block)
    };
    let long = ("x", "y".repeat(120));
    let huge = block(&vec![(long.0, &*long.1); 1000]);
    let huge: Vec<Vec<u8>> = huge.chunks(16_000).map(<[u8]>::to_vec).collect();
    type Frames = Box<dyn Fn(u32) -> Vec<u8>>;
    let hostile: Vec<(&str, Cost, Frames)> = vec![
        ("reset", Cost::Request, Box::new(|s| frame(RST_STREAM, 0, s, &[0, 0, 0, 2]))),
        ("no status", Cost::Request, Box::new(head(&[("x", "y")], END_STREAM))),
        (
            "two statuses",
            Cost::Request,
            Box::new(head(&[(":status", "200"), (":status", "200")], END_STREAM)),
        ),
        (
            "a status that is none",
            Cost::Connection,
            Box::new(head(&[(":status", "abc")], END_STREAM)),
        ),
        (
            "a request for an answer",
            Cost::Request,
            Box::new(head(&[(":method", "GET"), (":path", "/")], END_STREAM)),
        ),
        (
            "a name in upper case",
            Cost::Connection,
            Box::new(head(&[(":status", "200"), ("X", "y")], END_STREAM)),
        ),
        (
            "a line feed in a value",
            Cost::Connection,
            Box::new(head(&[(":status", "200"), ("x", "a\nb")], END_STREAM)),
        ),
        (
            "Transfer-Encoding",
            Cost::Request,
            Box::new(head(&[(":status", "200"), ("transfer-encoding", "chunked")], END_STREAM)),
        ),
        (
            "Connection",
            Cost::Request,
            Box::new(head(&[(":status", "200"), ("connection", "close")], END_STREAM)),
        ),
        (
            "two lengths",
            Cost::Request,
            Box::new(head(
                &[(":status", "200"), ("content-length", "1"), ("content-length", "2")],
                0,
            )),
        ),
        ("an end after 103", Cost::Request, Box::new(head(&[(":status", "103")], END_STREAM))),
        (
            "a body before its head",
            Cost::Connection,
            Box::new(|s| frame(DATA, END_STREAM, s, b"ok")),
        ),
        (
            "a window that overflows",
            Cost::Nothing,
            Box::new(|s| frame(WINDOW_UPDATE, 0, s, &0x7fff_ffffu32.to_be_bytes())),
        ),
        (
            "a window of nothing",
            Cost::Connection,
            Box::new(|s| frame(WINDOW_UPDATE, 0, s, &[0; 4])),
        ),
        (
            "a head of 120 kB",
            Cost::Connection,
            Box::new(move |s| {
                let mut frames = frame(HEADERS, END_STREAM, s, OK_BLOCK);
                for (at, part) in huge.iter().enumerate() {
                    let end = if at + 1 == huge.len() { END_HEADERS } else { 0 };
                    frames.extend(frame(CONTINUATION, end, s, part));
                }
                frames
            }),
        ),
        (
            "many 103",
            Cost::Nothing,
            Box::new(move |s| head(&[(":status", "103"), ("link", "</a>")], 0)(s).repeat(10_000)),
        ),
        ("many SETTINGS", Cost::Nothing, Box::new(|_| frame(SETTINGS, 0, 0, &[]).repeat(10_000))),
        ("many PINGs", Cost::Nothing, Box::new(|_| frame(PING, 0, 0, &[7; 8]).repeat(10_000))),
        ("a frame of no known kind", Cost::Nothing, Box::new(|s| frame(99, 0xff, s, &[7; 1000]))),
        ("no streams any more", Cost::Nothing, Box::new(|_| settings(3, 0))),
        ("a window too large", Cost::Connection, Box::new(|_| settings(4, 0x8000_0000))),
        ("frames too small", Cost::Connection, Box::new(|_| settings(5, 1))),
        (
            "a push promised",
            Cost::Connection,
            Box::new(|s| frame(PUSH_PROMISE, END_HEADERS, s, &[0, 0, 0, 2, 0x82])),
        ),
        ("a stream that nobody began", Cost::Connection, Box::new(|_| fine(99))),
        ("a reset of one", Cost::Connection, Box::new(|_| frame(RST_STREAM, 0, 99, &[0; 4]))),
        (
            "a connection's window that overflows",
            Cost::Connection,
            Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes())),
        ),
        (
            "a frame larger than agreed",
            Cost::Connection,
            Box::new(|s| frame(DATA, 0, s, &[0; 20_000])),
        ),
        (
            "a block that does not unpack",
            Cost::Connection,
            Box::new(|s| frame(HEADERS, END_HEADERS, s, &[0xff; 30])),
        ),
        (
            "a block interrupted",
            Cost::Connection,
            Box::new(|s| [frame(HEADERS, 0, s, OK_BLOCK), frame(PING, 0, 0, &[0; 8])].concat()),
        ),
        (
            "a block without an end",
            Cost::Connection,
            Box::new(|s| {
                [frame(HEADERS, 0, s, OK_BLOCK), frame(CONTINUATION, 0, s, &[]).repeat(20_000)]
                    .concat()
            }),
        ),
        ("GOAWAY for a reason", Cost::Connection, Box::new(|_| go_away(0, 11))),
    ];
    for (name, cost, frames) in hostile {
        story(async || {
            let (listener, service) = origin().await;
            let http2 = OriginRequest { http2_origin: true, ..OriginRequest::default() };
            let gateway = Gateway::with(&service, http2);
            let ask = |path: &'static str| {
                let asking = gateway.clone();
                // POST, so that nothing is sent again on another connection.
                spawn_local(async move { asking.ask(request(Method::POST, path)).await.0 })
            };
            let victim = ask("/victim");
            let mut raw = Raw::accept(&listener).await;
            let stream = raw.request().await;
            let other = ask("/other");
            let others = raw.request().await;
            raw.send(&frames(stream)).await;
            match cost {
                Cost::Nothing => raw.send(&fine(stream)).await,
                Cost::Request | Cost::Connection => {}
            }
            let got = victim.await.unwrap();
            let bad = StatusCode::BAD_GATEWAY;
            let want = if cost == Cost::Nothing { StatusCode::OK } else { bad };
            assert_eq!(got, want, "{name}");
            raw.send(&fine(others)).await;
            let got = other.await.unwrap();
            let want = if cost == Cost::Connection { bad } else { StatusCode::OK };
            assert_eq!(got, want, "{name}: the other");

            drop(raw);
            let mut again = ask("/again");
            let mut raw = tokio::select! {
                raw = Raw::accept(&listener) => raw,
                lost = &mut again => { // on the connection that was just closed
                    assert_eq!(lost.unwrap(), bad, "{name}");
                    again = ask("/again");
                    Raw::accept(&listener).await
                }
            };
            let stream = raw.request().await;
            raw.send(&fine(stream)).await;
            assert_eq!(again.await.unwrap(), StatusCode::OK, "{name}: the gateway goes on");
        });
    }
}

#[test]
fn n19_a_request_that_a_leaving_origin_did_not_take_goes_elsewhere() {
    story(async || {
        let (listener, service) = origin().await;
        let http2 = OriginRequest { http2_origin: true, ..OriginRequest::default() };
        let gateway = Gateway::with(&service, http2);
        let ask = |method: Method| {
            let asking = gateway.clone();
            spawn_local(async move { asking.ask(request(method, "/")).await.0 })
        };
        let taken = ask(Method::POST);
        let mut raw = Raw::accept(&listener).await;
        let first = raw.request().await;
        let not_taken = ask(Method::GET);
        raw.request().await;
        raw.send(&go_away(first, 0)).await;
        let mut next = Raw::accept(&listener).await;
        let stream = next.request().await;
        next.send(&fine(stream)).await;
        assert_eq!(not_taken.await.unwrap(), StatusCode::OK, "asked again over another connection");
        raw.send(&fine(first)).await;
        assert_eq!(taken.await.unwrap(), StatusCode::OK, "what it took it finishes");
        assert_eq!(gateway.tally.retries.get(), 1);
    });
}

#[test]
fn n19_an_origin_that_only_says_103_is_not_waited_for() {
    story(async || {
        let (listener, service) = origin().await;
        let patience = OriginRequest {
            http2_origin: true,
            response_timeout: "100ms".parse().ok(),
            ..OriginRequest::default()
        };
        let gateway = Gateway::with(&service, patience);
        let asking = gateway.clone();
        let asked = spawn_local(async move { asking.ask(request(Method::POST, "/")).await.0 });
        let mut raw = Raw::accept(&listener).await;
        let stream = raw.request().await;
        let early = frame(HEADERS, END_HEADERS, stream, &block(&[(":status", "103")]));
        let flood = async {
            loop {
                raw.send(&early.repeat(100)).await;
                tokio::task::yield_now().await;
            }
        };
        let status = tokio::select! {
            status = asked => status.unwrap(),
            () = flood => unreachable!("it goes on for ever"),
        };
        assert_eq!(status, StatusCode::BAD_GATEWAY);
        assert!(matches!(gateway.error(), UpstreamError::Timeout { .. }));
    });
}
