//! `mtls_certificates`: authorities of the account, which hostname associations put to use zone by zone.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::authority_form::{Uploaded, expiring, signature_of};
use crate::resources::certificates::places;
use crate::resources::found;
use narthex_cert::Authority;
use narthex_model::{AuthorityKind, CertificateAuthority, Configuration};
use serde_json::{Value, json};
use std::sync::Arc;

fn document(authority: &CertificateAuthority, call: &Call) -> Result<Value, ApiError> {
    let read = Authority::parse(authority.certificates.as_str());
    let read = read.map_err(|why| ApiError::Internal(format!("{}: {why}", authority.id)))?;
    let shown = read.principal();
    Ok(json!({
        "id": authority.id, "ca": true, "certificates": authority.certificates, "name": authority.name,
        "issuer": shown.issuer().rfc2253(), "serial_number": decimal(shown.serial().octets()),
        "signature": signature_of(shown.der()), "type": "custom", "expires_on": authority.expires_on,
        "expires_soon": expiring(authority.expires_on, call.now), "uploaded_on": authority.created_at,
        "updated_at": authority.updated_at,
    }))
}

/// A big-endian number in decimal digits.
fn decimal(octets: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for octet in octets {
        let mut carry = u32::from(*octet);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = u8::try_from(value % 10).unwrap_or_default();
            carry = value / 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or_default());
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

impl Call {
    fn mtls_certificate(
        &self,
        configuration: &Configuration,
    ) -> Result<Arc<CertificateAuthority>, ApiError> {
        let id = self.id(0, Kind::Certificate)?;
        let authorities = &configuration.certificate_authorities;
        found(authorities, id, |it| it.kind == AuthorityKind::Account, Kind::Certificate)
    }
}

/// `type` picks kinds, with commas between them; all that are kept here are `custom`.
pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let kinds = call.query.text("type");
    if kinds.is_some_and(|kinds| !kinds.split(',').any(|kind| kind == "custom")) {
        return Ok(Answer::ok(json!([])));
    }
    let standing = call.standing();
    let mut all: Vec<&Arc<CertificateAuthority>> = standing
        .configuration
        .certificate_authorities
        .values()
        .filter(|it| it.kind == AuthorityKind::Account)
        .collect();
    all.sort_by_key(|it| (it.created_at, it.id));
    let documents: Result<Vec<Value>, ApiError> =
        all.iter().map(|it| document(it, &call)).collect();
    Ok(Answer::ok(documents?.into()))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let authority = call.mtls_certificate(&call.standing().configuration)?;
    Ok(Answer::ok(document(&authority, &call)?))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    if !fields.need::<bool>("ca")? {
        return Err(fields.refuse(
            "ca",
            "only authorities are kept here; what the gateway shows to origins stands in the configuration file",
        ));
    }
    if fields.raw("private_key").is_some() {
        return Err(fields
            .refuse("private_key", "an authority's private key never belongs here; leave it out"));
    }
    let name = fields.text("name", 350)?.unwrap_or_default();
    let uploaded = Uploaded::read(&fields, "certificates")?;
    let authority =
        Arc::new(uploaded.authority(AuthorityKind::Account, name, call.scope.zone(), call.stamp()));
    let audit = call.audit();
    let outcome = call.parts.desk.change(&audit, |configuration| {
        configuration.certificate_authorities.insert(authority.id, Arc::clone(&authority));
        Ok(())
    });
    let renamed = |_, pointer: &str| pointer.replace("/certificate", "/certificates");
    outcome.await.map_err(|error| error.in_request(&places(authority.id), renamed))?;
    Ok(Answer::ok(document(&authority, &call)?))
}

/// 200 with the whole object, as clients expect of this resource.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let authority = call
        .change(&[], |configuration| {
            let authority = call.mtls_certificate(configuration)?;
            if !authority.hostnames.is_empty() {
                return Err(ApiError::Conflict("certificate has active associations".to_owned()));
            }
            configuration.certificate_authorities.remove(&authority.id);
            Ok(authority)
        })
        .await?;
    Ok(Answer::ok(document(&authority, &call)?))
}

/// What uses the authority: hostnames, or nothing.
pub(crate) async fn associations(call: Call) -> Result<Answer, ApiError> {
    let authority = call.mtls_certificate(&call.standing().configuration)?;
    let used = !authority.hostnames.is_empty();
    Ok(Answer::ok(if used {
        json!([{"service": "access", "status": "active"}])
    } else {
        json!([])
    }))
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn serial_numbers_are_shown_in_decimal() {
        for (octets, want) in [
            (&[][..], "0"),
            (&[0], "0"),
            (&[9], "9"),
            (&[10], "10"),
            (&[1, 0], "256"),
            (&[0, 0xff, 0xff], "65535"),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616"),
        ] {
            assert_eq!(decimal(octets), want);
        }
    }
}
