//! The whole gateway, from settings to open listeners, and down again.

use crate::config::{MailRoute, Settings, StoreRoute};
use crate::errands::Desks;
use crate::figures::GatewayFigures;
use crate::health::Health;
use crate::housekeeping::Household;
use crate::logging::DroppedLines;
use crate::records::Keeper;
use crate::responders::Responders;
use crate::restarts::{Panicked, Restarts, Work};
use crate::revocation_lists::Fetcher;
use crate::{data_dir, errands, keys, metrics, organization, records, responders};
use narthex_api::{Api, ApiError, ApiParts, Desk, Standing};
use narthex_idp::{
    Fence, Mailer, OutboundHttp, OutboundSettings, Outbox, Providers, SmtpMailer, Unposted,
};
use narthex_model::{
    AccountId, Clock, Configuration, IdpConfig, MasterKey, Premises, Revision, Timestamp,
};
use narthex_portal::{Parts, Portal};
use narthex_proxy::{CertificateSource, Control, Lateness, LocalCa, Meters, ServerCertificate};
use narthex_snapshot::{Live, Materials, RevocationLists, Snapshot};
use narthex_store::{AdminRecord, Change, OwedRevocations, Revoked, Spill, SqliteStore, Store};
use narthex_token::KeyRing;
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long the last records may take to their place: longer than the store waits for somebody who holds the database, so
/// that they are spilled then.
const LAST_RECORDS: Duration = Duration::from_secs(20);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory does not let us in.
    #[error(transparent)]
    DataDir(#[from] data_dir::DataDirError),
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] narthex_store::OpenError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] narthex_store::StoreError),
    /// What an earlier process left of access records cannot be read.
    #[error("records.spill: {0}; the gateway's user must be able to read and write it")]
    Spill(io::Error),
    /// The signing keys are damaged.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The key ring cannot be made.
    #[error("signing keys: {0}")]
    KeyRing(#[from] narthex_token::KeyError),
    /// What the store holds does not fit the configuration file.
    #[error("what the store holds does not fit the configuration file: {0}")]
    Configuration(narthex_snapshot::Fault),
    /// Mail cannot be set up.
    #[error(transparent)]
    Mail(#[from] narthex_idp::MailError),
    /// The client for identity providers cannot be set up.
    #[error(transparent)]
    Outbound(#[from] narthex_idp::OutboundError),
    /// The local CA cannot be made or read.
    #[error(transparent)]
    LocalCa(#[from] narthex_proxy::LocalCaError),
    /// A listener cannot be opened.
    #[error("{error}; {}", remedy(error, key))]
    Listen {
        /// The key of `[listen]` that names the address.
        key: &'static str,
        /// Names the address.
        error: io::Error,
    },
    /// The data path did not begin to work.
    #[error("the data path did not start: {0}")]
    Proxy(io::Error),
}

fn remedy(error: &io::Error, key: &str) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return format!(
            "ports below 1024 are for root: give this program CAP_NET_BIND_SERVICE, or change [listen] {key}"
        );
    }
    format!("end what has it, or change [listen] {key}")
}

/// A gateway that serves.
pub struct Running {
    proxy: narthex_proxy::Running,
    /// The tables of the data path.
    pub live: Arc<Live>,
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The only writer of configuration.
    pub desk: Arc<Desk>,
    /// The mailbox, where mail goes nowhere else.
    pub outbox: Option<Arc<Outbox>>,
    /// Where metrics are answered.
    pub metrics: Option<SocketAddr>,
    /// What it was started with.
    settings: Settings,
    account: AccountId,
    health: Arc<Health>,
    clock: Clock,
    household: JoinHandle<()>,
    fetcher: JoinHandle<()>,
    responders: JoinHandle<()>,
    record_keeper: JoinHandle<()>,
    revocations: Arc<OwedRevocations>,
    settler: JoinHandle<()>,
    restarts: Arc<Restarts>,
    local_ca: Arc<LocalCa>,
}

/// Starts a gateway on the current runtime, which becomes its control side; the data path gets threads of its own.
/// `dropped_lines` is what [`crate::logging::start`] returned, for the metrics.
///
/// # Errors
/// [`StartError`] with what to do about it; nothing is left running.
pub async fn start(
    settings: Settings,
    clock: Clock,
    dropped_lines: DroppedLines,
) -> Result<Running, StartError> {
    let master = data_dir::prepare(&settings)?;
    let store = open_store(&settings, master.clone()).await?;
    start_over(settings, (store, master), clock, dropped_lines).await
}

/// As [`start`], over a store that is open already and the key that seals what it keeps: for a store that fails when a
/// test tells it to. The data directory is there.
///
/// # Errors
/// As [`start`].
pub async fn start_over(
    mut settings: Settings,
    (store, master): (Arc<dyn Store>, Arc<MasterKey>),
    clock: Clock,
    dropped_lines: DroppedLines,
) -> Result<Running, StartError> {
    let now = clock.now();
    let spill = open_spill(&settings, master)?;
    let local_ca = Arc::new(LocalCa::open_or_create(&settings.data_dir, now)?);
    let account = match &settings.account_id {
        Some(given) => given.clone(),
        None => store.account_id().await?,
    };
    let premises = Arc::new(settings.premises(account.clone()));
    let (revision, configuration) = settled(&*store, &premises, &clock).await?;
    let rotation = configuration.organization.as_ref().map(|organization| organization.keys);
    let interval = rotation.unwrap_or_default().key_rotation_interval_days;
    let signing_keys = keys::open(&*store, interval, now).await?;
    let (revocation_lists, unusable) = RevocationLists::read(&configuration, &store.crls().await?);
    for list in unusable {
        tracing::error!(authority.id = %list.authority, source = %list.source, "a kept revocation list cannot be used: {}", list.fault);
    }
    let materials = Materials {
        keys: Arc::new(KeyRing::of(signing_keys.clone(), &premises.team, now)?),
        premises,
        countries: settings.countries.take(),
        revocation_lists: Arc::new(revocation_lists),
    };
    let snapshot = Snapshot::compile(&materials, &configuration, revision)
        .map_err(StartError::Configuration)?;
    let live = Arc::new(Live::new(snapshot));
    recall(&*store, &live, &clock).await?;

    let Post { mailer, outbox } = Post::open(&settings, &clock)?;
    let mut providers = configuration.identity_providers.values();
    if matches!(settings.mail, MailRoute::Unset)
        && providers.any(|provider| matches!(provider.config, IdpConfig::OneTimePin))
    {
        tracing::warn!("login codes cannot be sent: give [mail] from and smtp, and restart");
    }
    let fence = Fence::open_to(&settings.private_networks);
    for provider in configuration.identity_providers.values() {
        if let Err((member, why)) = fence.admits_provider(&provider.config) {
            tracing::warn!(
                "nobody can log in at the provider {:?}: {member}: {why}",
                provider.name
            );
        }
    }
    let limits = settings.limits.control.clone();
    let outbound = OutboundSettings {
        fence: fence.clone(),
        timeout: limits.provider_time,
        max_answer: limits.provider_answer,
        ..OutboundSettings::default()
    };
    let outbound = OutboundHttp::new(outbound)?;
    let providers = Providers::new(outbound, mailer, clock.clone());
    let desk = Arc::new(Desk::new(
        live.clone(),
        store.clone(),
        materials,
        signing_keys,
        Standing { revision, configuration },
    ));
    let (record_sender, record_queue) = mpsc::channel(records::QUEUE);
    let (admin, calls) = mpsc::channel(limits.waiting);
    let (pages, visits) = mpsc::channel(limits.waiting);
    let revocations = Arc::new(OwedRevocations::to(store.clone()));
    let desks = Desks {
        portal: Arc::new(Portal::new(Parts {
            live: live.clone(),
            store: store.clone(),
            revocations: revocations.clone(),
            providers,
            records: record_sender.clone(),
            clock: clock.clone(),
        })),
        api: Arc::new(Api::new(ApiParts {
            live: live.clone(),
            store: store.clone(),
            revocations: revocations.clone(),
            records: record_sender.clone(),
            desk: desk.clone(),
            clock: clock.clone(),
            fence: fence.clone(),
            most_entries: limits.list_entries,
            bootstrap_token: settings
                .bootstrap_token
                .as_ref()
                .map(|token| narthex_api::sha256(token.expose())),
        })),
    };

    let metrics = match settings.metrics {
        None => None,
        Some(address) => Some(metrics::bind(address).await.map_err(|error| {
            let error =
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
            StartError::Listen { key: "metrics", error }
        })?),
    };
    let meters = Arc::new(Meters::new(settings.cores));
    let proxy_settings = narthex_proxy::Settings {
        https: settings.https.clone(),
        http: settings.http.clone(),
        cores: settings.cores,
        certificates: certificate_source(settings.certificates.clone(), &local_ca),
        public_https_port: None,
        trusted_proxies: settings.trusted_proxies.clone(),
        log_requests: settings.log_requests,
        lateness: Lateness::Measured,
        limits: settings.limits.road.clone(),
    };
    let proxy = narthex_proxy::start(
        proxy_settings,
        live.clone(),
        Control { admin, pages },
        record_sender,
        meters.clone(),
        clock.clone(),
    )
    .map_err(|error| listen_error(&settings, error))?;

    tokio::spawn(errands::run(calls, limits.api_at_once, desks.clone()));
    tokio::spawn(errands::run(visits, limits.pages_at_once, desks));
    let restarts = Arc::new(Restarts::default());
    let counts = Arc::new(records::RecordCounts::default());
    let keeper = Keeper::new(record_queue, store.clone(), spill, counts.clone());
    let record_keeper = tokio::spawn(keeper.keep(restarts.clone()));
    let household = Household {
        live: live.clone(),
        store: store.clone(),
        desk: desk.clone(),
        folder: proxy.folder(),
        keep_records: i64::from(settings.keep_records_days) * 86_400,
        clock: clock.clone(),
    };
    let lists = OutboundSettings {
        timeout: Duration::from_secs(60),
        max_answer: narthex_cert::MAX_CRL_BYTES,
        fence: fence.for_signed_data(),
        ..OutboundSettings::default()
    };
    let fetcher = Fetcher {
        desk: desk.clone(),
        store: store.clone(),
        http: OutboundHttp::new(lists)?,
        clock: clock.clone(),
    };
    let responders = OutboundSettings {
        fence: fence.for_signed_data(),
        timeout: responders::PATIENCE,
        max_answer: narthex_cert::MAX_OCSP_BYTES,
        ..OutboundSettings::default()
    };
    let http = OutboundHttp::new(responders)?;
    let responders = Responders { live: live.clone(), http, clock: clock.clone() };
    let health = Arc::new(Health::new(store.clone()));
    let figures = GatewayFigures {
        meters,
        live: live.clone(),
        counts,
        revocations: revocations.clone(),
        dropped_lines,
        health: health.clone(),
        restarts: restarts.clone(),
        desk: desk.clone(),
        clock: clock.clone(),
    };
    let metrics = metrics.map(|(listener, address)| {
        tokio::spawn(metrics::serve(listener, Arc::new(figures)));
        address
    });
    Ok(Running {
        proxy,
        live,
        store,
        desk,
        outbox,
        metrics,
        settings,
        account,
        health,
        clock,
        household: tokio::spawn(household.keep(restarts.clone())),
        fetcher: tokio::spawn(fetcher.keep(restarts.clone())),
        responders: tokio::spawn(responders.keep(restarts.clone())),
        settler: tokio::spawn(settle(revocations.clone(), restarts.clone())),
        revocations,
        restarts,
        record_keeper,
        local_ca,
    })
}

async fn open_store(
    settings: &Settings,
    master: Arc<MasterKey>,
) -> Result<Arc<dyn Store>, StartError> {
    let StoreRoute::Sqlite(path) = &settings.store;
    Ok(Arc::new(SqliteStore::open(path, master).await?))
}

/// What records wait in while the store does not take them.
fn open_spill(settings: &Settings, master: Arc<MasterKey>) -> Result<Spill, StartError> {
    let StoreRoute::Sqlite(path) = &settings.store;
    Spill::beside(path, master).map_err(StartError::Spill)
}

/// Offers the store what it did not take, for ever.
async fn settle(revocations: Arc<OwedRevocations>, restarts: Arc<Restarts>) {
    while restarts.again(Work::Revocations, revocations.keep_settling()).await {}
}

/// The stored configuration with an organisation in it.
async fn settled(
    store: &dyn Store,
    premises: &Premises,
    clock: &Clock,
) -> Result<(Revision, Configuration), StartError> {
    let (revision, before) = store.load().await?;
    let mut configuration = before.clone();
    if !organization::settle(&mut configuration, premises, clock.now()) {
        return Ok((revision, before));
    }
    let record = AdminRecord {
        at: Timestamp(clock.now()),
        actor: "start".to_owned(),
        ip_address: None,
        ray_id: None,
        summary: json!({"organization": "made to fit the configuration file"}),
    };
    let revision =
        store.commit(revision, &Change::between(&before, &configuration), &record).await?;
    Ok((revision, configuration))
}

/// Brings back who is logged in and what was revoked.
async fn recall(store: &dyn Store, live: &Live, clock: &Clock) -> Result<(), StartError> {
    let now = clock.now();
    for session in store.live_sessions(now).await? {
        live.sessions.insert(session);
    }
    for revocation in store.revocations(now).await? {
        match revocation.what {
            Revoked::Session(nonce) => live.revocations.end_session(&nonce, revocation.until),
            Revoked::User(user) => {
                live.revocations.restore_user(user, revocation.at);
            }
            Revoked::App(aud) => live.revocations.revoke_app(&aud, revocation.at),
            Revoked::ServiceToken(client) => {
                live.revocations.revoke_service_token(&client, revocation.at)
            }
        }
    }
    Ok(())
}

fn certificate_source(
    configured: Vec<Arc<ServerCertificate>>,
    local_ca: &Arc<LocalCa>,
) -> CertificateSource {
    CertificateSource { certificates: configured, local_ca: Some(local_ca.clone()) }
}

/// Which key of the file to change: the data path's errors begin with the address.
fn listen_error(settings: &Settings, error: io::Error) -> StartError {
    let text = error.to_string();
    let names = |at: &SocketAddr| text.starts_with(&format!("cannot listen on {at}: "));
    if settings.https.iter().any(names) {
        StartError::Listen { key: "https", error }
    } else if settings.http.iter().any(names) {
        StartError::Listen { key: "http", error }
    } else {
        StartError::Proxy(error)
    }
}

/// The way out for mail.
struct Post {
    mailer: Arc<dyn Mailer>,
    /// Where it stays in this process, if it does.
    outbox: Option<Arc<Outbox>>,
}

impl Post {
    fn open(settings: &Settings, clock: &Clock) -> Result<Self, StartError> {
        Ok(match &settings.mail {
            MailRoute::Smtp { from, url } => {
                Self { mailer: Arc::new(SmtpMailer::new(url.expose(), from)?), outbox: None }
            }
            MailRoute::Unset => Self { mailer: Arc::new(Unposted), outbox: None },
            MailRoute::Mailbox => {
                let outbox = Arc::new(Outbox::new(clock.clone()));
                Self { mailer: outbox.clone(), outbox: Some(outbox) }
            }
        })
    }
}

impl Running {
    /// Addresses of the HTTPS listeners, with the ports that were given.
    #[must_use]
    pub fn https(&self) -> Vec<SocketAddr> {
        self.proxy.https_addrs()
    }

    /// Addresses of the redirecting listeners.
    #[must_use]
    pub fn http(&self) -> Vec<SocketAddr> {
        self.proxy.http_addrs()
    }

    /// Puts another reading of the configuration file in force: premises, certificates and the country database, without
    /// a dropped request. What needs a restart is said in the log. On an error nothing has changed.
    ///
    /// # Errors
    /// When the stored configuration does not fit the new file, or a file it names cannot be read.
    pub async fn reload(&mut self, settings: Settings) -> Result<(), ReloadError> {
        let restarts = self.restarts.clone();
        restarts.guard(Work::Reload, self.take_up(settings)).await?
    }

    async fn take_up(&mut self, settings: Settings) -> Result<(), ReloadError> {
        if settings.team != self.settings.team {
            return Err(ReloadError::TeamDomain {
                running: self.settings.team.issuer().to_owned(),
                found: settings.team.issuer().to_owned(),
            });
        }
        let premises = Arc::new(settings.premises(self.account.clone()));
        let countries = settings.countries.clone();
        self.desk.replace_premises(premises, countries, self.clock.now()).await?;
        let waiting = settings.need_restart(&self.settings);
        self.proxy.reload_certificates(certificate_source(settings.certificates, &self.local_ca));
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(keys, "changes of {keys} take effect at the next restart");
        }
        Ok(())
    }

    /// Stops: no new connections, requests under way finish within `[limits] drain`, records are written.
    pub async fn drain(self) {
        self.health.leave();
        self.household.abort();
        self.fetcher.abort();
        self.responders.abort();
        self.settler.abort();
        let counts = self.proxy.drain(self.settings.limits.control.drain).await;
        if !counts.is_empty()
            && let Err(error) = self.store.fold_traffic(&counts).await
        {
            tracing::warn!(%error, "the last traffic counts were not kept");
        }
        if let Err(error) = self.revocations.settle().await {
            let revocations = self.revocations.count();
            tracing::error!(%error, revocations, "revocations were never written and end with this process: repeat them after the start");
        }
        // The data path has dropped its senders; the portal's end when its last errand has.
        let _ = tokio::time::timeout(LAST_RECORDS, self.record_keeper).await;
        tracing::info!(at = %self.clock.now(), "stopped");
    }
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Tokens name their issuer.
    #[error(
        "the issuer of tokens is {running} and [team] domain now makes it {found}; it cannot change while the gateway runs: restart it"
    )]
    TeamDomain {
        /// The one in force.
        running: String,
        /// The one in the file.
        found: String,
    },
    /// The stored configuration does not fit the new file.
    #[error("what the store holds does not fit the new file: {0}")]
    Desk(#[from] ApiError),
    /// The gateway failed over it.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}
