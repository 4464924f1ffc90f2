//! The global session token, the team domain's own `CF_Authorization` (access-protocol §5.3).

use crate::TokenError;
use crate::members::Members;
use crate::payload::{Payload, sealed};
use crate::standing::{Expected, Standing};
use narthex_model::{AccountId, AudTag, EmailAddress, IdentityNonce, UnixSeconds, UserId};
use serde::Serialize;

/// Type `org`: proves a login to the team domain, never to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgToken {
    /// The organization.
    pub aud: AudTag,
    /// The address that the identity provider confirmed.
    pub email: EmailAddress,
    /// The person.
    pub sub: UserId,
    /// The account.
    pub account_id: AccountId,
    /// The login session.
    pub identity_nonce: IdentityNonce,
    /// When it was issued; also its `nbf`.
    pub iat: UnixSeconds,
    /// From this instant on it is refused.
    pub exp: UnixSeconds,
}

impl OrgToken {
    /// Reads claims whose signature has been checked.
    pub(crate) fn read(mut members: Members, expected: &Expected<'_>) -> Result<Self, TokenError> {
        let standing = Standing::of(&mut members, expected)?;
        let Standing { aud, iat, exp, .. } = standing.with_nbf()?;
        Ok(Self {
            aud,
            email: members.parsed("email")?,
            sub: members.parsed("sub")?,
            account_id: members.parsed("account_id")?,
            identity_nonce: members.parsed("identity_nonce")?,
            iat,
            exp,
        })
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    aud: [&'a str; 1],
    email: &'a str,
    account_id: &'a str,
    exp: UnixSeconds,
    iat: UnixSeconds,
    nbf: UnixSeconds,
    iss: &'a str,
    sub: UserId,
    #[serde(rename = "type")]
    kind: &'static str,
    identity_nonce: &'a str,
}

impl sealed::Claims for OrgToken {
    fn payload(&self, issuer: &str) -> Payload {
        Payload::whole(&Wire {
            aud: [self.aud.as_str()],
            email: self.email.as_str(),
            account_id: self.account_id.as_str(),
            exp: self.exp,
            iat: self.iat,
            nbf: self.iat,
            iss: issuer,
            sub: self.sub,
            kind: "org",
            identity_nonce: self.identity_nonce.as_str(),
        })
    }
}
