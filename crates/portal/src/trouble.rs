//! What can go wrong at the portal, and what a stranger gets to see of it (style §2): the one place where errors
//! become pages. Operators read more in the log and the records.

use crate::ask::{Ambiguous, Ask};
use crate::design::Frame;
use crate::pages::{Link, Notice, Response, page};
use crate::texts;
use crate::throttle::TooOften;
use http::{HeaderValue, StatusCode, header};
use narthex_idp::{IdpError, TooMany};
use narthex_model::Timestamp;
use narthex_store::StoreError;

/// Why a request to the portal did not get what it asked for.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No application has this `kid` and host.
    UnknownApp,
    /// `redirect_url` leads elsewhere.
    ForeignRedirect,
    /// `returnTo` leads elsewhere; the session was ended all the same.
    ForeignReturn,
    /// A parameter occurs twice.
    Ambiguous,
    /// The form or answer does not belong to this browser's `CF_Session`.
    InvalidSession { restart: Option<String> },
    /// The hand-over to the application failed: nonce, state, meta or `CF_AppSession` do not fit.
    InvalidLoginSession { restart: Option<String>, cookie_missing: bool },
    /// The answer of an identity provider came too late, or twice.
    LoginOver,
    /// A SAML response to a request that we did not make: the login was begun at the provider.
    Unsolicited,
    /// Three rounds in a row did not get the browser any further (access-protocol §3.9).
    Loop { restart: String },
    /// Nobody can log in, because there is no way to.
    NoProvider,
    /// The provider said no, or something we do not understand.
    Provider { error: IdpError, restart: Option<String> },
    /// Too many tries.
    TooOften { seconds: u64 },
    /// The person's sessions were revoked in this very moment.
    JustRevoked { restart: String },
    /// Somebody else came back from the provider than the person whose session was to be renewed.
    OtherAccount,
    /// The form that was to be sent after the login is not there; `page` is where it would have gone.
    FormGone { page: Option<String> },
    /// The form was filled in by another person than the one who logged in. It is dropped.
    FormOfAnother { page: String },
    /// The store does not answer.
    Unavailable(StoreError),
    /// Nothing here.
    NotFound,
    /// Promised by the contract, not built.
    NotYet,
    /// Something here, but not with this method.
    WrongMethod { allow: &'static str },
}

impl From<Ambiguous> for Trouble {
    fn from(_: Ambiguous) -> Self {
        Self::Ambiguous
    }
}

impl From<TooOften> for Trouble {
    fn from(too_often: TooOften) -> Self {
        Self::TooOften { seconds: u64::try_from(too_often.retry_after).unwrap_or(1) }
    }
}

impl From<TooMany> for Trouble {
    fn from(too_many: TooMany) -> Self {
        Self::TooOften { seconds: too_many.retry_after_seconds }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}

/// Status, heading, text and the links of a page.
struct Words {
    status: StatusCode,
    title: &'static str,
    lines: Vec<String>,
    actions: Vec<Link>,
}

impl Words {
    fn of(status: StatusCode, title: &'static str, line: &str) -> Self {
        Self { status, title, lines: vec![line.to_owned()], actions: Vec::new() }
    }

    fn and(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    fn link(mut self, href: Option<String>, label: &'static str) -> Self {
        self.actions.extend(href.map(|href| Link { href, label }));
        self
    }
}

impl Trouble {
    /// The page for whoever asked.
    pub(crate) fn answer(self, ask: &Ask<'_>, frame: &Frame) -> Response {
        self.log(ask);
        let (retry_after, allow) = (self.retry_after(), self.allow());
        let words = self.words();
        let notice = Notice {
            frame,
            title: words.title.to_owned(),
            lines: words.lines,
            facts: Vec::new(),
            actions: words.actions,
            trace: Some((ask.visit.ray.to_string(), Timestamp(ask.now).to_string())),
        };
        let mut response = page(words.status, frame, &notice);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        response
    }

