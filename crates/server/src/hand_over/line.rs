//! The line between two processes of the gateway: questions and replies both ways, one JSON value a line.

use super::carried::{CarriedAnswer, CarriedErrand};
use narthex_model::{AccessRecord, TrafficCount};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, mpsc, oneshot};

/// How long the other end may take for a reply; longer than the control side may take for an errand.
const PATIENCE: Duration = Duration::from_secs(70);

/// What one process asks the other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// The new one wants to write from now on. Done: the old one has stopped.
    Pen,
    /// The new one serves. Done: the old one knows it.
    Ready,
    /// The new one has perhaps changed something. Done: the old one has taken it up.
    Settle,
    /// The old one has an errand to run. An answer.
    Errand(Box<CarriedErrand>),
    /// The old one has records to keep. Done: they are durable.
    Records(Vec<AccessRecord>),
    /// The old one has counted. Done: it is kept.
    Counts(Vec<TrafficCount>),
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Done,
    Failed(String),
    Answer(CarriedAnswer),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Ask(u64, Ask),
    Reply(u64, Reply),
}

/// Who waits for which reply; nobody any more once the other end is gone.
type Waiting = Option<HashMap<u64, oneshot::Sender<Reply>>>;

/// One end of the line.
#[derive(Debug)]
pub(crate) struct Line {
    out: Mutex<OwnedWriteHalf>,
    waiting: StdMutex<Waiting>,
    next: AtomicU64,
}

/// A question from the other end.
#[derive(Debug)]
pub(crate) struct Asked {
    ask: Ask,
    answering: Answering,
}

impl Asked {
    /// What is asked.
    pub(crate) fn ask(&self) -> &Ask {
        &self.ask
    }

    /// The question, and what replies to it.
    pub(crate) fn take(self) -> (Ask, Answering) {
        (self.ask, self.answering)
    }

    /// Replies without another look at the question.
    pub(crate) async fn reply(self, reply: Reply) {
        self.answering.reply(reply).await;
    }
}

/// What replies to a question.
#[derive(Debug)]
pub(crate) struct Answering {
    line: Arc<Line>,
    number: u64,
}

impl Answering {
    /// Replies. If the other end is gone, nobody minds.
    pub(crate) async fn reply(self, reply: Reply) {
        let _gone = self.line.send(&Message::Reply(self.number, reply)).await;
    }
}

impl Line {
    /// Takes up the line; questions of the other end come out of the receiver, which ends when the other end is gone.
    ///
    /// # Errors
    /// When the stream cannot be used here.
    pub(crate) fn open(stream: UnixStream) -> io::Result<(Arc<Self>, mpsc::Receiver<Asked>)> {
        stream.set_nonblocking(true)?;
        let (read, write) = tokio::net::UnixStream::from_std(stream)?.into_split();
        let line = Arc::new(Self {
            out: Mutex::new(write),
            waiting: StdMutex::new(Some(HashMap::new())),
            next: AtomicU64::new(0),
        });
        let (asked, questions) = mpsc::channel(64);
        tokio::spawn(listen(line.clone(), read, asked));
        Ok((line, questions))
    }

    /// Asks; `None` when the other end is gone, or says nothing for long.
    pub(crate) async fn ask(&self, ask: Ask) -> Option<Reply> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, told) = oneshot::channel();
        self.waiting().as_mut()?.insert(number, reply);
        if self.send(&Message::Ask(number, ask)).await.is_err() {
            self.waiting().as_mut()?.remove(&number);
            return None;
        }
        tokio::time::timeout(PATIENCE, told).await.ok()?.ok()
    }

    async fn send(&self, message: &Message) -> io::Result<()> {
        let mut text = serde_json::to_vec(message)?;
        text.push(b'\n');
        self.out.lock().await.write_all(&text).await
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(line: Arc<Line>, read: OwnedReadHalf, asked: mpsc::Sender<Asked>) {
    let mut lines = BufReader::new(read);
    let mut text = Vec::new();
    while lines.read_until(b'\n', &mut text).await.is_ok_and(|read| read > 0) {
        match serde_json::from_slice(&text) {
            Ok(Message::Ask(number, ask)) => {
                let answering = Answering { line: line.clone(), number };
                let asked = asked.send(Asked { ask, answering }).await;
                if asked.is_err() {
                    break;
                }
            }
            Ok(Message::Reply(number, reply)) => {
                let waits = line.waiting().as_mut().and_then(|waiting| waiting.remove(&number));
                if let Some(waits) = waits {
                    let _gone = waits.send(reply);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the other process of the gateway says what this one does not understand");
                break;
            }
        }
        text.clear();
    }
    line.waiting().take();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn questions_go_both_ways_and_end_with_the_line() {
        let (one, other) = UnixStream::pair().unwrap();
        let (one, mut of_one) = Line::open(one).unwrap();
        let (other, mut of_other) = Line::open(other).unwrap();
        let asking = tokio::spawn({
            let one = one.clone();
            async move { (one.ask(Ask::Pen).await, one.ask(Ask::Settle).await) }
        });
        let asked = of_other.recv().await.unwrap();
        assert!(matches!(asked.ask, Ask::Pen));
        let back = tokio::spawn(async move { other.ask(Ask::Counts(Vec::new())).await });
        let counts = of_one.recv().await.unwrap();
        assert!(matches!(&counts.ask, Ask::Counts(counts) if counts.is_empty()));
        counts.reply(Reply::Failed("full".to_owned())).await;
        assert!(matches!(back.await.unwrap(), Some(Reply::Failed(why)) if why == "full"));
        asked.reply(Reply::Done).await;
        let unanswered = of_other.recv().await.unwrap();
        let (pen, settle) = asking.await.unwrap();
        assert!(matches!(pen, Some(Reply::Done)));
        assert!(settle.is_none(), "nobody waits for ever");
        drop(unanswered);
    }

    #[tokio::test]
    async fn who_asks_somebody_that_is_gone_is_told() {
        let (one, other) = UnixStream::pair().unwrap();
        let (line, mut questions) = Line::open(one).unwrap();
        let asking = tokio::spawn({
            let line = line.clone();
            async move { line.ask(Ask::Ready).await.is_none() }
        });
        drop(other);
        assert!(questions.recv().await.is_none());
        assert!(asking.await.unwrap());
        assert!(line.ask(Ask::Ready).await.is_none());
    }
}
