//! A gateway that serves: what a reload puts in force, and how it stops.

use super::{Running, certificate_source};
use crate::config::Settings;
use crate::restarts::{Panicked, Work};
use narthex_api::ApiError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long the last records may take to their place: longer than the store waits for somebody who holds the database, so
/// that they are spilled then.
const LAST_RECORDS: Duration = Duration::from_secs(20);

impl Running {
    /// Addresses of the HTTPS listeners, with the ports that were given.
    #[must_use]
    pub fn https(&self) -> Vec<SocketAddr> {
        self.proxy.https_addrs()
    }

    /// Addresses of the redirecting listeners.
    #[must_use]
    pub fn http(&self) -> Vec<SocketAddr> {
        self.proxy.http_addrs()
    }

    /// Puts another reading of the configuration file in force: premises, certificates and the country database, without
    /// a dropped request. What needs a restart is said in the log. On an error nothing has changed.
    ///
    /// # Errors
    /// When the stored configuration does not fit the new file, or a file it names cannot be read.
    pub async fn reload(&mut self, settings: Settings) -> Result<(), ReloadError> {
        let restarts = self.restarts.clone();
        restarts.guard(Work::Reload, self.take_up(settings)).await?
    }

    async fn take_up(&mut self, settings: Settings) -> Result<(), ReloadError> {
        if settings.team != self.settings.team {
            return Err(ReloadError::TeamDomain {
                running: self.settings.team.issuer().to_owned(),
                found: settings.team.issuer().to_owned(),
            });
        }
        let premises = Arc::new(settings.premises(self.account.clone()));
        let countries = settings.countries.clone();
        self.desk.replace_premises(premises, countries, self.clock.now()).await?;
        let waiting = settings.need_restart(&self.settings);
        self.proxy.reload_certificates(certificate_source(settings.certificates, &self.local_ca));
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(keys, "changes of {keys} take effect at the next restart");
        }
        Ok(())
    }

    /// The cores of the data path, to be asked whether they live.
    #[must_use]
    pub fn cores(&self) -> narthex_proxy::Folder {
        self.proxy.folder()
    }

    /// Stops: no new connections, requests under way finish within `[limits] drain`, records are written.
    pub async fn drain(self) {
        self.health.leave();
        let grace = self.settings.limits.control.drain;
        self.end(grace).await;
    }

    pub(crate) async fn end(self, grace: Duration) {
        self.household.abort();
        self.fetcher.abort();
        self.responders.abort();
        self.settler.abort();
        let counts = self.proxy.drain(grace).await;
        if let Err(error) = self.ledger.fold(counts).await {
            tracing::warn!(%error, "the last traffic counts were not kept");
        }
        if self.revocations.count() > 0
            && let Err(error) = self.revocations.settle().await
        {
            let revocations = self.revocations.count();
            tracing::error!(%error, revocations, "revocations were never written and end with this process: repeat them after the start");
        }
        // The data path has dropped its senders; the portal's end when its last errand has.
        let _ = tokio::time::timeout(LAST_RECORDS, self.record_keeper).await;
        tracing::info!(at = %self.clock.now(), "stopped");
    }
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Tokens name their issuer.
    #[error(
        "the issuer of tokens is {running} and [team] domain now makes it {found}; it cannot change while the gateway runs: restart it"
    )]
    TeamDomain {
        /// The one in force.
        running: String,
        /// The one in the file.
        found: String,
    },
    /// The stored configuration does not fit the new file.
    #[error("what the store holds does not fit the new file: {0}")]
    Desk(#[from] ApiError),
    /// The gateway failed over it.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}
