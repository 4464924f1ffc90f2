//! Why a request to an application was not let in.

use narthex_model::{EmailAddress, Identity, IdpId, ServiceToken, UserId};
use narthex_policy::Reason;
use std::sync::Arc;

/// Why a request to an application was not let in.
#[derive(Debug)]
pub(crate) enum Denial {
    /// To find out would cost too much right now.
    Overloaded,
    /// A service token was sent that proves nothing, and the organization is strict about that: 401.
    Unauthenticated {
        /// For the operator.
        why: &'static str,
        /// The token, when its Client ID is known.
        token: Option<Arc<ServiceToken>>,
    },
    /// What is known of the request suffices to refuse it; a login would not help.
    Forbidden(Box<Forbidden>),
    /// A login could help.
    Login {
        /// A valid service token that no policy admits.
        token: Option<Arc<ServiceToken>>,
        /// Whether a service token was sent that proves nothing.
        invalid_token: bool,
    },
}

/// A refusal that a login does not change.
#[derive(Debug)]
pub(crate) struct Forbidden {
    /// Which rule, and why.
    pub(crate) reason: Reason,
    /// Who was refused, when somebody was logged in.
    pub(crate) person: Option<Refused>,
    /// The service token that was sent and is known.
    pub(crate) token: Option<Arc<ServiceToken>>,
    /// Whether the application has a Service Auth policy, none of which matched.
    pub(crate) by_service_auth: bool,
}

/// A person who is logged in and not let in.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) user: UserId,
    pub(crate) email: EmailAddress,
    pub(crate) idp: IdpId,
    /// The provider's type.
    pub(crate) connection: String,
}

impl From<&Identity> for Refused {
    fn from(identity: &Identity) -> Self {
        Self {
            user: identity.user_uuid,
            email: identity.email.clone(),
            idp: identity.idp.id,
            connection: identity.idp.kind.clone(),
        }
    }
}
