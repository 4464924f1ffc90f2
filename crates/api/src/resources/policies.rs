//! Reusable policies, and the JSON of any policy.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::found;
use crate::resources::policy_form::PolicyForm;
use narthex_model::{Configuration, Policy, PolicyId};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// How many applications link to each policy: `app_count`. Counted once for an answer, however long its list.
pub(super) struct Uses(HashMap<PolicyId, u32>);

impl Uses {
    pub(super) fn of(configuration: &Configuration) -> Self {
        let mut uses = HashMap::new();
        for link in configuration.apps.values().flat_map(|app| &app.policies) {
            *uses.entry(link.id).or_default() += 1;
        }
        Self(uses)
    }
}

/// A policy as every answer writes it; `precedence` where it stands in an application.
pub(super) fn document(policy: &Policy, precedence: Option<u32>, uses: &Uses) -> Value {
    let mut document = json!({
        "id": policy.id, "uid": policy.id, "name": policy.name, "decision": policy.decision,
        "include": policy.rules.include, "exclude": policy.rules.exclude, "require": policy.rules.require,
        "session_duration": policy.session_duration, "reusable": policy.app.is_none(),
        "isolation_required": false, "purpose_justification_required": false, "purpose_justification_prompt": null,
        "approval_required": false, "approval_groups": [], "mfa_config": null, "connection_rules": null,
        "created_at": policy.created_at, "updated_at": policy.updated_at,
    });
    for (name, value) in &policy.presentation {
        document[name] = value.clone();
    }
    if let Some(precedence) = precedence {
        document["precedence"] = precedence.into();
    }
    if policy.app.is_none() {
        document["app_count"] = uses.0.get(&policy.id).copied().unwrap_or(0).into();
    }
    document
}

fn places(id: PolicyId) -> [(FaultAt, String); 1] {
    [(FaultAt::Policy(id), String::new())]
}

fn reusable(policy: &Policy) -> bool {
    policy.app.is_none()
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let standing = call.standing();
    let configuration = &standing.configuration;
    let policies = configuration.policies.values().filter(|policy| reusable(policy));
    let mut policies: Vec<&Arc<Policy>> = policies.collect();
    policies.sort_by_key(|policy| (policy.created_at, policy.id));
    let uses = Uses::of(configuration);
    Ok(Answer::page_of(page, policies, |policy| document(policy, None, &uses)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0, Kind::Policy)?;
    let standing = call.standing();
    let policy = found(&standing.configuration.policies, id, reusable, Kind::Policy)?;
    Ok(Answer::ok(document(&policy, None, &Uses::of(&standing.configuration))))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let form = PolicyForm::read(&call.fields()?)?;
    let id = PolicyId::random();
    let policy = Arc::new(form.made(id, None, call.stamp()));
    let document = call
        .change(&places(id), |configuration| {
            configuration.policies.insert(id, Arc::clone(&policy));
            Ok(document(&policy, None, &Uses::of(configuration)))
        })
        .await?;
    Ok(Answer::created(document))
}

pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let id: PolicyId = call.id(0, Kind::Policy)?;
    let form = PolicyForm::read(&call.fields()?)?;
    let document = call
        .change(&places(id), |configuration| {
            let old = found(&configuration.policies, id, reusable, Kind::Policy)?;
            let policy = Arc::new(form.replaced(&old, call.stamp()));
            configuration.policies.insert(id, Arc::clone(&policy));
            Ok(document(&policy, None, &Uses::of(configuration)))
        })
        .await?;
    Ok(Answer::ok(document))
}

pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id: PolicyId = call.id(0, Kind::Policy)?;
    call.change(&[], |configuration| {
        found(&configuration.policies, id, reusable, Kind::Policy)?;
        configuration.policies.remove(&id);
        Ok(())
    })
    .await?;
    Ok(Answer::accepted(json!({ "id": id })))
}
