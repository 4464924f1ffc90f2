//! The data path, socket to application.
//!
//! [`start`] binds the sockets and runs a thread with a runtime of its own for each core. The story of one request is
//! told in `serve`: target, site, decision, road to the origin, or refusal. The road itself is the crate `upstream`;
//! `road` is its gate, which opens to a permit, and only the decision can make one.

mod balance;
mod bearer;
mod budget;
mod challenge;
mod client_auth;
mod client_certificate;
mod client_hello;
mod connection;
mod credentials;
mod dates;
mod discovery;
mod errand;
mod first_uses;
mod forms;
mod handshake;
mod handshakes;
mod http2;
mod lane;
mod listen;
mod local_ca;
mod machines;
mod memo;
mod meters;
mod overload;
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
mod road;
mod running;
mod serve;
mod settings;
mod site;
mod slots;
mod source;
mod stage;
mod streams;
mod target;
mod tls;
mod traffic;
mod wants;
mod world;

/// What the benchmarks measure by itself; for nobody else.
#[doc(hidden)]
pub mod measured {
    pub use crate::bearer::{Bearer, Bearers};
}

pub use errand::{Control, Errand, Site, Visitor};
pub use local_ca::{LocalCa, LocalCaError};
pub use meters::{Meters, Reading};
pub use running::{Folder, Listeners, Running, start, start_on};
pub use settings::{Lateness, Limits, LogRequests, Settings, ToldLateness};
pub use tls::{CertificateError, CertificateSource, ServerCertificate};
