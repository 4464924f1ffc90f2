//! The gateway's own authority: made when it is first needed, its key sealed in the store (api/README "Client
//! certificates").

use crate::call::Call;
use crate::error::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use narthex_cert::IssuingCa;
use narthex_model::{
    AuthorityKind, CertificateAuthority, CertificateAuthorityId, Configuration, RevocationChecks,
    Secret, Timestamp, UnixSeconds,
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Life of the authority in days: ten years.
const DAYS: u32 = 3650;

/// The gateway's own authority, if it has been needed yet.
pub(crate) fn managed(configuration: &Configuration) -> Option<&Arc<CertificateAuthority>> {
    let mut all = configuration.certificate_authorities.values();
    all.find(|authority| authority.kind == AuthorityKind::Managed)
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
        let name = {
            let snapshot = self.parts.live.snapshot.load();
            format!("Narthex Managed CA for account {}", snapshot.premises.account.id)
        };
        let new = Arc::new(made(&name, self.now)?);
        self.change(&[], |configuration| {
            let known = managed(configuration).cloned();
            Ok(known.unwrap_or_else(|| {
                configuration.certificate_authorities.insert(new.id, Arc::clone(&new));
                Arc::clone(&new)
            }))
        })
        .await
    }
}
