//! Connections shared out evenly: a core that accepts one hands it to another that has clearly fewer.
//!
//! The system chooses the accepting core by a hash of the addresses. Among many connections that is even enough; of four, one
//! time in eight all meet on one core of two while the other rests. The number of connections is what is compared: what
//! each of them will cost nobody knows when it comes.

use crate::lane::{Common, Lane, share};
use crate::listen::{self, Scheme};
use crate::meters::Meters;
use crate::settings::Limits;
use crate::slots::{Slot, Slots};
use crate::stage::Stage;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A lane may have so much of the emptiest one's connections more than it: moving one costs both cores some microseconds.
const SLACK: usize = 8; // an eighth

/// The way into a lane for connections that other lanes accepted.
pub(crate) struct Door {
    /// Its places.
    pub(crate) slots: Arc<Slots>,
    handed: mpsc::UnboundedSender<Handed>,
}

/// An accepted connection on its way to the lane that serves it. It has its place there.
pub(crate) struct Handed {
    tcp: std::net::TcpStream,
    from: SocketAddr,
    scheme: Scheme,
    slot: Slot,
}

/// A door for each of so many lanes, and what stands behind it.
pub(crate) fn doors(
    lanes: usize,
    limits: &Limits,
    meters: &Arc<Meters>,
) -> (Box<[Door]>, Vec<mpsc::UnboundedReceiver<Handed>>) {
    let door = |lane| {
        let most = share(limits.connections, lanes);
        let per_address = share(limits.connections_per_address, lanes);
        let slots = Slots::new(most, per_address, Arc::clone(meters), lane);
        let (handed, behind) = mpsc::unbounded_channel();
        (Door { slots, handed }, behind)
    };
    let (doors, behind): (Vec<_>, Vec<_>) = (0..lanes).map(door).unzip();
    (doors.into(), behind)
}

/// A place for a connection that this lane accepted, and the number of the lane that serves it. `None` when there is
/// none left.
pub(crate) fn place(lane: &Lane, address: IpAddr, trusted: bool) -> Option<(usize, Slot)> {
    let common = &lane.common;
    let server = server(lane.index, common.doors.iter().map(|door| door.slots.open()));
    if server != lane.index {
        let slot = common.doors[server].slots.take(address, trusted);
        // A lane that has nothing left to do when all leave may stop. With its place taken before this is asked, it cannot have.
        if slot.is_some() && !is_leaving(common) {
            return slot.map(|slot| (server, slot));
        }
    }
    lane.slots.take(address, trusted).map(|slot| (lane.index, slot))
}

fn is_leaving(common: &Common) -> bool {
    *common.leaving.borrow() != Stage::Serving
}

/// Who of the lanes, which have so many connections each, serves one that `own` accepted.
fn server(own: usize, open: impl Iterator<Item = usize> + Clone) -> usize {
    let ours = open.clone().nth(own).unwrap_or_default();
    let emptiest = open.enumerate().min_by_key(|(_, open)| *open);
    match emptiest {
        Some((lane, fewest)) if ours > fewest + fewest / SLACK => lane,
        Some(_) | None => own,
    }
}

/// Gives a connection to the lane in which it has its place.
pub(crate) fn hand_over(
    lane: &Lane,
    server: usize,
    tcp: TcpStream,
    from: SocketAddr,
    scheme: Scheme,
    slot: Slot,
) {
    if let Ok(tcp) = tcp.into_std() {
        // A lane that is gone drops it, which closes the connection.
        let _sent = lane.common.doors[server].handed.send(Handed { tcp, from, scheme, slot });
    }
}

/// Serves what other lanes hand over, as long as this lane lives.
pub(crate) async fn take_in(lane: Rc<Lane>, mut handed: mpsc::UnboundedReceiver<Handed>) {
    while let Some(Handed { tcp, from, scheme, slot }) = handed.recv().await {
        if let Ok(tcp) = TcpStream::from_std(tcp) {
            listen::serve(&lane, tcp, from, scheme, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many connections each lane has after `accepted` of them were accepted where it says.
    fn spread(lanes: usize, accepted: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut open = vec![0; lanes];
        for own in accepted {
            let chosen = server(own, open.iter().copied());
            open[chosen] += 1;
        }
        open
    }

    #[test]
    fn few_connections_are_spread_evenly_wherever_they_are_accepted() {
        assert_eq!(spread(2, [0; 4]), [2, 2]);
        assert_eq!(spread(2, [1; 5]), [2, 3]);
        assert_eq!(spread(4, [2; 10]), [3, 2, 3, 2]);
        assert_eq!(spread(1, [0; 7]), [7]);
    }

    #[test]
    fn among_many_a_lane_keeps_what_it_accepts_up_to_an_eighth_more() {
        for (open, own, want) in [
            ([80, 80], 0, 0),
            ([90, 80], 0, 0), // ten is an eighth of eighty
            ([91, 80], 0, 1),
            ([80, 91], 0, 0),
        ] {
            assert_eq!(server(own, open.into_iter()), want, "{open:?}");
        }
    }
}
