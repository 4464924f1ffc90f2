//! Mints, verifies and carries tokens: compact JWS signed with RS256 by the team's keys (access-protocol §5).
//!
//! A [`KeyRing`] is an immutable set of signing keys; it mints every kind of token, opens them again, and holds
//! the `certs` document from which others verify them. When keys come and go is decided by [`next_action`], a
//! pure function. How tokens travel in cookies is read in [`cookie`] and written in [`set_cookie`].
//!
//! Nothing here fetches a key, reads a clock or keeps a secret it can do without, except [`origin`] (features `layer` and
//! `fetch`), which lets an application written in Rust verify what the gateway sends it.

mod app;
mod certs;
pub mod cookie;
mod digest;
mod discovery;
mod error;
mod header;
mod key;
mod key_set;
mod machine;
mod members;
mod meta;
mod org;
#[cfg(feature = "layer")]
pub mod origin;
mod payload;
mod person;
mod ring;
mod schedule;
pub mod set_cookie;
mod standing;
mod verify;

pub use app::AppToken;
pub use certs::MAX_CERTS_BYTES;
pub use discovery::MatchToken;
pub use error::{CertsError, KeyError, TokenError};
pub use key::SigningKey;
pub use key_set::KeySet;
pub use machine::{CertificateThumbprint, MachineToken};
pub use meta::MetaToken;
pub use org::OrgToken;
pub use payload::{Claims, MAX_MINTED_BYTES, Minted};
pub use person::PersonToken;
pub use ring::KeyRing;
pub use schedule::{
    KeyAction, OVERLAP_SECONDS, PUBLISHED_BEFORE_USE_SECONDS, made_at, next_action, rotate_now,
};
pub use set_cookie::{AppSession, Binding};
pub use verify::MAX_TOKEN_BYTES;
