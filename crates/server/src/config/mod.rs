//! From `narthex.toml` to checked settings, in one step at start and at each reload.

mod fault;
mod file;
mod limits;
mod reader;
#[cfg(test)]
mod tests;

pub use fault::ConfigFault;
pub use limits::{ControlLimits, Limits};

use narthex_model::{
    Account, AccountId, Authority, IngressRule, MasterKey, Premises, Secret, TeamDomain, Zone,
};
use narthex_proxy::{LogRequests, ServerCertificate};
use narthex_snapshot::Countries;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How loud the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// Failures and what may become one.
    Warn,
    /// What an operator wants to read.
    Info,
    /// What a developer wants to read.
    Debug,
}

/// Where one-time PIN mail goes.
#[derive(Clone, Debug)]
pub enum MailRoute {
    /// Over SMTP.
    Smtp {
        /// `From` of every mail.
        from: String,
        /// `smtp://` or `smtps://` URL, with credentials if the server wants them.
        url: Secret,
    },
    /// Into a mailbox in memory that the demo shows as a page.
    Mailbox,
    /// Nowhere: a one-time PIN cannot be sent, and people are told so.
    Unset,
}

impl MailRoute {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Smtp { from, url }, Self::Smtp { from: other_from, url: other_url }) => {
                from == other_from && url.expose() == other_url.expose()
            }
            (Self::Mailbox, Self::Mailbox) | (Self::Unset, Self::Unset) => true,
            (Self::Smtp { .. } | Self::Mailbox | Self::Unset, _) => false,
        }
    }
}

/// Where the store lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreRoute {
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// Everything the configuration file says, checked.
#[derive(Debug)]
pub struct Settings {
    /// SQLite files, sealed keys, the local CA.
    pub data_dir: PathBuf,
    /// Addresses of the HTTPS listeners.
    pub https: Vec<SocketAddr>,
    /// Addresses that redirect to HTTPS.
    pub http: Vec<SocketAddr>,
    /// Address of metrics and health.
    pub metrics: Option<SocketAddr>,
    /// Networks whose PROXY protocol or X-Forwarded-For is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Data-path threads.
    pub cores: usize,
    /// The account's id, where the file gives one; otherwise it is the one that the store made.
    pub account_id: Option<AccountId>,
    /// The name people see.
    pub team_name: String,
    /// Where people log in.
    pub team: TeamDomain,
    /// Where administrators work.
    pub admin: Option<Authority>,
    /// DNS zones that applications may lie in.
    pub zones: Vec<Zone>,
    /// Where the origins are, first match wins.
    pub ingress: Vec<IngressRule>,
    /// Certificates for names that do not use the local CA.
    pub certificates: Vec<Arc<ServerCertificate>>,
    /// An API token that always works.
    pub bootstrap_token: Option<Secret>,
    /// Where the store lives.
    pub store: StoreRoute,
    /// The key that seals secrets; `None`: kept in the data directory.
    pub master_key: Option<Arc<MasterKey>>,
    /// Where mail goes.
    pub mail: MailRoute,
    /// Which requests get a log line.
    pub log_requests: LogRequests,
    /// How loud the log is.
    pub log_level: LogLevel,
    /// What nobody may exceed.
    pub limits: Limits,
    /// Days for which access records and traffic counts are kept.
    pub keep_records_days: u32,
    /// Private networks in which identity providers may be called.
    pub private_networks: Vec<ipnet::IpNet>,
    /// The country database, read whole.
    pub countries: Option<Arc<Countries>>,
}

impl Settings {
    /// Reads and checks a configuration file, and the files it names.
    ///
    /// # Errors
    /// [`ConfigFault`] with the line, what was found there and what was expected.
    pub fn read(path: &Path) -> Result<Self, ConfigFault> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ConfigFault::unreadable(path, "configuration file", &e))?;
        Self::parse(&text, path)
    }

    /// The same for a text; `path` names it in messages, and relative paths start beside it.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigFault> {
        reader::Reader { text, path }.settings()
    }

    /// What the file says about the installation, for the account of this id.
    #[must_use]
    pub fn premises(&self, account: AccountId) -> Premises {
        Premises {
            account: Account { id: account, name: self.team_name.clone() },
            zones: self.zones.clone(),
            team: self.team.clone(),
            admin: self.admin.clone(),
            ingress: self.ingress.clone(),
        }
    }

    /// The keys of the file that differ from `running` and are read at a start only.
    #[must_use]
    pub fn need_restart(&self, running: &Self) -> Vec<&'static str> {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|s| s.expose().to_owned());
        [
            ("data_dir", self.data_dir == running.data_dir),
            ("[listen] https", self.https == running.https),
            ("[listen] http", self.http == running.http),
            ("[listen] metrics", self.metrics == running.metrics),
            ("[listen] trusted_proxies", self.trusted_proxies == running.trusted_proxies),
            ("[listen] cores", self.cores == running.cores),
            ("[admin] token", secret(&self.bootstrap_token) == secret(&running.bootstrap_token)),
            ("[account] id", self.account_id == running.account_id),
            ("[store] url", self.store == running.store),
            ("[store] master_key", same_key(&self.master_key, &running.master_key)),
            ("[mail]", self.mail.is_same(&running.mail)),
            ("[limits]", self.limits == running.limits),
            ("[records] keep_days", self.keep_records_days == running.keep_records_days),
            ("[outbound] private_networks", self.private_networks == running.private_networks),
            ("[log] requests", self.log_requests == running.log_requests),
            ("[log] level", self.log_level == running.log_level),
        ]
        .into_iter()
        .filter_map(|(key, same)| (!same).then_some(key))
        .collect()
    }
}

/// Whether both files name the same key, or both leave it to the data directory.
fn same_key(one: &Option<Arc<MasterKey>>, other: &Option<Arc<MasterKey>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
