//! Which addresses a URL that somebody typed in may lead to (security rule 32, A8).
//!
//! An administrator, or a provider's own metadata, can name any host. Such a name never leads into the private network
//! behind the gateway or to the machine it runs on, except into networks that whoever runs the gateway has opened in the
//! configuration file: a token of the API is not enough for that.

use ipnet::IpNet;
use narthex_model::IdpConfig;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use url::{Host, Url};

/// A URL that calls must not be made to, with the reason for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FencedOff {
    /// No scheme that is spoken here, or not encrypted.
    #[error("{0} is not an https address")]
    Scheme(String),
    /// It leads to an address of a private network, or to this machine.
    #[error(
        "{0} is a private address; calls to private addresses are not allowed unless [outbound] private_networks in the configuration file names their network"
    )]
    Private(String),
}

/// The internet, and the private networks that are open besides. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    open: Arc<[IpNet]>,
    /// Whether http will do.
    plain_http: bool,
}

impl Fence {
    /// A fence with gates to these networks.
    #[must_use]
    pub fn open_to(networks: &[IpNet]) -> Self {
        Self { open: networks.into(), plain_http: false }
    }

    /// The same fence for what proves itself by a signature, such as revocation lists, which authorities publish over
    /// http (RFC 5280 §8): http will do everywhere.
    #[must_use]
    pub fn for_signed_data(&self) -> Self {
        Self { plain_http: true, ..self.clone() }
    }

    /// A fence with a gate to the machine itself: for the demo, and for tests.
    #[must_use]
    pub fn open_to_this_machine() -> Self {
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), IpAddr::V6(Ipv6Addr::LOCALHOST));
        Self::open_to(&[(v4, 8), (v6, 128)].map(|(ip, length)| {
            IpNet::new(ip, length).expect("the prefix is no longer than the address")
        }))
    }

    /// Whether a call to `url` may be tried: all that can be said without resolving a name. What the name leads to is
    /// judged with [`Fence::admits_address`] whenever a connection is made.
    ///
    /// # Errors
    /// [`FencedOff`] unless it is https (http for this machine by its name or number, where that is open) and a host
    /// written as a number lies outside of private networks or in an open one.
    pub fn admits(&self, url: &Url) -> Result<(), FencedOff> {
        let numbers: Vec<IpAddr> = match url.host() {
            Some(Host::Ipv4(ip)) => vec![ip.into()],
            Some(Host::Ipv6(ip)) => vec![ip.into()],
            Some(Host::Domain(name)) if is_localhost(name) => self.this_machine(),
            Some(Host::Domain(_)) => return self.secure(url),
            None => return Err(FencedOff::Scheme(shown(url))),
        };
        if url.scheme() != "http" || !is_this_machine(url) {
            self.secure(url)?;
        }
        if !numbers.is_empty() && numbers.into_iter().all(|ip| self.admits_address(ip)) {
            Ok(())
        } else {
            Err(FencedOff::Private(url.host_str().unwrap_or_default().to_owned()))
        }
    }

    /// Whether the addresses of a provider that the gateway itself calls may be called. Where people log in is their
    /// browsers' affair.
    ///
    /// # Errors
    /// The name of the member of `config` and what is wrong with it.
    pub fn admits_provider(&self, config: &IdpConfig) -> Result<(), (&'static str, FencedOff)> {
        let IdpConfig::Oidc(config) = config else { return Ok(()) };
        let issuer = config.issuer.as_ref().and_then(|issuer| issuer.parse::<Url>().ok());
        for (member, url) in [
            ("token_url", Some(&config.token_url)),
            ("certs_url", Some(&config.certs_url)),
            ("userinfo_url", config.userinfo_url.as_ref()),
            ("issuer", issuer.as_ref()),
        ] {
            url.map_or(Ok(()), |url| self.admits(url)).map_err(|why| (member, why))?;
        }
        Ok(())
    }

    fn secure(&self, url: &Url) -> Result<(), FencedOff> {
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.plain_http => Ok(()),
            _ => Err(FencedOff::Scheme(shown(url))),
        }
    }

    /// Whether a connection to `ip` may be made.
    #[must_use]
    pub fn admits_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) || self.open.iter().any(|network| network.contains(&ip))
    }

    /// Where `localhost` and the names below it lead, as far as that is open; no resolver is asked.
    pub(crate) fn this_machine(&self) -> Vec<IpAddr> {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        loopback.into_iter().filter(|ip| self.admits_address(*ip)).collect()
    }
}

/// A URL for a message: no credentials, no query, not too long.
fn shown(url: &Url) -> String {
    let text = format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    text.chars().take(200).collect()
}

