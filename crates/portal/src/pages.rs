//! The pages: what each needs to know, and the headers that go with all of them.
//!
//! No page needs a script, and only one has one, which its button does as well. There is no `form-action` in the Content-Security-Policy: browsers apply it to every
//! redirect that follows a posted form, and ours lead to identity providers and applications of any name.

use crate::design::Frame;
use crate::secret::sha256;
use crate::texts;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

pub(crate) type Response = http::Response<Bytes>;

/// Chooses a provider, or asks for the address that gets a code.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) title: String,
    pub(crate) host: &'a str,
    /// Providers other than mail.
    pub(crate) providers: Vec<ProviderButton<'a>>,
    /// Where the form for a code goes, if codes are offered.
    pub(crate) mailbox: Option<String>,
    pub(crate) hidden: &'a [(&'static str, String)],
    /// What was typed before.
    pub(crate) email: &'a str,
    pub(crate) problem: Option<&'static str>,
}

/// One provider to choose.
pub(crate) struct ProviderButton<'a> {
    pub(crate) name: &'a str,
    pub(crate) action: String,
}

/// Asks for the code that was sent.
#[derive(Template)]
#[template(path = "code.html")]
pub(crate) struct CodePage<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) title: &'static str,
    pub(crate) email: &'a str,
    pub(crate) hidden: &'a [(&'static str, String)],
    pub(crate) check: String,
    pub(crate) again: String,
    pub(crate) restart: String,
    pub(crate) problem: Option<&'static str>,
}

/// Says something: an error, a refusal, a goodbye.
#[derive(Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) actions: Vec<Link>,
    /// Ray ID and time, for whoever is asked for help.
    pub(crate) trace: Option<(String, String)>,
}

/// A link that looks like a button; the first of a page is the one to press.
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) label: &'static str,
}

/// Moves on by itself, so that the next request comes from this site (access-protocol §3.9, SameSite=Strict).
#[derive(Template)]
#[template(path = "moving.html")]
pub(crate) struct MovingPage<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) title: &'static str,
    pub(crate) location: &'a str,
}

/// Sends the form that waited for a login, by itself or at the press of a button.
#[derive(Template)]
#[template(path = "resubmit.html")]
pub(crate) struct ResubmitPage<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) title: &'static str,
    pub(crate) line: &'static str,
    pub(crate) app: &'a str,
    pub(crate) account: &'a str,
    /// Path and query of the form.
    pub(crate) action: &'a str,
    pub(crate) field: &'static str,
    pub(crate) proof: &'a str,
    /// Empty when the button alone sends.
    pub(crate) script: &'static str,
}

/// A page with one thing to say and nothing to report.
pub(crate) fn note(frame: &Frame, title: &str, line: &str, actions: Vec<Link>) -> Response {
    let (title, lines) = (title.to_owned(), vec![line.to_owned()]);
    let notice = Notice { frame, title, lines, facts: Vec::new(), actions, trace: None };
    page(StatusCode::OK, frame, &notice)
}

/// The page with its headers.
pub(crate) fn page(status: StatusCode, frame: &Frame, page: &impl Template) -> Response {
    page_with_script(status, frame, page, "")
}

/// The same with one script of ours in it, unless that is empty.
pub(crate) fn page_with_script(
    status: StatusCode,
    frame: &Frame,
    page: &impl Template,
    script: &'static str,
) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be written: {error}");
            String::new()
        }
    };
    let mut response = answer(status, html);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, content_security_policy(frame, script));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: with that, browsers send `Origin: null` with our own forms.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn content_security_policy(frame: &Frame, script: &str) -> HeaderValue {
    let hash = |text: &str| STANDARD.encode(sha256(text.as_bytes()));
    let style = hash(&frame.style);
    let script = match script {
        "" => String::new(),
        some => format!("script-src 'sha256-{}'; ", hash(some)),
    };
    let images =
        frame.logo.as_ref().map_or("'none'".to_owned(), |url| url.origin().ascii_serialization());
    let policy = format!(
        "default-src 'none'; {script}style-src 'sha256-{style}'; img-src {images}; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// A redirect with exactly this status (access-protocol §3.2: clients look for 302).
pub(crate) fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = answer(status, "");
    match HeaderValue::try_from(location) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => answer(StatusCode::BAD_REQUEST, ""),
    }
}

/// JSON that nobody keeps.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = answer(status, value.to_string());
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A document for programs that read `kind`.
pub(crate) fn document(kind: &'static str, text: String) -> Response {
    let mut response = answer(StatusCode::OK, text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A script of ours, the same for everybody.
pub(crate) fn script(text: &'static str) -> Response {
    let mut response = answer(StatusCode::OK, text);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// What every answer of the portal has in common: nobody keeps it, nobody guesses its type.
fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let unkept = "private, max-age=0, no-store, no-cache, must-revalidate";
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(unkept));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Adds a `Set-Cookie` field.
pub(crate) fn with_cookie(mut response: Response, cookie: &str) -> Response {
    match HeaderValue::try_from(cookie) {
        Ok(cookie) => {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Err(_) => tracing::error!("a cookie of ours holds a character that no header may hold"),
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::LoginDesign;

    #[test]
    fn what_others_wrote_is_escaped() {
        let frame = Frame::of(
            "<b>acme</b>",
            &LoginDesign {
                header_text: Some("<script>1</script>".to_owned()),
                ..LoginDesign::default()
            },
        );
        let hidden = [("redirect_url", "/\"><script>2</script>".to_owned())];
        let html = LoginPage {
            frame: &frame,
            title: texts::log_in_to("\"><script>3</script>"),
            host: "app.example.com",
            providers: vec![ProviderButton { name: "<script>4</script>", action: "/a".to_owned() }],
            mailbox: Some("/b".to_owned()),
            hidden: &hidden,
            email: "\"><script>5</script>",
            problem: Some(texts::BAD_EMAIL),
        }
        .render()
        .unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>acme"), "{html}");
        assert!(html.contains("&#60;script&#62;3") || html.contains("&lt;script&gt;3"), "{html}");
    }

    #[test]
    fn every_page_carries_its_guards() {
        let design = LoginDesign {
            logo_path: Some("https://cdn.example.com/x;y'/logo.svg?a b".to_owned()),
            ..LoginDesign::default()
        };
        let frame = Frame::of("acme", &design);
        let moving = MovingPage { frame: &frame, title: "t", location: "https://a.example/?a=1&b" };
        let response = page(StatusCode::OK, &frame, &moving);
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("img-src https://cdn.example.com; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
        assert!(response.headers()["cache-control"].to_str().unwrap().contains("no-store"));
        let html = std::str::from_utf8(response.body()).unwrap();
        assert!(html.contains(r#"content="0;url=https://a.example/?a=1&#38;b""#), "{html}");
        assert!(!html.contains("<script") && !html.contains(" style="), "no inline code or style");
        assert!(
            html.contains(&format!("<style>{}</style>", frame.style)),
            "the hash is of these bytes"
        );
    }
}
