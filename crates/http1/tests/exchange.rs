//! Whole exchanges with a scripted origin.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use bytes::Bytes;
use futures_util::stream;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use narthex_http1::{Connection, Fault, RequestHead};
use std::convert::Infallible;
use std::future::poll_fn;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

type Sent = BoxBody<Bytes, Infallible>;
type Line = Connection<DuplexStream, Sent>;

fn full(bytes: impl Into<Bytes>) -> Sent {
    Full::new(bytes.into()).boxed()
}

fn begin(line: &mut Line, method: Method, body: Sent) {
    let head = RequestHead {
        method: &method,
        target: &PathAndQuery::from_static("/x"),
        host: &HeaderValue::from_static("a.example"),
        headers: &HeaderMap::new(),
    };
    line.begin(&head, body);
}

async fn answer(line: &mut Line) -> Result<Response<()>, Fault<Infallible>> {
    poll_fn(|cx| line.poll_answer(cx)).await
}

async fn body(line: &mut Line) -> Result<(Vec<u8>, HeaderMap), Fault<Infallible>> {
    let (mut all, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| line.poll_data(cx)).await {
        match frame?.into_data() {
            Ok(data) => all.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap(),
        }
    }
    Ok((all, trailers))
}

/// An exchange of a GET with an origin that says `sent` and then closes, or not.
async fn told(
    method: Method,
    sent: &[u8],
    closes: bool,
) -> (Line, Result<Vec<u8>, Fault<Infallible>>) {
    let (ours, mut theirs) = duplex(1 << 20);
    let mut line = Line::new(ours);
    theirs.write_all(sent).await.unwrap();
    let kept = (!closes).then_some(theirs); // dropped here if it closes
    begin(&mut line, method, full(""));
    let outcome = async {
        answer(&mut line).await?;
        body(&mut line).await.map(|(body, _)| body)
    }
    .await;
    std::mem::forget(kept);
    (line, outcome)
}

#[tokio::test]
async fn an_answer_ends_where_it_says_and_leaves_the_connection_to_the_next() {
    for (name, method, sent, want, closes, reusable) in [
        ("a length", "GET", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi", false, true),
        (
            "chunks",
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "hi",
            false,
            true,
        ),
        ("nothing", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "", false, true),
        ("not modified", "GET", "HTTP/1.1 304 \r\ncontent-length: 9\r\n\r\n", "", false, true),
        ("HEAD", "HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "", false, true),
        (
            "after interim answers",
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            "hi",
            false,
            true,
        ),
        ("until the end", "GET", "HTTP/1.1 200 OK\r\n\r\nhi", "hi", true, false),
        ("HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi", false, false),
        (
            "close",
            "GET",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
            "hi",
            false,
            false,
        ),
        (
            "something behind it",
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n",
            "hi",
            false,
            false,
        ),
        (
            "something behind nothing",
            "HEAD",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            "",
            false,
            false,
        ),
        (
            "closed behind it",
            "GET",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            "hi",
            true,
            false,
        ),
    ] {
        let (mut line, outcome) = told(method.parse().unwrap(), sent.as_bytes(), closes).await;
        assert_eq!(outcome.expect(name), want.as_bytes(), "{name}");
        assert_eq!(line.is_ready(), reusable, "{name}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_never_whole() {
    for (name, sent, closed) in [
        ("nothing", "", true),
        ("half a head", "HTTP/1.1 200 OK\r\nconte", false),
        ("half a body", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi", false),
        (
            "no last chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
            false,
        ),
        (
            "no end of trailers",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n",
            false,
        ),
        ("only an interim answer", "HTTP/1.1 100 Continue\r\n\r\n", false),
    ] {
        let (line, outcome) = told(Method::GET, sent.as_bytes(), true).await;
        match outcome.expect_err(name) {
            Fault::Closed(_) => assert!(closed, "{name}"),
            Fault::BrokeOff(_) => assert!(!closed, "{name}"),
            Fault::Bad(_) | Fault::TooBig | Fault::Upload(_) => panic!("{name}"),
        }
        assert!(!line.is_reusable(), "{name}");
    }
}

#[tokio::test]
async fn interim_answers_come_to_an_end() {
    let sent = "HTTP/1.1 102 \r\n\r\n".repeat(1000);
    let (_, outcome) = told(Method::GET, sent.as_bytes(), false).await;
    assert!(matches!(outcome, Err(Fault::Bad(_))));
}

#[tokio::test]
async fn a_body_is_sent_as_it_was_framed() {
    let pieces = |sizes: &'static [usize]| {
        let frames = sizes.iter().map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; *size]))));
        BoxBody::new(StreamBody::new(stream::iter(frames)))
    };
    for (name, body, want) in [
        ("small", full("hello"), "content-length: 5\r\n\r\nhello".to_owned()),
        (
            "large",
            full("x".repeat(100_000)),
            format!("content-length: 100000\r\n\r\n{}", "x".repeat(100_000)),
        ),
        ("none", full(""), "content-length: 0\r\n\r\n".to_owned()),
        ("no chunks", pieces(&[]), "transfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        (
            "an empty chunk",
            pieces(&[0, 1]),
            "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "small and large chunks",
            pieces(&[1, 9000, 2]),
            format!(
                "transfer-encoding: chunked\r\n\r\n1\r\nx\r\n2328\r\n{}\r\n2\r\nxx\r\n0\r\n\r\n",
                "x".repeat(9000)
            ),
        ),
        (
            "large at the end",
            pieces(&[9000]),
            format!("transfer-encoding: chunked\r\n\r\n2328\r\n{}\r\n0\r\n\r\n", "x".repeat(9000)),
        ),
    ] {
        let (ours, mut theirs) = duplex(100);
        let mut line = Line::new(ours);
        begin(&mut line, Method::POST, body);
        let want = format!("POST /x HTTP/1.1\r\nhost: a.example\r\n{want}");
        let origin = async {
            let mut got = vec![0; want.len()];
            theirs.read_exact(&mut got).await.unwrap();
            theirs.write_all(b"HTTP/1.1 204 \r\n\r\n").await.unwrap();
            String::from_utf8(got).unwrap()
        };
        let (answered, got) = tokio::join!(answer(&mut line), origin);
        assert_eq!(answered.expect(name).status(), 204);
        assert!(got == want, "{name}: {got:.200}");
        assert!(line.is_ready(), "{name}");
    }
}

