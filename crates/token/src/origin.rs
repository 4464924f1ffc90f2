//! Verification at the origin: what an application behind the gateway does with `Cf-Access-Jwt-Assertion`
//! (access-protocol §5.5). Feature `layer`; with `fetch`, also the client that gets the team's keys.
//!
//! A [`VerifyLayer`] around a tower service lets through what carries a token of the gateway, with the [`AppToken`] as
//! an extension of the request, and answers everything else itself. A [`Verifier`] alone does the same for servers
//! without tower. The gateway uses none of this: it has the keys.
//!
//! [`AppToken`]: crate::AppToken

#[cfg(feature = "fetch")]
mod https;
mod layer;
mod refusal;
mod source;
mod team_keys;
mod verifier;

#[cfg(feature = "fetch")]
pub use https::HttpsCerts;
pub use layer::{Verify, VerifyLayer};
pub use refusal::Refusal;
pub use source::{FetchCerts, FetchError};
pub use team_keys::{
    FETCH_SECONDS, FRESH_SECONDS, SECONDS_AFTER_A_FAILURE, SECONDS_BETWEEN_FETCHES,
};
pub use verifier::Verifier;
