//! A strict HTTP/1.1 connection to an origin, as a plain value.
//!
//! [`Connection`] speaks over any byte stream, one request at a time, without a task or a channel: who holds it polls
//! it. What an origin sends is hostile until read: an answer whose length two readers could understand differently
//! is a [`Fault`], not a guess (RFC 9112 §6.3), and a connection with any doubt is not [reusable].
//!
//! Files: `request` writes heads, `answer` reads them, `framing` finds an answer's length, `chunks` takes chunked
//! bodies apart, `sending` and `connection` move the bytes, `upgraded` is what is left after a 101.
//!
//! [reusable]: Connection::is_reusable

mod answer;
mod chunks;
mod connection;
mod fault;
mod framing;
mod request;
mod sending;
mod upgraded;

pub use answer::{HEAD_BYTES, HEAD_FIELDS};
pub use connection::Connection;
pub use fault::Fault;
pub use request::RequestHead;
pub use upgraded::Upgraded;
