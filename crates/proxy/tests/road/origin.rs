//! An origin that writes down every byte it is sent and answers 200.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Request line and fields.
    pub(crate) head: String,
    /// The body, chunks joined.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The request line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Every value of a field.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let named = fields.filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim()).collect()
    }
}

/// Bytes of the answer to `/large`: more than fits into the buffers on the way.
pub(crate) const LARGE: usize = 64 * 1024 * 1024;

/// The origin and its book.
pub(crate) struct Origin {
    pub(crate) port: u16,
    book: Arc<Mutex<Vec<Seen>>>,
    gate: Arc<Notify>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let book = Arc::<Mutex<Vec<Seen>>>::default();
        let gate = Arc::<Notify>::default();
        let (written, opened) = (Arc::clone(&book), Arc::clone(&gate));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, Arc::clone(&written), Arc::clone(&opened)));
            }
        });
        Self { port, book, gate }
    }

    /// Lets one answer to `/slow` go.
    pub(crate) fn release(&self) {
        self.gate.notify_one();
    }

    /// What has been asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.book.lock().unwrap().clone()
    }

    /// What was asked since the last time; forgets it.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.book.lock().unwrap())
    }
}

async fn serve(mut tcp: TcpStream, book: Arc<Mutex<Vec<Seen>>>, gate: Arc<Notify>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            more(&mut tcp, &mut buffer).await?;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        let seen = Seen { head, body: Vec::new() };
        if seen.line().contains("/early") {
            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.ok()?;
            book.lock().unwrap().push(seen);
            more(&mut tcp, &mut buffer).await?; // the rest of the request is read and forgotten
            continue;
        }
        let chunked = !seen.fields("transfer-encoding").is_empty();
        let length = seen.fields("content-length").first().and_then(|l| l.parse().ok());
        let body = match (chunked, length) {
            (true, _) => chunks(&mut tcp, &mut buffer).await?,
            (false, Some(length)) => exactly(&mut tcp, &mut buffer, length).await?,
            (false, None) => Vec::new(),
        };
        if let Some(key) = seen.fields("sec-websocket-key").first() {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {}\r\n\r\n",
                accept(key)
            );
            book.lock().unwrap().push(seen);
            tcp.write_all(answer.as_bytes()).await.ok()?;
            tcp.write_all(&buffer).await.ok()?;
            let (mut read, mut write) = tcp.split();
            tokio::io::copy(&mut read, &mut write).await.ok()?; // an echo, frame or not
            return None;
        }
        if seen.line().contains("/large") {
            book.lock().unwrap().push(Seen { body, ..seen });
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
            tcp.write_all(head.as_bytes()).await.ok()?;
            let chunk = vec![b'x'; 64 * 1024];
            let mut written = 0;
            while written < LARGE {
                written += tcp.write(&chunk[..chunk.len().min(LARGE - written)]).await.ok()?;
            }
            continue;
        }
        let head_only = seen.line().starts_with("HEAD ");
        let slow = seen.line().contains("/slow");
        book.lock().unwrap().push(Seen { body, ..seen });
        if slow {
            gate.notified().await;
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-origin: yes\r\n\r\n";
        tcp.write_all(answer.as_bytes()).await.ok()?;
        if !head_only {
            tcp.write_all(b"ok").await.ok()?;
        }
    }
}

/// What proves that a WebSocket was understood (RFC 6455 §4.2.2).
fn accept(key: &str) -> String {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
    use base64::Engine;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

async fn more(tcp: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match tcp.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

async fn exactly(tcp: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while buffer.len() < length {
        more(tcp, buffer).await?;
    }
    Some(buffer.drain(..length).collect())
}

async fn chunks(tcp: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = find(buffer, b"\r\n") {
                break at;
            }
            more(tcp, buffer).await?;
        };
        let line: Vec<u8> = buffer.drain(..end + 2).collect();
        let size =
            usize::from_str_radix(std::str::from_utf8(&line[..end]).ok()?.trim(), 16).ok()?;
        body.extend(exactly(tcp, buffer, size).await?);
        exactly(tcp, buffer, 2).await?;
        if size == 0 {
            return Some(body);
        }
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
