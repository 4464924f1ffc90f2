//! Applications.

use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::error::{ApiError, Kind};
use crate::resources::app_document::document;
use crate::resources::app_form::{AppForm, Entry, Extensions, Origin};
use crate::resources::policies::Uses;
use crate::resources::{found, holds};
use narthex_model::{AppId, Application, AudTag, Configuration, PolicyLink, Timestamp};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Call {
    /// The application that the path names.
    pub(super) fn app(&self, configuration: &Configuration) -> Result<Arc<Application>, ApiError> {
        let seen = |app: &Application| self.scope.sees(app.zone.as_ref());
        found(&configuration.apps, self.id(0, Kind::App)?, seen, Kind::App)
    }
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let exact = call.query.flag("exact")?.unwrap_or(false);
    let text = |name| call.query.text(name);
    let (name, domain, aud, search) = (text("name"), text("domain"), text("aud"), text("search"));
    let fits = |text: &str, wanted: &str| if exact { text == wanted } else { holds(text, wanted) };
    let any_domain = |app: &Application, test: &dyn Fn(&str) -> bool| {
        app.destinations.iter().any(|destination| test(destination.as_str()))
    };
    let standing = call.standing();
    let configuration = &standing.configuration;
    let mut apps: Vec<&Arc<Application>> = configuration
        .apps
        .values()
        .filter(|app| call.scope.sees(app.zone.as_ref()))
        .filter(|app| name.is_none_or(|name| fits(&app.name, name)))
        .filter(|app| domain.is_none_or(|d| any_domain(app, &|domain| fits(domain, d))))
        .filter(|app| aud.is_none_or(|aud| app.aud.as_str() == aud))
        .filter(|app| {
            search.is_none_or(|part| {
                holds(&app.name, part)
                    || app.aud.as_str() == part
                    || any_domain(app, &|domain| holds(domain, part))
            })
        })
        .collect();
    apps.sort_by_key(|app| (app.created_at, app.id));
    let uses = Uses::of(configuration);
    Ok(Answer::page_of(page, apps, |app| document(app, configuration, &uses)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let standing = call.standing();
    let app = call.app(&standing.configuration)?;
    Ok(Answer::ok(document(&app, &standing.configuration, &Uses::of(&standing.configuration))))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let form = AppForm::read(&call.fields()?)?;
    let (id, aud, now) = (AppId::random(), AudTag::random(), call.stamp());
    let edit = |configuration: &mut Configuration| {
        let policies = settle(configuration, id, form.policies.as_deref().unwrap_or(&[]), now)?;
        let (aud, zone, extensions) = (aud.clone(), call.scope.zone(), Extensions::default());
        let app = form.made(Origin { id, aud, zone, created_at: now, extensions }, policies, now);
        within_zone(&call, &form, &app)?;
        configuration.apps.insert(id, Arc::new(app));
        Ok(document(&configuration.apps[&id], configuration, &Uses::of(configuration)))
    };
    Ok(Answer::created(write(&call, id, &form, edit).await?))
}

/// A replace: what the body does not mention falls back to its default, but for the policies and our own extensions,
/// which stay.
pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0, Kind::App)?;
    let form = AppForm::read(&call.fields()?)?;
    let edit = |configuration: &mut Configuration| {
        let old = call.app(configuration)?;
        let policies = match &form.policies {
            None => old.policies.clone(),
            Some(entries) => settle(configuration, id, entries, call.stamp())?,
        };
        let (aud, zone, created_at) = (old.aud.clone(), old.zone.clone(), old.created_at);
        let origin = Origin { id, aud, zone, created_at, extensions: Extensions::of(&old) };
        let app = form.made(origin, policies, call.stamp());
        within_zone(&call, &form, &app)?;
        configuration.apps.insert(id, Arc::new(app));
        Ok(document(&configuration.apps[&id], configuration, &Uses::of(configuration)))
    };
    Ok(Answer::ok(write(&call, id, &form, edit).await?))
}

/// The policies that belong to the application go with it.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id: AppId = call.id(0, Kind::App)?;
    call.change(&[], |configuration| {
        call.app(configuration)?;
        configuration.apps.remove(&id);
        configuration.policies.retain(|_, policy| policy.app != Some(id));
        Ok(())
    })
    .await?;
    Ok(Answer::accepted(json!({ "id": id })))
}

/// The two settings that have a path of their own.
const SETTINGS: [&str; 2] = ["allow_iframe", "skip_interstitial"];

pub(crate) async fn replace_settings(call: Call) -> Result<Answer, ApiError> {
    settings(call, |app| SETTINGS.iter().for_each(|name| drop(app.presentation.remove(*name))))
        .await
}

pub(crate) async fn change_settings(call: Call) -> Result<Answer, ApiError> {
    settings(call, |_| {}).await
}

