//! A mailbox in memory, for tests and for the demo's mailbox page.

use crate::mail::{Mail, MailError, Mailer, sealed};
use async_trait::async_trait;
use narthex_model::{Clock, EmailAddress, UnixSeconds};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// How many messages are kept.
const KEPT: usize = 100;

/// A message in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedMail {
    /// Counts from 1 and never repeats.
    pub number: u64,
    /// When it was posted.
    pub at: UnixSeconds,
    /// The message.
    pub mail: Mail,
}

/// Keeps the last 100 messages instead of sending them.
#[derive(Debug)]
pub struct Outbox {
    clock: Clock,
    posted: Mutex<VecDeque<PostedMail>>,
    arrival: Notify,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, posted: Mutex::default(), arrival: Notify::new() }
    }

    /// The messages, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<PostedMail> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The youngest message to `to` with a number above `after`; waits until there is one.
    pub async fn next_for(&self, to: &EmailAddress, after: u64) -> PostedMail {
        loop {
            let arrival = self.arrival.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable(); // a message that comes between looking and waiting is not missed
            let found = self.list().into_iter().rfind(|m| m.number > after && &m.mail.to == to);
            if let Some(message) = found {
                return message;
            }
            arrival.await;
        }
    }

    fn post(&self, mail: Mail) {
        let mut posted = self.posted.lock().unwrap_or_else(PoisonError::into_inner);
        let number = posted.back().map_or(1, |last| last.number + 1);
        if posted.len() == KEPT {
            posted.pop_front();
        }
        posted.push_back(PostedMail { number, at: self.clock.now(), mail });
        drop(posted);
        self.arrival.notify_waiters();
    }
}

impl sealed::Sealed for Outbox {}

#[async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        self.post(mail);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn mail(to: &str, subject: &str) -> Mail {
        let to = to.parse().unwrap();
        Mail { to, subject: subject.to_owned(), text: String::new(), html: String::new() }
    }

    #[tokio::test]
    async fn keeps_the_last_hundred_in_order() {
        let outbox = Outbox::new(Clock::manual(UnixSeconds(7)));
        for n in 1..=103 {
            outbox.send(mail("a@b.c", &n.to_string())).await.unwrap();
        }
        let list = outbox.list();
        let ends = |m: &PostedMail| (m.number, m.mail.subject.clone(), m.at);
        assert_eq!(list.len(), 100);
        assert_eq!(list.first().map(ends), Some((4, "4".to_owned(), UnixSeconds(7))));
        assert_eq!(list.last().map(ends), Some((103, "103".to_owned(), UnixSeconds(7))));
    }

    #[tokio::test]
    async fn a_waiter_gets_the_next_mail_to_its_address() {
        let outbox = Arc::new(Outbox::new(Clock::manual(UnixSeconds(7))));
        let (one, two) = (mail("one@b.c", "old"), mail("two@b.c", "not mine"));
        outbox.send(one.clone()).await.unwrap();
        let seen = outbox.next_for(&one.to, 0).await.number;
        let waiting = tokio::spawn({
            let (outbox, to) = (outbox.clone(), one.to.clone());
            async move { outbox.next_for(&to, seen).await.mail.subject }
        });
        tokio::task::yield_now().await;
        outbox.send(two).await.unwrap();
        outbox.send(mail("one@b.c", "new")).await.unwrap();
        assert_eq!(waiting.await.unwrap(), "new");
    }
}
