//! The application token of a service token or a client certificate (seed 003, access-protocol §5.3).

use crate::TokenError;
use crate::members::Members;
use crate::payload::{Payload, sealed};
use crate::standing::Standing;
use narthex_model::{AudTag, UnixSeconds};
use serde::Serialize;

/// Type `app` with an empty `sub`: admits a machine to one application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineToken {
    /// The application.
    pub aud: AudTag,
    /// The service token's Client ID, or the common name of the client certificate.
    pub common_name: String,
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
        Ok(Self { aud, common_name: members.text("common_name")?, iat, exp })
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::sealed::Claims;

    #[test]
    fn the_claims_are_those_of_seed_003() {
        let token = MachineToken {
            aud: "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"
                .parse()
                .unwrap(),
            common_name: "e367826f93b8d71185e03fe518aff3b4.access".to_owned(),
            iat: UnixSeconds(1_659_474_397),
            exp: UnixSeconds(1_659_474_457),
        };
        let json = token.payload("https://yourteam.cloudflareaccess.com").json;
        let want = r#"{"type":"app","aud":["32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"],"exp":1659474457,"iss":"https://yourteam.cloudflareaccess.com","common_name":"e367826f93b8d71185e03fe518aff3b4.access","iat":1659474397,"sub":""}"#;
        assert_eq!(String::from_utf8(json).unwrap(), want);
    }
}
