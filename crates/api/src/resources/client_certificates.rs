//! `client_certificates`: certificates that the gateway's own authority signed. A request brings its own key, or (ours,
//! not the contract's) names a `common_name` and gets a key with the answer, once. Revoking one takes effect at once.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Fields;
use crate::paging::{self, Page};
use crate::resources::authority_form::{expiring, signature_of};
use crate::resources::found;
use crate::resources::managed_ca::issuing;
use narthex_cert::{Issued, IssuingFault};
use narthex_model::{
    CertificateAuthority, ClientCertificate, ClientCertificateId, ClientCertificateStatus,
    Configuration, IssuedSubject, SerialNumber, Timestamp, ZoneId,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Validity where the body names none, in days.
const YEAR: u32 = 365;

fn document(it: &ClientCertificate, call: &Call) -> Value {
    let standing = call.standing();
    let ca = standing.configuration.certificate_authorities.get(&it.authority);
    let subject = &it.subject;
    json!({
        "id": it.id, "certificate": it.certificate, "csr": it.csr, "status": it.status.as_str(),
        "certificate_authority": {"id": it.authority, "name": ca.map(|ca| ca.name.clone()).unwrap_or_default()},
        "common_name": subject.common_name, "country": subject.country, "state": subject.state,
        "location": subject.location, "organization": subject.organization,
        "organizational_unit": subject.organizational_unit, "fingerprint_sha256": it.fingerprint_sha256,
        "serial_number": it.serial_number.as_str().to_ascii_lowercase(), "signature": it.signature, "ski": it.ski,
        "validity_days": it.validity_days, "issued_on": it.issued_on, "expires_on": it.expires_on,
        "expires_soon": expiring(it.expires_on, call.now), "revoked_at": it.revoked_at,
    })
}

impl Call {
    fn client_certificate(
        &self,
        configuration: &Configuration,
    ) -> Result<Arc<ClientCertificate>, ApiError> {
        let id = self.id(0, Kind::ClientCertificate)?;
        let all = &configuration.client_certificates;
        found(all, id, |it| self.scope.sees(Some(&it.zone)), Kind::ClientCertificate)
    }

    /// Gives the certificate that the path names another status.
    async fn turn(
        &self,
        status: ClientCertificateStatus,
        revoked_at: Option<Timestamp>,
    ) -> Result<Arc<ClientCertificate>, ApiError> {
        self.change(&[], |configuration| {
            let old = self.client_certificate(configuration)?;
            if old.status == status {
                return Ok(old);
            }
            let authorities = &configuration.certificate_authorities;
            if status == ClientCertificateStatus::Active
                && !authorities.contains_key(&old.authority)
            {
                let why = "the key that signed it was removed; have a new one signed".to_owned();
                return Err(ApiError::Conflict(why));
            }
            let new = ClientCertificate { status, revoked_at, ..ClientCertificate::clone(&old) };
            let new = Arc::new(new);
            configuration.client_certificates.insert(new.id, Arc::clone(&new));
            Ok(new)
        })
        .await
    }
}

/// The parts of the subject that the contract shows; the first of each kind.
fn subject(der: &[u8]) -> IssuedSubject {
    let Ok((_, read)) = x509_parser::parse_x509_certificate(der) else {
        return IssuedSubject::default();
    };
    let name = read.subject();
    let first = |text: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        text.and_then(|it| it.as_str().ok()).unwrap_or_default().to_owned()
    };
    IssuedSubject {
        common_name: first(name.iter_common_name().next()),
        country: first(name.iter_country().next()),
        state: first(name.iter_state_or_province().next()),
        location: first(name.iter_locality().next()),
        organization: first(name.iter_organization().next()),
        organizational_unit: first(name.iter_organizational_unit().next()),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn record(
    issued: &Issued,
    ca: &CertificateAuthority,
    csr: String,
    validity_days: u32,
    zone: ZoneId,
) -> Result<ClientCertificate, ApiError> {
    let made = &issued.certificate;
    let damaged = |why: String| ApiError::Internal(format!("the certificate just signed: {why}"));
    let serial: SerialNumber = made
        .serial()
        .hex()
        .parse()
        .map_err(|why: narthex_model::InvalidSerial| damaged(why.to_string()))?;
    Ok(ClientCertificate {
        id: ClientCertificateId::random(),
        authority: ca.id,
        certificate: made
            .pem()
            .parse()
            .map_err(|why: narthex_model::InvalidPem| damaged(why.to_string()))?,
        csr,
        status: ClientCertificateStatus::Active,
        serial_number: serial,
        fingerprint_sha256: made.sha256_hex(),
        ski: made.subject_key_id().map(hex).unwrap_or_default(),
        signature: signature_of(made.der()),
        subject: subject(made.der()),
        validity_days,
        issued_on: Timestamp(made.not_before()),
        expires_on: Timestamp(made.not_after()),
        revoked_at: None,
        zone,
    })
}

/// What was asked to be signed.
enum Wanted {
    Request(String),
    Key { common_name: String },
}

impl Wanted {
    fn read(fields: &Fields) -> Result<Self, ApiError> {
        let csr: Option<String> = fields.read("csr")?;
        let common_name = fields.text("common_name", 64)?;
        match (csr, common_name) {
            // Clients write the line ends as `\n` ("must be newline-encoded").
            (Some(csr), None) => Ok(Self::Request(csr.replace("\\n", "\n"))),
            (None, Some(common_name)) => Ok(Self::Key { common_name }),
            (Some(_), Some(_)) => {
                Err(fields.refuse("common_name", "a csr names its holder itself; leave it out"))
            }
            (None, None) => {
                Err(fields.refuse("csr", "csr is required, or common_name to have a key made"))
            }
        }
    }

    fn refuse(&self, fields: &Fields, fault: &IssuingFault) -> ApiError {
        let member = match (fault, self) {
            (IssuingFault::Validity(_), _) => "validity_days",
            (IssuingFault::Unusable(why), _) => return ApiError::Internal(why.clone()),
            (
                IssuingFault::Request(_) | IssuingFault::WeakKey | IssuingFault::Nameless,
                Self::Request(_),
            ) => "csr",
            (
                IssuingFault::Request(_) | IssuingFault::WeakKey | IssuingFault::Nameless,
                Self::Key { .. },
            ) => "common_name",
        };
        fields.refuse(member, fault.to_string())
    }
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = Page::of(&call.query, paging::ACCOUNT)?;
    let status = call.query.text("status").filter(|status| *status != "all");
    let standing = call.standing();
    let mut all: Vec<&Arc<ClientCertificate>> = standing
        .configuration
        .client_certificates
        .values()
        .filter(|it| call.scope.sees(Some(&it.zone)))
        .filter(|it| status.is_none_or(|status| it.status.as_str() == status))
        .collect();
    all.sort_by_key(|it| (it.issued_on, it.id));
    Ok(Answer::page_of(page, all, |it| document(it, &call)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let it = call.client_certificate(&call.standing().configuration)?;
    Ok(Answer::ok(document(&it, &call)))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let wanted = Wanted::read(&fields)?;
    let days: u32 = fields.read("validity_days")?.unwrap_or(YEAR);
    let zone = call.scope.zone().ok_or_else(|| ApiError::Internal("no zone".to_owned()))?;
    let authority = call.signing_ca().await?;
    let ca = issuing(&authority)?;
    let signed = match &wanted {
        Wanted::Request(csr) => ca.sign(csr, days, call.now),
        Wanted::Key { common_name } => ca.issue(common_name, days, call.now),
    };
    let issued = signed.map_err(|fault| wanted.refuse(&fields, &fault))?;
    let csr = match wanted {
        Wanted::Request(csr) => csr,
        Wanted::Key { .. } => String::new(),
    };
    let certificate = Arc::new(record(&issued, &authority, csr, days, zone)?);
    call.change(&[], |configuration| {
        configuration.client_certificates.insert(certificate.id, Arc::clone(&certificate));
        Ok(())
    })
    .await?;
    let mut document = document(&certificate, &call);
    if let Some(key) = &issued.private_key_pem {
        document["private_key"] = key.as_str().into();
    }
    Ok(Answer::ok(document))
}

/// Revokes; the answer is the whole object.
pub(crate) async fn revoke(call: Call) -> Result<Answer, ApiError> {
    let it = call.turn(ClientCertificateStatus::Revoked, Some(call.stamp())).await?;
    Ok(Answer::ok(document(&it, &call)))
}

/// `{"reactivate": true}` takes a revocation back.
pub(crate) async fn reactivate(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let it = if fields.read("reactivate")? == Some(true) {
        call.turn(ClientCertificateStatus::Active, None).await?
    } else {
        call.client_certificate(&call.standing().configuration)?
    };
    Ok(Answer::ok(document(&it, &call)))
}
