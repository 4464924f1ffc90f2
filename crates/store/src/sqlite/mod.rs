//! The store on SQLite: two files in WAL mode, one for what is, one for what happened.
//!
//! This file is the table of contents; each group of calls has a file of its own. Times, ids and JSON are plain
//! `BIGINT` and `TEXT`, and the statements stay in the subset that PostgreSQL shares, but for `migrate` and `open`.

mod api_tokens;
mod chain;
mod configuration;
mod crls;
mod database;
mod directory;
mod fault;
mod hand_over;
mod keys;
mod migrate;
mod object;
mod open;
mod pendings;
mod people;
mod records;
mod revocations;
mod row;
mod saml_key;
mod seen;
mod sessions;
mod traffic;
mod trail;

use crate::{
    AdminRecord, ApiToken, Change, Intact, Listing, PendingKind, RecordFilter, RecordedChange,
    Revocation, SamlKey, SpillMark, Store, StoreError, StoredKey, Term, TrafficFilter, TryOutcome,
    UserFilter,
};
use async_trait::async_trait;
use database::Database;
use narthex_model::{
    AccessRecord, AccountId, ApiTokenId, CertificateAuthorityId, ClientId, Configuration,
    CrlSource, EmailAddress, Identity, IdentityNonce, Kid, MasterKey, Revision, Session, StoredCrl,
    Timestamp, TrafficCount, UnixSeconds, User, UserId,
};
use serde_json::Value;
use sqlx::sqlite::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A data directory with its SQLite files.
pub struct SqliteStore {
    /// What is: configuration, keys, people, sessions.
    main: Database,
    /// What happened: access records and traffic.
    records: Database,
    master: Arc<MasterKey>,
    /// Held as long as the store is open, unless it was handed over; `None` for one that was opened beside another process.
    hold: std::sync::Mutex<Option<directory::Hold>>,
    path: PathBuf,
    /// The connection that tells whether another process has changed the main file.
    watcher: Mutex<Option<SqliteConnection>>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn account_id(&self) -> Result<AccountId, StoreError> {
        configuration::account_id(&self.main).await
    }

    async fn load(&self) -> Result<(Revision, Configuration), StoreError> {
        configuration::load(&self.main, &self.master).await
    }

    async fn commit(
        &self,
        expected: Revision,
        changes: &[Change],
        audit: &AdminRecord,
    ) -> Result<Revision, StoreError> {
        configuration::commit(&self.main, &self.master, expected, changes, audit).await
    }

    async fn recorded_changes(
        &self,
        limit: u32,
        offset: u64,
    ) -> Result<Listing<RecordedChange>, StoreError> {
        trail::list(&self.main, limit, offset).await
    }

