//! The client certificate of one connection, and what it is worth (security rules 10, 12 and 13).
//!
//! A handshake proves possession of a key and nothing else, and a resumed one not even that anew. So the chain is
//! judged by us: for the host of each request, under the trust in force. The verdict is kept with what it was judged
//! under; while that has not changed and no time in it has passed, asking again is a comparison.

use narthex_cert::{
    Certificate, Facts, Inquiry, OcspAnswer, OcspQuestion, PresentedChain, Reason, TrustDigest,
    Verdict,
};
use narthex_model::{CertificateHolder, Hostname, HostnameSetting, UnixSeconds};
use narthex_policy::CertificateFact;
use narthex_snapshot::{CertificateRule, OcspAnswers, OcspAsk};
use narthex_token::CertificateThumbprint;
use narthex_upstream::JudgedCertificate;
use rustls::pki_types::CertificateDer;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tracing::debug;

/// Characters of a name that are logged; whoever made the certificate chose it. (A DN's text is ASCII.)
const LONGEST_LOGGED: usize = 256;

/// What one connection's client showed of itself.
pub(crate) struct ClientCertificate {
    /// The authorities by which the handshake, or the one that it resumes, asked for a certificate.
    asked: Option<TrustDigest>,
    shown: Rc<Shown>,
    /// Whether it was trusted at an earlier request of this connection.
    trusted: Cell<bool>,
    judged: RefCell<Option<Rc<Judged>>>,
    /// The hosts whose origin has been told of the certificate on this connection.
    told: RefCell<Vec<Hostname>>,
}

/// What is known to the questions of a verdict, in their order.
type Answers = Box<[Option<Arc<OcspAnswer>>]>;

/// What came in the client's `Certificate` message.
enum Shown {
    Nothing,
    /// Something that is no chain of X.509 certificates.
    Unreadable,
    Chain(PresentedChain),
}

/// The certificate as judged under one hostname's rule.
pub(crate) struct Judged {
    host: Hostname,
    rule: Arc<CertificateRule>,
    shown: Rc<Shown>,
    /// None without a chain.
    verdict: Option<Verdict>,
    /// The answers of OCSP responders that the verdict rests on, one for each of its questions.
    ocsp: Answers,
    /// What policies may know; only of a certificate that is trusted.
    holder: Option<Arc<CertificateHolder>>,
    facts: OnceCell<Facts>,
}

/// How a certificate stands, for those who are told why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None was presented.
    Missing,
    /// It is not trusted.
    Failed(Reason),
    /// It is trusted.
    Trusted,
}

impl ClientCertificate {
    /// Whether the client showed a certificate, whatever it is worth.
    pub(crate) fn was_shown(&self) -> bool {
        match *self.shown {
            Shown::Nothing => false,
            Shown::Unreadable | Shown::Chain(_) => true,
        }
    }

