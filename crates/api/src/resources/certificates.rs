//! `access/certificates`: the authorities whose client certificates Access trusts (access-protocol §7.2), and three
//! operations of our own below them: how revocation is found out, and revocation lists.

use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::error::{ApiError, Kind};
use crate::fields::Fields;
use crate::resources::authority_form::{Uploaded, expiring};
use crate::resources::found;
use narthex_model::{
    AuthorityKind, CertificateAuthority, CertificateAuthorityId, Configuration, Hostname,
    RevocationChecks, WrittenHostname,
};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

fn document(authority: &CertificateAuthority, call: &Call) -> Value {
    json!({
        "id": authority.id, "name": authority.name, "fingerprint": format!("MD5 Fingerprint={}", authority.fingerprint),
        "expires_on": authority.expires_on, "associated_hostnames": authority.hostnames,
        "expires_soon": expiring(authority.expires_on, call.now), "created_at": authority.created_at,
        "updated_at": authority.updated_at,
    })
}

pub(crate) fn places(id: CertificateAuthorityId) -> [(FaultAt, String); 1] {
    [(FaultAt::CertificateAuthority(id), String::new())]
}

impl Call {
    /// The authority that the path names.
    pub(crate) fn certificate(
        &self,
        configuration: &Configuration,
    ) -> Result<Arc<CertificateAuthority>, ApiError> {
        let id = self.id(0, Kind::Certificate)?;
        let authorities = &configuration.certificate_authorities;
        let seen = |it: &CertificateAuthority| {
            it.kind == AuthorityKind::Access && self.scope.sees(it.zone.as_ref())
        };
        found(authorities, id, seen, Kind::Certificate)
    }

    /// Replaces the authority that the path names by what `edit` makes of it.
    async fn replace_certificate(
        &self,
        edit: impl Fn(&CertificateAuthority) -> CertificateAuthority + Send + Sync,
    ) -> Result<Arc<CertificateAuthority>, ApiError> {
        let id: CertificateAuthorityId = self.id(0, Kind::Certificate)?;
        self.change(&places(id), |configuration| {
            let old = self.certificate(configuration)?;
            let new = Arc::new(CertificateAuthority { updated_at: self.stamp(), ..edit(&old) });
            configuration.certificate_authorities.insert(id, Arc::clone(&new));
            Ok(new)
        })
        .await
    }
}

/// Hostnames; through a zone's door only those of the zone.
fn hostnames(fields: &Fields, name: &str, call: &Call) -> Result<Vec<WrittenHostname>, ApiError> {
    let hosts: Vec<WrittenHostname> = fields.or_default(name)?;
    for (place, host) in hosts.iter().enumerate() {
        call.of_this_zone(host.host(), format!("/{name}/{place}"))?;
    }
    Ok(hosts)
}

impl Call {
    /// Refuses hostnames outside of the zone through whose door the call came.
    pub(crate) fn of_this_zone(&self, host: &Hostname, pointer: String) -> Result<(), ApiError> {
        let Scope::Zone(zone) = &self.scope else { return Ok(()) };
        let snapshot = self.parts.live.snapshot.load();
        let of = snapshot.premises.zone_of(host);
        if of.is_some_and(|of| of.id == *zone) {
            return Ok(());
        }
        Err(ApiError::invalid(pointer, format!("domain does not belong to zone: {host}")))
    }
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let standing = call.standing();
    let mut all: Vec<&Arc<CertificateAuthority>> = standing
        .configuration
        .certificate_authorities
        .values()
        .filter(|it| it.kind == AuthorityKind::Access && call.scope.sees(it.zone.as_ref()))
        .collect();
    all.sort_by_key(|it| (it.created_at, it.id));
    Ok(Answer::page_of(page, all, |it| document(it, &call)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(&*call.certificate(&call.standing().configuration)?, &call)))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let name = fields.name()?.ok_or_else(|| fields.refuse("name", "name is required"))?;
    let uploaded = Uploaded::read(&fields, "certificate")?;
    let hosts = hostnames(&fields, "associated_hostnames", &call)?;
    let revocation: RevocationChecks = fields.or_default("revocation")?;
    callable(&revocation, "/revocation", &call)?;
    let made = uploaded.authority(AuthorityKind::Access, name, call.scope.zone(), call.stamp());
    let authority = Arc::new(CertificateAuthority { hostnames: hosts, revocation, ..made });
    call.change(&places(authority.id), |configuration| {
        configuration.certificate_authorities.insert(authority.id, Arc::clone(&authority));
        Ok(())
    })
    .await?;
    Ok(Answer::created(document(&authority, &call)))
}

