//! A target to be sent to after a logout, or after a login: whatever stands there, a browser stays with us.

use super::portal::leads_to_ours;
use crate::Target;
use crate::gateway::{self, APP, AUD, TEAM};
use bytes::Bytes;
use http::{Request, header};
use url::Url;

pub(crate) const TARGET: Target = Target {
    name: "redirect",
    run,
    words: &[
        "https://",
        "http://",
        "https:",
        "//",
        "///",
        "/\\",
        "\\",
        "\\\\",
        "/",
        "@",
        ":",
        "#",
        "?",
        "%",
        "%2f",
        "%5c",
        "%09",
        "%00",
        "\t",
        "\r",
        "\n",
        "\0",
        " ",
        "\u{feff}",
        "\u{2028}",
        "。",
        "．",
        "ｗｉｋｉ",
        "javascript:",
        "data:",
        "wiki.example.com",
        "auth.example.com",
        "docs.example.com",
        ".evil.example",
        "evil.example",
        "evil.example/",
        "wiki.example.com.evil.example",
        ":443",
        ":8443",
        "[::1]",
        "127.0.0.1",
        "0",
        "..",
        "/../",
        "cdn-cgi/access/logout",
        "%2e%2e",
        "user:pw@",
        "xn--",
        "?returnTo=",
    ],
    rounds: 1_500,
};

fn run(data: &[u8]) {
    let raw: String = url::form_urlencoded::byte_serialize(data).collect();
    gateway::with(async |gateway| {
        for place in [
            format!("https://{TEAM}/cdn-cgi/access/logout?returnTo={raw}"),
            format!("https://{APP}/cdn-cgi/access/logout?returnTo={raw}"),
            format!("https://{TEAM}/cdn-cgi/access/login/{APP}?kid={AUD}&redirect_url={raw}"),
        ] {
            let Ok(uri) = place.parse::<http::Uri>() else { continue };
            let url = Url::parse(&place).unwrap();
            let answer = gateway.visit(Request::get(uri).body(Bytes::new()).unwrap(), &url).await;
            assert!(!answer.status().is_server_error(), "{}", answer.status());
            if let Some(location) = answer.headers().get(header::LOCATION) {
                leads_to_ours(&url, location.to_str().unwrap());
                // The way may lead through the team domain, which looks at the target again.
                let next = url.join(location.to_str().unwrap()).unwrap();
                let request = Request::get(next.as_str()).body(Bytes::new()).unwrap();
                let answer = gateway.visit(request, &next).await;
                if let Some(location) = answer.headers().get(header::LOCATION) {
                    leads_to_ours(&next, location.to_str().unwrap());
                }
            }
            // A login page carries the target through a form: as a path, never as another host.
            let page = String::from_utf8_lossy(answer.body());
            if let Some(rest) = page.split("name=\"redirect_url\" value=\"").nth(1) {
                let kept = rest.split('"').next().unwrap();
                assert!(kept.starts_with('/') && !kept.starts_with("//"), "{kept:?}");
                assert!(kept.bytes().all(|byte| byte.is_ascii_graphic()), "{kept:?}");
            }
        }
    });
}
