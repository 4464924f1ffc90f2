//! Group N frame by frame: what an honest HTTP/2 client cannot send.

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::{client_config, connect};
use narthex_proxy::{Limits, Settings};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const A: &str = "a.example.com";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

async fn town() -> Town {
    let limits = Limits { head_time: Duration::from_millis(200), ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let plan = Plan { settings, ..Plan::default() };
    Town::build(plan.app(A, &[policy("bypass", everyone())], json!({}))).await
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A literal field without indexing (RFC 7541 §6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        assert!(text.len() < 127, "one length octet");
        field.push(u8::try_from(text.len()).unwrap());
        field.extend(text.as_bytes());
    }
    field
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

fn request(more: &[(&str, &str)]) -> Vec<u8> {
    let line = [(":method", "GET"), (":scheme", "https"), (":authority", A), (":path", "/")];
    block(&[&line, more].concat())
}

/// What the gateway answers to a stream.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// An answer: the first octet of its header block tells the status (RFC 7541, static table).
    Answer(u8),
    /// RST_STREAM.
    Reset,
    /// GOAWAY with an error, or the connection closed.
    Gone,
}

const STATUS_200: u8 = 0x88;
const STATUS_400: u8 = 0x8c;

struct Raw {
    read: ReadHalf<TlsStream<TcpStream>>,
    write: WriteHalf<TlsStream<TcpStream>>,
}

impl Raw {
    async fn open(town: &Town) -> Self {
        let stream = connect(client_config(&town.ca_pem, &[b"h2"]), town.port(), A).await.unwrap();
        let (read, write) = split(stream);
        let mut raw = Self { read, write };
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.send(&frame(SETTINGS, 0, 0, &[])).await;
        raw
    }

    async fn send(&mut self, bytes: &[u8]) {
        let _sent = self.write.write_all(bytes).await; // closed already: the reading side tells
        let _flushed = self.write.flush().await;
    }

    /// The next frame: kind, stream and payload. `None` when the connection has ended.
    async fn next(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.read.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.read.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some((head[3], stream, payload))
    }

    /// Reads until something has become of a stream.
    async fn end(&mut self) -> End {
        tokio::time::timeout(Duration::from_secs(20), self.read_end())
            .await
            .expect("an end in time")
    }

    async fn read_end(&mut self) -> End {
        while let Some((kind, _, payload)) = self.next().await {
            match kind {
                HEADERS => return End::Answer(payload.first().copied().unwrap_or_default()),
                RST_STREAM => return End::Reset,
                GOAWAY if payload.get(4..8) != Some(&[0; 4]) => return End::Gone,
                _ => {}
            }
        }
        End::Gone
    }
}

/// What becomes of a request with these header fields.
async fn ask(town: &Town, fields: &[u8]) -> End {
    let mut raw = Raw::open(town).await;
    raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, fields)).await;
    raw.end().await
}

async fn others_notice_nothing(town: &Town) {
    town.origin.take();
    assert_eq!(ask(town, &request(&[])).await, End::Answer(STATUS_200));
    assert_eq!(town.origin.take().len(), 1);
}

