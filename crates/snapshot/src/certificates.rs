//! Which client certificates count on which hostname, compiled, and what is told about them (access-protocol §7).
//!
//! A hostname has one rule: every authority that is associated with it, by whichever door, is trusted there, so that
//! a new authority can take over from an old one without a gap. Authorities of other hostnames never help.

use crate::check::certificates::{self as check, Authorities};
use crate::{Fault, RevocationLists};
use hashbrown::HashMap;
use narthex_cert::{ListRule, Member, OcspRule, RevokedCertificates, Serial, Trust};
use narthex_model::{
    AuthorityKind, CertificateAuthority, CertificateAuthorityId, CheckMode,
    ClientCertificateStatus, Configuration, Hostname, HostnameSetting, OcspChecks, Premises,
    SerialNumber, ZoneId,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// Everything about client certificates on one hostname. A certificate is asked for where there is a rule.
pub struct CertificateRule {
    /// Whose certificates count. Its digest changes exactly when that changes: authorities, revocations, lists, rules.
    pub trust: Arc<Trust>,
    /// Who the members of `trust` are, in their order.
    pub authorities: Arc<[RuleAuthority]>,
    /// What the origin is told; `None`: nothing but the managed headers.
    pub setting: Option<Arc<HostnameSetting>>,
    /// The managed headers of the hostname's zone.
    pub managed: ManagedHeaders,
}

/// What is known of a member of a hostname's trust beside its certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAuthority {
    /// Its id, which rules may name.
    pub id: CertificateAuthorityId,
    /// A name for people.
    pub name: Box<str>,
    /// Through which door it came.
    pub kind: AuthorityKind,
    /// The OCSP responder to ask in place of the one that a client's certificate names.
    pub ocsp_url: Option<Url>,
}

/// Whether the managed set of TLS client-auth headers is written (access-protocol §7.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ManagedHeaders {
    /// On requests to the origin.
    pub on_requests: bool,
    /// On responses to the client.
    pub on_responses: bool,
}

impl fmt::Debug for CertificateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateRule")
            .field("trust", &self.trust.digest())
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

/// The rules of every hostname that has one.
pub(crate) struct Certificates {
    rules: HashMap<Hostname, Arc<CertificateRule>>,
    managed: HashMap<ZoneId, ManagedHeaders>,
}

impl Certificates {
    /// Checks and compiles what the configuration says about client certificates.
    pub(crate) fn compile(
        premises: &Premises,
        configuration: &Configuration,
        lists: &RevocationLists,
    ) -> Result<Self, Fault> {
        let authorities = check::authorities(premises, configuration)?;
        let managed = configuration.managed_transforms.values().map(|transforms| {
            let managed = ManagedHeaders {
                on_requests: transforms.client_certificate_request_headers,
                on_responses: transforms.client_certificate_response_headers,
            };
            (transforms.zone.clone(), managed)
        });
        let mut compiled = Self { rules: HashMap::new(), managed: managed.collect() };
        let mut trusts = Trusts::of(configuration, &authorities, lists);
        for (host, members) in associations(configuration) {
            let (trust, authorities) = trusts.of_members(&members)?;
            let setting = configuration.hostname_settings.get(host).cloned();
            let managed = compiled.managed_headers(premises, host);
            let rule = CertificateRule { trust, authorities, setting, managed };
            compiled.rules.insert(host.clone(), Arc::new(rule));
        }
        Ok(compiled)
    }

    pub(crate) fn rule(&self, host: &Hostname) -> Option<&Arc<CertificateRule>> {
        self.rules.get(host)
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = (&Hostname, &Arc<CertificateRule>)> {
        self.rules.iter()
    }

    pub(crate) fn managed_headers(&self, premises: &Premises, host: &Hostname) -> ManagedHeaders {
        if self.managed.is_empty() {
            return ManagedHeaders::default();
        }
        let zone = premises.zone_of(host);
        zone.and_then(|zone| self.managed.get(&zone.id)).copied().unwrap_or_default()
    }
}

/// The hostnames on which a certificate is asked for, each with its authorities. Forwarding and header rules ask for
/// one too; where no authority is associated, it counts for nothing.
fn associations(
    configuration: &Configuration,
) -> BTreeMap<&Hostname, Vec<&Arc<CertificateAuthority>>> {
    let mut hosts: BTreeMap<&Hostname, Vec<&Arc<CertificateAuthority>>> = BTreeMap::new();
    for authority in configuration.certificate_authorities.values() {
        for host in &authority.hostnames {
            hosts.entry(host.host()).or_default().push(authority);
        }
    }
    for setting in configuration.hostname_settings.values() {
        if setting.client_certificate_forwarding || !setting.request_headers.is_empty() {
            hosts.entry(setting.hostname.host()).or_default();
        }
    }
    hosts
}

type Shared = (Arc<Trust>, Arc<[RuleAuthority]>);

/// Trusts as they are needed: hostnames with the same authorities share one.
struct Trusts<'a> {
    members: BTreeMap<CertificateAuthorityId, Member>,
    known: BTreeMap<Vec<CertificateAuthorityId>, Shared>,
    configuration: &'a Configuration,
}

