//! Where a name lives. The system's resolver is asked at most every few seconds for one name, and its last good
//! answer is kept for the time when it has none.

use crate::ejected::Ejected;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long an answer is believed; the system's resolver does not say what the zone wants.
const FRESH: Duration = Duration::from_secs(5);

/// How long the resolver is waited for when there is an answer of before.
const PATIENCE: Duration = Duration::from_secs(1);

/// Addresses looked at, however many a name has.
const MOST: usize = 16;

/// The addresses of one origin.
#[derive(Debug)]
pub(super) struct Addresses {
    host: Box<str>,
    port: u16,
    known: RefCell<Option<Known>>,
    /// When the resolver was last asked.
    asked: Cell<Option<Instant>>,
    /// Held while the first answer is awaited, so that a crowd asks once.
    asking: Mutex<()>,
    /// Those that did not answer.
    pub(super) ejected: Ejected,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
}

impl Addresses {
    pub(super) fn of(host: &str, port: u16) -> Self {
        let host = host.into();
        let (known, asked, asking, ejected) = Default::default();
        Self { host, port, known, asked, asking, ejected }
    }

    /// The addresses to try, the one that last worked first.
    ///
    /// # Errors
    /// What the resolver says, when it never gave an answer.
    pub(super) async fn find(&self) -> io::Result<Vec<SocketAddr>> {
        if let Some(fixed) = fixed(&self.host, self.port) {
            return Ok(fixed);
        }
        self.find_by(async |host, port| Ok(tokio::net::lookup_host((host, port)).await?.collect()))
            .await
    }

    /// The same, by a resolver of the caller's choice.
    async fn find_by(
        &self,
        lookup: impl AsyncFn(&str, u16) -> io::Result<Vec<SocketAddr>>,
    ) -> io::Result<Vec<SocketAddr>> {
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        if self.known.borrow().is_some() {
            self.asked.set(Some(Instant::now())); // the others go on with what is known
            let found = timeout(PATIENCE, lookup(&self.host, self.port)).await;
            return self.learn(found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
        }
        let _one_at_a_time = self.asking.lock().await;
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        let found = lookup(&self.host, self.port).await;
        self.asked.set(Some(Instant::now()));
        self.learn(found)
    }

    /// What is known, unless it is time to ask again.
    fn fresh(&self) -> Option<Vec<SocketAddr>> {
        let recent = self.asked.get().is_some_and(|asked| asked.elapsed() < FRESH);
        let known = self.known.borrow();
        known.as_ref().filter(|_| recent).map(|known| known.addresses.clone())
    }

    fn learn(&self, found: io::Result<Vec<SocketAddr>>) -> io::Result<Vec<SocketAddr>> {
        let mut known = self.known.borrow_mut();
        let mut addresses = match (found, known.take()) {
            (Ok(found), old) if !found.is_empty() => {
                let best = old.and_then(|old| old.addresses.first().copied());
                let mut found = found;
                if let Some(at) = found.iter().position(|a| Some(*a) == best) {
                    found.swap(0, at);
                }
                found
            }
            (Ok(_) | Err(_), Some(old)) => old.addresses,
            (Ok(_), None) => return Err(io::Error::from(io::ErrorKind::AddrNotAvailable)),
            (Err(error), None) => return Err(error),
        };
        addresses.truncate(MOST);
        *known = Some(Known { addresses: addresses.clone() });
        Ok(addresses)
    }

    /// `address` answered: it is tried first from now on.
    pub(super) fn prefer(&self, address: SocketAddr) {
        if let Some(known) = self.known.borrow_mut().as_mut()
            && let Some(at) = known.addresses.iter().position(|a| *a == address)
        {
            known.addresses.swap(0, at);
        }
    }
}

/// Addresses that nobody needs to be asked for: literals, and `localhost` with all below it (RFC 6761 §6.3).
fn fixed(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost").then(|| {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        loopback.map(|address| SocketAddr::new(address, port)).to_vec()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_names_need_no_resolver() {
        for host in ["localhost", "LOCALHOST.", "app.localhost", "a.b.localhost"] {
            assert_eq!(fixed(host, 80).map(|a| a.len()), Some(2), "{host}");
        }
        assert_eq!(fixed("::1", 80), Some(vec!["[::1]:80".parse().unwrap()]));
        for near_miss in ["localhost.example", "notlocalhost", "example.com", ""] {
            assert_eq!(fixed(near_miss, 80), None, "{near_miss}");
        }
    }

