//! Starting and stopping: one thread with a runtime of its own for each core.

use crate::balance::{self, Handed};
use crate::errand::Control;
use crate::first_uses::FirstUses;
use crate::lane::{Common, Lane};
use crate::listen::{self, Bound, Scheme};
use crate::meters::Meters;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::source::TrustedProxies;
use crate::stage::Stage;
use crate::tls::{CertificateSource, Certificates};
use arc_swap::ArcSwap;
use narthex_model::{AccessRecord, Clock, TrafficCount};
use narthex_snapshot::Live;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// What a core is asked while it serves.
enum Question {
    /// Its traffic counts since the last time.
    Counts(oneshot::Sender<Vec<TrafficCount>>),
    /// Whether it lives.
    Alive(oneshot::Sender<()>),
}

/// A proxy that serves. Dropping it stops it at once; [`Running::drain`] lets requests finish.
#[derive(Debug)]
pub struct Running {
    https: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    certificates: Arc<ArcSwap<Certificates>>,
    leaving: watch::Sender<Stage>,
    cores: Vec<Core>,
    /// The sockets that the cores accept from, for another process; none once the proxy is leaving.
    listeners: Listeners,
}

/// Listening sockets that come from, or are for, somebody else: the service manager, or another process of this program.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For TLS connections.
    pub https: Vec<TcpListener>,
    /// For plain connections.
    pub http: Vec<TcpListener>,
}

impl Listeners {
    fn of(https: &[Bound], http: &[Bound]) -> io::Result<Self> {
        let all = |bound: &[Bound]| share(bound.iter().flat_map(|bound| &bound.sockets));
        Ok(Self { https: all(https)?, http: all(http)? })
    }
}

fn share<'a>(sockets: impl IntoIterator<Item = &'a TcpListener>) -> io::Result<Vec<TcpListener>> {
    sockets.into_iter().map(TcpListener::try_clone).collect()
}

/// One core's thread.
#[derive(Debug)]
struct Core {
    thread: std::thread::JoinHandle<()>,
    questions: mpsc::UnboundedSender<Question>,
    /// Ends when the core has nothing left to do.
    idle: Option<oneshot::Receiver<()>>,
    /// Dropping it stops the core at once.
    stop: oneshot::Sender<()>,
}

/// Binds every address and starts serving `live`.
///
/// Requests for the gateway's own sites go to `control`; refusals and first uses go to `records`, dropped and
/// counted when that is full. `meters` should be made for as many cores as `settings` has.
///
/// # Errors
/// When an address cannot be bound, which the text names, or a thread or runtime cannot be started.
pub fn start(
    settings: Settings,
    live: Arc<Live>,
    control: Control,
    records: mpsc::Sender<AccessRecord>,
    meters: Arc<Meters>,
    clock: Clock,
) -> io::Result<Running> {
    start_on(Listeners::default(), settings, live, control, records, meters, clock)
}

/// The same, but that addresses for which a socket was handed over are not bound. Sockets that `settings` has no address
/// for are closed.
///
/// # Errors
/// As [`start`].
pub fn start_on(
    mut given: Listeners,
    settings: Settings,
    live: Arc<Live>,
    control: Control,
    records: mpsc::Sender<AccessRecord>,
    meters: Arc<Meters>,
    clock: Clock,
) -> io::Result<Running> {
    let lanes = settings.cores.max(1);
    let bind = |addresses: &[SocketAddr], handed: &mut Vec<TcpListener>| {
        let bound = addresses.iter().map(|address| listen::bind(*address, lanes, handed));
        bound.collect::<io::Result<Vec<Bound>>>()
    };
    let mut https = bind(&settings.https, &mut given.https)?;
    let mut http = bind(&settings.http, &mut given.http)?;
    let listeners = Listeners::of(&https, &http)?;
    let (leaving, leaves) = watch::channel(Stage::Serving);
    let certificates = Arc::new(ArcSwap::from_pointee(Certificates::new(settings.certificates)));
    let (doors, handed) = balance::doors(lanes, &settings.limits, &meters);
    let common = Arc::new(Common {
        live,
        clock,
        certificates: Arc::clone(&certificates),
        limits: settings.limits,
        trusted: TrustedProxies::new(&settings.trusted_proxies),
        log: settings.log_requests,
        lateness: settings.lateness,
        control,
        meters,
        first_uses: FirstUses::default(),
        leaving: leaves,
        https_port: settings.public_https_port,
        doors,
    });
    let mut cores = Vec::new();
    for (index, handed) in handed.into_iter().enumerate() {
        let last = index + 1 == lanes;
        let listeners = Listeners { https: take(&mut https, last), http: take(&mut http, last) };
        let sockets = Sockets { listeners, handed };
        cores.push(spawn(index, Arc::clone(&common), records.clone(), sockets)?);
    }
    let addresses = |bound: &[Bound]| bound.iter().map(|bound| bound.address).collect();
    let (https, http) = (addresses(&https), addresses(&http));
    Ok(Running { https, http, certificates, leaving, cores, listeners })
}

