//! The seam to the mail system.

use async_trait::async_trait;
use narthex_model::EmailAddress;
use std::fmt;

/// One message to one person, as plain text and as HTML.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The recipient.
    pub to: EmailAddress,
    /// The subject, one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as an HTML document.
    pub html: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail([redacted])")
    }
}

/// Why a message was not handed over. The texts hold neither the address nor the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// A setting is wrong. Remedy: correct `[mail]`.
    #[error("[mail] {0}")]
    Setting(String),
    /// The mail server refused this message for good.
    #[error("the mail server refused the message: {0}")]
    Refused(String),
    /// The mail server cannot be reached or said "later".
    #[error("the mail server cannot be reached: {0}")]
    Unreachable(String),
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Sends mail. Sealed: both kinds live here, SMTP in production and an outbox under test and in the demo.
#[async_trait]
pub trait Mailer: sealed::Sealed + Send + Sync {
    /// Returns once the next hop has accepted the message; delivery itself is not awaited.
    ///
    /// # Errors
    /// [`MailError`] when the next hop did not take it.
    async fn send(&self, mail: Mail) -> Result<(), MailError>;
}
