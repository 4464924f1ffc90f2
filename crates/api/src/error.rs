//! Why an operation is refused, and what a client gets to read of it (api/README "Status codes", "Error codes").
//!
//! Whoever reads these texts administers the gateway, so they say what is wrong and what would be right. Scripts
//! match on the codes and on the words before the colon, so both stay as they are.

use crate::answer;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use narthex_model::RayId;
use narthex_snapshot::{Fault, FaultAt, FaultCode};
use narthex_store::StoreError;
use serde_json::{Value, json};

/// Kinds of object that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An application.
    App,
    /// A policy.
    Policy,
    /// A rule group.
    Group,
    /// An identity provider.
    IdentityProvider,
    /// A service token.
    ServiceToken,
    /// A person.
    User,
    /// A login session.
    Session,
}

/// Why an operation was refused, a variant per remedy.
#[derive(Debug)]
pub enum ApiError {
    /// Neither kind of credential was sent.
    NoCredentials,
    /// `Authorization` is not `Bearer` and a token.
    AuthorizationFormat,
    /// No token of ours is this one.
    UnknownToken,
    /// `X-Auth-Email` and `X-Auth-Key` name no token of ours.
    UnknownKey,
    /// The token is known but not in force; the text says why.
    TokenNotInForce(String),
    /// The token may not do this, or not in this account or zone.
    NotAllowed(String),
    /// No operation has this path.
    NoRoute(String),
    /// The path exists, for these methods only.
    Method(Vec<Method>),
    /// An operation of the contract that is not built.
    NotBuilt(&'static str),
    /// The body is larger than 10 MiB.
    TooLarge,
    /// There is no such object.
    Missing(Kind),
    /// A query parameter that cannot be read.
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it has to be.
        wanted: String,
    },
    /// A value that is not allowed.
    Invalid {
        /// Where it stands in the request body, as a JSON pointer; empty for the body itself.
        pointer: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The object is in use, or exists already. It will not go away by itself.
    Conflict(String),
    /// Another object has what this one would have.
    Duplicate {
        /// Where it stands in the request body; empty when it stands elsewhere.
        pointer: String,
        /// Whether it is the very place of another application.
        application: bool,
        /// Which, and whose.
        reason: String,
    },
    /// What the request would make does not compile.
    Fault(Box<Fault>),
    /// The team has no organization yet.
    NoOrganization,
    /// The store did not take it.
    Store(StoreError),
    /// A mistake of ours; the text is for the log.
    Internal(String),
}

/// What an error is on the wire.
struct Told {
    status: StatusCode,
    code: u32,
    message: String,
    pointer: Option<String>,
}

impl ApiError {
    pub(crate) fn invalid(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { pointer: pointer.into(), reason: reason.into() }
    }

    /// Says where in the request the objects stand that it wrote: `places` pairs each with the JSON pointer of its
    /// JSON in the body, and `written` turns a pointer into an object into one into the body. A fault in one of
    /// them becomes an error that points into the request; a reference that broke in any other object means that
    /// what the request removed is in use.
    pub(crate) fn in_request(
        self,
        places: &[(FaultAt, String)],
        written: impl Fn(FaultAt, &str) -> String,
    ) -> Self {
        let Self::Fault(fault) = self else { return self };
        let place = places.iter().find(|(object, _)| *object == fault.object);
        let pointer = place.map(|(_, at)| format!("{at}{}", written(fault.object, &fault.pointer)));
        match (pointer, fault.code) {
            (Some(pointer), FaultCode::Invalid | FaultCode::Missing) => {
                Self::invalid(pointer, fault.message)
            }
            (None, FaultCode::Invalid) => Self::Fault(fault),
            (None, FaultCode::Missing) => {
                Self::Conflict(format!("it is in use: {}, {}", fault.object, fault.pointer))
            }
            (pointer, FaultCode::Duplicate) => Self::Duplicate {
                pointer: pointer.unwrap_or_default(),
                application: false,
                reason: fault.message,
            },
        }
    }

