//! The new process: takes over from the one that started it.

use super::carried::{CarriedAnswer, CarriedErrand};
use super::line::{Ask, Asked, Line, Reply};
use super::sockets::Offer;
use crate::pen::Ledger;
use crate::records::Shelf;
use crate::systemd::Given;
use narthex_proxy::{Control, Listeners};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Set for a process that is to take over: standard input is the line to the one that runs.
pub(super) const HAND_OVER: &str = "NARTHEX_HAND_OVER";

/// How long the offer may take, and how long the predecessor may take to keep up with a change.
const PATIENCE: Duration = Duration::from_secs(10);
const KEEPING_UP: Duration = Duration::from_secs(1);

/// What a process begins with that did not come from its files.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// Sockets that are open already.
    pub given: Given,
    /// The process to take over from.
    pub(crate) from: Option<Predecessor>,
}

impl From<Given> for Inheritance {
    fn from(given: Given) -> Self {
        Self { given, from: None }
    }
}

/// The process that runs.
#[derive(Debug)]
pub(crate) struct Predecessor {
    line: Arc<Line>,
    questions: mpsc::Receiver<Asked>,
    lock: File,
}

/// What the process that started this one hands over; `None` when nobody does.
///
/// # Errors
/// When that process says what this program does not understand; the text names the remedy.
pub fn inherited() -> io::Result<Option<Inheritance>> {
    if std::env::var_os(HAND_OVER).is_none() {
        return Ok(None);
    }
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let Offer { https, http, metrics, lock, instead } = Offer::receive(&stream)?;
    let (line, questions) = Line::open(stream)?;
    let given = Given { listeners: Listeners { https, http }, metrics, instead };
    Ok(Some(Inheritance { given, from: Some(Predecessor { line, questions, lock }) }))
}

impl Predecessor {
    /// Waits until the predecessor writes no more; answers the lock of the data directory. One that has ended meanwhile
    /// writes no more either.
    ///
    /// # Errors
    /// What the predecessor says when it does not stop.
    pub(crate) async fn take_pen(&mut self) -> io::Result<File> {
        match self.line.ask(Ask::Pen).await {
            Some(Reply::Done) | None => self.lock.try_clone(),
            Some(Reply::Failed(why)) => Err(io::Error::other(why)),
            Some(Reply::Answer(_)) => Err(io::Error::other("an answer to nothing")),
        }
    }

    /// Says that this process serves, and goes on doing for the predecessor what it may not do itself, until that one ends.
    pub(crate) async fn relieve(
        self,
        elder: &Elder,
        control: Control,
        ledger: Arc<Ledger>,
    ) -> tokio::task::JoinHandle<()> {
        let task = tokio::spawn(run(self.questions, elder.clone(), control, ledger));
        if self.line.ask(Ask::Ready).await.is_none() {
            tracing::warn!(
                "the process to take over from has ended before it heard that this one serves"
            );
        }
        task
    }
}

async fn run(
    mut questions: mpsc::Receiver<Asked>,
    elder: Elder,
    control: Control,
    ledger: Arc<Ledger>,
) {
    while let Some(asked) = questions.recv().await {
        let (ask, answering) = asked.take();
        let (control, ledger) = (control.clone(), ledger.clone());
        tokio::spawn(async move {
            let reply = match ask {
                Ask::Errand(errand) => run_errand(*errand, &control).await,
                Ask::Records(records) => done(ledger.append(&records).await),
                Ask::Counts(counts) => done(ledger.fold(counts).await),
                Ask::Pen | Ask::Ready | Ask::Settle => {
                    Reply::Failed("asked of the wrong process".to_owned())
                }
            };
            answering.reply(reply).await;
        });
    }
    elder.set(None);
    tracing::info!("the process before this one has ended");
}

async fn run_errand(errand: CarriedErrand, control: &Control) -> Reply {
    let (errand, told) = match errand.unpack() {
        Ok(unpacked) => unpacked,
        Err(error) => return Reply::Failed(error.to_string()),
    };
    if control.queue(errand.site).send(errand).await.is_err() {
        return Reply::Failed("the gateway is stopping".to_owned());
    }
    match told.await {
        Ok(answer) => Reply::Answer(CarriedAnswer::pack(&answer)),
        Err(_) => Reply::Failed("the errand was given up".to_owned()),
    }
}

fn done(outcome: Result<(), narthex_store::StoreError>) -> Reply {
    outcome.map_or_else(|error| Reply::Failed(error.to_string()), |()| Reply::Done)
}

/// The predecessor while it still has connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elder(Arc<Mutex<Option<Arc<Line>>>>);

impl Elder {
    /// From now on this is the one to wait for.
    pub(crate) fn know(&self, predecessor: &Predecessor) {
        self.set(Some(predecessor.line.clone()));
    }

    fn set(&self, line: Option<Arc<Line>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    fn line(&self) -> Option<Arc<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once the predecessor has in force what is in force here, so that whoever asked for a change is told after that.
    /// A predecessor that cannot keep up ends by itself within a second.
    pub(crate) async fn settle(&self) {
        let Some(line) = self.line() else { return };
        match tokio::time::timeout(KEEPING_UP, line.ask(Ask::Settle)).await {
            Ok(Some(Reply::Done) | None) => {}
            Ok(Some(Reply::Failed(_) | Reply::Answer(_))) | Err(_) => {
                tracing::warn!("the process before this one does not keep up; it is about to end");
            }
        }
    }
}
