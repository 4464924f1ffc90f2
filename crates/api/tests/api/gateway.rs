//! A gateway's control side on a fresh data directory, without sockets.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use narthex_api::{Api, ApiParts, Caller, Desk, Standing, by_itself, sha256};
use narthex_model::{
    AccessRecord, Account, Clock, Configuration, MasterKey, Organization, Premises, RayId,
    Revision, UnixSeconds, Zone,
};
use narthex_snapshot::{Live, Materials, Snapshot};
use narthex_store::{Change, OwedRevocations, SqliteStore, Store, StoredKey};
use narthex_token::{KeyRing, SigningKey};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_790_000_000); // 2026-09-21T14:13:20Z
pub(crate) const STAMP: &str = "2026-09-21T14:13:20Z";
pub(crate) const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const ZONE: &str = "00000000000000000000000000000001";
pub(crate) const OTHER_ZONE: &str = "00000000000000000000000000000002";
pub(crate) const TOKEN: &str = "bootstrap-token";

pub(crate) struct Gateway {
    pub(crate) api: Api,
    pub(crate) clock: Clock,
    pub(crate) live: Arc<Live>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) ray: RayId,
    /// Removed when the gateway is dropped.
    directory: tempfile::TempDir,
    pub(crate) revocations: Arc<OwedRevocations>,
    /// Records that the store did not take at once.
    pub(crate) later: mpsc::Receiver<AccessRecord>,
}

/// RSA keys cost a good part of a second in debug builds; the tests share one.
fn signing_key() -> Arc<SigningKey> {
    static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
    Arc::clone(KEY.get_or_init(|| Arc::new(SigningKey::generate(NOW, NOW))))
}

pub(crate) fn premises() -> Premises {
    let zone = |id: &str, name: &str| Zone { id: id.parse().unwrap(), name: name.parse().unwrap() };
    Premises {
        account: Account { id: ACCOUNT.parse().unwrap(), name: "acme".to_owned() },
        zones: vec![zone(ZONE, "example.com"), zone(OTHER_ZONE, "example.org")],
        team: "access.example.com:8443".parse().unwrap(),
        admin: Some("manage.example.com".parse().unwrap()),
        ingress: Vec::new(),
    }
}

fn organization() -> Organization {
    Organization::new("acme", premises().team, NOW)
}

impl Gateway {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let master = Arc::new(MasterKey::generate().0);
        let store = SqliteStore::open(&directory.path().join("narthex.db"), master).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let configuration =
            Configuration { organization: Some(Arc::new(organization())), ..Default::default() };
        let (revision, empty) = store.load().await.unwrap();
        let changes = Change::between(&empty, &configuration);
        let first = by_itself("start", "make the organization", NOW);
        let revision = store.commit(revision, &changes, &first).await.unwrap();
        Self::over(store, configuration, revision, directory).await
    }

    async fn over(
        store: Arc<dyn Store>,
        configuration: Configuration,
        revision: Revision,
        directory: tempfile::TempDir,
    ) -> Self {
        let key = signing_key();
        store
            .put_key(&StoredKey {
                kid: key.kid().clone(),
                pkcs8: key.pkcs8().to_vec().into(),
                certificate_pem: key.certificate_pem().to_owned(),
                created_at: key.created_at(),
                active_from: key.active_from(),
            })
            .await
            .unwrap();
        let premises = Arc::new(premises());
        let ring = KeyRing::of(vec![Arc::clone(&key)], &premises.team, NOW).unwrap();
        let materials = Materials {
            premises,
            keys: Arc::new(ring),
            countries: None,
            revocation_lists: Arc::default(),
        };
        let snapshot = Snapshot::compile(&materials, &configuration, revision).unwrap();
        let live = Arc::new(Live::new(snapshot));
        let standing = Standing { revision, configuration };
        let desk = Desk::new(Arc::clone(&live), Arc::clone(&store), materials, vec![key], standing);
        let (desk, clock) = (Arc::new(desk), Clock::manual(NOW));
        let (records, later) = mpsc::channel(100);
        let revocations = Arc::new(OwedRevocations::to(Arc::clone(&store)));
        let api = Api::new(ApiParts {
            live: Arc::clone(&live),
            store: Arc::clone(&store),
            desk: Arc::clone(&desk),
            revocations: Arc::clone(&revocations),
            records,
            clock: clock.clone(),
            fence: narthex_idp::Fence::default(),
            most_entries: narthex_api::MOST_ENTRIES,
            bootstrap_token: Some(sha256(TOKEN)),
        });
        Self { api, clock, live, store, desk, ray: RayId::random(), directory, later, revocations }
    }

    /// Does something to the database behind the gateway's back.
    pub(crate) async fn meddle(&self, statement: &str) {
        self.tamper("narthex.db", statement).await;
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let caller = Caller { ip: "192.0.2.7".parse().unwrap(), ray: self.ray.clone() };
        self.api.answer(caller, request).await
    }

    /// Calls an operation with the bootstrap token. `{A}`, `{Z}` and `{Y}` in the path are the account and the zones.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: impl ToString,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(full(path))
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let response = self.send(request).await;
        let body = serde_json::from_slice(response.body()).expect("every answer is JSON");
        (response.status(), body)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> (StatusCode, Value) {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        self.call(Method::DELETE, path, "").await
    }

    /// The `result` of a call that has to succeed with this status.
    pub(crate) async fn result(
        &self,
        method: Method,
        path: &str,
        body: impl ToString,
        status: u16,
    ) -> Value {
        let (got, mut answer) = self.call(method, path, body).await;
        assert_eq!(got.as_u16(), status, "{path}: {answer}");
        assert_eq!(answer["success"], true, "{answer}");
        answer["result"].take()
    }

    /// The same to one of the store's files.
    pub(crate) async fn tamper(&self, file: &str, sql: &str) {
        use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
        let options = SqliteConnectOptions::new().filename(self.directory.path().join(file));
        let mut database = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
    }

    /// The one error of a call that has to fail: status, code, message, pointer.
    pub(crate) async fn refusal(
        &self,
        method: Method,
        path: &str,
        body: impl ToString,
    ) -> (u16, u64, String, String) {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!((&answer["success"], &answer["result"]), (&Value::Bool(false), &Value::Null));
        assert_eq!(answer["messages"], Value::Array(Vec::new()), "{answer}");
        let error = &answer["errors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let code = error["code"].as_u64().expect("a number");
        (status.as_u16(), code, text(&error["message"]), text(&error["source"]["pointer"]))
    }
}

/// A path with account and zones filled in.
pub(crate) fn full(path: &str) -> String {
    let path = path.replace("{A}", &format!("/accounts/{ACCOUNT}"));
    let path = path.replace("{Z}", &format!("/zones/{ZONE}"));
    format!("/client/v4{}", path.replace("{Y}", &format!("/zones/{OTHER_ZONE}")))
}