/// Name and hostnames, never the certificate. A body without hostnames empties their list: that is how the Terraform
/// provider begins to delete (api/README "Write semantics").
pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let name = fields.name()?;
    let hosts = hostnames(&fields, "associated_hostnames", &call)?;
    let authority = call
        .replace_certificate(|old| CertificateAuthority {
            name: name.clone().unwrap_or_else(|| old.name.clone()),
            hostnames: hosts.clone(),
            ..old.clone()
        })
        .await?;
    Ok(Answer::ok(document(&authority, &call)))
}

pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id = call
        .change(&[], |configuration| {
            let authority = call.certificate(configuration)?;
            if !authority.hostnames.is_empty() {
                return Err(ApiError::Conflict("certificate has active associations".to_owned()));
            }
            configuration.certificate_authorities.remove(&authority.id);
            Ok(authority.id)
        })
        .await?;
    Ok(Answer::accepted(json!({ "id": id })))
}

// --- ours: revocation

/// Refuses addresses of lists that the fence keeps the gateway from calling; `at` is where the settings stand.
fn callable(checks: &RevocationChecks, at: &str, call: &Call) -> Result<(), ApiError> {
    let fence = call.parts.fence.for_signed_data();
    for (place, url) in checks.crl.urls.iter().enumerate() {
        let refuse = |why: narthex_idp::FencedOff| {
            ApiError::invalid(format!("{at}/crl/urls/{place}"), why.to_string())
        };
        fence.admits(url).map_err(refuse)?;
    }
    Ok(())
}

fn revocation_document(authority: &CertificateAuthority) -> Value {
    json!(authority.revocation)
}

/// `GET …/revocation`: how it is found out that a certificate of this authority was revoked.
pub(crate) async fn revocation(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(revocation_document(&*call.certificate(&call.standing().configuration)?)))
}

/// `PUT …/revocation`: replaces it. What the body does not mention has its default.
pub(crate) async fn update_revocation(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let checks = RevocationChecks {
        crl: fields.or_default("crl")?,
        ocsp: fields.or_default("ocsp")?,
        serial_numbers: fields.or_default("serial_numbers")?,
    };
    callable(&checks, "", &call)?;
    let id: CertificateAuthorityId = call.id(0, Kind::Certificate)?;
    let places = [(FaultAt::CertificateAuthority(id), String::new())];
    let audit = call.audit();
    let outcome = call.parts.desk.change(&audit, |configuration| {
        let old = call.certificate(configuration)?;
        let new = Arc::new(CertificateAuthority {
            revocation: checks.clone(),
            updated_at: call.stamp(),
            ..CertificateAuthority::clone(&old)
        });
        configuration.certificate_authorities.insert(id, Arc::clone(&new));
        Ok(new)
    });
    // The body is the object that the fault's pointer calls `/revocation`.
    let below = |_: FaultAt, pointer: &str| {
        pointer.strip_prefix("/revocation").unwrap_or(pointer).to_owned()
    };
    let authority = outcome.await.map_err(|error| error.in_request(&places, below))?;
    call.parts.desk.forget_unused_lists(&authority).await?;
    Ok(Answer::ok(revocation_document(&authority)))
}
