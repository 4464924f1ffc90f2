//! The decision about a request to an application, and the proof that it let the request in.
//!
//! The fields of a [`Permit`] are private and this file and its parts are its only makers, so a road to an origin
//! that skips the policies does not compile (security rule 1). `decide` takes the decision, `denial` says why not.

mod decide;
mod denial;

pub(crate) use decide::{Asked, admit_unmatched, decide};
pub(crate) use denial::{Denial, Forbidden};

use crate::bearer::Bearer;
use crate::client_certificate::{ClientCertificate, Judged};
use crate::lane::Lane;
use crate::peer::{Busy, Peer};
use crate::source::Source;
use crate::traffic::Counter;
use crate::world::World;
use http::{HeaderName, HeaderValue};
use narthex_model::{AppId, Hostname, PolicyId, ServiceToken, UnixSeconds};
use narthex_policy::{Admitted, CertificateFact, Facts, Outcome, Person};
use narthex_snapshot::App;
use narthex_token::AppToken;
use narthex_upstream::Certified;
use narthex_upstream::Leash;
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
    /// The client certificate that was judged; none where none is asked for.
    certificate: Option<Witness>,
    /// The service token beside it, on bypass.
    service: Option<Arc<ServiceToken>>,
    /// The application's single service-token header, when it did carry one.
    spent: Option<HeaderName>,
    counter: Option<Rc<Counter>>,
    /// Whether the token was minted for this very request's credentials, so that the client may be given it.
    minted: bool,
    /// Keeps the connection from counting as idle while a stream that this request became goes on.
    busy: Option<Rc<Busy>>,
}

/// A connection's client certificate, and how it was judged for one request.
#[derive(Clone)]
pub(crate) struct Witness {
    certificate: Rc<ClientCertificate>,
    judged: Rc<Judged>,
}

impl Witness {
    /// The certificate of `peer` as it stands for requests to `host`; `None` where none is asked for.
    pub(crate) fn of(
        peer: &Peer,
        host: &Hostname,
        lane: &Lane,
        world: &World,
        now: UnixSeconds,
    ) -> Option<Self> {
        let rule = world.snapshot.certificate_rule(host);
        let judged = peer.certificate.judged(host, rule, &lane.live.ocsp, now)?;
        Some(Self { certificate: Rc::clone(&peer.certificate), judged })
    }

    /// As it was judged.
    pub(crate) fn judged(&self) -> &Rc<Judged> {
        &self.judged
    }

    /// The same certificate as it stands later.
    fn again(&self, lane: &Lane, world: &World, now: UnixSeconds) -> Option<Rc<Judged>> {
        let host = self.judged.host();
        let rule = world.snapshot.certificate_rule(host);
        self.certificate.judged(host, rule, &lane.live.ocsp, now)
    }
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

