//! Rule groups: rules under one name, counted as one boolean.

use crate::{GroupId, RuleSet, Timestamp, ZoneId};
use serde::{Deserialize, Serialize};

/// A named set of rules that policies and other groups refer to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// The rules.
    #[serde(flatten)]
    pub rules: RuleSet,
    /// Whether new applications start with it.
    #[serde(default)]
    pub is_default: bool,
    /// The zone through which it was made, if any.
    #[serde(default)]
    pub zone: Option<ZoneId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
