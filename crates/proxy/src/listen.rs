//! Sockets: bound once for every core, so that the system shares connections out among the cores.

use crate::lane::Lane;
use crate::slots::Slot;
use crate::stage::Stage;
use crate::{balance, connection, handshake, plain};
use futures_util::FutureExt;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections that may wait to be accepted, on each core's socket.
const BACKLOG: i32 = 1024;

/// First and longest pause after accepting failed for want of a resource.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    Http,
}

/// One address, bound as often as there are cores.
pub(crate) struct Bound {
    pub(crate) address: SocketAddr,
    pub(crate) sockets: Vec<std::net::TcpListener>,
}

/// Binds `address` once for each core. Port 0 takes a free port, the same for all.
///
/// Sockets of this address among `handed` are used instead, every one of them: a socket has a queue of its own, and who
/// waits in one that nobody accepts from would be lost. If they are fewer than the cores, sockets are added that share the
/// port where the system lets us, and otherwise cores share a socket.
///
/// # Errors
/// When the address is in use or not ours; the text names it.
pub(crate) fn bind(
    address: SocketAddr,
    cores: usize,
    handed: &mut Vec<std::net::TcpListener>,
) -> io::Result<Bound> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    let ours = handed.extract_if(.., |socket| socket.local_addr().is_ok_and(|at| at == address));
    let mut sockets: Vec<_> = ours.collect();
    if !sockets.is_empty() {
        let shared =
            sockets.iter().all(|socket| SockRef::from(socket).reuse_port().is_ok_and(|yes| yes));
        let given = sockets.len();
        while sockets.len() < cores {
            let another = shared.then(|| self::socket(address, true).ok()).flatten();
            let another = match another {
                Some(another) => another,
                None => sockets[sockets.len() % given].try_clone().map_err(named)?,
            };
            sockets.push(another);
        }
        sockets.iter().try_for_each(|socket| socket.set_nonblocking(true)).map_err(named)?;
        return Ok(Bound { address, sockets });
    }
    // Sockets that share a port would also share it with another instance of this program; this one would not. A port
    // that the system chooses is nobody's, and must not be let go again: somebody else would be given it.
    if address.port() != 0 {
        drop(socket(address, false).map_err(named)?);
    }
    let first = socket(address, true).map_err(named)?;
    let chosen = first.local_addr().map_err(named)?;
    let others = (1..cores.max(1)).map(|_| socket(chosen, true));
    let sockets = [Ok(first)].into_iter().chain(others);
    let sockets = sockets.collect::<io::Result<Vec<_>>>().map_err(named)?;
    Ok(Bound { address: chosen, sockets })
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts connections until the proxy leaves.
pub(crate) async fn accept(lane: Rc<Lane>, listener: TcpListener, scheme: Scheme) {
    let mut leaving = lane.common.leaving.clone();
    let mut pause = PAUSE.0;
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = next(&lane, &listener) => accepted,
            stage = leaving.wait_for(|stage| *stage != Stage::Serving) => {
                if stage.is_ok_and(|stage| *stage == Stage::Yielding) {
                    break; // the queue is another process's as well
                }
                // Whoever is in the queue already was told that somebody listens.
                while let Some(Ok((tcp, from))) = listener.accept().now_or_never() {
                    welcome(&lane, tcp, from, scheme);
                }
                break;
            }
        };
        match accepted {
            Ok((tcp, from)) => {
                pause = PAUSE.0;
                welcome(&lane, tcp, from, scheme);
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                lane.meters().accept_failures.add();
                tracing::warn!(reason = %error, "cannot accept connections: {error}; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

/// The next connection, when the core can do with one.
async fn next(lane: &Lane, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    lane.overload.turn().await;
    listener.accept().await
}

/// Errors that accept(2) hands on from a connection that is gone already.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn welcome(lane: &Rc<Lane>, tcp: TcpStream, from: SocketAddr, scheme: Scheme) {
    let meters = lane.meters();
    meters.connections_accepted.add();
    let address = from.ip().to_canonical();
    let trusted = lane.common.trusted.hold(address);
    let Some((server, slot)) = balance::place(lane, address, trusted) else {
        meters.connections_refused.add();
        return;
    };
    if tcp.set_nodelay(true).is_err() {
        return; // gone already
    }
    if server == lane.index {
        serve(lane, tcp, from, scheme, slot);
    } else {
        balance::hand_over(lane, server, tcp, from, scheme, slot);
    }
}

/// Serves a connection on this lane, to its end.
pub(crate) fn serve(lane: &Rc<Lane>, tcp: TcpStream, from: SocketAddr, scheme: Scheme, slot: Slot) {
    lane.overload.arrived();
    let lane = Rc::clone(lane);
    match scheme {
        Scheme::Http => drop(tokio::task::spawn_local(plain::serve_plain(lane, tcp, from, slot))),
        // Serving is another task than shaking hands, so that the handshake's memory is given back.
        Scheme::Https => drop(tokio::task::spawn_local(async move {
            if let Some(shaken) = handshake::shake(&lane, tcp, from, slot).await {
                tokio::task::spawn_local(connection::serve_connection(lane, shaken));
            }
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_share_a_port_and_strangers_do_not() {
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = bind(free, 3, &mut Vec::new()).unwrap();
        assert_ne!(bound.address.port(), 0);
        assert_eq!(bound.sockets.len(), 3);
        let ports = bound.sockets.iter().map(|s| s.local_addr().unwrap().port());
        assert!(ports.into_iter().all(|port| port == bound.address.port()));
        let error = bind(bound.address, 1, &mut Vec::new()).map(|b| b.address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&bound.address.to_string()), "{error}");
    }

    #[test]
    fn handed_sockets_are_all_used_and_shared_among_more_cores() {
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let inode = |socket: &std::net::TcpListener| {
            use std::os::fd::AsRawFd;
            std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap()
        };
        let alone = std::net::TcpListener::bind(free).unwrap();
        let at = alone.local_addr().unwrap();
        let stranger = std::net::TcpListener::bind(free).unwrap();
        let (its, mut handed) = (inode(&alone), vec![stranger, alone]);
        let bound = bind(at, 3, &mut handed).unwrap();
        assert_eq!(handed.len(), 1, "the stranger's is left");
        let inodes: Vec<_> = bound.sockets.iter().map(inode).collect();
        assert_eq!(inodes, [its.clone(), its.clone(), its], "one queue for all");

        let of_three = bind(free, 3, &mut Vec::new()).unwrap();
        let at = of_three.address;
        let mut handed = of_three.sockets;
        let before: Vec<_> = handed.iter().map(inode).collect();
        let bound = bind(at, 2, &mut handed).unwrap();
        assert_eq!(bound.sockets.iter().map(inode).collect::<Vec<_>>(), before, "none is left");
        let mut handed = bound.sockets;
        let bound = bind(at, 4, &mut handed).unwrap();
        let after: Vec<_> = bound.sockets.iter().map(inode).collect();
        assert_eq!(after[..3], before);
        assert!(!before.contains(&after[3]), "a queue of its own for the fourth core");
    }

    #[test]
    fn a_port_that_the_system_chose_is_given_to_nobody_else() {
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound: Vec<_> = (0..200).map(|_| bind(free, 2, &mut Vec::new()).unwrap()).collect();
        let mut ports: Vec<u16> = bound.iter().map(|bound| bound.address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), bound.len());
    }
}
