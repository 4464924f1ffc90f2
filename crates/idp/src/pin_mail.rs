//! The mail that carries a PIN.

use crate::mail::Mail;
use crate::pin::Pin;
use narthex_model::{EmailAddress, Hostname};

/// The mail with `pin` for `to`, who asked for it at `site`.
#[must_use]
#[expect(clippy::unimplemented, reason = "the interface is published first")]
pub fn pin_mail(_pin: &Pin, _to: &EmailAddress, _site: &Hostname) -> Mail {
    unimplemented!()
}
