//! A browser: cookies by host and path, forms as they stand on the page, and one person's patience.

use crate::house::{House, PIN_IDP, TEAM};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use narthex_token::AppSession;
use std::collections::BTreeMap;
use std::net::IpAddr;
use url::Url;

/// The cookies and the address of one browser.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) ip: IpAddr,
    /// By host, name and path.
    jar: BTreeMap<(String, String, String), String>,
    /// Whether it sends Fetch Metadata, as browsers of today do.
    pub(crate) telling: bool,
    pub(crate) method: Method,
}

/// What came back.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn location(&self) -> &str {
        let location = self.headers.get("location");
        location
            .map(|l| l.to_str().unwrap())
            .unwrap_or_else(|| panic!("{} {}", self.status, self.body))
    }

    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect()
    }

    pub(crate) fn heading(&self) -> String {
        unescape(between(&self.body, "<h1>", "</h1>").unwrap_or_default())
    }

    /// The fields of the form that asks for an address, or else of the first one, and where it goes.
    pub(crate) fn form(&self) -> (String, Vec<(String, String)>) {
        let forms =
            || self.body.split("<form").skip(1).filter_map(|rest| rest.split("</form>").next());
        let form =
            forms().find(|form| form.contains("id=\"email\"")).or(forms().next()).expect("a form");
        let action = unescape(between(form, "action=\"", "\"").unwrap());
        let mut fields = Vec::new();
        for input in form.split("<input").skip(1) {
            let name = between(input, "name=\"", "\"").unwrap();
            fields
                .push((name.to_owned(), unescape(between(input, "value=\"", "\"").unwrap_or(""))));
        }
        (action, fields)
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let start = text.find(from)? + from.len();
    let length = text[start..].find(to)?;
    Some(&text[start..start + length])
}