    fn words(self) -> Words {
        use StatusCode as S;
        match self {
            Self::UnknownApp => Words::of(S::NOT_FOUND, texts::UNKNOWN_APP, texts::UNKNOWN_APP_WHY),
            Self::ForeignRedirect => {
                Words::of(S::BAD_REQUEST, texts::INVALID_REDIRECT, texts::INVALID_REDIRECT_WHY)
            }
            Self::ForeignReturn => {
                Words::of(S::BAD_REQUEST, texts::INVALID_REDIRECT, texts::INVALID_RETURN_WHY)
            }
            Self::Ambiguous => Words::of(S::BAD_REQUEST, texts::AMBIGUOUS, texts::AMBIGUOUS_WHY),
            Self::InvalidSession { restart } => {
                Words::of(S::BAD_REQUEST, texts::INVALID_SESSION, texts::INVALID_SESSION_WHY)
                    .link(restart, texts::TRY_AGAIN)
            }
            Self::InvalidLoginSession { restart, cookie_missing } => {
                let words = Words::of(
                    S::BAD_REQUEST,
                    texts::INVALID_LOGIN_SESSION,
                    texts::INVALID_LOGIN_SESSION_WHY,
                );
                let words = if cookie_missing { words.and(texts::COOKIE_MISSING) } else { words };
                words.link(restart, texts::BACK_TO_APP)
            }
            Self::LoginOver => Words::of(S::BAD_REQUEST, texts::LOGIN_OVER, texts::LOGIN_OVER_WHY),
            Self::Unsolicited => {
                Words::of(S::BAD_REQUEST, texts::UNSOLICITED, texts::UNSOLICITED_WHY)
            }
            Self::Loop { restart } => {
                let [first, second, third] = texts::LOOP_WHY;
                Words::of(S::BAD_REQUEST, texts::LOOP, first)
                    .and(second)
                    .and(third)
                    .link(Some(restart), texts::TRY_AGAIN)
            }
            Self::NoProvider => Words::of(S::FORBIDDEN, texts::NO_PROVIDER, texts::NO_PROVIDER_WHY),
            Self::Provider { error, restart } => {
                let (status, title, line) = provider_words(&error);
                Words::of(status, title, line).link(restart, texts::TRY_AGAIN)
            }
            Self::TooOften { seconds } => {
                Words::of(S::TOO_MANY_REQUESTS, texts::TOO_OFTEN, &texts::wait(seconds))
            }
            Self::JustRevoked { restart } => {
                Words::of(S::SERVICE_UNAVAILABLE, texts::JUST_REVOKED, texts::JUST_REVOKED_WHY)
                    .link(Some(restart), texts::TRY_AGAIN)
            }
            Self::OtherAccount => {
                Words::of(S::FORBIDDEN, texts::OTHER_ACCOUNT_CAME, texts::OTHER_ACCOUNT_WHY)
            }
            Self::FormGone { page } => Words::of(S::GONE, texts::FORM_GONE, texts::FORM_GONE_WHY)
                .link(page, texts::BACK_TO_APP),
            Self::FormOfAnother { page } => {
                Words::of(S::FORBIDDEN, texts::FORM_OF_ANOTHER, texts::FORM_OF_ANOTHER_WHY)
                    .link(Some(page), texts::BACK_TO_APP)
            }
            Self::Unavailable(_) => {
                Words::of(S::SERVICE_UNAVAILABLE, texts::UNAVAILABLE, texts::UNAVAILABLE_WHY)
            }
            Self::NotFound => Words::of(S::NOT_FOUND, texts::NOT_FOUND, texts::NOT_FOUND_WHY),
            Self::NotYet => Words::of(S::NOT_FOUND, texts::NOT_YET, texts::NOT_YET_WHY),
            Self::WrongMethod { .. } => {
                Words::of(S::METHOD_NOT_ALLOWED, texts::WRONG_METHOD, texts::NOT_FOUND_WHY)
            }
        }
    }

    /// Logs what an operator has to do something about; a stranger's mistakes are not worth a line.
    fn log(&self, ask: &Ask<'_>) {
        let ray = &ask.visit.ray;
        match self {
            Self::Unavailable(error) => tracing::error!(%ray, %error, "a login failed: {error}"),
            Self::Provider { error, .. } => tracing::warn!(%ray, %error, "a login failed: {error}"),
            Self::NoProvider => tracing::warn!(%ray, "nobody can log in: no identity provider"),
            Self::Loop { .. } => tracing::info!(%ray, "a browser keeps being sent back"),
            Self::UnknownApp
            | Self::ForeignRedirect
            | Self::ForeignReturn
            | Self::Ambiguous
            | Self::InvalidSession { .. }
            | Self::InvalidLoginSession { .. }
            | Self::LoginOver
            | Self::Unsolicited
            | Self::TooOften { .. }
            | Self::JustRevoked { .. }
            | Self::OtherAccount
            | Self::FormGone { .. }
            | Self::FormOfAnother { .. }
            | Self::NotFound
            | Self::NotYet
            | Self::WrongMethod { .. } => {}
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooOften { seconds } => Some(*seconds),
            Self::JustRevoked { .. } => Some(2),
            Self::Unavailable(_) => Some(30),
            Self::Provider { error: IdpError::Unreachable(_), .. } => Some(30),
            Self::Provider { .. }
            | Self::UnknownApp
            | Self::ForeignRedirect
            | Self::ForeignReturn
            | Self::Ambiguous
            | Self::InvalidSession { .. }
            | Self::InvalidLoginSession { .. }
            | Self::LoginOver
            | Self::Unsolicited
            | Self::Loop { .. }
            | Self::NoProvider
            | Self::OtherAccount
            | Self::FormGone { .. }
            | Self::FormOfAnother { .. }
            | Self::NotFound
            | Self::NotYet
            | Self::WrongMethod { .. } => None,
        }
    }

    fn allow(&self) -> Option<&'static str> {
        if let Self::WrongMethod { allow } = self { Some(allow) } else { None }
    }
}

/// The provider's own words are for the log; the person reads what to do next (security O7).
fn provider_words(error: &IdpError) -> (StatusCode, &'static str, &'static str) {
    match error {
        IdpError::Denied { .. } => {
            (StatusCode::FORBIDDEN, texts::PROVIDER_DENIED, texts::PROVIDER_DENIED_WHY)
        }
        IdpError::Unreachable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            texts::PROVIDER_UNREACHABLE,
            texts::PROVIDER_UNREACHABLE_WHY,
        ),
        IdpError::BadAnswer(_) | IdpError::Misconfigured(_) => {
            (StatusCode::BAD_GATEWAY, texts::PROVIDER_BAD, texts::PROVIDER_BAD_WHY)
        }
        IdpError::EmailNotVerified => {
            (StatusCode::FORBIDDEN, texts::PROVIDER_UNVERIFIED, texts::PROVIDER_UNVERIFIED_WHY)
        }
        IdpError::Stale => (StatusCode::BAD_REQUEST, texts::LOGIN_OVER, texts::LOGIN_OVER_WHY),
    }
}
