//! The other end of one connection: what the handshake showed, and what the connection remembers.

use crate::memo::Memo;
use crate::slots::Slot;
use crate::target::LastAuthority;
use crate::tls::TlsRule;
use narthex_model::Hostname;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;

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
    /// The local port, one of those that a `Host` may name.
    pub(crate) port: u16,
    /// The authority of the last request.
    pub(crate) authority: LastAuthority,
    /// The last admission by cookies.
    pub(crate) memo: RefCell<Option<Memo>>,
    /// Requests whose answer has not been sent whole.
    pub(crate) under_way: Cell<usize>,
    /// Requests so far.
    pub(crate) requests: Cell<u64>,
    /// Its place among the connections that may be open.
    pub(crate) slot: Slot,
}
