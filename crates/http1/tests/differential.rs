//! The same answers, read by this crate and by hyper's client: whatever we accept, hyper reads in the same way.
//! The reverse does not hold: hyper is more lenient with lengths.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use narthex_http1::{Connection, RequestHead};
use proptest::prelude::*;
use std::future::poll_fn;
use tokio::io::{AsyncWriteExt, duplex};

#[derive(Debug, PartialEq, Eq)]
struct Read {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: usize,
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> =
        headers.iter().map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec())).collect();
    fields.sort();
    fields
}

/// Reads `sent`, which arrives in pieces of `step`, as the answer to a request with `method`.
async fn ours(method: &Method, sent: &[u8], step: usize) -> Result<Read, String> {
    let (wire, mut origin) = duplex(step.max(1));
    let feed = async {
        for piece in sent.chunks(step.max(1)) {
            if origin.write_all(piece).await.is_err() {
                break;
            }
        }
        drop(origin);
    };
    let read = async {
        let mut line = Connection::<_, Empty<Bytes>>::new(wire);
        let head = RequestHead {
            method,
            target: &PathAndQuery::from_static("/"),
            host: &HeaderValue::from_static("a"),
            headers: &HeaderMap::new(),
        };
        line.begin(&head, Empty::new());
        let answer =
            poll_fn(|cx| line.poll_answer(cx)).await.map_err(|fault| format!("{fault:?}"))?;
        let (mut body, mut trailers) = (Vec::new(), 0);
        while let Some(frame) = poll_fn(|cx| line.poll_data(cx)).await {
            match frame.map_err(|fault| format!("{fault:?}"))?.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap().len(),
            }
        }
        let (status, fields) = (answer.status().as_u16(), fields(answer.headers()));
        Ok(Read { status, fields, body, trailers })
    };
    tokio::join!(read, feed).0
}

async fn hypers(method: &Method, sent: &[u8]) -> Result<Read, String> {
    let (wire, mut origin) = duplex(1 << 20);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(wire)).await.unwrap();
    let request = Request::builder().method(method).uri("/").header("host", "a");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let feed = async {
        // hyper refuses what arrives before a request was sent
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            tokio::io::AsyncReadExt::read_exact(&mut origin, &mut byte).await.unwrap();
            head.push(byte[0]);
        }
        origin.write_all(sent).await.unwrap();
        drop(origin);
        std::future::pending::<()>().await;
    };
    let read = async {
        let answer = sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
        let (status, fields) = (answer.status().as_u16(), fields(answer.headers()));
        let collected = answer.into_body().collect().await.map_err(|e| format!("{e:?}"))?;
        let trailers = collected.trailers().map_or(0, HeaderMap::keys_len);
        Ok(Read { status, fields, body: collected.to_bytes().to_vec(), trailers })
    };
    tokio::select! {
        read = read => read,
        () = feed => unreachable!(),
        () = async { let _ = connection.await; std::future::pending::<()>().await } => unreachable!(),
    }
}

fn compare(method: &Method, sent: &[u8], step: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (ours, hypers) = (ours(method, sent, step).await, hypers(method, sent).await);
        if let Ok(read) = ours {
            let shown = String::from_utf8_lossy(sent);
            assert_eq!(Ok(read), hypers, "{method} {shown:?}");
        }
    });
}

const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: a\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n",
    "HTTP/1.1 200 OK\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
];

#[test]
fn sound_answers_are_read_by_both() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for sent in ANSWERS {
        for step in [1, 3, 1000] {
            let read = runtime.block_on(ours(&Method::GET, sent.as_bytes(), step));
            read.expect(sent);
            compare(&Method::GET, sent.as_bytes(), step);
        }
    }
}

/// Changes to a sound answer: what a byte becomes, what is put in, what is left out.
#[derive(Clone, Debug)]
enum Damage {
    Byte(u8),
    Insert(&'static str),
    Remove(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let inserts = [
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        "\0",
        ":",
        ";",
        "0",
        "5",
        "f",
        "+",
        "-",
        "\u{e9}",
        "content-length: 5\r\n",
        "content-length: 6\r\n",
        "transfer-encoding: chunked\r\n",
        "connection: close\r\n",
        "\r\n ",
        ", 5",
        "HTTP/1.1 103 \r\n\r\n",
        "0\r\n\r\n",
    ];
    prop_oneof![
        any::<u8>().prop_map(Damage::Byte),
        prop::sample::select(inserts.to_vec()).prop_map(Damage::Insert),
        (1_usize..9).prop_map(Damage::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn damaged_answers_are_never_read_otherwise_than_by_hyper(
        which in 0..ANSWERS.len(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
        head in any::<bool>(),
        step in 1_usize..60,
    ) {
        let mut sent = ANSWERS[which].as_bytes().to_vec();
        for (at, damage) in damages {
            let at = at.index(sent.len().max(1)).min(sent.len());
            match damage {
                Damage::Byte(byte) => if let Some(old) = sent.get_mut(at) { *old = byte },
                Damage::Insert(text) => { sent.splice(at..at, text.bytes()); }
                Damage::Remove(count) => { sent.drain(at..(at + count).min(sent.len())); }
            }
        }
        let method = if head { Method::HEAD } else { Method::GET };
        compare(&method, &sent, step);
    }
}
