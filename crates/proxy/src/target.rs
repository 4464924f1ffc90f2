//! What a request asks for: host, path, query and method, made canonical once.
//!
//! Policy, log and origin all read this value; nobody sees the raw bytes again (security rule 2). What the HTTP
//! library accepts too easily is refused here (rules 7 and 8).

use crate::settings::Limits;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Version};
use narthex_model::{Authority, CanonicalPath, Hostname};
use std::cell::RefCell;
use std::rc::Rc;

/// Why a request cannot be understood in one way only, or is more than we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// No `Host` and no `:authority`.
    #[error("the request names no host")]
    NoHost,
    /// More than one `Host`.
    #[error("the request names its host twice")]
    TwoHosts,
    /// `Host` is not a hostname with an optional port.
    #[error("the host is not a DNS name with an optional port")]
    Host,
    /// `Host` differs from the target's or the pseudo-header's authority.
    #[error("Host and the request's authority differ")]
    Authorities,
    /// The target is in a form that its method does not take.
    #[error("the request target is not a path")]
    Form,
    /// The scheme is not the connection's.
    #[error("the scheme is not https")]
    Scheme,
    /// The path is ambiguous.
    #[error(transparent)]
    Path(#[from] narthex_model::InvalidPath),
    /// The query holds a byte that may not stand there.
    #[error("the query holds a byte other than visible ASCII")]
    Query,
    /// `Transfer-Encoding` is not exactly one `chunked`, or there is a length beside it.
    #[error("Transfer-Encoding is not exactly one chunked, alone")]
    Framing,
    /// TRACE or CONNECT.
    #[error("the method is never forwarded")]
    Method,
    /// `Expect` is not `100-continue`.
    #[error("the expectation is not 100-continue")]
    Expectation,
    /// The target is too long.
    #[error("the request target is longer than {0} bytes")]
    TooLong(usize),
    /// A field is too long.
    #[error("a header field is longer than {0} bytes")]
    FieldTooLong(usize),
    /// Too many fields.
    #[error("the request has more than {0} header fields")]
    TooManyFields(usize),
}

/// The authority that a connection asked for last, parsed. Most connections ask for one only.
#[derive(Debug, Default)]
pub(crate) struct LastAuthority(RefCell<Option<(Box<str>, Rc<Authority>)>>);

impl LastAuthority {
    fn parse(&self, raw: &str) -> Result<Rc<Authority>, Malformed> {
        if let Some((last, authority)) = &*self.0.borrow()
            && **last == *raw
        {
            return Ok(Rc::clone(authority));
        }
        let authority: Rc<Authority> = Rc::new(raw.parse().map_err(|_| Malformed::Host)?);
        *self.0.borrow_mut() = Some((raw.into(), Rc::clone(&authority)));
        Ok(authority)
    }
}

/// What a request asks for. Canonical; made by [`Target::of`] only.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    authority: Rc<Authority>,
    /// The canonical path, and the query as it was sent.
    path_and_query: PathAndQuery,
    method: Method,
    websocket_over_http2: bool,
}

impl Target {
    /// Reads the head of a request that came over TLS.
    ///
    /// # Errors
    /// [`Malformed`] when two readers could understand the request differently (security rules 2, 7, 8), or it exceeds
    /// `limits`.
    pub(crate) fn of(
        head: &Parts,
        last: &LastAuthority,
        limits: &Limits,
    ) -> Result<Self, Malformed> {
        let http2 = head.version == Version::HTTP_2;
        let websocket_over_http2 = http2 && extended_connect(head);
        if matches!(head.method, Method::TRACE)
            || head.method == Method::CONNECT && !websocket_over_http2
        {
            return Err(Malformed::Method);
        }
        check_fields(&head.headers, limits)?;
        let authority = authority(head, http2, last)?;
        let path_and_query = path_and_query(head, limits)?;
        let method = head.method.clone();
        Ok(Self { authority, path_and_query, method, websocket_over_http2 })
    }

    /// Checks a request that [`Target::is_options_of_server`] as far as it can be checked.
    ///
    /// # Errors
    /// As [`Target::of`].
    pub(crate) fn check_server_wide(
        head: &Parts,
        last: &LastAuthority,
        limits: &Limits,
    ) -> Result<(), Malformed> {
        check_fields(&head.headers, limits)?;
        authority(head, head.version == Version::HTTP_2, last).map(drop)
    }

    /// The host, and the port if one was written.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The host alone.
    pub(crate) fn host(&self) -> &Hostname {
        &self.authority.host
    }

    /// The canonical path.
    pub(crate) fn path(&self) -> &str {
        self.path_and_query.path()
    }

