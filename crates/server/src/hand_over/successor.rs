//! The running process: starts the new one, hands over, and finishes what is under way.

use super::follow::{FollowError, Follower};
use super::line::{Ask, Asked, Line, Reply};
use super::predecessor::HAND_OVER;
use super::sockets::Offer;
use crate::pen::Passing;
use crate::start::Running;
use narthex_store::SqliteStore;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// How long the new process may take until it serves.
const START: Duration = Duration::from_secs(60);
/// How often a process that has handed over looks for what the other has written, beside being told.
const LOOK: Duration = Duration::from_millis(200);
/// Looks in a row that may fail before everything that is left is ended: what is revoked may not stay in.
const FAILED_LOOKS: u32 = 4;

/// How this process was started, and how its successor is.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// This process's program: the path as it was typed, so that a file put in its place is the next program.
    ///
    /// # Errors
    /// When the system does not say what runs here.
    pub fn running() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let typed = arguments.next().map(PathBuf::from).unwrap_or_default();
        let typed = if typed.components().count() > 1 {
            std::path::absolute(typed)?
        } else {
            PathBuf::new()
        };
        let path = if typed.is_file() { typed } else { std::env::current_exe()? };
        Ok(Self { path, arguments: arguments.collect() })
    }

    fn start(&self, line: UnixStream) -> io::Result<Child> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env(HAND_OVER, "stdin")
            .stdin(Stdio::from(OwnedFd::from(line)));
        // What the service manager said to this process alone.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(name);
        }
        command.spawn()
    }
}

/// Why the process that runs goes on.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The store is not one that two processes can have.
    #[error(
        "this process does not hold its data directory, so it cannot hand it over; restart it instead"
    )]
    NoLock,
    /// The system refuses.
    #[error("{}: {error}", path.display())]
    NotStarted {
        /// The new program.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The new process ended.
    #[error("the new process ended ({0}) before it served; its own words say why")]
    Ended(String),
    /// The new process hangs.
    #[error("the new process did not serve within {START:?}; it was ended")]
    TooSlow,
    /// The gateway is told to stop.
    #[error("the gateway was told to stop; the new process was ended")]
    Cancelled,
    /// Sockets cannot be passed on.
    #[error("the listening sockets cannot be passed on: {0}")]
    Sockets(io::Error),
}

/// A process that has handed over.
pub struct Retiring {
    line: Arc<Line>,
    questions: mpsc::Receiver<Asked>,
    follower: Follower,
    /// The process id of the new one.
    pub successor: u32,
    /// What tells the new process that this one knows.
    told: Asked,
    passing: Passing,
}

/// A new process that does not serve yet. Dropping it ends it.
struct Starting {
    child: Option<Child>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ended_already = child.kill();
            let _ended = child.wait();
        }
    }
}

