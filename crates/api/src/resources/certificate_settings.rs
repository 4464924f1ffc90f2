//! `access/certificates/settings`: what origins are told about client certificates, hostname by hostname (seed 000,
//! access-protocol §7.3).
//!
//! A write replaces the settings of the hostnames that it names. Three members belong to the contract; ours beside
//! them keep their value when a body does not mention them, so that clients that know nothing of them take nothing
//! away.

use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::error::ApiError;
use crate::fields::Fields;
use narthex_model::{
    ForwardedForm, ForwardedRequests, HeaderRules, Hostname, HostnameSetting, Premises,
    WrittenHostname,
};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

fn document(setting: &HostnameSetting) -> Value {
    json!({
        "hostname": setting.hostname, "china_network": false,
        "client_certificate_forwarding": setting.client_certificate_forwarding,
        "forwarded_requests": setting.forwarded_requests, "forwarded_form": setting.forwarded_form,
        "request_headers": setting.request_headers,
    })
}

/// One entry of the body.
struct Entry {
    hostname: WrittenHostname,
    forwarding: bool,
    /// `None`: as before.
    requests: Option<ForwardedRequests>,
    form: Option<ForwardedForm>,
    headers: Option<HeaderRules>,
}

impl Entry {
    fn read(fields: &Fields) -> Result<Self, ApiError> {
        let forwarding = fields.need("client_certificate_forwarding")?;
        if fields.need("china_network")? {
            return Err(fields.refuse(
                "china_network",
                "china_network cannot be set: this gateway has no such network",
            ));
        }
        Ok(Self {
            hostname: fields.need("hostname")?,
            forwarding,
            requests: kept(fields, "forwarded_requests")?,
            form: kept(fields, "forwarded_form")?,
            headers: kept(fields, "request_headers")?,
        })
    }

    fn onto(&self, old: Option<&HostnameSetting>) -> HostnameSetting {
        HostnameSetting {
            hostname: self.hostname.clone(),
            client_certificate_forwarding: self.forwarding,
            forwarded_requests: self
                .requests
                .or_else(|| old.map(|old| old.forwarded_requests))
                .unwrap_or_default(),
            forwarded_form: self
                .form
                .or_else(|| old.map(|old| old.forwarded_form))
                .unwrap_or_default(),
            request_headers: self
                .headers
                .clone()
                .or_else(|| old.map(|old| old.request_headers.clone()))
                .unwrap_or_default(),
        }
    }
}

/// A member of ours: absent keeps what is there, `null` goes back to the default.
fn kept<T: serde::de::DeserializeOwned + Default>(
    fields: &Fields,
    name: &str,
) -> Result<Option<T>, ApiError> {
    if fields.mentions(name) { fields.or_default(name).map(Some) } else { Ok(None) }
}

/// Whether the settings of `host` belong to the account or zone of the path.
fn belongs(host: &Hostname, scope: &Scope, premises: &Premises) -> bool {
    match (scope, premises.zone_of(host)) {
        (Scope::Account, zone) => premises.zones.is_empty() || zone.is_some(),
        (Scope::Zone(here), zone) => zone.is_some_and(|zone| zone.id == *here),
    }
}

/// Every setting that the path's account or zone sees. An array and no page (api/README "Pagination").
fn all(call: &Call) -> Value {
    let snapshot = call.parts.live.snapshot.load();
    let standing = call.standing();
    let settings = standing.configuration.hostname_settings.values();
    let seen = settings.filter(|it| match &call.scope {
        Scope::Account => true,
        Scope::Zone(_) => belongs(it.hostname.host(), &call.scope, &snapshot.premises),
    });
    seen.map(|it| document(it)).collect()
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(all(&call)))
}

pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let written: Vec<Value> = fields.need("settings")?;
    let mut entries: Vec<Entry> = Vec::new();
    for (place, value) in written.into_iter().enumerate() {
        let at = format!("/settings/{place}");
        let entry = Entry::read(&Fields::within(at.clone(), value)?)?;
        let snapshot = call.parts.live.snapshot.load();
        if !belongs(entry.hostname.host(), &call.scope, &snapshot.premises) {
            let host = entry.hostname.to_string();
            return Err(ApiError::ForeignHostname { pointer: format!("{at}/hostname"), host });
        }
        if entries.iter().any(|other| other.hostname.host() == entry.hostname.host()) {
            let reason = format!("{} stands twice", entry.hostname);
            return Err(ApiError::invalid(format!("{at}/hostname"), reason));
        }
        entries.push(entry);
    }
    let audit = call.audit();
    let outcome = call.parts.desk.change(&audit, |configuration| {
        for entry in &entries {
            let settings = &mut configuration.hostname_settings;
            let host = entry.hostname.host();
            let new = entry.onto(settings.get(host).map(AsRef::as_ref));
            if settings.get(host).is_none_or(|old| **old != new) {
                settings.insert(host.clone(), Arc::new(new));
            }
        }
        Ok(())
    });
    // The pointer of a fault begins with the hostname; the body has them by number.
    let written = |_: FaultAt, pointer: &str| {
        let mut parts = pointer.splitn(3, '/').skip(1);
        let (host, member) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let place = entries.iter().position(|entry| entry.hostname.host().as_str() == host);
        place.map_or(String::new(), |place| format!("/settings/{place}/{member}"))
    };
    let places = [(FaultAt::HostnameSettings, String::new())];
    outcome.await.map_err(|error| error.in_request(&places, written))?;
    Ok(Answer::accepted(all(&call)))
}
