//! Mail over SMTP.
//!
//! Each mail has a connection of its own: PINs are rare, and the library's connection pool panics when it is made or
//! dropped outside a runtime.
//!
//! How a connection is protected follows from the URL, unless its query says `?tls=none|opportunistic|required`:
//!
//! | URL | to this machine | to another machine |
//! | --- | --- | --- |
//! | `smtps://` | TLS from the first byte | TLS from the first byte |
//! | `smtp://user:password@` | STARTTLS when offered | STARTTLS or nothing: a password never crosses a network in clear |
//! | `smtp://` | plain | STARTTLS when offered |

use crate::mail::{Mail, MailError, Mailer, sealed};
use async_trait::async_trait;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{self, AsyncSmtpTransport};
use lettre::{AsyncTransport, Message, Tokio1Executor};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::time::Duration;
use url::Url;

/// The longest wait for one answer of the mail server.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Hands mail to an SMTP server.
pub struct SmtpMailer {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl SmtpMailer {
    /// Reads `url` (`smtp://` or `smtps://`, optionally with `user:password@`) and `from` (`Name <address>`). Connects only
    /// when a mail is sent.
    ///
    /// # Errors
    /// [`MailError::Setting`] when either does not parse.
    pub fn new(url: &str, from: &str) -> Result<Self, MailError> {
        let from = from.parse::<Mailbox>().map_err(|_| {
            MailError::Setting(
                "from: write a mailbox such as `Narthex <no-reply@example.com>`".into(),
            )
        })?;
        let server = Server::parse(url)?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(server.tls()?)
            .timeout(Some(TIMEOUT));
        if let Some((user, password)) = server.credentials {
            transport = transport.credentials(Credentials::new(user, password));
        }
        Ok(Self { from, transport: transport.build() })
    }

    fn message(&self, mail: Mail) -> Result<Message, MailError> {
        let refused = |part: &str| MailError::Refused(format!("its {part} cannot be written"));
        let to = mail.to.as_str().parse().map_err(|_| refused("recipient"))?;
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted"); // RFC 3834: no vacation replies
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .message_id(Some(self.message_id()))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .map_err(|_| refused("text"))
    }

    /// A new id under the sender's domain; the library's own would name this machine.
    fn message_id(&self) -> String {
        format!("<{}@{}>", narthex_model::AccountId::random(), self.from.email.domain())
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
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let message = self.message(mail)?;
        self.transport.send(message).await.map(drop).map_err(|e| explain(&e))
    }
}

/// Says what went wrong without the server's words, which may repeat the address.
fn explain(error: &smtp::Error) -> MailError {
    let code = error.status().map(|code| format!("it answered {code}"));
    if error.is_permanent() {
        return MailError::Refused(code.unwrap_or_default());
    }
    MailError::Unreachable(code.unwrap_or_else(|| {
        let why = if error.is_timeout() {
            "no answer in time"
        } else if error.is_tls() {
            "the TLS handshake failed; its certificate must be valid for the name in [mail] smtp"
        } else if error.is_client() {
            "it does not offer what [mail] smtp asks for, STARTTLS or a way to log in"
        } else {
            "the connection failed"
        };
        why.to_owned()
    }))
}

/// The protection of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    None,
    Opportunistic,
    Required,
    FromTheStart,
}

/// What the URL says.
struct Server {
    host: String,
    port: u16,
    protection: Protection,
    credentials: Option<(String, String)>,
}

