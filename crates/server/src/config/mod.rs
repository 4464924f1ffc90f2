//! From `narthex.toml` to checked settings, in one step at start and at each reload.

mod fault;
mod file;

pub use fault::ConfigFault;

use file::{File, SecretSource};
use narthex_model::{
    Account, AccountId, IngressRule, MasterKey, OriginRequest, Premises, Secret, Zone, ZoneId,
};
use narthex_proxy::{LogRequests, ServerCertificate};
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
    /// Account, zones, team domain, admin host and ingress.
    pub premises: Premises,
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
    /// The country database.
    pub geo_database: Option<PathBuf>,
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
        let file: File = toml::from_str(text).map_err(|e| ConfigFault::syntax(path, &e))?;
        Reader { text, path }.settings(file)
    }
}

/// The file at hand, so that every fault can point into it.
struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Reader<'_> {
    fn settings(&self, file: File) -> Result<Settings, ConfigFault> {
        let beside = self.path.parent().unwrap_or(Path::new("."));
        let data_dir = beside.join(&file.data_dir);
        if file.listen.https.is_empty() {
            return Err(ConfigFault::whole(self.path, "[listen] https needs at least one address"));
        }
        let mut certificates = Vec::new();
        for entry in &file.tls.certificate {
            let span = entry.span();
            let (cert, key) = (beside.join(&entry.as_ref().cert), beside.join(&entry.as_ref().key));
            let read = server_certificate(&cert, &key);
            certificates.push(Arc::new(read.map_err(|why| self.at(span, &why))?));
        }
        let master_key = match &file.store.master_key {
            None => None,
            Some(source) => {
                let text = self.secret(source)?;
                let key = MasterKey::parse(text.expose());
                Some(Arc::new(key.map_err(|e| self.at(source.span(), &e.to_string()))?))
            }
        };
        let bootstrap_token = match file.admin.as_ref().and_then(|admin| admin.token.as_ref()) {
            None => None,
            Some(source) => Some(self.secret(source)?),
        };
        let store = self.store(&file.store.url, &data_dir)?;
        let mail = self.mail(file.mail.as_ref())?;
        let geo_database = file.geo.database.as_ref().map(|path| beside.join(path.as_ref()));
        let (https, http) = (file.listen.https.clone(), file.listen.http.clone());
        Ok(Settings {
            premises: self.premises(&file, &data_dir)?,
            data_dir,
            https,
            http,
            metrics: file.listen.metrics,
            trusted_proxies: file.listen.trusted_proxies,
            cores: file.listen.cores.map_or_else(every_core, std::num::NonZeroUsize::get),
            certificates,
            bootstrap_token,
            store,
            master_key,
            mail,
            log_requests: match file.log.requests {
                file::Requests::Off => LogRequests::Off,
                file::Requests::Refused => LogRequests::Refused,
                file::Requests::All => LogRequests::All,
            },
            log_level: match file.log.level {
                file::Level::Error => LogLevel::Error,
                file::Level::Warn => LogLevel::Warn,
                file::Level::Info => LogLevel::Info,
                file::Level::Debug => LogLevel::Debug,
            },
            geo_database,
        })
    }

    fn premises(&self, file: &File, data_dir: &Path) -> Result<Premises, ConfigFault> {
        let id = match &file.account.id {
            Some(id) => id.clone(),
            None => account_id_of(data_dir).map_err(|e| {
                ConfigFault::unreadable(&data_dir.join("account-id"), "account id", &e)
            })?,
        };
        let zones = file.zone.iter().map(|zone| Zone {
            id: zone.id.clone().unwrap_or_else(|| derived_zone_id(&zone.name)),
            name: zone.name.clone(),
        });
        let ingress = file.ingress.iter().map(|entry| self.ingress(entry.as_ref()));
        Ok(Premises {
            account: Account { id, name: file.team.name.clone() },
            zones: zones.collect(),
            team: file.team.domain.clone(),
            admin: file.admin.as_ref().map(|admin| admin.host.clone()),
            ingress: ingress.collect::<Result<_, _>>()?,
        })
    }

    fn ingress(&self, entry: &file::Ingress) -> Result<IngressRule, ConfigFault> {
        let hostname = IngressRule::hostname(entry.hostname.as_ref())
            .map_err(|e| self.at(entry.hostname.span(), &e.to_string()))?;
        if let Some(path) = &entry.path {
            let sound = regex::Regex::new(path.as_ref());
            sound.map_err(|e| self.at(path.span(), &format!("not a regular expression: {e}")))?;
        }
        let request = &entry.origin_request;
        Ok(IngressRule {
            hostname,
            path: entry.path.as_ref().map(|path| path.as_ref().clone()),
            service: entry.service.clone(),
            origin_request: OriginRequest {
                connect_timeout: request.connect_timeout.clone(),
                response_timeout: request.response_timeout.clone(),
                http_host_header: request.http_host_header.as_ref().map(ToString::to_string),
                origin_server_name: request.origin_server_name.as_ref().map(ToString::to_string),
                no_tls_verify: request.no_tls_verify,
                ca_pool: request.ca_pool.clone(),
                http2_origin: request.http2_origin,
            },
        })
    }

    fn store(
        &self,
        url: &toml::Spanned<String>,
        data_dir: &Path,
    ) -> Result<StoreRoute, ConfigFault> {
        match url.as_ref().split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                Ok(StoreRoute::Sqlite(data_dir.join(path.trim_start_matches("//"))))
            }
            Some(("postgres" | "postgresql", _)) => {
                Err(self.at(url.span(), "PostgreSQL is not supported yet; use sqlite:narthex.db"))
            }
            Some(_) | None => Err(self.at(
                url.span(),
                "a store is sqlite:FILE, relative to data_dir, as in sqlite:narthex.db",
            )),
        }
    }

    fn mail(&self, mail: Option<&file::Mail>) -> Result<MailRoute, ConfigFault> {
        let Some(mail) = mail else { return Ok(MailRoute::Unset) };
        let url = mail.smtp.as_ref();
        if !url.starts_with("smtp://") && !url.starts_with("smtps://") {
            return Err(self.at(mail.smtp.span(), "smtp is an URL such as smtp://127.0.0.1:25 or smtps://user:password@mail.example.com"));
        }
        if !mail.from.as_ref().contains('@') {
            return Err(self.at(
                mail.from.span(),
                "from is an address such as Narthex <no-reply@example.com>",
            ));
        }
        Ok(MailRoute::Smtp { from: mail.from.as_ref().clone(), url: url.clone().into() })
    }

    fn secret(&self, source: &toml::Spanned<SecretSource>) -> Result<Secret, ConfigFault> {
        let read = match source.as_ref() {
            SecretSource::File(path) => std::fs::read_to_string(path)
                .map_err(|e| format!("{} cannot be read: {e}", path.display())),
            SecretSource::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set")),
        };
        let text = read.map_err(|why| self.at(source.span(), &why))?;
        match text.trim() {
            "" => Err(self.at(source.span(), "the secret is empty")),
            secret => Ok(secret.to_owned().into()),
        }
    }

    fn at(&self, span: std::ops::Range<usize>, message: &str) -> ConfigFault {
        ConfigFault::at(self.path, self.text, span, message)
    }
}

/// Reads a certificate chain and its key.
fn server_certificate(cert: &Path, key: &Path) -> Result<ServerCertificate, String> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))
    };
    let (chain, private) = (read(cert)?, zeroize::Zeroizing::new(read(key)?));
    ServerCertificate::from_pem(&chain, &private).map_err(|e| format!("{}: {e}", cert.display()))
}

fn every_core() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// The account id of this data directory, made at the first start.
fn account_id_of(data_dir: &Path) -> std::io::Result<AccountId> {
    let path = data_dir.join("account-id");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(std::io::Error::other),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(AccountId::random()),
        Err(e) => Err(e),
    }
}

/// A zone id that depends on the name alone, so that scripts may keep it.
fn derived_zone_id(name: &narthex_model::Hostname) -> ZoneId {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("zone {name}").as_bytes());
    let hex: String = digest.as_ref().iter().take(16).map(|b| format!("{b:02x}")).collect();
    hex.parse().expect("sixteen bytes are 32 lowercase digits")
}
