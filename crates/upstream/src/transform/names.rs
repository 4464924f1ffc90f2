//! Which header names are the gateway's own, so that a client's value of them never reaches an origin.
//!
//! Origins fold names before they look them up: a CGI variable cannot tell `-` from `_`, and some servers turn
//! any other mark into one of them. So names are compared folded: every mark counts as `-`, and marks at either
//! end do not count (security rule 5, checklist I1, I2).

use http::{HeaderMap, HeaderName, header};

/// Whole families: everything that begins like this.
const FAMILIES: &[&str] = &[
    "cf-", // the edge's namespace: cf-access-*, cf-client-cert-*, cf-cert-*, cf-connecting-ip, cf-ray …
    "client-cert", // RFC 9440: client-cert, client-cert-chain
    "x-forwarded-",
];

/// Single names; another spelling of one of them is one of them.
const SINGLE: &[&str] = &[
    "forwarded",
    "proxy", // becomes HTTP_PROXY in CGI programs
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Names that are a client's to send, but in their one spelling only: an origin that folds names would read a
/// second spelling as the first (checklist H22).
const ONE_SPELLING: &[&str] = &[
    "authorization",
    "cdn-loop",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields between two neighbours, which end here (RFC 9110 §7.6.1), and `Expect`, which this server answers.
pub(super) static HOP_BY_HOP: [HeaderName; 11] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("http2-settings"),
];

/// Longest prefix of a name that is looked at: longer than every name above.
const LOOK: usize = 40;

/// Whether a client may not send a field of this name, because the gateway writes it or because it is a second
/// spelling of a name that matters. `name` is in lower case, as every [`HeaderName`] is.
pub(super) fn is_ours(name: &str) -> bool {
    let mut buffer = [b'-'; LOOK];
    let folded = fold(name, &mut buffer);
    match folded.as_bytes().first() {
        Some(b'a' | b'c' | b'e' | b'f' | b'h' | b'p' | b't' | b'u' | b'x') => {}
        Some(_) | None => return false, // most names end here
    }
    FAMILIES.iter().any(|family| folded.starts_with(family))
        || SINGLE.contains(&folded)
        || (folded != name && ONE_SPELLING.contains(&folded))
}

/// Whether only the gateway says this to a client: `cf-access-*` in any spelling.
pub(super) fn is_control(name: &str) -> bool {
    fold(name, &mut [b'-'; LOOK]).starts_with("cf-access")
}

/// Writes every mark as `-` and leaves out marks at the ends; looks at [`LOOK`] bytes and no more.
fn fold<'a>(name: &str, buffer: &'a mut [u8; LOOK]) -> &'a str {
    let mut length = 0;
    let bytes = name.bytes().skip_while(|b| !b.is_ascii_alphanumeric());
    for (place, byte) in buffer.iter_mut().zip(bytes) {
        length += 1;
        if byte.is_ascii_alphanumeric() {
            *place = byte;
        }
    }
    let folded = std::str::from_utf8(&buffer[..length]).unwrap_or_default(); // ASCII alone was written
    folded.trim_end_matches('-')
}

/// Whether an origin that folds names would take one for the other.
pub(super) fn are_one(one: &str, other: &str) -> bool {
    fn folded(name: &str) -> impl Iterator<Item = u8> + '_ {
        let bytes = name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).bytes();
        bytes.map(|b| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' })
    }
    folded(one).eq(folded(other))
}

/// Removes the fields that `Connection` names, then the hop-by-hop fields. First of all steps: a `Connection`
/// that names one of our fields must not remove what is added later (checklist I3).
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|b| *b == b','))
            .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes every field for which `unwanted` says so.
pub(super) fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let found: Vec<HeaderName> =
        headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn our_names_in_every_spelling() {
        for ours in [
            "cf-access-jwt-assertion",
            "cf_access_jwt_assertion",
            "cf-access-authenticated-user-email",
            "cf-access_authenticated-user_email",
            "cf.access.jwt.assertion",
            "-cf-access-user",
            "cf-access-user-",
            "_cf_access_user_",
            "cf-access-client-secret",
            "cf-access-token",
            "cf-access-made-up-tomorrow",
            "cf-client-cert-der-base64",
            "cf-cert-presented",
            "client-cert",
            "client_cert_chain",
            "cf-connecting-ip",
            "cf_connecting_ip",
            "cf-ray",
            "cf-ipcountry",
            "cf-visitor",
            "x-forwarded-for",
            "x_forwarded_for",
            "x-forwarded-user",
            "forwarded",
            "x-real-ip",
            "x_real_ip",
            "true-client-ip",
            "x-original-url",
            "x-rewrite-url",
            "proxy",
            "content_length",
            "transfer_encoding",
            "host_",
            "cookie_",
            "cdn_loop",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for theirs in [
            "accept",
            "authorization",
            "cookie",
            "host",
            "content-length",
            "cdn-loop",
            "cfx",
            "x-csrf-token",
            "x_custom_header",
            "x-forward",
            "via",
            "user-agent",
            "forwarded-to",
            "",
            "-",
        ] {
            assert!(!is_ours(theirs), "{theirs}");
        }
    }

    #[test]
    fn connection_names_its_own_fields() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("connection", "Cf-Access-Jwt-Assertion"),
            ("x-private", "1"),
            ("cf-access-jwt-assertion", "forged"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip"),
            ("x-public", "2"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        let left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["x-public"]);
    }
}
