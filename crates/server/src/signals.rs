//! What the process is told from outside, and what it does then.

use narthex_server::config::Settings;
use narthex_server::systemd::{Manager, News};
use narthex_server::{HandOverError, Program, Retiring, Running};
use std::error::Error;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// SIGXFSZ, which is 25 on every system that this program is built for.
const FILE_SIZE_EXCEEDED: i32 = 25;

/// Signals, caught before anything is started, so that none is missed.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// SIGUSR2, as with nginx.
    upgrade: Signal,
    /// Caught so that they do nothing: the system would end the process.
    _without_meaning: [Signal; 2],
    /// Never waited for. That it is caught makes a write beyond a limit of the file size (`ulimit -f`) fail as one on a
    /// full disk does, instead of ending the gateway.
    _file_size: Signal,
}

/// The gateway that obeys.
pub(crate) struct Gateway<'a> {
    pub(crate) running: Running,
    /// The file to read again, if there is one.
    pub(crate) config: Option<&'a Path>,
    /// What to start in this process's place, if that can be done.
    pub(crate) program: Option<Program>,
    pub(crate) manager: Arc<Manager>,
}

impl Signals {
    pub(crate) fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
            _without_meaning: [signal(SignalKind::user_defined1())?, signal(SignalKind::alarm())?],
            _file_size: signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED))?,
        })
    }

    /// Serves until SIGTERM or SIGINT, or until another process has taken over. SIGHUP reads the configuration again, SIGUSR2
    /// starts the program again in this process's place. A second SIGTERM or SIGINT ends at once.
    pub(crate) async fn obeyed_by(
        mut self,
        mut gateway: Gateway<'_>,
    ) -> Result<(), Box<dyn Error>> {
        let _beating = gateway.heartbeat();
        loop {
            tokio::select! {
                () = again(&mut self.terminate, &mut self.interrupt) => break,
                _ = self.hang_up.recv() => gateway.reload().await,
                _ = self.upgrade.recv() => match self.upgrade(&mut gateway).await {
                    Upgrade::Done(retiring) => return self.retire(gateway.running, *retiring).await,
                    Upgrade::Failed => {}
                    Upgrade::Cancelled => break,
                },
            }
        }
        gateway.manager.tell(News::Stopping);
        eprintln!("narthexd: finishing what is under way; once more to stop at once");
        tokio::select! {
            () = gateway.running.drain() => Ok(()),
            () = again(&mut self.terminate, &mut self.interrupt) => Err(cut_short()),
        }
    }

    /// Hands over to another process, if that one comes to serve.
    async fn upgrade(&mut self, gateway: &mut Gateway<'_>) -> Upgrade {
        let Some(program) = &gateway.program else {
            tracing::warn!("the demo does not hand over; stop it and start it again");
            return Upgrade::Failed;
        };
        let manager = &gateway.manager;
        manager.tell(News::Reloading);
        manager.tell(News::Status("handing over to a new process"));
        let told = again(&mut self.terminate, &mut self.interrupt);
        match gateway.running.hand_over(program, told).await {
            Ok(retiring) => {
                manager.tell(News::Successor(retiring.successor));
                Upgrade::Done(Box::new(retiring))
            }
            Err(HandOverError::Cancelled) => Upgrade::Cancelled,
            Err(error) => {
                tracing::error!(%error, "this process goes on: {error}");
                manager.tell(News::Ready);
                Upgrade::Failed
            }
        }
    }

    /// Finishes what is under way beside the process that took over; SIGTERM shortens that, and a second one ends it.
    async fn retire(mut self, running: Running, retiring: Retiring) -> Result<(), Box<dyn Error>> {
        let hurry = Notify::new();
        let mut retiring = pin!(running.retire(retiring, hurry.notified()));
        let mut hurried = false;
        loop {
            tokio::select! {
                () = &mut retiring => return Ok(()),
                () = again(&mut self.terminate, &mut self.interrupt) => {
                    if hurried {
                        return Err(cut_short());
                    }
                    hurry.notify_one();
                    hurried = true;
                }
            }
        }
    }
}

/// What came of a hand-over.
enum Upgrade {
    /// Another process serves.
    Done(Box<Retiring>),
    /// This process goes on.
    Failed,
    /// It is told to stop meanwhile.
    Cancelled,
}

/// The watchdog's task; it ends when this is dropped.
struct Beating(Option<JoinHandle<()>>);

impl Drop for Beating {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

async fn again(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn cut_short() -> Box<dyn Error> {
    "stopped before everything was finished".into()
}

impl Gateway<'_> {
    /// Tells a service manager that watches, again and again, that every core takes its turns.
    fn heartbeat(&self) -> Beating {
        let Some(beat) = self.manager.heartbeat() else { return Beating(None) };
        let (manager, cores) = (self.manager.clone(), self.running.cores());
        Beating(Some(tokio::spawn(async move {
            let mut beats = tokio::time::interval(beat);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beats.tick().await;
                cores.alive().await;
                manager.tell(News::Alive);
            }
        })))
    }

    async fn reload(&mut self) {
        let Some(path) = self.config else { return };
        self.manager.tell(News::Reloading);
        let outcome: Result<(), Box<dyn Error>> = async {
            let settings = Settings::read(path)?;
            self.running.reload(settings).await?;
            Ok(())
        }
        .await;
        self.manager.tell(News::Ready);
        match outcome {
            Ok(()) => tracing::info!(config = %path.display(), "read the configuration again"),
            Err(error) => tracing::error!(%error, "kept the running configuration"),
        }
    }
}
