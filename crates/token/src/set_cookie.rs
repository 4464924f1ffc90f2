//! Writing `Set-Cookie` fields as access-protocol §4.1 and §4.2 show them. Host-only, always `Secure`.

use crate::cookie::BINDING_COMPANION;
use crate::digest::{hashes_to, hex, sha256_hex};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{AudTag, CookieSettings, SameSite, UnixSeconds};
use std::fmt;

/// Life of `CF_AppSession`: 24 h, whatever the session's duration.
const APP_SESSION_SECONDS: i64 = 24 * 3600;

/// Life of `CF_Session`: 4 h.
const SESSION_SECONDS: i64 = 4 * 3600;

/// A date that makes a browser forget a cookie.
const LONG_AGO: &str = "Thu, 01 Jan 1970 00:00:01 GMT";

/// The value of `CF_AppSession`: `n` and 16 hexadecimal digits. Opaque; it ties a login to one browser.
#[derive(Clone, PartialEq, Eq)]
pub struct AppSession(String);

impl AppSession {
    /// A new random value. The contract's form leaves room for 64 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("n{}", hex(&random::<8>())))
    }

    /// The value that a browser sent, if it has the form of one. A login in another tab may wait for it.
    #[must_use]
    pub fn resumed(raw: &str) -> Option<Self> {
        let digits = raw.strip_prefix('n').filter(|digits| digits.len() == 16)?;
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        digits.bytes().all(hex).then(|| Self(raw.to_owned()))
    }

    /// The cookie's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `app_session_hash` of the value that a browser sent or will send: SHA-256 in 64 hexadecimal digits.
    #[must_use]
    pub fn hash(value: &str) -> String {
        sha256_hex(value)
    }

    /// Whether a browser that sent `value` is the one whose cookie hashed to `hash`; in constant time.
    #[must_use]
    pub fn is(value: &str, hash: &str) -> bool {
        hashes_to(value, hash)
    }
}

impl fmt::Debug for AppSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The value of `CF_Binding`: 32 random bytes in base64url.
#[derive(Clone)]
pub struct Binding(String);

impl Binding {
    /// A new random value.
    #[must_use]
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::<32>()))
    }

    /// The cookie's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The token's [`crate::PersonToken::binding`]: SHA-256 of the value, in hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_hex(&self.0)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// `CF_Authorization` on an application's host. `path` is the application's path (`PathPattern::literal_prefix`),
/// used when `path_cookie_attribute` is on; `expires` is the token's `exp`.
#[must_use]
pub fn app_authorization(
    jwt: &str,
    expires: UnixSeconds,
    settings: &CookieSettings,
    path: &str,
) -> String {
    authorization(jwt, &expires.http_date(), settings, path)
}

/// Takes `CF_Authorization` away from a browser: the same attributes, an empty value, a date of 1970.
#[must_use]
pub fn remove_app_authorization(settings: &CookieSettings, path: &str) -> String {
    authorization("", LONG_AGO, settings, path)
}

/// `CF_Binding` beside `CF_Authorization`.
#[must_use]
pub fn binding(
    value: &Binding,
    expires: UnixSeconds,
    settings: &CookieSettings,
    path: &str,
) -> String {
    bound(value.as_str(), &expires.http_date(), settings, path)
}

/// The companion of `CF_Binding` of the application `aud`: the same value under a name that no other host can set. It
/// is sent to the whole host, as every such cookie, and so is named for its application and path.
#[must_use]
pub fn binding_companion(
    value: &Binding,
    expires: UnixSeconds,
    settings: &CookieSettings,
    path: &str,
    aud: &AudTag,
) -> String {
    companion(value.as_str(), &expires.http_date(), cookie_path(settings, path), aud)
}

/// Takes the companion away.
#[must_use]
pub fn remove_binding_companion(settings: &CookieSettings, path: &str, aud: &AudTag) -> String {
    companion("", LONG_AGO, cookie_path(settings, path), aud)
}

/// Takes `CF_Binding` away.
#[must_use]
pub fn remove_binding(settings: &CookieSettings, path: &str) -> String {
    bound("", LONG_AGO, settings, path)
}

/// `CF_Authorization` for pages of one other site alone (CHIPS): what browsers keep apart for each top-level site they
/// also send where they block third-party cookies. `expires` is the token's `exp`.
#[must_use]
pub fn partitioned_authorization(jwt: &str, expires: UnixSeconds) -> String {
    format!("{}; Partitioned", global(jwt, &expires.http_date()))
}

/// `CF_Binding` beside it.
#[must_use]
pub fn partitioned_binding(value: &Binding, expires: UnixSeconds) -> String {
    let date = expires.http_date();
    format!("{}; Partitioned", bound(value.as_str(), &date, &CookieSettings::default(), "/"))
}

/// The companion of that `CF_Binding`.
#[must_use]
pub fn partitioned_binding_companion(
    value: &Binding,
    expires: UnixSeconds,
    aud: &AudTag,
) -> String {
    format!("{}; Partitioned", companion(value.as_str(), &expires.http_date(), "/", aud))
}

