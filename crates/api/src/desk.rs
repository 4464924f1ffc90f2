//! The desk: the only writer of configuration (design §3, "The life of a change").
//!
//! A change is made to a copy, compiled as a whole, committed if nobody else was quicker, and then published. It is
//! in force before anyone is told that it succeeded; one that fails at any step has changed nothing.

mod follow;
mod lists;

use crate::error::ApiError;
use arc_swap::ArcSwap;
use narthex_model::{Configuration, Organization, Premises, Revision, UnixSeconds};
use narthex_snapshot::{Countries, Live, Materials, Snapshot};
use narthex_store::{AdminRecord, Change, Store, StoreError, StoredKey};
use narthex_token::{KeyAction, KeyError, KeyRing, SigningKey, made_at, next_action, rotate_now};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Mutex;
use tracing::info;

/// How often a change is made again when somebody else has changed the store meanwhile.
const TRIES: usize = 8;

/// The configuration that was committed last.
#[derive(Debug)]
pub struct Standing {
    /// Its number.
    pub revision: Revision,
    /// What it says.
    pub configuration: Configuration,
}

impl Standing {
    /// The team's settings.
    ///
    /// # Errors
    /// `NoOrganization` before the first start has made one.
    pub fn organization(&self) -> Result<&Arc<Organization>, ApiError> {
        self.configuration.organization.as_ref().ok_or(ApiError::NoOrganization)
    }
}

/// What only one writer at a time holds.
struct Pen {
    materials: Materials,
    keys: Vec<Arc<SigningKey>>,
}

/// The only writer of configuration and signing keys.
pub struct Desk {
    live: Arc<Live>,
    store: Arc<dyn Store>,
    standing: ArcSwap<Standing>,
    pen: Mutex<Pen>,
}

impl Desk {
    /// Takes over what is in force: `live` holds the snapshot compiled from `standing` with `materials`, whose ring
    /// is made of `keys`.
    #[must_use]
    pub fn new(
        live: Arc<Live>,
        store: Arc<dyn Store>,
        materials: Materials,
        keys: Vec<Arc<SigningKey>>,
        standing: Standing,
    ) -> Self {
        let pen = Mutex::new(Pen { materials, keys });
        Self { live, store, standing: ArcSwap::from_pointee(standing), pen }
    }

    /// The configuration in force.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Writes an audit record for what changes no object of the configuration.
    ///
    /// # Errors
    /// `Store` when it could not be kept.
    pub(crate) async fn note_deed(&self, audit: &AdminRecord) -> Result<(), ApiError> {
        let pen = self.pen.lock().await;
        self.note(&pen, audit).await
    }

