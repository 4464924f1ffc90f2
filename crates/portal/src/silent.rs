//! Hosts that do not answer. A login walks the browser through all hosts of an application (access-protocol §3.7), and
//! it is stranded at one that is down, or that somebody else answers for. From here such a host looks like a nonce that
//! nobody redeems, so walks are remembered until the host is heard of.

use narthex_model::{Hostname, IdentityNonce, UnixSeconds};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where browsers were sent and did not arrive, by host. In memory: after a restart it is learned anew.
#[derive(Default)]
pub(crate) struct SilentHosts(Mutex<HashMap<Hostname, VecDeque<Sent>>>);

/// Somebody was sent to a host.
struct Sent {
    session: IdentityNonce,
    at: UnixSeconds,
}

/// Seconds after which nobody arrives any more: the life of a nonce.
const LATE_SECONDS: i64 = 60;
/// Seconds after which a host is tried again.
const MEMORY_SECONDS: i64 = 600;
/// So many sessions have to get lost at a host before it is left out for everybody: one may just have closed the window.
const ENOUGH: usize = 2;
/// Most that is remembered of one host.
const MOST: usize = 16;

impl SilentHosts {
    /// The browser of `session` is on its way to `host`.
    pub(crate) fn sent(&self, host: &Hostname, session: &IdentityNonce, now: UnixSeconds) {
        let mut hosts = self.lock();
        let sent = hosts.entry(host.clone()).or_default();
        sent.retain(|sent| sent.is_remembered(now));
        sent.truncate(MOST - 1);
        sent.push_front(Sent { session: session.clone(), at: now });
    }

    /// The browser of `session` arrived at `host`: it is there. Who is on the way keeps being counted, since a host may
    /// be out of reach for some.
    pub(crate) fn arrived(&self, host: &Hostname, session: &IdentityNonce, now: UnixSeconds) {
        let mut hosts = self.lock();
        let Some(sent) = hosts.get_mut(host) else { return };
        sent.retain(|sent| sent.session != *session && now.since(sent.at) < LATE_SECONDS);
        if sent.is_empty() {
            hosts.remove(host);
        }
    }

    /// Whether a browser of `session` had better not be sent to `host`: it has been, and is back without having
    /// arrived; or others got lost there.
    pub(crate) fn is_silent(
        &self,
        host: &Hostname,
        session: &IdentityNonce,
        now: UnixSeconds,
    ) -> bool {
        let hosts = self.lock();
        let Some(sent) = hosts.get(host) else { return false };
        let sent = sent.iter().filter(|sent| sent.is_remembered(now));
        let mut lost: Vec<&IdentityNonce> = Vec::new();
        for sent in sent {
            if sent.session == *session {
                return true;
            }
            if now.since(sent.at) >= LATE_SECONDS && !lost.contains(&&sent.session) {
                lost.push(&sent.session);
            }
        }
        lost.len() >= ENOUGH
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hostname, VecDeque<Sent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sent {
    fn is_remembered(&self, now: UnixSeconds) -> bool {
        now.since(self.at) < MEMORY_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_back_is_not_sent_again_and_others_only_until_two_got_lost() {
        let hosts = SilentHosts::default();
        let host: Hostname = "api.example.com".parse().unwrap();
        let [ann, bob, eve] = [(); 3].map(|()| IdentityNonce::random());
        let at = UnixSeconds(1_000);
        let silent = |who, after: i64| hosts.is_silent(&host, who, at.plus(after));
        assert!(!silent(&ann, 0), "nothing is known yet");

        hosts.sent(&host, &ann, at);
        assert!(silent(&ann, 0), "she is back, and her nonce was not redeemed");
        assert!(!silent(&bob, 0) && !silent(&bob, 300), "she may have closed the window");
        hosts.sent(&host, &ann, at.plus(1));
        assert!(!silent(&bob, 300), "the same person again tells nothing new");
        hosts.sent(&host, &bob, at.plus(2));
        assert!(!silent(&eve, 61), "Bob may still be on his way");
        assert!(silent(&eve, 62), "two got lost");
        assert!(!silent(&eve, 602), "it is time to try again");
        assert!(!silent(&ann, 602));

        hosts.arrived(&host, &eve, at.plus(62));
        for who in [&ann, &bob, &eve] {
            assert!(!silent(who, 62), "somebody was seen there");
        }
        assert!(hosts.lock().is_empty());
        hosts.sent(&host, &ann, at);
        hosts.sent(&host, &bob, at);
        hosts.arrived(&host, &bob, at.plus(1));
        assert!(silent(&ann, 1), "he arrived, and she is back again");
        assert!(!silent(&bob, 1));
    }

    #[test]
    fn what_is_remembered_of_a_host_is_bounded() {
        let hosts = SilentHosts::default();
        let host: Hostname = "api.example.com".parse().unwrap();
        for second in 0..1_000 {
            hosts.sent(&host, &IdentityNonce::random(), UnixSeconds(second));
        }
        assert!(hosts.lock().values().all(|sent| sent.len() <= MOST));
        let last = IdentityNonce::random();
        hosts.sent(&host, &last, UnixSeconds(1_000));
        assert!(hosts.is_silent(&host, &last, UnixSeconds(1_000)), "the newest is kept");
    }
}