    fn told(&self) -> Told {
        let told = |status, code, message: String| Told { status, code, message, pointer: None };
        let of = |status, code, message: &str| told(status, code, message.to_owned());
        match self {
            Self::NoCredentials => of(
                StatusCode::BAD_REQUEST,
                9106,
                "Missing X-Auth-Key, X-Auth-Email or Authorization headers",
            ),
            Self::AuthorizationFormat => {
                of(StatusCode::BAD_REQUEST, 6003, "Invalid request headers")
            }
            Self::UnknownToken => of(StatusCode::UNAUTHORIZED, 1000, "Invalid API Token"),
            Self::UnknownKey => {
                of(StatusCode::FORBIDDEN, 9103, "Unknown X-Auth-Key or X-Auth-Email")
            }
            Self::TokenNotInForce(why) => {
                told(StatusCode::UNAUTHORIZED, 1000, format!("Invalid API Token: {why}"))
            }
            Self::NotAllowed(why) => {
                told(StatusCode::FORBIDDEN, 10_000, format!("Authentication error: {why}"))
            }
            Self::NoRoute(path) => told(
                StatusCode::NOT_FOUND,
                7003,
                format!("Could not route to {path}, perhaps your object identifier is invalid?"),
            ),
            Self::Method(offered) => {
                let names: Vec<&str> = offered.iter().map(Method::as_str).collect();
                let message =
                    format!("Method not available for that URI; it has {}", names.join(", "));
                told(StatusCode::METHOD_NOT_ALLOWED, 7001, message)
            }
            Self::NotBuilt(what) => told(
                StatusCode::NOT_IMPLEMENTED,
                7000,
                format!("No route for that URI: {what} are not supported by this gateway yet"),
            ),
            Self::TooLarge => of(
                StatusCode::PAYLOAD_TOO_LARGE,
                12_130,
                "access.api.error.invalid_request: the body is larger than 10 MiB",
            ),
            Self::Missing(kind) => missing(*kind),
            Self::Parameter { name, wanted } => told(
                StatusCode::BAD_REQUEST,
                12_091,
                format!("access.api.error.invalid_url_parameter_value: {name} must be {wanted}"),
            ),
            Self::Invalid { pointer, reason } => Told {
                pointer: Some(pointer.clone()),
                ..told(
                    StatusCode::BAD_REQUEST,
                    12_130,
                    format!("access.api.error.invalid_request: {reason}"),
                )
            },
            Self::Conflict(reason) => {
                told(StatusCode::CONFLICT, 12_132, format!("access.api.error.conflict: {reason}"))
            }
            Self::Duplicate { pointer, application, reason } => {
                let (code, name) = if *application {
                    (11_010, "application_already_exists")
                } else {
                    (12_132, "conflict")
                };
                let message = format!("access.api.error.{name}: {reason}");
                let pointer = Some(pointer.clone()).filter(|pointer| !pointer.is_empty());
                Told { pointer, ..told(StatusCode::CONFLICT, code, message) }
            }
            Self::Fault(fault) => told(
                StatusCode::BAD_REQUEST,
                12_130,
                format!("access.api.error.invalid_request: {fault}"),
            ),
            Self::NoOrganization => of(
                StatusCode::FORBIDDEN,
                9999,
                "access.api.error.not_enabled: the team has no organization yet; restart the gateway to make it",
            ),
            Self::Store(error) => unstored(error),
            Self::Internal(_) => of(
                StatusCode::INTERNAL_SERVER_ERROR,
                10_001,
                "access.api.error.internal_server_error",
            ),
        }
    }

