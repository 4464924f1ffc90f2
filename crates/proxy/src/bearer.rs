//! Tokens that were verified once: what they say, what is known behind them, and the fields that the origin gets.

use bytes::Bytes;
use hashbrown::HashMap;
use http::HeaderValue;
use narthex_model::{AudTag, Session, UnixSeconds};
use narthex_policy::Person;
use narthex_snapshot::Live;
use narthex_token::{AppToken, KeyRing, PersonToken};
use serde_json::Map;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A token whose signature, issuer and claims were found good on this core.
#[derive(Debug)]
pub struct Bearer {
    token: AppToken,
    /// The compact JWS, for `Cf-Access-Jwt-Assertion`. Marked sensitive.
    assertion: HeaderValue,
    /// The person's address, for `Cf-Access-Authenticated-User-Email`.
    email: Option<HeaderValue>,
    /// The revocation generation in which the token was last found in force.
    cleared: Cell<Option<u64>>,
    /// Whether its first use was looked at.
    reported: Cell<bool>,
}

impl Bearer {
    /// Wraps a token whose compact form is `jwt`; `None` when that cannot stand in a header, which no token of ours can.
    pub(crate) fn new(mut token: AppToken, jwt: Bytes) -> Option<Self> {
        let mut assertion = HeaderValue::from_maybe_shared(jwt).ok()?;
        assertion.set_sensitive(true);
        let email = match &mut token {
            AppToken::Person(person) => {
                person.custom = Map::new(); // the origin reads it in the token; here it only takes room
                HeaderValue::from_str(person.email.as_str()).ok()
            }
            AppToken::Machine(_) => None,
        };
        let (cleared, reported) = Default::default();
        Some(Self { token, assertion, email, cleared, reported })
    }

    /// The token.
    pub(crate) fn token(&self) -> &AppToken {
        &self.token
    }

    /// The token in its compact form, as a header's value.
    pub(crate) fn assertion(&self) -> &HeaderValue {
        &self.assertion
    }

    /// The person's address, as a header's value; none for a machine.
    pub(crate) fn email(&self) -> Option<&HeaderValue> {
        self.email.as_ref()
    }

    /// Whether this was asked before: a token's first use on this core is looked at once.
    pub(crate) fn was_reported(&self) -> bool {
        self.reported.replace(true)
    }

    /// Whether the token still counts: not expired, not revoked, and its session not ended (security rule 34).
    pub fn is_in_force(&self, live: &Live, now: UnixSeconds) -> bool {
        if now >= self.token.exp() {
            return false;
        }
        let generation = live.revocations.generation();
        if self.cleared.get() == Some(generation) {
            return true;
        }
        let refused = match &self.token {
            AppToken::Person(token) => live.revocations.refuses_person(token),
            AppToken::Machine(token) => live.revocations.refuses_machine(token),
        };
        self.cleared.set((!refused).then_some(generation));
        !refused
    }

    /// The revocation generation in which the token was found in force last. A revocation that comes while a request is
    /// decided is of a later one, so that nothing remembered under this number outlives it.
    pub(crate) fn cleared_in(&self) -> Option<u64> {
        self.cleared.get()
    }

    /// The login session behind a person's token; `None` when this node does not know it.
    pub fn session(&self, live: &Live) -> Option<Arc<Session>> {
        let AppToken::Person(token) = &self.token else { return None };
        live.sessions.get(&token.identity_nonce).filter(|session| belongs(session, token))
    }

    /// What policies may know of the person; `session` is what [`Bearer::session`] answered.
    pub fn person<'a>(&'a self, session: Option<&'a Session>) -> Person<'a> {
        match (&self.token, session) {
            (AppToken::Machine(_), _) => Person::Nobody,
            (AppToken::Person(_), Some(session)) => Person::Known(&session.identity),
            (AppToken::Person(token), None) => Person::Claims { email: &token.email },
        }
    }
}

/// Whether a session is the one that a token was issued under, and not merely one of the same nonce.
fn belongs(session: &Session, token: &PersonToken) -> bool {
    session.identity.user_uuid == token.sub
}

