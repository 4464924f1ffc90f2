//! The seam: everything that the control side asks of what keeps its data.

use crate::{
    AdminRecord, ApiToken, Change, Listing, PendingKind, RecordFilter, RecordedChange, Revocation,
    SamlKey, SpillMark, StoreError, StoredKey, Term, TrafficFilter, TryOutcome, UserFilter,
};
use async_trait::async_trait;
use narthex_model::{
    AccessRecord, AccountId, ApiTokenId, CertificateAuthorityId, ClientId, Configuration,
    CrlSource, EmailAddress, Identity, IdentityNonce, Kid, Revision, Session, StoredCrl, Timestamp,
    TrafficCount, UnixSeconds, User, UserId,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What [`Store::verify_audit`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intact {
    /// Every row follows from the one before; so many rows.
    Yes(u64),
    /// The chain breaks; the text names the table and the first row that does not fit.
    Broken(String),
}

/// Keeps configuration, people, sessions and records.
///
/// A writing call that returns `Ok` is durable; one that fails has changed nothing. Every call may be dropped
/// half way: it then took effect as a whole or not at all. Each implementation passes `contract::check`.
#[async_trait]
pub trait Store: Send + Sync {
    /// The account's id; made at the first call and the same ever after.
    async fn account_id(&self) -> Result<AccountId, StoreError>;

    // --- Configuration ---

    /// The whole configuration and its revision, as of one instant.
    async fn load(&self) -> Result<(Revision, Configuration), StoreError>;

    /// Makes `changes` and their audit record together, and answers the new revision.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when the configuration is no longer at `expected`.
    async fn commit(
        &self,
        expected: Revision,
        changes: &[Change],
        audit: &AdminRecord,
    ) -> Result<Revision, StoreError>;

    /// The audit of configuration changes, youngest first.
    async fn recorded_changes(
        &self,
        limit: u32,
        offset: u64,
    ) -> Result<Listing<RecordedChange>, StoreError>;

    // --- Signing keys ---

    /// Every key, by `active_from`.
    async fn load_keys(&self) -> Result<Vec<StoredKey>, StoreError>;

    /// Keeps a key, sealed; replaces one of the same id.
    async fn put_key(&self, key: &StoredKey) -> Result<(), StoreError>;

    /// Forgets a key; whether it was there.
    async fn delete_key(&self, kid: &Kid) -> Result<bool, StoreError>;

    /// The key that signs our requests to SAML providers; `None` until one was kept.
    async fn saml_key(&self) -> Result<Option<SamlKey>, StoreError>;

    /// Keeps that key, sealed, unless there is one already: of several callers' keys the first stays. Read it again
    /// for the one that stayed.
    async fn put_first_saml_key(&self, key: &SamlKey) -> Result<(), StoreError>;

    // --- Revocation lists of certificates ---

    /// Every list, by authority and source.
    async fn crls(&self) -> Result<Vec<StoredCrl>, StoreError>;

    /// Those of one authority, by source.
    async fn crls_of(
        &self,
        authority: CertificateAuthorityId,
    ) -> Result<Vec<StoredCrl>, StoreError>;

    /// Keeps a list, or the news that it could not be had; replaces what was kept for the same source. Whether the
    /// authority was there; nothing is kept for one that is not. Deleting an authority forgets its lists.
    async fn put_crl(&self, crl: &StoredCrl) -> Result<bool, StoreError>;

    /// Forgets what is kept for a source; whether it was there.
    async fn delete_crl(
        &self,
        authority: CertificateAuthorityId,
        source: &CrlSource,
    ) -> Result<bool, StoreError>;

    // --- People ---

    /// The user of this address, made if unknown; `name` replaces the kept one unless empty, and the time of the
    /// last successful login becomes `now`. A user who was deleted and comes back has a new id.
    async fn user_for_login(
        &self,
        email: &EmailAddress,
        name: &str,
        now: UnixSeconds,
    ) -> Result<User, StoreError>;

    /// Makes a user ahead of the first login, whom the login then finds; `None` when the address has one already.
    async fn create_user(
        &self,
        email: &EmailAddress,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<User>, StoreError>;

    /// Gives a user another name and answers the user; `None` when there is none.
    async fn rename_user(
        &self,
        id: UserId,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Option<User>, StoreError>;

    /// Users that match.
    async fn users(&self, filter: &UserFilter) -> Result<Listing<User>, StoreError>;

    /// One user.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The identity of the session of the user's that began last, kept after the session has ended.
    async fn last_identity(&self, id: UserId) -> Result<Option<Identity>, StoreError>;

    /// Forgets a user with all sessions and keeps a revocation of the id till `until`; whether the user was there.
    async fn delete_user(&self, id: UserId, until: UnixSeconds) -> Result<bool, StoreError>;

    // --- Sessions ---

    /// Keeps a session; replaces one of the same nonce. A session that was ended does not come back:
    /// its revocation stands.
    async fn put_session(&self, session: &Session) -> Result<(), StoreError>;

    /// One session, whether expired or not.
    async fn session(&self, nonce: &IdentityNonce) -> Result<Option<Session>, StoreError>;

    /// Every session under which a token may still be in force: `now` is before `tokens_until`.
    async fn live_sessions(&self, now: UnixSeconds) -> Result<Vec<Session>, StoreError>;

    /// The live sessions of one user, youngest login first.
    async fn sessions_of(&self, user: UserId, now: UnixSeconds)
    -> Result<Vec<Session>, StoreError>;

    /// Ends a session: removes it and keeps its revocation till `until`, together. Unknown nonces are revoked too.
    async fn end_session(
        &self,
        nonce: &IdentityNonce,
        until: UnixSeconds,
    ) -> Result<(), StoreError>;

    /// Ends every session, as [`Self::end_session`] ends one, and answers which they were.
    async fn end_all_sessions(&self, until: UnixSeconds) -> Result<Vec<IdentityNonce>, StoreError>;

    /// Keeps revocations, all or none; the later instants win over those already kept. Revoking a session or a user also
    /// removes the session, or those of the user's sessions that began at or before `at`.
    /// None of these comes back; a session of that second that was not there yet is a new login, and is kept.
    async fn put_revocations(&self, revocations: &[Revocation]) -> Result<(), StoreError>;

    /// The revocations in force: `now` is before `until`.
    async fn revocations(&self, now: UnixSeconds) -> Result<Vec<Revocation>, StoreError>;

    // --- What waits to be taken once ---

    /// Keeps `body`, sealed, under `key` (SHA-256 of a random handle that only the browser has) until `expires`.
    /// A body that is there already is replaced; the tries counted at it stay counted.
    async fn put_pending(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        body: &Value,
        expires: UnixSeconds,
    ) -> Result<(), StoreError>;

    /// The body, left where it is; `None` when unknown, taken or expired.
    async fn peek_pending(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        now: UnixSeconds,
    ) -> Result<Option<Value>, StoreError>;

    /// The body, removed: of several callers one gets it. `None` when unknown, taken or expired.
    async fn take_pending(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        now: UnixSeconds,
    ) -> Result<Option<Value>, StoreError>;

    /// Counts one try at a pending thing before it is judged; never lets more than `limit` through.
    async fn count_try(
        &self,
        kind: PendingKind,
        key: &[u8; 32],
        limit: u32,
        now: UnixSeconds,
    ) -> Result<TryOutcome, StoreError>;

    // --- API tokens ---

    /// Keeps an API token; replaces one of the same id.
    async fn put_api_token(&self, token: &ApiToken) -> Result<(), StoreError>;

    /// The token with this SHA-256, in force or not: ask [`ApiToken::is_live`].
    async fn api_token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiToken>, StoreError>;

    /// Every API token, oldest first.
    async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError>;

    /// Forgets an API token; whether it was there.
    async fn delete_api_token(&self, id: &ApiTokenId) -> Result<bool, StoreError>;

    // --- Records ---

    /// Appends records, all or none, each chained to the one before by its hash (security L5).
    async fn append_records(&self, records: &[AccessRecord]) -> Result<(), StoreError>;

    /// Appends records that were spilled, and keeps how far that file has been read; both or neither.
    async fn append_spilled(
        &self,
        records: &[AccessRecord],
        mark: &SpillMark,
    ) -> Result<(), StoreError>;

    /// How far a file of spilled records has been read; `None` when there never was one.
    async fn spill_mark(&self) -> Result<Option<SpillMark>, StoreError>;

    /// Records that match.
    async fn records(&self, filter: &RecordFilter) -> Result<Vec<AccessRecord>, StoreError>;

    /// How many records match, whatever the filter's limit and offset.
    async fn number_of_records(&self, filter: &RecordFilter) -> Result<u64, StoreError>;

    /// Forgets records whose time is over, oldest first, at most `most` of them, and the traffic of one hour; answers
    /// how many rows that were. The chain of what is left can still be verified.
    async fn prune_records(&self, term: Term, most: u32) -> Result<u64, StoreError>;

    /// Adds counts of admitted requests to those kept for the same key and hour, and notes when each service token
    /// among the callers was let in last.
    async fn fold_traffic(&self, counts: &[TrafficCount]) -> Result<(), StoreError>;

    /// When service tokens were let in last; those that never were are absent. Kept when the traffic is not.
    async fn service_tokens_seen(&self) -> Result<BTreeMap<ClientId, Timestamp>, StoreError>;

    /// Forgets when service tokens were let in that are not among `kept`; how many those were.
    async fn forget_service_tokens_seen(
        &self,
        kept: &BTreeSet<ClientId>,
    ) -> Result<u64, StoreError>;

    /// Traffic that matches, an entry per key and hour.
    async fn traffic(&self, filter: &TrafficFilter) -> Result<Vec<TrafficCount>, StoreError>;

    /// Reads both audit trails from the start and checks that no row was altered, removed or slipped in.
    async fn verify_audit(&self) -> Result<Intact, StoreError>;

    // --- Upkeep ---

    /// Whether reads and writes would work now; changes nothing.
    async fn health(&self) -> Result<(), StoreError>;

    /// Forgets expired sessions, revocations and pending things, and answers how many.
    async fn forget_expired(&self, now: UnixSeconds) -> Result<u64, StoreError>;
}
