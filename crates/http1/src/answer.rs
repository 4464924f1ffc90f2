//! The head of an answer, read.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use std::mem::MaybeUninit;

/// Largest head of an answer, and largest trailers, in bytes.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Most fields in the head of an answer, and most trailers.
pub const HEAD_FIELDS: usize = 100;

/// What is wrong with what an origin sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Bad(&'static str),
    TooBig,
}

impl From<httparse::Error> for Trouble {
    fn from(error: httparse::Error) -> Self {
        Self::Bad(match error {
            httparse::Error::HeaderName => "a field has no proper name",
            httparse::Error::HeaderValue => "a field has no proper value",
            httparse::Error::NewLine => "a line does not end as it should",
            httparse::Error::Status => "it has no proper status",
            httparse::Error::Version => "its version is not HTTP/1.0 or HTTP/1.1",
            httparse::Error::TooManyHeaders => return Self::TooBig,
            httparse::Error::Token => "it does not begin as an answer does",
        })
    }
}

/// Reads a head out of `inbox` once it is there whole. `scanned` remembers, between calls for the same head, how far
/// its end was looked for.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_head(
    inbox: &mut BytesMut,
    scanned: &mut usize,
) -> Result<Option<Response<()>>, Trouble> {
    if inbox.is_empty() || *scanned > 0 && !has_end(inbox, scanned) {
        return short(inbox);
    }
    let mut fields = [MaybeUninit::uninit(); HEAD_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut parsed, &inbox[..], &mut fields)?;
    let httparse::Status::Complete(end) = status else {
        *scanned = inbox.len();
        return short(inbox);
    };
    if end > HEAD_BYTES {
        return Err(Trouble::TooBig);
    }
    let version = match parsed.version {
        Some(1) => Version::HTTP_11,
        Some(0) => Version::HTTP_10,
        Some(_) | None => return Err(Trouble::Bad("its version is not HTTP/1.0 or HTTP/1.1")),
    };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Trouble::Bad("it has no proper status"))?;
    let headers = Places::of(&inbox[..], parsed.headers);
    let head = inbox.split_to(end).freeze();
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    *answer.version_mut() = version;
    *answer.headers_mut() = headers.fields(&head)?;
    *scanned = 0;
    Ok(Some(answer))
}

/// Reads the trailers of a chunked body out of `inbox` once they are there whole.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn read_trailers(inbox: &mut BytesMut) -> Result<Option<HeaderMap>, Trouble> {
    if !has_end(inbox, &mut 0) {
        return short(inbox);
    }
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
    let httparse::Status::Complete((end, found)) =
        httparse::parse_headers(&inbox[..], &mut fields)?
    else {
        return short(inbox);
    };
    if memchr::memchr_iter(b'\n', &inbox[..end]).any(|at| at == 0 || inbox[at - 1] != b'\r') {
        return Err(Trouble::Bad("a trailer ends without a carriage return"));
    }
    let places = Places::of(&inbox[..], found);
    let head = inbox.split_to(end).freeze();
    places.fields(&head).map(Some)
}

fn short<T>(inbox: &BytesMut) -> Result<Option<T>, Trouble> {
    if inbox.len() >= HEAD_BYTES { Err(Trouble::TooBig) } else { Ok(None) }
}

/// Whether an empty line stands in `inbox`, looked for from just before `scanned`. Without this, a head that arrives
/// byte by byte would be parsed again for each of them.
fn has_end(inbox: &[u8], scanned: &mut usize) -> bool {
    let from = scanned.saturating_sub(2);
    let found = memchr::memchr_iter(b'\n', &inbox[from..]).any(|at| {
        let rest = &inbox[from + at + 1..];
        rest.starts_with(b"\r\n") || rest.starts_with(b"\n")
    });
    *scanned = inbox.len();
    found
}

/// Where the fields lie in a buffer; names and values are taken out of it without a copy once it is frozen.
struct Places {
    fields: [Place; HEAD_FIELDS],
    count: usize,
}

