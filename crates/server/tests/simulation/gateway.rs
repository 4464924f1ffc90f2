//! One gateway after the other over the same data directory.

use crate::line::Exchange;
use crate::weather::{Weather, Weathered};
use axum::Router;
use axum::http::HeaderMap;
use narthex_idp::Outbox;
use narthex_model::{Clock, MasterKey, UnixSeconds};
use narthex_server::config::{MailRoute, Settings};
use narthex_server::logging::DroppedLines;
use narthex_server::{Running, start_over};
use narthex_store::{Intact, OpenError, SqliteStore, Store};
use std::path::Path;
use std::sync::Arc;

pub(crate) const TEAM: &str = "team.example.com";
pub(crate) const ADMIN: &str = "admin.example.com";
pub(crate) const ADMIN_TOKEN: &str = "a-token-for-the-office-of-the-simulation";

/// A run of the gateway.
pub(crate) struct Gateway {
    running: Running,
    store: Arc<Weathered>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) exchange: Exchange,
    pub(crate) outbox: Arc<Outbox>,
}

/// What outlives a run.
pub(crate) struct Ground {
    directory: tempfile::TempDir,
    master: Arc<MasterKey>,
    origin: std::net::SocketAddr,
    pub(crate) clock: Clock,
}

impl Ground {
    pub(crate) async fn new(clock: Clock) -> Self {
        // A restart of the simulation loses what is on no disk by dropping it; the disk itself need not be one.
        let memory = Path::new("/dev/shm");
        let directory =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let directory = directory.unwrap();
        std::fs::write(directory.path().join("admin-token"), ADMIN_TOKEN).unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        Self { directory, master: Arc::new(MasterKey::generate().0), origin: origin().await, clock }
    }

    fn settings(&self) -> Settings {
        let text = format!(
            "data_dir = \"data\"\n[listen]\nhttps = [\"127.0.0.1:0\"]\ncores = 1\ntrusted_proxies = [\"127.0.0.0/8\"]\n\
             [team]\nname = \"Acme\"\ndomain = \"{TEAM}\"\n[admin]\nhost = \"{ADMIN}\"\ntoken = {{ file = \"admin-token\" }}\n\
             [[zone]]\nname = \"example.com\"\n[[ingress]]\nhostname = \"*.example.com\"\nservice = \"http://{}\"\n",
            self.origin
        );
        let path = self.directory.path().join("narthex.toml");
        let mut settings =
            Settings::parse(&text, &path).unwrap_or_else(|fault| panic!("{fault:?}"));
        settings.mail = MailRoute::Mailbox;
        settings
    }

    /// Opens the store, when the last run has let go of it.
    async fn store(&self) -> Arc<dyn Store> {
        let file = self.directory.path().join("data/narthex.db");
        loop {
            match SqliteStore::open(&file, self.master.clone()).await {
                Ok(store) => return Arc::new(store),
                Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("acknowledged data cannot be opened: {error}"),
            }
        }
    }

    pub(crate) async fn start(&self) -> Gateway {
        let weather = Arc::new(Weather::default());
        let store = Arc::new(Weathered::new(self.store().await, weather.clone()));
        let dropped = DroppedLines::default();
        let running = start_over(
            self.settings(),
            (store.clone(), self.master.clone()),
            self.clock.clone(),
            dropped,
        )
        .await;
        let running =
            running.unwrap_or_else(|error| panic!("what was acknowledged does not start: {error}"));
        let ca = std::fs::read(self.directory.path().join("data/local-ca.pem")).unwrap();
        let exchange = Exchange::new(&ca, running.https()[0], &self.clock);
        let outbox = running.outbox.clone().unwrap();
        Gateway { running, store, weather, exchange, outbox }
    }
}

impl Gateway {
    /// What happens once a minute.
    pub(crate) async fn keep_house(&self, clock: &Clock) {
        let now = clock.now();
        self.running.desk.tick(now).await.ok(); // tried again at the next round, as the household does
        self.running.live.forget_expired(now);
        self.running.store.forget_expired(now).await.unwrap();
    }

    /// What the gateway itself knows of a team cookie: for whoever reads why a run failed.
    pub(crate) async fn tell(&self, cookie: &str, now: UnixSeconds) -> String {
        let snapshot = self.running.live.snapshot.load_full();
        match snapshot.keys.open_org(cookie, &snapshot.organization.aud, now) {
            Err(why) => format!("its token is refused: {why}"),
            Ok(token) => {
                let known = self.running.live.sessions.get(&token.identity_nonce);
                let kept = self.running.store.session(&token.identity_nonce).await;
                format!("in memory {known:?}\nin the store {kept:?}\nof {token:?}")
            }
        }
    }

    pub(crate) async fn check_audit(&self) {
        assert!(matches!(self.running.store.verify_audit().await, Ok(Intact::Yes(_))));
    }

    /// Ends this run: in good order, or as if the power had been cut.
    pub(crate) async fn end(self, by_force: bool) {
        if by_force {
            self.weather.cut_power();
        }
        self.running.drain().await;
        self.store.let_go();
    }
}

/// The application: says who it was told the visitor is.
async fn origin() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tell = |headers: HeaderMap| async move {
        let field = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let who = field("cf-access-authenticated-user-email").unwrap_or_default();
        ([("x-origin", "yes")], who)
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(tell)).await.unwrap() });
    address
}
