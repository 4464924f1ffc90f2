//! A gateway's control side without sockets: a store, the portal and the administration API on a runtime of their own.

use bytes::Bytes;
use http::{Request, Response};
use narthex_api::{Api, ApiParts, Caller, Desk, Standing, by_itself, sha256};
use narthex_idp::{Fence, OutboundHttp, OutboundSettings, Outbox, Providers};
use narthex_model::{
    AccessRecord, Account, Application, Authority, Clock, Configuration, Group, IdentityProvider,
    IdpConfig, MasterKey, Organization, Policy, Premises, RayId, UnixSeconds, Zone,
};
use narthex_portal::{Parts, Portal, Visit};
use narthex_snapshot::{Live, Materials, Snapshot};
use narthex_store::{Change, OwedRevocations, SqliteStore, Store, StoredKey};
use narthex_token::{KeyRing, SigningKey};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use url::Url;

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub(crate) const TEAM: &str = "auth.example.com";
pub(crate) const APP: &str = "wiki.example.com";
pub(crate) const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const TOKEN: &str = "bootstrap-token";
pub(crate) const APP_ID: &str = "33333333-3333-4333-8333-333333333333";
pub(crate) const AUD: &str = "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";
pub(crate) const OIDC: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const POLICY: &str = "44444444-4444-4444-8444-444444444444";

static KEY: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(SigningKey::generate(NOW, NOW)));

/// After so many uses a fresh one is made: what earlier inputs left behind is bounded.
const USES: u32 = 400;

pub(crate) struct Gateway {
    pub(crate) portal: Portal,
    pub(crate) api: Api,
    pub(crate) desk: Arc<Desk>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) materials: Materials,
    records: mpsc::Receiver<AccessRecord>,
    uses: u32,
    runtime: Runtime,
    _directory: tempfile::TempDir,
}

thread_local! {
    static GATEWAY: RefCell<Option<Gateway>> = const { RefCell::new(None) };
}

