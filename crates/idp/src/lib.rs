//! Begins and finishes a login somewhere else: OpenID Connect and SAML providers, and one-time PINs by mail.
//!
//! What comes out is an [`Assertion`] (what a provider vouched for) or an [`IdpError`]. Who may enter is
//! decided elsewhere, and so is what a stranger gets to see of an error.

mod ask;
mod assertion;
mod circuit;
mod claims;
mod error;
mod fence;
mod id_token;
mod json;
mod keys;
mod known;

mod mail;
mod metadata;
mod oidc;
mod outbound;
mod outbox;
mod pin;
mod pin_limits;
mod pin_mail;
mod providers;
mod saml;
mod smtp;
mod tokens;
mod unposted;
mod userinfo;

pub use assertion::Assertion;
pub use error::IdpError;
pub use fence::{Fence, FencedOff};
pub use mail::{Mail, MailError, Mailer};
pub use oidc::{Begun, CallbackParams, PendingOidc};
pub use outbound::{OutboundError, OutboundHttp, OutboundSettings};
pub use outbox::{Outbox, PostedMail};
pub use pin::{PIN_LIFETIME_SECONDS, PIN_TRIES, PendingPin, Pin, PinError};
pub use pin_limits::{PinLimits, TooMany};
pub use pin_mail::pin_mail;
pub use providers::Providers;
pub use saml::{
    BegunSaml, Once, PendingSaml, RequestKey, Vouched, check_saml, encryption_key, saml_metadata,
};
pub use smtp::SmtpMailer;
pub use unposted::Unposted;
