//! A file per resource: its JSON, the form of its body, and its operations.

pub(crate) mod accounts;
mod app_document;
mod app_form;
pub(crate) mod app_policies;
pub(crate) mod apps;
mod authority_form;
pub(crate) mod certificate_settings;
pub(crate) mod certificates;
pub(crate) mod client_certificates;
pub(crate) mod groups;
pub(crate) mod hostname_associations;
pub(crate) mod identity_providers;
pub(crate) mod keys;
pub(crate) mod logs;
pub(crate) mod managed_ca;
pub(crate) mod managed_headers;
pub(crate) mod mtls_certificates;
pub(crate) mod organizations;
pub(crate) mod policies;
mod policy_form;
pub(crate) mod revocation_lists;
pub(crate) mod revocations;
pub(crate) mod saml_certificates;
pub(crate) mod service_tokens;
pub(crate) mod tokens;
pub(crate) mod user_sessions;
pub(crate) mod users;
pub(crate) mod zones;

pub use authority_form::EXPIRES_SOON_SECONDS;

use crate::error::{ApiError, Kind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The object of this id, if the caller may see it.
fn found<K: Ord, V>(
    objects: &BTreeMap<K, Arc<V>>,
    id: K,
    seen: impl FnOnce(&V) -> bool,
    kind: Kind,
) -> Result<Arc<V>, ApiError> {
    let object = objects.get(&id).filter(|object| seen(object));
    object.cloned().ok_or(ApiError::Missing(kind))
}

/// Whether `text` has `part` in it, in any case of letters.
fn holds(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}
