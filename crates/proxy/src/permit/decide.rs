//! Taking the decision: credentials first, then policies, in the order of access-protocol §9.3.

use super::denial::Refused;
use super::{Denial, Forbidden, Ground, Permit, Seen, Witness, facts};
use crate::bearer::{Bearer, is_for};
use crate::credentials::{Presented, Service};
use crate::lane::Lane;
use crate::machines::Machine;
use crate::memo::Memo;
use crate::overload::Asker;
use crate::peer::Peer;
use crate::source::Source;
use crate::target::Target;
use crate::world::World;
use narthex_model::{ServiceToken, UnixSeconds};
use narthex_policy::{Admission, Admitted, CertificateFact, Facts, Outcome, Person, Refusal};
use narthex_snapshot::App;
use narthex_token::AppToken;
use std::rc::Rc;
use std::sync::Arc;

/// Cookies that a connection remembers, in bytes; browsers send less.
const LONGEST_MEMO: usize = 8 * 1024;

/// One request to an application, with everything the decision may look at.
pub(crate) struct Asked<'a, 'r> {
    pub(crate) lane: &'a Rc<Lane>,
    pub(crate) world: &'r World,
    pub(crate) app: &'a Arc<App>,
    pub(crate) peer: &'r Peer,
    pub(crate) presented: &'r Presented<'r>,
    pub(crate) source: Source,
    /// The client certificate; `None` where none is asked for.
    pub(crate) certificate: Option<Witness>,
    pub(crate) now: UnixSeconds,
}

/// Decides about a request to an application (access-protocol §9.3, §3.1 rows 5 to 13).
///
/// # Errors
/// [`Denial`] says whether a login could help.
pub(crate) fn decide<'a>(asked: &Asked<'a, '_>) -> Result<Permit<'a>, Denial> {
    if let Some(permit) = asked.remembered() {
        return Ok(permit);
    }
    let snapshot = &asked.world.snapshot;
    let service = Service::check(&asked.presented.service, snapshot, asked.now);
    let machine = facts(asked.seen(), service.valid(), Person::Anybody);
    if let Some(admission) = asked.app.policies.before_login(&machine) {
        return asked.admit_machine(admission, &service);
    }
    if snapshot.organization.strict_service_token_auth {
        match service {
            Service::Absent => {}
            Service::Valid { .. } => return Err(asked.forbidden(&machine, &service)),
            Service::Refused { why, known } => {
                return Err(Denial::Unauthenticated { why, token: known.cloned() });
            }
        }
    }
    let spec = &asked.app.spec;
    let sent = !matches!(service, Service::Absent);
    match asked.admit_token()? {
        Some(permit) => Ok(permit),
        // access-protocol §3.1 row 8: a machine is told, not sent to log in.
        None if sent && spec.service_auth_401_redirect && asked.app.has_service_auth() => {
            Err(asked.forbidden(&machine, &service))
        }
        None if asked.app.policies.could_admit(&machine) => Err(Denial::Login {
            token: service.valid().cloned(),
            invalid_token: matches!(service, Service::Refused { .. }),
        }),
        None => Err(asked.forbidden(&machine, &service)),
    }
}

