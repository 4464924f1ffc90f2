//! CORS preflights that the gateway answers itself, and its refusals that pages of other sites may read
//! (access-protocol §6.8, §11.6; Fetch, "CORS-preflight request").

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use narthex_model::CorsHeaders;
use narthex_upstream::ProxyBody;

/// Whether a request is a preflight: OPTIONS with `Origin` and `Access-Control-Request-Method`.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer by an application's settings. A browser that finds what it asked for missing goes no further.
pub(crate) fn answer(cors: &CorsHeaders, asked: &HeaderMap) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::Empty);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    };
    set(ACCESS_CONTROL_ALLOW_ORIGIN, allowed_origin(cors, asked));
    let methods = asked.get(ACCESS_CONTROL_REQUEST_METHOD).cloned();
    set(
        ACCESS_CONTROL_ALLOW_METHODS,
        if cors.allow_all_methods { methods } else { list(&cors.allowed_methods) },
    );
    let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    set(
        ACCESS_CONTROL_ALLOW_HEADERS,
        if cors.allow_all_headers { wanted } else { list(&cors.allowed_headers) },
    );
    let credentials = cors.allow_credentials.then(|| HeaderValue::from_static("true"));
    set(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
    set(ACCESS_CONTROL_MAX_AGE, cors.max_age.map(HeaderValue::from));
    let varies = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    set(VARY, Some(HeaderValue::from_static(varies)));
    response
}

/// Lets a page that the settings allow read the gateway's own answer: a script that cannot read a 401 cannot know that
/// the person has to log in.
pub(crate) fn let_read(cors: &CorsHeaders, asked: &HeaderMap, answer: &mut HeaderMap) {
    answer.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = allowed_origin(cors, asked) else { return };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if cors.allow_credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// The origin that asked, if it is allowed. Echoed, never `*` with credentials, which browsers refuse.
fn allowed_origin(cors: &CorsHeaders, asked: &HeaderMap) -> Option<HeaderValue> {
    let origin = asked.get(ORIGIN)?;
    if cors.allows_everybody() && !cors.allow_credentials {
        return Some(HeaderValue::from_static("*"));
    }
    cors.allows(origin.as_bytes()).then(|| origin.clone())
}

fn list(values: &[String]) -> Option<HeaderValue> {
    if values.is_empty() { None } else { HeaderValue::from_str(&values.join(", ")).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origin: &str) -> HeaderMap {
        let fields = [
            (ORIGIN, origin),
            (ACCESS_CONTROL_REQUEST_METHOD, "PUT"),
            (ACCESS_CONTROL_REQUEST_HEADERS, "x-a, x-b"),
        ];
        fields.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    #[test]
    fn browsers_refuse_a_star_with_credentials_so_the_origin_is_echoed() {
        let origin = |cors: &CorsHeaders, from: &str| {
            let answer = answer(cors, &asked(from));
            let origin = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
            origin.map(|value| value.to_str().unwrap().to_owned())
        };
        let none = CorsHeaders::default();
        let all = CorsHeaders { allow_all_origins: true, ..none.clone() };
        let all_with = CorsHeaders { allow_credentials: true, ..all.clone() };
        let one =
            CorsHeaders { allowed_origins: vec!["https://a.test".to_owned()], ..none.clone() };
        for (cors, from, want) in [
            (&none, "https://a.test", None),
            (&all, "https://a.test", Some("*")),
            (&all_with, "https://a.test", Some("https://a.test")),
            (&one, "https://a.test", Some("https://a.test")),
            (&one, "https://a.test.evil", None),
            (&one, "http://a.test", None),
        ] {
            assert_eq!(origin(cors, from).as_deref(), want, "{cors:?} {from}");
        }
    }

    #[test]
    fn what_is_allowed_is_listed_and_all_means_what_was_asked() {
        let cors = CorsHeaders {
            allow_all_headers: true,
            allowed_methods: vec!["GET".to_owned(), "PUT".to_owned()],
            max_age: Some(600),
            ..CorsHeaders::default()
        };
        let answer = answer(&cors, &asked("https://a.test"));
        let field = |name| answer.headers().get(name).map(|v| v.to_str().unwrap());
        assert_eq!(field(ACCESS_CONTROL_ALLOW_METHODS), Some("GET, PUT"));
        assert_eq!(field(ACCESS_CONTROL_ALLOW_HEADERS), Some("x-a, x-b"));
        assert_eq!(field(ACCESS_CONTROL_MAX_AGE), Some("600"));
        assert_eq!(field(ACCESS_CONTROL_ALLOW_CREDENTIALS), None);
    }
}
