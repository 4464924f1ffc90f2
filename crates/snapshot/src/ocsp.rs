//! What OCSP responders said about client certificates, for all cores, and the questions that are still to be asked.
//!
//! The data path asks here and never waits for a responder while it decides; whoever has the network takes the questions
//! ([`OcspAnswers::take_asks`]) and brings what comes of them ([`crate::Live::ocsp_settled`]).

use narthex_cert::{Certificate, OcspAnswer, OcspQuestion};
use narthex_model::UnixSeconds;
use papaya::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use url::Url;

/// Questions that wait to be asked; with more, certificates stay without an answer for a while.
const MOST_WAITING: usize = 1024;

/// Answers kept. With more all are forgotten, and asked for again as they are needed.
const MOST_ANSWERS: usize = 100_000;

/// Seconds after which a question that was handed out is asked again, should nobody have settled it.
const LOST_AFTER: i64 = 60;

/// Seconds for which a responder that gave no answer is left alone.
const RETRY_AFTER: i64 = 30;

/// One question for a responder.
#[derive(Clone, Debug)]
pub struct OcspAsk {
    /// About which certificate.
    pub question: OcspQuestion,
    /// The certificate that issued it, which the answer is checked with.
    pub issuer: Arc<Certificate>,
    /// Where to ask.
    pub url: Url,
}

/// The answers, and the queue of questions.
pub struct OcspAnswers {
    answers: HashMap<OcspQuestion, Arc<OcspAnswer>>,
    asked: HashMap<OcspQuestion, Asked>,
    queue: mpsc::Sender<OcspAsk>,
    inbox: Mutex<Option<mpsc::Receiver<OcspAsk>>>,
    settled: watch::Sender<u64>,
}

/// A question that is not to be asked again before `until`.
#[derive(Clone, Copy)]
struct Asked {
    until: UnixSeconds,
    under_way: bool,
}

impl Default for OcspAnswers {
    fn default() -> Self {
        let (queue, inbox) = mpsc::channel(MOST_WAITING);
        Self {
            answers: HashMap::new(),
            asked: HashMap::new(),
            queue,
            inbox: Mutex::new(Some(inbox)),
            settled: watch::Sender::new(0),
        }
    }
}

impl fmt::Debug for OcspAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcspAnswers").field("answers", &self.answers.len()).finish_non_exhaustive()
    }
}

impl OcspAnswers {
    /// The last answer, in force or not.
    #[must_use]
    pub fn get(&self, question: &OcspQuestion) -> Option<Arc<OcspAnswer>> {
        self.answers.pin().get(question).cloned()
    }

    /// Whether this may be asked: it is not under way, and was not asked in vain a moment ago.
    #[must_use]
    pub fn may_ask(&self, question: &OcspQuestion, now: UnixSeconds) -> bool {
        self.asked.pin().get(question).is_none_or(|asked| asked.until <= now)
    }

    /// Queues a question that [may be asked](Self::may_ask). A full queue counts as in vain.
    pub fn ask(&self, ask: OcspAsk, now: UnixSeconds) {
        let asked = self.asked.pin();
        let question = ask.question.clone();
        asked.insert(question.clone(), Asked { until: now.plus(LOST_AFTER), under_way: true });
        if self.queue.try_send(ask).is_err() {
            asked.insert(question, Asked { until: now.plus(RETRY_AFTER), under_way: false });
        }
    }

    /// Waits until a question that is under way is settled, one way or the other.
    pub async fn settled(&self, question: &OcspQuestion) {
        let mut settled = self.settled.subscribe();
        let under_way = || self.asked.pin().get(question).is_some_and(|asked| asked.under_way);
        while under_way() && settled.changed().await.is_ok() {}
    }

    /// The questions, for the one who asks them; `None` when somebody has taken them already.
    #[must_use]
    pub fn take_asks(&self) -> Option<mpsc::Receiver<OcspAsk>> {
        self.inbox.lock().ok()?.take()
    }

    /// Keeps what came of a question. Whether it says something else than was known.
    pub(crate) fn settle(
        &self,
        question: &OcspQuestion,
        answer: Option<OcspAnswer>,
        now: UnixSeconds,
    ) -> bool {
        let (answers, asked) = (self.answers.pin(), self.asked.pin());
        let news = match answer {
            None => {
                let until = now.plus(RETRY_AFTER);
                asked.insert(question.clone(), Asked { until, under_way: false });
                false
            }
            Some(answer) => {
                if answers.len() >= MOST_ANSWERS {
                    answers.clear();
                }
                let status = answer.status();
                let before = answers.insert(question.clone(), Arc::new(answer));
                asked.remove(question);
                before.is_none_or(|before| before.status() != status)
            }
        };
        self.settled.send_modify(|count| *count += 1);
        news
    }

    pub(crate) fn forget_expired(&self, now: UnixSeconds) {
        self.answers.pin().retain(|_, answer| now <= answer.until());
        self.asked.pin().retain(|_, asked| now < asked.until);
    }
}