#[tokio::test]
async fn an_early_answer_is_heard_though_the_origin_stopped_reading() {
    let (ours, mut theirs) = duplex(1000);
    let mut line = Line::new(ours);
    begin(&mut line, Method::POST, full("x".repeat(1 << 20)));
    let origin = async {
        let mut some = [0; 500];
        theirs.read_exact(&mut some).await.unwrap();
        theirs.write_all(b"HTTP/1.1 413 \r\ncontent-length: 3\r\n\r\nbig").await.unwrap();
        drop(theirs);
    };
    let (answered, ()) = tokio::join!(answer(&mut line), origin);
    assert_eq!(answered.unwrap().status(), 413);
    assert_eq!(body(&mut line).await.unwrap().0, b"big");
    assert!(!line.is_reusable(), "the request was not sent to its end");
}

#[tokio::test]
async fn a_request_can_be_sent_while_nobody_reads_its_answer() {
    let (ours, mut theirs) = duplex(1000);
    let mut line = Line::new(ours);
    begin(&mut line, Method::POST, full("x".repeat(100_000)));
    let origin = async {
        let mut some = [0; 500];
        theirs.read_exact(&mut some).await.unwrap();
        theirs.write_all(b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
        let (mut rest, mut took) = (vec![0; 100_000], some.len());
        while took
            < "POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 100000\r\n\r\n".len()
                + 100_000
        {
            took += theirs.read(&mut rest).await.unwrap();
        }
    };
    let sending = async {
        answer(&mut line).await.unwrap();
        assert!(!line.is_sent());
        line.send_apart();
        poll_fn(|cx| line.poll_send(cx)).await.unwrap();
        assert!(line.is_sent());
    };
    tokio::join!(origin, sending);
    assert_eq!(body(&mut line).await.unwrap().0, b"hi");
    assert!(line.is_reusable());
}

#[tokio::test]
async fn a_connection_that_was_closed_at_rest_is_not_ready() {
    let (ours, theirs) = duplex(1000);
    let mut line = Line::new(ours);
    assert!(line.is_ready());
    drop(theirs);
    assert!(!line.is_ready());
    begin(&mut line, Method::POST, full(""));
    assert!(matches!(answer(&mut line).await, Err(Fault::Closed(_))));
    assert!(line.take_back().is_some(), "it can be sent elsewhere if nothing was taken from it");
}

#[tokio::test]
async fn what_an_origin_says_unasked_is_not_taken_for_an_answer() {
    let (ours, mut theirs) = duplex(1000);
    let mut line = Line::new(ours);
    theirs.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    assert!(!line.is_ready());
}

#[tokio::test]
async fn trailers_come_last() {
    let (ours, mut theirs) = duplex(1000);
    let mut line = Line::new(ours);
    let sent = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\ngrpc-status: 0\r\n\r\n";
    theirs.write_all(sent).await.unwrap();
    begin(&mut line, Method::POST, full(""));
    answer(&mut line).await.unwrap();
    let (body, trailers) = body(&mut line).await.unwrap();
    assert_eq!(
        (body.as_slice(), &trailers["grpc-status"]),
        (&b"x"[..], &HeaderValue::from_static("0"))
    );
    assert!(line.is_ready());
}

#[tokio::test]
async fn after_101_the_wire_is_given_back_with_what_was_read() {
    let (ours, mut theirs) = duplex(1000);
    let mut line = Line::new(ours);
    let sent = b"HTTP/1.1 101 \r\nupgrade: foo\r\nconnection: upgrade\r\n\r\nhello";
    theirs.write_all(sent).await.unwrap();
    begin(&mut line, Method::GET, full(""));
    assert_eq!(answer(&mut line).await.unwrap().status(), 101);
    assert!(!line.is_ready(), "nobody else may have it");
    let mut wire = line.upgraded();
    theirs.write_all(b"!").await.unwrap();
    let mut read = [0; 6];
    wire.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello!");
    wire.write_all(b"?").await.unwrap();
    let mut sent = Vec::new();
    while sent.last() != Some(&b'?') {
        sent.push(theirs.read_u8().await.unwrap());
    }
}
