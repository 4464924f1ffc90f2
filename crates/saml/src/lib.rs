//! A SAML 2.0 service provider as plain functions: requests out, responses judged, metadata.
//!
//! Stands alone so that it can be audited, fuzzed and replaced. It speaks no HTTP, keeps nothing and asks no clock.
//! What a provider sends is hostile until proved: [`consume`] tells the whole story on one screen. The rules behind it:
//!
//! 1. one parser, one tree: what was verified is what is read, by reference, and nothing is searched for again;
//! 2. a valid signature is not a valid login: where it stands, what it covers and how it was made are fixed first;
//! 3. keys come from the configuration alone; every condition of the profile is demanded, not just obeyed.
//!
//! Files: `document` decodes and parses, `message` knows the shape of a response, `signature` proves it, `encryption`
//! opens an encrypted assertion, `conditions` judges it, `assertion` is what is left. `request` and `metadata` write.

mod assertion;
mod certificate;
mod conditions;
mod consume;
mod document;
mod encryption;
mod instant;
mod keys;
mod message;
mod metadata;
mod names;
mod party;
mod refusal;
mod request;
mod signature;

pub use assertion::{Assertion, Attribute};
pub use certificate::{Certificate, InvalidCertificate};
pub use consume::{Expectation, consume};
pub use document::{MAX_ATTRIBUTES, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS};
pub use instant::UnixSeconds;
pub use keys::{DecryptionKey, InvalidKey, SigningKey};
pub use metadata::metadata;
pub use party::{
    Endpoint, EntityId, IdentityProvider, InvalidEndpoint, InvalidEntityId, ServiceProvider,
};
pub use refusal::{Refusal, Status};
pub use request::{
    InvalidRelayState, InvalidRequestId, RelayState, RequestError, RequestId, authn_request,
};