/// `CF_Authorization` on the team domain: the global session. `expires` is the token's `exp`.
#[must_use]
pub fn org_authorization(jwt: &str, expires: UnixSeconds) -> String {
    global(jwt, &expires.http_date())
}

/// Takes the global session away.
#[must_use]
pub fn remove_org_authorization() -> String {
    global("", LONG_AGO)
}

/// `CF_AppSession`, which lives for 24 h. §3.2's bytes, and `SameSite=None` (access-protocol §16, 7).
#[must_use]
pub fn app_session(value: &AppSession, now: UnixSeconds) -> String {
    let date = now.plus(APP_SESSION_SECONDS).http_date();
    format!(
        "CF_AppSession={}; Expires={date}; Path=/; Secure; HttpOnly; SameSite=None",
        value.as_str()
    )
}

/// `CF_Form`, by which a browser finds the form that was kept for it. `value` is base64url; `expires` is until when it
/// is kept. Not sent with other sites' forms and scripts.
#[must_use]
pub fn form(value: &str, expires: UnixSeconds) -> String {
    of_forms("CF_Form", value, &expires.http_date())
}

/// Takes `CF_Form` away.
#[must_use]
pub fn remove_form() -> String {
    of_forms("CF_Form", "", LONG_AGO)
}

/// `CF_Person`, which tells after the end of a session whose it was. `value` is hexadecimal digits; it lives for a day
/// longer than the token, whose `exp` is `expires`.
#[must_use]
pub fn person(value: &str, expires: UnixSeconds) -> String {
    of_forms("CF_Person", value, &expires.plus(APP_SESSION_SECONDS).http_date())
}

/// `CF_Session` on the team domain, which lives for 4 h. `value` is base64url or hexadecimal digits.
#[must_use]
pub fn session(value: &str, now: UnixSeconds) -> String {
    login(value, &now.plus(SESSION_SECONDS).http_date())
}

/// Takes `CF_Session` away.
#[must_use]
pub fn remove_session() -> String {
    login("", LONG_AGO)
}

fn authorization(value: &str, date: &str, settings: &CookieSettings, path: &str) -> String {
    let path = cookie_path(settings, path);
    let same_site = match settings.same_site_cookie_attribute {
        None | Some(SameSite::None) => "none",
        Some(SameSite::Lax) => "lax",
        Some(SameSite::Strict) => "strict",
    };
    let http_only = if settings.http_only_cookie_attribute { "; HttpOnly" } else { "" };
    format!(
        "CF_Authorization={value}; Expires={date}; Path={path}; Secure; SameSite={same_site}{http_only}"
    )
}

fn bound(value: &str, date: &str, settings: &CookieSettings, path: &str) -> String {
    let path = cookie_path(settings, path);
    format!("CF_Binding={value}; Expires={date}; Path={path}; Secure; SameSite=none; HttpOnly")
}

fn companion(value: &str, date: &str, path: &str, aud: &AudTag) -> String {
    let mut tag = sha256_hex(&format!("{aud}{path}"));
    tag.truncate(16);
    format!(
        "{BINDING_COMPANION}{tag}={value}; Expires={date}; Path=/; Secure; SameSite=none; HttpOnly"
    )
}

fn global(value: &str, date: &str) -> String {
    format!("CF_Authorization={value}; Expires={date}; Path=/; Secure; SameSite=none; HttpOnly")
}

