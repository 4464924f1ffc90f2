//! The data path, socket to application.
//!
//! The client's half: `listen tls peer target site permit refuse serve`. The origin's half: `transform upstream
//! upgrade`. Between them stands the [`permit::Permit`], which only the decision can make and without which nothing
//! is sent to an origin.

#![allow(dead_code, reason = "the seam between the two halves first, the callers follow")]

mod bearer;
mod body;
mod budget;
mod challenge;
mod connection;
mod credentials;
mod discovery;
mod errand;
mod first_uses;
mod handshake;
mod lane;
mod leash;
mod listen;
mod local_ca;
mod machines;
mod memo;
mod meters;
mod page;
mod peer;
mod permit;
mod plain;
mod preflight;
mod proxy_protocol;
mod pulse;
mod ray;
mod recorder;
mod refuse;
mod report;
mod running;
mod serve;
mod settings;
mod site;
mod slots;
mod source;
mod target;
mod tls;
mod traffic;
mod transform;
mod upgrade;
mod upstream;
mod wants;
mod world;

pub use errand::{Errand, Site, Visitor};
pub use local_ca::{LocalCa, LocalCaError};
pub use meters::{Meters, Reading};
pub use running::{Folder, Running, start};
pub use settings::{Limits, LogRequests, Settings};
pub use tls::{CertificateError, CertificateSource, ServerCertificate};
