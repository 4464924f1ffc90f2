//! The nouns of narthex: each a checked type, with the JSON that the administration API writes.
//!
//! There is no I/O here. A value of one of these types is already valid: the only way in is its parser
//! (`TryFrom`, `FromStr` or deserialisation), so nobody has to remember to validate.

mod application;
mod certificate;
mod clock;
mod configuration;
mod country;
mod destination;
mod duration;
mod email;
mod group;
mod host;
mod id;
mod identity;
mod identity_provider;
mod ingress;
mod organization;
mod path;
mod policy;
mod premises;
mod record;
mod rule;
mod sealed;
mod secret;
mod service_token;
mod written_host;

pub use application::{
    AppKind, Application, CookieSettings, CorsHeaders, PolicyLink, SameSite, UnknownAppKind,
};
pub use certificate::{
    AuthorityKind, CertificateAuthority, CertificateHolder, CertificatePem, CertificateQuestion,
    CertificateSelector, CheckMode, ClientAuthField, ClientCertificate, ClientCertificateStatus,
    CrlChecks, CrlFailure, CrlSource, ForwardedForm, ForwardedRequests, HeaderRules, HeaderSource,
    HostnameSetting, InvalidHeaderRule, InvalidPem, InvalidSerial, IssuedSubject,
    ManagedTransforms, OcspChecks, RevocationChecks, RuleHeader, SerialNumber, StoredCrl,
    pem_blocks,
};
pub use clock::{Clock, Timestamp, UnixSeconds};
pub use configuration::{Configuration, Revision};
pub use country::{CountryCode, InvalidCountryCode};
pub use destination::{Destination, HostPattern, InvalidDestination, PathPattern, Specificity};
pub use duration::{GoDuration, InvalidDuration};
pub use email::{EmailAddress, InvalidEmail};
pub use group::Group;
pub use host::{Authority, Hostname, InvalidHost, TeamDomain};
pub use id::{
    AccountId, ApiTokenId, AppId, AudTag, CertificateAuthorityId, CertificateSetId,
    ClientCertificateId, ClientId, GroupId, IdentityNonce, IdpId, InvalidId, Kid, PolicyId, RayId,
    ServiceTokenId, UserId, ZoneId,
};
pub use identity::{Geo, GroupMembership, Identity, IdpReference, Session, User};
pub use identity_provider::{
    CertificateSet, EncryptionKey, HeaderAttribute, IdentityProvider, IdentityUpdate, IdpConfig,
    InvalidIdpConfig, OidcConfig, SamlConfig, ScimConfig,
};
pub use ingress::{CertificateFiles, IngressRule, InvalidService, OriginRequest, OriginService};
pub use organization::{
    InactivityAction, KeyRotation, LoginDesign, Organization, ServiceTokenInactivity,
};
pub use path::{CanonicalPath, InvalidPath};
pub use policy::{Decision, Policy};
pub use premises::{Account, Premises, Zone};
pub use record::{AccessRecord, Action, TrafficCount, TrafficKey, Verdict};
pub use rule::{InvalidRule, Rule, RuleSet, Selector};
pub use sealed::{InvalidMasterKey, MasterKey, Unsealable};
pub use secret::{Secret, SecretHash};
pub use service_token::ServiceToken;
pub use written_host::WrittenHostname;
