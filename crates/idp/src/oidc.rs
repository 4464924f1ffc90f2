//! A login at an OpenID Connect provider: authorization code flow with PKCE (access-protocol §12.2).
//!
//! Read [`finish`] from top to bottom for the order of the checks. What ties the answer to the browser, the `state`, is the
//! portal's; what ties it to this login and this provider is here.

use crate::assertion::Assertion;
use crate::claims::{Claims, needs_userinfo};
use crate::error::{IdpError, words};
use crate::id_token::{self, Expected, Refused};
use crate::known::{Learned, Provider};
use crate::metadata::Metadata;
use crate::outbound::OutboundHttp;
use crate::{tokens, userinfo};
use narthex_model::{IdpId, OidcConfig, UnixSeconds};
use serde::{Deserialize, Serialize};
use std::fmt;
use url::Url;

/// A login takes no longer than this, in seconds (security rule 24).
const LOGIN_SECONDS: i64 = 600;
/// The longest code, in bytes.
const LONGEST_CODE: usize = 4096;

/// A login that was begun: where the browser goes, and what must be kept until it returns.
#[derive(Debug)]
pub struct Begun {
    /// The provider's authorization endpoint with our request.
    pub location: Url,
    /// To be kept under the state, never shown.
    pub pending: PendingOidc,
}

/// What is kept of a login between leaving and returning. Keep it sealed or server-side: it holds the PKCE verifier.
#[derive(Clone, Serialize, Deserialize)]
pub struct PendingOidc {
    pub(crate) idp: IdpId,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    pub(crate) started: UnixSeconds,
}

impl PendingOidc {
    /// The provider that the person was sent to: the only one whose answer finishes this login.
    #[must_use]
    pub fn idp(&self) -> IdpId {
        self.idp
    }
}

impl fmt::Debug for PendingOidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingOidc").field("idp", &self.idp).finish_non_exhaustive()
    }
}

/// The query of the callback, after the portal has found the login by its `state`. A parameter that stood there twice is
/// the portal's to refuse.
#[derive(Clone, Default)]
pub struct CallbackParams {
    /// `code`.
    pub code: Option<String>,
    /// `iss` (RFC 9207).
    pub iss: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `error_description`.
    pub error_description: Option<String>,
}

impl fmt::Debug for CallbackParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackParams([redacted])")
    }
}

/// Makes the request for the browser.
pub(crate) fn begin(
    idp: IdpId,
    config: &OidcConfig,
    redirect_uri: &Url,
    state: &str,
    now: UnixSeconds,
) -> Begun {
    let (nonce, verifier) = (tokens::random_text(), tokens::random_text());
    let location = tokens::authorization(config, redirect_uri, state, &nonce, &verifier);
    Begun { location, pending: PendingOidc { idp, nonce, verifier, started: now } }
}

/// The part of finishing that needs no network: is this an answer to this login, and did the provider say yes? Returns the code.
///
/// # Errors
/// `Stale`, `Denied`, `BadAnswer`.
pub(crate) fn read_callback<'a>(
    idp: IdpId,
    config: &OidcConfig,
    pending: &PendingOidc,
    callback: &'a CallbackParams,
    now: UnixSeconds,
) -> Result<&'a str, IdpError> {
    let bad = |why: &str| Err(IdpError::BadAnswer(why.to_owned()));
    if pending.idp != idp || !(0..=LOGIN_SECONDS).contains(&now.since(pending.started)) {
        return Err(IdpError::Stale);
    }
    if let (Some(issuer), Some(named)) = (&config.issuer, &callback.iss)
        && issuer != named
    {
        return bad("the callback names another issuer (iss) than the configured one");
    }
    if let Some(error) = &callback.error {
        let description = words(callback.error_description.as_deref().unwrap_or_default());
        return Err(IdpError::Denied { error: words(error), description });
    }
    match callback.code.as_deref() {
        Some(code)
            if (1..=LONGEST_CODE).contains(&code.len())
                && code.bytes().all(|b| (0x20..0x7f).contains(&b)) =>
        {
            Ok(code)
        }
        Some(_) => bad("the callback's code is empty, too long or not plain text"),
        None => bad("the callback has neither a code nor an error"),
    }
}