    /// Makes one change. `edit` works on a copy and may run again when somebody else was quicker, so it must not
    /// have effects elsewhere; what it returns comes back once the change is durable and in force.
    ///
    /// # Errors
    /// What `edit` returns; `Fault` when the outcome does not compile; `Store` when it could not be kept.
    pub async fn change<T: Send>(
        &self,
        audit: &AdminRecord,
        mut edit: impl FnMut(&mut Configuration) -> Result<T, ApiError> + Send,
    ) -> Result<T, ApiError> {
        let pen = self.pen.lock().await;
        for _ in 0..TRIES {
            let standing = self.standing();
            let mut candidate = standing.configuration.clone();
            let made = edit(&mut candidate)?;
            let changes = Change::between(&standing.configuration, &candidate);
            if changes.is_empty() {
                return Ok(made);
            }
            let next = Revision(standing.revision.0 + 1);
            let snapshot = compile(&pen.materials, &candidate, next).await?;
            match self.store.commit(standing.revision, &changes, audit).await {
                Ok(revision) => {
                    self.publish(snapshot, revision, candidate);
                    return Ok(made);
                }
                Err(StoreError::Moved { .. }) => self.follow(&pen).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let standing = self.standing().revision;
        Err(StoreError::Moved { expected: standing, found: standing }.into())
    }

    /// Puts another configuration file in force, with the signing keys as they are.
    ///
    /// # Errors
    /// `Fault` when the configuration does not compile with it; the one in force stays.
    pub async fn replace_premises(
        &self,
        premises: Arc<Premises>,
        countries: Option<Arc<Countries>>,
        now: UnixSeconds,
    ) -> Result<(), ApiError> {
        let mut pen = self.pen.lock().await;
        let keys = ring(&pen.keys, &premises, now)?;
        let materials = Materials { premises, keys, countries, ..pen.materials.clone() };
        self.put_in_force(&mut pen, materials).await
    }

    /// Lets the next signing key take over at once (access-protocol §5.6); tokens of the former one stay good for
    /// its overlap.
    ///
    /// # Errors
    /// `Store` when the keys could not be kept.
    pub async fn rotate_keys(&self, audit: &AdminRecord, now: UnixSeconds) -> Result<(), ApiError> {
        let mut pen = self.pen.lock().await;
        self.note(&pen, audit).await?;
        let action = rotate_now(&pen.keys, now);
        self.carry_out(&mut pen.keys, action, now).await?;
        let kept = self.keep_schedule(&mut pen, now).await;
        self.renew_ring(&mut pen, now).await?; // the store has the new signer, whatever came after
        kept
    }

    /// Does what the key schedule asks for at `now`: call it at start and then every minute. Answers whether
    /// anything changed.
    ///
    /// # Errors
    /// `Store` when the keys could not be kept. What the dates of the keys ask for happens all the same: a store that is
    /// full neither keeps a retired key alive nor holds the next one back (security J7).
    pub async fn tick(&self, now: UnixSeconds) -> Result<bool, ApiError> {
        let mut pen = self.pen.lock().await;
        let before = pen.keys.clone();
        let kept = self.keep_schedule(&mut pen, now).await;
        let acted = before.len() != pen.keys.len()
            || before.iter().zip(&pen.keys).any(|(before, now)| !Arc::ptr_eq(before, now));
        let due = pen.materials.keys.changes_at().is_some_and(|at| at <= now);
        if acted || due {
            self.renew_ring(&mut pen, now).await?;
        }
        kept.map(|()| acted || due)
    }

    /// Takes up what somebody else has committed.
    async fn follow(&self, pen: &Pen) -> Result<(), ApiError> {
        let (revision, configuration) = self.store.load().await?;
        let snapshot = compile(&pen.materials, &configuration, revision).await?;
        self.publish(snapshot, revision, configuration);
        Ok(())
    }

    fn publish(&self, mut snapshot: Snapshot, revision: Revision, configuration: Configuration) {
        snapshot.revision = revision;
        self.standing.store(Arc::new(Standing { revision, configuration }));
        self.live.publish(snapshot);
    }

    /// Writes an audit record for what changes no object.
    async fn note(&self, pen: &Pen, audit: &AdminRecord) -> Result<(), ApiError> {
        for _ in 0..TRIES {
            let standing = self.standing();
            match self.store.commit(standing.revision, &[], audit).await {
                Ok(revision) => {
                    let configuration = standing.configuration.clone();
                    self.standing.store(Arc::new(Standing { revision, configuration }));
                    return Ok(());
                }
                Err(StoreError::Moved { .. }) => self.follow(pen).await?,
                Err(error) => return Err(error.into()),
            }
        }
        let standing = self.standing().revision;
        Err(StoreError::Moved { expected: standing, found: standing }.into())
    }

    async fn put_in_force(&self, pen: &mut Pen, materials: Materials) -> Result<(), ApiError> {
        let standing = self.standing();
        let snapshot = compile(&materials, &standing.configuration, standing.revision).await?;
        pen.materials = materials;
        self.live.publish(snapshot);
        Ok(())
    }

    async fn renew_ring(&self, pen: &mut Pen, now: UnixSeconds) -> Result<(), ApiError> {
        let keys = ring(&pen.keys, &pen.materials.premises, now)?;
        let materials = Materials { keys, ..pen.materials.clone() };
        self.put_in_force(pen, materials).await
    }

    /// Brings the keys in line with the schedule, step by step; what was done before a step failed stays done.
    async fn keep_schedule(&self, pen: &mut Pen, now: UnixSeconds) -> Result<(), ApiError> {
        let days = self.standing().organization()?.keys.key_rotation_interval_days;
        loop {
            let action = next_action(&pen.keys, days, now);
            if action == KeyAction::Nothing {
                return Ok(());
            }
            info!("the key schedule asks for {action:?}");
            self.carry_out(&mut pen.keys, action, now).await?;
        }
    }

    async fn carry_out(
        &self,
        keys: &mut Vec<Arc<SigningKey>>,
        action: KeyAction,
        now: UnixSeconds,
    ) -> Result<(), ApiError> {
        match action {
            KeyAction::Nothing => {}
            KeyAction::Generate { active_from } => {
                let made_at = made_at(keys, now);
                let making =
                    tokio::task::spawn_blocking(move || SigningKey::generate(made_at, active_from));
                let key = making.await.map_err(|why| ApiError::Internal(why.to_string()))?;
                self.store.put_key(&stored(&key)).await?;
                keys.push(Arc::new(key));
            }
            KeyAction::Reschedule { kid, active_from } => {
                if let Some(key) = keys.iter_mut().find(|key| *key.kid() == kid) {
                    let moved = key.rescheduled(active_from);
                    self.store.put_key(&stored(&moved)).await?;
                    *key = Arc::new(moved);
                }
            }
            KeyAction::Retire(kid) => {
                self.store.delete_key(&kid).await?;
                keys.retain(|key| *key.kid() != kid);
            }
        }
        Ok(())
    }
}

/// Compiles on a thread of its own: ten thousand applications take a good part of a second.
async fn compile(
    materials: &Materials,
    configuration: &Configuration,
    revision: Revision,
) -> Result<Snapshot, ApiError> {
    let (materials, configuration) = (materials.clone(), configuration.clone());
    let compiling = tokio::task::spawn_blocking(move || {
        Snapshot::compile(&materials, &configuration, revision)
    });
    let compiled = compiling.await.map_err(|why| ApiError::Internal(why.to_string()))?;
    Ok(compiled?)
}

fn ring(
    keys: &[Arc<SigningKey>],
    premises: &Premises,
    now: UnixSeconds,
) -> Result<Arc<KeyRing>, ApiError> {
    KeyRing::of(keys.to_vec(), &premises.team, now).map(Arc::new).map_err(broken)
}

fn broken(error: KeyError) -> ApiError {
    ApiError::Internal(format!("signing keys: {error}"))
}

/// A signing key in the form in which it is kept.
#[must_use]
pub fn stored(key: &SigningKey) -> StoredKey {
    StoredKey {
        kid: key.kid().clone(),
        pkcs8: key.pkcs8().to_vec().into(),
        certificate_pem: key.certificate_pem().to_owned(),
        created_at: key.created_at(),
        active_from: key.active_from(),
    }
}

/// The audit record of what the program does by itself.
#[must_use]
pub fn by_itself(part: &str, deed: &str, now: UnixSeconds) -> AdminRecord {
    AdminRecord {
        at: narthex_model::Timestamp(now),
        actor: part.to_owned(),
        ip_address: None,
        ray_id: None,
        summary: json!({ "deed": deed }),
    }
}
