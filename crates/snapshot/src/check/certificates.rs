//! Trust material: what cannot be read or must not be trusted refuses the whole change (security rule 15, T30).

use crate::{Fault, FaultAt};
use narthex_cert::{Authority, TrustFault};
use narthex_model::{
    AuthorityKind, CertificateAuthority, CertificateAuthorityId, Configuration, Hostname, Premises,
    Rule, RuleSet, Selector,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// Authorities of one kind at most (api/README "Error codes", `maximum number of certificates has been reached`).
const MOST_AUTHORITIES: usize = 50;
/// Hostnames of one authority at most.
const MOST_HOSTNAMES: usize = 1_000;
/// Addresses of revocation lists of one authority at most.
const MOST_URLS: usize = 10;

/// The authorities, read.
pub(crate) type Authorities = BTreeMap<CertificateAuthorityId, Arc<Authority>>;

/// Reads every authority and checks what is said about it.
pub(crate) fn authorities(
    premises: &Premises,
    configuration: &Configuration,
) -> Result<Authorities, Fault> {
    let mut said: Vec<&Arc<CertificateAuthority>> =
        configuration.certificate_authorities.values().collect();
    said.sort_by_key(|authority| (authority.created_at, authority.id));
    let mut read = Authorities::new();
    let mut known: Vec<(AuthorityKind, Vec<u8>, CertificateAuthorityId)> = Vec::new();
    for authority in said {
        let at = FaultAt::CertificateAuthority(authority.id);
        let made = Authority::parse(authority.certificates.as_str());
        let made = made.map_err(|why| Fault::invalid(at, "/certificate", why.to_string()))?;
        let principal = made.principal().der().as_ref().to_vec();
        let of_kind = known.iter().filter(|(kind, _, _)| *kind == authority.kind);
        if of_kind.clone().count() >= MOST_AUTHORITIES {
            let message = format!(
                "maximum number of certificates has been reached: there are {MOST_AUTHORITIES}; delete one first"
            );
            return Err(Fault::invalid(at, "", message));
        }
        if let Some((_, _, other)) = of_kind.clone().find(|(_, der, _)| *der == principal) {
            let message = format!("certificate {other} is the same; change its hostnames instead");
            return Err(Fault::duplicate(at, "/certificate", message));
        }
        known.push((authority.kind, principal, authority.id));
        hostnames(premises, authority)?;
        revocation(authority)?;
        read.insert(authority.id, Arc::new(made));
    }
    settings(premises, configuration)?;
    rules(configuration)?;
    Ok(read)
}

/// What a hostname's trust could not be made of, as a fault of the authority that is to blame.
pub(crate) fn untrusted(fault: &TrustFault, members: &[CertificateAuthorityId]) -> Fault {
    let (member, pointer) = match fault {
        TrustFault::ForeignList { member, .. } => (*member, "/revocation/crl"),
        TrustFault::NotAnAnchor { member, .. } => (*member, "/certificate"),
    };
    let at = members.get(member).map_or(FaultAt::Premises, |id| FaultAt::CertificateAuthority(*id));
    Fault::invalid(at, pointer, fault.to_string())
}

fn hostnames(premises: &Premises, authority: &CertificateAuthority) -> Result<(), Fault> {
    let at = FaultAt::CertificateAuthority(authority.id);
    let names = &authority.hostnames;
    if names.len() > MOST_HOSTNAMES {
        let message = format!("a certificate has at most {MOST_HOSTNAMES} hostnames");
        return Err(Fault::invalid(at, "/associated_hostnames", message));
    }
    for (place, host) in names.iter().enumerate() {
        let pointer = format!("/associated_hostnames/{place}");
        if names[..place].iter().any(|other| other.host() == host.host()) {
            return Err(Fault::invalid(at, pointer, format!("{host} stands twice")));
        }
        ours(premises, host.host()).map_err(|message| Fault::invalid(at, pointer, message))?;
    }
    Ok(())
}

/// Whether certificates may be asked for on this hostname: it lies in our zones and is not the gateway itself, whose
/// pages must open for people without a certificate.
fn ours(premises: &Premises, host: &Hostname) -> Result<(), String> {
    if host == premises.team.host() || premises.admin.as_ref().is_some_and(|own| own.host == *host)
    {
        return Err(format!(
            "{host} is the gateway itself, where no client certificate is asked for"
        ));
    }
    if !premises.zones.is_empty() && premises.zone_of(host).is_none() {
        return Err(format!(
            "domain does not belong to zone: {host} lies in none of the zones of the configuration file"
        ));
    }
    Ok(())
}

fn revocation(authority: &CertificateAuthority) -> Result<(), Fault> {
    let refuse = |pointer: &str, message: String| {
        let at = FaultAt::CertificateAuthority(authority.id);
        Err(Fault::invalid(at, format!("/revocation{pointer}"), message))
    };
    let (crl, ocsp) = (&authority.revocation.crl, &authority.revocation.ocsp);
    if crl.urls.len() > MOST_URLS {
        return refuse("/crl/urls", format!("name at most {MOST_URLS} addresses"));
    }
    for (place, url) in crl.urls.iter().enumerate() {
        if !is_web(url) {
            return refuse(
                &format!("/crl/urls/{place}"),
                format!("{url} is not an http or https address without credentials"),
            );
        }
        if crl.urls[..place].contains(url) {
            return refuse(&format!("/crl/urls/{place}"), format!("{url} stands twice"));
        }
    }
    if !(60..=7 * 86_400).contains(&crl.refresh.seconds()) {
        return refuse("/crl/refresh", "lists are fetched every 1m to 168h".to_owned());
    }
    if crl.grace.seconds() > 30 * 86_400 {
        return refuse("/crl/grace", "a list is used for at most 720h after its time".to_owned());
    }
    if let Some(url) = ocsp.url.as_ref().filter(|url| !is_web(url)) {
        let message = format!("{url} is not an http or https address without credentials");
        return refuse("/ocsp/url", message);
    }
    Ok(())
}

fn is_web(url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    matches!(url.scheme(), "http" | "https") && url.host().is_some() && bare
}

fn settings(premises: &Premises, configuration: &Configuration) -> Result<(), Fault> {
    for setting in configuration.hostname_settings.values() {
        ours(premises, setting.hostname.host()).map_err(|message| {
            let pointer = format!("/{}/hostname", setting.hostname.host());
            Fault::invalid(FaultAt::HostnameSettings, pointer, message)
        })?;
    }
    Ok(())
}

/// Rules that name an authority name one that is there.
fn rules(configuration: &Configuration) -> Result<(), Fault> {
    let policies = configuration.policies.values();
    let policies = policies.map(|policy| (FaultAt::Policy(policy.id), &policy.rules));
    let groups = configuration.groups.values();
    let groups = groups.map(|group| (FaultAt::Group(group.id), &group.rules));
    for (at, rules) in policies.chain(groups) {
        for (pointer, rule) in places(rules) {
            let Selector::Certificate(wanted) = rule.selector() else { continue };
            let Some(id) = wanted.authority else { continue };
            if !configuration.certificate_authorities.contains_key(&id) {
                return Err(Fault::missing(at, pointer, format!("there is no certificate {id}")));
            }
        }
    }
    Ok(())
}

fn places(rules: &RuleSet) -> impl Iterator<Item = (String, &Rule)> {
    let lists =
        [("include", &rules.include), ("require", &rules.require), ("exclude", &rules.exclude)];
    lists.into_iter().flat_map(|(name, list)| {
        list.iter().enumerate().map(move |(at, rule)| (format!("/{name}/{at}"), rule))
    })
}
