//! The store as the gateway sees it: the real one, behind faults. A call may fail before it has done anything, or fail
//! after it has done everything; it may be held up while other things happen; and the power may be cut.

use async_trait::async_trait;
use narthex_model::{
    AccessRecord, AccountId, ApiTokenId, CertificateAuthorityId, ClientId, Configuration,
    CrlSource, EmailAddress, Identity, IdentityNonce, Kid, Revision, Session, StoredCrl, Timestamp,
    TrafficCount, UnixSeconds, User, UserId,
};
use narthex_store::{
    AdminRecord, ApiToken, Change, Intact, Listing, PendingKind, RecordFilter, RecordedChange,
    Revocation, SamlKey, SpillMark, Store, StoreError, StoredKey, Term, TrafficFilter, TryOutcome,
    UserFilter,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, Semaphore};

/// On which side of its effect a call is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

#[derive(Default)]
struct State {
    /// Calls until one fails, and where. The calls after it fail too, so many of them.
    fault: Option<(usize, Side, usize)>,
    /// Calls until one is held up, and where.
    hold: Option<(usize, Side)>,
    cut: bool,
    failed: u64,
}

/// What happens to the calls of one run of the gateway.
pub(crate) struct Weather {
    state: Mutex<State>,
    held: Notify,
    go: Semaphore,
}

impl Default for Weather {
    fn default() -> Self {
        Self { state: Mutex::default(), held: Notify::new(), go: Semaphore::new(0) }
    }
}

impl Weather {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The call after `calls` more fails on this side, and `more` after it.
    pub(crate) fn spoil(&self, calls: usize, side: Side, more: usize) {
        self.state().fault = Some((calls, side, more));
    }

    /// The call after `calls` more waits on this side for [`Weather::release`].
    pub(crate) fn hold_up(&self, calls: usize, side: Side) {
        self.state().hold = Some((calls, side));
    }

    /// Fine weather from now on. Answers how many calls have failed.
    pub(crate) fn clear(&self) -> u64 {
        let mut state = self.state();
        (state.fault, state.hold) = (None, None);
        std::mem::take(&mut state.failed)
    }

    /// Ends when a call is held up.
    pub(crate) async fn held(&self) {
        self.held.notified().await;
    }

    /// Lets the call that is held up go.
    pub(crate) fn release(&self) {
        self.go.add_permits(1);
    }

    /// Every call fails from now on, the one that is held up included.
    pub(crate) fn cut_power(&self) {
        self.state().cut = true;
        self.go.add_permits(1);
    }

    async fn pass(&self, side: Side, call: &str) -> Result<(), StoreError> {
        if self.is_caught(side) {
            println!("    {call} is held up {side:?} its effect");
            self.held.notify_one();
            self.go.acquire().await.unwrap().forget();
        }
        self.strike(side, call)
    }

    fn strike(&self, side: Side, call: &str) -> Result<(), StoreError> {
        if side == Side::After {
            println!("    {call}");
        }
        let mut state = self.state();
        if state.cut || state.spoils(side) {
            state.failed += 1;
            println!("    {call} fails");
            return Err(StoreError::Unavailable("so the simulation has it".to_owned()));
        }
        Ok(())
    }

    fn is_caught(&self, side: Side) -> bool {
        let mut state = self.state();
        match &mut state.hold {
            Some((0, at)) if *at == side => {
                state.hold = None;
                true
            }
            Some((calls, _)) => {
                if side == Side::Before {
                    *calls = calls.saturating_sub(1);
                }
                false
            }
            None => false,
        }
    }
}

impl State {
    fn spoils(&mut self, side: Side) -> bool {
        match &mut self.fault {
            Some((0, at, more)) if *at == side => {
                match more.checked_sub(1) {
                    Some(left) => *more = left,
                    None => self.fault = None,
                }
                true
            }
            Some((calls, ..)) => {
                if side == Side::Before {
                    *calls = calls.saturating_sub(1);
                }
                false
            }
            None => false,
        }
    }
}

/// The real store of one run. It is let go when the run ends, so that the next can open it.
pub(crate) struct Weathered {
    weather: Arc<Weather>,
    inner: Mutex<Option<Arc<dyn Store>>>,
}

impl Weathered {
    pub(crate) fn new(inner: Arc<dyn Store>, weather: Arc<Weather>) -> Self {
        Self { weather, inner: Mutex::new(Some(inner)) }
    }

    pub(crate) fn let_go(&self) {
        self.inner.lock().unwrap().take();
    }

    fn inner(&self) -> Result<Arc<dyn Store>, StoreError> {
        let gone = || StoreError::Unavailable("this run is over".to_owned());
        self.inner.lock().unwrap().clone().ok_or_else(gone)
    }
}

