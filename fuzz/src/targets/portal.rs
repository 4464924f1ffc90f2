//! A request to the portal: a line `METHOD path?query`, header lines, an empty line, a body. A path that begins with
//! `@` is one on the application's host. `{STATE}` is the state of a login that waits for its provider, `{SESSION}` the
//! cookie of the browser that began it, `{AUD}` the application.
//!
//! Nobody can log in here: the provider says no to every code, and no mail arrives. So whatever comes in, no session comes out.

use crate::Target;
use crate::gateway::{self, APP, AUD, Gateway, OIDC, TEAM};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use url::Url;

pub(crate) const TARGET: Target = Target {
    name: "portal",
    run,
    words: &[
        "GET ",
        "POST ",
        "HEAD ",
        "PUT ",
        "{STATE}",
        "{SESSION}",
        "{AUD}",
        "@",
        "/cdn-cgi/access/",
        "login/",
        "callback",
        "logout",
        "get-identity",
        "refresh-identity",
        "authorized",
        "handoff",
        "resubmit",
        "certs",
        "wiki.example.com",
        "docs.example.com",
        "?",
        "&",
        "=",
        "%00",
        "%0d%0a",
        "%",
        "%zz",
        "+",
        ";",
        "state=",
        "code=",
        "iss=",
        "error=access_denied",
        "error_description=",
        "nonce=",
        "kid=",
        "meta=",
        "redirect_url=",
        "returnTo=",
        "app_session_hash=",
        "proof=",
        "email=",
        "https://evil.example/",
        "https://idp.example.net",
        "//evil.example",
        "<script>",
        "\"'><",
        "cookie: CF_Session={SESSION}\n",
        "cookie: CF_Authorization=",
        "sec-fetch-site: cross-site\n",
        "content-type: application/x-www-form-urlencoded\n",
        "origin: null\n",
        "11111111-1111-4111-8111-111111111111",
    ],
    rounds: 700,
};

/// An answer is a page, not a book.
const LONGEST: usize = 64 * 1024;

fn run(data: &[u8]) {
    gateway::with(async |gateway| {
        let Ok(text) = std::str::from_utf8(data) else { return };
        let text = text.replace("{AUD}", AUD);
        let text = if text.contains("{STATE}") {
            let (state, session) = depart(gateway).await;
            text.replace("{STATE}", &state).replace("{SESSION}", &session)
        } else {
            text
        };
        let Some((request, url)) = read(&text) else { return };
        let answer = gateway.visit(request, &url).await;
        check(&answer, &url, &text);
    });
}

fn read(text: &str) -> Option<(Request<Bytes>, Url)> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let (host, target) = target.strip_prefix('@').map_or((TEAM, target), |target| (APP, target));
    // As the data path does it: what is no URI of ours does not come here.
    let uri: http::Uri = format!("https://{host}{target}").parse().ok()?;
    let path = narthex_model::CanonicalPath::of(uri.path()).ok()?;
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    let url = Url::parse(&format!("https://{host}{}{query}", path.as_str())).ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        request = request.header(name.trim(), value.trim());
    }
    Some((request.body(Bytes::from(body.to_owned())).ok()?, url))
}

fn check(answer: &Response<Bytes>, url: &Url, text: &str) {
    let status = answer.status();
    let broken = status.is_server_error()
        && ![StatusCode::NOT_IMPLEMENTED, StatusCode::BAD_GATEWAY].contains(&status);
    assert!(!broken, "{status}: {}", String::from_utf8_lossy(answer.body()));
    assert!(answer.body().len() <= LONGEST, "{} bytes", answer.body().len());
    for cookie in answer.headers().get_all(header::SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        let given =
            cookie.starts_with("CF_Authorization=") && !cookie.starts_with("CF_Authorization=;");
        assert!(!given, "a session for nobody: {cookie}");
        assert!(cookie.contains("Secure"), "{cookie}");
    }
    if let Some(location) = answer.headers().get(header::LOCATION) {
        leads_to_ours(url, location.to_str().unwrap());
    }
    // No markup of the visitor's: every tag that came in is text in the page.
    let page = String::from_utf8_lossy(answer.body());
    for tag in text.split('<').skip(1).filter_map(|rest| rest.get(..6)) {
        let raw = format!("<{tag}");
        assert!(
            tag.len() < 6
                || !page.contains(&raw)
                || KNOWN.iter().any(|known| known.starts_with(&raw)),
            "{raw:?}"
        );
    }
}

/// What our own pages begin tags with.
const KNOWN: &[&str] =
    &["<input ", "<form ", "<title>", "<script ", "</form>", "<button ", "<header", "</body>"];

/// Where a browser may be sent, as a browser reads it: the team, its applications, or the provider's own page.
pub(super) fn leads_to_ours(from: &Url, location: &str) {
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
    let to = from.join(location).unwrap_or_else(|why| panic!("{location:?}: {why}"));
    if to.host_str() == Some("127.0.0.1") && to.path() == "/authorize" {
        return; // the provider's own page
    }
    assert_eq!(to.scheme(), "https", "{location:?}");
    assert_eq!((to.username(), to.password()), ("", None), "{location:?}");
    let ours = [TEAM, APP, "docs.example.com"].contains(&to.host_str().unwrap());
    assert!(ours && to.port().is_none(), "{location:?} leads to {to}");
}

/// Begins a login at the provider: the state that its answer must carry, and the browser's cookie.
async fn depart(gateway: &Gateway) -> (String, String) {
    let page = format!("https://{TEAM}/cdn-cgi/access/login/{APP}?kid={AUD}&redirect_url=%2F");
    let url = Url::parse(&page).unwrap();
    let answer = gateway.visit(Request::get(page).body(Bytes::new()).unwrap(), &url).await;
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let session = between(cookie, "CF_Session=", ";").to_owned();
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let first = body.split("</form>").next().unwrap();
    for field in first.split("<input").skip(1).filter(|field| field.contains("hidden")) {
        form.append_pair(between(field, "name=\"", "\""), between(field, "value=\"", "\""));
    }
    let page = format!("https://{TEAM}/cdn-cgi/access/login/{APP}/{OIDC}");
    let url = Url::parse(&page).unwrap();
    let request = Request::post(page)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", format!("https://{TEAM}"))
        .header("cookie", format!("CF_Session={session}"));
    let answer = gateway.visit(request.body(form.finish().into()).unwrap(), &url).await;
    let location = answer.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
    let location = location.unwrap_or_else(|| panic!("{answer:?}"));
    let to = Url::parse(&location).unwrap();
    let state = to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (state, session)
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from} in {text}")) + from.len();
    &text[start..start + text[start..].find(to).unwrap()]
}
