//! The configuration file as it is written: closed, typed, and each mistake named with its line (design §4).

use narthex_model::{
    AccountId, Authority, CertificateFiles, GoDuration, Hostname, OriginService, Secret,
    TeamDomain, ZoneId,
};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// `narthex.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) data_dir: PathBuf,
    pub(super) listen: Listen,
    pub(super) team: Team,
    pub(super) admin: Option<Admin>,
    #[serde(default)]
    pub(super) account: Account,
    #[serde(default)]
    pub(super) zone: Vec<Zone>,
    #[serde(default)]
    pub(super) tls: Tls,
    #[serde(default)]
    pub(super) store: Store,
    pub(super) mail: Option<Mail>,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) records: Records,
    #[serde(default)]
    pub(super) outbound: Outbound,
    #[serde(default)]
    pub(super) geo: Geo,
    /// By name; [`super::limits`] knows which there are.
    #[serde(default)]
    pub(super) limits: BTreeMap<toml::Spanned<String>, toml::Spanned<toml::Value>>,
    #[serde(default)]
    pub(super) ingress: Vec<toml::Spanned<Ingress>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) https: toml::Spanned<Vec<SocketAddr>>,
    #[serde(default)]
    pub(super) http: Vec<SocketAddr>,
    pub(super) metrics: Option<SocketAddr>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<ipnet::IpNet>,
    /// Data-path cores; every core of the machine when absent.
    pub(super) cores: Option<NonZeroUsize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Team {
    pub(super) name: String,
    pub(super) domain: TeamDomain,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) host: Authority,
    pub(super) token: Option<toml::Spanned<SecretSource>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Account {
    pub(super) id: Option<AccountId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Zone {
    pub(super) name: Hostname,
    pub(super) id: Option<ZoneId>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    #[serde(default)]
    pub(super) certificate: Vec<toml::Spanned<Certificate>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    pub(super) cert: toml::Spanned<PathBuf>,
    pub(super) key: toml::Spanned<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    #[serde(default = "Store::default_url")]
    pub(super) url: toml::Spanned<String>,
    pub(super) master_key: Option<toml::Spanned<SecretSource>>,
}

impl Store {
    fn default_url() -> toml::Spanned<String> {
        toml::Spanned::new(0..0, "sqlite:narthex.db".to_owned())
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { url: Self::default_url(), master_key: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mail {
    pub(super) from: toml::Spanned<String>,
    pub(super) smtp: toml::Spanned<Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) requests: Requests,
    #[serde(default)]
    pub(super) level: Level,
}

/// `[log] requests`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Requests {
    Off,
    #[default]
    Refused,
    All,
}

/// `[log] level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Records {
    pub(super) keep_days: Option<toml::Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbound {
    #[serde(default)]
    pub(super) private_networks: Vec<ipnet::IpNet>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Geo {
    pub(super) database: Option<toml::Spanned<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ingress {
    pub(super) hostname: toml::Spanned<String>,
    pub(super) path: Option<String>,
    pub(super) service: OriginService,
    #[serde(default)]
    pub(super) origin_request: OriginRequest,
}

/// The file's form of `model::OriginRequest`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OriginRequest {
    pub(super) connect_timeout: Option<GoDuration>,
    pub(super) response_timeout: Option<GoDuration>,
    pub(super) http_host_header: Option<Authority>,
    pub(super) origin_server_name: Option<Hostname>,
    #[serde(default)]
    pub(super) no_tls_verify: bool,
    pub(super) ca_pool: Option<toml::Spanned<PathBuf>>,
    pub(super) client_certificate: Option<toml::Spanned<CertificateFiles>>,
    #[serde(default)]
    pub(super) http2_origin: bool,
}

/// A secret that stands somewhere else: `{ file = "…" }` or `{ env = "NAME" }`; never in the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretSource {
    File(PathBuf),
    Env(String),
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretSourceVisitor)
    }
}

struct SecretSourceVisitor;

impl<'de> Visitor<'de> for SecretSourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ file = \"PATH\" } or { env = \"NAME\" }")
    }

    fn visit_str<E: Error>(self, _secret: &str) -> Result<SecretSource, E> {
        Err(E::custom(
            "found text, expected { file = PATH } or { env = NAME }; a secret never stands in this file itself",
        ))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            file: Option<PathBuf>,
            env: Option<String>,
        }
        let written = Written::deserialize(MapAccessDeserializer::new(map))?;
        match (written.file, written.env) {
            (Some(path), None) => Ok(SecretSource::File(path)),
            (None, Some(name)) => Ok(SecretSource::Env(name)),
            (Some(_), Some(_)) | (None, None) => {
                Err(A::Error::custom("expected exactly one of file and env"))
            }
        }
    }
}
