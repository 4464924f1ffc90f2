//! Mail over SMTP.

use crate::mail::{Mail, MailError, Mailer, sealed};
use async_trait::async_trait;
use std::fmt;

/// Hands mail to an SMTP server.
pub struct SmtpMailer {}

impl SmtpMailer {
    /// Reads `url` (`smtp://` or `smtps://`, optionally with `user:password@`) and `from` (`Name <address>`).
    ///
    /// # Errors
    /// [`MailError::Setting`] when either does not parse.
    #[expect(clippy::unimplemented, reason = "the interface is published first")]
    pub fn new(_url: &str, _from: &str) -> Result<Self, MailError> {
        unimplemented!()
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpMailer")
    }
}

impl sealed::Sealed for SmtpMailer {}

#[async_trait]
impl Mailer for SmtpMailer {
    #[expect(clippy::unimplemented, reason = "the interface is published first")]
    async fn send(&self, _mail: Mail) -> Result<(), MailError> {
        unimplemented!()
    }
}