impl Starting {
    /// How it ended; ends it if it has not.
    async fn end(mut self) -> String {
        let Some(mut child) = self.child.take() else { return String::new() };
        let _ended_already = child.kill();
        let ended = tokio::task::spawn_blocking(move || child.wait()).await;
        match ended {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Running {
    /// Starts `program` and hands over to it, unless `cancelled` comes first.
    ///
    /// # Errors
    /// [`HandOverError`] when the new process does not come to serve. It is ended then, and this one goes on.
    pub async fn hand_over(
        &mut self,
        program: &Program,
        cancelled: impl Future<Output = ()>,
    ) -> Result<Retiring, HandOverError> {
        let vault = self.vault.clone().ok_or(HandOverError::NoLock)?;
        let lock = vault.share_lock().map_err(HandOverError::Sockets)?;
        let lock = lock.ok_or(HandOverError::NoLock)?;
        let listeners = self.proxy.listeners().map_err(HandOverError::Sockets)?;
        let metrics = self.metrics_socket.as_ref().map(std::net::TcpListener::try_clone);
        let metrics = metrics.transpose().map_err(HandOverError::Sockets)?;
        let (https, http) = (listeners.https, listeners.http);
        let offer = Offer { https, http, metrics, lock, instead: self.instead };

        let not_started = |error| HandOverError::NotStarted { path: program.path.clone(), error };
        let (here, there) = UnixStream::pair().map_err(not_started)?;
        let child = program.start(there).map_err(not_started)?;
        let successor = child.id();
        let starting = Starting { child: Some(child) };
        tracing::info!(process = successor, program = %program.path.display(), "handing over to a new process");
        let offered = offer.send(&here);
        drop(offer);
        let opened = offered.and_then(|()| Line::open(here));
        let Ok((line, mut questions)) = opened else {
            return Err(HandOverError::Ended(starting.end().await));
        };
        self.health.pass();
        let mut passed = None;
        let why = tokio::select! {
            told = self.accompany(&vault, &mut questions, &mut passed) => match (told, passed.take()) {
                (Some(told), Some((passing, follower))) => {
                    let mut starting = starting;
                    starting.child = None; // it lives on
                    return Ok(Retiring { line, questions, follower, successor, told, passing });
                }
                (Some(_) | None, before) => {
                    passed = before;
                    HandOverError::Ended(starting.end().await)
                }
            },
            () = tokio::time::sleep(START) => {
                starting.end().await;
                HandOverError::TooSlow
            }
            () = cancelled => {
                starting.end().await;
                HandOverError::Cancelled
            }
        };
        // Only now that the new process has ended, and before anybody here is given the pen again.
        if passed.is_some()
            && let Err(error) = vault.resume_writing().await
        {
            tracing::error!(%error, "logins and changes are refused from now on; whoever is let in goes on: {error}");
        }
        self.health.stay();
        Err(why)
    }

    /// Does what the new process asks for until it serves; `None` when it ends before.
    async fn accompany(
        &self,
        vault: &Arc<SqliteStore>,
        questions: &mut mpsc::Receiver<Asked>,
        passed: &mut Option<(Passing, Follower)>,
    ) -> Option<Asked> {
        loop {
            let asked = questions.recv().await?;
            match (asked.ask(), &mut *passed) {
                (Ask::Pen, None) => {
                    let passing = self.pen.take().await;
                    let reply = match self.stop_writing(vault).await {
                        Ok(()) => Reply::Done,
                        Err(why) => Reply::Failed(why),
                    };
                    let (desk, live) = (self.desk.clone(), self.live.clone());
                    let follower = Follower::new(vault.clone(), desk, live, self.clock.clone());
                    *passed = Some((passing, follower));
                    asked.reply(reply).await;
                }
                (Ask::Settle, Some((_, follower))) => {
                    let reply = settled(follower.catch_up().await);
                    asked.reply(reply).await;
                }
                (Ask::Ready, Some(_)) => return Some(asked),
                (Ask::Pen | Ask::Ready | Ask::Settle, _)
                | (Ask::Errand(_) | Ask::Records(_) | Ask::Counts(_), _) => {
                    asked.reply(Reply::Failed("asked out of turn".to_owned())).await;
                }
            }
        }
    }

    /// Writes what only this process knows, and then nothing more. The text says what stands in the way.
    async fn stop_writing(&self, vault: &SqliteStore) -> Result<(), String> {
        if self.revocations.count() > 0 {
            self.revocations.settle().await.map_err(|error| error.to_string())?;
        }
        let spilled = self.record_counts.waiting();
        if spilled > 0 {
            return Err(format!(
                "{spilled} access records wait for the store; hand over when it has taken them"
            ));
        }
        vault.stop_writing().await.map_err(|error| error.to_string())
    }

    /// Finishes what is under way here beside the process that has taken over, for as long as the settings allow; with
    /// `hurry`, or when that process ends, for as long as a stop may take.
    pub async fn retire(mut self, retiring: Retiring, hurry: impl Future<Output = ()>) {
        let Retiring { line, mut questions, mut follower, successor, told, passing } = retiring;
        self.health.leave();
        if let Some(metrics) = self.metrics_task.take() {
            metrics.abort();
        }
        self.metrics_socket = None;
        follower.store.let_go();
        passing.to(line);
        told.reply(Reply::Done).await;
        self.proxy.yield_to_successor();
        tracing::info!(process = successor, "handed over; finishing what is under way");

        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failed = 0;
        let mut hurry = pin!(hurry);
        let (mut hurrying, mut connected) = (false, true);
        let mut deadline = Instant::now() + self.settings.limits.control.drain_after_hand_over;
        loop {
            let hurried = tokio::select! {
                () = finished(&mut self.proxy, &mut self.elder_task) => break,
                () = tokio::time::sleep_until(deadline) => {
                    tracing::warn!("connections were still open; closed them");
                    break;
                }
                asked = questions.recv(), if connected => match asked {
                    Some(asked) => {
                        let caught_up = follower.catch_up().await;
                        failed = if caught_up.is_ok() { 0 } else { failed };
                        self.elder.settle().await;
                        asked.reply(settled(caught_up)).await;
                        false
                    }
                    None => {
                        tracing::warn!(process = successor, "the process that took over has ended");
                        connected = false;
                        true
                    }
                },
                _ = looks.tick() => {
                    match follower.catch_up().await {
                        Ok(()) => failed = 0,
                        Err(error) => {
                            failed += 1;
                            tracing::warn!(%error, "what the new process has written could not be taken up");
                        }
                    }
                    if failed == FAILED_LOOKS {
                        tracing::error!("what is revoked cannot be learned; closed all connections");
                        break;
                    }
                    false
                }
                () = &mut hurry, if !hurrying => true,
            };
            if hurried && !hurrying {
                hurrying = true;
                deadline = deadline.min(Instant::now() + self.settings.limits.control.drain);
                self.proxy.close();
            }
        }
        self.end(Duration::ZERO).await;
    }
}

/// Returns once nobody is connected here any more, nor to the process before this one, whose errands come through here.
async fn finished(proxy: &mut narthex_proxy::Running, elder: &mut Option<JoinHandle<()>>) {
    proxy.until_idle().await;
    if let Some(task) = elder {
        let _ended = task.await;
        *elder = None;
    }
}

fn settled(outcome: Result<(), FollowError>) -> Reply {
    outcome.map_or_else(|error| Reply::Failed(error.to_string()), |()| Reply::Done)
}