/// A login whose callback has been read.
pub(crate) struct Login<'a> {
    pub(crate) config: &'a OidcConfig,
    pub(crate) redirect_uri: &'a Url,
    pub(crate) pending: &'a PendingOidc,
    /// From [`read_callback`].
    pub(crate) code: &'a str,
    pub(crate) callback: &'a CallbackParams,
    pub(crate) now: UnixSeconds,
}

/// Redeems the code and reads who logged in.
///
/// # Errors
/// Every [`IdpError`].
pub(crate) async fn finish(
    http: &OutboundHttp,
    provider: &Provider,
    known: Learned,
    login: Login<'_>,
) -> Result<Assertion, IdpError> {
    let Login { config, redirect_uri, pending, code, callback, now } = login;
    let callback_issuer = callback.iss.as_deref();
    check_callback_issuer(&known.metadata, callback_issuer)?;
    let in_body = known.metadata.secret_in_body;
    let tokens =
        tokens::redeem(http, config, redirect_uri, code, &pending.verifier, in_body).await?;
    let expected = Expected {
        client_id: &config.client_id,
        issuer: known.metadata.issuer.as_deref(),
        certs_url: &config.certs_url,
        callback_issuer,
        nonce: &pending.nonce,
        access_token: tokens.access_token(),
        code,
        now,
    };
    let id_token = match id_token::open(tokens.id_token(), &known.keys, &expected) {
        Err(Refused::Key(why)) => match provider.newer_keys(http, config, &known, now).await? {
            Some(keys) => id_token::open(tokens.id_token(), &keys, &expected),
            None => Err(Refused::Key(why)),
        },
        opened => opened,
    };
    let id_token =
        id_token.map_err(|(Refused::Key(why) | Refused::Token(why))| IdpError::BadAnswer(why))?;
    let subject = id_token.get("sub").and_then(|sub| sub.as_str()).unwrap_or_default();
    let userinfo = match &known.metadata.userinfo {
        Some(url) if needs_userinfo(config, &id_token) => {
            Some(userinfo::fetch(http, url, tokens.access_token(), subject).await?)
        }
        Some(_) | None => None,
    };
    Claims { id_token: &id_token, userinfo: userinfo.as_ref() }.read(config)
}

