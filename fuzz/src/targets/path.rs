//! A request target: authority and path, one line each.

use crate::Target;
use narthex_model::{Authority, CanonicalPath, Destination, Hostname};

pub(crate) const TARGET: Target = Target {
    name: "path",
    run,
    words: &[
        "/",
        "//",
        "/./",
        "/../",
        "/..",
        "..",
        ".",
        "%2e",
        "%2E%2e",
        "%2f",
        "%5c",
        "%25",
        "%252e",
        "%00",
        "%c3%a9",
        "%C0%AF",
        "%7e",
        "%41",
        "%u002e",
        ";",
        "?",
        "#",
        "*",
        "\\",
        "cdn-cgi",
        "/cdn-cgi/access/",
        "xn--",
        "xn--e1afmkfd",
        ":443",
        ":0",
        ":65536",
        "[::1]",
        "127.0.0.1",
        "0x7f",
        "1",
        ".com",
        "_",
        "-",
        "é",
        "。",
        "\u{200d}",
        "ß",
        "İ",
    ],
    rounds: 60_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (authority, path) = text.split_once('\n').unwrap_or(("", text));
    is_canonical(path);
    name(authority);
    destination(text.trim_end_matches('\n'));
}

/// Two readers of the canonical path understand the same.
fn is_canonical(raw: &str) {
    let Ok(path) = CanonicalPath::of(raw) else { return };
    let text = path.as_str();
    assert_eq!(CanonicalPath::of(text).as_ref(), Ok(&path), "canonical twice is canonical once");
    assert!(text.starts_with('/') && !text.contains("//"), "{text:?}");
    assert!(text.split('/').all(|segment| segment != "." && segment != ".."), "{text:?}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    assert!(!text.contains(['\\', ';', '?', '#']), "{text:?}");
    assert!(text.len() <= raw.len(), "{text:?} is longer than {raw:?}");

    let meant = decoded(text);
    let meant = std::str::from_utf8(&meant).expect("a path means UTF-8");
    assert!(!meant.contains(|c: char| c.is_ascii_control() || c == '\\'), "{meant:?}");
    assert_eq!(meant.matches('/').count(), text.matches('/').count(), "no slash is hidden");
    // A browser's reader of URLs sees the same path.
    let url = url::Url::parse(&format!("https://a.example{text}")).expect("a path of a URL");
    assert_eq!(decoded(url.path()), decoded(text), "{text:?}");
    assert!(path.is_below("/") && path.is_below(text));
}

fn decoded(path: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = (*first == b'%').then(|| std::str::from_utf8(&after[..2]).unwrap());
        match digits {
            Some(digits) => {
                out.push(u8::from_str_radix(digits, 16).expect("an escape has two digits"));
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn name(raw: &str) {
    if let Ok(host) = raw.parse::<Hostname>() {
        assert_eq!(host.as_str().parse().as_ref(), Ok(&host), "canonical twice is canonical once");
        assert!(host.as_str().len() <= 253 && !host.as_str().ends_with('.'));
        assert!(host.is(host.as_str()) && host.is_within(&host));
        // A browser sends to the same host, and takes it for a name and not for an address.
        let url = url::Url::parse(&format!("https://{host}/")).expect("a host of a URL");
        assert_eq!(url.domain(), Some(host.as_str()));
    }
    if let Ok(authority) = raw.parse::<Authority>() {
        assert_eq!(authority.to_string().parse().as_ref(), Ok(&authority));
        assert!(!raw.contains('@'), "no user information");
    }
}

fn destination(raw: &str) {
    let Ok(destination) = raw.parse::<Destination>() else { return };
    let written = destination.to_string();
    let again: Destination = written.parse().unwrap_or_else(|why| panic!("{written:?}: {why}"));
    assert_eq!(again, destination, "{written:?}");
    assert_eq!(again.to_string(), written);
}
