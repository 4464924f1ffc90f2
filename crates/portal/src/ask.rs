//! One request as the portal reads it: parameters that occur once, cookies in a bounded number, and what the
//! browser says about where the request came from.

use crate::Visit;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use narthex_model::UnixSeconds;
use narthex_token::cookie;
use std::collections::HashMap;

/// Parameters of a query or form, each of which occurs once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(HashMap<String, String>);

/// A query or form that two readers could understand differently (security C6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a parameter occurs twice, or there are more than {MOST_PARAMETERS}")]
pub(crate) struct Ambiguous;

const MOST_PARAMETERS: usize = 64;

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text.
    ///
    /// # Errors
    /// [`Ambiguous`] when a name occurs twice, or for more than 64 names.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, Ambiguous> {
        let mut parameters = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(raw) {
            if parameters.len() == MOST_PARAMETERS
                || parameters.insert(name.into_owned(), value.into_owned()).is_some()
            {
                return Err(Ambiguous);
            }
        }
        Ok(Self(parameters))
    }

    /// The value of `name`, if it occurs and is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A request to the portal, with the instant at which it is judged.
pub(crate) struct Ask<'a> {
    pub(crate) visit: &'a Visit,
    pub(crate) now: UnixSeconds,
    pub(crate) request: &'a Request<bytes::Bytes>,
}

impl Ask<'_> {
    pub(crate) fn method(&self) -> &Method {
        self.request.method()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The parameters of the query.
    pub(crate) fn query(&self) -> Result<Parameters, Ambiguous> {
        Parameters::parse(self.request.uri().query().unwrap_or("").as_bytes())
    }

    /// The parameters of a posted form; none when the body is of another type.
    pub(crate) fn form(&self) -> Result<Parameters, Ambiguous> {
        let form = "application/x-www-form-urlencoded";
        let kind = self.header(&header::CONTENT_TYPE).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case(form) {
            return Ok(Parameters::default());
        }
        Parameters::parse(self.request.body())
    }

    /// The values of cookie `name`, at most eight: a sibling host may have planted some.
    pub(crate) fn cookies(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let fields = self.headers().get_all(header::COOKIE).iter();
        cookie::named(fields.map(HeaderValue::as_bytes), name).take(cookie::MAX_CANDIDATES)
    }

    /// The values of `CF_Binding` that came with their companions (security C2).
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &str> {
        let fields = || self.headers().get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
        cookie::bindings(fields)
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether a browser says that a page of `origin` itself sent this form. Browsers that say neither where the
    /// form came from nor how it is related are taken at the word of their cookies alone.
    pub(crate) fn is_sent_by(&self, origin: &str) -> bool {
        let related = self.header(&HeaderName::from_static("sec-fetch-site"));
        let from = self.header(&header::ORIGIN);
        related.is_none_or(|related| related == "same-origin")
            && from.is_none_or(|from| from == origin)
    }

    /// Whether a script of a page of `origin` asks, by its `Origin`, which must be there, and by Fetch Metadata where
    /// the browser sends them. No page elsewhere can make a browser say so.
    pub(crate) fn is_script_of(&self, origin: &str) -> bool {
        let mode = self.header(&HeaderName::from_static("sec-fetch-mode"));
        self.header(&header::ORIGIN) == Some(origin)
            && mode.is_none_or(|mode| mode == "cors" || mode == "same-origin")
    }

    /// The same for a page of the very origin that is asked.
    pub(crate) fn is_own_script_of(&self, origin: &str) -> bool {
        self.is_script_of(origin) && self.is_sent_by(origin)
    }

    /// Whether the client tells what its request is for (Fetch Metadata), as every current browser does.
    pub(crate) fn is_telling_browser(&self) -> bool {
        self.headers().contains_key("sec-fetch-site")
            || self.headers().contains_key("sec-fetch-mode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_parameter_occurs_once_or_the_request_is_refused() {
        let parameters = Parameters::parse(b"state=s&code=a%26b+c&empty=").unwrap();
        assert_eq!(parameters.get("state"), Some("s"));
        assert_eq!(parameters.get("code"), Some("a&b c"));
        assert_eq!((parameters.get("empty"), parameters.get("absent")), (None, None));
        for near_miss in ["state=s&state=s", "state=s&st%61te=t", "a&a", "a=1&b=2&a="] {
            assert_eq!(Parameters::parse(near_miss.as_bytes()), Err(Ambiguous), "{near_miss}");
        }
        let many: String = (0..65).map(|n| format!("p{n}=1&")).collect();
        assert_eq!(Parameters::parse(many.as_bytes()), Err(Ambiguous));
    }

    fn ask_with(headers: &[(&str, &str)], test: impl FnOnce(&Ask<'_>)) {
        let visit = Visit::for_tests();
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::new()).unwrap();
        test(&Ask { visit: &visit, now: UnixSeconds(0), request: &request });
    }

    #[test]
    fn a_form_comes_from_our_own_page() {
        let origin = "https://auth.example.com";
        for (headers, ours) in [
            (vec![], true),
            (vec![("origin", origin)], true),
            (vec![("origin", origin), ("sec-fetch-site", "same-origin")], true),
            (vec![("origin", "null")], false),
            (vec![("origin", "https://evil.example")], false),
            (vec![("origin", "https://auth.example.com:8443")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("origin", origin), ("sec-fetch-site", "same-site")], false),
        ] {
            ask_with(&headers, |ask| assert_eq!(ask.is_sent_by(origin), ours, "{headers:?}"));
        }
    }
}
