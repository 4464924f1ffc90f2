//! What the configuration file says about this installation, as opposed to what the API may change.

use crate::{AccountId, Authority, Hostname, IngressRule, TeamDomain, ZoneId};
use serde::{Deserialize, Serialize};

/// The account that everything belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The team's name.
    pub name: String,
}

/// A DNS zone that the account answers for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Its id, given or derived from the name.
    pub id: ZoneId,
    /// Its apex.
    pub name: Hostname,
}

/// The installation: read at start and on reload, never changed through the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Premises {
    /// The account.
    pub account: Account,
    /// Its zones.
    pub zones: Vec<Zone>,
    /// Where people log in.
    pub team: TeamDomain,
    /// Where administrators work; `None` switches the API off.
    pub admin: Option<Authority>,
    /// Where the origins are, first match wins.
    pub ingress: Vec<IngressRule>,
}

impl Premises {
    /// The most specific zone that holds `host`.
    #[must_use]
    pub fn zone_of(&self, host: &Hostname) -> Option<&Zone> {
        let holding = self.zones.iter().filter(|zone| host.is_within(&zone.name));
        holding.max_by_key(|zone| zone.name.as_str().len())
    }
}
