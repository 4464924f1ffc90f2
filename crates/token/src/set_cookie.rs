//! Writing `Set-Cookie` fields, byte for byte as access-protocol §4.1 and §4.2 show them.
#![expect(clippy::unimplemented, reason = "the interface comes first; the bodies follow")]

use narthex_model::{CookieSettings, UnixSeconds};

/// The value of `CF_AppSession`: `n` and 16 hexadecimal digits. Opaque; it ties a login to one browser.
#[derive(Clone, PartialEq, Eq)]
pub struct AppSession(String);

impl AppSession {
    /// A new random value.
    #[must_use]
    pub fn random() -> Self {
        unimplemented!()
    }

    /// The cookie's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `app_session_hash` of the cookie value that a browser sent: SHA-256 in 64 hexadecimal digits.
    #[must_use]
    pub fn hash(value: &str) -> String {
        let _ = value;
        unimplemented!()
    }

    /// Whether a browser that sent `value` is the one whose cookie hashed to `hash`; in constant time.
    #[must_use]
    pub fn is(value: &str, hash: &str) -> bool {
        let _ = (value, hash);
        unimplemented!()
    }
}

/// The value of `CF_Binding`: 32 random bytes in base64url.
#[derive(Clone)]
pub struct Binding(String);

impl Binding {
    /// A new random value.
    #[must_use]
    pub fn random() -> Self {
        unimplemented!()
    }

    /// The cookie's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The token's `binding`: SHA-256 of the value, in hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        unimplemented!()
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
    let _ = (jwt, expires, settings, path);
    unimplemented!()
}

/// `CF_Binding` beside it.
#[must_use]
pub fn binding(
    value: &Binding,
    expires: UnixSeconds,
    settings: &CookieSettings,
    path: &str,
) -> String {
    let _ = (value, expires, settings, path);
    unimplemented!()
}

/// Takes `CF_Authorization` away from a browser: the same attributes, an empty value, a date of 1970.
#[must_use]
pub fn remove_app_authorization(settings: &CookieSettings, path: &str) -> String {
    let _ = (settings, path);
    unimplemented!()
}

/// Takes `CF_Binding` away.
#[must_use]
pub fn remove_binding(settings: &CookieSettings, path: &str) -> String {
    let _ = (settings, path);
    unimplemented!()
}

/// `CF_Authorization` on the team domain: the global session.
#[must_use]
pub fn org_authorization(jwt: &str, expires: UnixSeconds) -> String {
    let _ = (jwt, expires);
    unimplemented!()
}

/// Takes the global session away.
#[must_use]
pub fn remove_org_authorization() -> String {
    unimplemented!()
}

/// `CF_AppSession`, which lives for 24 h whatever the session's duration.
#[must_use]
pub fn app_session(value: &AppSession, now: UnixSeconds) -> String {
    let _ = (value, now);
    unimplemented!()
}

/// `CF_Session` on the team domain, which lives for 4 h.
#[must_use]
pub fn session(value: &str, now: UnixSeconds) -> String {
    let _ = (value, now);
    unimplemented!()
}

/// Takes `CF_Session` away.
#[must_use]
pub fn remove_session() -> String {
    unimplemented!()
}
