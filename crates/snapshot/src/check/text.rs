//! Forms of text that end up in pages and headers.

use narthex_model::GoDuration;

/// The longest life of a session or token, 31 days (access-protocol §10.1).
pub(crate) fn is_session(duration: &GoDuration) -> bool {
    duration.seconds() <= crate::LONGEST_TOKEN_SECONDS
}

pub(crate) const SESSION_RULE: &str = "a session lasts at most one month; write at most 744h";

/// An absolute http or https URL without anything that could end an attribute or a header.
pub(crate) fn is_web_url(text: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let sound = |b: u8| b.is_ascii_graphic() && !b"\"'<>\\`".contains(&b);
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with(['/', '?', '#']) && rest.bytes().all(sound)
    })
}

/// `#rgb` or `#rrggbb`.
pub(crate) fn is_colour(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or("");
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A field name or method of HTTP (RFC 9110 §5.6.2, `token`).
pub(crate) fn is_token(text: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(sound)
}

/// An origin as browsers send it, `https://host` with an optional port, or `null` (RFC 6454 §7). It is compared as
/// it stands, so a wildcard would allow nobody.
pub(crate) fn is_origin(text: &str) -> bool {
    let authority = text.split_once("://").filter(|(scheme, _)| is_token(scheme));
    let sound = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    text == "null" || authority.is_some_and(|(_, host)| !host.is_empty() && host.bytes().all(sound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_their_near_misses() {
        type Form = fn(&str) -> bool;
        let table: [(&str, Form, &[&str], &[&str]); 4] = [
            (
                "URL",
                is_web_url,
                &["https://a.example/x?y=1#z", "http://localhost:8080"],
                &[
                    "",
                    "https://",
                    "https:///x",
                    "//a",
                    "/a",
                    "javascript:alert(1)",
                    "https://a b",
                    "https://a\"",
                    "https://a\r\nX: y",
                ],
            ),
            (
                "colour",
                is_colour,
                &["#fff", "#C0FFEE"],
                &["", "#", "fff", "#ffff", "#ggg", "red", "#fff;}"],
            ),
            ("token", is_token, &["X-Thing", "GET"], &["", "X Thing", "X:Y", "X\r\n", "é"]),
            (
                "origin",
                is_origin,
                &["https://a.example", "http://localhost:8080", "http://[::1]:80", "null"],
                &[
                    "",
                    "*",
                    "https://*.a.example",
                    "a.example",
                    "https://",
                    "https://a/",
                    "https://a, https://b",
                    "https://a b",
                ],
            ),
        ];
        for (name, form, good, bad) in table {
            for text in good {
                assert!(form(text), "{name} {text:?}");
            }
            for text in bad {
                assert!(!form(text), "{name} {text:?}");
            }
        }
    }
}