impl<'a> Asked<'a, '_> {
    /// What the connection shows.
    fn seen(&self) -> Seen<'_> {
        let certificate = self.certificate.as_ref().map(|witness| &**witness.judged());
        Seen { source: &self.source, certificate }
    }

    fn permit(&self, ground: Ground, bearer: Option<Rc<Bearer>>) -> Permit<'a> {
        let counter = self.lane.traffic.counter(self.app, ground, bearer.as_deref(), &self.source);
        Permit {
            lane: self.lane,
            app: Some(self.app),
            ground,
            bearer,
            source: self.source,
            certificate: self.certificate.clone(),
            service: None,
            spent: None,
            counter: Some(counter),
            minted: false,
            busy: None,
        }
    }

    /// The decision of an earlier request on this connection with the same cookies, as strict as a new one: same
    /// configuration, application, address and revocations, and the token not expired.
    fn remembered(&self) -> Option<Permit<'a>> {
        if !self.presented.are_cookies_only() {
            return None;
        }
        let memo = self.peer.memo.borrow();
        let memo = memo.as_ref()?;
        let generation = self.lane.live.revocations.generation();
        let same = memo.world == self.world.number
            && memo.generation == generation
            && memo.app == self.app.id()
            && memo.source == self.source
            && memo.has_certificate(self.certificate.as_ref().map(Witness::judged))
            && self.now < memo.bearer.token().exp()
            && memo.has_cookies(self.presented.cookies());
        self.lane.meters().memo(same);
        same.then(|| Permit {
            lane: self.lane,
            app: Some(self.app),
            ground: memo.ground,
            bearer: Some(Rc::clone(&memo.bearer)),
            source: self.source,
            certificate: self.certificate.clone(),
            service: None,
            spent: None,
            counter: Some(Rc::clone(&memo.counter)),
            minted: false,
            busy: None,
        })
    }

    /// A Bypass or Service Auth policy matched.
    fn admit_machine(
        &self,
        admission: Admission,
        service: &Service<'_>,
    ) -> Result<Permit<'a>, Denial> {
        let spent = match (service, self.app.spec.read_service_tokens_from_header.as_deref()) {
            (Service::Valid { single: true, .. }, Some(name)) => name.parse().ok(),
            (Service::Absent | Service::Valid { .. } | Service::Refused { .. }, _) => None,
        };
        match admission.how {
            Admitted::Bypass => {
                let service = service.valid().filter(|_| self.certificate.is_some()).cloned();
                Ok(Permit { spent, service, ..self.permit(Ground::Bypass(admission.policy), None) })
            }
            Admitted::ServiceAuth | Admitted::Allow => {
                let certificate =
                    self.seen().certificate.filter(|judged| judged.holder().is_some());
                let machine = match (service.valid(), certificate) {
                    (Some(token), Some(judged)) if self.is_for_certificate(admission, token) => {
                        Machine::Certificate(judged)
                    }
                    (Some(token), _) => Machine::Token(token.client_id.as_str()),
                    (None, Some(judged)) => Machine::Certificate(judged),
                    (None, None) => Machine::Network,
                };
                let (lane, policy) = (self.lane, admission.policy);
                let bearer = lane
                    .machines
                    .token(self.world, &lane.live, self.app, policy, machine, self.now);
                let minted = match machine {
                    Machine::Token(_) | Machine::Certificate(_) => true,
                    Machine::Network => false,
                };
                let permit = self.permit(Ground::Machine(policy), bearer);
                Ok(Permit { spent, minted, ..permit })
            }
        }
    }

    /// Of a machine that shows both: whether the policy let it in for its certificate, and would not have for its service token
    /// (access-protocol §7.5).
    fn is_for_certificate(&self, admission: Admission, token: &Arc<ServiceToken>) -> bool {
        let both = facts(self.seen(), Some(token), Person::Anybody);
        let without_token = Facts { service_token: None, ..both };
        let without_certificate = Facts { certificate: CertificateFact::Absent, ..both };
        let admits = |facts: &Facts<'_>| {
            let found = self.app.policies.before_login(facts);
            found.is_some_and(|found| found.policy == admission.policy)
        };
        admits(&without_token) && !admits(&without_certificate)
    }

    /// Tries the application tokens that came along. `None` when none of them proves anything here.
    fn admit_token(&self) -> Result<Option<Permit<'a>>, Denial> {
        let mut denial = None;
        for jwt in self.presented.tokens() {
            let Some(bearer) = self.open(jwt)? else { continue };
            match bearer.token() {
                // One that was issued for a client certificate is no service token, whatever name it carries; the
                // certificate itself is judged on every request.
                AppToken::Machine(token) if token.certificate.is_some() => {}
                AppToken::Machine(token) => {
                    let token = self.world.snapshot.service_token(&token.common_name);
                    if let Some(permit) = self.admit_machine_token(token, &bearer) {
                        return Ok(Some(permit));
                    }
                }
                AppToken::Person(_) => match self.admit_person(&bearer) {
                    Ok(permit) => return Ok(Some(permit)),
                    Err(refused) => denial = denial.or(refused),
                },
            }
        }
        denial.map_or(Ok(None), Err)
    }

    /// A token that is for this application and counts, with the binding cookie that it needs. Under overload a token
    /// that was not verified before is not always verified now.
    fn open(&self, jwt: &str) -> Result<Option<Rc<Bearer>>, Denial> {
        let bearers = &self.lane.bearers;
        let known = bearers.get(jwt);
        self.lane.meters().bearer(known.is_some());
        if known.is_none() && self.lane.overload.sheds(Asker::Stranger) {
            return Err(Denial::Overloaded);
        }
        let opened = known.or_else(|| bearers.open(jwt, &self.world.snapshot.keys, self.now));
        Ok(opened.filter(|bearer| self.counts(bearer)))
    }

    fn counts(&self, bearer: &Bearer) -> bool {
        let bound = match bearer.token() {
            AppToken::Person(token) if self.app.spec.cookie.enable_binding_cookie => {
                token.binding.is_some()
                    && self.presented.bindings().any(|cookie| token.is_bound_to(Some(cookie)))
            }
            AppToken::Person(_) | AppToken::Machine(_) => true,
        };
        is_for(bearer, self.app.aud()) && bound && bearer.is_in_force(&self.lane.live, self.now)
    }

    /// A machine that goes on with the token it was given. Such a token counts only where people are let in as well
    /// (access-protocol §8.3, measured), and only while its service token does.
    fn admit_machine_token(
        &self,
        token: Option<&Arc<ServiceToken>>,
        bearer: &Rc<Bearer>,
    ) -> Option<Permit<'a>> {
        let token = token.filter(|token| token.is_live(self.now))?;
        if !self.app.has_allow() {
            return None;
        }
        let admission =
            self.app.policies.before_login(&facts(self.seen(), Some(token), Person::Nobody))?;
        Some(self.permit(Ground::Machine(admission.policy), Some(Rc::clone(bearer))))
    }

    /// A person with a token for this application. `Err(None)` when a new login could still help.
    fn admit_person(&self, bearer: &Rc<Bearer>) -> Result<Permit<'a>, Option<Denial>> {
        let session = bearer.session(&self.lane.live);
        let facts = facts(self.seen(), None, bearer.person(session.as_deref()));
        let outcome = self.app.policies.after_login(&facts);
        match outcome {
            Outcome::Admit(admission) => {
                let ground = Ground::Person(admission.policy);
                let permit = self.permit(ground, Some(Rc::clone(bearer)));
                self.remember(&permit, bearer, session.is_some());
                Ok(permit)
            }
            // What the session would tell is missing here; the team domain may still know it.
            Outcome::Refuse(Refusal::NothingMatches | Refusal::DeniedBy(_))
                if session.is_none() =>
            {
                Err(None)
            }
            Outcome::Refuse(Refusal::NothingMatches | Refusal::DeniedBy(_)) => {
                let person = session.as_ref().map(|session| Refused::from(&session.identity));
                let reason = self.app.policies.explain(&facts, &outcome);
                let forbidden = Forbidden { reason, person, token: None, by_service_auth: false };
                Err(Some(Denial::Forbidden(Box::new(forbidden))))
            }
        }
    }

    fn remember(&self, permit: &Permit<'_>, bearer: &Rc<Bearer>, whole: bool) {
        let Some(counter) = permit.counter.as_ref().filter(|_| whole) else { return };
        // Not today's generation: somebody may have revoked this very token since it was looked up.
        let Some(generation) = bearer.cleared_in() else { return };
        let cookies = Memo::join(self.presented.cookies());
        if self.presented.are_cookies_only() && cookies.len() <= LONGEST_MEMO {
            *self.peer.memo.borrow_mut() = Some(Memo {
                cookies,
                world: self.world.number,
                generation,
                app: self.app.id(),
                source: self.source,
                certificate: self.certificate.as_ref().map(|witness| Rc::clone(witness.judged())),
                ground: permit.ground,
                bearer: Rc::clone(bearer),
                counter: Rc::clone(counter),
            });
        }
    }

    /// No login can help (access-protocol §3.1 row 9), or a machine is not admitted.
    fn forbidden(&self, facts: &Facts<'_>, service: &Service<'_>) -> Denial {
        let outcome = Outcome::Refuse(Refusal::NothingMatches);
        let token = match service {
            Service::Absent => None,
            Service::Valid { token, .. } => Some(Arc::clone(token)),
            Service::Refused { known, .. } => known.cloned(),
        };
        Denial::Forbidden(Box::new(Forbidden {
            reason: self.app.policies.explain(facts, &outcome),
            person: None,
            token,
            by_service_auth: self.app.has_service_auth(),
        }))
    }

    /// A preflight that the application answers itself: no identity is looked for, none is passed on.
    pub(crate) fn permit_preflight(&self) -> Permit<'a> {
        self.permit(Ground::Preflight, None)
    }
}

/// Lets a request through for which there is an origin and no application, if the organization says so.
pub(crate) fn admit_unmatched<'a>(
    lane: &'a Rc<Lane>,
    world: &World,
    target: &Target,
    source: Source,
    certificate: Option<Witness>,
) -> Option<Permit<'a>> {
    let permit = Permit {
        lane,
        app: None,
        ground: Ground::Unmatched,
        bearer: None,
        source,
        certificate,
        service: None,
        spent: None,
        counter: None,
        minted: false,
        busy: None,
    };
    world.snapshot.admits_unmatched(target.host()).then_some(permit)
}
