//! A gateway with a few applications, in one process, on ports of its own.

use crate::origin::Origin;
use crate::wire::{Wire, client_config, connect};
use narthex_model::{
    AccessRecord, Account, AppId, Application, AudTag, Clock, Configuration, EmailAddress,
    Identity, IdentityNonce, IngressRule, Organization, Policy, PolicyId, Premises, Revision,
    SecretHash, ServiceToken, Session, UnixSeconds, UserId, Zone, ZoneId,
};
use narthex_proxy::{
    CertificateSource, Control, Errand, Lateness, LocalCa, LogRequests, Meters, Reading, Running,
    Settings, ToldLateness, start,
};
use narthex_snapshot::{Live, Materials, Snapshot};
use narthex_token::{KeyRing, PersonToken, SigningKey};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use tokio::sync::mpsc;

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_780_000_000);

/// Making an RSA key takes a while; one serves all tests.
static KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(SigningKey::generate(NOW, NOW)));

/// The service token that applications may name.
pub(crate) const CLIENT_ID: &str = "e367826f93b8d71185e03fe518aff3b4.access";
pub(crate) const CLIENT_SECRET: &str =
    "c4a4b1d0b3c94f6d8a1e5f7b2d9c3a6e8f0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d";

/// How a town is built.
pub(crate) struct Plan {
    pub(crate) apps: Vec<Value>,
    pub(crate) organization: Value,
    pub(crate) settings: Settings,
    /// The service behind `*.other.test`, if it is not the origin.
    pub(crate) elsewhere: Option<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            apps: Vec::new(),
            organization: json!({}),
            settings: Settings::default(),
            elsewhere: None,
        }
    }
}

impl Plan {
    /// Adds an application; `more` overrides its fields.
    pub(crate) fn app(mut self, destination: &str, policies: &[Value], more: Value) -> Self {
        let mut app = json!({"domain": destination, "policies": policies});
        merge(&mut app, more);
        self.apps.push(app);
        self
    }

    pub(crate) fn organization(mut self, more: Value) -> Self {
        merge(&mut self.organization, more);
        self
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// A policy: decision and rules.
pub(crate) fn policy(decision: &str, include: Value) -> Value {
    json!({"decision": decision, "include": [include]})
}

pub(crate) fn everyone() -> Value {
    json!({"everyone": {}})
}

/// A running gateway.
pub(crate) struct Town {
    pub(crate) running: Running,
    pub(crate) origin: Origin,
    pub(crate) live: Arc<Live>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) clock: Clock,
    pub(crate) errands: mpsc::Receiver<Errand>,
    pub(crate) records: mpsc::Receiver<AccessRecord>,
    pub(crate) ca_pem: String,
    meters: Arc<Meters>,
    materials: Materials,
    configuration: Configuration,
    _dir: tempfile::TempDir,
}

impl Town {
    pub(crate) async fn build(plan: Plan) -> Self {
        let origin = Origin::start().await;
        let dir = tempfile::tempdir().unwrap();
        let team = "access.example.com".parse().unwrap();
        let keys = Arc::new(KeyRing::of(vec![Arc::clone(&KEY)], &team, NOW).unwrap());
        let service = format!("http://127.0.0.1:{}", origin.port);
        let elsewhere = plan.elsewhere.clone().unwrap_or_else(|| service.clone());
        let ingress = [("*.example.com", service), ("*.other.test", elsewhere)];
        let ingress = ingress.map(|(host, service)| IngressRule {
            hostname: IngressRule::hostname(host).unwrap(),
            path: None,
            service: service.parse().unwrap(),
            origin_request: Default::default(),
        });
        let premises = Arc::new(Premises {
            account: Account { id: narthex_model::AccountId::random(), name: "acme".to_owned() },
            zones: Vec::new(),
            team,
            admin: Some("admin.example.com".parse().unwrap()),
            ingress: ingress.into(),
        });
        let materials = Materials {
            premises,
            keys: Arc::clone(&keys),
            countries: None,
            revocation_lists: Arc::default(),
        };
        let configuration = configuration(&plan);
        let snapshot = Snapshot::compile(&materials, &configuration, Revision(1)).unwrap();
        let live = Arc::new(Live::new(snapshot));
        let ca = LocalCa::open_or_create(dir.path(), NOW).unwrap();
        let ca_pem = ca.certificate_pem().to_owned();
        let mut settings = plan.settings;
        settings.https = vec!["127.0.0.1:0".parse().unwrap()];
        settings.http = vec!["127.0.0.1:0".parse().unwrap()];
        settings.log_requests = LogRequests::All;
        if let Lateness::Measured = settings.lateness {
            // A busy machine must not make a test's gateway turn anybody away.
            settings.lateness = Lateness::Told(ToldLateness::default());
        }
        if settings.certificates.certificates.is_empty() {
            settings.certificates =
                CertificateSource { certificates: Vec::new(), local_ca: Some(Arc::new(ca)) };
        }
        let (control, errands) = mpsc::channel(4);
        let control = Control { admin: control.clone(), pages: control };
        let (record, records) = mpsc::channel(100);
        let meters = Arc::new(Meters::new(settings.cores));
        let clock = Clock::manual(NOW);
        let running =
            start(settings, Arc::clone(&live), control, record, Arc::clone(&meters), clock.clone())
                .unwrap();
        Self {
            running,
            origin,
            live,
            keys,
            clock,
            errands,
            records,
            ca_pem,
            meters,
            materials,
            configuration,
            _dir: dir,
        }
    }

