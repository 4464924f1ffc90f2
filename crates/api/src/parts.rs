//! What an operation has at hand: the parts of the gateway, and who asks. Below the door and the calls it makes.

use crate::desk::Desk;
use narthex_idp::Fence;
use narthex_model::{AccessRecord, Clock, RayId};
use narthex_snapshot::Live;
use narthex_store::{OwedRevocations, Store};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What the API works with.
pub struct ApiParts {
    /// What is in force.
    pub live: Arc<Live>,
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The way of revocations to the store.
    pub revocations: Arc<OwedRevocations>,
    /// Where an access record goes that the store does not take at once.
    pub records: mpsc::Sender<AccessRecord>,
    /// Through whom the configuration changes.
    pub desk: Arc<Desk>,
    /// What time it is.
    pub clock: Clock,
    /// Where the gateway may call identity providers.
    pub fence: Fence,
    /// Entries that one list of a body may have.
    pub most_entries: usize,
    /// SHA-256 of the token from the settings, which may do everything.
    pub bootstrap_token: Option<[u8; 32]>,
}

/// Whom a request comes from.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The address.
    pub ip: IpAddr,
    /// The request's id.
    pub ray: RayId,
}