    /// The canonical path, as policies and ingress rules match it.
    pub(crate) fn canonical_path(&self) -> CanonicalPath<'_> {
        CanonicalPath::of(self.path()).expect("Target::of canonicalised it")
    }

    /// The query without `?`, as it was sent.
    pub(crate) fn query(&self) -> Option<&str> {
        self.path_and_query.query()
    }

    /// Path and query: the request target for the origin.
    pub(crate) fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// The method. For a WebSocket over HTTP/2 (RFC 8441) it is CONNECT, see [`Target::is_websocket_over_http2`].
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Whether this is an extended CONNECT for a WebSocket; an HTTP/1.1 origin is asked with GET and `Upgrade`.
    pub(crate) fn is_websocket_over_http2(&self) -> bool {
        self.websocket_over_http2
    }

    /// Whether this is `OPTIONS *`, which is about the server and not about a path.
    pub(crate) fn is_options_of_server(head: &Parts) -> bool {
        head.method == Method::OPTIONS && head.uri.path() == "*"
    }
}

/// RFC 8441 with the one protocol we know.
fn extended_connect(head: &Parts) -> bool {
    head.method == Method::CONNECT
        && head.extensions.get::<h2::ext::Protocol>().is_some_and(|p| p.as_str() == "websocket")
}

fn check_fields(headers: &HeaderMap, limits: &Limits) -> Result<(), Malformed> {
    if headers.len() > limits.fields && without_crumbs(headers) > limits.fields {
        return Err(Malformed::TooManyFields(limits.fields));
    }
    for (name, value) in headers {
        if value.len() > limits.field {
            return Err(Malformed::FieldTooLong(limits.field));
        }
        if name == EXPECT && !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Malformed::Expectation);
        }
        if name == TRANSFER_ENCODING && !only_chunked(headers) {
            return Err(Malformed::Framing);
        }
    }
    Ok(())
}

/// How many fields there are, all of `Cookie` counted as one: HTTP/2 sends each cookie on its own (RFC 9113 §8.2.3).
fn without_crumbs(headers: &HeaderMap) -> usize {
    headers.len() - headers.get_all(COOKIE).iter().count().saturating_sub(1)
}

/// Whether the one `Transfer-Encoding` is `chunked` and no length stands beside it.
fn only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings.next().is_some_and(chunked)
        && codings.next().is_none()
        && !headers.contains_key(CONTENT_LENGTH)
}

/// The one authority: `Host` in HTTP/1, `:authority` in HTTP/2, and no second opinion beside it.
fn authority(head: &Parts, http2: bool, last: &LastAuthority) -> Result<Rc<Authority>, Malformed> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Malformed::TwoHosts);
    }
    let host = host.map(|value| value.to_str().map_err(|_| Malformed::Host)).transpose()?;
    let host = host.map(|raw| last.parse(raw)).transpose()?;
    let inner = head.uri.authority().map(|a| last.parse(a.as_str())).transpose()?;
    if inner.is_some() && head.uri.scheme_str() != Some("https") {
        return Err(if head.uri.scheme().is_none() { Malformed::Form } else { Malformed::Scheme });
    }
    match (host, inner) {
        (Some(host), Some(inner)) if same(&host, &inner) => Ok(host),
        (Some(_), Some(_)) => Err(Malformed::Authorities),
        (Some(host), None) => Ok(host),
        (None, Some(inner)) if http2 => Ok(inner),
        (None, _) => Err(Malformed::NoHost),
    }
}

/// Whether two authorities are one place; 443 is what no port means.
fn same(one: &Authority, other: &Authority) -> bool {
    one.host == other.host && one.port.unwrap_or(443) == other.port.unwrap_or(443)
}

