//! The whole gateway, from settings to open listeners; what it does from then on until it is down again is `running`.

mod error;
mod running;

pub use error::StartError;
pub use running::ReloadError;

use crate::config::{MailRoute, Settings, StoreRoute};
use crate::errands::Desks;
use crate::figures::GatewayFigures;
use crate::hand_over::{Elder, Inheritance, Predecessor};
use crate::health::Health;
use crate::housekeeping::Household;
use crate::logging::DroppedLines;
use crate::pen::{Ledger, Pen};
use crate::records::Keeper;
use crate::responders::Responders;
use crate::restarts::{Restarts, Work};
use crate::revocation_lists::Fetcher;
use crate::systemd::Instead;
use crate::{data_dir, errands, keys, metrics, organization, records, responders};
use narthex_api::{Api, ApiParts, Desk, Standing};
use narthex_idp::{
    Fence, Mailer, OutboundHttp, OutboundSettings, Outbox, Providers, SmtpMailer, Unposted,
};
use narthex_model::{
    AccountId, Clock, Configuration, IdpConfig, MasterKey, Premises, Revision, Timestamp,
    UnixSeconds,
};
use narthex_portal::{Parts, Portal};
use narthex_proxy::{CertificateSource, Control, Lateness, LocalCa, Meters, ServerCertificate};
use narthex_snapshot::{Live, Materials, RevocationLists, Snapshot};
use narthex_store::{AdminRecord, Change, OwedRevocations, Revoked, Spill, SqliteStore, Store};
use narthex_token::KeyRing;
use serde_json::json;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A gateway that serves.
pub struct Running {
    pub(crate) proxy: narthex_proxy::Running,
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
    pub(crate) settings: Settings,
    account: AccountId,
    pub(crate) health: Arc<Health>,
    pub(crate) clock: Clock,
    /// The store by its own name, where it can be handed over.
    pub(crate) vault: Option<Arc<SqliteStore>>,
    /// Who writes.
    pub(crate) pen: Arc<Pen>,
    ledger: Arc<Ledger>,
    /// The process before this one, while it has connections.
    pub(crate) elder: Elder,
    pub(crate) elder_task: Option<JoinHandle<()>>,
    /// Which sockets stand in place of addresses of the file.
    pub(crate) instead: Instead,
    pub(crate) metrics_socket: Option<TcpListener>,
    pub(crate) metrics_task: Option<JoinHandle<()>>,
    household: JoinHandle<()>,
    fetcher: JoinHandle<()>,
    responders: JoinHandle<()>,
    record_keeper: JoinHandle<()>,
    pub(crate) revocations: Arc<OwedRevocations>,
    pub(crate) record_counts: Arc<records::RecordCounts>,
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
    start_with(Inheritance::default(), settings, clock, dropped_lines).await
}

/// The same with sockets that are open already, or in the place of another process.
///
/// # Errors
/// As [`start`]; the process that was to be taken over from goes on then.
pub async fn start_with(
    mut inheritance: Inheritance,
    settings: Settings,
    clock: Clock,
    dropped_lines: DroppedLines,
) -> Result<Running, StartError> {
    let master = data_dir::prepare(&settings)?;
    let vault = open_store(&settings, master.clone(), inheritance.from.as_mut()).await?;
    let kept = Kept { store: vault.clone(), vault: Some(vault), master };
    begin(inheritance, settings, kept, clock, dropped_lines).await
}

/// As [`start`], over a store that is open already and the key that seals what it keeps: for a store that fails when a
/// test tells it to. The data directory is there. Such a gateway hands over to nobody.
///
/// # Errors
/// As [`start`].
pub async fn start_over(
    settings: Settings,
    (store, master): (Arc<dyn Store>, Arc<MasterKey>),
    clock: Clock,
    dropped_lines: DroppedLines,
) -> Result<Running, StartError> {
    let kept = Kept { store, vault: None, master };
    begin(Inheritance::default(), settings, kept, clock, dropped_lines).await
}

/// What is open already.
struct Kept {
    store: Arc<dyn Store>,
    /// The store by its own name, where it can be handed over.
    vault: Option<Arc<SqliteStore>>,
    /// What seals secrets in it.
    master: Arc<MasterKey>,
}