fn unescape(text: &str) -> String {
    let pairs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (coded, plain)| text.replace(coded, plain))
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self::at("203.0.113.7")
    }

    pub(crate) fn at(ip: &str) -> Self {
        Self { ip: ip.parse().unwrap(), jar: BTreeMap::new(), telling: true, method: Method::GET }
    }

    pub(crate) fn cookie(&self, host: &str, name: &str) -> Option<&str> {
        let found = self.jar.iter().find(|((h, n, _), _)| h == host && n == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        self.jar.insert((host.to_owned(), name.to_owned(), "/".to_owned()), value.to_owned());
    }

    pub(crate) fn drop_cookie(&mut self, host: &str, name: &str) {
        self.jar.retain(|(h, n, _), _| h != host || n != name);
    }

    /// Visits the application as far as the data path goes: it sets `CF_AppSession` and sends the browser to log in.
    pub(crate) fn visit(&mut self, house: &House, app: &str, host: &str, path: &str) -> String {
        if self.cookie(host, "CF_AppSession").is_none() {
            self.set_cookie(host, "CF_AppSession", AppSession::random().as_str());
        }
        let session = self.cookie(host, "CF_AppSession").unwrap();
        house.login_url(app, host, path, session)
    }

    pub(crate) async fn get(&mut self, house: &House, url: &str) -> Page {
        let mut headers = Vec::new();
        if self.telling {
            headers.push(("sec-fetch-site", "cross-site"));
            headers.push(("sec-fetch-mode", "navigate"));
        }
        self.send(house, self.method.clone(), url, &headers, "").await
    }

    /// Posts a form of a page of the team domain.
    pub(crate) async fn post(
        &mut self,
        house: &House,
        action: &str,
        fields: &[(String, String)],
    ) -> Page {
        let own = [("origin", "https://auth.example.com"), ("sec-fetch-site", "same-origin")];
        self.post_from(house, action, fields, &own).await
    }

    pub(crate) async fn post_from(
        &mut self,
        house: &House,
        action: &str,
        fields: &[(String, String)],
        headers: &[(&str, &str)],
    ) -> Page {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send(house, Method::POST, &format!("https://{TEAM}{action}"), &all, &body).await
    }

    pub(crate) async fn send(
        &mut self,
        house: &House,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Page {
        let parsed = Url::parse(url).unwrap();
        let host = parsed.host_str().unwrap().to_owned();
        let mut request = Request::builder()
            .method(method)
            .uri(&parsed[url::Position::BeforePath..url::Position::AfterQuery]);
        let cookies = self.cookies_at(&host, parsed.path());
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        let response = house.ask(self.ip, url, request).await;
        self.keep(&host, &response);
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        Page { status: response.status(), headers: response.headers().clone(), body }
    }

    /// The `Cookie` field for the whole of a host.
    pub(crate) fn cookies_for(&self, host: &str) -> String {
        self.cookies_at(host, "/")
    }

    fn cookies_at(&self, host: &str, at: &str) -> String {
        let sent = self.jar.iter().filter(|((h, _, path), _)| *h == host && at.starts_with(path));
        let pairs: Vec<_> = sent.map(|((_, name, _), value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    pub(crate) fn keep(&mut self, host: &str, response: &Response<Bytes>) {
        for cookie in response.headers().get_all("set-cookie") {
            let mut parts = cookie.to_str().unwrap().split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<_> = parts.map(str::to_ascii_lowercase).collect();
            let path = attributes.iter().find_map(|a| a.strip_prefix("path=")).unwrap_or("/");
            let key = (host.to_owned(), name.to_owned(), path.to_owned());
            if attributes.iter().any(|a| a.starts_with("expires=") && a.contains(" 1970 ")) {
                self.jar.remove(&key);
            } else {
                self.jar.insert(key, value.to_owned());
            }
        }
    }

    /// Asks for a code at a login page and returns the page that wants it, and the code from the mail.
    pub(crate) async fn ask_for_code(
        &mut self,
        house: &House,
        login: &Page,
        email: &str,
    ) -> (Page, String) {
        let before = house.outbox.list().last().map_or(0, |m| m.number);
        let (action, mut fields) = login.form();
        fields
            .iter_mut()
            .filter(|(name, _)| name == "email")
            .for_each(|(_, v)| *v = email.to_owned());
        let page = self.post(house, &action, &fields).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let mail = house.outbox.next_for(&email.parse().unwrap(), before).await;
        (page, code_in(&mail.mail.text))
    }

    pub(crate) async fn enter_code(&mut self, house: &House, page: &Page, code: &str) -> Page {
        let (action, mut fields) = page.form();
        fields
            .iter_mut()
            .filter(|(name, _)| name == "code")
            .for_each(|(_, v)| *v = code.to_owned());
        self.post(house, &action, &fields).await
    }

    /// From a login URL to the answer that sends the browser back to the application.
    pub(crate) async fn log_in(&mut self, house: &House, login_url: &str, email: &str) -> Page {
        let login = self.get(house, login_url).await;
        assert_eq!(login.status, StatusCode::OK, "{}", login.body);
        let (page, code) = self.ask_for_code(house, &login, email).await;
        self.enter_code(house, &page, &code).await
    }

    /// The whole way: visits, logs in, and follows until the application is reached.
    pub(crate) async fn arrive(
        &mut self,
        house: &House,
        app: &str,
        host: &str,
        path: &str,
        email: &str,
    ) -> Page {
        let url = self.visit(house, app, host, path);
        let page = self.log_in(house, &url, email).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        let onwards = page.location().to_owned();
        self.get(house, &onwards).await
    }
}

/// The six digits that stand on a line of their own.
pub(crate) fn code_in(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    let digits = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
    lines.find(digits).expect("a code").to_owned()
}

/// The path of the form for a code.
pub(crate) fn pin_action(host: &str) -> String {
    format!("/cdn-cgi/access/login/{host}/{PIN_IDP}")
}