/// RFC 9207 §2.4: the callback's issuer is the one that the login was begun at, and a provider that always names it may not
/// leave it out.
fn check_callback_issuer(metadata: &Metadata, named: Option<&str>) -> Result<(), IdpError> {
    let bad = |why: &str| Err(IdpError::BadAnswer(why.to_owned()));
    match (&metadata.issuer, named) {
        (Some(issuer), Some(named)) if issuer != named => {
            bad("the callback names another issuer (iss) than this provider's")
        }
        (_, None) if metadata.iss_in_answers => {
            bad("the callback names no issuer (iss), and this provider always does")
        }
        (_, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashMap;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn config(issuer: Option<&str>) -> OidcConfig {
        serde_json::from_value(json!({
            "client_id": "the client", "auth_url": "https://idp.example/auth?tenant=1",
            "token_url": "https://idp.example/token", "certs_url": "https://idp.example/keys",
            "scopes": ["openid", "email", "groups"], "issuer": issuer,
        }))
        .unwrap()
    }

    #[test]
    fn the_browser_carries_pkce_nonce_and_the_exact_redirect_uri() {
        let redirect_uri = "https://auth.example:8443/cdn-cgi/access/callback".parse().unwrap();
        let begun = begin(IdpId::random(), &config(None), &redirect_uri, "st&te", NOW);
        let query: HashMap<String, String> = begun.location.query_pairs().into_owned().collect();
        let get = |name: &str| query.get(name).map(String::as_str);
        assert!(begun.location.as_str().starts_with("https://idp.example/auth?tenant=1&"));
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "the client"),
            ("redirect_uri", "https://auth.example:8443/cdn-cgi/access/callback"),
            ("state", "st&te"),
            ("scope", "openid email groups"),
            ("nonce", &begun.pending.nonce),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(get(name), Some(value), "{name}");
        }
        assert_eq!(get("code_challenge").map(str::len), Some(43));
        assert_eq!(begun.pending.verifier.len(), 43);
        let url = begun.location.as_str();
        assert!(!url.contains(&begun.pending.verifier), "the verifier stays here");
        let other = begin(IdpId::random(), &config(None), &redirect_uri, "state", NOW).pending;
        assert!(other.nonce != begun.pending.nonce && other.verifier != begun.pending.verifier);
        let shown = format!("{begun:?}");
        assert!(!shown.contains(&begun.pending.verifier), "{shown}");
    }

    #[test]
    fn a_callback_answers_its_own_login() {
        let idp = IdpId::random();
        let pending = |started| PendingOidc {
            idp,
            nonce: String::new(),
            verifier: String::new(),
            started: UnixSeconds(started),
        };
        let code = || CallbackParams { code: Some("c0de".to_owned()), ..Default::default() };
        let known = config(Some("https://idp.example"));
        let read = |pending: &PendingOidc, callback: &CallbackParams| {
            read_callback(idp, &known, pending, callback, NOW).map(str::to_owned)
        };
        assert_eq!(read(&pending(NOW.0), &code()), Ok("c0de".to_owned()));
        assert_eq!(read(&pending(NOW.0 - 600), &code()), Ok("c0de".to_owned()));
        assert_eq!(read(&pending(NOW.0 - 601), &code()), Err(IdpError::Stale));
        assert_eq!(read(&pending(NOW.0 + 1), &code()), Err(IdpError::Stale));
        let elsewhere = PendingOidc { idp: IdpId::random(), ..pending(NOW.0) };
        assert_eq!(read(&elsewhere, &code()), Err(IdpError::Stale));

        let denied = CallbackParams {
            error: Some("access_denied".to_owned()),
            error_description: Some("<script>alert(1)</script>\r\n".to_owned()),
            ..code()
        };
        let description = "<script>alert(1)</script>".to_owned();
        let want = IdpError::Denied { error: "access_denied".to_owned(), description };
        assert_eq!(read(&pending(NOW.0), &denied), Err(want), "an error wins over a code");

        let issuer = |iss: &str| CallbackParams { iss: Some(iss.to_owned()), ..code() };
        assert!(read(&pending(NOW.0), &issuer("https://idp.example")).is_ok());
        let coded =
            |code: &str| CallbackParams { code: Some(code.to_owned()), ..Default::default() };
        for near_miss in [
            issuer("https://idp.example/"),
            issuer("https://evil.example"),
            CallbackParams { iss: Some("https://evil.example".to_owned()), ..denied.clone() },
            CallbackParams::default(),
            coded(""),
            coded("a\nb"),
            coded(&"x".repeat(LONGEST_CODE + 1)),
        ] {
            let refused = read(&pending(NOW.0), &near_miss);
            assert!(matches!(refused, Err(IdpError::BadAnswer(_))), "{refused:?}");
        }
    }

    #[test]
    fn an_issuer_in_the_callback_is_the_providers_own() {
        let metadata = |issuer: Option<&str>, iss_in_answers| Metadata {
            issuer: issuer.map(str::to_owned),
            iss_in_answers,
            ..Default::default()
        };
        let ours = "https://idp.example";
        for (metadata, named, ok) in [
            (metadata(Some(ours), true), Some(ours), true),
            (metadata(Some(ours), false), Some(ours), true),
            (metadata(Some(ours), false), None, true),
            (metadata(None, false), Some(ours), true), // compared with the ID token's
            (metadata(Some(ours), true), None, false),
            (metadata(Some(ours), true), Some("https://evil.example"), false),
            (metadata(Some(ours), false), Some("https://evil.example"), false),
        ] {
            assert_eq!(
                check_callback_issuer(&metadata, named).is_ok(),
                ok,
                "{metadata:?} {named:?}"
            );
        }
    }
}
