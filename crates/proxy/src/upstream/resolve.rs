//! Where a name lives. The system's resolver is asked at most every few seconds for one name, and its last good
//! answer is kept for the time when it has none.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is believed; the system's resolver does not say what the zone wants.
const FRESH: Duration = Duration::from_secs(5);

/// Addresses looked at, however many a name has.
const MOST: usize = 16;

/// The addresses of one origin.
#[derive(Debug)]
pub(super) struct Addresses {
    host: Box<str>,
    port: u16,
    known: RefCell<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    until: Instant,
}

impl Addresses {
    pub(super) fn of(host: &str, port: u16) -> Self {
        Self { host: host.into(), port, known: RefCell::new(None) }
    }

    /// The addresses to try, the one that last worked first.
    ///
    /// # Errors
    /// What the resolver says, when it never gave an answer.
    pub(super) async fn find(&self) -> io::Result<Vec<SocketAddr>> {
        if let Some(fixed) = fixed(&self.host, self.port) {
            return Ok(fixed);
        }
        let now = Instant::now();
        if let Some(known) = self.known.borrow().as_ref().filter(|known| now < known.until) {
            return Ok(known.addresses.clone());
        }
        let found = tokio::net::lookup_host((&*self.host, self.port)).await;
        let found = found.map(|addresses| addresses.take(MOST).collect::<Vec<_>>());
        self.learn(found)
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
        let until = Instant::now() + FRESH;
        *known = Some(Known { addresses: addresses.clone(), until });
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

    #[tokio::test]
    async fn the_last_good_answer_is_kept_and_a_new_one_followed() {
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
