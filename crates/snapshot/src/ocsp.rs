//! What OCSP responders said about client certificates, for all cores, and the questions that are still to be asked.
//!
//! The data path asks here and never waits for a responder while it decides; whoever has the network takes the questions
//! ([`OcspAnswers::take_asks`]) and brings what comes of them ([`crate::Live::ocsp_settled`]).

use narthex_cert::{Certificate, OcspAnswer, OcspQuestion, OcspStatus};
use narthex_model::UnixSeconds;
use papaya::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use url::Url;

/// Questions that wait to be asked; with more, certificates stay without an answer for a while.
const MOST_WAITING: usize = 1024;

/// Answers kept. With more they are forgotten but for those that revoke, and asked for again as they are needed.
const MOST_ANSWERS: usize = 100_000;

/// Seconds after which a question that was handed out is asked again, should nobody have settled it.
const LOST_AFTER: i64 = 60;

/// Seconds for which a question that was asked in vain is not asked again.
const RETRY_AFTER: i64 = 30;

/// A question is asked again after half of the time that is left of its answer, at most this many seconds after it came.
const RENEW_AFTER: i64 = 3_600;

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
    counts: [AtomicU64; 4],
}

/// What came of questions, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OcspCounts {
    /// Not revoked.
    pub good: u64,
    /// Revoked.
    pub revoked: u64,
    /// The responder does not know the certificate.
    pub unknown: u64,
    /// No answer that can be believed.
    pub failed: u64,
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
            counts: Default::default(),
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

    /// Whether this may be asked: it is not under way, was not asked in vain a moment ago, and has no answer that is fresh.
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
            self.settled.send_modify(|count| *count += 1);
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

    /// What came of the questions so far.
    #[must_use]
    pub fn counts(&self) -> OcspCounts {
        let [good, revoked, unknown, failed] =
            self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        OcspCounts { good, revoked, unknown, failed }
    }

    fn count(&self, status: Option<OcspStatus>) {
        let at = match status {
            Some(OcspStatus::Good) => 0,
            Some(OcspStatus::Revoked) => 1,
            Some(OcspStatus::Unknown) => 2,
            None => 3,
        };
        self.counts[at].fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps what came of a question, unless it is older than what is known: whoever sits between could send an old answer
    /// again. Whether it takes something from somebody: the certificate is not good, and was not known to be so.
    pub(crate) fn settle(
        &self,
        question: &OcspQuestion,
        answer: Option<OcspAnswer>,
        now: UnixSeconds,
    ) -> bool {
        let (answers, asked) = (self.answers.pin(), self.asked.pin());
        let status = answer.as_ref().map(OcspAnswer::status);
        self.count(status);
        let known = answers.get(question);
        let newer = answer.filter(|new| known.is_none_or(|known| known.issued() <= new.issued()));
        let wait = newer.as_ref().map_or(RETRY_AFTER, |answer| {
            (answer.until().since(now) / 2).clamp(RETRY_AFTER, RENEW_AFTER)
        });
        let news = newer.is_some_and(|answer| {
            if answers.len() >= MOST_ANSWERS {
                answers.retain(|_, answer| answer.status() == OcspStatus::Revoked);
            }
            let before = answers.insert(question.clone(), Arc::new(answer));
            let before = before.map(|before| before.status());
            status != before && status != Some(OcspStatus::Good)
        });
        asked.insert(question.clone(), Asked { until: now.plus(wait), under_way: false });
        self.settled.send_modify(|count| *count += 1);
        news
    }

    pub(crate) fn forget_expired(&self, now: UnixSeconds) {
        self.answers.pin().retain(|_, answer| answer.counts(now));
        self.asked.pin().retain(|_, asked| now < asked.until);
    }
}
