//! The authentication log: who tried to reach which application, the outcome, and why (access-protocol §15.8).

use crate::answer::Answer;
use crate::call::Call;
use crate::error::ApiError;
use crate::query::Query;
use narthex_model::{AccessRecord, Action, Verdict};
use narthex_store::{Direction, EmailMatch, Is, RecordFilter};
use serde_json::{Value, json};

/// The nine fields of the contract, and after them what explains the outcome.
fn document(record: &AccessRecord) -> Value {
    json!({
        "action": action(record.action), "allowed": record.verdict == Verdict::Allowed,
        "app_domain": record.app_domain, "app_uid": record.app, "connection": record.connection,
        "created_at": record.created_at, "ip_address": record.ip_address, "ray_id": record.ray_id,
        "user_email": record.user_email.as_ref().map_or("", |email| email.as_str()),
        "country": record.country, "idp_uid": record.idp, "policy_uid": record.policy, "reason": record.reason,
        "rule": record.rule, "service_token": record.service_token, "user_uid": record.user,
    })
}

/// `login` or `logout` where the contract has a word; a refused request counts as a login that failed.
fn action(action: Action) -> &'static str {
    match action {
        Action::Login | Action::Request => "login",
        Action::Logout => "logout",
        Action::FirstUse => "first_use",
        Action::Revoke => "revoke",
    }
}

pub(crate) async fn access_requests(call: Call) -> Result<Answer, ApiError> {
    let records = call.parts.store.records(&filter(&call.query)?).await?;
    let mut documents: Vec<Value> = records.iter().map(document).collect();
    if let Some(fields) = call.query.text("fields") {
        let wanted: Vec<&str> = fields.split(',').map(str::trim).collect();
        for document in documents.iter_mut().filter_map(Value::as_object_mut) {
            document.retain(|name, _| wanted.contains(&name.as_str()));
        }
    }
    Ok(Answer::ok(documents.into()))
}

fn filter(query: &Query) -> Result<RecordFilter, ApiError> {
    let wanted = "a whole number from 1 to 1000";
    let per_page = query.number("per_page", 1..=1000, wanted)?;
    let limit = query.number("limit", 1..=1000, wanted)?.or(per_page).unwrap_or(25);
    let page = query.number("page", 1..=u64::MAX, "a whole number from 1")?.unwrap_or(1);
    let direction = match query.text("direction") {
        None | Some("desc") => Direction::Desc,
        Some("asc") => Direction::Asc,
        Some(_) => return Err(parameter("direction", "asc or desc")),
    };
    Ok(RecordFilter {
        since: query.time("since")?,
        until: query.time("until")?,
        direction,
        limit: u32::try_from(limit).unwrap_or(1000),
        offset: (page - 1).saturating_mul(limit),
        email: email(query)?,
        allowed: flag(query, "allowed", "allowedOp")?,
        app: compared(query, "app_uid", "app_uidOp")?,
        ray_id: compared(query, "ray_id", "ray_idOp")?,
        user: compared(query, "user_id", "user_idOp")?,
        country: compared(query, "country_code", "country_codeOp")?,
        idp: compared(query, "idp", "idpOp")?,
        non_identity: flag(query, "non_identity", "non_identityOp")?,
        service_token: query.value("service_token")?,
        actions: Vec::new(),
    })
}

fn parameter(name: &'static str, wanted: &str) -> ApiError {
    ApiError::Parameter { name, wanted: wanted.to_owned() }
}

/// Whether a switch such as `app_uidOp` turns its comparison round.
fn reversed(query: &Query, switch: &'static str) -> Result<bool, ApiError> {
    match query.text(switch) {
        None | Some("eq") => Ok(false),
        Some("neq") => Ok(true),
        Some(_) => Err(parameter(switch, "eq or neq")),
    }
}

fn compared<T>(
    query: &Query,
    name: &'static str,
    switch: &'static str,
) -> Result<Option<Is<T>>, ApiError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let not = reversed(query, switch)?;
    Ok(query.value(name)?.map(|value| if not { Is::Not(value) } else { Is::Equal(value) }))
}

fn flag(query: &Query, name: &'static str, switch: &'static str) -> Result<Option<bool>, ApiError> {
    let not = reversed(query, switch)?;
    Ok(query.flag(name)?.map(|value| value != not))
}

fn email(query: &Query) -> Result<Option<EmailMatch>, ApiError> {
    let exact = query.flag("email_exact")?.unwrap_or(false);
    let Some(text) = query.text("email").map(str::to_owned) else { return Ok(None) };
    Ok(Some(match query.text("emailOp") {
        Some("eq") => EmailMatch::Exact(text),
        Some("neq") if exact => EmailMatch::NotExact(text),
        Some("neq") => EmailMatch::NotContains(text),
        Some("contains") => EmailMatch::Contains(text),
        None if exact => EmailMatch::Exact(text),
        None => EmailMatch::Contains(text),
        Some(_) => return Err(parameter("emailOp", "eq, neq or contains")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_clients_write_them() {
        let read = |query: &str| filter(&Query::of(Some(query)));
        assert_eq!(read("").unwrap(), RecordFilter::default());
        let got = read(
            "direction=asc&limit=10&page=3&allowed=true&allowedOp=neq&email=a@b.c&email_exact=true\
                        &country_code=jp&country_codeOp=neq&unknown=1",
        )
        .unwrap();
        let want = RecordFilter {
            direction: Direction::Asc,
            limit: 10,
            offset: 20,
            allowed: Some(false),
            email: Some(EmailMatch::Exact("a@b.c".to_owned())),
            country: Some(Is::Not("JP".parse().unwrap())),
            ..RecordFilter::default()
        };
        assert_eq!(got, want);
        for query in [
            "direction=up",
            "limit=0",
            "limit=1001",
            "allowed=x",
            "allowedOp=gt",
            "app_uid=1",
            "since=yesterday",
            "email=a&emailOp=like",
            "ray_id=zz",
        ] {
            assert!(read(query).is_err(), "{query}");
        }
    }
}
