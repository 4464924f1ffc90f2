//! What is known about one request when it is decided.

use narthex_model::{CertificateHolder, CountryCode, EmailAddress, Identity, ServiceTokenId};
use std::net::IpAddr;

/// The facts of one request: what the connection shows (checked again on every request) and who asks (frozen at
/// login; access-protocol §9.3).
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's address; an IPv4-mapped IPv6 address counts as the IPv4 address.
    pub ip: IpAddr,
    /// The country of `ip`; `None` when nobody knows, which no rule takes for a country.
    pub country: Option<CountryCode>,
    /// The service token that was presented and found valid.
    pub service_token: Option<ServiceTokenId>,
    /// The client certificate, if its trust was established.
    pub certificate: CertificateFact<'a>,
    /// Who asks.
    pub person: Person<'a>,
}

/// What the TLS handshake showed. A certificate that was presented but not trusted is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateFact<'a> {
    /// None, or none that a CA associated with the hostname signed.
    #[default]
    Absent,
    /// Signed by an associated CA, in force, possession proved.
    Valid(&'a CertificateHolder),
}

/// Who asks, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub enum Person<'a> {
    /// Definitely nobody: a machine. Every identity selector answers no.
    Nobody,
    /// Somebody who has not logged in yet: every identity selector, `everyone` among them, is unknown.
    Anybody,
    /// Somebody whose token names an address while the session behind it is not at hand: rules about the address
    /// and `everyone` are answered, the rest is unknown.
    Claims {
        /// The address in the token.
        email: &'a EmailAddress,
    },
    /// Somebody who has logged in.
    Known(&'a Identity),
}