#[derive(Clone, Copy, Default)]
struct Place {
    name: (u32, u32),
    value: (u32, u32),
}

impl Places {
    fn of(buffer: &[u8], fields: &[httparse::Header<'_>]) -> Self {
        let start = buffer.as_ptr().addr();
        let place = |bytes: &[u8]| {
            let at = bytes.as_ptr().addr().wrapping_sub(start);
            (at as u32, (at + bytes.len()) as u32)
        };
        let mut places = Self { fields: [Place::default(); HEAD_FIELDS], count: 0 };
        for (slot, field) in places.fields.iter_mut().zip(fields) {
            *slot = Place { name: place(field.name.as_bytes()), value: place(field.value) };
            places.count += 1;
        }
        places
    }

    fn fields(&self, head: &Bytes) -> Result<HeaderMap, Trouble> {
        let mut headers = HeaderMap::with_capacity(self.count);
        for place in &self.fields[..self.count] {
            let range = |(from, to): (u32, u32)| from as usize..to as usize;
            let name = HeaderName::from_bytes(&head[range(place.name)])
                .map_err(|_| Trouble::Bad("a field has no proper name"))?;
            let value = HeaderValue::from_maybe_shared(head.slice(range(place.value)))
                .map_err(|_| Trouble::Bad("a field has no proper value"))?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], step: usize) -> Result<Option<(Response<()>, usize)>, Trouble> {
        let (mut inbox, mut scanned) = (BytesMut::new(), 0);
        let mut fed = 0;
        for more in bytes.chunks(step) {
            inbox.extend_from_slice(more);
            fed += more.len();
            if let Some(head) = read_head(&mut inbox, &mut scanned)? {
                return Ok(Some((head, inbox.len() + bytes.len() - fed)));
            }
        }
        Ok(None)
    }

    #[test]
    fn sound_heads_are_read_however_they_arrive() {
        for (sent, version, status, fields, rest) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Version::HTTP_11, 200, 0, 0),
            ("HTTP/1.1 200 OK\r\na: b\r\nC:d \r\na:  \r\n\r\nbody", Version::HTTP_11, 200, 3, 4),
            ("HTTP/1.0 404 \r\n\r\n", Version::HTTP_10, 404, 0, 0),
            ("HTTP/1.1 204\r\n\r\n", Version::HTTP_11, 204, 0, 0),
            ("HTTP/1.1 599 \u{e9}\r\nx: \u{e9}\r\n\r\n", Version::HTTP_11, 599, 1, 0),
            ("HTTP/1.1 200 OK\na: b\n\n", Version::HTTP_11, 200, 1, 0),
        ] {
            for step in [1, 2, 3, 5, 1000] {
                let (head, left) = read(sent.as_bytes(), step).unwrap().expect(sent);
                assert_eq!(head.status(), status, "{sent:?}");
                assert_eq!(head.version(), version, "{sent:?}");
                assert_eq!((head.headers().len(), left), (fields, rest), "{sent:?} by {step}");
            }
        }
        let (head, _) =
            read(b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n", 9).unwrap().unwrap();
        let cookies: Vec<_> = head.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a", "b"]);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for sent in [
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 abc OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n a: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\0\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\na[b]: c\r\n\r\n",
        ] {
            for step in [1, 3, 1000] {
                assert!(
                    matches!(read(sent.as_bytes(), step), Err(Trouble::Bad(_))),
                    "{sent:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn a_head_has_bounds() {
        let fields = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(read(fields(HEAD_FIELDS).as_bytes(), 4096).unwrap().is_some());
        let too_many = read(fields(HEAD_FIELDS + 1).as_bytes(), 4096);
        assert_eq!(too_many.map(|_| ()).unwrap_err(), Trouble::TooBig);
        for (length, fits) in [(60 * 1024, true), (70 * 1024, false), (1 << 20, false)] {
            let head = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(length));
            for step in [777, 1 << 20] {
                assert_eq!(read(head.as_bytes(), step).is_ok(), fits, "{length} by {step}");
            }
        }
    }
}