fn of_forms(name: &str, value: &str, date: &str) -> String {
    format!("{name}={value}; Expires={date}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

fn login(value: &str, date: &str) -> String {
    format!("CF_Session={value}; Expires={date}; Path=/; Secure; HttpOnly; SameSite=None")
}

/// The path that a cookie is limited to. A path that cannot stand in an attribute limits nothing.
fn cookie_path<'a>(settings: &CookieSettings, path: &'a str) -> &'a str {
    let sound = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b';');
    if settings.path_cookie_attribute && sound { path } else { "/" }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixSeconds = UnixSeconds(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110 §5.6.7

    #[test]
    fn the_application_token_looks_as_configured() {
        let plain = CookieSettings::default();
        let open = CookieSettings { http_only_cookie_attribute: false, ..plain.clone() };
        let path = CookieSettings { path_cookie_attribute: true, ..plain.clone() };
        let site = |site| CookieSettings { same_site_cookie_attribute: Some(site), ..open.clone() };
        let date = "Expires=Sun, 06 Nov 1994 08:49:37 GMT";
        for (settings, app_path, want) in [
            (&plain, "/wiki", "Path=/; Secure; SameSite=none; HttpOnly"),
            (&open, "/wiki", "Path=/; Secure; SameSite=none"),
            (&path, "/wiki", "Path=/wiki; Secure; SameSite=none; HttpOnly"),
            (&path, "/", "Path=/; Secure; SameSite=none; HttpOnly"),
            (&path, "/a; Domain=example.com", "Path=/; Secure; SameSite=none; HttpOnly"),
            (&path, "/a\r\nx: y", "Path=/; Secure; SameSite=none; HttpOnly"),
            (&site(SameSite::None), "/", "Path=/; Secure; SameSite=none"),
            (&site(SameSite::Lax), "/", "Path=/; Secure; SameSite=lax"),
            (&site(SameSite::Strict), "/", "Path=/; Secure; SameSite=strict"),
        ] {
            let set = app_authorization("a.b.c", AT, settings, app_path);
            assert_eq!(set, format!("CF_Authorization=a.b.c; {date}; {want}"), "{settings:?}");
            let removed = remove_app_authorization(settings, app_path);
            assert_eq!(removed, format!("CF_Authorization=; Expires={LONG_AGO}; {want}"));
        }
    }

    #[test]
    fn the_other_cookies() {
        let path = CookieSettings { path_cookie_attribute: true, ..CookieSettings::default() };
        let date = "Expires=Sun, 06 Nov 1994 08:49:37 GMT";
        let value = Binding("v".to_owned());
        let aud: AudTag = "0f".repeat(32).parse().unwrap();
        // `printf '0f…0f/wiki' | sha256sum`
        let (companion, whole) =
            ("__Host-CF_Binding-1b8af1171070df87", "__Host-CF_Binding-74e043cc29c49d4b");
        let session_value = AppSession("n0123456789abcdef".to_owned());
        for (set, want) in [
            (
                binding(&value, AT, &path, "/wiki"),
                format!("CF_Binding=v; {date}; Path=/wiki; Secure; SameSite=none; HttpOnly"),
            ),
            (
                remove_binding(&path, "/wiki"),
                format!(
                    "CF_Binding=; Expires={LONG_AGO}; Path=/wiki; Secure; SameSite=none; HttpOnly"
                ),
            ),
            (
                binding_companion(&value, AT, &path, "/wiki", &aud),
                format!("{companion}=v; {date}; Path=/; Secure; SameSite=none; HttpOnly"),
            ),
            (
                remove_binding_companion(&path, "/wiki", &aud),
                format!(
                    "{companion}=; Expires={LONG_AGO}; Path=/; Secure; SameSite=none; HttpOnly"
                ),
            ),
            (
                partitioned_binding_companion(&value, AT, &aud),
                format!("{whole}=v; {date}; Path=/; Secure; SameSite=none; HttpOnly; Partitioned"),
            ),
            (
                org_authorization("a.b.c", AT),
                format!("CF_Authorization=a.b.c; {date}; Path=/; Secure; SameSite=none; HttpOnly"),
            ),
            (
                remove_org_authorization(),
                format!(
                    "CF_Authorization=; Expires={LONG_AGO}; Path=/; Secure; SameSite=none; HttpOnly"
                ),
            ),
            (
                partitioned_authorization("a.b.c", AT),
                format!(
                    "CF_Authorization=a.b.c; {date}; Path=/; Secure; SameSite=none; HttpOnly; Partitioned"
                ),
            ),
            (
                partitioned_binding(&value, AT),
                format!(
                    "CF_Binding=v; {date}; Path=/; Secure; SameSite=none; HttpOnly; Partitioned"
                ),
            ),
            (
                app_session(&session_value, AT.plus(-24 * 3600)),
                format!(
                    "CF_AppSession=n0123456789abcdef; {date}; Path=/; Secure; HttpOnly; SameSite=None"
                ),
            ),
            (
                session("s", AT.plus(-4 * 3600)),
                format!("CF_Session=s; {date}; Path=/; Secure; HttpOnly; SameSite=None"),
            ),
            (form("h", AT), format!("CF_Form=h; {date}; Path=/; Secure; HttpOnly; SameSite=Lax")),
            (
                remove_form(),
                format!("CF_Form=; Expires={LONG_AGO}; Path=/; Secure; HttpOnly; SameSite=Lax"),
            ),
            (
                person("0f", AT.plus(-24 * 3600)),
                format!("CF_Person=0f; {date}; Path=/; Secure; HttpOnly; SameSite=Lax"),
            ),
            (
                remove_session(),
                format!("CF_Session=; Expires={LONG_AGO}; Path=/; Secure; HttpOnly; SameSite=None"),
            ),
        ] {
            assert_eq!(set, want);
        }
    }

    #[test]
    fn values_are_random_and_known_by_their_hash() {
        let session = AppSession::random();
        assert_eq!(session.as_str().len(), 17);
        let digits = session.as_str().strip_prefix('n').unwrap();
        assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        assert_ne!(session, AppSession::random());
        let hash = AppSession::hash(session.as_str());
        assert!(AppSession::is(session.as_str(), &hash) && !AppSession::is("n0", &hash));
        let binding = Binding::random();
        assert_eq!((binding.as_str().len(), binding.hash().len()), (43, 64));
        assert_eq!(format!("{session:?} {binding:?}"), "[redacted] [redacted]");
    }
}