fn path_and_query(head: &Parts, limits: &Limits) -> Result<PathAndQuery, Malformed> {
    let raw = head.uri.path_and_query().ok_or(Malformed::Form)?;
    if raw.as_str().len() > limits.target {
        return Err(Malformed::TooLong(limits.target));
    }
    let visible = |query: &str| query.bytes().all(|b| b.is_ascii_graphic());
    if !raw.query().is_none_or(visible) {
        return Err(Malformed::Query);
    }
    if head.uri.path() == "*" {
        return Err(Malformed::Form);
    }
    let path = CanonicalPath::of(raw.path())?;
    if path.as_str() == raw.path() {
        return Ok(raw.clone());
    }
    let text = match raw.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_string(),
    };
    PathAndQuery::try_from(text).map_err(|_| Malformed::Form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, Request};

    /// Path and query that become of a request, or why none.
    fn read(target: &str, fields: &[(&str, &str)]) -> Result<String, Malformed> {
        let mut request = Request::builder().uri(target);
        for (name, value) in fields {
            request = request.header(name.parse::<HeaderName>().unwrap(), *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let target = Target::of(&head, &LastAuthority::default(), &Limits::default())?;
        Ok(format!("{}{}", target.authority(), target.path_and_query()))
    }

    #[test]
    fn one_authority() {
        let host = ("host", "a.test");
        for (target, fields, want) in [
            ("/x", &[host][..], Ok("a.test/x")),
            ("/x", &[("host", "A.Test:8443")], Ok("a.test:8443/x")),
            ("https://a.test/x", &[host], Ok("a.test/x")),
            ("https://a.test:443/x", &[host], Ok("a.test/x")),
            ("https://a.test:444/x", &[host], Err(Malformed::Authorities)),
            ("https://b.test/x", &[host], Err(Malformed::Authorities)),
            ("https://a.test/x", &[], Err(Malformed::NoHost)),
            ("http://a.test/x", &[host], Err(Malformed::Scheme)),
            ("a.test:80", &[host], Err(Malformed::Form)),
            ("/x", &[], Err(Malformed::NoHost)),
            ("/x", &[host, host], Err(Malformed::TwoHosts)),
            ("/x", &[("host", "a.test, b.test")], Err(Malformed::Host)),
            ("/x", &[("host", "127.0.0.1")], Err(Malformed::Host)),
            ("*", &[host], Err(Malformed::Form)),
        ] {
            assert_eq!(read(target, fields), want.map(str::to_owned), "{target} {fields:?}");
        }
    }

    #[test]
    fn what_is_canonical_is_what_is_sent() {
        let host = [("host", "a.test")];
        for (target, want) in [
            ("/", Ok("a.test/")),
            ("/a?b=%2f&c", Ok("a.test/a?b=%2f&c")),
            ("/a/../%62?x", Ok("a.test/b?x")),
            ("/a?", Ok("a.test/a?")),
            ("/a%2fb", Err(Malformed::Path(narthex_model::InvalidPath::Ambiguous))),
            ("/a;b", Err(Malformed::Path(narthex_model::InvalidPath::Byte(b';')))),
        ] {
            assert_eq!(read(target, &host), want.map(str::to_owned), "{target}");
        }
    }

    #[test]
    fn one_framing_and_known_expectations() {
        let with = |fields: &[(&'static str, &'static str)]| {
            let fields: Vec<_> = [&[("host", "a.test")], fields].concat();
            read("/", &fields).map(drop)
        };
        assert_eq!(with(&[("transfer-encoding", "Chunked")]), Ok(()));
        assert_eq!(with(&[("content-length", "3")]), Ok(()));
        assert_eq!(with(&[("expect", "100-Continue")]), Ok(()));
        for fields in [
            &[("transfer-encoding", "gzip, chunked")][..],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "chunked"), ("content-length", "3")],
            &[("transfer-encoding", "identity")],
        ] {
            assert_eq!(with(fields), Err(Malformed::Framing), "{fields:?}");
        }
        assert_eq!(with(&[("expect", "y 100-continue")]), Err(Malformed::Expectation));
    }

    #[test]
    fn h31_targets_and_fields_are_bounded_and_the_crumbs_of_a_cookie_are_one_field() {
        let limits = Limits { target: 20, field: 10, fields: 4, ..Limits::default() };
        let read = |target: &str, fields: &[(&str, &str)]| {
            let mut request = Request::builder().uri(target).header("host", "a.test");
            for (name, value) in fields {
                request = request.header(name.parse::<HeaderName>().unwrap(), *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            Target::of(&head, &LastAuthority::default(), &limits).map(drop)
        };
        let crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3"), ("x", "1")];
        let (nineteen, twenty) = ("n".repeat(19), "n".repeat(20));
        for (target, fields, want) in [
            (format!("/{nineteen}"), &[][..], Ok(())),
            (format!("/{twenty}"), &[], Err(Malformed::TooLong(20))),
            ("/".to_owned(), &[("x", "1234567890")], Ok(())),
            ("/".to_owned(), &[("x", "12345678901")], Err(Malformed::FieldTooLong(10))),
            ("/".to_owned(), &crumbs, Ok(())),
            ("/".to_owned(), &[("x", "1"); 3], Ok(())),
            ("/".to_owned(), &[("x", "1"); 4], Err(Malformed::TooManyFields(4))),
        ] {
            assert_eq!(read(&target, fields), want, "{target} {fields:?}");
        }
    }

    #[test]
    fn a_connections_last_authority_is_not_parsed_again() {
        let last = LastAuthority::default();
        let first = last.parse("A.test").unwrap();
        assert!(Rc::ptr_eq(&first, &last.parse("A.test").unwrap()));
        assert!(!Rc::ptr_eq(&first, &last.parse("a.test").unwrap()));
        assert!(last.parse("a b").is_err());
    }
}
