//! The policies of one application. All of them are read here; only those that belong to it are written here.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::policies::{Uses, document};
use crate::resources::policy_form::PolicyForm;
use narthex_model::{Application, Configuration, Policy, PolicyId, PolicyLink};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

/// The link and the policy that the path names after the application.
fn linked(
    call: &Call,
    app: &Application,
    configuration: &Configuration,
) -> Result<(PolicyLink, Arc<Policy>), ApiError> {
    let id: PolicyId = call.id(1, Kind::Policy)?;
    let link = app.policies.iter().find(|link| link.id == id);
    let policy = configuration.policies.get(&id);
    link.cloned().zip(policy.cloned()).ok_or(ApiError::Missing(Kind::Policy))
}

/// The same, if it belongs to the application.
fn own(
    call: &Call,
    app: &Application,
    configuration: &Configuration,
) -> Result<(PolicyLink, Arc<Policy>), ApiError> {
    let (link, policy) = linked(call, app, configuration)?;
    if policy.app.is_none() {
        return Err(ApiError::invalid(
            "",
            "the policy is reusable; change it under access/policies, or unlink it in the application",
        ));
    }
    Ok((link, policy))
}

/// Puts `link` into the application, in its place.
fn put_link(
    configuration: &mut Configuration,
    app: &Application,
    link: PolicyLink,
    call: &Call,
) -> Result<(), ApiError> {
    let mut app = app.clone();
    app.policies.retain(|old| old.id != link.id);
    if app.policies.iter().any(|other| other.precedence == link.precedence) {
        return Err(ApiError::invalid("/precedence", "policy precedences must be unique"));
    }
    app.policies.push(link);
    app.policies.sort_by_key(|link| link.precedence);
    app.updated_at = call.stamp();
    configuration.apps.insert(app.id, Arc::new(app));
    Ok(())
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let standing = call.standing();
    let configuration = &standing.configuration;
    let app = call.app(configuration)?;
    let uses = Uses::of(configuration);
    let policies: Vec<Value> = app
        .policies
        .iter()
        .filter_map(|link| Some((link, configuration.policies.get(&link.id)?)))
        .map(|(link, policy)| document(policy, Some(link.precedence), &uses))
        .collect();
    Ok(Answer::page_of(page, policies, Value::clone))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let standing = call.standing();
    let app = call.app(&standing.configuration)?;
    let (link, policy) = linked(&call, &app, &standing.configuration)?;
    Ok(Answer::ok(document(&policy, Some(link.precedence), &Uses::of(&standing.configuration))))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let form = PolicyForm::read(&call.fields()?)?;
    let id = PolicyId::random();
    let document = call
        .change(&[(FaultAt::Policy(id), String::new())], |configuration| {
            let app = call.app(configuration)?;
            let last = app.policies.iter().map(|link| link.precedence).max();
            let precedence = form.precedence.unwrap_or(last.unwrap_or(0).saturating_add(1));
            put_link(configuration, &app, PolicyLink { id, precedence }, &call)?;
            let policy = Arc::new(form.made(id, Some(app.id), call.stamp()));
            configuration.policies.insert(id, Arc::clone(&policy));
            Ok(document(&policy, Some(precedence), &Uses::of(configuration)))
        })
        .await?;
    Ok(Answer::created(document))
}

pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let id: PolicyId = call.id(1, Kind::Policy)?;
    let form = PolicyForm::read(&call.fields()?)?;
    let document = call
        .change(&[(FaultAt::Policy(id), String::new())], |configuration| {
            let app = call.app(configuration)?;
            let (link, old) = own(&call, &app, configuration)?;
            let precedence = form.precedence.unwrap_or(link.precedence);
            put_link(configuration, &app, PolicyLink { id, precedence }, &call)?;
            let policy = Arc::new(form.replaced(&old, call.stamp()));
            configuration.policies.insert(id, Arc::clone(&policy));
            Ok(document(&policy, Some(precedence), &Uses::of(configuration)))
        })
        .await?;
    Ok(Answer::ok(document))
}

pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id: PolicyId = call.id(1, Kind::Policy)?;
    call.change(&[], |configuration| {
        let mut app = Application::clone(&*call.app(configuration)?);
        own(&call, &app, configuration)?;
        app.policies.retain(|link| link.id != id);
        app.updated_at = call.stamp();
        configuration.apps.insert(app.id, Arc::new(app));
        configuration.policies.remove(&id);
        Ok(())
    })
    .await?;
    Ok(Answer::accepted(json!({ "id": id })))
}

/// Moves a policy of this application to the account, where other applications can link to it.
pub(crate) async fn make_reusable(call: Call) -> Result<Answer, ApiError> {
    let document = call
        .change(&[], |configuration| {
            let app = call.app(configuration)?;
            let (link, old) = own(&call, &app, configuration)?;
            let moved = Policy { app: None, updated_at: call.stamp(), ..Policy::clone(&old) };
            let policy = Arc::new(moved);
            configuration.policies.insert(policy.id, Arc::clone(&policy));
            Ok(document(&policy, Some(link.precedence), &Uses::of(configuration)))
        })
        .await?;
    Ok(Answer::ok(document))
}