async fn settings(call: Call, before: fn(&mut Application)) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    for name in SETTINGS {
        fields.read::<bool>(name)?;
    }
    let app = call
        .change(&[], |configuration| {
            let mut app = Application::clone(&*call.app(configuration)?);
            before(&mut app);
            fields.keep(&SETTINGS, &mut app.presentation);
            app.updated_at = call.stamp();
            let app = Arc::new(app);
            configuration.apps.insert(app.id, Arc::clone(&app));
            Ok(app)
        })
        .await?;
    let setting = |name: &str| app.presentation.get(name).cloned().unwrap_or(Value::Bool(false));
    Ok(Answer::ok(SETTINGS.iter().map(|name| ((*name).to_owned(), setting(name))).collect()))
}

/// Makes the change and turns a fault into one that points into the body.
async fn write(
    call: &Call,
    id: AppId,
    form: &AppForm,
    edit: impl FnMut(&mut Configuration) -> Result<Value, ApiError> + Send,
) -> Result<Value, ApiError> {
    let inner = form.policies.iter().flatten().map(|e| (FaultAt::Policy(e.id), e.at.clone()));
    let places: Vec<_> = std::iter::once((FaultAt::App(id), String::new())).chain(inner).collect();
    let written = |object: FaultAt, pointer: &str| match object {
        FaultAt::App(_) => form.place(pointer),
        FaultAt::Organization
        | FaultAt::Policy(_)
        | FaultAt::Group(_)
        | FaultAt::IdentityProvider(_)
        | FaultAt::ServiceToken(_)
        | FaultAt::CertificateAuthority(_)
        | FaultAt::HostnameSettings
        | FaultAt::Premises => pointer.to_owned(),
    };
    let outcome = call.parts.desk.change(&call.audit(), edit).await;
    outcome.map_err(|error| {
        let clash = form.clash(id, &call.standing().configuration);
        match (error.in_request(&places, written), clash) {
            (ApiError::Duplicate { .. }, Some(clash)) => clash,
            (error, _) => error,
        }
    })
}

/// Through the door of a zone only hosts of that zone can be protected.
fn within_zone(call: &Call, form: &AppForm, app: &Application) -> Result<(), ApiError> {
    let Scope::Zone(here) = &call.scope else { return Ok(()) };
    let snapshot = call.parts.live.snapshot.load();
    let Some(zone) = snapshot.premises.zones.iter().find(|zone| zone.id == *here) else {
        return Ok(());
    };
    for (index, destination) in app.destinations.iter().enumerate() {
        let inside = destination.host.exact().map_or_else(
            || {
                let suffix = destination.host.fixed_suffix();
                suffix.parse().is_ok_and(|name: narthex_model::Hostname| name.is_within(&zone.name))
            },
            |host| host.is_within(&zone.name),
        );
        if !inside {
            let at = form.written_at.get(index).cloned().unwrap_or_default();
            let reason = format!("domain does not belong to zone {}", zone.name);
            return Err(ApiError::invalid(at, reason));
        }
    }
    Ok(())
}

/// Puts the policies of an application in the order of `entries`: makes those written out, finds those named, and
/// removes those that belonged to the application and are named no more.
fn settle(
    configuration: &mut Configuration,
    app: AppId,
    entries: &[Entry],
    now: Timestamp,
) -> Result<Vec<PolicyLink>, ApiError> {
    let mut links: Vec<PolicyLink> = Vec::new();
    let mut taken = BTreeSet::new();
    let mut last = 0u32;
    for entry in entries {
        let id = entry.id;
        if links.iter().any(|link| link.id == id) {
            return Err(ApiError::invalid(&entry.at, format!("policy {id} stands here twice")));
        }
        let known = configuration.policies.get(&id).cloned();
        let own = known.as_ref().is_some_and(|policy| policy.app == Some(app));
        let reusable = known.as_ref().is_some_and(|policy| policy.app.is_none());
        match (&entry.form, known) {
            (Some(form), None) if !entry.named => {
                let policy = form.made(id, Some(app), now);
                configuration.policies.insert(id, Arc::new(policy));
            }
            (Some(form), Some(old)) if own => {
                configuration.policies.insert(id, Arc::new(form.replaced(&old, now)));
            }
            // What was written out of a reusable policy is only read back; it changes at a path of its own.
            (Some(_) | None, Some(_)) if own || reusable => {}
            (Some(_) | None, Some(_)) => {
                let reason = format!("policy {id} belongs to another application");
                return Err(ApiError::invalid(&entry.at, reason));
            }
            (Some(_) | None, None) => {
                return Err(ApiError::invalid(&entry.at, format!("there is no policy {id}")));
            }
        }
        last = entry.precedence.unwrap_or(last.saturating_add(1));
        if !taken.insert(last) {
            let at = format!("{}/precedence", entry.at);
            return Err(ApiError::invalid(at, "policy precedences must be unique"));
        }
        links.push(PolicyLink { id, precedence: last });
    }
    let kept: BTreeSet<_> = links.iter().map(|link| link.id).collect();
    configuration.policies.retain(|id, policy| policy.app != Some(app) || kept.contains(id));
    links.sort_by_key(|link| link.precedence);
    Ok(links)
}