/// The verified tokens of one core: bounded, and cleared when the keys change.
///
/// Two tables make it bounded without bookkeeping: what is used moves to the young one; when that is full, the old
/// one is forgotten and the young one becomes old. Only tokens with a good signature get in, so that a stranger
/// cannot fill it.
pub struct Bearers {
    young: RefCell<HashMap<Bytes, Rc<Bearer>>>,
    old: RefCell<HashMap<Bytes, Rc<Bearer>>>,
    half: usize,
}

impl Bearers {
    /// A table of at most `capacity` tokens.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { young: RefCell::default(), old: RefCell::default(), half: capacity.div_ceil(2) }
    }

    /// The token seen before with exactly these bytes, whether or not it is still in force.
    pub fn get(&self, jwt: &str) -> Option<Rc<Bearer>> {
        if let Some(bearer) = self.young.borrow().get(jwt.as_bytes()) {
            return Some(Rc::clone(bearer));
        }
        let (jwt, bearer) = self.old.borrow_mut().remove_entry(jwt.as_bytes())?;
        self.insert(jwt, &bearer);
        Some(bearer)
    }

    /// Verifies a token that was not seen before, for any application: which one it is for is asked of the token
    /// at each use, see [`Bearer::token`]. `None` when it is no token of ours, or not in force by its dates.
    pub fn open(&self, jwt: &str, keys: &KeyRing, now: UnixSeconds) -> Option<Rc<Bearer>> {
        let token = keys.open_any_app(jwt, now).ok()?;
        let jwt = Bytes::copy_from_slice(jwt.as_bytes());
        let bearer = Rc::new(Bearer::new(token, jwt.clone())?);
        self.insert(jwt, &bearer);
        Some(bearer)
    }

    /// Forgets all: the keys have changed, and with them what verifies.
    pub(crate) fn clear(&self) {
        self.young.borrow_mut().clear();
        self.old.borrow_mut().clear();
    }

    fn insert(&self, jwt: Bytes, bearer: &Rc<Bearer>) {
        let mut young = self.young.borrow_mut();
        if young.len() >= self.half {
            *self.old.borrow_mut() = std::mem::take(&mut *young);
        }
        young.insert(jwt, Rc::clone(bearer));
    }
}

/// Whether a token was minted for `aud`.
pub(crate) fn is_for(bearer: &Bearer, aud: &AudTag) -> bool {
    bearer.token.aud() == aud
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::{Account, AccountId, Configuration, Organization, Premises, Revision};
    use narthex_snapshot::{Materials, Snapshot};
    use narthex_token::SigningKey;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    fn live() -> Live {
        let premises = Premises {
            account: Account { id: AccountId::random(), name: "acme".to_owned() },
            zones: Vec::new(),
            team: "access.example.com".parse().unwrap(),
            admin: None,
            ingress: Vec::new(),
        };
        let organization = Organization::new("acme", premises.team.clone(), NOW);
        let key = Arc::new(SigningKey::generate(NOW, NOW));
        let materials = Materials {
            keys: Arc::new(KeyRing::of(vec![key], &premises.team, NOW).unwrap()),
            premises: Arc::new(premises),
            countries: None,
            revocation_lists: Arc::default(),
        };
        let configuration =
            Configuration { organization: Some(Arc::new(organization)), ..Default::default() };
        Live::new(Snapshot::compile(&materials, &configuration, Revision(1)).unwrap())
    }

    /// A revocation that comes between looking a token up and remembering the decision must be asked about next time.
    #[test]
    fn a_token_is_remembered_under_the_generation_in_which_it_was_cleared() {
        let live = live();
        let token = PersonToken {
            aud: AudTag::random(),
            email: "ann@example.com".parse().unwrap(),
            sub: narthex_model::UserId::random(),
            identity_nonce: narthex_model::IdentityNonce::random(),
            country: None,
            custom: Map::new(),
            iat: NOW,
            exp: NOW.plus(3_600),
            binding: None,
        };
        let jwt = live.snapshot.load().keys.mint(&token);
        let aud = token.aud.clone();
        let bearer = Bearer::new(AppToken::Person(token), jwt.into()).unwrap();
        assert_eq!(bearer.cleared_in(), None, "nobody has asked yet");
        assert!(bearer.is_in_force(&live, NOW));
        live.revocations.revoke_app(&aud, NOW);
        assert_eq!(bearer.cleared_in(), Some(live.revocations.generation() - 1));
        assert!(!bearer.is_in_force(&live, NOW));
        assert_eq!(bearer.cleared_in(), None);
    }
}
