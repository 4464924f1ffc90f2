//! A process that has handed over keeps up with the store: what is revoked, who logged in, what is configured.

use narthex_api::{ApiError, Desk};
use narthex_model::{Clock, StoredCrl, UnixSeconds};
use narthex_snapshot::Live;
use narthex_store::{Revocation, Revoked, SqliteStore, Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the store may take to say what is revoked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why what another process has written is not in force here.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Desk(#[from] ApiError),
    #[error("the store did not say within {PATIENCE:?} what is revoked")]
    TooSlow,
}

/// Brings what another process writes into force here.
pub(super) struct Follower {
    pub(super) store: Arc<SqliteStore>,
    pub(super) desk: Arc<Desk>,
    pub(super) live: Arc<Live>,
    pub(super) clock: Clock,
    /// What was taken up so far: the version of the data, revocations (the last instant refused), lists.
    version: Option<i64>,
    revoked: HashMap<Revoked, (UnixSeconds, UnixSeconds)>,
    lists: Vec<StoredCrl>,
}

impl Follower {
    pub(super) fn new(
        store: Arc<SqliteStore>,
        desk: Arc<Desk>,
        live: Arc<Live>,
        clock: Clock,
    ) -> Self {
        let (version, revoked, lists) = Default::default();
        Self { store, desk, live, clock, version, revoked, lists }
    }

    /// Takes up everything that was committed before the call. Costs next to nothing when nothing was.
    ///
    /// # Errors
    /// When the store cannot be read, or holds what this process cannot put in force. What could be is in force.
    pub(super) async fn catch_up(&mut self) -> Result<(), FollowError> {
        let now = self.clock.now();
        // Revocations before all else: a session that is read after its end is refused by its nonce.
        let revocations = tokio::time::timeout(PATIENCE, self.take_revocations(now)).await;
        let Some(version) = revocations.map_err(|_| FollowError::TooSlow)?? else { return Ok(()) };
        for session in self.store.live_sessions(now).await? {
            if !self.live.revocations.refuses_session(&session) {
                self.live.sessions.insert(session);
            }
        }
        let revision = self.store.revision().await?;
        self.desk.follow_store(revision, &mut self.lists, now).await?;
        self.version = Some(version);
        Ok(())
    }

    /// Puts new revocations in force; the version of the data that they were read from, unless nothing has changed.
    async fn take_revocations(&mut self, now: UnixSeconds) -> Result<Option<i64>, StoreError> {
        let version = self.store.data_version().await?;
        if self.version == Some(version) {
            return Ok(None);
        }
        for revocation in self.store.revocations(now).await? {
            self.revoke(revocation);
        }
        Ok(Some(version))
    }

    fn revoke(&mut self, revocation: Revocation) {
        let Revocation { what, at, until } = revocation;
        if self.revoked.get(&what) == Some(&(at, until)) {
            return;
        }
        crate::start::put_in_force(&self.live, &what, at, until);
        self.revoked.insert(what, (at, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_api::{Standing, by_itself, stored};
    use narthex_model::{
        Account, Configuration, Group, IdentityNonce, MasterKey, Organization, Premises, Revision,
        Session,
    };
    use narthex_snapshot::{Materials, Snapshot};
    use narthex_store::Change;
    use narthex_token::{KeyRing, SigningKey};
    use serde_json::json;

    const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

    fn session(nonce: &str) -> Session {
        let person = "1335d417-61da-459d-899c-0a01c76a2f94";
        let body = json!({
            "nonce": nonce, "expires_at": NOW.0 + 3_600, "tokens_until": NOW.0 + 86_400,
            "identity": {
                "id": "1", "email": "a@b.com", "idp": {"id": person, "type": "oidc"}, "geo": {"country": null},
                "user_uuid": person, "account_id": "0123456789abcdef0123456789abcdef", "iat": NOW.0, "ip": "192.0.2.1",
            },
        });
        serde_json::from_value(body).unwrap()
    }

    fn group() -> Group {
        let body = json!({
            "id": "9a4bd9c5-5a0e-4d52-9d1f-0d2b00000001", "name": "staff", "include": [{"everyone": {}}],
            "created_at": "2023-11-14T22:13:20Z", "updated_at": "2023-11-14T22:13:20Z",
        });
        serde_json::from_value(body).unwrap()
    }

    /// A process that has handed over, and the store of the one that writes.
    async fn handed_over(place: &std::path::Path) -> (Follower, SqliteStore) {
        let path = place.join("narthex.db");
        let master = Arc::new(MasterKey::generate().0);
        let store = Arc::new(SqliteStore::open(&path, master.clone()).await.unwrap());
        let key = Arc::new(SigningKey::generate(NOW, NOW));
        store.put_key(&stored(&key)).await.unwrap();
        let team = "team.example.com".parse().unwrap();
        let materials = Materials {
            keys: Arc::new(KeyRing::of(vec![key.clone()], &team, NOW).unwrap()),
            premises: Arc::new(Premises {
                account: Account { id: store.account_id().await.unwrap(), name: "a".to_owned() },
                zones: Vec::new(),
                team,
                admin: None,
                ingress: Vec::new(),
            }),
            countries: None,
            revocation_lists: Arc::default(),
        };
        let organization = Organization::new("a".to_owned(), materials.premises.team.clone(), NOW);
        let configuration = Configuration {
            organization: Some(Arc::new(organization)),
            ..Configuration::default()
        };
        let changes = Change::between(&Configuration::default(), &configuration);
        let audit = by_itself("test", "an organization", NOW);
        let revision = store.commit(Revision(0), &changes, &audit).await.unwrap();
        let snapshot = Snapshot::compile(&materials, &configuration, revision).unwrap();
        let live = Arc::new(Live::new(snapshot));
        let standing = Standing { revision, configuration };
        let desk = Desk::new(live.clone(), store.clone(), materials, vec![key], standing);
        let lock = store.share_lock().unwrap().unwrap();
        store.stop_writing().await.unwrap();
        let writer = SqliteStore::take_over(&path, master, lock).await.unwrap();
        let follower = Follower::new(store, Arc::new(desk), live, Clock::manual(NOW));
        (follower, writer)
    }

    #[tokio::test]
    async fn what_another_process_writes_is_in_force_after_one_look() {
        let place = tempfile::tempdir().unwrap();
        let (mut follower, writer) = handed_over(place.path()).await;
        follower.catch_up().await.unwrap();
        let live = follower.live.clone();
        let nonce: IdentityNonce = "n".repeat(16).parse().unwrap();

        writer.put_session(&session(nonce.as_str())).await.unwrap();
        follower.catch_up().await.unwrap();
        assert!(live.sessions.get(&nonce).is_some(), "who logged in is known");
        let calm = live.revocations.generation();
        follower.catch_up().await.unwrap();

        writer.end_session(&nonce, NOW.plus(60)).await.unwrap();
        follower.catch_up().await.unwrap();
        assert!(live.revocations.refuses_session(&session(nonce.as_str())));
        assert!(live.sessions.get(&nonce).is_none());
        assert_eq!(live.revocations.generation(), calm + 1, "each revocation rings once");

        let next = SigningKey::generate(NOW, NOW.plus(86_400));
        writer.put_key(&stored(&next)).await.unwrap();
        let audit = by_itself("test", "a group", NOW);
        writer.commit(Revision(1), &[Change::PutGroup(Arc::new(group()))], &audit).await.unwrap();
        follower.catch_up().await.unwrap();
        let snapshot = live.snapshot.load();
        assert_eq!(snapshot.revision, Revision(2));
        assert!(snapshot.keys.certs_json().contains(next.kid().as_str()), "its tokens will verify");
        assert_eq!(follower.desk.standing().configuration.groups.len(), 1);
        follower.catch_up().await.unwrap();
        assert!(Arc::ptr_eq(&snapshot, &live.snapshot.load()), "nothing new, nothing compiled");
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_read_is_a_failure_and_not_silence() {
        let place = tempfile::tempdir().unwrap();
        let (mut follower, writer) = handed_over(place.path()).await;
        follower.catch_up().await.unwrap();
        follower.store.close().await;
        writer.put_session(&session(&"n".repeat(16))).await.unwrap();
        assert!(follower.catch_up().await.is_err());
    }
}
