//! One-time PINs: six digits by mail (access-protocol §12.4).

use narthex_model::{EmailAddress, UnixSeconds};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long a PIN lasts.
pub const PIN_LIFETIME_SECONDS: i64 = 600;
/// How many wrong entries a PIN survives; counted by the store, together with the pending login.
pub const PIN_TRIES: u32 = 5;

/// Six random decimal digits.
pub struct Pin(zeroize::Zeroizing<String>);

/// Why an entered PIN was refused. All three look the same to a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Not the digits that were sent, or none were sent.
    #[error("the code is wrong")]
    Wrong,
    /// Ten minutes are over.
    #[error("the code has expired; ask for a new one")]
    Expired,
}

/// What is kept of a PIN that was sent, under the login's secret handle.
#[derive(Clone, Serialize, Deserialize)]
pub struct PendingPin {
    email: EmailAddress,
    expires: UnixSeconds,
    salt: String,
    mac: String,
}

#[expect(clippy::unimplemented, reason = "the interface is published first")]
impl Pin {
    /// A new PIN from the system's generator; every one of the million is equally likely.
    #[must_use]
    pub fn random() -> Self {
        unimplemented!()
    }

    /// The six digits, for the mail.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[expect(clippy::unimplemented, reason = "the interface is published first")]
impl PendingPin {
    /// Keeps `pin`, sent to `email`, for the login whose secret handle is `handle`.
    #[must_use]
    pub fn new(_pin: &Pin, _handle: &str, _email: EmailAddress, _now: UnixSeconds) -> Self {
        unimplemented!()
    }

    /// The same shape for an address that gets no mail: no entry ever matches.
    #[must_use]
    pub fn decoy(_handle: &str, _email: EmailAddress, _now: UnixSeconds) -> Self {
        unimplemented!()
    }

    /// The address that the PIN was asked for.
    #[must_use]
    pub fn email(&self) -> &EmailAddress {
        &self.email
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> UnixSeconds {
        self.expires
    }

    /// Whether `entered` is the PIN; takes the same time wherever they differ. Count the try before, and take the pending
    /// login out of the store after success, so that it works once.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn check(&self, _handle: &str, _entered: &str, _now: UnixSeconds) -> Result<(), PinError> {
        unimplemented!()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Debug for PendingPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingPin([redacted])")
    }
}
