//! Who visits: what the data path knows of a request before it hands it over.

use narthex_model::{AppId, Authority, CertificateHolder, CountryCode, RayId};
use std::net::IpAddr;
use std::sync::Arc;

/// A request's circumstances.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The client's address.
    pub ip: IpAddr,
    /// Its country, if a database says so.
    pub country: Option<CountryCode>,
    /// The request's id, shown on error pages and kept in records.
    pub ray: RayId,
    /// Host and port that were asked for, in canonical spelling.
    pub host: Authority,
    /// The canonical path.
    pub path: String,
    /// The application that host and path belong to, if any.
    pub app: Option<AppId>,
    /// The client certificate that this connection showed, if it was trusted.
    pub certificate: Option<Arc<CertificateHolder>>,
}

#[cfg(test)]
impl Visit {
    /// A visit to `https://auth.example.com/`.
    pub(crate) fn for_tests() -> Self {
        Self {
            ip: IpAddr::from([203, 0, 113, 7]),
            country: None,
            ray: RayId::random(),
            host: "auth.example.com".parse().unwrap(),
            path: "/".to_owned(),
            app: None,
            certificate: None,
        }
    }
}
