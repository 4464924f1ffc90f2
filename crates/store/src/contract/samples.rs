//! Things to keep.

use super::NOW;
use crate::AdminRecord;
use narthex_model::{
    AccessRecord, AccountId, Action, AppId, Application, CertificateAuthority, ClientCertificate,
    Configuration, EmailAddress, Geo, Group, HostnameSetting, Identity, IdentityNonce,
    IdentityProvider, IdpConfig, IdpId, IdpReference, ManagedTransforms, Organization, Policy,
    RayId, ScimConfig, Secret, SecretHash, ServiceToken, ServiceTokenId, Session, Timestamp,
    UnixSeconds, UserId, Verdict,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

fn of<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("the sample is valid")
}

const AT: &str = "2023-11-14T22:13:20Z";
pub(super) const APP: &str = "9a4bd9c5-5a0e-4d52-9d1f-0d2b0a6e0001";
pub(super) const KEY: &str = "the authority's private key";
pub(super) const SECRET: &str = "the provider's client secret";

pub(super) fn email(raw: &str) -> EmailAddress {
    raw.parse().expect("the sample is valid")
}

pub(super) fn application(name: &str) -> Arc<Application> {
    let aud = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"; // seed 003
    Arc::new(of(json!({
        "id": APP, "aud": aud, "name": name, "destinations": ["wiki.example.com"], "session_duration": "24h",
        "presentation": {"tags": ["日本語", "'; DROP TABLE object; --"]}, "created_at": AT, "updated_at": AT,
    })))
}

/// One object of every kind.
pub(super) fn configuration() -> Configuration {
    let organization: Organization = of(json!({
        "name": "acme", "auth_domain": "acme.example.com:8443", "aud": "ab".repeat(32),
        "created_at": AT, "updated_at": AT,
    }));
    let rules = json!([{"email_domain": {"domain": "example.com"}}]);
    let policy: Policy = of(json!({
        "id": "9a4bd9c5-5a0e-4d52-9d1f-0d2b0a6e0002", "name": "Staff", "decision": "allow", "include": rules,
        "created_at": AT, "updated_at": AT,
    }));
    let group: Group = of(json!({
        "id": "9a4bd9c5-5a0e-4d52-9d1f-0d2b0a6e0003", "name": "Staff", "include": rules,
        "created_at": AT, "updated_at": AT,
    }));
    let (app, idp, token) = (application("Wiki"), provider(), service_token());
    let authority = authority();
    let issued = client_certificate(&authority);
    let setting: HostnameSetting = of(json!({
        "hostname": "wiki.example.com", "client_certificate_forwarding": true, "forwarded_requests": "every",
        "request_headers": {"X-CERT-SERIAL": {"field": "certSerial"}},
    }));
    let transforms: ManagedTransforms =
        of(json!({"zone": "ab".repeat(16), "client_certificate_request_headers": true}));
    Configuration {
        organization: Some(Arc::new(organization)),
        apps: BTreeMap::from([(app.id, app)]),
        policies: BTreeMap::from([(policy.id, Arc::new(policy))]),
        groups: BTreeMap::from([(group.id, Arc::new(group))]),
        identity_providers: BTreeMap::from([(idp.id, Arc::new(idp))]),
        service_tokens: BTreeMap::from([(token.id, Arc::new(token))]),
        certificate_authorities: BTreeMap::from([(authority.id, Arc::new(authority))]),
        hostname_settings: BTreeMap::from([(setting.hostname.host().clone(), Arc::new(setting))]),
        client_certificates: BTreeMap::from([(issued.id, Arc::new(issued))]),
        managed_transforms: BTreeMap::from([(transforms.zone.clone(), Arc::new(transforms))]),
    }
}

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAM=\n-----END CERTIFICATE-----";

