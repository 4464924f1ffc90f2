//! Forms that are posted without a session, where the application wants them kept (`replay_post_after_login`): the
//! control side keeps one while its sender logs in, and this side puts it in place of a short POST afterwards.
//!
//! After the login a page of the portal posts `cf_form=<proof>` to the form's own address. That request is decided
//! about like any other; only then is its body exchanged for the kept one, which goes to the origin byte for byte. So
//! the answer stands under the form's own address, with everything that is relative to it, and a form with files
//! comes through as well, which no page could post again.
//!
//! Nothing is read of a stranger but what [`Allowance`] grants: so many bytes, so long, so often. Beyond it the form
//! is lost in the redirect, as it is without the setting.

mod allowance;

pub(crate) use allowance::Allowance;

use crate::challenge::without_default_port;
use crate::errand::whole;
use crate::target::Target;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ORIGIN, REFERER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use http_body::Body;
use narthex_token::cookie;
use narthex_upstream::{BodyError, ClientBody};
use std::time::Duration;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What forms are sent as (HTML, "enctype").
const KINDS: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// What the body of a POST begins with that stands for a kept form.
const MARK: &[u8] = b"cf_form=";
/// Its length: a proof is 43 characters.
const MARK_LENGTH: u64 = MARK.len() as u64 + 43;

/// Whether a request is a form that a page of this very origin sends to it, as a whole document. Another site's form
/// is never kept: its sender would be made to post it with the session of the login that follows.
pub(crate) fn is_own_form(head: &Parts, target: &Target) -> bool {
    head.method == Method::POST
        && kind(&head.headers).is_some()
        && says(&head.headers, &FETCH_SITE, "same-origin")
        && says(&head.headers, &FETCH_DEST, "document")
        && is_navigation(&head.headers)
        && is_from(&head.headers, target)
}

/// The form type that the request names.
fn kind(headers: &HeaderMap) -> Option<&'static str> {
    let named = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let named = named.split(';').next().unwrap_or("").trim();
    KINDS.into_iter().find(|kind| named.eq_ignore_ascii_case(kind))
}

/// Whether a field is absent or has this value.
fn says(headers: &HeaderMap, name: &HeaderName, value: &str) -> bool {
    headers.get(name).is_none_or(|said| said == value)
}

/// Browsers that send no Fetch Metadata ask for HTML when they navigate; scripts usually do not.
fn is_navigation(headers: &HeaderMap) -> bool {
    match headers.get(FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => headers
            .get(ACCEPT)
            .is_some_and(|accept| memchr::memmem::find(accept.as_bytes(), b"text/html").is_some()),
    }
}

/// Whether `Origin` is the target's own. It may be absent only where Fetch Metadata says as much.
fn is_from(headers: &HeaderMap, target: &Target) -> bool {
    match headers.get(ORIGIN) {
        Some(origin) => {
            let own = format!("https://{}", without_default_port(target.authority()));
            origin.as_bytes() == own.as_bytes()
        }
        None => headers.contains_key(FETCH_SITE),
    }
}

/// Why a form was not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unread;

/// Reads a stranger's form, at most `most` bytes in at most `patience`.
pub(crate) async fn read(
    body: ClientBody,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Unread> {
    let read = tokio::time::timeout(patience, whole(body, most)).await;
    read.map_err(|_| Unread)?.map_err(|_| Unread)
}

/// Whether a request may stand for a kept form: as short as [`MARK`] and a proof, from a browser that has a form here.
/// Costs nothing for requests that are no POST.
pub(crate) fn may_stand_for_one(head: &Parts, body: &ClientBody) -> bool {
    head.method == Method::POST
        && body.size_hint().exact() == Some(MARK_LENGTH)
        && head.headers.contains_key(CONTENT_LENGTH)
        && kind(&head.headers) == Some(KINDS[0])
        && cookie::named(
            head.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes),
            cookie::FORM,
        )
        .next()
        .is_some()
}

/// The short body that may stand for a kept form, whole; and whether it does.
pub(crate) async fn mark(body: ClientBody) -> Result<(Bytes, bool), BodyError> {
    let bytes = http_body_util::BodyExt::collect(body).await?.to_bytes();
    let stands = bytes.starts_with(MARK);
    Ok((bytes, stands))
}