    /// The response that leaves the gateway.
    pub(crate) fn respond(self, ray: &RayId) -> Response<Bytes> {
        let allow = match &self {
            Self::Method(offered) => {
                Some(offered.iter().map(Method::as_str).collect::<Vec<_>>().join(", "))
            }
            Self::NoCredentials
            | Self::AuthorizationFormat
            | Self::UnknownToken
            | Self::UnknownKey
            | Self::TokenNotInForce(_)
            | Self::NotAllowed(_)
            | Self::NoRoute(_)
            | Self::NotBuilt(_)
            | Self::TooLarge
            | Self::Missing(_)
            | Self::Parameter { .. }
            | Self::Invalid { .. }
            | Self::Conflict(_)
            | Self::Duplicate { .. }
            | Self::Fault(_)
            | Self::NoOrganization
            | Self::Store(_)
            | Self::Internal(_) => None,
        };
        let malformed = matches!(self, Self::AuthorizationFormat);
        let passing = matches!(
            self,
            Self::Store(StoreError::Moved { .. } | StoreError::Locked | StoreError::Unavailable(_))
        );
        let told = self.told();
        let mut error = json!({"code": told.code, "message": told.message});
        if malformed {
            error["error_chain"] = json!([
                {"code": 6111, "message": "Invalid format for Authorization header"},
            ]);
        }
        if let Some(pointer) = told.pointer {
            error["source"] = json!({ "pointer": pointer });
        }
        let body =
            json!({"success": false, "errors": [error], "messages": [], "result": Value::Null});
        let mut response = answer::respond(told.status, &body, ray);
        let headers = response.headers_mut();
        if let Some(allow) = allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        // Clients repeat 409 and 5xx for minutes (api/README "Retries"); waiting helps only where it says so.
        let repeated = told.status == StatusCode::CONFLICT || told.status.is_server_error();
        if repeated && passing {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        } else if repeated {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

fn missing(kind: Kind) -> Told {
    let (code, message) = match kind {
        Kind::App => (11_021, "access.api.error.unknown_application"),
        Kind::Group => (12_109, "access.api.error.group_not_found"),
        Kind::Policy => (12_135, "access.api.error.not_found: no such policy"),
        Kind::IdentityProvider => (12_135, "access.api.error.not_found: no such identity provider"),
        Kind::ServiceToken => (12_135, "access.api.error.not_found: no such service token"),
        Kind::User => (12_135, "access.api.error.not_found: no such user"),
        Kind::Session => (12_135, "access.api.error.not_found: no such session"),
    };
    Told { status: StatusCode::NOT_FOUND, code, message: message.to_owned(), pointer: None }
}

fn unstored(error: &StoreError) -> Told {
    let (status, code, name) = match error {
        StoreError::Moved { .. } => (StatusCode::CONFLICT, 12_132, "conflict"),
        StoreError::Full => (StatusCode::INSUFFICIENT_STORAGE, 10_001, "internal_server_error"),
        StoreError::ReadOnly | StoreError::Locked | StoreError::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, 10_001, "internal_server_error")
        }
        StoreError::Damaged(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, 10_001, "internal_server_error")
        }
    };
    Told { status, code, message: format!("access.api.error.{name}: {error}"), pointer: None }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Internal(why) => f.write_str(why),
            Self::NoCredentials
            | Self::AuthorizationFormat
            | Self::UnknownToken
            | Self::UnknownKey
            | Self::TokenNotInForce(_)
            | Self::NotAllowed(_)
            | Self::NoRoute(_)
            | Self::Method(_)
            | Self::NotBuilt(_)
            | Self::TooLarge
            | Self::Missing(_)
            | Self::Parameter { .. }
            | Self::Invalid { .. }
            | Self::Conflict(_)
            | Self::Duplicate { .. }
            | Self::NoOrganization => f.write_str(&self.told().message),
        }
    }
}

impl std::error::Error for ApiError {}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::Revision;

    #[test]
    fn failures_tell_clients_whether_waiting_helps() {
        let moved = StoreError::Moved { expected: Revision(1), found: Revision(2) };
        let should_not = Some("false");
        for (error, status, code, retry_after, should_retry) in [
            (ApiError::Store(moved), 409, 12_132, Some("2"), None),
            (ApiError::Store(StoreError::Full), 507, 10_001, None, should_not),
            (ApiError::Store(StoreError::ReadOnly), 503, 10_001, None, should_not),
            (ApiError::Store(StoreError::Locked), 503, 10_001, Some("2"), None),
            (
                ApiError::Store(StoreError::Unavailable("x".to_owned())),
                503,
                10_001,
                Some("2"),
                None,
            ),
            (ApiError::Store(StoreError::Damaged("x".to_owned())), 500, 10_001, None, should_not),
            (ApiError::Internal("secret".to_owned()), 500, 10_001, None, should_not),
            (ApiError::Conflict("in use".to_owned()), 409, 12_132, None, should_not),
            (ApiError::NotBuilt("tags"), 501, 7000, None, should_not),
            (ApiError::NoOrganization, 403, 9999, None, None),
            (ApiError::TooLarge, 413, 12_130, None, None),
        ] {
            let name = format!("{error:?}");
            let response = error.respond(&RayId::random());
            let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap());
            assert_eq!(response.status(), status, "{name}");
            assert_eq!(header("retry-after"), retry_after, "{name}");
            assert_eq!(header("x-should-retry"), should_retry, "{name}");
            let body: Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body["errors"][0]["code"], code, "{name}");
            assert_eq!((&body["success"], &body["result"]), (&Value::Bool(false), &Value::Null));
            assert!(!body.to_string().contains("secret"), "{body}");
        }
    }

    #[test]
    fn a_method_that_is_not_offered_names_those_that_are() {
        let response = ApiError::Method(vec![Method::GET, Method::POST]).respond(&RayId::random());
        assert_eq!(response.headers()["allow"], "GET, POST");
    }
}
