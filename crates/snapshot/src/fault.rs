//! What is wrong with a configuration: the object, the place in it, and the remedy.

use narthex_model::{AppId, CertificateAuthorityId, GroupId, IdpId, PolicyId, ServiceTokenId};
use std::fmt;

/// Which object is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultAt {
    /// The organization's settings.
    Organization,
    /// An application.
    App(AppId),
    /// A policy.
    Policy(PolicyId),
    /// A rule group.
    Group(GroupId),
    /// An identity provider.
    IdentityProvider(IdpId),
    /// A service token.
    ServiceToken(ServiceTokenId),
    /// An authority of client certificates.
    CertificateAuthority(CertificateAuthorityId),
    /// The certificate settings of hostnames; the pointer begins with the hostname.
    HostnameSettings,
    /// The configuration file.
    Premises,
}

impl fmt::Display for FaultAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => f.write_str("organization"),
            Self::App(id) => write!(f, "application {id}"),
            Self::Policy(id) => write!(f, "policy {id}"),
            Self::Group(id) => write!(f, "group {id}"),
            Self::IdentityProvider(id) => write!(f, "identity provider {id}"),
            Self::ServiceToken(id) => write!(f, "service token {id}"),
            Self::CertificateAuthority(id) => write!(f, "certificate {id}"),
            Self::HostnameSettings => f.write_str("certificate settings"),
            Self::Premises => f.write_str("configuration file"),
        }
    }
}

/// What kind of mistake it is, for the API to choose status and code (api/README "Error codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// A value that is not allowed: 400, 12130.
    Invalid,
    /// Something that another object has already: 409, 11010 for an application's destination, else 12132.
    Duplicate,
    /// A reference to an object that is not there. Answer 400, 12130 when the object at fault is the one that was
    /// written, and 409, 12132 when the change deleted what it refers to: it is in use.
    Missing,
}

/// Why a configuration did not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}, {pointer}: {message}")]
pub struct Fault {
    /// The object at fault.
    pub object: FaultAt,
    /// Where in that object, as a JSON pointer (RFC 6901) into its JSON of the API, such as `/destinations/0/uri`.
    pub pointer: String,
    /// The kind of mistake.
    pub code: FaultCode,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    pub(crate) fn invalid(
        object: FaultAt,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { object, pointer: pointer.into(), code: FaultCode::Invalid, message: message.into() }
    }

    pub(crate) fn duplicate(
        object: FaultAt,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { code: FaultCode::Duplicate, ..Self::invalid(object, pointer, message) }
    }

    pub(crate) fn missing(
        object: FaultAt,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { code: FaultCode::Missing, ..Self::invalid(object, pointer, message) }
    }
}