/// Collects traffic counts while the proxy serves.
#[derive(Clone, Debug)]
pub struct Folder(Vec<mpsc::UnboundedSender<Question>>);

impl Folder {
    /// Takes the counts of admitted requests since the last fold, from every core.
    pub async fn collect(&self) -> Vec<TrafficCount> {
        let mut counts = Vec::new();
        for core in &self.0 {
            let (reply, told) = oneshot::channel();
            if core.send(Question::Counts(reply)).is_ok() {
                counts.extend(told.await.unwrap_or_default());
            }
        }
        counts
    }

    /// Returns once every core has shown that it still takes its turns: for a watchdog.
    pub async fn alive(&self) {
        for core in &self.0 {
            let (reply, told) = oneshot::channel();
            if core.send(Question::Alive(reply)).is_ok() {
                drop(told.await);
            }
        }
    }
}

/// The sockets of one core.
struct Sockets {
    listeners: Listeners,
    /// Connections that other cores accepted for this one.
    handed: mpsc::UnboundedReceiver<Handed>,
}

/// The sockets of one core: one of each address, and for the last core what is left.
fn take(bound: &mut [Bound], last: bool) -> Vec<TcpListener> {
    let each = bound.iter_mut().flat_map(|bound| {
        let count = if last { bound.sockets.len() } else { 1 };
        bound.sockets.drain(..count.min(bound.sockets.len()))
    });
    each.collect()
}

/// What a core is told from outside.
struct Orders {
    questions: mpsc::UnboundedReceiver<Question>,
    stop: oneshot::Receiver<()>,
    idle: oneshot::Sender<()>,
}

