//! What a refusal says: to whoever asked, and to the operator.

use super::{Refusal, Told};
use crate::client_certificate::{Judged, Standing};
use crate::errand::NotRun;
use crate::permit::Forbidden;
use http::StatusCode;
use narthex_cert::Reason;
use narthex_upstream::UpstreamError;

/// Begins every 403 of an application (access-protocol §2.7).
const FORBIDDEN: &str = "Forbidden. You don't have permission to view this.";

/// What a refusal says: to people as a page, to programs as JSON.
pub(crate) struct Notice {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) message: String,
    /// What would help.
    pub(crate) remedy: &'static str,
    /// Who is logged in, for whom another login may help.
    pub(crate) person: Option<String>,
}

impl Refusal {
    /// What whoever asked reads.
    pub(super) fn notice(&self, told: &Told<'_>) -> Notice {
        let status = self.status(told.app);
        let notice = |title, message: &str, remedy| Notice {
            status,
            title,
            message: message.to_owned(),
            remedy,
            person: None,
        };
        match self {
            Self::Malformed(malformed) => notice(
                "This request cannot be understood",
                &sentence(&malformed.to_string()),
                "If you followed a link, the link is damaged.",
            ),
            Self::Unreadable(_) => notice(
                "This request cannot be understood",
                "The proxy in front of this gateway does not say who you are.",
                "Whoever runs that proxy should send X-Forwarded-For with addresses only.",
            ),
            Self::Misdirected => notice(
                "Wrong connection",
                "This connection was made for another site.",
                "Reload the page; your browser then makes a new connection.",
            ),
            Self::Nothing => notice(
                "There is nothing here",
                "This address belongs to the gateway, and there is nothing at it.",
                "Look at the address again.",
            ),
            Self::Unmatched => notice(
                "No application here",
                "No application covers this address, and without one nobody is let in.",
                "Whoever runs this gateway can add an application for it.",
            ),
            Self::NoOrigin => notice(
                "Nobody answers here",
                "The gateway does not know where this application runs.",
                "Whoever runs this gateway should add an ingress rule for it.",
            ),
            Self::Preflight => notice(
                "Forbidden",
                "Forbidden. This application does not allow preflight requests from other sites.",
                "Whoever runs it can configure CORS for it.",
            ),
            Self::Unauthenticated { .. } => notice(
                "Log-in needed",
                "The service token that was sent is not valid.",
                "Check Client ID and Client Secret, and whether the token has expired.",
            ),
            Self::Forbidden(forbidden) => forbidden_notice(forbidden, status, told),
            Self::Login { .. } => notice(
                "Log-in needed",
                "You are not logged in, or your session has ended.",
                "Reload the page to log in.",
            ),
            Self::Busy | Self::Overloaded | Self::NotRun(NotRun::Busy) => notice(
                "Too busy",
                "The gateway has more to do than it can right now.",
                "Try again in a moment.",
            ),
            Self::NotRun(NotRun::TooLarge(_)) => notice(
                "Too large",
                "What was sent is larger than is taken here.",
                "Send less at once.",
            ),
            Self::NotRun(NotRun::Body) => notice(
                "This request cannot be understood",
                "The request ended before it was complete.",
                "Try again.",
            ),
            Self::NotRun(NotRun::Silent(_)) => notice(
                "No answer in time",
                "The gateway did not get an answer in time.",
                "Try again in a moment.",
            ),
            Self::Upstream(UpstreamError::Revoked) => notice(
                "Your access has ended",
                "Your session was ended, or your access was taken back, while the application was being asked. What it did with the request is not known.",
                "Open the page again to see whether you can log in.",
            ),
            Self::Upstream(_) if status == StatusCode::GATEWAY_TIMEOUT => notice(
                "No answer in time",
                "The application behind this gateway did not answer in time.",
                "Try again in a moment. If it stays so, tell whoever runs the application.",
            ),
            Self::Upstream(_) => notice(
                "The application does not answer",
                "The application behind this gateway could not be reached, or did not answer properly.",
                "Try again in a moment. If it stays so, tell whoever runs the application.",
            ),
            Self::Panic | Self::NotRun(NotRun::Failed) => notice(
                "Something went wrong",
                "The gateway failed while it worked on this request.",
                "Try again. If it stays so, tell whoever runs this gateway.",
            ),
        }
    }