/// Whether the host of `url` is this machine by name or literal: `localhost`, `*.localhost` (RFC 6761 §6.3), 127.0.0.0/8, `::1`.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Whether a name is `localhost` or below it; a trailing dot changes nothing.
pub(crate) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether `ip` is an ordinary address of the internet (IANA special-purpose registries, RFC 6890).
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = a == 0                                // this network
        || ip.is_private()
        || (a == 100 && (64..128).contains(&b))         // shared by carriers, RFC 6598
        || ip.is_loopback()
        || ip.is_link_local()                           // also the metadata services of clouds
        || (a == 192 && b == 0 && c == 0)               // IETF protocol assignments
        || ip.is_documentation()
        || (a == 192 && b == 88 && c == 99)             // 6to4 relays
        || (a == 198 && (b == 18 || b == 19))           // benchmarks
        || a >= 224; // multicast, reserved, broadcast
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let embedded = |high: u16, low: u16| {
        is_public_v4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
    };
    match s {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // NAT64, RFC 6052
        [0x2002, high, low, ..] => embedded(high, low),               // 6to4
        [0x2001, second, ..] if second < 0x200 => false, // Teredo, ORCHID, benchmarks, RFC 2928
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false, // documentation
        [first, ..] => (0x2000..0x4000).contains(&first), // the only range given out so far
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_data_may_come_over_http_and_from_nowhere_else() {
        let (strict, signed) = (Fence::default(), Fence::default().for_signed_data());
        for (url, over_https, over_http) in [
            ("https://ca.example/a.crl", true, true),
            ("http://ca.example/a.crl", false, true),
            ("http://8.8.8.8/a.crl", false, true),
            ("http://10.0.0.1/a.crl", false, false),
            ("http://127.0.0.1/a.crl", false, false),
            ("http://localhost/a.crl", false, false),
            ("http://169.254.169.254/", false, false),
            ("ftp://ca.example/a.crl", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(strict.admits(&url).is_ok(), over_https, "{url}");
            assert_eq!(signed.admits(&url).is_ok(), over_http, "{url}, signed");
        }
    }

    #[test]
    fn only_ordinary_addresses_are_public() {
        for public in ["8.8.8.8", "100.63.255.255", "172.32.0.1", "198.20.0.1", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for near_miss in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.9.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(near_miss.parse().unwrap()), "{near_miss}");
        }
    }

    #[test]
    fn a8_a_fence_without_gates_lets_nothing_inside() {
        let closed = Fence::default();
        let here = Fence::open_to_this_machine();
        let office = Fence::open_to(&["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (url, by_default, to_this_machine, to_the_office) in [
            ("https://idp.example.com/", true, true, true),
            ("https://8.8.8.8/", true, true, true),
            ("http://idp.example.com/", false, false, false),
            ("http://8.8.8.8/", false, false, false),
            ("http://127.0.0.1:9464/metrics", false, true, false),
            ("https://127.0.0.1/", false, true, false),
            ("http://localhost/", false, true, false),
            ("http://idp.localhost:8080/", false, true, false),
            ("https://LOCALHOST./", false, true, false),
            ("https://[::1]/", false, true, false),
            ("https://[::ffff:127.0.0.1]/", false, true, false),
            ("http://[::ffff:127.0.0.1]/", false, false, false),
            ("https://2130706433/", false, true, false), // 127.0.0.1, as the URL parser and the connection read it
            ("https://0x7f.1/", false, true, false),
            ("https://10.1.2.3/", false, false, true),
            ("https://[::ffff:10.1.2.3]/", false, false, true),
            ("http://10.1.2.3/", false, false, false),
            ("https://10.2.0.1/", false, false, false),
            ("https://[fd12::1]/", false, false, true),
            ("https://[fe80::1]/", false, false, false),
            ("https://169.254.169.254/latest/meta-data/", false, false, false),
            ("https://192.168.1.1/", false, false, false),
            ("https://0.0.0.0/", false, false, false),
            ("https://[::]/", false, false, false),
            ("https://[64:ff9b::7f00:1]/", false, false, false),
            ("file:///etc/passwd", false, false, false),
            ("file://idp.example.com/etc/passwd", false, false, false),
            ("ftp://idp.example.com/", false, false, false),
            ("gopher://idp.example.com/", false, false, false),
            ("unix:/run/docker.sock", false, false, false),
            ("data:application/json,{}", false, false, false),
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(closed.admits(&url).is_ok(), by_default, "{url}");
            assert_eq!(here.admits(&url).is_ok(), to_this_machine, "{url}, this machine open");
            assert_eq!(office.admits(&url).is_ok(), to_the_office, "{url}, the office open");
        }
        let url: Url = "https://user:secret@10.0.0.1/x?token=1".parse().unwrap();
        let refused = closed.admits(&url).unwrap_err().to_string();
        assert!(refused.starts_with("10.0.0.1 is a private address"), "{refused}");
        let url: Url = "http://user:secret@idp.example.com/x?token=1".parse().unwrap();
        let refused = closed.admits(&url).unwrap_err().to_string();
        assert_eq!(refused, "http://idp.example.com/x is not an https address");
    }

    #[test]
    fn this_machine_is_known_by_name() {
        for (url, want) in [
            ("http://localhost:1/", true),
            ("http://idp.localhost/", true),
            ("http://LOCALHOST./", true),
            ("http://127.0.0.1/", true),
            ("http://0177.0.0.1/", true), // the URL parser reads it as 127.0.0.1, and so does the connection
            ("http://[::1]/", true),
            ("http://[::ffff:127.0.0.1]/", false),
            ("http://localhost.example.com/", false),
            ("http://notlocalhost/", false),
            ("http://0.0.0.0/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_this_machine(&url.parse().unwrap()), want, "{url}");
        }
    }
}
