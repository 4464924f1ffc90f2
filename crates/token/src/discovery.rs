//! The discovery token: tells a command-line client where to log in (access-protocol §5.3 "Discovery", §13.2).
//!
//! Anybody gets one. Like the meta token it carries no `iss`, so that no verifier takes it for an application token.

use crate::payload::{Payload, sealed};
use narthex_model::{AudTag, Hostname, TeamDomain, UnixSeconds};
use serde::Serialize;

/// Type `match`, the answer header `cf-access-metadata`. It is minted only; its reader is the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchToken {
    /// The application, written as a string.
    pub aud: AudTag,
    /// The host that was asked for.
    pub hostname: Hostname,
    /// Where people log in.
    pub auth_domain: TeamDomain,
    /// The application's domain as configured, wildcards included.
    pub app_hostname: String,
    /// When it was issued; clients accept it for 24 h.
    pub iat: UnixSeconds,
}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    aud: &'a str,
    hostname: &'a str,
    auth_domain: String,
    app_hostname: &'a str,
    iat: UnixSeconds,
}

impl sealed::Claims for MatchToken {
    fn payload(&self, _issuer: &str) -> Payload {
        Payload::whole(&Wire {
            kind: "match",
            aud: self.aud.as_str(),
            hostname: self.hostname.as_str(),
            auth_domain: self.auth_domain.authority().to_string(),
            app_hostname: &self.app_hostname,
            iat: self.iat,
        })
    }
}