impl Server {
    fn parse(raw: &str) -> Result<Self, MailError> {
        let wrong = |what: &str| MailError::Setting(format!("smtp: {what}"));
        let url = Url::parse(raw)
            .map_err(|_| wrong("write a URL such as `smtp://mail.example.com:587`"))?;
        let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(|| wrong("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let credentials = credentials(&url)
            .map_err(|()| wrong("the user and the password are not percent-encoded UTF-8"))?;
        let asked = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value);
        let implied = match (is_this_machine(&host), credentials.is_some()) {
            (true, false) => Protection::None,
            (true, true) | (false, false) => Protection::Opportunistic,
            (false, true) => Protection::Required,
        };
        let protection = match (url.scheme(), asked.as_deref()) {
            ("smtps", None) => Protection::FromTheStart,
            ("smtp", None) => implied,
            ("smtp", Some("none")) => Protection::None,
            ("smtp", Some("opportunistic")) => Protection::Opportunistic,
            ("smtp", Some("required")) => Protection::Required,
            ("smtp", Some(_)) => return Err(wrong("tls is none, opportunistic or required")),
            ("smtps", Some(_)) => {
                return Err(wrong("tls is for smtp:// only; smtps:// always has TLS"));
            }
            (_, _) => return Err(wrong("the scheme is smtp or smtps")),
        };
        let usual = match (protection, credentials.is_some()) {
            (Protection::FromTheStart, _) => 465,
            (Protection::None | Protection::Opportunistic | Protection::Required, true) => 587,
            (Protection::None | Protection::Opportunistic | Protection::Required, false) => 25,
        };
        let port = url.port().unwrap_or(usual);
        Ok(Self { host, port, protection, credentials })
    }

    fn tls(&self) -> Result<Tls, MailError> {
        let parameters = || {
            TlsParameters::new(self.host.clone())
                .map_err(|_| MailError::Setting("smtp: TLS cannot be set up for this host".into()))
        };
        Ok(match self.protection {
            Protection::None => Tls::None,
            Protection::Opportunistic => Tls::Opportunistic(parameters()?),
            Protection::Required => Tls::Required(parameters()?),
            Protection::FromTheStart => Tls::Wrapper(parameters()?),
        })
    }
}

/// User and password, percent-decoded.
fn credentials(url: &Url) -> Result<Option<(String, String)>, ()> {
    let decode =
        |raw| Ok::<_, ()>(percent_decode_str(raw).decode_utf8().map_err(drop)?.into_owned());
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, password) => Ok(Some((decode(user)?, decode(password.unwrap_or_default())?))),
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_where_and_how() {
        use Protection::{FromTheStart, None as Plain, Opportunistic, Required};
        for (url, host, port, protection, user) in [
            ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, Plain, None),
            ("smtp://[::1]", "::1", 25, Plain, None),
            ("smtp://a:b@localhost", "localhost", 587, Opportunistic, Some("a")),
            ("smtp://Relay.example.com", "relay.example.com", 25, Opportunistic, None),
            (
                "smtp://a%40b:p%3Aw@relay.example.com",
                "relay.example.com",
                587,
                Required,
                Some("a@b"),
            ),
            ("smtp://relay.example.com?tls=none", "relay.example.com", 25, Plain, None),
            ("smtp://a:b@10.0.0.1:26?tls=opportunistic", "10.0.0.1", 26, Opportunistic, Some("a")),
            ("smtps://a:b@relay.example.com", "relay.example.com", 465, FromTheStart, Some("a")),
        ] {
            let server = Server::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"));
            let found = (server.host.as_str(), server.port, server.protection);
            assert_eq!(found, (host, port, protection), "{url}");
            assert_eq!(server.credentials.as_ref().map(|(u, _)| u.as_str()), user, "{url}");
            assert!(SmtpMailer::new(url, "Narthex <no-reply@example.com>").is_ok(), "{url}");
        }
        for near_miss in [
            "",
            "mail.example.com:25",
            "http://mail.example.com",
            "smtp://",
            "smtp:mail.example.com",
            "smtp://a?tls=yes",
            "smtps://a?tls=none",
            "smtp://%ff:x@a",
        ] {
            assert!(Server::parse(near_miss).is_err(), "{near_miss}");
        }
    }

    #[test]
    fn a_sender_is_a_mailbox_and_secrets_stay_inside() {
        let url = "smtp://user:hunter2@127.0.0.1:1";
        let mailer = SmtpMailer::new(url, "Narthex <no-reply@example.com>").unwrap();
        assert_eq!(format!("{mailer:?}"), "SmtpMailer");
        assert!(SmtpMailer::new(url, "no-reply@example.com").is_ok());
        for near_miss in ["", "Narthex", "a@b\r\nBcc: c@d"] {
            let error = SmtpMailer::new(url, near_miss).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
