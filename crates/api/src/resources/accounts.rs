//! Accounts: there is one, the installation's own.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::ApiError;
use crate::paging::{self, Page};
use narthex_model::{Account, Timestamp};
use serde_json::{Value, json};

fn document(account: &Account, created: Timestamp) -> Value {
    json!({
        "id": account.id, "name": account.name, "type": "standard", "created_on": created,
        "settings": {"abuse_contact_email": null, "enforce_twofactor": false},
    })
}

fn own(call: &Call) -> Value {
    let snapshot = call.parts.live.snapshot.load();
    document(&snapshot.premises.account, snapshot.organization.created_at)
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = Page::of(&call.query, paging::ACCOUNT)?;
    let mut accounts = vec![own(&call)];
    accounts.retain(|account| call.query.text("name").is_none_or(|name| account["name"] == name));
    Ok(Answer::page_of(page, accounts, Value::clone))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(own(&call)))
}
