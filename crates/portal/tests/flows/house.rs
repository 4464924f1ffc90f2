//! One gateway to log in to: `auth.example.com`, a few applications, one person in five.

use bytes::Bytes;
use http::{Request, Response};
use narthex_idp::{Fence, OutboundHttp, OutboundSettings, Outbox, Providers};
use narthex_model::{
    AccessRecord, Account, AccountId, Application, AudTag, Authority, ClientId, Clock,
    Configuration, CountryCode, Hostname, IdentityNonce, IdentityProvider, IdpConfig, IdpId,
    MasterKey, Organization, Policy, Premises, RayId, Revision, SecretHash, ServiceToken,
    ServiceTokenId, Timestamp, UnixSeconds,
};
use narthex_portal::{Parts, Portal, Visit};
use narthex_snapshot::{Live, Materials, Snapshot};
use narthex_store::{OwedRevocations, SqliteStore, Store};
use narthex_token::{AppSession, KeyRing, MetaToken, PersonToken, SigningKey};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use tokio::sync::mpsc;

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub(crate) const TEAM: &str = "auth.example.com";
pub(crate) const PIN_IDP: &str = "11111111-1111-4111-8111-111111111111";

static KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(SigningKey::generate(NOW, NOW)));

/// A running portal and everything around it.
pub(crate) struct House {
    pub(crate) portal: Portal,
    pub(crate) live: Arc<Live>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) clock: Clock,
    /// Where requests come from, as a country database would say.
    pub(crate) country: Option<CountryCode>,
    records: mpsc::Receiver<AccessRecord>,
    materials: Materials,
    configuration: Configuration,
    _directory: tempfile::TempDir,
}

fn policy(decision: &str, include: Value, extra: Value) -> Policy {
    let mut policy = json!({
        "id": uuid(), "name": format!("{decision} rule"), "decision": decision, "include": [include],
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    policy.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value(policy).unwrap()
}

fn uuid() -> String {
    narthex_model::PolicyId::random().to_string()
}

impl House {
    /// Opens the house with one-time PIN as the only way in and an application `wiki` at `app.example.com` for the
    /// people of `example.com`.
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, changed before it opens.
    pub(crate) async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = Plan::new();
        plan.app("wiki", &["app.example.com"], json!({}));
        change(&mut plan);
        let clock = Clock::manual(NOW);
        let directory = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKey::generate().0);
        let store = SqliteStore::open(&directory.path().join("narthex.db"), master).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let team = TEAM.parse().unwrap();
        let materials = Materials {
            premises: Arc::new(plan.premises),
            keys: Arc::new(KeyRing::of(vec![KEY.clone()], &team, NOW).unwrap()),
            countries: None,
            revocation_lists: Arc::default(),
        };
        let snapshot = Snapshot::compile(&materials, &plan.configuration, Revision(1)).unwrap();
        let live = Arc::new(Live::new(snapshot));
        let outbox = Arc::new(Outbox::new(clock.clone()));
        let settings = OutboundSettings {
            fence: Fence::open_to_this_machine(),
            ..OutboundSettings::default()
        };
        let http = OutboundHttp::new(settings).unwrap();
        let (sender, records) = mpsc::channel(1_000);
        let portal = Portal::new(Parts {
            live: live.clone(),
            store: store.clone(),
            revocations: Arc::new(OwedRevocations::to(store.clone())),
            providers: Providers::new(http, outbox.clone(), clock.clone()),
            records: sender,
            clock: clock.clone(),
        });
        let configuration = plan.configuration;
        Self {
            portal,
            live,
            store,
            outbox,
            clock,
            country: None,
            records,
            materials,
            configuration,
            _directory: directory,
        }
    }

    /// Changes the configuration while the house is open.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Configuration)) {
        change(&mut self.configuration);
        let next = Snapshot::compile(&self.materials, &self.configuration, Revision(2)).unwrap();
        self.live.publish(next);
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    pub(crate) fn app(&self, name: &str) -> Arc<Application> {
        let mut apps = self.configuration.apps.values();
        apps.find(|app| app.name == name).unwrap().clone()
    }

    /// Takes the records written so far.
    pub(crate) fn records(&mut self) -> Vec<AccessRecord> {
        std::iter::from_fn(|| self.records.try_recv().ok()).collect()
    }

    /// One request to whatever host its URL names, from `ip`.
    pub(crate) async fn ask(
        &self,
        ip: IpAddr,
        url: &str,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let url = url::Url::parse(url).unwrap();
        let host: Hostname = url.host_str().unwrap().parse().unwrap();
        let visit = Visit {
            ip,
            country: self.country,
            ray: RayId::random(),
            host: Authority { host: host.clone(), port: url.port() },
            path: url.path().to_owned(),
            app: None,
            certificate: None,
        };
        if host.as_str() == TEAM {
            self.portal.team(visit, request).await
        } else {
            self.portal.app_path(visit, request).await
        }
    }

    /// The URL to which the data path sends a browser that has the cookie `session` and asks `host` for `path`.
    pub(crate) fn login_url(&self, app: &str, host: &str, path: &str, session: &str) -> String {
        let meta = self.mint_meta(app, host, |_| {}, session);
        format!("{}&meta={meta}", self.plain_login_url(app, host, path))
    }

    /// The same without a meta token, as a link in a document has it.
    pub(crate) fn plain_login_url(&self, app: &str, host: &str, path: &str) -> String {
        let (aud, path) = (&self.app(app).aud, escape(path));
        format!("https://{TEAM}/cdn-cgi/access/login/{host}?kid={aud}&redirect_url={path}")
    }

    pub(crate) fn mint_meta(
        &self,
        app: &str,
        host: &str,
        change: impl FnOnce(&mut MetaToken),
        session: &str,
    ) -> String {
        let mut meta = MetaToken {
            aud: self.app(app).aud.clone(),
            hostname: host.parse().unwrap(),
            redirect_url: "/".to_owned(),
            iat: self.now(),
            exp: self.now().plus(300),
            service_token_status: false,
            service_token_id: None,
            auth_status: "NONE".to_owned(),
            mtls_auth: MetaToken::no_certificate(),
            real_country: None,
            app_session_hash: AppSession::hash(session),
        };
        change(&mut meta);
        self.materials.keys.mint(&meta)
    }

    /// What the application's token in a cookie says.
    pub(crate) fn open_app_token(&self, app: &str, jwt: &str) -> PersonToken {
        let aud = self.app(app).aud.clone();
        match self.materials.keys.open_app(jwt, &aud, self.now()) {
            Ok(narthex_token::AppToken::Person(token)) => token,
            other => panic!("not a person's token: {other:?}"),
        }
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.materials.keys
    }

    /// The nonce of the global session in a cookie.
    pub(crate) fn open_org_token(&self, jwt: &str) -> IdentityNonce {
        let aud = &self.configuration.organization.as_ref().unwrap().aud;
        self.materials.keys.open_org(jwt, aud, self.now()).unwrap().identity_nonce
    }
}

