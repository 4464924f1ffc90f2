//! The data path from outside: real sockets, real TLS, an origin that writes down what it is sent.
//!
//! Names begin with the case of the security checklist that they try.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod admin;
mod certificate_headers;
mod certificates;
mod clients;
mod clocks;
mod crowds;
mod decisions;
mod forms;
mod frames;
mod framing;
mod handshakes;
mod http2;
mod leaving;
mod machines;
mod ocsp;
mod ocsp_answers;
mod origin;
mod origins;
mod overload;
mod panics;
mod paths;
mod resumption;
mod slow;
mod tokens;
mod town;
mod wire;
