//! The discovery token: tells a command-line client where to log in (access-protocol §5.3 "Discovery", §13.2).
//!
//! Anybody gets one. Like the meta token it carries no `iss`, so that no verifier takes it for an application token.

use narthex_model::{AudTag, Hostname, TeamDomain, UnixSeconds};

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