/// Work in the background passes in any weather; so that what is held up or fails is what somebody asked for. Revocations
/// wait for their turn, so that one that is held up would hold up whatever is done meanwhile: they only fail.
macro_rules! store {
    ($($when:ident $name:ident($($given:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for Weathered {
            $(async fn $name(&self, $($given: $type),*) -> Result<$answer, StoreError> {
                store!(@pass $when self Before $name);
                let done = self.inner()?.$name($($given),*).await;
                store!(@pass $when self After $name);
                done
            })*
        }
    };
    (@pass exposed $self:ident $side:ident $name:ident) => { $self.weather.pass(Side::$side, stringify!($name)).await? };
    (@pass brisk $self:ident $side:ident $name:ident) => { $self.weather.strike(Side::$side, stringify!($name))? };
    (@pass sheltered $self:ident $side:ident $name:ident) => {};
}

store! {
    sheltered account_id() -> AccountId;
    sheltered load() -> (Revision, Configuration);
    exposed commit(expected: Revision, changes: &[Change], audit: &AdminRecord) -> Revision;
    sheltered recorded_changes(limit: u32, offset: u64) -> Listing<RecordedChange>;
    sheltered load_keys() -> Vec<StoredKey>;
    exposed put_key(key: &StoredKey) -> ();
    exposed delete_key(kid: &Kid) -> bool;
    sheltered saml_key() -> Option<SamlKey>;
    sheltered put_first_saml_key(key: &SamlKey) -> ();
    sheltered crls() -> Vec<StoredCrl>;
    sheltered crls_of(authority: CertificateAuthorityId) -> Vec<StoredCrl>;
    sheltered put_crl(crl: &StoredCrl) -> bool;
    sheltered delete_crl(authority: CertificateAuthorityId, source: &CrlSource) -> bool;
    exposed user_for_login(email: &EmailAddress, name: &str, now: UnixSeconds) -> User;
    exposed create_user(email: &EmailAddress, name: &str, now: UnixSeconds) -> Option<User>;
    exposed rename_user(id: UserId, name: &str, now: UnixSeconds) -> Option<User>;
    exposed users(filter: &UserFilter) -> Listing<User>;
    exposed user(id: UserId) -> Option<User>;
    exposed last_identity(id: UserId) -> Option<Identity>;
    exposed delete_user(id: UserId, until: UnixSeconds) -> bool;
    exposed put_session(session: &Session) -> ();
    exposed session(nonce: &IdentityNonce) -> Option<Session>;
    sheltered live_sessions(now: UnixSeconds) -> Vec<Session>;
    exposed sessions_of(user: UserId, now: UnixSeconds) -> Vec<Session>;
    exposed end_session(nonce: &IdentityNonce, until: UnixSeconds) -> ();
    exposed end_all_sessions(until: UnixSeconds) -> Vec<IdentityNonce>;
    brisk put_revocations(revocations: &[Revocation]) -> ();
    sheltered revocations(now: UnixSeconds) -> Vec<Revocation>;
    exposed put_pending(kind: PendingKind, key: &[u8; 32], body: &Value, expires: UnixSeconds) -> ();
    exposed peek_pending(kind: PendingKind, key: &[u8; 32], now: UnixSeconds) -> Option<Value>;
    exposed take_pending(kind: PendingKind, key: &[u8; 32], now: UnixSeconds) -> Option<Value>;
    exposed count_try(kind: PendingKind, key: &[u8; 32], limit: u32, now: UnixSeconds) -> TryOutcome;
    sheltered put_api_token(token: &ApiToken) -> ();
    sheltered api_token_by_hash(hash: &[u8; 32]) -> Option<ApiToken>;
    sheltered api_tokens() -> Vec<ApiToken>;
    sheltered delete_api_token(id: &ApiTokenId) -> bool;
    sheltered append_records(records: &[AccessRecord]) -> ();
    sheltered append_spilled(records: &[AccessRecord], mark: &SpillMark) -> ();
    sheltered spill_mark() -> Option<SpillMark>;
    sheltered number_of_records(filter: &RecordFilter) -> u64;
    sheltered prune_records(term: Term, most: u32) -> u64;
    sheltered forget_service_tokens_seen(kept: &BTreeSet<ClientId>) -> u64;
    sheltered records(filter: &RecordFilter) -> Vec<AccessRecord>;
    sheltered fold_traffic(counts: &[TrafficCount]) -> ();
    sheltered service_tokens_seen() -> BTreeMap<ClientId, Timestamp>;
    sheltered traffic(filter: &TrafficFilter) -> Vec<TrafficCount>;
    sheltered verify_audit() -> Intact;
    sheltered health() -> ();
    sheltered forget_expired(now: UnixSeconds) -> u64;
}
