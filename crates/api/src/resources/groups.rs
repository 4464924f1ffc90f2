//! Rule groups.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Fields;
use crate::resources::{found, holds};
use narthex_model::{Group, GroupId, RuleSet};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

fn document(group: &Group) -> Value {
    json!({
        "id": group.id, "uid": group.id, "name": group.name, "include": group.rules.include,
        "exclude": group.rules.exclude, "require": group.rules.require, "is_default": group.is_default,
        "created_at": group.created_at, "updated_at": group.updated_at,
    })
}

/// What a create or replace says.
struct Form {
    name: String,
    rules: RuleSet,
    is_default: bool,
}

impl Form {
    fn read(fields: &Fields) -> Result<Self, ApiError> {
        let name = fields.name()?.ok_or_else(|| fields.refuse("name", "name is required"))?;
        Ok(Self { name, rules: rules(fields)?, is_default: fields.or_default("is_default")? })
    }
}

/// `include`, which must have something in it, `exclude` and `require`.
pub(super) fn rules(fields: &Fields) -> Result<RuleSet, ApiError> {
    let rules = RuleSet {
        include: fields.need("include")?,
        exclude: fields.or_default("exclude")?,
        require: fields.or_default("require")?,
    };
    if rules.include.is_empty() {
        return Err(fields.refuse("include", "include needs at least one rule"));
    }
    Ok(rules)
}

fn places(id: GroupId) -> [(FaultAt, String); 1] {
    [(FaultAt::Group(id), String::new())]
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let (name, search) = (call.query.text("name"), call.query.text("search"));
    let standing = call.standing();
    let mut groups: Vec<&Arc<Group>> = standing
        .configuration
        .groups
        .values()
        .filter(|group| call.scope.sees(group.zone.as_ref()))
        .filter(|group| name.is_none_or(|name| group.name == name))
        .filter(|group| search.is_none_or(|part| holds(&group.name, part)))
        .collect();
    groups.sort_by_key(|group| (group.created_at, group.id));
    Ok(Answer::page_of(page, groups, |group| document(group)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0, Kind::Group)?;
    let standing = call.standing();
    let seen = |group: &Group| call.scope.sees(group.zone.as_ref());
    let group = found(&standing.configuration.groups, id, seen, Kind::Group)?;
    Ok(Answer::ok(document(&group)))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let Form { name, rules, is_default } = Form::read(&call.fields()?)?;
    let (id, now) = (GroupId::random(), call.stamp());
    let (zone, created_at, updated_at) = (call.scope.zone(), now, now);
    let group = Arc::new(Group { id, name, rules, is_default, zone, created_at, updated_at });
    call.change(&places(id), |configuration| {
        configuration.groups.insert(id, Arc::clone(&group));
        Ok(())
    })
    .await?;
    Ok(Answer::created(document(&group)))
}

pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(0, Kind::Group)?;
    let form = Form::read(&call.fields()?)?;
    let group = call
        .change(&places(id), |configuration| {
            let seen = |group: &Group| call.scope.sees(group.zone.as_ref());
            let old = found(&configuration.groups, id, seen, Kind::Group)?;
            let group = Arc::new(Group {
                name: form.name.clone(),
                rules: form.rules.clone(),
                is_default: form.is_default,
                updated_at: call.stamp(),
                ..Group::clone(&old)
            });
            configuration.groups.insert(id, Arc::clone(&group));
            Ok(group)
        })
        .await?;
    Ok(Answer::ok(document(&group)))
}

pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id: GroupId = call.id(0, Kind::Group)?;
    call.change(&[], |configuration| {
        let seen = |group: &Group| call.scope.sees(group.zone.as_ref());
        found(&configuration.groups, id, seen, Kind::Group)?;
        configuration.groups.remove(&id);
        Ok(())
    })
    .await?;
    Ok(Answer::accepted(json!({ "id": id })))
}