async fn begin(
    inheritance: Inheritance,
    mut settings: Settings,
    kept: Kept,
    clock: Clock,
    dropped_lines: DroppedLines,
) -> Result<Running, StartError> {
    let Inheritance { given, from } = inheritance;
    let Kept { store, vault, master } = kept;
    let now = clock.now();
    let spill = open_spill(&settings, master)?;
    let (pen, elder) = (Arc::<Pen>::default(), Elder::default());
    let ledger = Arc::new(Ledger { pen: pen.clone(), store: store.clone() });
    if let Some(from) = &from {
        elder.know(from);
    }
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
        pen: pen.clone(),
        elder: elder.clone(),
    };

    let instead = given.instead;
    let metrics_at = match &given.metrics {
        Some(socket) if instead.metrics => Some(socket.local_addr().map_err(StartError::Given)?),
        Some(_) | None => settings.metrics,
    };
    let metrics = match metrics_at {
        None => None,
        Some(address) => Some(metrics::bind(address, given.metrics).map_err(|error| {
            let error =
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
            StartError::Listen { key: "metrics", error }
        })?),
    };
    let meters = Arc::new(Meters::new(settings.cores));
    let control = Control { admin, pages };
    let proxy_settings = narthex_proxy::Settings {
        https: addresses(&given.listeners.https, given.instead.https, &settings.https)?,
        http: addresses(&given.listeners.http, given.instead.http, &settings.http)?,
        cores: settings.cores,
        certificates: certificate_source(settings.certificates.clone(), &local_ca),
        public_https_port: None,
        trusted_proxies: settings.trusted_proxies.clone(),
        log_requests: settings.log_requests,
        lateness: Lateness::Measured,
        limits: settings.limits.road.clone(),
    };
    let proxy = narthex_proxy::start_on(
        given.listeners,
        proxy_settings,
        live.clone(),
        control.clone(),
        record_sender,
        meters.clone(),
        clock.clone(),
    )
    .map_err(|error| listen_error(&settings, error))?;

    tokio::spawn(errands::run(calls, limits.api_at_once, desks.clone()));
    tokio::spawn(errands::run(visits, limits.pages_at_once, desks));
    let restarts = Arc::new(Restarts::default());
    let counts = Arc::new(records::RecordCounts::default());
    let keeper = Keeper::new(record_queue, ledger.clone(), spill, counts.clone());
    let record_keeper = tokio::spawn(keeper.keep(restarts.clone()));
    let household = Household {
        live: live.clone(),
        store: store.clone(),
        desk: desk.clone(),
        folder: proxy.folder(),
        keep_records: i64::from(settings.keep_records_days) * 86_400,
        ledger: ledger.clone(),
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
        pen: pen.clone(),
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
        counts: counts.clone(),
        revocations: revocations.clone(),
        dropped_lines,
        health: health.clone(),
        restarts: restarts.clone(),
        desk: desk.clone(),
        clock: clock.clone(),
    };
    let (mut metrics_at, mut metrics_socket, mut metrics_task) = (None, None, None);
    if let Some((listener, socket, address)) = metrics {
        metrics_task = Some(tokio::spawn(metrics::serve(listener, Arc::new(figures))));
        (metrics_at, metrics_socket) = (Some(address), Some(socket));
    }
    let elder_task = match from {
        Some(from) => Some(from.relieve(&elder, control, ledger.clone()).await),
        None => None,
    };
    Ok(Running {
        vault,
        pen,
        ledger,
        elder,
        elder_task,
        instead,
        metrics_socket,
        metrics_task,
        proxy,
        live,
        store,
        desk,
        outbox,
        metrics: metrics_at,
        settings,
        account,
        health,
        clock,
        household: tokio::spawn(household.keep(restarts.clone())),
        fetcher: tokio::spawn(fetcher.keep(restarts.clone())),
        responders: tokio::spawn(responders.keep(restarts.clone())),
        settler: tokio::spawn(settle(revocations.clone(), restarts.clone())),
        revocations,
        record_counts: counts,
        restarts,
        record_keeper,
        local_ca,
    })
}

async fn open_store(
    settings: &Settings,
    master: Arc<MasterKey>,
    from: Option<&mut Predecessor>,
) -> Result<Arc<SqliteStore>, StartError> {
    let StoreRoute::Sqlite(path) = &settings.store;
    let store = match from {
        None => SqliteStore::open(path, master).await?,
        Some(from) => {
            let lock = from.take_pen().await.map_err(StartError::NotHandedOver)?;
            SqliteStore::take_over(path, master, lock).await?
        }
    };
    Ok(Arc::new(store))
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
        put_in_force(live, &revocation.what, revocation.at, revocation.until);
    }
    Ok(())
}

/// Puts a revocation in force that the store holds.
pub(crate) fn put_in_force(live: &Live, what: &Revoked, at: UnixSeconds, until: UnixSeconds) {
    match what {
        Revoked::Session(nonce) => live.revocations.end_session(nonce, until),
        Revoked::User(user) => live.revocations.restore_user(*user, at),
        Revoked::App(aud) => live.revocations.restore_app(aud, at),
        Revoked::ServiceToken(client) => live.revocations.revoke_service_token(client, at),
    }
}

/// Where to listen: at the sockets that stand in place of the file's addresses, or at those.
fn addresses(
    sockets: &[TcpListener],
    instead: bool,
    of_file: &[SocketAddr],
) -> Result<Vec<SocketAddr>, StartError> {
    if !instead {
        return Ok(of_file.to_vec());
    }
    let mut at = Vec::new();
    for socket in sockets {
        let address = socket.local_addr().map_err(StartError::Given)?;
        if !at.contains(&address) {
            at.push(address);
        }
    }
    Ok(at)
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
