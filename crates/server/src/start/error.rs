//! Why the gateway did not start, and what to do about it.

use crate::{data_dir, keys};
use std::io;
use std::net::SocketAddr;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory does not let us in.
    #[error(transparent)]
    DataDir(#[from] data_dir::DataDirError),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] narthex_store::OpenError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] narthex_store::StoreError),
    /// What an earlier process left of access records cannot be read.
    #[error("records.spill: {0}; the gateway's user must be able to read and write it")]
    Spill(io::Error),
    /// The signing keys are damaged.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The key ring cannot be made.
    #[error("signing keys: {0}")]
    KeyRing(#[from] narthex_token::KeyError),
    /// What the store holds does not fit the configuration file.
    #[error("what the store holds does not fit the configuration file: {0}")]
    Configuration(narthex_snapshot::Fault),
    /// Mail cannot be set up.
    #[error(transparent)]
    Mail(#[from] narthex_idp::MailError),
    /// The client for identity providers cannot be set up.
    #[error(transparent)]
    Outbound(#[from] narthex_idp::OutboundError),
    /// The local CA cannot be made or read.
    #[error(transparent)]
    LocalCa(#[from] narthex_proxy::LocalCaError),
    /// A listener cannot be opened.
    #[error("{error}; {}", remedy(error, key))]
    Listen {
        /// The key of `[listen]` that names the address.
        key: &'static str,
        /// Names the address.
        error: io::Error,
    },
    /// The service manager gave something else than listening TCP sockets.
    #[error(
        "the sockets that the service manager opened cannot be used: {0}; look at the ListenStream= lines of its socket unit"
    )]
    Given(io::Error),
    /// The service manager opened a socket that the configuration file has no use for.
    #[error(
        "the service manager opened a socket at {address}, which [listen] does not name; name it there, or say FileDescriptorName=https (or http, metrics) in the socket unit"
    )]
    NotListedSocket {
        /// Where it listens.
        address: SocketAddr,
    },
    /// The process that is to be taken over from does not let us.
    #[error("the running process does not hand over: {0}")]
    NotHandedOver(io::Error),
    /// The data path did not begin to work.
    #[error("the data path did not start: {0}")]
    Proxy(io::Error),
}

fn remedy(error: &io::Error, key: &str) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return format!(
            "ports below 1024 are for root: give this program CAP_NET_BIND_SERVICE, or change [listen] {key}"
        );
    }
    format!("end what has it, or change [listen] {key}")
}