impl<'a> Trusts<'a> {
    fn of(
        configuration: &'a Configuration,
        authorities: &Authorities,
        lists: &RevocationLists,
    ) -> Self {
        let member = |(id, authority): (&CertificateAuthorityId, &Arc<narthex_cert::Authority>)| {
            let said = configuration.certificate_authorities.get(id)?;
            Some((*id, self::member(configuration, said, authority, lists)))
        };
        let members = authorities.iter().filter_map(member).collect();
        Self { members, known: BTreeMap::new(), configuration }
    }

    fn of_members(&mut self, members: &[&Arc<CertificateAuthority>]) -> Result<Shared, Fault> {
        let ids: Vec<CertificateAuthorityId> = members.iter().map(|it| it.id).collect();
        if let Some(known) = self.known.get(&ids) {
            return Ok(known.clone());
        }
        let compiled =
            Trust::compile(ids.iter().filter_map(|id| self.members.get(id)).cloned().collect());
        let trust = compiled.map_err(|fault| check::untrusted(&fault, &ids))?;
        let authorities = ids.iter().filter_map(|id| {
            let said = self.configuration.certificate_authorities.get(id)?;
            Some(RuleAuthority {
                id: said.id,
                name: said.name.as_str().into(),
                kind: said.kind,
                ocsp_url: said.revocation.ocsp.url.clone(),
            })
        });
        let shared: Shared = (Arc::new(trust), authorities.collect());
        self.known.insert(ids, shared.clone());
        Ok(shared)
    }
}

/// An authority with everything that decides on revocation.
fn member(
    configuration: &Configuration,
    said: &CertificateAuthority,
    authority: &Arc<narthex_cert::Authority>,
    lists: &RevocationLists,
) -> Member {
    let crl = &said.revocation.crl;
    let lists = lists.of(said.id);
    let (lists, list_rule) = match crl.mode {
        CheckMode::Off => (Vec::new(), ListRule::default()),
        CheckMode::Soft => {
            // A list that is late still revokes what it names.
            (lists.to_vec(), ListRule { required: false, grace_seconds: FOR_EVER })
        }
        CheckMode::Hard => {
            let required = !(crl.urls.is_empty() && lists.is_empty());
            (lists.to_vec(), ListRule { required, grace_seconds: crl.grace.seconds() })
        }
    };
    let OcspChecks { mode, intermediates, url: _ } = &said.revocation.ocsp;
    let mut revoked = RevokedCertificates::default();
    let mut revoke = |serial: &SerialNumber| {
        let Some(serial) = Serial::from_hex(serial.as_str()) else { return };
        for issuer in authority.certificates() {
            revoked.insert(issuer.subject(), serial.clone());
        }
    };
    said.revocation.serial_numbers.iter().for_each(&mut revoke);
    let issued = configuration.client_certificates.values().filter(|it| it.authority == said.id);
    for certificate in issued {
        match certificate.status {
            ClientCertificateStatus::Active => {}
            ClientCertificateStatus::Revoked => revoke(&certificate.serial_number),
        }
    }
    Member {
        lists,
        list_rule,
        revoked: Arc::new(revoked),
        ocsp: ocsp_rule(*mode),
        ocsp_intermediates: ocsp_rule(intermediates.unwrap_or(*mode)),
        ..Member::new(Arc::clone(authority))
    }
}

fn ocsp_rule(mode: CheckMode) -> OcspRule {
    match mode {
        CheckMode::Off => OcspRule::Off,
        CheckMode::Soft => OcspRule::Soft,
        CheckMode::Hard => OcspRule::Hard,
    }
}

/// A hundred years in seconds.
const FOR_EVER: i64 = 100 * 366 * 86_400;