/// Puts the kept form into the request that stood for it.
pub(crate) fn put_in_place(head: &mut Parts, kept: Response<Bytes>) -> ClientBody {
    let (mut answer, body) = kept.into_parts();
    for name in [CONTENT_TYPE, REFERER] {
        match answer.headers.remove(&name) {
            Some(value) => head.headers.insert(name, value),
            None => head.headers.remove(name),
        };
    }
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    ClientBody::from(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Limits;
    use crate::target::LastAuthority;
    use http::Request;

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    const HTML: (&str, &str) = ("accept", "text/html,*/*;q=0.8");
    const OWN: (&str, &str) = ("origin", "https://app.example.com");
    const BROWSER: [(&str, &str); 3] = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];

    fn parts(method: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/form");
        request = request.header("host", "app.example.com");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn is_kept(method: &str, fields: &[(&str, &str)]) -> bool {
        let head = parts(method, fields);
        let target = Target::of(&head, &LastAuthority::default(), &Limits::default()).unwrap();
        is_own_form(&head, &target)
    }

    fn with<'a>(
        fields: &[(&'a str, &'a str)],
        more: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, &'a str)> {
        let replaced = |name: &str| more.iter().any(|(other, _)| *other == name);
        let kept = fields.iter().filter(|(name, _)| !replaced(name)).copied();
        kept.chain(more.iter().copied().filter(|(_, value)| !value.is_empty())).collect()
    }

    #[test]
    fn forms_of_this_origin_are_kept_and_no_other_post() {
        let browser = with(&BROWSER, &[FORM, OWN, HTML]);
        let old = vec![FORM, OWN, HTML];
        for (name, fields, want) in [
            ("a browser of today", browser.clone(), true),
            ("one that leaves Origin out", with(&browser, &[("origin", "")]), true),
            ("an old browser", old.clone(), true),
            (
                "with files",
                with(&browser, &[("content-type", "multipart/form-data; boundary=x")]),
                true,
            ),
            ("as text", with(&browser, &[("content-type", "Text/Plain")]), true),
            ("JSON", with(&browser, &[("content-type", "application/json")]), false),
            ("no type", with(&browser, &[("content-type", "")]), false),
            ("a similar type", with(&browser, &[("content-type", "text/plainer")]), false),
            ("another site", with(&browser, &[("sec-fetch-site", "cross-site")]), false),
            ("a sibling", with(&browser, &[("sec-fetch-site", "same-site")]), false),
            ("typed in", with(&browser, &[("sec-fetch-site", "none")]), false),
            ("a script", with(&browser, &[("sec-fetch-mode", "cors")]), false),
            ("a frame", with(&browser, &[("sec-fetch-dest", "iframe")]), false),
            ("another origin", with(&browser, &[("origin", "https://evil.test")]), false),
            ("another port", with(&browser, &[("origin", "https://app.example.com:8443")]), false),
            ("another scheme", with(&browser, &[("origin", "http://app.example.com")]), false),
            ("a hidden origin", with(&browser, &[("origin", "null")]), false),
            (
                "an old browser, another origin",
                with(&old, &[("origin", "https://evil.test")]),
                false,
            ),
            ("an old browser that does not say", with(&old, &[("origin", "")]), false),
            ("an old browser's script", with(&old, &[("accept", "*/*")]), false),
        ] {
            assert_eq!(is_kept("POST", &fields), want, "{name}");
        }
        assert!(!is_kept("PUT", &browser) && !is_kept("GET", &browser));
    }

    #[tokio::test]
    async fn a_form_is_read_up_to_its_limit() {
        let body = || ClientBody::from(Bytes::from_static(b"12345"));
        let patience = Duration::from_secs(5);
        assert_eq!(read(body(), 5, patience).await.unwrap(), "12345");
        assert_eq!(read(body(), 4, patience).await, Err(Unread));
    }

    #[tokio::test]
    async fn only_a_short_post_with_the_cookie_stands_for_a_form() {
        let text = format!("cf_form={}", "a".repeat(43));
        let body = |text: &str| ClientBody::from(Bytes::from(text.to_owned()));
        let length = text.len().to_string();
        let fields = [FORM, ("content-length", &length), ("cookie", "CF_Form=x")];
        assert!(may_stand_for_one(&parts("POST", &fields), &body(&text)));
        assert!(mark(body(&text)).await.unwrap().1);
        for (method, fields, text) in [
            ("PUT", fields.to_vec(), text.clone()),
            ("POST", with(&fields, &[("cookie", "CF_Forms=x")]), text.clone()),
            ("POST", with(&fields, &[("content-type", "text/plain")]), text.clone()),
            ("POST", fields.to_vec(), format!("{text}a")),
            ("POST", fields.to_vec(), String::new()),
        ] {
            assert!(
                !may_stand_for_one(&parts(method, &fields), &body(&text)),
                "{method} {fields:?}"
            );
        }
        let (bytes, stands) = mark(body("cf_forn=1")).await.unwrap();
        assert_eq!(
            (bytes, stands),
            (Bytes::from_static(b"cf_forn=1"), false),
            "it passes as it came"
        );
    }
}
