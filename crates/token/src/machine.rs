//! The application token of a service token or a client certificate (seed 003, access-protocol §5.3).

use crate::TokenError;
use crate::members::Members;
use crate::payload::{Payload, sealed};
use crate::standing::Standing;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{AudTag, CertificateHolder, UnixSeconds};
use serde::Serialize;

/// Type `app` with an empty `sub`: admits a machine to one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineToken {
    /// The application.
    pub aud: AudTag,
    /// The service token's Client ID, or the common name of the client certificate.
    pub common_name: String,
    /// The client certificate that it was issued for; `None` for a service token. Whoever issues a certificate
    /// chooses its common name, so that the name alone must never make a service token of it.
    pub certificate: Option<CertificateThumbprint>,
    /// When it was issued.
    pub iat: UnixSeconds,
    /// From this instant on it is refused.
    pub exp: UnixSeconds,
}

impl MachineToken {
    /// Reads the claims that are a machine's own; `sub` has been found empty.
    pub(crate) fn read(mut members: Members, standing: Standing) -> Result<Self, TokenError> {
        let Standing { aud, iat, exp, .. } = standing;
        if members.has("email") || members.has("identity_nonce") {
            return Err(TokenError::Claim("sub")); // a person without a subject
        }
        let certificate = members.has("cnf").then(|| thumbprint(&mut members)).transpose()?;
        Ok(Self { aud, common_name: members.text("common_name")?, certificate, iat, exp })
    }
}

fn thumbprint(members: &mut Members) -> Result<CertificateThumbprint, TokenError> {
    let confirmation = members.object("cnf")?;
    let text = confirmation.get("x5t#S256").and_then(serde_json::Value::as_str);
    let thumbprint = text.and_then(CertificateThumbprint::read);
    thumbprint.filter(|_| confirmation.len() == 1).ok_or(TokenError::Claim("cnf"))
}

/// SHA-256 of a client certificate, which binds a token to it (RFC 8705 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CertificateThumbprint([u8; 32]);

impl CertificateThumbprint {
    /// The thumbprint with these octets.
    #[must_use]
    pub fn of_sha256(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// Whether this is the certificate of `holder`.
    #[must_use]
    pub fn is_of(&self, holder: &CertificateHolder) -> bool {
        holder.fingerprint_sha256 == Self::hex(&self.0).into()
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn read(text: &str) -> Option<Self> {
        let octets = URL_SAFE_NO_PAD.decode(text).ok()?;
        octets.try_into().ok().map(Self)
    }

    fn written(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// The claims in the order of seed 003.
#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    aud: [&'a str; 1],
    exp: UnixSeconds,
    iss: &'a str,
    common_name: &'a str,
    iat: UnixSeconds,
    sub: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

/// The claim `cnf` (RFC 7800) of a token that is bound to a certificate.
#[derive(Serialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

impl sealed::Claims for MachineToken {
    fn payload(&self, issuer: &str) -> Payload {
        Payload::whole(&Wire {
            kind: "app",
            aud: [self.aud.as_str()],
            exp: self.exp,
            iss: issuer,
            common_name: &self.common_name,
            iat: self.iat,
            sub: "",
            cnf: self.certificate.map(|it| Confirmation { thumbprint: it.written() }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_one_certificate() {
        let thumbprint = CertificateThumbprint([0xab; 32]);
        for (fingerprint, want) in
            [("ab".repeat(32), true), ("ac".repeat(32), false), (String::new(), false)]
        {
            let holder =
                CertificateHolder { fingerprint_sha256: fingerprint.into(), ..<_>::default() };
            assert_eq!(thumbprint.is_of(&holder), want);
        }
        assert_eq!(CertificateThumbprint::read(&thumbprint.written()), Some(thumbprint));
        for near_miss in ["", "q6s", "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=", "not base64!"]
        {
            assert_eq!(CertificateThumbprint::read(near_miss), None, "{near_miss}");
        }
    }
    use crate::payload::sealed::Claims;

    #[test]
    fn the_claims_are_those_of_seed_003() {
        let token = MachineToken {
            aud: "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"
                .parse()
                .unwrap(),
            common_name: "e367826f93b8d71185e03fe518aff3b4.access".to_owned(),
            certificate: None,
            iat: UnixSeconds(1_659_474_397),
            exp: UnixSeconds(1_659_474_457),
        };
        let json = token.payload("https://yourteam.cloudflareaccess.com").json;
        let want = r#"{"type":"app","aud":["32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"],"exp":1659474457,"iss":"https://yourteam.cloudflareaccess.com","common_name":"e367826f93b8d71185e03fe518aff3b4.access","iat":1659474397,"sub":""}"#;
        assert_eq!(String::from_utf8(json).unwrap(), want);
        let bound = MachineToken {
            common_name: "robot".to_owned(),
            certificate: Some(CertificateThumbprint([0xab; 32])),
            ..token
        };
        let json = bound.payload("https://yourteam.cloudflareaccess.com").json;
        let want = r#","sub":"","cnf":{"x5t#S256":"q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s"}}"#;
        assert!(String::from_utf8(json).unwrap().ends_with(want));
    }
}
