//! The decision about a request to an application, and the proof that it let the request in.
//!
//! The fields of a [`Permit`] are private and this file and its parts are its only makers, so a road to an origin
//! that skips the policies does not compile (security rule 1). `decide` takes the decision, `denial` says why not.

mod decide;
mod denial;

pub(crate) use decide::{Asked, admit_unmatched, decide};
pub(crate) use denial::{Denial, Forbidden};

use crate::bearer::Bearer;
use crate::lane::Lane;
use crate::leash::Leash;
use crate::peer::Busy;
use crate::source::Source;
use crate::traffic::Counter;
use crate::world::World;
use http::{HeaderName, HeaderValue};
use narthex_model::{PolicyId, ServiceToken, UnixSeconds};
use narthex_policy::{Admitted, CertificateFact, Facts, Outcome, Person};
use narthex_snapshot::App;
use narthex_token::AppToken;
use std::rc::Rc;
use std::sync::Arc;

/// On what ground a request was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ground {
    /// A person, by the Allow policy at this place.
    Person(usize),
    /// A machine, by the Service Auth policy at this place.
    Machine(usize),
    /// Anybody, by the Bypass policy at this place.
    Bypass(usize),
    /// A preflight that the application wants to answer itself (access-protocol §3.1 row 2).
    Preflight,
    /// A host with an origin and without an application, where the organization lets such requests through.
    Unmatched,
}

/// Proof that the decision let one request in.
#[must_use]
pub(crate) struct Permit<'a> {
    lane: &'a Rc<Lane>,
    app: Option<&'a Arc<App>>,
    ground: Ground,
    bearer: Option<Rc<Bearer>>,
    source: Source,
    /// The application's single service-token header, when it did carry one.
    spent: Option<HeaderName>,
    counter: Option<Rc<Counter>>,
    /// Whether the token was minted for this very request's credentials, so that the client may be given it.
    minted: bool,
    /// Keeps the connection from counting as idle while a stream that this request became goes on.
    busy: Option<Rc<Busy>>,
}

impl<'a> Permit<'a> {
    /// The application; none for [`Ground::Unmatched`].
    pub(crate) fn app(&self) -> Option<&'a Arc<App>> {
        self.app
    }

    /// On what ground.
    pub(crate) fn ground(&self) -> Ground {
        self.ground
    }

    /// `Cf-Access-Jwt-Assertion` for the origin: the token that admitted, or one minted for the machine that was.
    pub(crate) fn assertion(&self) -> Option<&HeaderValue> {
        self.bearer.as_deref().map(Bearer::assertion)
    }

    /// `Cf-Access-Authenticated-User-Email` for the origin: persons only.
    pub(crate) fn email(&self) -> Option<&HeaderValue> {
        self.bearer.as_deref().and_then(Bearer::email)
    }

    /// The network facts that were judged.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The header that carried a service token as JSON; it must not reach the origin.
    pub(crate) fn spent(&self) -> Option<&HeaderName> {
        self.spent.as_ref()
    }

    /// The id of the policy that admitted.
    pub(crate) fn policy_id(&self) -> Option<PolicyId> {
        let (Ground::Person(at) | Ground::Machine(at) | Ground::Bypass(at)) = self.ground else {
            return None;
        };
        Some(self.app?.policies.policy(at)?.id())
    }

    /// The token behind the identity headers.
    pub(crate) fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_deref()
    }

    /// The token that a machine may go on with in place of its secret, if it was minted for this request.
    pub(crate) fn minted(&self) -> Option<&Bearer> {
        self.bearer.as_deref().filter(|_| self.minted)
    }

    /// Counts the request under who, where and why (design §3, "The life of a record").
    pub(crate) fn count(&self, now: UnixSeconds) {
        if let Some(counter) = &self.counter {
            counter.count(now);
        }
    }

    /// For a request that becomes a stream: keeps its connection busy for as long as the leash is held.
    pub(crate) fn keep_busy(&mut self, busy: Busy) {
        self.busy = Some(Rc::new(busy));
    }

    /// Ties what outlives this request to the decision, as it would be taken again later.
    pub(crate) fn leash(&self) -> Leash {
        let (lane, source, busy) = (Rc::clone(self.lane), self.source, self.busy.clone());
        let app = self.app.map(|app| app.id());
        match (self.ground, &self.bearer) {
            (Ground::Person(_), Some(bearer)) => {
                let bearer = Rc::clone(bearer);
                Leash::held_by(move || {
                    let _busy = &busy;
                    let (world, now) = (lane.world(), lane.clock.now());
                    let app = app.and_then(|id| world.snapshot.app_by_id(id));
                    app.is_some_and(|app| person_still_admitted(&lane, app, &bearer, &source, now))
                })
            }
            (Ground::Machine(_), bearer) => {
                let name = bearer.as_deref().and_then(common_name).unwrap_or_default().to_owned();
                Leash::held_by(move || {
                    let _busy = &busy;
                    let (world, now) = (lane.world(), lane.clock.now());
                    let app = app.and_then(|id| world.snapshot.app_by_id(id));
                    app.is_some_and(|app| machine_still_admitted(&world, app, &name, &source, now))
                })
            }
            (Ground::Person(_), None)
            | (Ground::Bypass(_) | Ground::Preflight | Ground::Unmatched, _) => match busy {
                Some(busy) => Leash::held_by(move || Rc::strong_count(&busy) > 0),
                None => Leash::loose(),
            },
        }
    }
}

/// A machine's common name.
fn common_name(bearer: &Bearer) -> Option<&str> {
    match bearer.token() {
        AppToken::Machine(token) => Some(&token.common_name),
        AppToken::Person(_) => None,
    }
}

fn person_still_admitted(
    lane: &Lane,
    app: &App,
    bearer: &Bearer,
    source: &Source,
    now: UnixSeconds,
) -> bool {
    let session = bearer.session(&lane.live);
    let facts = facts(source, None, bearer.person(session.as_deref()));
    bearer.is_in_force(&lane.live, now)
        && match app.policies.after_login(&facts) {
            Outcome::Admit(_) => true,
            Outcome::Refuse(_) => false,
        }
}

fn machine_still_admitted(
    world: &World,
    app: &App,
    client_id: &str,
    source: &Source,
    now: UnixSeconds,
) -> bool {
    let token = world.snapshot.service_token(client_id).filter(|token| token.is_live(now));
    let admission = app.policies.before_login(&facts(source, token, Person::Nobody));
    let by_whom = |how| client_id.is_empty() || token.is_some() || how == Admitted::Bypass;
    admission.is_some_and(|admission| by_whom(admission.how))
}

fn facts<'a>(source: &Source, token: Option<&Arc<ServiceToken>>, person: Person<'a>) -> Facts<'a> {
    Facts {
        ip: source.ip,
        country: source.country,
        service_token: token.map(|token| token.id),
        certificate: CertificateFact::Absent,
        person,
    }
}
