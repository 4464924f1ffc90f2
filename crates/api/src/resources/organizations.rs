//! The organization: one object, made at the first start and merged with what clients write.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Fields;
use narthex_model::{GoDuration, LoginDesign, Organization, TeamDomain};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::sync::Arc;

/// What is kept and echoed but changes nothing here.
const KEPT: [&str; 5] = [
    "custom_pages",
    "ui_read_only_toggle_reason",
    "user_seat_expiration_inactive_time",
    "warp_auth_non_browser_401",
    "warp_auth_session_duration",
];

/// Switches that would have to change what happens at a login.
const NOT_BUILT: [(&str, &str); 4] = [
    ("allow_authenticate_via_warp", "logging in through the device client"),
    ("mfa_config", "a second factor at the gateway"),
    ("mfa_required_for_all_apps", "a second factor at the gateway"),
    ("mfa_piv_key_requirements", "a second factor at the gateway"),
];

fn document(organization: &Organization) -> Value {
    let mut document = json!({
        "name": organization.name, "auth_domain": organization.auth_domain,
        "login_design": organization.login_design, "session_duration": organization.session_duration,
        "auto_redirect_to_identity": organization.auto_redirect_to_identity,
        "deny_unmatched_requests": organization.deny_unmatched_requests,
        "deny_unmatched_requests_exempted_zone_names": organization.deny_unmatched_requests_exempted_zone_names,
        "strict_service_token_auth": organization.strict_service_token_auth,
        "service_token_inactivity": organization.service_token_inactivity,
        "is_ui_read_only": organization.is_ui_read_only,
        "allow_authenticate_via_warp": false, "mfa_config": null, "mfa_required_for_all_apps": false,
        "created_at": organization.created_at, "updated_at": organization.updated_at,
    });
    for name in KEPT {
        document[name] = organization.presentation.get(name).cloned().unwrap_or_default();
    }
    document
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(call.standing().organization()?)))
}

/// There is one already: the configuration file names it.
pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let name = call.standing().organization()?.name.clone();
    Err(ApiError::Conflict(format!("the organization {name} already exists; change it with PUT")))
}

pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let organization = call
        .change(&[(FaultAt::Organization, String::new())], |configuration| {
            let old = configuration.organization.as_ref().ok_or(ApiError::NoOrganization)?;
            let mut new = merged(old, &fields)?;
            new.updated_at = call.stamp();
            let new = Arc::new(new);
            configuration.organization = Some(Arc::clone(&new));
            Ok(new)
        })
        .await?;
    Ok(Answer::ok(document(&organization)))
}

/// `old` with what the body mentions. `null` gives a setting its default back.
fn merged(old: &Organization, fields: &Fields) -> Result<Organization, ApiError> {
    for (name, what) in NOT_BUILT {
        fields.off(name, what)?;
    }
    harmless(fields)?;
    if let Some(domain) = fields.read::<TeamDomain>("auth_domain")?
        && domain != old.auth_domain
    {
        let domain = old.auth_domain.authority();
        return Err(fields.refuse(
            "auth_domain",
            format!("the team domain is {domain}; change [team] domain in the configuration file"),
        ));
    }
    let mut new = old.clone();
    if let Some(name) = fields.name()? {
        new.name = name;
    }
    if fields.mentions("session_duration") {
        new.session_duration = fields.read("session_duration")?;
    }
    if fields.mentions("service_token_inactivity") {
        new.service_token_inactivity = fields.read("service_token_inactivity")?;
    }
    if fields.mentions("login_design") {
        new.login_design = design(fields)?;
    }
    let names = "deny_unmatched_requests_exempted_zone_names";
    if fields.mentions(names) {
        new.deny_unmatched_requests_exempted_zone_names = fields.or_default(names)?;
    }
    for (name, setting, default) in [
        ("auto_redirect_to_identity", &mut new.auto_redirect_to_identity, false),
        ("deny_unmatched_requests", &mut new.deny_unmatched_requests, true),
        ("strict_service_token_auth", &mut new.strict_service_token_auth, true),
        ("is_ui_read_only", &mut new.is_ui_read_only, false),
    ] {
        if fields.mentions(name) {
            *setting = fields.read(name)?.unwrap_or(default);
        }
    }
    fields.keep(&KEPT, &mut new.presentation);
    Ok(new)
}

/// Of what is kept without effect, refuses what somebody would rely on.
fn harmless(fields: &Fields) -> Result<(), ApiError> {
    let member = |name: &str, inner: &str| {
        fields.raw(name).and_then(|value| value.get(inner)).is_some_and(|on| {
            !matches!(on, Value::Null | Value::Bool(false)) && on.as_str() != Some("")
        })
    };
    for page in ["forbidden", "identity_denied"] {
        if member("custom_pages", page) {
            return Err(fields.refuse("custom_pages", "custom pages are not supported yet"));
        }
    }
    for (name, least) in
        [("user_seat_expiration_inactive_time", 730 * 3600), ("warp_auth_session_duration", 0)]
    {
        if fields.read::<GoDuration>(name)?.is_some_and(|duration| duration.seconds() < least) {
            return Err(fields.refuse(name, "it is at least 730h"));
        }
    }
    Ok(())
}

fn design(fields: &Fields) -> Result<LoginDesign, ApiError> {
    let Some(written) = fields.raw("login_design") else { return Ok(LoginDesign::default()) };
    let fields = Fields::within(fields.pointer("login_design"), written.clone())?;
    Ok(LoginDesign {
        logo_path: fields.text("logo_path", 2000)?,
        background_color: fields.text("background_color", 7)?,
        text_color: fields.text("text_color", 7)?,
        header_text: fields.text("header_text", 1000)?,
        footer_text: fields.text("footer_text", 1000)?,
    })
}