    /// What the origin is told of the client certificate. Asking makes this the first request that the connection brings
    /// to its host.
    pub(crate) fn certified(&self, managed: bool) -> Certified<'_> {
        let Some(witness) = &self.certificate else {
            return Certified { managed, ..Certified::default() };
        };
        let judged = &*witness.judged;
        let first = witness.certificate.is_first_for(judged.host());
        Certified { judged: Some(judged), first, managed }
    }

    /// The client certificate as it was judged; none where none is asked for.
    pub(crate) fn certificate(&self) -> Option<&Rc<Judged>> {
        self.certificate.as_ref().map(Witness::judged)
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

    /// Whether a trusted client certificate came with the request, which may have decided and may be revoked.
    fn is_vouched_for(&self) -> bool {
        self.certificate().is_some_and(|judged| judged.holder().is_some())
    }

    /// Ties what outlives this request to the decision, as it would be taken again later.
    pub(crate) fn leash(&self) -> Leash {
        let again = || Again {
            lane: Rc::clone(self.lane),
            app: self.app.map(|app| app.id()),
            source: self.source,
            witness: self.certificate.clone(),
            _busy: self.busy.clone(),
        };
        match (self.ground, &self.bearer) {
            (Ground::Person(_), Some(bearer)) => {
                let (again, bearer) = (again(), Rc::clone(bearer));
                Leash::held_by(move || {
                    again.admits(|_, app, seen, now| {
                        person_still_admitted(&again.lane, app, &bearer, seen, now)
                    })
                })
            }
            (Ground::Machine(_), bearer) => {
                let (again, bearer) = (again(), bearer.clone());
                Leash::held_by(move || {
                    let name = bearer.as_deref().and_then(client_id).unwrap_or_default();
                    again.admits(|world, app, seen, now| {
                        machine_still_admitted(world, app, name, seen, now)
                    })
                })
            }
            (Ground::Bypass(_), _) if self.is_vouched_for() => {
                let (again, service) = (again(), self.service.clone());
                Leash::held_by(move || {
                    again.admits(|world, app, seen, now| {
                        let named = service.as_ref().map(|token| token.client_id.as_str());
                        let token = named.and_then(|id| world.snapshot.service_token(id));
                        let token = token.filter(|token| token.is_live(now));
                        app.policies.before_login(&facts(seen, token, Person::Anybody)).is_some()
                    })
                })
            }
            (Ground::Person(_), None)
            | (Ground::Bypass(_) | Ground::Preflight | Ground::Unmatched, _) => {
                match self.busy.clone() {
                    Some(busy) => Leash::held_by(move || {
                        let _kept_busy = &busy;
                        true
                    }),
                    None => Leash::loose(),
                }
            }
        }
    }
}

/// What it takes to take a decision again when the request is over.
struct Again {
    lane: Rc<Lane>,
    app: Option<AppId>,
    source: Source,
    witness: Option<Witness>,
    _busy: Option<Rc<Busy>>,
}

impl Again {
    /// Whether `decides` says yes, in the world as it is now; no if the application is gone.
    fn admits(&self, decides: impl FnOnce(&World, &App, Seen<'_>, UnixSeconds) -> bool) -> bool {
        let (world, now) = (self.lane.world(), self.lane.clock.now());
        let Some(app) = self.app.and_then(|id| world.snapshot.app_by_id(id)) else { return false };
        let witness = self.witness.as_ref();
        let judged = witness.and_then(|witness| witness.again(&self.lane, &world, now));
        let seen = Seen { source: &self.source, certificate: judged.as_deref() };
        decides(&world, app, seen, now)
    }
}

/// The Client ID of the service token behind a machine's token. Whoever issues a certificate chooses its name, so a token
/// for one names no service token.
fn client_id(bearer: &Bearer) -> Option<&str> {
    match bearer.token() {
        AppToken::Machine(token) if token.certificate.is_none() => Some(&token.common_name),
        AppToken::Machine(_) | AppToken::Person(_) => None,
    }
}

/// What a connection shows of a caller.
#[derive(Clone, Copy)]
struct Seen<'a> {
    source: &'a Source,
    certificate: Option<&'a Judged>,
}

fn person_still_admitted(
    lane: &Lane,
    app: &App,
    bearer: &Bearer,
    seen: Seen<'_>,
    now: UnixSeconds,
) -> bool {
    let session = bearer.session(&lane.live);
    let facts = facts(seen, None, bearer.person(session.as_deref()));
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
    seen: Seen<'_>,
    now: UnixSeconds,
) -> bool {
    let token = world.snapshot.service_token(client_id).filter(|token| token.is_live(now));
    let admission = app.policies.before_login(&facts(seen, token, Person::Nobody));
    let by_whom = |how| client_id.is_empty() || token.is_some() || how == Admitted::Bypass;
    admission.is_some_and(|admission| by_whom(admission.how))
}

fn facts<'a>(seen: Seen<'a>, token: Option<&Arc<ServiceToken>>, person: Person<'a>) -> Facts<'a> {
    Facts {
        ip: seen.source.ip,
        country: seen.source.country,
        service_token: token.map(|token| token.id),
        certificate: seen.certificate.map_or(CertificateFact::Absent, Judged::fact),
        person,
    }
}