    async fn load_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        keys::load(&self.main, &self.master).await
    }

    async fn put_key(&self, key: &StoredKey) -> Result<(), StoreError> {
        keys::put(&self.main, &self.master, key).await
    }

    async fn delete_key(&self, kid: &Kid) -> Result<bool, StoreError> {
        keys::delete(&self.main, kid).await
    }

    async fn saml_key(&self) -> Result<Option<SamlKey>, StoreError> {
        saml_key::load(&self.main, &self.master).await
    }

    async fn put_first_saml_key(&self, key: &SamlKey) -> Result<(), StoreError> {
        saml_key::put_first(&self.main, &self.master, key).await
    }

    async fn crls(&self) -> Result<Vec<StoredCrl>, StoreError> {
        crls::all(&self.main).await
    }

    async fn crls_of(
        &self,
        authority: CertificateAuthorityId,
    ) -> Result<Vec<StoredCrl>, StoreError> {
        crls::of(&self.main, authority).await
    }

    async fn put_crl(&self, crl: &StoredCrl) -> Result<bool, StoreError> {
        crls::put(&self.main, crl).await
    }

    async fn delete_crl(
        &self,
        authority: CertificateAuthorityId,
        source: &CrlSource,
    ) -> Result<bool, StoreError> {
        crls::delete(&self.main, authority, source).await
    }

    async fn user_for_login(
        &self,
        email: &EmailAddress,
        name: &str,
        now: UnixSeconds,
    ) -> Result<User, StoreError> {
        people::for_login(&self.main, email, name, now).await
    }

    async fn create_user(
        &self,
        email: &EmailAddress,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<User>, StoreError> {
        people::create(&self.main, email, name, now).await
    }

    async fn rename_user(
        &self,
        id: UserId,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<User>, StoreError> {
        people::rename(&self.main, id, name, now).await
    }

    async fn users(&self, filter: &UserFilter) -> Result<Listing<User>, StoreError> {
        people::list(&self.main, filter).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        people::get(&self.main, id).await
    }

    async fn last_identity(&self, id: UserId) -> Result<Option<Identity>, StoreError> {
        people::last_identity(&self.main, id).await
    }

    async fn delete_user(&self, id: UserId, until: UnixSeconds) -> Result<bool, StoreError> {
        people::delete(&self.main, id, until).await
    }

    async fn put_session(&self, session: &Session) -> Result<(), StoreError> {
        sessions::put(&self.main, session).await
    }

    async fn session(&self, nonce: &IdentityNonce) -> Result<Option<Session>, StoreError> {
        sessions::get(&self.main, nonce).await
    }

    async fn live_sessions(&self, now: UnixSeconds) -> Result<Vec<Session>, StoreError> {
        sessions::live(&self.main, now).await
    }

    async fn sessions_of(
        &self,
        user: UserId,
        now: UnixSeconds,
    ) -> Result<Vec<Session>, StoreError> {
        sessions::of(&self.main, user, now).await
    }

    async fn end_session(
        &self,
        nonce: &IdentityNonce,
        until: UnixSeconds,
    ) -> Result<(), StoreError> {
        revocations::put(&self.main, &[Revocation::of_session(nonce.clone(), until)]).await
    }

    async fn end_all_sessions(&self, until: UnixSeconds) -> Result<Vec<IdentityNonce>, StoreError> {
        sessions::end_all(&self.main, until).await
    }

    async fn put_revocations(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        revocations::put(&self.main, revocations).await
    }

    async fn revocations(&self, now: UnixSeconds) -> Result<Vec<Revocation>, StoreError> {
        revocations::in_force(&self.main, now).await
    }

    async fn put_pending(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        body: &Value,
        expires: UnixSeconds,
    ) -> Result<(), StoreError> {
        pendings::put(&self.main, &self.master, (kind, key), body, expires).await
    }

    async fn peek_pending(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        now: UnixSeconds,
    ) -> Result<Option<Value>, StoreError> {
        pendings::peek(&self.main, &self.master, (kind, key), now).await
    }

    async fn take_pending(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        now: UnixSeconds,
    ) -> Result<Option<Value>, StoreError> {
        pendings::take(&self.main, &self.master, (kind, key), now).await
    }

    async fn count_try(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        limit: u32,
        now: UnixSeconds,
    ) -> Result<TryOutcome, StoreError> {
        pendings::count_try(&self.main, (kind, key), limit, now).await
    }

    async fn put_api_token(&self, token: &ApiToken) -> Result<(), StoreError> {
        api_tokens::put(&self.main, token).await
    }

    async fn api_token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiToken>, StoreError> {
        api_tokens::by_hash(&self.main, hash).await
    }

    async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        api_tokens::list(&self.main).await
    }

    async fn delete_api_token(&self, id: &ApiTokenId) -> Result<bool, StoreError> {
        api_tokens::delete(&self.main, id).await
    }

    async fn append_records(&self, records: &[AccessRecord]) -> Result<(), StoreError> {
        records::append(&self.records, &self.master, records).await
    }

    async fn append_spilled(
        &self,
        records: &[AccessRecord],
        mark: &SpillMark,
    ) -> Result<(), StoreError> {
        records::append_spilled(&self.records, &self.master, records, mark).await
    }

    async fn spill_mark(&self) -> Result<Option<SpillMark>, StoreError> {
        records::spill_mark(&self.records).await
    }

    async fn records(&self, filter: &RecordFilter) -> Result<Vec<AccessRecord>, StoreError> {
        records::list(&self.records, filter).await
    }

    async fn number_of_records(&self, filter: &RecordFilter) -> Result<u64, StoreError> {
        records::number_of(&self.records, filter).await
    }

    async fn prune_records(&self, term: Term, most: u32) -> Result<u64, StoreError> {
        let records = records::prune(&self.records, &self.master, term, most).await?;
        Ok(records + traffic::prune(&self.records, term).await?)
    }

    async fn fold_traffic(&self, counts: &[TrafficCount]) -> Result<(), StoreError> {
        seen::note(&self.main, counts).await?; // first: doing it twice does no harm
        traffic::fold(&self.records, counts).await
    }

    async fn service_tokens_seen(&self) -> Result<BTreeMap<ClientId, Timestamp>, StoreError> {
        seen::all(&self.main).await
    }

    async fn forget_service_tokens_seen(
        &self,
        kept: &BTreeSet<ClientId>,
    ) -> Result<u64, StoreError> {
        seen::forget_others(&self.main, kept).await
    }

    async fn traffic(&self, filter: &TrafficFilter) -> Result<Vec<TrafficCount>, StoreError> {
        traffic::list(&self.records, filter).await
    }

    async fn verify_audit(&self) -> Result<Intact, StoreError> {
        let changes = trail::verify(&self.main, &self.master).await?;
        Ok(changes.and(records::verify(&self.records, &self.master).await?))
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.main.health().await?;
        self.records.health().await
    }

    async fn forget_expired(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        sessions::forget_expired(&self.main, now).await
    }
}