fn spawn(
    index: usize,
    common: Arc<Common>,
    records: mpsc::Sender<AccessRecord>,
    sockets: Sockets,
) -> io::Result<Core> {
    let (questions, asked) = mpsc::unbounded_channel();
    let (idle, became_idle) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let orders = Orders { questions: asked, stop: stopped, idle };
    let (ready, began) = std::sync::mpsc::sync_channel::<io::Result<()>>(1);
    let thread = std::thread::Builder::new().name(format!("narthex-{index}")).spawn(move || {
        let built = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        let began = built.and_then(|runtime| {
            let recorder = Recorder::new(records, Arc::clone(&common.meters), index);
            let begin = async { begin(Lane::new(common, index, recorder), sockets) };
            let (lane, accepting) = runtime.block_on(begin)?;
            Ok((runtime, lane, accepting))
        });
        match began {
            Ok((runtime, lane, accepting)) => {
                drop(ready.send(Ok(())));
                runtime.block_on(keep(&lane, accepting, orders));
                runtime.shutdown_background();
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    })?;
    began.recv().map_err(|_| io::Error::other("a core's thread ended as it began"))??;
    Ok(Core { thread, questions, idle: Some(became_idle), stop })
}

/// Starts to accept.
fn begin(lane: Rc<Lane>, sockets: Sockets) -> io::Result<(Rc<Lane>, Vec<JoinHandle<()>>)> {
    let Listeners { https, http } = sockets.listeners;
    let https = https.into_iter().map(|socket| (socket, Scheme::Https));
    let http = http.into_iter().map(|socket| (socket, Scheme::Http));
    tokio::task::spawn_local(balance::take_in(Rc::clone(&lane), sockets.handed));
    let mut accepting = Vec::new();
    for (socket, scheme) in https.chain(http) {
        let listener = tokio::net::TcpListener::from_std(socket)?;
        let accept = listen::accept(Rc::clone(&lane), listener, scheme);
        accepting.push(tokio::task::spawn_local(accept));
    }
    Ok((lane, accepting))
}

/// Runs a core until it is told to stop.
async fn keep(lane: &Rc<Lane>, accepting: Vec<JoinHandle<()>>, orders: Orders) {
    let Orders { mut questions, mut stop, idle } = orders;
    let emptied = async {
        for accept in accepting {
            drop(accept.await);
        }
        lane.slots.until_empty().await;
    };
    let mut emptied = pin!(emptied);
    let mut idle = Some(idle);
    loop {
        tokio::select! {
            _ = &mut stop => return,
            () = &mut emptied, if idle.is_some() => {
                if let Some(idle) = idle.take() {
                    let _told = idle.send(());
                }
            }
            question = questions.recv() => match question {
                Some(Question::Counts(reply)) => drop(reply.send(lane.traffic.fold())),
                Some(Question::Alive(reply)) => drop(reply.send(())),
                None => return,
            },
        }
    }
}

impl Running {
    /// Where TLS connections are accepted, ports filled in.
    #[must_use]
    pub fn https_addrs(&self) -> Vec<SocketAddr> {
        self.https.clone()
    }

    /// Where plain connections are accepted, ports filled in.
    #[must_use]
    pub fn http_addrs(&self) -> Vec<SocketAddr> {
        self.http.clone()
    }

    /// Shows other certificates from the next handshake on. Sessions of before are not resumed.
    pub fn reload_certificates(&self, source: CertificateSource) {
        self.certificates.store(Arc::new(Certificates::new(source)));
    }

    /// What collects the counts of admitted requests, for whoever keeps them.
    #[must_use]
    pub fn folder(&self) -> Folder {
        Folder(self.cores.iter().map(|core| core.questions.clone()).collect())
    }

    /// The sockets that connections are accepted from, for the process that takes over. None once the proxy is leaving.
    ///
    /// # Errors
    /// When the system has no file descriptor left.
    pub fn listeners(&self) -> io::Result<Listeners> {
        let Listeners { https, http } = &self.listeners;
        Ok(Listeners { https: share(https)?, http: share(http)? })
    }

    /// Leaves accepting to the process that has the same sockets. Whoever is connected may go on, and is told to connect
    /// again: over HTTP/2 at once, over HTTP/1.1 with the next answer, or when the connection was idle for as long as one
    /// may be. Upgraded connections go on.
    pub fn yield_to_successor(&mut self) {
        self.listeners = Listeners::default();
        self.leaving.send_replace(Stage::Yielding);
    }

    /// Stops accepting and closes idle connections; what is under way goes on.
    pub fn close(&mut self) {
        self.listeners = Listeners::default();
        self.leaving.send_replace(Stage::Closing);
    }

    /// Returns once nobody is connected any more, after [`Running::yield_to_successor`] or [`Running::close`]. May be
    /// dropped and called again.
    pub async fn until_idle(&mut self) {
        for core in &mut self.cores {
            if let Some(idle) = &mut core.idle {
                drop(idle.await);
                core.idle = None;
            }
        }
    }

    /// Stops accepting, lets what is under way finish for as long as `grace`, then stops. Returns the counts that
    /// had not been folded.
    pub async fn drain(mut self, grace: Duration) -> Vec<TrafficCount> {
        self.close();
        if tokio::time::timeout(grace, self.until_idle()).await.is_err() {
            tracing::warn!("connections were still open after {grace:?}; closed them");
        }
        let counts = self.folder().collect().await;
        let threads = self.cores.into_iter().map(|core| {
            let _told = core.stop.send(());
            core.thread
        });
        let threads: Vec<_> = threads.collect();
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        drop(joined.await);
        counts
    }
}
