//! The other end of one connection: what the handshake showed, and what the connection remembers.

use crate::client_certificate::ClientCertificate;
use crate::memo::Memo;
use crate::pulse::Pulse;
use crate::target::LastAuthority;
use crate::tls::TlsRule;
use crate::world::World;
use narthex_model::{CountryCode, Hostname};
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

/// One TLS connection.
pub(crate) struct Peer {
    /// The address it came from, or the one that a trusted proxy's PROXY protocol named.
    pub(crate) address: IpAddr,
    /// Whether that address speaks for others in `X-Forwarded-For`.
    pub(crate) speaks_for_others: bool,
    /// The name in the ClientHello, which chose the certificate.
    pub(crate) sni: Hostname,
    /// The TLS rule under which the handshake was made; every request's host must have the same (security rule 9).
    pub(crate) rule: TlsRule,
    /// What the client showed of itself.
    pub(crate) certificate: Rc<ClientCertificate>,
    /// The local port, one of those that a `Host` may name.
    pub(crate) port: u16,
    /// The authority of the last request.
    pub(crate) authority: LastAuthority,
    /// The country of the last request's address: address, number of the world that was asked, country.
    pub(crate) country: Cell<Option<(IpAddr, u64, Option<CountryCode>)>>,
    /// The last admission by cookies.
    pub(crate) memo: RefCell<Option<Memo>>,
    /// Requests whose answer has not been sent whole.
    pub(crate) under_way: Cell<usize>,
    /// Requests so far.
    pub(crate) requests: Cell<u64>,
    /// Whether the connection should end with what is under way: a new one may show a client certificate that counts.
    pub(crate) outdated: Cell<bool>,
    /// What moves over the connection.
    pub(crate) pulse: Arc<Pulse>,
    /// How many bytes had been read when the last answer had been sent.
    pub(crate) read_when_idle: Cell<u64>,
}

impl Peer {
    /// The country of `ip`. A look into the country database costs more than the rest of a decision, so the last
    /// answer is kept.
    pub(crate) fn country(&self, ip: IpAddr, world: &World) -> Option<CountryCode> {
        match self.country.get() {
            Some((known, number, country)) if known == ip && number == world.number => country,
            Some(_) | None => {
                let country = world.snapshot.country(ip);
                self.country.set(Some((ip, world.number, country)));
                country
            }
        }
    }
}

/// Something under way on a connection: a request until its answer's body is dropped, or a stream that it became.
pub(crate) struct Busy(Rc<Peer>);

impl Busy {
    /// A request has come.
    pub(crate) fn with_request(peer: &Rc<Peer>) -> Self {
        peer.requests.set(peer.requests.get() + 1);
        Self::with_stream(peer)
    }

    /// A request becomes a stream that outlives its answer.
    pub(crate) fn with_stream(peer: &Rc<Peer>) -> Self {
        peer.under_way.set(peer.under_way.get() + 1);
        Self(Rc::clone(peer))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let peer = &self.0;
        peer.under_way.set(peer.under_way.get().saturating_sub(1));
        if peer.under_way.get() == 0 {
            peer.read_when_idle.set(peer.pulse.read());
        }
    }
}
