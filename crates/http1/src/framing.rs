//! How long an answer's body is (RFC 9112 §6.3), and what leaves that open.

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFraming {
    /// There is none.
    None,
    /// After so many bytes.
    Exact(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

impl AnswerFraming {
    /// The framing of an answer to a request with `method`.
    ///
    /// # Errors
    /// What is wrong, when two readers could understand the length differently.
    pub(crate) fn of(
        method: &Method,
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
    ) -> Result<Self, &'static str> {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        let (coding, length) = (codings.next(), lengths.next());
        if codings.next().is_some() || lengths.next().is_some() {
            return Err("it states its length twice");
        }
        let never = status.is_informational() || status == StatusCode::NO_CONTENT;
        let framing = match (coding, length) {
            (Some(_), Some(_)) => return Err("it has both Content-Length and Transfer-Encoding"),
            (Some(_), None) if version != Version::HTTP_11 => {
                return Err("it has Transfer-Encoding before HTTP/1.1");
            }
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
                Self::Chunked
            }
            (Some(_), None) => return Err("its Transfer-Encoding is not chunked alone"),
            (None, Some(length)) => Self::Exact(number(length)?),
            (None, None) => Self::UntilClose,
        };
        match framing {
            Self::Chunked | Self::Exact(1..) if never => {
                Err("it frames a body that its status cannot have")
            }
            Self::None | Self::Exact(_) | Self::Chunked | Self::UntilClose => {
                let bodiless = never
                    || status == StatusCode::NOT_MODIFIED
                    || *method == Method::HEAD
                    || framing == Self::Exact(0);
                Ok(if bodiless { Self::None } else { framing })
            }
        }
    }
}

/// A `Content-Length`: digits and nothing else.
fn number(value: &HeaderValue) -> Result<u64, &'static str> {
    let digits = value.as_bytes();
    let mut number = 0_u64;
    if digits.is_empty() {
        return Err("its Content-Length is not a number");
    }
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => u64::from(digit - b'0'),
            _ => return Err("its Content-Length is not a number"),
        };
        let next = number.checked_mul(10).and_then(|tens| tens.checked_add(digit));
        number = next.ok_or("its Content-Length is too large a number")?;
    }
    Ok(number)
}

/// Whether the origin means to keep the connection.
pub(crate) fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let close = |value: &HeaderValue| {
        let mut options = value.as_bytes().split(|b| *b == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    version == Version::HTTP_11 && !headers.get_all(CONNECTION).iter().any(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_one_length() {
        use AnswerFraming::{Chunked, Exact, None as Nothing, UntilClose};
        let (get, head) = (Method::GET, Method::HEAD);
        for (name, method, status, fields, want) in [
            ("none", &get, 200, &[][..], Some(UntilClose)),
            ("a length", &get, 200, &[("content-length", "5")], Some(Exact(5))),
            ("a length of none", &get, 200, &[("content-length", "0")], Some(Nothing)),
            ("leading zeros", &get, 200, &[("content-length", "005")], Some(Exact(5))),
            (
                "the largest",
                &get,
                200,
                &[("content-length", "18446744073709551615")],
                Some(Exact(u64::MAX)),
            ),
            ("one more", &get, 200, &[("content-length", "18446744073709551616")], None),
            ("chunked", &get, 200, &[("transfer-encoding", "Chunked")], Some(Chunked)),
            (
                "two equal lengths",
                &get,
                200,
                &[("content-length", "5"), ("content-length", "5")],
                None,
            ),
            ("a list of lengths", &get, 200, &[("content-length", "5, 5")], None),
            ("a signed length", &get, 200, &[("content-length", "+5")], None),
            ("an empty length", &get, 200, &[("content-length", "")], None),
            ("hexadecimal", &get, 200, &[("content-length", "0x5")], None),
            ("both", &get, 200, &[("content-length", "5"), ("transfer-encoding", "chunked")], None),
            ("gzip, chunked", &get, 200, &[("transfer-encoding", "gzip, chunked")], None),
            ("chunked;a", &get, 200, &[("transfer-encoding", "chunked;a=b")], None),
            (
                "chunked twice",
                &get,
                200,
                &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
                None,
            ),
            ("identity", &get, 200, &[("transfer-encoding", "identity")], None),
            ("204 with nothing", &get, 204, &[("content-length", "0")], Some(Nothing)),
            ("204 alone", &get, 204, &[], Some(Nothing)),
            ("204 with something", &get, 204, &[("content-length", "5")], None),
            ("204 in chunks", &get, 204, &[("transfer-encoding", "chunked")], None),
            ("101 with something", &get, 101, &[("content-length", "5")], None),
            ("304 speaks of another body", &get, 304, &[("content-length", "5")], Some(Nothing)),
            ("HEAD likewise", &head, 200, &[("content-length", "5")], Some(Nothing)),
            ("HEAD in chunks", &head, 200, &[("transfer-encoding", "chunked")], Some(Nothing)),
            (
                "HEAD with two meanings",
                &head,
                200,
                &[("content-length", "5"), ("content-length", "6")],
                None,
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let status = StatusCode::from_u16(status).unwrap();
            let framing = AnswerFraming::of(method, status, Version::HTTP_11, &headers);
            assert_eq!(framing.ok(), want, "{name}");
        }
        let mut old = HeaderMap::new();
        old.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let framing = AnswerFraming::of(&get, StatusCode::OK, Version::HTTP_10, &old);
        assert!(framing.is_err(), "chunks in HTTP/1.0");
    }

    #[test]
    fn a_connection_is_kept_when_nobody_says_otherwise() {
        for (version, connection, want) in [
            (Version::HTTP_11, "", true),
            (Version::HTTP_11, "keep-alive", true),
            (Version::HTTP_11, "Close", false),
            (Version::HTTP_11, "upgrade , close", false),
            (Version::HTTP_11, "closed", true),
            (Version::HTTP_10, "keep-alive", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static(connection));
            assert_eq!(keeps_alive(version, &headers), want, "{version:?} {connection}");
        }
    }
}
