//! One answer read twice: by this crate and by hyper's client.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use narthex_http1::{Connection, RequestHead};
use std::future::poll_fn;
use tokio::io::{AsyncWriteExt, duplex};

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
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
pub(crate) async fn ours(method: &Method, sent: &[u8], step: usize) -> Result<Read, String> {
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

pub(crate) fn compare(method: &Method, sent: &[u8], step: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (ours, hypers) = (ours(method, sent, step).await, hypers(method, sent).await);
        if let Ok(read) = ours {
            let shown = String::from_utf8_lossy(sent);
            assert_eq!(Ok(read), hypers, "{method} {shown:?}");
        }
    });
}