/// An authority with a key.
pub(super) fn authority() -> CertificateAuthority {
    let mut authority: CertificateAuthority = of(json!({
        "id": "9a4bd9c5-5a0e-4d52-9d1f-0d2b0a6e0004", "name": "Staff CA", "kind": "managed", "certificates": PEM,
        "hostnames": ["wiki.example.com"], "fingerprint": "1E:80", "expires_on": AT, "created_at": AT,
        "updated_at": AT, "revocation": {"crl": {"urls": ["http://ca.example/a.crl"]}, "serial_numbers": ["0A"]},
    }));
    authority.key = Some(Secret::from(KEY.to_owned()));
    authority
}

fn client_certificate(authority: &CertificateAuthority) -> ClientCertificate {
    of(json!({
        "id": "9a4bd9c5-5a0e-4d52-9d1f-0d2b0a6e0005", "authority": authority.id, "certificate": PEM, "csr": "",
        "status": "revoked", "serial_number": "0A1B", "fingerprint_sha256": "", "ski": "", "signature": "",
        "subject": {"common_name": "robot", "country": "", "state": "", "location": "", "organization": "",
            "organizational_unit": ""},
        "validity_days": 365, "issued_on": AT, "expires_on": AT, "revoked_at": AT, "zone": "ab".repeat(16),
    }))
}

fn provider() -> IdentityProvider {
    let config = IdpConfig::parse(
        "oidc",
        json!({"client_id": "narthex", "auth_url": "https://idp.example/authorize",
            "token_url": "https://idp.example/token", "certs_url": "https://idp.example/keys"}),
    );
    IdentityProvider {
        id: IdpId::random(),
        name: "Staff".to_owned(),
        config: config
            .expect("the sample is valid")
            .with_secret(Some(Secret::from(SECRET.to_owned()))),
        scim: ScimConfig::default(),
        zone: None,
        created_at: Timestamp(NOW),
        updated_at: Timestamp(NOW),
    }
}

fn service_token() -> ServiceToken {
    ServiceToken {
        id: ServiceTokenId::random(),
        name: "robot".to_owned(),
        client_id: narthex_model::ClientId::random(),
        secret: SecretHash::of("shown once"),
        previous_secret: None,
        client_secret_version: 1,
        duration: "8760h".to_owned(),
        enabled: true,
        expires_at: Some(Timestamp(NOW.plus(31_536_000))),
        zone: None,
        created_at: Timestamp(NOW),
        updated_at: Timestamp(NOW),
    }
}

pub(super) fn audit(actor: &str) -> AdminRecord {
    AdminRecord {
        at: Timestamp(NOW),
        actor: actor.to_owned(),
        ip_address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        ray_id: Some(RayId::random()),
        summary: json!({"method": "PUT", "path": "/client/v4/accounts/…/access/apps"}),
    }
}

/// A session of `user` that began at `iat`, ends an hour later, and whose tokens end an hour after that.
pub(super) fn session(user: UserId, iat: UnixSeconds) -> Session {
    let identity = Identity {
        id: "subject".to_owned(),
        name: "Aoi".to_owned(),
        email: email("aoi@example.com"),
        amr: vec!["pwd".to_owned()],
        idp: IdpReference { id: IdpId::random(), kind: "oidc".to_owned() },
        geo: Geo::default(),
        user_uuid: user,
        account_id: AccountId::random(),
        iat,
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        groups: Vec::new(),
        oidc_fields: serde_json::Map::new(),
        saml_attributes: serde_json::Map::new(),
        certificate: None,
    };
    let nonce = IdentityNonce::random();
    let (expires_at, tokens_until) = (iat.plus(3_600), iat.plus(7_200));
    Session { nonce, identity, expires_at, tokens_until, apps: [AppId::random()].into() }
}

/// A login that was admitted.
pub(super) fn record(at: UnixSeconds) -> AccessRecord {
    let (action, verdict, reason) = (Action::Login, Verdict::Allowed, "policy Staff admits");
    AccessRecord {
        app: APP.parse().ok(),
        app_domain: "wiki.example.com".to_owned(),
        user_email: Some(email("aoi@example.com")),
        connection: "oidc".to_owned(),
        ip_address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        country: "JP".parse().ok(),
        rule: r#"include[0] {"everyone":{}}"#.to_owned(),
        ..AccessRecord::new(RayId::random(), at, action, verdict, reason)
    }
}
