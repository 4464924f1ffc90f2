//! As much of a browser as a login needs: cookies for each host, redirects, and forms.

use crate::wire::{Answer, Wire};
use std::collections::BTreeMap;

pub(crate) struct Browser {
    wire: Wire,
    cookies: BTreeMap<(String, String), String>,
}

/// A page, and where it was found.
pub(crate) struct Page {
    host: String,
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, cookies: BTreeMap::new() }
    }

    pub(crate) async fn open(&mut self, host: &str, path: &str) -> Page {
        self.go("GET", host, path, "").await
    }

    /// Fills in the first form of `page` and sends it.
    pub(crate) async fn send(&mut self, page: &Page, name: &str, value: &str) -> Page {
        let (_, form) = page.text.split_once("<form method=\"post\"").expect("there is a form");
        let (form, _) = form.split_once("</form>").unwrap();
        let mut fields = vec![format!("{name}={}", encoded(value))];
        for hidden in form.split("<input type=\"hidden\"").skip(1) {
            let (name, value) = (attribute(hidden, "name"), attribute(hidden, "value"));
            fields.push(format!("{}={}", encoded(&name), encoded(&value)));
        }
        let action = attribute(form, "action");
        self.go("POST", &page.host, &action, &fields.join("&")).await
    }

    /// Goes where an answer leads, to the end.
    pub(crate) async fn follow(&mut self, answer: &Answer) -> Page {
        let location = answer.headers["location"].to_str().unwrap();
        let (authority, path) =
            location.strip_prefix("https://").and_then(|rest| rest.split_once('/')).unwrap();
        let host = authority.split(':').next().unwrap();
        self.open(host, &format!("/{path}")).await
    }

    pub(crate) fn forget(&mut self, host: &str, name: &str) {
        self.cookies.remove(&(host.to_owned(), name.to_owned()));
    }

    async fn go(&mut self, method: &str, host: &str, path: &str, body: &str) -> Page {
        let (mut method, mut host, mut path) = (method, host.to_owned(), path.to_owned());
        let mut body = body;
        for _ in 0..10 {
            let answer = self.ask(method, &host, &path, body).await;
            let Some(location) = answer.headers.get("location").filter(|_| answer.status < 400)
            else {
                return Page { host, status: answer.status, text: answer.text() };
            };
            let location = location.to_str().unwrap();
            match location.strip_prefix("https://") {
                None => path = location.to_owned(),
                Some(rest) => {
                    let (authority, rest) = rest.split_once('/').unwrap_or((rest, ""));
                    host = authority.split(':').next().unwrap().to_owned();
                    path = format!("/{rest}");
                }
            }
            (method, body) = ("GET", "");
        }
        panic!("too many redirects, the last to {host}{path}")
    }

    async fn ask(&mut self, method: &str, host: &str, path: &str, body: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.step(method, host, path, &headers, body.as_bytes()).await
    }

    /// One request with these headers and this browser's cookies; no redirect is followed.
    pub(crate) async fn step(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mine = self.cookies.iter().filter(|((at, _), _)| at == host);
        let cookies: Vec<_> = mine.map(|((_, name), value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let mut connection = self.wire.open(host).await.unwrap();
        let answer = connection.ask(method, path, &headers, body).await.unwrap();
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert((host.to_owned(), name.to_owned()), value.to_owned());
        }
        answer
    }
}

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).expect("the attribute is there");
    let value = rest.split('"').next().unwrap();
    value
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    text.bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
