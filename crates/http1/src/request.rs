//! The head of a request, as bytes.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};

/// What an origin is asked, apart from the body. Its parts are checked types, so nothing in them can end a line.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// Origin-form of the target (RFC 9112 §3.2.1).
    pub target: &'a PathAndQuery,
    /// The one `Host`.
    pub host: &'a HeaderValue,
    /// All other fields. `Host`, `Content-Length` and `Transfer-Encoding` in it are left out: this crate writes them.
    pub headers: &'a HeaderMap,
}

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFraming {
    /// No body, and no field that says so: methods that rarely have one.
    None,
    /// So many bytes.
    Exact(u64),
    /// In chunks.
    Chunked,
}

impl RequestFraming {
    /// The one framing of a body whose length is `length`, if it is known.
    pub(crate) fn of(method: &Method, length: Option<u64>) -> Self {
        match length {
            Some(0) if ![Method::POST, Method::PUT, Method::PATCH].contains(method) => Self::None,
            Some(length) => Self::Exact(length),
            None => Self::Chunked,
        }
    }
}

impl RequestHead<'_> {
    pub(crate) fn write(&self, framing: RequestFraming, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_str().as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(self.host.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in self.headers {
            if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                continue;
            }
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        match framing {
            RequestFraming::None => {}
            RequestFraming::Exact(length) => {
                out.extend_from_slice(b"content-length: ");
                write_decimal(length, out);
                out.extend_from_slice(b"\r\n");
            }
            RequestFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn write_decimal(mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(method: &Method, headers: &HeaderMap, length: Option<u64>) -> String {
        let mut out = Vec::new();
        let head = RequestHead {
            method,
            target: &PathAndQuery::from_static("/a?b=c"),
            host: &HeaderValue::from_static("wiki.example.com"),
            headers,
        };
        head.write(RequestFraming::of(method, length), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_has_one_framing() {
        for (method, length, want) in [
            (Method::GET, Some(0), ""),
            (Method::DELETE, Some(0), ""),
            (Method::POST, Some(0), "content-length: 0\r\n"),
            (Method::GET, Some(3), "content-length: 3\r\n"),
            (Method::PUT, Some(u64::MAX), "content-length: 18446744073709551615\r\n"),
            (Method::GET, None, "transfer-encoding: chunked\r\n"),
            (Method::POST, None, "transfer-encoding: chunked\r\n"),
        ] {
            let head = format!("{method} /a?b=c HTTP/1.1\r\nhost: wiki.example.com\r\n{want}\r\n");
            assert_eq!(written(&method, &HeaderMap::new(), length), head);
        }
    }

    #[test]
    fn framing_and_host_are_never_taken_from_the_fields() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "evil.example"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("accept", "a"),
            ("accept", "b"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(
            written(&Method::GET, &headers, Some(0)),
            "GET /a?b=c HTTP/1.1\r\nhost: wiki.example.com\r\naccept: a\r\naccept: b\r\n\r\n"
        );
    }
}