    /// What the operator reads.
    pub(crate) fn for_operator(&self) -> String {
        match self {
            Self::Malformed(malformed) => malformed.to_string(),
            Self::Unreadable(unreadable) => unreadable.to_string(),
            Self::Misdirected => "the host is not one that this connection was made for".to_owned(),
            Self::Nothing => "nothing is at this path of the gateway".to_owned(),
            Self::Unmatched => {
                "no application covers the request, and deny_unmatched_requests is on".to_owned()
            }
            Self::NoOrigin => "no [[ingress]] entry covers the request".to_owned(),
            Self::Preflight => "a preflight without credentials, and no CORS settings".to_owned(),
            Self::Unauthenticated { why, .. } => (*why).to_owned(),
            Self::Forbidden(forbidden) => match forbidden.reason.fact.as_str() {
                "" => forbidden.reason.sentence.clone(),
                fact => format!("{} ({fact})", forbidden.reason.sentence),
            },
            Self::Login { .. } => "not logged in".to_owned(),
            Self::Busy => "more unauthenticated requests for signatures than allowed".to_owned(),
            Self::Overloaded => "more is asked of this core than it can do".to_owned(),
            Self::NotRun(not_run) => not_run.to_string(),
            Self::Upstream(error) => chain(error),
            Self::Panic => "the gateway failed; this is a bug".to_owned(),
        }
    }
}

fn forbidden_notice(forbidden: &Forbidden, status: StatusCode, told: &Told<'_>) -> Notice {
    let app = told.app;
    let certificate = told.certificate.as_deref().and_then(about_certificate);
    let person = forbidden.person.as_ref().map(|person| person.email.as_str().to_owned());
    let own_words = app.and_then(|app| app.spec.custom_deny_message.as_deref());
    let own_words = own_words.filter(|words| !words.is_empty() && person.is_some());
    let remedy = if person.is_some() {
        "If you have another account that is let in, log out and log in with that one."
    } else {
        "If you should be let in, ask whoever runs this application, and tell them the Ray ID."
    };
    let mut message = format!("{FORBIDDEN} {}", own_words.unwrap_or(&forbidden.reason.sentence));
    if let Some((finding, _)) = certificate {
        message.push(' ');
        message.push_str(finding);
    }
    Notice {
        status,
        title: if status == StatusCode::UNAUTHORIZED { "Log-in needed" } else { "Access denied" },
        message,
        remedy: certificate.map_or(remedy, |(_, remedy)| remedy),
        person,
    }
}

/// What its holder is told about a client certificate that does not count on a host that asks for one, and what would
/// help. Which authorities would count is not told.
fn about_certificate(judged: &Judged) -> Option<(&'static str, &'static str)> {
    let (finding, remedy) = match judged.standing() {
        Standing::Trusted => return None,
        Standing::Missing if judged.rule().authorities.is_empty() => return None,
        Standing::Missing => (
            "This address asks for a client certificate, and none was presented.",
            "Install the client certificate that your administrator issued, and choose it when the browser asks. It does not offer one that has expired.",
        ),
        Standing::Failed(reason) => match reason {
            Reason::Expired => (
                "The client certificate that was presented has expired.",
                "Ask your administrator for a new one.",
            ),
            Reason::NotYetValid => (
                "The client certificate that was presented is not valid yet.",
                "Check the date of the certificate and the clock of your computer.",
            ),
            Reason::Revoked => (
                "The client certificate that was presented has been revoked.",
                "Ask your administrator for a new one.",
            ),
            Reason::SelfSigned | Reason::UnverifiedLeaf | Reason::UnknownIssuer => (
                "The client certificate that was presented was not issued for this address.",
                "Choose another certificate, or send the certificates of its issuers along with it.",
            ),
            Reason::NoList | Reason::ListTooOld | Reason::NoOcspAnswer => (
                "Whether the client certificate that was presented has been revoked cannot be told right now.",
                "Try again later. If it stays so, tell whoever runs this gateway, with the Ray ID.",
            ),
            Reason::Purpose
            | Reason::WeakSignature
            | Reason::WeakKey
            | Reason::BadSignature
            | Reason::InvalidCa
            | Reason::PathTooLong
            | Reason::NameConstraint
            | Reason::CriticalExtension
            | Reason::Malformed => (
                "The client certificate that was presented cannot be accepted.",
                "Ask your administrator for another one, and tell them the Ray ID.",
            ),
        },
    };
    Some((finding, remedy))
}

/// An error with its causes.
fn chain(error: &UpstreamError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A sentence of its own: capital letter and full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