/// Uses this thread's gateway for one input.
pub(crate) fn with(work: impl AsyncFnOnce(&Gateway)) {
    GATEWAY.with_borrow_mut(|kept| {
        // Taken out, so that a panic leaves no half-used gateway behind.
        let mut gateway = kept.take().filter(|it| it.uses < USES).unwrap_or_else(Gateway::new);
        gateway.uses += 1;
        while gateway.records.try_recv().is_ok() {}
        gateway.runtime.block_on(work(&gateway));
        *kept = Some(gateway);
    });
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn configuration(provider: SocketAddr) -> Configuration {
    let at = "2026-01-01T00:00:00Z";
    let organization: Arc<Organization> = read(json!({
        "name": "acme", "auth_domain": TEAM, "aud": "a".repeat(64), "created_at": at, "updated_at": at,
    }));
    let mut configuration =
        Configuration { organization: Some(organization), ..Configuration::default() };
    let policy: Arc<Policy> = read(json!({
        "id": POLICY, "name": "people", "decision": "allow", "include": [{"email_domain": {"domain": "example.com"}}],
        "created_at": at, "updated_at": at,
    }));
    let app: Arc<Application> = read(json!({
        "id": APP_ID, "aud": AUD, "name": "wiki", "destinations": [APP, "docs.example.com"], "session_duration": "24h",
        "auto_redirect_to_identity": false, "policies": [{"id": POLICY, "precedence": 1}], "created_at": at, "updated_at": at,
    }));
    let group: Arc<Group> = read(json!({
        "id": "55555555-5555-4555-8555-555555555555", "name": "all", "include": [{"everyone": {}}], "created_at": at,
        "updated_at": at,
    }));
    let here = |path: &str| format!("http://{provider}/{path}");
    let oidc = json!({
        "client_id": "narthex", "client_secret": "s", "auth_url": here("authorize"), "token_url": here("token"),
        "certs_url": here("jwks"),
    });
    for (id, name, config) in [
        (OIDC, "Company", IdpConfig::parse("oidc", oidc).unwrap()),
        ("22222222-2222-4222-8222-222222222222", "Mail", IdpConfig::OneTimePin),
    ] {
        let idp = IdentityProvider {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            config,
            scim: Default::default(),
            zone: None,
            created_at: Default::default(),
            updated_at: Default::default(),
        };
        configuration.identity_providers.insert(idp.id, Arc::new(idp));
    }
    configuration.policies.insert(policy.id, policy);
    configuration.groups.insert(group.id, group);
    configuration.apps.insert(app.id, app);
    configuration
}

impl Gateway {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // What is thrown away anyhow need not reach a disk.
        let memory = Path::new("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let directory = directory.unwrap();
        let file = directory.path().join("narthex.db");
        let master = Arc::new(MasterKey::generate().0);
        let store = runtime.block_on(SqliteStore::open(&file, master)).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let provider = runtime.block_on(provider());
        let configuration = configuration(provider);
        let revision = runtime.block_on(async {
            let key = StoredKey {
                kid: KEY.kid().clone(),
                pkcs8: KEY.pkcs8().to_vec().into(),
                certificate_pem: KEY.certificate_pem().to_owned(),
                created_at: KEY.created_at(),
                active_from: KEY.active_from(),
            };
            store.put_key(&key).await.unwrap();
            let (revision, empty) = store.load().await.unwrap();
            let changes = Change::between(&empty, &configuration);
            store.commit(revision, &changes, &by_itself("start", "furnish", NOW)).await.unwrap()
        });
        let premises = Premises {
            account: Account { id: ACCOUNT.parse().unwrap(), name: "acme".to_owned() },
            zones: vec![Zone {
                id: "00000000000000000000000000000001".parse().unwrap(),
                name: "example.com".parse().unwrap(),
            }],
            team: TEAM.parse().unwrap(),
            admin: Some("manage.example.com".parse().unwrap()),
            ingress: Vec::new(),
        };
        let ring = KeyRing::of(vec![Arc::clone(&KEY)], &premises.team, NOW).unwrap();
        let materials = Materials {
            premises: Arc::new(premises),
            keys: Arc::new(ring),
            countries: None,
            revocation_lists: Arc::default(),
        };
        let snapshot = Snapshot::compile(&materials, &configuration, revision).unwrap();
        let (live, clock) = (Arc::new(Live::new(snapshot)), Clock::manual(NOW));
        let standing = Standing { revision, configuration };
        let keys = vec![Arc::clone(&KEY)];
        let desk = Desk::new(live.clone(), store.clone(), materials.clone(), keys, standing);
        let desk = Arc::new(desk);
        let (sender, records) = mpsc::channel(1_000);
        let revocations = Arc::new(OwedRevocations::to(store.clone()));
        let api = Api::new(ApiParts {
            live: live.clone(),
            store: store.clone(),
            revocations: revocations.clone(),
            records: sender.clone(),
            most_entries: narthex_api::MOST_ENTRIES,
            desk: desk.clone(),
            clock: clock.clone(),
            fence: Fence::default(),
            bootstrap_token: Some(sha256(TOKEN)),
        });
        let outbox = Arc::new(Outbox::new(clock.clone()));
        let fence = Fence::open_to_this_machine();
        let http = OutboundHttp::new(OutboundSettings { fence, ..OutboundSettings::default() });
        let http = http.unwrap();
        let portal = Portal::new(Parts {
            live,
            store: store.clone(),
            revocations,
            providers: Providers::new(http, outbox, clock.clone()),
            records: sender,
            clock,
        });
        Self {
            portal,
            api,
            desk,
            store,
            materials,
            records,
            uses: 0,
            runtime,
            _directory: directory,
        }
    }

    /// One request to the portal, from an address of its own so that no limit is met.
    pub(crate) async fn visit(&self, request: Request<Bytes>, url: &Url) -> Response<Bytes> {
        let visit = Visit {
            ip: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + self.uses)),
            country: None,
            ray: RayId::random(),
            host: Authority { host: url.host_str().unwrap().parse().unwrap(), port: url.port() },
            path: url.path().to_owned(),
            app: Some(APP_ID.parse().unwrap()),
            certificate: None,
        };
        match url.host_str() {
            Some(TEAM) => self.portal.team(visit, request).await,
            Some(_) | None => self.portal.app_path(visit, request).await,
        }
    }

    /// One request to the administration API.
    pub(crate) async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let caller = Caller { ip: "192.0.2.7".parse().unwrap(), ray: RayId::random() };
        self.api.answer(caller, request).await
    }
}

/// A provider that has keys, and says no to every code.
async fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let issuer = TEAM.parse().unwrap();
    let keys = KeyRing::of(vec![Arc::clone(&KEY)], &issuer, NOW).unwrap().certs_json().to_owned();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut head = vec![0; 8192];
            let length = tcp.read(&mut head).await.unwrap_or(0);
            let (status, body) = match head[..length].split(|byte| *byte == b' ').nth(1) {
                Some(b"/jwks") => ("200 OK", keys.as_str()),
                Some(b"/token") => ("400 Bad Request", r#"{"error":"invalid_grant"}"#),
                Some(_) | None => ("404 Not Found", "{}"),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            tcp.write_all(answer.as_bytes()).await.ok(); // whoever hangs up asks again
        }
    });
    address
}
