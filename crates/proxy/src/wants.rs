//! In which form a client wants to be told no.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};

const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// What a refusal looks like to this client. Read before the request's head goes on to the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(crate) struct Wants {
    /// JSON in place of a page: `Accept` names it and does not name HTML.
    pub(crate) json: bool,
    /// gRPC: HTTP 200 and a status of its own (access-protocol §6.7).
    pub(crate) grpc: bool,
    /// 401 in place of a redirect: `X-Requested-With: XMLHttpRequest` (§3.1 row 11).
    pub(crate) unauthorized: bool,
    /// The head alone.
    pub(crate) no_body: bool,
}

impl Wants {
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let (mut json, mut html) = (false, false);
        for accept in headers.get_all(ACCEPT) {
            let accept = accept.as_bytes();
            html |= memchr::memmem::find(accept, b"text/html").is_some();
            json |= memchr::memmem::find(accept, b"application/json").is_some();
        }
        let content_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        let with = headers.get(REQUESTED_WITH).map(http::HeaderValue::as_bytes);
        Self {
            json: json && !html,
            grpc: content_type.is_some_and(is_grpc),
            unauthorized: with.is_some_and(|with| with.eq_ignore_ascii_case(b"XMLHttpRequest")),
            no_body: *method == Method::HEAD,
        }
    }
}

/// `application/grpc` and its variants; gRPC-Web speaks in HTTP statuses and is not among them.
fn is_grpc(content_type: &[u8]) -> bool {
    let Some((kind, rest)) = content_type.split_at_checked(b"application/grpc".len()) else {
        return false;
    };
    kind.eq_ignore_ascii_case(b"application/grpc")
        && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let wants = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(n, v)| {
                (n.parse::<HeaderName>().unwrap(), v.parse::<http::HeaderValue>().unwrap())
            });
            Wants::of(&Method::POST, &fields.collect())
        };
        let page = Wants::default();
        assert_eq!(wants(&[]), page);
        assert_eq!(wants(&[("accept", "application/json")]), Wants { json: true, ..page });
        assert_eq!(wants(&[("accept", "text/html,application/json;q=0.5")]), page);
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/GRPC; x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(wants(&[("content-type", kind)]), Wants { grpc, ..page }, "{kind}");
        }
        let xhr = [("x-requested-with", "XMLHttpRequest")];
        assert_eq!(wants(&xhr), Wants { unauthorized: true, ..page });
        assert!(Wants::of(&Method::HEAD, &HeaderMap::new()).no_body);
    }
}
