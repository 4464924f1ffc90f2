//! The configuration file as it is written: closed, typed, and each mistake named with its line (design §4).

use narthex_model::{
    AccountId, Authority, GoDuration, Hostname, OriginService, TeamDomain, ZoneId,
};
use serde::Deserialize;
use std::net::SocketAddr;
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
    pub(super) geo: Geo,
    #[serde(default)]
    pub(super) ingress: Vec<toml::Spanned<Ingress>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) https: Vec<SocketAddr>,
    #[serde(default)]
    pub(super) http: Vec<SocketAddr>,
    pub(super) metrics: Option<SocketAddr>,
    #[serde(default)]
    pub(super) trusted_proxies: Vec<ipnet::IpNet>,
    /// Data-path cores; every core of the machine when absent.
    pub(super) cores: Option<std::num::NonZeroUsize>,
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
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
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
    pub(super) smtp: toml::Spanned<String>,
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
pub(super) struct Geo {
    pub(super) database: Option<toml::Spanned<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ingress {
    pub(super) hostname: toml::Spanned<String>,
    pub(super) path: Option<toml::Spanned<String>>,
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
    pub(super) ca_pool: Option<PathBuf>,
    #[serde(default)]
    pub(super) http2_origin: bool,
}

/// A secret that stands somewhere else: `{ file = "…" }` or `{ env = "NAME" }`; never in the file itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SecretSource {
    File(PathBuf),
    Env(String),
}