    /// Puts another configuration in force.
    pub(crate) fn publish(&mut self, edit: impl FnOnce(&mut Configuration)) {
        edit(&mut self.configuration);
        let snapshot = Snapshot::compile(&self.materials, &self.configuration, Revision(2));
        self.live.publish(snapshot.unwrap());
    }

    /// Puts a ring of these keys in force, as it is at this hour.
    pub(crate) fn rekey(&mut self, keys: Vec<Arc<SigningKey>>) {
        let team = &self.materials.premises.team;
        self.keys = Arc::new(KeyRing::of(keys, team, self.clock.now()).unwrap());
        self.materials.keys = Arc::clone(&self.keys);
        self.publish(|_| {});
    }

    /// Adds a zone to the installation.
    pub(crate) fn add_zone(&mut self, name: &str) -> ZoneId {
        let mut premises = (*self.materials.premises).clone();
        let id = ZoneId::random();
        premises.zones.push(Zone { id: id.clone(), name: name.parse().unwrap() });
        self.materials.premises = Arc::new(premises);
        id
    }

    /// The key that a town signs with when it is built.
    pub(crate) fn key() -> Arc<SigningKey> {
        Arc::clone(&KEY)
    }

    pub(crate) fn port(&self) -> u16 {
        self.running.https_addrs()[0].port()
    }

    /// An HTTP/1.1 connection that names `host` in its ClientHello.
    pub(crate) async fn wire(&self, host: &str) -> Wire {
        let config = client_config(&self.ca_pem, &[b"http/1.1"]);
        Wire::new(connect(config, self.port(), host).await.unwrap())
    }

    pub(crate) fn read_meters(&self) -> Reading {
        self.meters.read()
    }

    pub(crate) fn app(&self, domain: &str) -> &Application {
        self.configuration.apps.values().find(|app| app.domain() == domain).unwrap()
    }

    /// Logs somebody in: a session, and a token for the application at `domain`.
    pub(crate) fn log_in(&self, email: &str, domain: &str) -> String {
        self.log_in_with(email, domain, |_| {})
    }

    pub(crate) fn log_in_with(
        &self,
        email: &str,
        domain: &str,
        edit: impl FnOnce(&mut PersonToken),
    ) -> String {
        let email: EmailAddress = email.parse().unwrap();
        let mut token = PersonToken {
            aud: self.app(domain).aud.clone(),
            email: email.clone(),
            sub: UserId::random(),
            identity_nonce: IdentityNonce::random(),
            country: None,
            custom: Default::default(),
            iat: NOW,
            exp: NOW.plus(3600),
            binding: None,
        };
        self.live.sessions.insert(Session {
            nonce: token.identity_nonce.clone(),
            identity: Identity {
                id: "subject".to_owned(),
                name: "Somebody".to_owned(),
                email,
                amr: Vec::new(),
                idp: serde_json::from_value(
                    json!({"id": "7335d417-61da-459d-899c-0a01c76a2f94", "type": "oidc"}),
                )
                .unwrap(),
                geo: Default::default(),
                user_uuid: token.sub,
                account_id: self.materials.premises.account.id.clone(),
                iat: NOW,
                ip: "127.0.0.1".parse().unwrap(),
                groups: Vec::new(),
                oidc_fields: Default::default(),
                saml_attributes: Default::default(),
                certificate: None,
            },
            expires_at: NOW.plus(86_400),
            tokens_until: NOW.plus(86_400),
            apps: Default::default(),
        });
        edit(&mut token);
        self.keys.mint(&token)
    }
}

fn configuration(plan: &Plan) -> Configuration {
    let at = "2026-05-01T00:00:00Z";
    let mut organization = json!({
        "name": "acme", "auth_domain": "access.example.com", "aud": AudTag::random().as_str(),
        "created_at": at, "updated_at": at,
    });
    merge(&mut organization, plan.organization.clone());
    let organization: Organization = serde_json::from_value(organization).unwrap();
    let mut configuration =
        Configuration { organization: Some(Arc::new(organization)), ..Configuration::default() };
    for (number, app) in plan.apps.iter().enumerate() {
        let mut app = app.clone();
        let mut links = Vec::new();
        for (place, policy) in app["policies"].as_array().unwrap().clone().iter().enumerate() {
            let id = PolicyId::random();
            let mut policy = policy.clone();
            let name = format!("policy {number}.{place}");
            merge(
                &mut policy,
                json!({"id": id.to_string(), "name": name, "created_at": at, "updated_at": at}),
            );
            let policy: Policy = serde_json::from_value(policy).unwrap();
            configuration.policies.insert(id, Arc::new(policy));
            links.push(json!({"id": id.to_string(), "precedence": place + 1}));
        }
        let destination = app["domain"].clone();
        merge(&mut app, json!({"policies": links}));
        let mut whole = json!({
            "id": AppId::random().to_string(), "aud": AudTag::random().as_str(),
            "name": format!("app {number}"), "destinations": [destination],
            "session_duration": "24h", "created_at": at, "updated_at": at,
        });
        merge(&mut whole, app);
        let app: Application = serde_json::from_value(whole).unwrap();
        configuration.apps.insert(app.id, Arc::new(app));
    }
    let token = json!({
        "id": "f174e90a-fafe-4643-bbbc-4a0ed4fc8415", "name": "robot", "client_id": CLIENT_ID,
        "secret": serde_json::to_value(SecretHash::of(CLIENT_SECRET)).unwrap(),
        "duration": "8760h", "enabled": true, "expires_at": null, "created_at": at, "updated_at": at,
    });
    let token: ServiceToken = serde_json::from_value(token).unwrap();
    configuration.service_tokens.insert(token.id, Arc::new(token));
    configuration
}