#[tokio::test]
async fn n08_n09_n13_n16_malformed_requests_reach_no_origin() {
    let town = town().await;
    let with_path = |path: &str| {
        block(&[(":method", "GET"), (":scheme", "https"), (":authority", A), (":path", path)])
    };
    for (name, fields) in [
        ("n8 line feed", request(&[("x", "a\nb")])),
        ("n8 carriage return", request(&[("x", "a\rb")])),
        ("n8 nul", request(&[("x", "a\0b")])),
        ("n8 upper case", request(&[("X", "a")])),
        ("n8 bad name", request(&[("x y", "a")])),
        ("n9 connection", request(&[("connection", "close")])),
        ("n9 transfer-encoding", request(&[("transfer-encoding", "chunked")])),
        ("n9 te", request(&[("te", "gzip")])),
        ("n9 upgrade", request(&[("upgrade", "h2c")])),
        ("n13 space", with_path("/a b")),
        ("n13 crlf", with_path("/\r\nx: y")),
        ("n13 absolute", with_path("https://a.example.com/")),
        ("n13 empty", with_path("")),
        ("n13 no slash", with_path("x")),
        ("n14 star", with_path("*")),
        ("n16 twice", [field(":path", "/"), request(&[])].concat()),
        ("n16 late", [request(&[("x", "y")]), field(":path", "/")].concat()),
        ("n16 unknown", [field(":x", "y"), request(&[])].concat()),
        (
            "n16 method",
            block(&[(":method", "G T"), (":scheme", "https"), (":authority", A), (":path", "/")]),
        ),
        ("n12 nothing", block(&[(":method", "GET"), (":scheme", "https"), (":path", "/")])),
        (
            "n12 userinfo",
            block(&[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "u@a.example.com"),
                (":path", "/"),
            ]),
        ),
        (
            "n15 scheme",
            block(&[(":method", "GET"), (":scheme", "http"), (":authority", A), (":path", "/")]),
        ),
        ("n10 two lengths", request(&[("content-length", "3"), ("content-length", "4")])),
        ("n10 plus", request(&[("content-length", "+3")])),
    ] {
        let end = ask(&town, &fields).await;
        assert_ne!(end, End::Answer(STATUS_200), "{name}");
        assert_eq!(town.origin.take().len(), 0, "{name}");
    }
    assert_eq!(ask(&town, &with_path("/%2f")).await, End::Answer(STATUS_400));
    others_notice_nothing(&town).await;
}

#[tokio::test]
async fn n10_a_body_of_another_length_than_promised_is_never_complete() {
    let town = town().await;
    for (length, body) in [("3", &b"ab"[..]), ("3", b"abcd")] {
        let mut raw = Raw::open(&town).await;
        let head = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", A),
            (":path", "/"),
            ("content-length", length),
        ];
        raw.send(&frame(HEADERS, END_HEADERS, 1, &block(&head))).await;
        raw.send(&frame(DATA, END_STREAM, 1, body)).await;
        assert_ne!(raw.end().await, End::Answer(STATUS_200), "{body:?}");
        assert!(town.origin.take().is_empty());
    }
    others_notice_nothing(&town).await;
}

#[tokio::test]
async fn n02_to_n06_floods_end_the_connection() {
    let town = town().await;
    let post = [(":method", "POST"), (":scheme", "https"), (":authority", A), (":path", "/")];
    let open = |stream| frame(HEADERS, END_HEADERS, stream, &block(&post));
    let overflow = |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffffu32.to_be_bytes());
    let empty = frame(DATA, 0, 1, &[]);
    let begun = frame(HEADERS, END_STREAM, 1, &request(&[]));
    let filler = block(&[("x", &"a".repeat(100))]).repeat(100);
    let bomb = {
        // One entry of 4,000 octets into the dynamic table, then 16,000 references to it (RFC 7541 §6.2.1, §6.1).
        let mut bomb = vec![0x40, 1, b'x', 0x7f, 0xa1, 0x1e];
        bomb.extend(vec![b'a'; 4000]);
        let mut fields = request(&[]);
        fields.extend(bomb);
        fields.extend(vec![0xbe; 12_000]);
        fields
    };
    let floods: Vec<(&str, Vec<u8>)> = vec![
        (
            "n2 made you reset",
            (0..20_000u32).flat_map(|n| [open(2 * n + 1), overflow(2 * n + 1)].concat()).collect(),
        ),
        (
            "n3 continuation",
            [begun.clone(), frame(CONTINUATION, 0, 1, &filler).repeat(200)].concat(),
        ),
        ("n3 empty continuation", [begun, frame(CONTINUATION, 0, 1, &[]).repeat(20_000)].concat()),
        ("n4 settings", frame(SETTINGS, 0, 0, &[]).repeat(100_000)),
        ("n4 ping", frame(PING, 0, 0, &[0; 8]).repeat(100_000)),
        ("n5 empty data", [open(1), empty.repeat(200_000)].concat()),
        ("n6 bomb", frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)),
    ];
    for (name, flood) in floods {
        let Raw { mut read, mut write } = Raw::open(&town).await;
        let flooding = tokio::spawn(async move {
            let _sent = write.write_all(&flood).await;
            let _flushed = write.flush().await;
            write
        });
        // Whatever is answered is read, so that only the gateway's own limits end the connection.
        let ended = async {
            let mut sink = vec![0; 65_536];
            while let Ok(1..) = read.read(&mut sink).await {}
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(ended.is_ok() || name == "n6 bomb", "{name}");
        flooding.abort();
        let seen = town.origin.take().len();
        assert!(seen <= 400, "{name}: {seen} requests reached the origin");
    }
    others_notice_nothing(&town).await;
}

