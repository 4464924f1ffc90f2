//! The HTTP/1.1 connection to an origin: a request's head written and an answer's head and body read, without a network.

use bytes::Bytes;
use divan::{Bencher, black_box};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::Empty;
use narthex_http1::{Connection, RequestHead};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A wire that takes whatever is written and has one and the same answer for every request.
struct Canned {
    answer: Vec<u8>,
    /// Whether the request was written whose answer is due.
    asked: bool,
}

impl AsyncRead for Canned {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !std::mem::take(&mut self.asked) {
            return Poll::Pending;
        }
        room.put_slice(&self.answer);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Canned {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn fields(many: usize) -> HeaderMap {
    let field = |n: usize| {
        let name: HeaderName = format!("x-field-{n}").parse().expect("a name");
        (name, HeaderValue::from_static("a value of some twenty bytes"))
    };
    (0..many).map(field).collect()
}

/// A GET and its small answer, both with so many fields.
#[divan::bench(args = [5, 20, 50])]
fn exchange(bencher: Bencher<'_, '_>, many: usize) {
    let headers = fields(many);
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 22\r\n".to_vec();
    for (name, value) in &headers {
        answer.extend_from_slice(format!("{name}: ").as_bytes());
        answer.extend_from_slice(value.as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\nhello from the origin\n");
    let (method, host) = (Method::GET, HeaderValue::from_static("app.example.com"));
    let target = PathAndQuery::from_static("/a/b/c?d=e");
    let head = RequestHead { method: &method, target: &target, host: &host, headers: &headers };
    let mut line: Connection<_, Empty<Bytes>> = Connection::new(Canned { answer, asked: false });
    let mut cx = Context::from_waker(Waker::noop());
    bencher.bench_local(|| {
        line.begin(black_box(&head), Empty::new());
        let Poll::Ready(Ok(answer)) = line.poll_answer(&mut cx) else { panic!("an answer") };
        let Poll::Ready(Some(Ok(_))) = line.poll_data(&mut cx) else { panic!("a body") };
        assert!(line.is_reusable());
        answer.status()
    });
}
