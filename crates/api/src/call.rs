//! One authenticated call of an operation: what a resource gets to see of a request.

use crate::authenticate::Actor;
use crate::desk::Standing;
use crate::error::{ApiError, Kind};
use crate::fields::Fields;
use crate::paging::{self, Page};
use crate::parts::{ApiParts, Caller};
use crate::query::Query;
use bytes::Bytes;
use narthex_model::{Configuration, Timestamp, UnixSeconds, ZoneId};
use narthex_snapshot::FaultAt;
use narthex_store::AdminRecord;
use serde_json::Value;
use std::str::FromStr;
use std::sync::Arc;

/// Through which door the call came: two doors to the same kind of object (api/README "Rules", 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `/accounts/{id}`, or neither.
    Account,
    /// `/zones/{id}`.
    Zone(ZoneId),
}

impl Scope {
    /// Whether an object is seen here: the account sees all, a zone those that were made through it.
    pub(crate) fn sees(&self, zone: Option<&ZoneId>) -> bool {
        match self {
            Self::Account => true,
            Self::Zone(here) => zone == Some(here),
        }
    }

    /// The zone that a new object belongs to.
    pub(crate) fn zone(&self) -> Option<ZoneId> {
        match self {
            Self::Account => None,
            Self::Zone(here) => Some(here.clone()),
        }
    }
}

/// A request that has been authenticated, routed and permitted.
pub(crate) struct Call {
    pub(crate) parts: Arc<ApiParts>,
    pub(crate) actor: Actor,
    pub(crate) caller: Caller,
    pub(crate) now: UnixSeconds,
    pub(crate) scope: Scope,
    /// The ids in the path after account or zone, percent-decoded.
    pub(crate) ids: Vec<String>,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    /// What the audit trail keeps of the request.
    pub(crate) summary: Value,
}

impl Call {
    /// The id at this place in the path; one that is not even of the right form names no object.
    pub(crate) fn id<T: FromStr>(&self, place: usize, kind: Kind) -> Result<T, ApiError> {
        let id = self.ids.get(place).and_then(|id| id.parse().ok());
        id.ok_or(ApiError::Missing(kind))
    }

    /// The members of the request body.
    pub(crate) fn fields(&self) -> Result<Fields, ApiError> {
        Fields::of(&self.body, self.parts.most_entries)
    }

    /// The page of an Access list.
    pub(crate) fn page(&self) -> Result<Page, ApiError> {
        Page::of(&self.query, paging::ACCESS)
    }

    /// The time of new objects.
    pub(crate) fn stamp(&self) -> Timestamp {
        Timestamp(self.now)
    }

    /// The configuration in force.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.parts.desk.standing()
    }

    /// Who asked for what.
    pub(crate) fn audit(&self) -> AdminRecord {
        AdminRecord {
            at: self.stamp(),
            actor: format!("{} ({})", self.actor.name, self.actor.id),
            ip_address: Some(self.caller.ip),
            ray_id: Some(self.caller.ray.clone()),
            summary: self.summary.clone(),
        }
    }

    /// Changes the configuration. `places` says where in the body the written objects stand.
    pub(crate) async fn change<T: Send>(
        &self,
        places: &[(FaultAt, String)],
        edit: impl FnMut(&mut Configuration) -> Result<T, ApiError> + Send,
    ) -> Result<T, ApiError> {
        let outcome = self.parts.desk.change(&self.audit(), edit).await;
        outcome.map_err(|error| error.in_request(places, |_, pointer| pointer.to_owned()))
    }
}