    /// What a handshake showed. `asked`: the authorities by one of which a certificate was asked for, if it was.
    pub(crate) fn of(asked: Option<TrustDigest>, chain: Option<&[CertificateDer<'_>]>) -> Rc<Self> {
        let shown = match chain.filter(|chain| asked.is_some() && !chain.is_empty()) {
            None => Shown::Nothing,
            Some(chain) => PresentedChain::parse(chain).map_or_else(
                |fault| {
                    debug!(reason = %fault, "an unreadable client certificate: {fault}");
                    Shown::Unreadable
                },
                Shown::Chain,
            ),
        };
        let (judged, told, trusted) = Default::default();
        Rc::new(Self { asked, shown: Rc::new(shown), trusted, judged, told })
    }

    /// The certificate as it stands now for requests to `host`, whose rule is `rule`. None where none is asked for: there a
    /// certificate counts for nothing, whatever the connection showed.
    pub(crate) fn judged(
        &self,
        host: &Hostname,
        rule: Option<&Arc<CertificateRule>>,
        ocsp: &OcspAnswers,
        now: UnixSeconds,
    ) -> Option<Rc<Judged>> {
        let rule = rule?;
        let mut kept = self.judged.borrow_mut();
        let last = kept.as_ref().filter(|last| last.holds(ocsp, now));
        if let Some(last) = last {
            last.stay_informed(ocsp, now);
        }
        if let Some(last) = last.filter(|last| Arc::ptr_eq(&last.rule, rule) && last.host == *host)
        {
            return Some(Rc::clone(last));
        }
        let same = last.filter(|last| last.rule.trust.digest() == rule.trust.digest());
        let (verdict, answers) = match (same, &*self.shown) {
            (Some(last), _) => (last.verdict.clone(), last.ocsp.clone()),
            (None, Shown::Chain(chain)) => {
                let (verdict, answers) = judge(chain, rule, ocsp, now);
                (Some(verdict), answers)
            }
            (None, Shown::Nothing | Shown::Unreadable) => (None, Box::default()),
        };
        let judged = Judged::new(host.clone(), Arc::clone(rule), &self.shown, verdict, answers);
        let judged = Rc::new(judged);
        *kept = Some(Rc::clone(&judged));
        Some(judged)
    }

    /// Whether this connection, on which the certificate is judged like this, had better end: a certificate that is trusted
    /// may come with the next handshake. A handshake asked for none or by other authorities than count now, or what it
    /// brought was trusted and is so no longer. To be asked at each request.
    pub(crate) fn is_outdated(&self, judged: &Judged) -> bool {
        match judged.standing() {
            Standing::Trusted => {
                self.trusted.set(true);
                false
            }
            Standing::Failed(reason) if reason.passes_by_itself() => false,
            Standing::Missing | Standing::Failed(_) => {
                self.trusted.get() || self.was_asked_otherwise(judged)
            }
        }
    }

    /// Whether the next handshake asks by other authorities, so that a client may choose another certificate.
    pub(crate) fn was_asked_otherwise(&self, judged: &Judged) -> bool {
        self.asked != Some(judged.rule.trust.authorities_digest())
    }

    /// Whether this is the first request of the connection that is passed on to `host` (access-protocol §7.6). Asking makes
    /// it the first.
    pub(crate) fn is_first_for(&self, host: &Hostname) -> bool {
        let mut told = self.told.borrow_mut();
        let first = !told.contains(host);
        if first {
            told.push(host.clone());
        }
        first
    }
}

impl JudgedCertificate for Judged {
    fn facts(&self) -> &Facts {
        // Made when they are first asked for.
        self.facts.get_or_init(|| match (&*self.shown, &self.verdict) {
            (Shown::Nothing, _) => Facts::none(),
            (Shown::Chain(chain), Some(verdict)) => Facts::of(chain, verdict),
            (Shown::Unreadable | Shown::Chain(_), _) => Facts::unreadable(),
        })
    }

    fn chain(&self) -> Option<&PresentedChain> {
        match &*self.shown {
            Shown::Chain(chain) => Some(chain),
            Shown::Nothing | Shown::Unreadable => None,
        }
    }

    fn setting(&self) -> Option<&HostnameSetting> {
        self.rule.setting.as_deref()
    }
}

impl Judged {
    fn new(
        host: Hostname,
        rule: Arc<CertificateRule>,
        shown: &Rc<Shown>,
        verdict: Option<Verdict>,
        ocsp: Answers,
    ) -> Self {
        let holder = match (&**shown, &verdict) {
            (Shown::Chain(chain), Some(verdict)) => verdict.outcome.as_ref().ok().map(|trusted| {
                let authority = rule.authorities.get(trusted.member).map(|it| it.id);
                let issuer = verdict.issuer.as_deref();
                Arc::new(CertificateHolder {
                    certificate_id: authority,
                    ..holder(chain.leaf(), issuer)
                })
            }),
            (Shown::Nothing | Shown::Unreadable | Shown::Chain(_), _) => None,
        };
        let (shown, facts) = (Rc::clone(shown), OnceCell::new());
        Self { host, rule, shown, verdict, ocsp, holder, facts }
    }

    /// Whether nothing that it rests on has changed: no time in it has passed, and no responder has spoken since.
    fn holds(&self, ocsp: &OcspAnswers, now: UnixSeconds) -> bool {
        let Some(verdict) = &self.verdict else { return true };
        let mut answers = verdict.ocsp.iter().zip(&self.ocsp);
        let same = answers.all(|(asked, known)| match (known, ocsp.get(&asked.question)) {
            (Some(known), Some(last)) => Arc::ptr_eq(known, &last),
            (None, None) => true,
            (None, Some(last)) => !last.counts(now),
            (Some(_), None) => false,
        });
        same && verdict.holds(now)
    }

    /// Asks for the next answers of OCSP responders in good time, and again where there were none.
    fn stay_informed(&self, ocsp: &OcspAnswers, now: UnixSeconds) {
        if let Some(verdict) = &self.verdict {
            ask(&self.rule, verdict, ocsp, now);
        }
    }

    /// The questions to OCSP responders without whose answers the certificate was judged.
    pub(crate) fn open_questions(&self) -> impl Iterator<Item = &OcspQuestion> {
        let asked = self.verdict.iter().flat_map(|verdict| &verdict.ocsp);
        asked.zip(&self.ocsp).filter(|(_, known)| known.is_none()).map(|(asked, _)| &asked.question)
    }

    /// The host that it was judged for.
    pub(crate) fn host(&self) -> &Hostname {
        &self.host
    }

