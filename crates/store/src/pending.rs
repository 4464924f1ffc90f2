//! What waits to be taken once: login states, hand-over nonces and codes, one-time PINs, forms, SAML assertions.

/// Which kind of thing waits; a handle of one kind opens nothing of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PendingKind {
    /// A login under way at an identity provider.
    Login,
    /// A session on its way from the team domain to an application's host.
    Handoff,
    /// A login session on its way through an application's other hosts, which tie the browser down.
    Walk,
    /// A one-time PIN that was sent.
    Pin,
    /// A partitioned cookie on its way from one host of an application to another.
    Partition,
    /// A form that waits for its sender's login.
    Form,
    /// A SAML assertion that was accepted; its key is made of its id, so that a second use is noticed.
    Assertion,
}

impl PendingKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Handoff => "handoff",
            Self::Walk => "walk",
            Self::Pin => "pin",
            Self::Partition => "partition",
            Self::Form => "form",
            Self::Assertion => "assertion",
        }
    }
}

/// How a counted try was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// This is try number `n`, from 1 to the limit.
    Allowed(u32),
    /// The limit was reached before this try.
    Exhausted,
    /// There is nothing to try at: unknown, taken or expired.
    Gone,
}
