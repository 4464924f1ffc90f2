//! Why an operation is refused, and what a client gets to read of it (api/README "Status codes", "Error codes").
//!
//! Whoever reads these texts administers the gateway, so they say what is wrong and what would be right. Scripts
//! match on the codes and on the words before the colon, so both stay as they are.

use crate::envelope;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use narthex_model::RayId;
use narthex_snapshot::{Fault, FaultAt, FaultCode};
use narthex_store::StoreError;
use serde_json::{Value, json};
use std::fmt;

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
    /// An authority of client certificates.
    Certificate,
    /// A revocation list.
    RevocationList,
    /// A client certificate that the gateway issued.
    ClientCertificate,
    /// The certificates that a SAML provider may encrypt for.
    SamlCertificateSet,
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
    /// A hostname of certificate settings that lies in none of our zones, or not in the one of the path.
    ForeignHostname {
        /// Where it stands in the request body.
        pointer: String,
        /// The hostname.
        host: String,
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
    /// What was revoked is refused by this node from now on, but the store did not take it.
    RevokedHere(StoreError),
    /// A mistake of ours; the text is for the log.
    Internal(String),
}

/// Who has to hear of an error besides the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    /// Nobody: the request has to change.
    Caller,
    /// An operator: a credential that nobody should send.
    Credential,
    /// An operator: a failure of ours.
    Failure,
}

/// What an error is on the wire and in the log: the row of one error in the table [`ApiError::told`].
struct Told {
    status: StatusCode,
    code: u32,
    message: String,
    /// Where it stands in the request.
    pointer: Option<String>,
    /// The finer error below it, as older parts of the contract tell it.
    chain: Option<(u32, &'static str)>,
    /// The methods that would be right.
    allow: Option<String>,
    /// Whether the same request may succeed in a moment.
    passing: bool,
    /// What the log says, where that is more than a client may read, or less than it has to.
    for_operator: Option<String>,
    concern: Concern,
}

impl Told {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            pointer: None,
            chain: None,
            allow: None,
            passing: false,
            for_operator: None,
            concern: Concern::Caller,
        }
    }

    /// 400 with the code and the words that scripts look for.
    fn invalid(reason: impl fmt::Display) -> Self {
        let message = format!("access.api.error.invalid_request: {reason}");
        Self::new(StatusCode::BAD_REQUEST, 12_130, message)
    }

    fn of(self, concern: Concern) -> Self {
        Self { concern, ..self }
    }
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

    /// Who has to hear of it.
    pub(crate) fn concern(&self) -> Concern {
        self.told().concern
    }

    /// The table: what each error is on the wire and in the log.
    fn told(&self) -> Told {
        match self {
            Self::NoCredentials => Told::new(
                StatusCode::BAD_REQUEST,
                9106,
                "Missing X-Auth-Key, X-Auth-Email or Authorization headers",
            )
            .of(Concern::Credential),
            Self::AuthorizationFormat => Told {
                chain: Some((6111, "Invalid format for Authorization header")),
                ..Told::new(StatusCode::BAD_REQUEST, 6003, "Invalid request headers")
                    .of(Concern::Credential)
            },
            Self::UnknownToken => Told::new(StatusCode::UNAUTHORIZED, 1000, "Invalid API Token")
                .of(Concern::Credential),
            Self::UnknownKey => {
                Told::new(StatusCode::FORBIDDEN, 9103, "Unknown X-Auth-Key or X-Auth-Email")
                    .of(Concern::Credential)
            }
            Self::TokenNotInForce(why) => {
                Told::new(StatusCode::UNAUTHORIZED, 1000, format!("Invalid API Token: {why}"))
                    .of(Concern::Credential)
            }
            Self::NotAllowed(why) => {
                Told::new(StatusCode::FORBIDDEN, 10_000, format!("Authentication error: {why}"))
                    .of(Concern::Credential)
            }
            Self::NoRoute(path) => Told::new(
                StatusCode::NOT_FOUND,
                7003,
                format!("Could not route to {path}, perhaps your object identifier is invalid?"),
            ),
            Self::Method(offered) => {
                let names: Vec<&str> = offered.iter().map(Method::as_str).collect();
                let names = names.join(", ");
                let message = format!("Method not available for that URI; it has {names}");
                let told = Told::new(StatusCode::METHOD_NOT_ALLOWED, 7001, message);
                Told { allow: Some(names), ..told }
            }
            Self::NotBuilt(what) => Told::new(
                StatusCode::NOT_IMPLEMENTED,
                7000,
                format!("No route for that URI: {what} are not supported by this gateway yet"),
            ),
            Self::TooLarge => Told {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                ..Told::invalid("the body is larger than 10 MiB")
            },
            Self::Missing(kind) => missing(*kind),
            Self::Parameter { name, wanted } => Told::new(
                StatusCode::BAD_REQUEST,
                12_091,
                format!("access.api.error.invalid_url_parameter_value: {name} must be {wanted}"),
            ),
            Self::Invalid { pointer, reason } => {
                Told { pointer: Some(pointer.clone()), ..Told::invalid(reason) }
            }
            Self::ForeignHostname { pointer, host } => Told {
                pointer: Some(pointer.clone()),
                ..Told::new(
                    StatusCode::BAD_REQUEST,
                    12_036,
                    format!("access.api.error.hostnames_must_belong_to_your_domain: {host}"),
                )
            },
            Self::Conflict(reason) => Told::new(
                StatusCode::CONFLICT,
                12_132,
                format!("access.api.error.conflict: {reason}"),
            ),
            Self::Duplicate { pointer, application, reason } => {
                let (code, name) = if *application {
                    (11_010, "application_already_exists")
                } else {
                    (12_132, "conflict")
                };
                let message = format!("access.api.error.{name}: {reason}");
                let pointer = Some(pointer.clone()).filter(|pointer| !pointer.is_empty());
                Told { pointer, ..Told::new(StatusCode::CONFLICT, code, message) }
            }
            Self::Fault(fault) => {
                Told { for_operator: Some(fault.to_string()), ..Told::invalid(fault) }
            }
            Self::NoOrganization => Told::new(
                StatusCode::FORBIDDEN,
                9999,
                "access.api.error.not_enabled: the team has no organization yet; restart the gateway to make it",
            ),
            Self::Store(error) => unstored(error),
            Self::RevokedHere(error) => Told {
                status: StatusCode::INSUFFICIENT_STORAGE,
                passing: true,
                message: format!(
                    "access.api.error.internal_server_error: revoked, and refused by this gateway from now on, but not \
                     written down: {error}. It is forgotten if the gateway restarts before it could write it, which it \
                     tries every second; repeat the call until it succeeds"
                ),
                ..unstored(error)
            },
            Self::Internal(why) => Told {
                for_operator: Some(why.clone()),
                ..Told::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    10_001,
                    "access.api.error.internal_server_error",
                )
                .of(Concern::Failure)
            },
        }
    }

    /// The response that leaves the gateway.
    pub(crate) fn respond(self, ray: &RayId) -> Response<Bytes> {
        let told = self.told();
        let mut error = json!({"code": told.code, "message": told.message});
        if let Some((code, message)) = told.chain {
            error["error_chain"] = json!([{"code": code, "message": message}]);
        }
        if let Some(pointer) = told.pointer {
            error["source"] = json!({ "pointer": pointer });
        }
        let body =
            json!({"success": false, "errors": [error], "messages": [], "result": Value::Null});
        let mut response = envelope::respond(told.status, &body, ray);
        let headers = response.headers_mut();
        if let Some(allow) = told.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        // Clients repeat 409 and 5xx for minutes (api/README "Retries"); waiting helps only where it says so.
        let repeated = told.status == StatusCode::CONFLICT || told.status.is_server_error();
        if repeated && told.passing {
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
        Kind::Certificate => (12_135, "access.api.error.not_found: no such certificate"),
        Kind::RevocationList => (12_135, "access.api.error.not_found: no such revocation list"),
        Kind::SamlCertificateSet => {
            (12_135, "access.api.error.not_found: no such SAML certificate set")
        }
        Kind::ClientCertificate => (1002, "no such client certificate"),
    };
    Told::new(StatusCode::NOT_FOUND, code, message)
}

