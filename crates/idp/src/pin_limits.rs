//! How often PINs may be asked for and tried, per address and per network.

use narthex_model::{Clock, EmailAddress};
use std::net::IpAddr;

/// Too many requests; the same for every address, known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many login codes were asked for or tried; wait {retry_after_seconds} s")]
pub struct TooMany {
    /// Seconds until one more is allowed.
    pub retry_after_seconds: u64,
}

/// The counters of one gateway.
#[derive(Debug)]
pub struct PinLimits {}

#[expect(clippy::unimplemented, reason = "the interface is published first")]
impl PinLimits {
    /// Fresh counters.
    #[must_use]
    pub fn new(_clock: Clock) -> Self {
        Self {}
    }

    /// Counts a request for a PIN, whether or not a mail goes out.
    ///
    /// # Errors
    /// [`TooMany`] when the address or the network asked too often.
    pub fn ask(&self, _email: &EmailAddress, _ip: IpAddr) -> Result<(), TooMany> {
        unimplemented!()
    }

    /// Counts an entered PIN.
    ///
    /// # Errors
    /// [`TooMany`] when the network tried too often.
    pub fn attempt(&self, _ip: IpAddr) -> Result<(), TooMany> {
        unimplemented!()
    }
}