/// Reads frames until `count` streams were reset, and tells which and why. A connection that ends before is a failure.
async fn resets(raw: &mut Raw, count: usize) -> BTreeMap<u32, u32> {
    let mut reasons = BTreeMap::new();
    let whole = async {
        while reasons.len() < count {
            let (kind, stream, payload) = raw.next().await.expect("the connection lives on");
            match kind {
                RST_STREAM => {
                    let reason = u32::from_be_bytes(payload.try_into().unwrap());
                    assert_eq!(reasons.insert(stream, reason), None, "stream {stream}");
                }
                HEADERS => assert_eq!(payload[0], STATUS_200, "stream {stream}"),
                DATA => assert!(payload.len() <= 1, "stream {stream}: no more than its window"),
                GOAWAY => panic!("the connection is to live on"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), whole).await.expect("all of them end");
    reasons
}

#[tokio::test]
async fn n07_streams_without_a_window_are_refused_or_time_out_while_the_connection_lives() {
    const STREAMS: u32 = 20;
    const REFUSED_STREAM: u32 = 7;
    const CANCEL: u32 = 8;
    let limits = Limits {
        head_time: Duration::from_millis(100),
        write_stall: Duration::from_millis(200),
        streams: STREAMS,
        ..Limits::default()
    };
    let plan = Plan { settings: Settings { limits, ..Settings::default() }, ..Plan::default() };
    let plan = plan.app(A, &[policy("bypass", everyone())], json!({}));
    let town =
        Town::build(plan.app("b.example.com", &[policy("deny", everyone())], json!({}))).await;
    let path = |path: &'static str, authority: &'static str| {
        block(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
        ])
    };
    let window = |bytes: u32| frame(SETTINGS, 0, 0, &[&[0, 4][..], &bytes.to_be_bytes()].concat());
    // An answer of any size, and a window of nothing or of a single byte.
    for (at, (target, bytes)) in [("/", 0), ("/large", 0), ("/large", 1)].into_iter().enumerate() {
        let mut raw = Raw::open(&town).await;
        raw.send(&window(bytes)).await;
        let number = |n: u32| 2 * n + 1;
        let open = |n| frame(HEADERS, END_STREAM | END_HEADERS, number(n), &path(target, A));
        raw.send(&(0..3 * STREAMS).flat_map(open).collect::<Vec<_>>()).await; // all of them before any can end
        let reason = |n| if n < STREAMS { CANCEL } else { REFUSED_STREAM };
        let want: BTreeMap<_, _> = (0..3 * STREAMS).map(|n| (number(n), reason(n))).collect();
        assert_eq!(resets(&mut raw, want.len()).await, want, "{target} {bytes}");
        assert_eq!(
            town.origin.take().len(),
            STREAMS as usize,
            "{target}: and none above the limit"
        );
        assert_eq!(town.read_meters().write_stalls, (at as u64 + 1) * u64::from(STREAMS));
        // The connection lives on, and its places are free.
        raw.send(&window(65_535)).await;
        raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1001, &path("/", A))).await;
        assert_eq!(raw.end().await, End::Answer(STATUS_200), "{target}");
        town.origin.take();
    }
    others_notice_nothing(&town).await;
}