/// What the house will be.
pub(crate) struct Plan {
    pub(crate) configuration: Configuration,
    pub(crate) premises: Premises,
}

impl Plan {
    fn new() -> Self {
        let organization: Organization = serde_json::from_value(json!({
            "name": "acme", "auth_domain": TEAM, "aud": AudTag::random(),
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let mut configuration = Configuration {
            organization: Some(Arc::new(organization)),
            ..Configuration::default()
        };
        let pin = idp(PIN_IDP, "Mail", IdpConfig::OneTimePin);
        configuration.identity_providers.insert(pin.id, Arc::new(pin));
        let premises = Premises {
            account: Account { id: AccountId::random(), name: "acme".to_owned() },
            zones: Vec::new(),
            team: TEAM.parse().unwrap(),
            admin: None,
            ingress: Vec::new(),
        };
        Self { configuration, premises }
    }

    /// An application that admits `example.com`, with more settings.
    pub(crate) fn app(&mut self, name: &str, destinations: &[&str], extra: Value) -> &mut Self {
        let admits = json!({"email_domain": {"domain": "example.com"}});
        self.app_for(name, destinations, "allow", admits, extra)
    }

    pub(crate) fn app_for(
        &mut self,
        name: &str,
        destinations: &[&str],
        decision: &str,
        include: Value,
        extra: Value,
    ) -> &mut Self {
        let mut spec = extra;
        let rule = spec.as_object_mut().unwrap().remove("policy").unwrap_or(json!({}));
        let policy = policy(decision, include, rule);
        let mut app = json!({
            "id": uuid(), "aud": AudTag::random(), "name": name, "destinations": destinations,
            "session_duration": "24h", "policies": [{"id": policy.id, "precedence": 1}],
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        app.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let app: Application = serde_json::from_value(app).unwrap();
        self.configuration.policies.insert(policy.id, Arc::new(policy));
        self.configuration.apps.insert(app.id, Arc::new(app));
        self
    }

    pub(crate) fn organization(&mut self, change: impl FnOnce(&mut Organization)) -> &mut Self {
        let mut organization = (**self.configuration.organization.as_ref().unwrap()).clone();
        change(&mut organization);
        self.configuration.organization = Some(Arc::new(organization));
        self
    }

    pub(crate) fn provider(&mut self, idp: IdentityProvider) -> &mut Self {
        self.configuration.identity_providers.insert(idp.id, Arc::new(idp));
        self
    }

    pub(crate) fn service_token(&mut self, token: ServiceToken) -> &mut Self {
        self.configuration.service_tokens.insert(token.id, Arc::new(token));
        self
    }
}

pub(crate) fn idp(id: &str, name: &str, config: IdpConfig) -> IdentityProvider {
    IdentityProvider {
        id: id.parse::<IdpId>().unwrap(),
        name: name.to_owned(),
        config,
        scim: narthex_model::ScimConfig::default(),
        zone: None,
        created_at: narthex_model::Timestamp::default(),
        updated_at: narthex_model::Timestamp::default(),
    }
}

pub(crate) fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A token with one letter of its payload changed.
pub(crate) fn spoiled(jwt: &str) -> String {
    let at = jwt.len() / 2;
    let other = if jwt.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &jwt[..at], &jwt[at + 1..])
}

/// A service token that is in force.
pub(crate) fn robot(client_id: &ClientId) -> ServiceToken {
    ServiceToken {
        id: ServiceTokenId::random(),
        name: "robot".to_owned(),
        client_id: client_id.clone(),
        secret: SecretHash::of("secret"),
        previous_secret: None,
        client_secret_version: 1,
        duration: "forever".to_owned(),
        enabled: true,
        expires_at: None,
        zone: None,
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    }
}
