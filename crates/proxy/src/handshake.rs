//! From an accepted socket to a TLS connection whose name is known.

use crate::client_certificate::ClientCertificate;
use crate::client_hello::{self, NoHello};
use crate::lane::Lane;
use crate::peer::Peer;
use crate::proxy_protocol;
use crate::pulse::Watched;
use crate::slots::Slot;
use crate::tls::NameTls;
use narthex_model::Hostname;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;
use tracing::debug;

/// A fatal `unrecognized_name` alert in the clear (RFC 8446 §6.2, RFC 6066 §3).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 1, 0, 2, 2, 112];

/// How long a handshake waits for an OCSP responder.
const RESPONDER_TIME: Duration = Duration::from_secs(3);

/// A connection ready for HTTP.
pub(crate) struct Shaken {
    pub(crate) peer: Rc<Peer>,
    /// Boxed: it is large, and moved often.
    pub(crate) stream: Watched<Box<TlsStream<TcpStream>>>,
    pub(crate) http2: bool,
}

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotShaken {
    /// The client named no host, or one that is not ours.
    #[error("no host of this gateway was named")]
    UnknownName,
    /// It took too long.
    #[error("the handshake took too long")]
    TooSlow,
    /// It had waited longest when others needed its place.
    #[error("the handshake was not done when others needed its place")]
    Displaced,
    /// The connection or the protocol failed.
    #[error("the handshake failed")]
    Failed(#[from] io::Error),
    /// There was no ClientHello.
    #[error(transparent)]
    NoHello(#[from] NoHello),
    /// There is no certificate to show.
    #[error("there is no certificate for {0}; configure one or allow the local CA")]
    NoCertificate(Hostname),
}

/// Shakes hands within the time limit. `None` when it came to nothing; the meters know why.
pub(crate) async fn shake(
    lane: &Rc<Lane>,
    tcp: TcpStream,
    from: SocketAddr,
    slot: Slot,
) -> Option<Shaken> {
    let meters = lane.meters();
    let under_way = lane.handshakes.begin(lane.most_handshakes());
    let shaken = tokio::select! {
        biased;
        shaken = negotiate(lane, tcp, from, slot) => shaken,
        () = under_way.displaced() => Err(NotShaken::Displaced),
        () = tokio::time::sleep(lane.common.limits.handshake_time) => Err(NotShaken::TooSlow),
    };
    drop(under_way);
    match &shaken {
        Ok(_) => meters.handshakes.add(),
        Err(NotShaken::UnknownName | NotShaken::NoCertificate(_)) => {
            meters.handshakes_unknown_name.add();
        }
        Err(
            NotShaken::TooSlow
            | NotShaken::Displaced
            | NotShaken::NoHello(_)
            | NotShaken::Failed(_),
        ) => meters.handshakes_failed.add(),
    }
    shaken.inspect_err(|reason| debug!(reason = %reason, "no TLS connection: {reason}")).ok()
}

async fn negotiate(
    lane: &Rc<Lane>,
    mut tcp: TcpStream,
    from: SocketAddr,
    slot: Slot,
) -> Result<Shaken, NotShaken> {
    let address = client_address(lane, &mut tcp, from.ip()).await?;
    let port = tcp.local_addr()?.port();
    let hello = client_hello::read(&mut tcp, lane.common.limits.client_hello).await?;
    let start = StartHandshake::from_parts(hello, tcp);
    let sni = start.client_hello().server_name().and_then(|name| name.parse::<Hostname>().ok());
    let tls = match sni.as_ref().map(|sni| tls_for(lane, sni)) {
        Some(Ok(Some(tls))) => tls,
        Some(Err(reason)) => {
            refuse_name(start).await;
            return Err(reason);
        }
        Some(Ok(None)) | None => {
            refuse_name(start).await;
            return Err(NotShaken::UnknownName);
        }
    };
    let stream = Box::new(start.into_stream(Arc::clone(&tls.config)).await?);
    let (_, session) = stream.get_ref();
    let http2 = session.alpn_protocol() == Some(b"h2");
    let certificate = ClientCertificate::of(tls.authorities, session.peer_certificates());
    if let (Some(sni), true) = (&sni, tls.asks.is_some()) {
        await_responder(lane, &certificate, sni).await;
    }
    let stream = Watched::new(stream, slot);
    let peer = Rc::new(Peer {
        address,
        speaks_for_others: lane.common.trusted.hold(address),
        sni: sni.ok_or(NotShaken::UnknownName)?,
        rule: tls.rule.clone(),
        certificate,
        port,
        authority: Default::default(),
        country: Cell::default(),
        memo: RefCell::default(),
        under_way: Cell::default(),
        requests: Cell::default(),
        outdated: Cell::default(),
        pulse: Arc::clone(stream.pulse()),
        read_when_idle: Cell::default(),
    });
    Ok(Shaken { peer, stream, http2 })
}

/// Gives the OCSP responders of certificates that nobody knows yet a moment, so that the first request need not fail.
async fn await_responder(lane: &Lane, certificate: &ClientCertificate, sni: &Hostname) {
    let world = lane.world();
    let rule = world.snapshot.certificate_rule(sni);
    let ocsp = &lane.live.ocsp;
    let judged = certificate.judged(sni, rule, ocsp, lane.clock.now());
    let Some(judged) = judged else { return };
    let all_settled = async {
        for question in judged.open_questions() {
            ocsp.settled(question).await; // they are asked side by side
        }
    };
    drop(tokio::time::timeout(RESPONDER_TIME, all_settled).await);
}

/// The address behind the socket: what a trusted proxy's PROXY protocol says, else the socket's own.
pub(crate) async fn client_address(
    lane: &Lane,
    tcp: &mut TcpStream,
    from: IpAddr,
) -> io::Result<IpAddr> {
    let from = from.to_canonical();
    if !lane.common.trusted.hold(from) {
        return Ok(from);
    }
    let told = proxy_protocol::read(tcp).await?;
    Ok(told.map_or(from, |ip| ip.to_canonical()))
}

/// The TLS settings for a name that is ours; `None` when it is not.
fn tls_for(lane: &Lane, sni: &Hostname) -> Result<Option<Arc<NameTls>>, NotShaken> {
    let world = lane.world();
    if !world.snapshot.knows_host(sni) {
        return Ok(None);
    }
    let trust = world.snapshot.certificate_rule(sni).map(|rule| &*rule.trust);
    let made = lane.certificates().for_name(sni, trust, lane.clock.now());
    match made.map_err(|error| NotShaken::Failed(io::Error::other(error)))? {
        Some(tls) => Ok(Some(tls)),
        None => Err(NotShaken::NoCertificate(sni.clone())),
    }
}

/// Says that the name is unknown, before anything else was said: no other name's certificate is shown.
async fn refuse_name(mut start: StartHandshake<TcpStream>) {
    let told = start.io.write_all(&UNRECOGNIZED_NAME).await;
    if told.is_ok() {
        let _closing = start.io.shutdown().await;
    }
}
