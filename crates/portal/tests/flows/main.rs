//! Whole logins against the real portal, with a store on disk, mail in an outbox and browsers made of cookies.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod authorized;
mod browser;
mod certs;
mod claims;
mod durations;
mod forms;
mod house;
mod identity;
mod identity_fields;
mod login;
mod logout;
mod loops;
mod oidc;
mod partition;
mod pin;
mod provider;
mod redirects;
mod saml;
mod walk;