/// What a store that failed means for the caller; the operator reads the store's own words.
fn unstored(error: &StoreError) -> Told {
    let ours = (10_001, "internal_server_error");
    let (status, (code, name), passing) = match error {
        StoreError::Moved { .. } => (StatusCode::CONFLICT, (12_132, "conflict"), true),
        StoreError::Full => (StatusCode::INSUFFICIENT_STORAGE, ours, false),
        StoreError::ReadOnly => (StatusCode::SERVICE_UNAVAILABLE, ours, false),
        StoreError::Locked | StoreError::HandedOver | StoreError::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, ours, true)
        }
        StoreError::Damaged(_) => (StatusCode::INTERNAL_SERVER_ERROR, ours, false),
    };
    let told = Told::new(status, code, format!("access.api.error.{name}: {error}"));
    Told { passing, for_operator: Some(error.to_string()), ..told }.of(Concern::Failure)
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.told();
        f.write_str(&told.for_operator.unwrap_or(told.message))
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
            (ApiError::Store(StoreError::HandedOver), 503, 10_001, Some("2"), None),
            (
                ApiError::Store(StoreError::Unavailable("x".to_owned())),
                503,
                10_001,
                Some("2"),
                None,
            ),
            (ApiError::Store(StoreError::Damaged("x".to_owned())), 500, 10_001, None, should_not),
            (ApiError::RevokedHere(StoreError::Full), 507, 10_001, Some("2"), None),
            (ApiError::RevokedHere(StoreError::Locked), 507, 10_001, Some("2"), None),
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
