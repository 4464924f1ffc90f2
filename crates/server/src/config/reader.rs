//! One reading of the file: from what is written to checked settings, every fault with its place.

use super::file::{self, File, SecretSource};
use super::limits::{ALL, Limit, Limits};
use super::{ConfigFault, LogLevel, MailRoute, Settings, StoreRoute};
use narthex_idp::{MailError, SmtpMailer};
use narthex_model::{
    AccountId, CertificateFiles, Hostname, IngressRule, MasterKey, OriginRequest, Secret, Zone,
    ZoneId,
};
use narthex_proxy::{LogRequests, ServerCertificate};
use narthex_snapshot::{Countries, Snapshot};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// The file at hand, so that every fault can point into it.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl Reader<'_> {
    pub(super) fn settings(&self) -> Result<Settings, ConfigFault> {
        let file: File = toml::from_str(self.text)
            .map_err(|error| ConfigFault::syntax(self.path, self.text, &error))?;
        let data_dir = self.beside(&file.data_dir);
        let https = &file.listen.https;
        if https.as_ref().is_empty() {
            let wanted = "an empty list; https needs at least one address, as in [\"0.0.0.0:443\"]";
            return Err(self.at(https.span(), wanted));
        }
        let settings = Settings {
            https: https.as_ref().clone(),
            http: file.listen.http.clone(),
            metrics: file.listen.metrics,
            trusted_proxies: file.listen.trusted_proxies.clone(),
            cores: file.listen.cores.map_or_else(every_core, NonZeroUsize::get),
            account_id: file.account.id.clone(),
            team_name: file.team.name.clone(),
            team: file.team.domain.clone(),
            admin: file.admin.as_ref().map(|admin| admin.host.clone()),
            zones: file.zone.iter().map(zone).collect(),
            ingress: file
                .ingress
                .iter()
                .map(|entry| self.ingress(entry.as_ref()))
                .collect::<Result<_, _>>()?,
            certificates: file
                .tls
                .certificate
                .iter()
                .map(|entry| self.certificate(entry))
                .collect::<Result<_, _>>()?,
            bootstrap_token: match file.admin.as_ref().and_then(|admin| admin.token.as_ref()) {
                None => None,
                Some(source) => Some(self.secret(source)?),
            },
            store: self.store(&file.store.url, &data_dir)?,
            master_key: self.master_key(file.store.master_key.as_ref())?,
            mail: self.mail(file.mail.as_ref())?,
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
            limits: self.limits(&file.limits)?,
            keep_records_days: self.keep_days(file.records.keep_days.as_ref())?,
            private_networks: file.outbound.private_networks.clone(),
            countries: self.countries(file.geo.database.as_ref())?,
            data_dir,
        };
        self.fits_together(&settings)?;
        Ok(settings)
    }

    /// Half a year unless the file says otherwise.
    fn keep_days(&self, given: Option<&Spanned<u32>>) -> Result<u32, ConfigFault> {
        let Some(given) = given else { return Ok(180) };
        if (1..=36_500).contains(given.as_ref()) {
            return Ok(*given.as_ref());
        }
        let wanted = "keep_days is a whole number of days from 1 to 36500 (a hundred years)";
        Err(self.at(given.span(), wanted))
    }

    /// What the parts demand of each other; the snapshot's check is the only one.
    fn fits_together(&self, settings: &Settings) -> Result<(), ConfigFault> {
        let any_account = AccountId::random(); // no check reads it
        Snapshot::check_premises(&settings.premises(any_account)).map_err(|fault| {
            match self.place_of(&fault.pointer) {
                Some(span) => self.at(span, &fault.message),
                None => ConfigFault::whole(self.path, &fault.message),
            }
        })
    }

    /// Where a pointer such as `/zone/0/name` leads.
    fn place_of(&self, pointer: &str) -> Option<Range<usize>> {
        let table = toml::de::DeTable::parse(self.text).ok()?;
        let mut place = None;
        let mut at: Option<&Spanned<toml::de::DeValue<'_>>> = None;
        for step in pointer.split('/').skip(1) {
            let next = match at.map(Spanned::get_ref) {
                None => table.get_ref().get(step),
                Some(value) => match step.parse::<usize>() {
                    Ok(index) => value.get(index),
                    Err(_) => value.get(step),
                },
            }?;
            place = Some(next.span());
            at = Some(next);
        }
        place
    }

    fn certificate(
        &self,
        entry: &Spanned<file::Certificate>,
    ) -> Result<Arc<ServerCertificate>, ConfigFault> {
        let file::Certificate { cert, key } = entry.as_ref();
        let read = |path: &Spanned<PathBuf>| {
            let (span, path) = (path.span(), self.beside(path.as_ref()));
            std::fs::read(&path)
                .map_err(|e| self.at(span, &format!("{} cannot be read: {e}", path.display())))
        };
        let (chain, private) = (read(cert)?, zeroize::Zeroizing::new(read(key)?));
        let made = ServerCertificate::from_pem(&chain, &private);
        made.map(Arc::new).map_err(|error| {
            let (cert, key) = (cert.as_ref().display(), key.as_ref().display());
            self.at(entry.span(), &format!("{cert} with {key}: {error}"))
        })
    }

    fn master_key(
        &self,
        source: Option<&Spanned<SecretSource>>,
    ) -> Result<Option<Arc<MasterKey>>, ConfigFault> {
        let Some(source) = source else { return Ok(None) };
        let key = MasterKey::parse(self.secret(source)?.expose());
        Ok(Some(Arc::new(key.map_err(|e| self.at(source.span(), &e.to_string()))?)))
    }

    fn countries(
        &self,
        path: Option<&Spanned<PathBuf>>,
    ) -> Result<Option<Arc<Countries>>, ConfigFault> {
        let Some(path) = path else { return Ok(None) };
        match Countries::load(&self.beside(path.as_ref())) {
            Ok(countries) => Ok(Some(Arc::new(countries))),
            Err(error) => Err(self.at(path.span(), &error.to_string())),
        }
    }

    fn ingress(&self, entry: &file::Ingress) -> Result<IngressRule, ConfigFault> {
        let hostname = IngressRule::hostname(entry.hostname.as_ref())
            .map_err(|e| self.at(entry.hostname.span(), &e.to_string()))?;
        let request = &entry.origin_request;
        let ca_pool = match &request.ca_pool {
            None => None,
            Some(path) => {
                let file = self.beside(path.as_ref());
                narthex_upstream::check_ca_pool(&file).map_err(|why| self.at(path.span(), &why))?;
                Some(file)
            }
        };
        let client_certificate = match &request.client_certificate {
            None => None,
            Some(files) => {
                let CertificateFiles { cert, key } = files.as_ref();
                let read = CertificateFiles { cert: self.beside(cert), key: self.beside(key) };
                narthex_upstream::check_client_certificate(&read)
                    .map_err(|why| self.at(files.span(), &why))?;
                Some(read)
            }
        };
        let files = contents(
            ca_pool
                .iter()
                .chain(client_certificate.iter().flat_map(|files| [&files.cert, &files.key])),
        );
        Ok(IngressRule {
            hostname,
            path: entry.path.clone(),
            service: entry.service.clone(),
            origin_request: OriginRequest {
                connect_timeout: request.connect_timeout.clone(),
                response_timeout: request.response_timeout.clone(),
                http_host_header: request.http_host_header.as_ref().map(ToString::to_string),
                origin_server_name: request.origin_server_name.as_ref().map(ToString::to_string),
                no_tls_verify: request.no_tls_verify,
                ca_pool,
                client_certificate,
                files,
                http2_origin: request.http2_origin,
            },
        })
    }

    fn store(&self, url: &Spanned<String>, data_dir: &Path) -> Result<StoreRoute, ConfigFault> {
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

    fn limits(
        &self,
        written: &BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    ) -> Result<Limits, ConfigFault> {
        let mut limits = Limits::default();
        for (name, value) in written {
            let Some(limit) = Limit::named(name.as_ref()) else {
                let known = ALL.iter().map(|limit| format!("`{}`", limit.name));
                let known = known.collect::<Vec<_>>().join(", ");
                let unknown = format!("unknown field `{}`, expected one of {known}", name.as_ref());
                return Err(self.at(name.span(), &unknown));
            };
            limit.put(&mut limits, value.as_ref()).map_err(|why| self.at(value.span(), &why))?;
        }
        Ok(limits)
    }

    fn mail(&self, mail: Option<&file::Mail>) -> Result<MailRoute, ConfigFault> {
        let Some(file::Mail { from, smtp }) = mail else { return Ok(MailRoute::Unset) };
        let (sender, url) = (from.as_ref(), smtp.as_ref().expose());
        match SmtpMailer::new(url, sender) {
            Ok(_) => {}
            Err(MailError::Setting(why)) if why.starts_with("from") => {
                return Err(self.at(from.span(), &why));
            }
            Err(MailError::Setting(why)) => return Err(self.at(smtp.span(), &why)),
            Err(other @ (MailError::Refused(_) | MailError::Unreachable(_))) => {
                return Err(self.at(smtp.span(), &other.to_string()));
            }
        }
        Ok(MailRoute::Smtp { from: sender.clone(), url: smtp.as_ref().clone() })
    }

    fn secret(&self, source: &Spanned<SecretSource>) -> Result<Secret, ConfigFault> {
        let read = match source.as_ref() {
            SecretSource::File(path) => {
                let path = self.beside(path);
                std::fs::read_to_string(&path)
                    .map_err(|e| format!("{} cannot be read: {e}", path.display()))
            }
            SecretSource::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set")),
        };
        let text = read.map_err(|why| self.at(source.span(), &why))?;
        match text.trim() {
            "" => Err(self.at(source.span(), "the secret is empty")),
            secret => Ok(secret.to_owned().into()),
        }
    }

    /// A path of the file: a relative one starts at the file's folder.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn at(&self, span: Range<usize>, message: &str) -> ConfigFault {
        ConfigFault::at(self.path, self.text, span, message)
    }
}

fn every_core() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn zone(zone: &file::Zone) -> Zone {
    let id = zone.id.clone().unwrap_or_else(|| derived_zone_id(&zone.name));
    Zone { id, name: zone.name.clone() }
}

/// A zone id that depends on the name alone, so that scripts may keep it.
pub(super) fn derived_zone_id(name: &Hostname) -> ZoneId {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("zone {name}").as_bytes());
    let hex: String = digest.as_ref().iter().take(16).map(|b| format!("{b:02x}")).collect();
    hex.parse().expect("sixteen bytes are 32 lowercase digits")
}

/// A number that changes with the contents of `files`. One that has vanished since it was checked counts as empty.
fn contents<'a>(files: impl Iterator<Item = &'a PathBuf>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}
