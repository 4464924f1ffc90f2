//! When a request may be sent a second time: hardly ever (security rule 18).

use crate::carrier::Loss;
use http::Method;
use std::cell::Cell;

/// What a request pays in; a fifth of what a retry takes out, so at most every fifth request is sent twice.
const DEPOSIT: u32 = 1;
const PRICE: u32 = 5;

/// What may be saved up: ten retries.
const FULL: u32 = 10 * PRICE;

/// Whether sending this request twice does no harm: its method says so (RFC 9110 §9.2.2) and it has no body that
/// may have been used.
pub(super) fn is_repeatable(method: &Method, has_body: bool) -> bool {
    let idempotent =
        [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::TRACE];
    !has_body && idempotent.contains(method)
}

/// Whether a request ended because its connection was given up, as happens when an origin closes a resting
/// connection at the moment of reuse; and not because of what the origin said.
pub(super) fn was_dropped(loss: &Loss) -> bool {
    match loss {
        Loss::Line(fault) => fault.is_closed(),
        Loss::Shared(error) => {
            let source = std::error::Error::source(error);
            let Some(h2) = source.and_then(|source| source.downcast_ref::<h2::Error>()) else {
                let io = source.is_some_and(|source| source.is::<std::io::Error>());
                return io || error.is_closed() || error.is_canceled();
            };
            let refused = h2.reason() == Some(h2::Reason::REFUSED_STREAM);
            let told_to_go = h2.is_go_away() && h2.reason() == Some(h2::Reason::NO_ERROR);
            refused || told_to_go || h2.is_io()
        }
    }
}

/// How many retries one origin's requests may still cause: one in five, so that an origin in trouble is not sent a
/// storm of them.
#[derive(Debug)]
pub(super) struct Budget(Cell<u32>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(FULL))
    }
}

impl Budget {
    /// A request was sent for the first time.
    pub(super) fn earn(&self) {
        self.0.set((self.0.get() + DEPOSIT).min(FULL));
    }

    /// Takes out the price of a retry, if there is enough.
    pub(super) fn spend(&self) -> bool {
        let rest = self.0.get().checked_sub(PRICE);
        self.0.set(rest.unwrap_or(self.0.get()));
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_no_harm_is_repeated() {
        for (method, has_body, want) in [
            (Method::GET, false, true),
            (Method::HEAD, false, true),
            (Method::DELETE, false, true),
            (Method::PUT, false, true),
            (Method::PUT, true, false),
            (Method::GET, true, false),
            (Method::POST, false, false),
            (Method::PATCH, false, false),
            (Method::CONNECT, false, false),
            (Method::from_bytes(b"get").unwrap(), false, false),
            (Method::from_bytes(b"PURGE").unwrap(), false, false),
        ] {
            assert_eq!(is_repeatable(&method, has_body), want, "{method} body: {has_body}");
        }
    }

    #[test]
    fn a_fifth_of_the_requests_at_most() {
        let budget = Budget::default();
        let retries = (0..1000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        let retries = retries.count();
        assert!((200..=210).contains(&retries), "{retries} of 1000");
    }
}
