//! The gateway's cookies on their way through: what an origin may see of them, and what it may not set.
//!
//! Every other cookie passes byte for byte.

use http::{HeaderMap, HeaderValue, header};

/// The application token (access-protocol §4.1).
const TOKEN: &[u8] = b"CF_Authorization";

/// Cookies between browser and gateway alone.
const PRIVATE: &[&[u8]] =
    &[b"CF_Binding", b"CF_AppSession", b"CF_Session", b"CF_Device", b"CF_Form", b"CF_Person"];

/// What becomes of one `name=value` of a `Cookie` field.
#[derive(PartialEq, Eq)]
enum Fate {
    Keep,
    Remove,
    /// The admitted token itself.
    Admitted,
}

/// Leaves `CF_Authorization` exactly once with the `admitted` token, or not at all when there is none, and no
/// other cookie of ours (access-protocol §6.2, checklist I4, I5).
///
/// Several `Cookie` fields become one, as HTTP/1.1 wants it (RFC 9113 §8.2.3).
pub(super) fn for_origin(headers: &mut HeaderMap, admitted: Option<&[u8]>) {
    let mut tokens = 0;
    let mut changed = false;
    let mut fields = 0;
    for field in headers.get_all(header::COOKIE) {
        fields += 1;
        for pair in field.as_bytes().split(|b| *b == b';') {
            match fate(pair, admitted) {
                Fate::Keep => {}
                Fate::Remove => changed = true,
                Fate::Admitted => tokens += 1,
            }
        }
    }
    if !changed && fields <= 1 && tokens == usize::from(admitted.is_some()) {
        return; // the usual case: a browser that sends what it was given
    }
    let rebuilt = rebuild(headers, admitted);
    match HeaderValue::from_bytes(&rebuilt) {
        Ok(value) if !rebuilt.is_empty() => {
            headers.insert(header::COOKIE, value);
        }
        Ok(_) | Err(_) => {
            headers.remove(header::COOKIE);
        }
    }
}

fn rebuild(headers: &HeaderMap, admitted: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut placed = false;
    for field in headers.get_all(header::COOKIE) {
        for (at, pair) in field.as_bytes().split(|b| *b == b';').enumerate() {
            let fate = fate(pair, admitted);
            if fate == Fate::Remove || (fate == Fate::Admitted && placed) {
                continue;
            }
            placed |= fate == Fate::Admitted;
            match (out.is_empty(), at) {
                (true, _) => out.extend_from_slice(pair.trim_ascii_start()),
                (false, 0) => out.extend([b"; ", pair.trim_ascii_start()].concat()),
                (false, _) => out.extend([b";", pair].concat()),
            }
        }
    }
    if let Some(token) = admitted.filter(|_| !placed) {
        let glue: &[u8] = if out.is_empty() { b"" } else { b"; " };
        out.extend([glue, TOKEN, b"=", token].concat());
    }
    out
}

fn fate(pair: &[u8], admitted: Option<&[u8]>) -> Fate {
    let (name, value) = match memchr::memchr(b'=', pair) {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, &[][..]),
    };
    match ours(name.trim_ascii()) {
        None => Fate::Keep,
        Some(Ours::Private) => Fate::Remove,
        Some(Ours::Token) => match admitted {
            Some(token) if value == token => Fate::Admitted,
            Some(_) | None => Fate::Remove,
        },
    }
}

#[derive(Clone, Copy)]
enum Ours {
    Token,
    Private,
}

/// Whether a cookie of this name is ours, also behind `__Host-` or `__Secure-`.
fn ours(name: &[u8]) -> Option<Ours> {
    let bare = ["__host-", "__secure-"].iter().find_map(|prefix| {
        let head = name.get(..prefix.len())?;
        head.eq_ignore_ascii_case(prefix.as_bytes()).then(|| &name[prefix.len()..])
    });
    match bare {
        Some(bare) if bare == TOKEN || PRIVATE.contains(&bare) => Some(Ours::Private),
        // The companion, whose name goes on with its application's tag.
        Some(bare) if bare.starts_with(b"CF_Binding-") => Some(Ours::Private),
        Some(_) => None,
        None if name == TOKEN => Some(Ours::Token),
        None if PRIVATE.contains(&name) => Some(Ours::Private),
        None => None,
    }
}