    /// The rule that it was judged under.
    pub(crate) fn rule(&self) -> &Arc<CertificateRule> {
        &self.rule
    }

    /// What policies may know.
    pub(crate) fn fact(&self) -> CertificateFact<'_> {
        self.holder.as_deref().map_or(CertificateFact::Absent, CertificateFact::Valid)
    }

    /// Who holds it, if it is trusted.
    pub(crate) fn holder(&self) -> Option<&Arc<CertificateHolder>> {
        self.holder.as_ref()
    }

    /// What binds a token to it, if it is trusted.
    pub(crate) fn thumbprint(&self) -> Option<CertificateThumbprint> {
        let leaf = self.chain().filter(|_| self.holder.is_some())?.leaf();
        Some(CertificateThumbprint::of_sha256(leaf.sha256()))
    }

    /// How it stands.
    pub(crate) fn standing(&self) -> Standing {
        match (&*self.shown, &self.verdict) {
            (Shown::Nothing, _) => Standing::Missing,
            (Shown::Chain(_), Some(verdict)) => match &verdict.outcome {
                Ok(_) => Standing::Trusted,
                Err(reason) => Standing::Failed(*reason),
            },
            (Shown::Unreadable | Shown::Chain(_), _) => Standing::Failed(Reason::Malformed),
        }
    }

    /// For the log: how it stands, by whom it says that it is, and which it is (checklist T7, T22).
    pub(crate) fn for_operator(&self) -> String {
        let facts = self.facts();
        let field = |field| facts.get(field);
        use narthex_model::ClientAuthField::{CertFingerprintSha256, CertIssuerDn, CertVerified};
        match self.chain() {
            None => field(CertVerified).to_owned(),
            Some(_) => format!(
                "{} (issuer {:?}, sha256 {})",
                field(CertVerified),
                field(CertIssuerDn).get(..LONGEST_LOGGED).unwrap_or(field(CertIssuerDn)),
                field(CertFingerprintSha256)
            ),
        }
    }
}

/// Judges a chain, with what OCSP responders say where the rule is to ask. What is not known, or was not asked for long, is
/// asked for; the verdict does not wait for it.
fn judge(
    chain: &PresentedChain,
    rule: &CertificateRule,
    ocsp: &OcspAnswers,
    now: UnixSeconds,
) -> (Verdict, Answers) {
    let mut verdict = rule.trust.verify(chain, &[], now);
    ask(rule, &verdict, ocsp, now);
    let last = |asked: &Inquiry| ocsp.get(&asked.question).filter(|answer| answer.counts(now));
    let known: Vec<_> = verdict.ocsp.iter().filter_map(last).collect();
    if !known.is_empty() {
        verdict = rule.trust.verify(chain, &known, now);
    }
    let answer = |asked: &Inquiry| known.iter().find(|it| it.answers(&asked.question)).cloned();
    let answers = verdict.ocsp.iter().map(answer).collect();
    (verdict, answers)
}

/// Asks the OCSP responders if it is time to: about the client's certificate the one that the authority has in its settings, else
/// the one that the certificate names.
fn ask(rule: &CertificateRule, verdict: &Verdict, ocsp: &OcspAnswers, now: UnixSeconds) {
    let authority = verdict.member.and_then(|member| rule.authorities.get(member));
    for Inquiry { question, certificate, issuer } in &verdict.ocsp {
        if !ocsp.may_ask(question, now) {
            continue;
        }
        let set = authority.filter(|_| !certificate.is_ca()).and_then(|it| it.ocsp_url.clone());
        let named = || certificate.ocsp_urls().iter().find_map(|url| url.parse().ok());
        if let Some(url) = set.or_else(named) {
            let (question, issuer) = (question.clone(), Arc::clone(issuer));
            ocsp.ask(OcspAsk { question, issuer, url }, now);
        }
    }
}

fn holder(leaf: &Certificate, issuer: Option<&Certificate>) -> CertificateHolder {
    let ski = issuer.and_then(Certificate::subject_key_id).or(leaf.authority_key_id());
    CertificateHolder {
        cert_issuer_dn: leaf.issuer().rfc2253(),
        cert_serial: leaf.serial().hex(),
        cert_issuer_ski: ski
            .map(|ski| ski.iter().map(|octet| format!("{octet:02X}")).collect())
            .unwrap_or_default(),
        common_name: leaf.common_name().map(Into::into),
        certificate_id: None,
        dns_names: leaf.dns_names().into(),
        emails: leaf.emails().into(),
        uris: leaf.uris().into(),
        spki_sha256: leaf.spki_sha256_hex().into(),
        fingerprint_sha256: leaf.sha256_hex().into(),
    }
}
