//! Where a request comes from: the address that policies judge, and how far it can be believed.

use http::HeaderMap;
use ipnet::IpNet;
use narthex_model::CountryCode;
use std::net::IpAddr;

/// A trusted proxy sent an `X-Forwarded-For` that is no list of addresses.
///
/// Such a request is refused: guessing an address would let network rules decide about somebody else (P15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trusted proxy sent an X-Forwarded-For that is no list of IP addresses")]
pub(crate) struct Unreadable;

/// The network facts of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The client's address; never an IPv4-mapped IPv6 address.
    pub(crate) ip: IpAddr,
    /// Its country, if anybody knows.
    pub(crate) country: Option<CountryCode>,
    /// The trusted proxy that told us about the client; `None` when the client came by itself.
    pub(crate) through: Option<IpAddr>,
}

/// The networks whose word about a client's address is believed. None by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Box<[IpNet]>);

impl TrustedProxies {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether `ip` speaks for others.
    pub(crate) fn hold(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// The client's address as told by `proxy`: the right-most one that is no trusted proxy itself.
    ///
    /// # Errors
    /// [`Unreadable`] when something else than an address stands where the client's is looked for.
    pub(crate) fn client_behind(
        &self,
        proxy: IpAddr,
        headers: &HeaderMap,
    ) -> Result<IpAddr, Unreadable> {
        let mut client = proxy;
        let fields = headers.get_all("x-forwarded-for").iter();
        let mut fields: Vec<&str> =
            fields.map(|field| field.to_str()).collect::<Result<_, _>>().map_err(|_| Unreadable)?;
        while let Some(field) = fields.pop() {
            for hop in field.rsplit(',') {
                client = hop.trim().parse::<IpAddr>().map_err(|_| Unreadable)?.to_canonical();
                if !self.hold(client) {
                    return Ok(client);
                }
            }
        }
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_the_right_most_untrusted_address_counts() {
        let trusted = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        for (fields, want) in [
            (vec![], Ok("10.0.0.1")),
            (vec!["203.0.113.9"], Ok("203.0.113.9")),
            (vec!["1.1.1.1, 203.0.113.9"], Ok("203.0.113.9")),
            (vec!["1.1.1.1, 203.0.113.9, 10.2.3.4"], Ok("203.0.113.9")),
            (vec!["1.1.1.1", "203.0.113.9,10.9.9.9"], Ok("203.0.113.9")),
            (vec!["::ffff:203.0.113.9"], Ok("203.0.113.9")),
            (vec!["10.9.9.9"], Ok("10.9.9.9")),
            (vec!["2001:db8::1"], Ok("2001:db8::1")),
            (vec!["unknown"], Err(Unreadable)),
            (vec!["203.0.113.9:443"], Err(Unreadable)),
            (vec!["0x0a000001"], Err(Unreadable)),
            (vec!["010.0.0.1"], Err(Unreadable)),
            (vec!["fe80::1%eth0"], Err(Unreadable)),
            (vec!["203.0.113.9, "], Err(Unreadable)),
            (vec!["garbage, 203.0.113.9"], Ok("203.0.113.9")),
        ] {
            let mut headers = HeaderMap::new();
            for field in &fields {
                headers.append("x-forwarded-for", field.parse().unwrap());
            }
            let want = want.map(|ip| ip.parse::<IpAddr>().unwrap());
            assert_eq!(trusted.client_behind(proxy, &headers), want, "{fields:?}");
        }
    }
}