    /// Asks with a resolver that answers `found`; tells whether it was asked.
    async fn ask(name: &Addresses, found: io::Result<Vec<SocketAddr>>) -> (Vec<SocketAddr>, bool) {
        let found = Cell::new(Some(found));
        let answer = name.find_by(async |_, _| found.take().expect("asked once")).await;
        (answer.unwrap_or_default(), found.take().is_none())
    }

    #[tokio::test(start_paused = true)]
    async fn r17_a_name_that_moves_is_followed_and_one_that_is_lost_is_kept() {
        let at = |last: u8| vec![SocketAddr::from(([192, 0, 2, last], 80))];
        let gone = || Err(io::Error::from(io::ErrorKind::NotFound));
        let name = Addresses::of("origin.example", 80);
        assert_eq!(ask(&name, gone()).await, (vec![], true), "NXDOMAIN from the beginning");
        assert_eq!(ask(&name, Ok(at(1))).await, (at(1), true), "asked again: nothing was known");
        for _ in 0..100 {
            assert_eq!(ask(&name, Ok(at(2))).await, (at(1), false), "however short its TTL is");
        }
        tokio::time::advance(FRESH).await;
        assert_eq!(ask(&name, Ok(at(2))).await, (at(2), true), "it moved");
        for lost in [gone(), Ok(vec![]), Err(io::Error::other("a circle of CNAMEs"))] {
            tokio::time::advance(FRESH).await;
            assert_eq!(ask(&name, lost).await, (at(2), true), "the last good address is kept");
            assert_eq!(ask(&name, Ok(at(3))).await, (at(2), false), "and nobody is pestered");
        }
        tokio::time::advance(FRESH).await;
        let many: Vec<_> = (0..1000).map(|port| SocketAddr::from(([192, 0, 2, 9], port))).collect();
        assert_eq!(ask(&name, Ok(many)).await.0.len(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn r17_a_resolver_that_says_nothing_holds_nobody_up_for_long() {
        let at = vec![SocketAddr::from(([192, 0, 2, 1], 80))];
        let name = Addresses::of("origin.example", 80);
        ask(&name, Ok(at.clone())).await;
        tokio::time::advance(FRESH).await;
        let asked = Cell::new(0);
        let silent = async |_: &str, _: u16| {
            asked.set(asked.get() + 1);
            std::future::pending().await
        };
        let began = Instant::now();
        let crowd = futures_util::future::join_all((0..100).map(|_| name.find_by(&silent)));
        assert!(crowd.await.into_iter().all(|found| found.unwrap() == at));
        assert_eq!((asked.get(), began.elapsed()), (1, PATIENCE), "one asks, and not for ever");

        // A crowd that comes before there is any answer asks once too.
        let name = Addresses::of("new.example", 80);
        let asked = Cell::new(0);
        let slow = async |_: &str, _: u16| {
            asked.set(asked.get() + 1);
            tokio::time::sleep(PATIENCE).await;
            Ok(at.clone())
        };
        let crowd = futures_util::future::join_all((0..100).map(|_| name.find_by(&slow)));
        assert!(crowd.await.into_iter().all(|found| found.unwrap() == at));
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn the_address_that_last_worked_stands_first() {
        let address = |last: u8| SocketAddr::from(([192, 0, 2, last], 80));
        let gone = || Err(io::Error::from(io::ErrorKind::NotFound));
        let name = Addresses::of("origin.example", 80);
        assert!(name.learn(gone()).is_err(), "never known");
        assert!(name.learn(Ok(vec![])).is_err(), "a name without addresses");
        assert_eq!(name.learn(Ok(vec![address(1), address(2)])).unwrap()[0], address(1));
        name.prefer(address(2));
        assert_eq!(name.learn(gone()).unwrap(), [address(2), address(1)]);
        assert_eq!(name.learn(Ok(vec![address(1), address(2)])).unwrap()[0], address(2));
        assert_eq!(name.learn(Ok(vec![address(3)])).unwrap(), [address(3)], "it moved");
        let many = (0..=255).map(address).collect();
        assert_eq!(name.learn(Ok(many)).unwrap().len(), MOST);
    }
}
