//! The offer: what the running process gives the new one, open files first (`SCM_RIGHTS`, `unix(7)`) and then one line of
//! JSON that says what they are.

use crate::systemd::Instead;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Descriptors in one message; the system takes 253.
const AT_ONCE: usize = 64;
/// Stands for the descriptors that come with it.
const MARK: u8 = b'.';
/// The longest line.
const LONGEST: usize = 1024;
/// What the processes say to each other. A program that speaks another one does not take over from this one.
const PROTOCOL: u32 = 1;

/// What is handed over.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) https: Vec<TcpListener>,
    pub(super) http: Vec<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
    /// The lock of the data directory.
    pub(super) lock: File,
    pub(super) instead: Instead,
}

/// How many of which, in the order of the descriptors.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    protocol: u32,
    https: usize,
    http: usize,
    metrics: usize,
    lock: usize,
    instead: Instead,
}

impl Offer {
    /// Sends it over a line that nothing was said on yet.
    ///
    /// # Errors
    /// When the other end is gone.
    pub(super) fn send(&self, line: &UnixStream) -> io::Result<()> {
        let list = List {
            protocol: PROTOCOL,
            https: self.https.len(),
            http: self.http.len(),
            metrics: usize::from(self.metrics.is_some()),
            lock: 1,
            instead: self.instead,
        };
        let sockets = self.https.iter().chain(&self.http).chain(&self.metrics);
        let all: Vec<BorrowedFd<'_>> =
            sockets.map(AsFd::as_fd).chain([self.lock.as_fd()]).collect();
        for some in all.chunks(AT_ONCE) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(some)) {
                return Err(io::Error::other("too many descriptors for one message"));
            }
            sendmsg(line, &[IoSlice::new(&[MARK])], &mut control, SendFlags::NOSIGNAL)?;
        }
        let mut text = serde_json::to_vec(&list)?;
        text.push(b'\n');
        io::Write::write_all(&mut &*line, &text)
    }

    /// Receives it.
    ///
    /// # Errors
    /// When the other end is gone, or is a program of another kind or age; the text names the remedy.
    pub(super) fn receive(line: &UnixStream) -> io::Result<Self> {
        let mut descriptors = Vec::new();
        let mut text = Vec::new();
        while text.last() != Some(&b'\n') {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut bytes = [0; LONGEST];
            let into = &mut [IoSliceMut::new(&mut bytes)];
            let read = recvmsg(line, into, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(some) = message {
                    descriptors.extend(some);
                }
            }
            if read == 0 || text.len() > LONGEST {
                return Err(no_offer());
            }
            text.extend(bytes[..read].iter().filter(|byte| **byte != MARK));
        }
        let list: List = serde_json::from_slice(&text).map_err(|_| no_offer())?;
        if list.protocol != PROTOCOL {
            return Err(io::Error::other(format!(
                "the running process hands over by protocol {}, and this program knows {PROTOCOL}; stop it and start this one",
                list.protocol
            )));
        }
        Self::sorted(&list, descriptors).ok_or_else(no_offer)
    }

    fn sorted(list: &List, descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut rest = descriptors.into_iter();
        let mut sockets = |count: usize| -> Vec<TcpListener> {
            rest.by_ref().take(count).map(TcpListener::from).collect()
        };
        let (https, http) = (sockets(list.https), sockets(list.http));
        let metrics = sockets(list.metrics).pop();
        let lock = File::from(rest.next()?);
        rest.next().is_none().then_some(Self { https, http, metrics, lock, instead: list.instead })
    }
}

fn no_offer() -> io::Error {
    io::Error::other(
        "the process on standard input hands nothing over; start the gateway without NARTHEX_HAND_OVER",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order_however_much_it_is() {
        let (from, to) = UnixStream::pair().unwrap();
        let some = |count: usize| -> Vec<TcpListener> {
            (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect()
        };
        let place = tempfile::tempfile().unwrap();
        let instead = Instead { http: true, ..Instead::default() };
        let (https, http, metrics) = (some(130), some(3), some(1).pop());
        let offer = Offer { https, http, metrics, lock: place, instead };
        let receiving = std::thread::spawn(move || Offer::receive(&to).unwrap());
        offer.send(&from).unwrap();
        let arrived = receiving.join().unwrap();
        let addresses = |offer: &Offer| -> Vec<_> {
            let all = offer.https.iter().chain(&offer.http).chain(&offer.metrics);
            all.map(|socket| socket.local_addr().unwrap()).collect()
        };
        assert_eq!(addresses(&arrived), addresses(&offer));
        assert_eq!(arrived.instead, instead);
        arrived.lock.set_len(7).unwrap();
        assert_eq!(offer.lock.metadata().unwrap().len(), 7, "the same file");
    }

    #[test]
    fn what_is_no_offer_is_refused() {
        for (said, want) in [
            ("", "hands nothing over"),
            ("hello\n", "hands nothing over"),
            (
                "{\"protocol\":1,\"https\":0,\"http\":0,\"metrics\":0,\"lock\":1,\"instead\":{\"https\":false,\"http\":false,\"metrics\":false}}\n",
                "hands nothing over",
            ),
            (
                "{\"protocol\":9,\"https\":0,\"http\":0,\"metrics\":0,\"lock\":1,\"instead\":{\"https\":false,\"http\":false,\"metrics\":false}}\n",
                "protocol 9",
            ),
        ] {
            let (from, to) = UnixStream::pair().unwrap();
            io::Write::write_all(&mut &from, said.as_bytes()).unwrap();
            drop(from);
            let refused = Offer::receive(&to).unwrap_err().to_string();
            assert!(refused.contains(want), "{said:?}: {refused}");
        }
    }
}
