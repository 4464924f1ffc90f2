//! No way for mail: the mailer of a gateway that has no mail server.

use crate::mail::sealed::Sealed;
use crate::{Mail, MailError, Mailer};
use async_trait::async_trait;

/// Refuses every message and says what to configure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unposted;

impl Sealed for Unposted {}

#[async_trait]
impl Mailer for Unposted {
    async fn send(&self, _mail: Mail) -> Result<(), MailError> {
        Err(MailError::Setting(
            "there is no mail server; add from and smtp to the configuration file".to_owned(),
        ))
    }
}
