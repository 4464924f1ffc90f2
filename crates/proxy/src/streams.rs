//! The streams of one HTTP/2 connection that wait for their client to make room. Each is reset when it has waited too
//! long, although the connection lives: a client that opens many streams and no window holds nothing for ever
//! (checklist N7).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

/// The streams of one connection whose client takes nothing at the moment. Most connections never have one.
#[derive(Clone, Default)]
pub(crate) struct Streams(Rc<RefCell<Vec<Rc<Waiting>>>>);

/// One of them.
#[derive(Default)]
struct Waiting {
    /// How many looks found it waiting.
    looks: Cell<u32>,
    ended: Cell<bool>,
    task: Cell<Option<Waker>>,
}

/// A stream's wait for room; over when it is dropped.
pub(crate) struct WaitForRoom {
    streams: Streams,
    waiting: Rc<Waiting>,
}

impl Streams {
    /// A stream has something to send, and its client no room.
    pub(crate) fn wait_for_room(&self) -> WaitForRoom {
        let waiting = Rc::<Waiting>::default();
        self.0.borrow_mut().push(Rc::clone(&waiting));
        WaitForRoom { streams: self.clone(), waiting }
    }

    /// Looks at every waiting stream, and ends those that have waited for more than `most` looks. How many these were.
    pub(crate) fn look(&self, most: u32) -> usize {
        let tired = |waiting: &&Rc<Waiting>| {
            let looks = waiting.looks.replace(waiting.looks.get().saturating_add(1));
            looks >= most && !waiting.ended.replace(true)
        };
        let tired: Vec<_> = self.0.borrow().iter().filter(tired).map(Rc::clone).collect();
        for waiting in &tired {
            if let Some(task) = waiting.task.take() {
                task.wake();
            }
        }
        tired.len()
    }
}

impl WaitForRoom {
    /// Whether the stream is to be reset. If not, the task is woken when it is.
    pub(crate) fn has_lasted_too_long(&self, cx: &Context<'_>) -> bool {
        let waker = self.waiting.task.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waiting.task.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        self.waiting.ended.get()
    }
}

impl Drop for WaitForRoom {
    fn drop(&mut self) {
        self.streams.0.borrow_mut().retain(|waiting| !Rc::ptr_eq(waiting, &self.waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_too_long_is_ended_once() {
        let streams = Streams::default();
        let cx = Context::from_waker(Waker::noop());
        let first = streams.wait_for_room();
        assert_eq!((streams.look(2), streams.look(2)), (0, 0));
        let second = streams.wait_for_room();
        assert!(!first.has_lasted_too_long(&cx));
        assert_eq!(streams.look(2), 1, "the first has waited for more than two looks");
        assert!(first.has_lasted_too_long(&cx) && !second.has_lasted_too_long(&cx));
        assert_eq!(streams.look(2), 0, "it is counted once");
        drop(first);
        drop(streams.wait_for_room());
        assert_eq!(streams.look(2), 1, "a wait that is over counts for nothing");
        drop(second);
        assert!(streams.0.borrow().is_empty());
    }
}
