//! The whole gateway, from settings to open listeners, and down again.

use crate::config::{MailRoute, Settings, StoreRoute};
use crate::errands::Desks;
use crate::figures::GatewayFigures;
use crate::housekeeping::Household;
use crate::logging::DroppedLines;
use crate::{data_dir, errands, keys, metrics, organization, records};
use narthex_api::{Api, ApiError, ApiParts, Desk, Standing};
use narthex_idp::{
    Mailer, OutboundHttp, OutboundSettings, Outbox, Providers, SmtpMailer, Unposted,
};
use narthex_model::{Clock, Configuration, MasterKey, Premises, Revision, Timestamp};
use narthex_portal::{Parts, Portal};
use narthex_proxy::{CertificateSource, LocalCa, Meters, ServerCertificate};
use narthex_snapshot::{Countries, Live, Materials, Snapshot};
use narthex_store::{AdminRecord, Change, Revoked, SqliteStore, Store};
use narthex_token::KeyRing;
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long requests under way may take to finish when the gateway stops.
const DRAIN: Duration = Duration::from_secs(30);

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory does not let us in.
    #[error("the data directory {path}: {error}")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] narthex_store::OpenError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] narthex_store::StoreError),
    /// The signing keys are damaged.
    #[error(transparent)]
    Keys(#[from] keys::KeysError),
    /// The key ring cannot be made.
    #[error("signing keys: {0}")]
    KeyRing(#[from] narthex_token::KeyError),
    /// What the store holds does not fit the configuration file.
    #[error("the stored configuration does not fit: {0}")]
    Configuration(narthex_snapshot::Fault),
    /// The country database cannot be read.
    #[error(transparent)]
    Countries(#[from] narthex_snapshot::CountriesError),
    /// Mail cannot be set up.
    #[error("[mail] {0}")]
    Mail(#[from] narthex_idp::MailError),
    /// The client for identity providers cannot be set up.
    #[error(transparent)]
    Outbound(#[from] narthex_idp::OutboundError),
    /// The local CA cannot be made or read.
    #[error(transparent)]
    LocalCa(#[from] narthex_proxy::LocalCaError),
    /// A listener cannot be opened.
    #[error("{0}")]
    Listen(io::Error),
    /// The metrics listener cannot be opened.
    #[error("cannot listen on {address} for metrics: {error}; change [listen] metrics")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
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
    premises: Arc<Premises>,
    clock: Clock,
    household: JoinHandle<()>,
    record_keeper: JoinHandle<()>,
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
    let now = clock.now();
    let data_dir_error = |error| StartError::DataDir { path: settings.data_dir.clone(), error };
    data_dir::prepare(&settings.data_dir).map_err(data_dir_error)?;
    data_dir::keep_account_id(&settings.data_dir, &settings.premises.account.id)
        .map_err(data_dir_error)?;
    let master = match &settings.master_key {
        Some(key) => key.clone(),
        None => Arc::new(data_dir::master_key(&settings.data_dir).map_err(data_dir_error)?),
    };
    let local_ca = Arc::new(LocalCa::open_or_create(&settings.data_dir, now)?);

    let store = open_store(&settings, master).await?;
    let (revision, configuration) = settled(&*store, &settings, &clock).await?;
    let rotation = configuration.organization.as_ref().map(|organization| organization.keys);
    let interval = rotation.unwrap_or_default().key_rotation_interval_days;
    let signing_keys = keys::open(&*store, interval, now).await?;
    let premises = Arc::new(settings.premises.clone());
    let materials = Materials {
        premises: premises.clone(),
        keys: Arc::new(KeyRing::of(signing_keys.clone(), &settings.premises.team, now)?),
        countries: countries(&settings)?,
    };
    let snapshot = Snapshot::compile(&materials, &configuration, revision)
        .map_err(StartError::Configuration)?;
    let live = Arc::new(Live::new(snapshot));
    recall(&*store, &live, &clock).await?;

    let Post { mailer, outbox } = Post::open(&settings, &clock)?;
    let outbound = OutboundHttp::new(OutboundSettings::default())?;
    let providers = Providers::new(outbound, mailer, clock.clone());
    let desk = Arc::new(Desk::new(
        live.clone(),
        store.clone(),
        materials,
        signing_keys,
        Standing { revision, configuration },
    ));
    let (record_sender, record_queue) = mpsc::channel(records::QUEUE);
    let (errand_sender, errand_queue) = mpsc::channel(errands::QUEUE);
    let desks = Desks {
        portal: Arc::new(Portal::new(Parts {
            live: live.clone(),
            store: store.clone(),
            providers,
            records: record_sender.clone(),
            clock: clock.clone(),
        })),
        api: Arc::new(Api::new(ApiParts {
            live: live.clone(),
            store: store.clone(),
            desk: desk.clone(),
            clock: clock.clone(),
            bootstrap_token: settings
                .bootstrap_token
                .as_ref()
                .map(|token| narthex_api::sha256(token.expose())),
        })),
    };

    let meters = Arc::new(Meters::new(settings.cores));
    let proxy_settings = narthex_proxy::Settings {
        https: settings.https.clone(),
        http: settings.http.clone(),
        cores: settings.cores,
        certificates: certificate_source(settings.certificates, &local_ca),
        public_https_port: None,
        trusted_proxies: settings.trusted_proxies.clone(),
        log_requests: settings.log_requests,
        limits: narthex_proxy::Limits::default(),
    };
    let proxy = narthex_proxy::start(
        proxy_settings,
        live.clone(),
        errand_sender,
        record_sender,
        meters.clone(),
        clock.clone(),
    )
    .map_err(StartError::Listen)?;

    tokio::spawn(errands::run(errand_queue, desks));
    let counts = Arc::new(records::RecordCounts::default());
    let record_keeper = tokio::spawn(records::keep(record_queue, store.clone(), counts.clone()));
    let household = Household {
        live: live.clone(),
        store: store.clone(),
        desk: desk.clone(),
        folder: proxy.folder(),
        clock: clock.clone(),
    };
    let figures = Arc::new(GatewayFigures { meters, live: live.clone(), counts, dropped_lines });
    let metrics = match settings.metrics {
        None => None,
        Some(address) => Some(
            metrics::listen(address, figures)
                .await
                .map_err(|error| StartError::Metrics { address, error })?,
        ),
    };
    Ok(Running {
        proxy,
        live,
        store,
        desk,
        outbox,
        metrics,
        premises,
        clock,
        household: tokio::spawn(household.keep()),
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

/// The stored configuration with an organisation in it.
async fn settled(
    store: &dyn Store,
    settings: &Settings,
    clock: &Clock,
) -> Result<(Revision, Configuration), StartError> {
    let (revision, before) = store.load().await?;
    let mut configuration = before.clone();
    if !organization::settle(&mut configuration, &settings.premises, clock.now()) {
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

fn countries(settings: &Settings) -> Result<Option<Arc<Countries>>, StartError> {
    match &settings.geo_database {
        None => Ok(None),
        Some(path) => Ok(Some(Arc::new(Countries::load(path)?))),
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
        if settings.premises.team != self.premises.team {
            return Err(ReloadError::TeamDomain);
        }
        let countries = countries(&settings)?;
        let mut premises = settings.premises;
        premises.account.id = self.premises.account.id.clone();
        let premises = Arc::new(premises);
        self.desk.replace_premises(premises.clone(), countries, self.clock.now()).await?;
        self.proxy.reload_certificates(certificate_source(settings.certificates, &self.local_ca));
        self.premises = premises;
        Ok(())
    }

    /// Stops: no new connections, requests under way finish within 30 seconds, records are written.
    pub async fn drain(self) {
        self.household.abort();
        let counts = self.proxy.drain(DRAIN).await;
        if !counts.is_empty()
            && let Err(error) = self.store.fold_traffic(&counts).await
        {
            tracing::warn!(%error, "the last traffic counts were not kept");
        }
        // The data path has dropped its senders; the portal's end when its last errand has.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.record_keeper).await;
        tracing::info!(at = %self.clock.now(), "stopped");
    }
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Tokens name their issuer.
    #[error("[team] domain cannot change while the gateway runs; restart it")]
    TeamDomain,
    /// A part of the new reading cannot be had.
    #[error(transparent)]
    Part(#[from] StartError),
    /// The stored configuration does not fit the new file.
    #[error("the stored configuration does not fit the new file: {0}")]
    Desk(#[from] ApiError),
}
