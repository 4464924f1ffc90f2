//! What is remembered of a provider between logins: its metadata, its keys, and whether it answers.
//!
//! Keys and metadata are trusted for an hour. A token signed by an unknown key has them fetched again at once, but not more
//! than once a minute, so that strangers cannot make us ask a provider without end.

use crate::circuit::Circuit;
use crate::error::IdpError;
use crate::keys::{self, KeySet};
use crate::metadata::{self, Metadata};
use crate::outbound::OutboundHttp;
use narthex_model::{IdpId, OidcConfig, UnixSeconds};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Keys and metadata are fetched again after so many seconds.
const TRUSTED_SECONDS: i64 = 3_600;
/// Unknown keys have the key set fetched again at most once in so many seconds.
const REFETCH_SECONDS: i64 = 60;
/// Providers that were deleted are forgotten when so many are remembered.
const PROVIDERS: usize = 1_000;

/// All providers that were used since the start.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<IdpId, Arc<Provider>>>);

impl Known {
    /// What is remembered of the provider `id`; nothing once its configuration has changed.
    pub(crate) fn provider(&self, id: IdpId, config: &OidcConfig) -> Arc<Provider> {
        let settings = Settings::of(config);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&id).filter(|known| known.settings == settings) {
            return known.clone();
        }
        if all.len() >= PROVIDERS {
            all.clear();
        }
        let provider = Arc::new(Provider {
            settings,
            circuit: Circuit::default(),
            memory: tokio::sync::Mutex::default(),
            failures: AtomicU64::new(0),
        });
        all.insert(id, provider.clone());
        provider
    }
}

/// The settings that what we remember depends on.
#[derive(PartialEq, Eq)]
struct Settings([Option<String>; 5]);

impl Settings {
    fn of(config: &OidcConfig) -> Self {
        let url = |url: &url::Url| Some(url.as_str().to_owned());
        Self([
            url(&config.auth_url),
            url(&config.token_url),
            url(&config.certs_url),
            config.userinfo_url.as_ref().and_then(url),
            config.issuer.clone(),
        ])
    }
}

/// One provider.
pub(crate) struct Provider {
    settings: Settings,
    /// Whether it answers.
    pub(crate) circuit: Circuit,
    /// Held while fetching.
    memory: tokio::sync::Mutex<Memory>,
    /// Counts fetches that failed.
    failures: AtomicU64,
}

#[derive(Default)]
struct Memory {
    learned: Option<(Learned, UnixSeconds)>,
    failed: Option<IdpError>,
    refetched: Option<UnixSeconds>,
}

impl Memory {
    fn trusted(&self, now: UnixSeconds) -> Option<&Learned> {
        let fresh = |(_, at): &&(Learned, UnixSeconds)| now.since(*at) < TRUSTED_SECONDS;
        self.learned.as_ref().filter(fresh).map(|(learned, _)| learned)
    }
}

async fn fetch(http: &OutboundHttp, config: &OidcConfig) -> Result<Learned, IdpError> {
    let metadata = Arc::new(metadata::discover(http, config).await?);
    let keys = Arc::new(keys::fetch(http, &config.certs_url).await?);
    Ok(Learned { metadata, keys })
}

/// What is known of a provider now.
#[derive(Clone)]
pub(crate) struct Learned {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) keys: Arc<KeySet>,
}

impl Provider {
    /// What is known of it, fetched if need be. Those who come while it is being fetched wait and share what is found, also
    /// when that is an error: a crowd makes one call.
    ///
    /// # Errors
    /// As [`metadata::discover`] and [`keys::fetch`]; `Unreachable` while the circuit is open.
    pub(crate) async fn know(
        &self,
        http: &OutboundHttp,
        config: &OidcConfig,
        now: UnixSeconds,
    ) -> Result<Learned, IdpError> {
        let failures = self.failures.load(Ordering::SeqCst);
        let mut memory = self.memory.lock().await;
        if let Some(learned) = memory.trusted(now) {
            return Ok(learned.clone());
        }
        if self.failures.load(Ordering::SeqCst) != failures
            && let Some(error) = &memory.failed
        {
            return Err(error.clone());
        }
        self.circuit.admit(now)?;
        let fetched = fetch(http, config).await;
        self.circuit.record(&fetched, now);
        match &fetched {
            Ok(learned) => memory.learned = Some((learned.clone(), now)),
            Err(error) => {
                memory.failed = Some(error.clone());
                self.failures.fetch_add(1, Ordering::SeqCst);
            }
        }
        fetched
    }

    /// A key set newer than the one that was `tried`, or none when it was fetched again less than a minute ago.
    ///
    /// # Errors
    /// As [`keys::fetch`].
    pub(crate) async fn newer_keys(
        &self,
        http: &OutboundHttp,
        config: &OidcConfig,
        tried: &Learned,
        now: UnixSeconds,
    ) -> Result<Option<Arc<KeySet>>, IdpError> {
        let mut memory = self.memory.lock().await;
        if let Some((learned, _)) = &memory.learned
            && !Arc::ptr_eq(&learned.keys, &tried.keys)
        {
            return Ok(Some(learned.keys.clone())); // somebody else has fetched them meanwhile
        }
        if memory.refetched.is_some_and(|at| now.since(at) < REFETCH_SECONDS) {
            return Ok(None);
        }
        memory.refetched = Some(now);
        let keys = Arc::new(keys::fetch(http, &config.certs_url).await?);
        if let Some((learned, _)) = &mut memory.learned {
            learned.keys = keys.clone();
        }
        Ok(Some(keys))
    }
}