/// Whether a `Set-Cookie` would set one of our cookies (checklist I6). A cookie without a name counts by its
/// value: browsers send it back as the bare value, which reads like a name and a value.
pub(super) fn sets_ours(set_cookie: &[u8]) -> bool {
    let pair = set_cookie.split(|b| *b == b';').next().unwrap_or_default();
    let mut parts = pair.splitn(3, |b| *b == b'=').map(<[u8]>::trim_ascii);
    let first = parts.next().unwrap_or_default();
    let named = if first.is_empty() { parts.next().unwrap_or_default() } else { first };
    ours(named).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(fields: &[&str], admitted: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_str(field).unwrap());
        }
        for_origin(&mut headers, admitted.map(str::as_bytes));
        assert!(headers.get_all(header::COOKIE).iter().count() <= 1, "one field");
        headers.get(header::COOKIE).map(|v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_admitted_token_arrives_exactly_once() {
        for (name, fields, want) in [
            (
                "as the browser sent it",
                &["a=1; CF_Authorization=T; b=2"][..],
                "a=1; CF_Authorization=T; b=2",
            ),
            ("none sent", &[], "CF_Authorization=T"),
            ("others only", &["a=1;b=2"], "a=1;b=2; CF_Authorization=T"),
            ("a foreign one", &["CF_Authorization=X"], "CF_Authorization=T"),
            (
                "a foreign one first",
                &["CF_Authorization=X; CF_Authorization=T"],
                "CF_Authorization=T",
            ),
            ("twice", &["CF_Authorization=T; a=1; CF_Authorization=T"], "CF_Authorization=T; a=1"),
            ("a prefix of it", &["CF_Authorization=T2"], "CF_Authorization=T"),
            ("odd spaces", &["CF_Authorization =X; a=1"], "a=1; CF_Authorization=T"),
            (
                "HTTP/2 crumbs",
                &["a=1", "CF_Authorization=T", "b=2"],
                "a=1; CF_Authorization=T; b=2",
            ),
            ("a similar name", &["XCF_Authorization=X"], "XCF_Authorization=X; CF_Authorization=T"),
            ("bytes as sent", &["a=\"x, y\";  b==; c"], "a=\"x, y\";  b==; c; CF_Authorization=T"),
        ] {
            assert_eq!(passed(fields, Some("T")).as_deref(), Some(want), "{name}");
        }
    }

    #[test]
    fn without_an_admitted_token_no_token_passes() {
        for (fields, want) in [
            (&["CF_Authorization=X"][..], None),
            (&["a=1; CF_Authorization=X; CF_Authorization=Y"], Some("a=1")),
            (&["CF_Authorization"], None),
            (&["a=1"], Some("a=1")),
            (&[], None),
        ] {
            assert_eq!(passed(fields, None).as_deref(), want, "{fields:?}");
        }
    }

    #[test]
    fn private_cookies_stay_with_the_gateway() {
        for private in [
            "CF_Binding",
            "CF_AppSession",
            "CF_Session",
            "CF_Device",
            "CF_Form",
            "CF_Person",
            "__Host-CF_Binding",
            "__Host-CF_Binding-0f0f0f0f0f0f0f0f",
        ] {
            let field = format!("a=1; {private}=secret; b=2");
            assert_eq!(passed(&[&field], None).as_deref(), Some("a=1; b=2"), "{private}");
            let bare = format!("{private}; b=2");
            assert_eq!(passed(&[&bare], None).as_deref(), Some("b=2"), "{private}");
        }
        assert_eq!(
            passed(&["cf_binding=1"], None).as_deref(),
            Some("cf_binding=1"),
            "another name"
        );
    }

    #[test]
    fn an_origin_sets_none_of_ours() {
        for ours in [
            "CF_Authorization=x; Path=/",
            "CF_Session=x",
            " CF_AppSession =x",
            "CF_Binding",
            "CF_Device=",
            "__Host-CF_Authorization=x; Secure",
            "__Host-CF_Binding-0f0f0f0f0f0f0f0f=x; Secure",
            "__SECURE-CF_Session=x",
            "=CF_Authorization=x",
            " = CF_Binding",
        ] {
            assert!(sets_ours(ours.as_bytes()), "{ours}");
        }
        for theirs in [
            "session=x",
            "XCF_Session=1",
            "CF_Clearance=1",
            "a=CF_Session=1",
            "",
            "=",
            "__Host-a=1",
        ] {
            assert!(!sets_ours(theirs.as_bytes()), "{theirs}");
        }
    }
}
