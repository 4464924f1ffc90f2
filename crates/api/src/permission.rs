//! What an operation needs a token to be allowed to do. Below both the table of operations and those who ask it.

/// What a token must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Ask about itself: every token may.
    Own,
    /// Read objects of this kind.
    Read(Area),
    /// Write objects of this kind.
    Write(Area),
}

/// The kinds of object that permissions tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Account,
    Organization,
    IdentityProviders,
    Apps,
    ServiceTokens,
    Keys,
    Users,
    Logs,
    Certificates,
}

impl Area {
    /// What a refusal calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Account => "the account",
            Self::Organization => "the organization",
            Self::IdentityProviders => "identity providers",
            Self::Apps => "applications, policies and groups",
            Self::ServiceTokens => "service tokens",
            Self::Keys => "signing keys",
            Self::Users => "users",
            Self::Logs => "logs",
            Self::Certificates => "client certificates",
        }
    }
}
