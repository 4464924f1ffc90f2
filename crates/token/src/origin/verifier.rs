//! One request judged: finds the token, opens it with the team's keys, and has them fetched when it must.

use super::team_keys::{Known, TeamKeys};
use super::{FetchCerts, Refusal};
use crate::{AppToken, TokenError, cookie};
use http::header::{COOKIE, HeaderMap, HeaderValue};
use narthex_model::{AudTag, Clock, TeamDomain};
use std::fmt;
use std::sync::Arc;

/// The header in which the gateway hands the token to the application (access-protocol §6.1).
const ASSERTION: &str = "cf-access-jwt-assertion";

/// Verifies requests that the gateway has passed on, exactly as the gateway itself verifies tokens. Cloning shares the
/// keys. It has to be used within a tokio runtime whose timers are enabled.
#[derive(Clone)]
pub struct Verifier {
    audiences: Vec<AudTag>,
    cookie: bool,
    team: Arc<TeamKeys>,
}

impl Verifier {
    /// Accepts tokens that `team` has minted for the application `aud`, with the keys that `source` gives.
    #[must_use]
    pub fn new(team: TeamDomain, aud: AudTag, source: impl FetchCerts) -> Self {
        Self::at(Clock::System, team, aud, source)
    }

    /// The same by another clock, for tests.
    #[must_use]
    pub fn at(clock: Clock, team: TeamDomain, aud: AudTag, source: impl FetchCerts) -> Self {
        let team = Arc::new(TeamKeys::new(team, Box::new(source), clock));
        Self { audiences: vec![aud], cookie: false, team }
    }

    /// Accepts tokens for one more application: for a server that several stand for.
    #[must_use]
    pub fn or_for(mut self, aud: AudTag) -> Self {
        self.audiences.push(aud);
        self
    }

    /// Reads the cookie `CF_Authorization` where the header is missing: for paths that the gateway lets everybody pass
    /// (Bypass), on which it adds no header. A token that is bound to a browser then needs its `CF_Binding` cookie, which
    /// the gateway keeps to itself, and one that is bound to a client certificate is not accepted. Off by default: a cookie comes along when another site makes the browser ask.
    #[must_use]
    pub fn or_by_cookie(mut self) -> Self {
        self.cookie = true;
        self
    }

    /// Who sent a request with these headers. It waits only while keys are fetched that the token needs.
    ///
    /// # Errors
    /// [`Refusal`]: there is no token, it is not good here, or the keys cannot be had.
    pub async fn verify(&self, headers: &HeaderMap) -> Result<AppToken, Refusal> {
        let presented = self.presented(headers)?;
        let known = self.team.known();
        let judged = self.judge(&presented, &known);
        match &judged {
            Ok(_) => self.team.keep_fresh(&known),
            Err(refusal) if refusal.lacks_key() => {
                let known = self.team.refreshed().await;
                let judged = self.judge(&presented, &known);
                let lacking = judged.as_ref().is_err_and(Refusal::lacks_key);
                return if lacking && known.may_lack_keys() {
                    Err(Refusal::NoKeys)
                } else {
                    judged
                };
            }
            Err(_) => {}
        }
        judged
    }

    /// The tokens of a request: the header, or, where that is missing, the cookies.
    fn presented<'a>(&self, headers: &'a HeaderMap) -> Result<Presented<'a>, Refusal> {
        let mut assertions = headers.get_all(ASSERTION).iter();
        match (assertions.next(), assertions.next()) {
            (Some(one), None) => {
                let jwt = one.to_str().map_err(|_| TokenError::Malformed("not ASCII"))?;
                return Ok(Presented { tokens: vec![jwt], cookies: None });
            }
            (Some(_), Some(_)) => return Err(Refusal::SeveralTokens),
            (None, _) => {}
        }
        let fields = || headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let tokens: Vec<&str> =
            if self.cookie { cookie::token_candidates(fields()).collect() } else { Vec::new() };
        if tokens.is_empty() {
            return Err(Refusal::NoToken);
        }
        Ok(Presented { tokens, cookies: Some(cookie::named(fields(), cookie::BINDING).collect()) })
    }

    /// The first token that is good. If none is, the one whose key is unknown tells why, since that may yet change.
    fn judge(&self, presented: &Presented<'_>, known: &Known) -> Result<AppToken, Refusal> {
        let mut refusal = Refusal::NoToken;
        for jwt in &presented.tokens {
            match self.open(jwt, presented, known) {
                Ok(token) => return Ok(token),
                Err(_) if refusal.lacks_key() => {}
                Err(why) => refusal = why,
            }
        }
        Err(refusal)
    }

    fn open(
        &self,
        jwt: &str,
        presented: &Presented<'_>,
        known: &Known,
    ) -> Result<AppToken, Refusal> {
        let token = known.keys.open_any_app(jwt, self.team.now())?;
        if !self.audiences.contains(token.aud()) {
            return Err(TokenError::Audience.into());
        }
        if presented.proves_binding_of(&token) { Ok(token) } else { Err(Refusal::NotBound) }
    }
}

/// What a request carries.
struct Presented<'a> {
    tokens: Vec<&'a str>,
    /// The `CF_Binding` cookies beside tokens from cookies; `None` for the header, whose token the gateway has checked.
    cookies: Option<Vec<&'a str>>,
}

impl Presented<'_> {
    /// Whether the token needs nothing beside it, or comes with what it needs. A certificate does not come this far.
    fn proves_binding_of(&self, token: &AppToken) -> bool {
        match (&self.cookies, token) {
            (None, _) => true,
            (Some(cookies), AppToken::Person(token)) => {
                token.is_bound_to(None) || cookies.iter().any(|one| token.is_bound_to(Some(one)))
            }
            (Some(_), AppToken::Machine(token)) => token.certificate.is_none(),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("audiences", &self.audiences)
            .field("cookie", &self.cookie)
            .field("keys", &self.team.known().keys)
            .finish_non_exhaustive()
    }
}
