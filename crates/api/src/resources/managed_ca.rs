//! The gateway's own authority: made when it is first needed, its key sealed in the store (api/README "Client
//! certificates"). It gets a new key long before its time is over, or when it is asked to (`certificate_authorities`, ours): an
//! authority more of this kind, on the same hostnames. The newest signs; what the others signed counts until they end or are
//! removed.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::authority_form::expiring;
use crate::resources::found;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use narthex_cert::IssuingCa;
use narthex_model::{
    AuthorityKind, CertificateAuthority, CertificateAuthorityId, ClientCertificateStatus,
    Configuration, RevocationChecks, Secret, Timestamp, UnixSeconds,
};
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Life of the authority in days: ten years.
const DAYS: u32 = 3650;

/// With fewer seconds left it gets a new key before it signs: two years, so that a certificate of a year is never cut short.
const RENEWED_BEFORE: i64 = 2 * 365 * 86_400;

/// The gateway's own authority, if it has been needed yet: of several the newest, which signs.
pub(crate) fn managed(configuration: &Configuration) -> Option<&Arc<CertificateAuthority>> {
    all_managed(configuration).max_by_key(|it| (it.created_at, it.id))
}

/// Those before it as well.
pub(crate) fn all_managed(
    configuration: &Configuration,
) -> impl Iterator<Item = &Arc<CertificateAuthority>> {
    let all = configuration.certificate_authorities.values();
    all.filter(|authority| authority.kind == AuthorityKind::Managed)
}

/// Certificates in force that this authority signed.
fn in_force(configuration: &Configuration, id: CertificateAuthorityId, now: UnixSeconds) -> usize {
    let signed = configuration.client_certificates.values().filter(|it| it.authority == id);
    signed
        .filter(|it| it.status == ClientCertificateStatus::Active && now <= it.expires_on.0)
        .count()
}

/// A new authority with its key.
fn made(name: &str, now: UnixSeconds) -> Result<CertificateAuthority, ApiError> {
    let unusable = |why: String| ApiError::Internal(format!("the managed CA: {why}"));
    let ca = IssuingCa::generate(name, DAYS, now).map_err(|why| unusable(why.to_string()))?;
    let certificate = ca.certificate();
    let pem = certificate.pem();
    Ok(CertificateAuthority {
        id: CertificateAuthorityId::random(),
        name: name.to_owned(),
        kind: AuthorityKind::Managed,
        certificates: pem
            .parse()
            .map_err(|why: narthex_model::InvalidPem| unusable(why.to_string()))?,
        key: Some(Secret::from(STANDARD.encode(ca.pkcs8().as_slice()))),
        hostnames: Vec::new(),
        revocation: RevocationChecks::default(),
        fingerprint: certificate.md5_fingerprint(),
        expires_on: Timestamp(certificate.not_after()),
        zone: None,
        created_at: Timestamp(now),
        updated_at: Timestamp(now),
    })
}

/// The authority as one that signs.
pub(crate) fn issuing(authority: &CertificateAuthority) -> Result<IssuingCa, ApiError> {
    let unusable = |why: String| ApiError::Internal(format!("the managed CA: {why}"));
    let key = authority.key.as_ref().ok_or_else(|| unusable("its key is missing".to_owned()))?;
    let pkcs8 = STANDARD.decode(key.expose()).map_err(|why| unusable(why.to_string()))?;
    let der = authority.certificates.der().first().cloned().unwrap_or_default();
    IssuingCa::restore(&der, &Zeroizing::new(pkcs8)).map_err(|why| unusable(why.to_string()))
}

impl Call {
    /// The gateway's own authority; made now if this is the first time.
    pub(crate) async fn managed_ca(&self) -> Result<Arc<CertificateAuthority>, ApiError> {
        if let Some(known) = managed(&self.standing().configuration) {
            return Ok(Arc::clone(known));
        }
        self.new_managed_ca(|_| false).await
    }

    /// The authority to sign with: one that does not end soon.
    pub(crate) async fn signing_ca(&self) -> Result<Arc<CertificateAuthority>, ApiError> {
        let ends = |it: &CertificateAuthority| it.expires_on.0.since(self.now) < RENEWED_BEFORE;
        let known = self.managed_ca().await?;
        if ends(&known) { self.new_managed_ca(ends).await } else { Ok(known) }
    }

    /// A new authority, unless there is one that is not to be `replaced`. It counts where the one before it does.
    async fn new_managed_ca(
        &self,
        replaced: impl Fn(&CertificateAuthority) -> bool + Send + Sync,
    ) -> Result<Arc<CertificateAuthority>, ApiError> {
        let name = {
            let snapshot = self.parts.live.snapshot.load();
            format!("Narthex Managed CA for account {}", snapshot.premises.account.id)
        };
        let new = made(&name, self.now)?;
        self.change(&[], |configuration| {
            let before = managed(configuration);
            if let Some(known) = before.filter(|known| !replaced(known)) {
                return Ok(Arc::clone(known));
            }
            let mut new = new.clone();
            if let Some(before) = before {
                new.hostnames.clone_from(&before.hostnames);
                // The newest signs: two of one second, or a clock that went back, are told apart.
                new.created_at = Timestamp(self.now.max(before.created_at.0.plus(1)));
            }
            let new = Arc::new(new);
            configuration.certificate_authorities.insert(new.id, Arc::clone(&new));
            Ok(new)
        })
        .await
    }

    fn managed_document(&self, it: &CertificateAuthority) -> Value {
        let standing = self.standing();
        let configuration = &standing.configuration;
        json!({
            "id": it.id, "name": it.name, "certificate": it.certificates, "hostnames": it.hostnames,
            "signs": managed(configuration).is_some_and(|newest| newest.id == it.id),
            "active_certificates": in_force(configuration, it.id, self.now), "created_at": it.created_at,
            "expires_on": it.expires_on, "expires_soon": expiring(it.expires_on, self.now),
        })
    }
}

/// The gateway's own authority by its keys, the newest first.
pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let standing = call.standing();
    let mut all: Vec<_> = all_managed(&standing.configuration).collect();
    all.sort_by_key(|it| std::cmp::Reverse((it.created_at, it.id)));
    Ok(Answer::ok(all.iter().map(|it| call.managed_document(it)).collect()))
}

/// A new key, which signs from now on.
pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let before = managed(&call.standing().configuration).map(|it| it.id);
    let made = call.new_managed_ca(|known| Some(known.id) == before).await?;
    Ok(Answer::created(call.managed_document(&made)))
}

/// Takes trust from a key that signs no longer, once nothing relies on it.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id: CertificateAuthorityId = call.id(0, Kind::Certificate)?;
    call.change(&[], |configuration| {
        let authorities = &configuration.certificate_authorities;
        let of_ours = |it: &CertificateAuthority| it.kind == AuthorityKind::Managed;
        found(authorities, id, of_ours, Kind::Certificate)?;
        if managed(configuration).is_some_and(|newest| newest.id == id) {
            let why = "this key signs; make a new one first".to_owned();
            return Err(ApiError::Conflict(why));
        }
        match in_force(configuration, id, call.now) {
            0 => {}
            1 => {
                let why = "a certificate that it signed is active; revoke it first".to_owned();
                return Err(ApiError::Conflict(why));
            }
            many => {
                let why =
                    format!("{many} certificates that it signed are active; revoke them first");
                return Err(ApiError::Conflict(why));
            }
        }
        configuration.certificate_authorities.remove(&id);
        Ok(())
    })
    .await?;
    Ok(Answer::accepted(json!({ "id": id })))
}
