//! The team domain: login, callback, authorized, logout, identity, certs.
