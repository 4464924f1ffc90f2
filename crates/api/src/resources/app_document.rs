//! The JSON of an application: every field of a self-hosted one, defaults filled in, the rest as it was written.

use crate::resources::policies::{self, Uses};
use narthex_model::{Application, Configuration, Destination};
use serde_json::{Value, json};

/// An application as every answer writes it, its policies written out in order.
pub(super) fn document(app: &Application, configuration: &Configuration, uses: &Uses) -> Value {
    let policies: Vec<Value> = app
        .policies
        .iter()
        .filter_map(|link| {
            let policy = configuration.policies.get(&link.id)?;
            Some(policies::document(policy, Some(link.precedence), uses))
        })
        .collect();
    let uri = |destination: &Destination| json!({"type": "public", "uri": destination.as_str()});
    let destinations: Vec<Value> = app.destinations.iter().map(uri).collect();
    let domains: Vec<&str> = app.destinations.iter().map(Destination::as_str).collect();
    let mut document = json!({
        "id": app.id, "uid": app.id, "aud": app.aud, "type": app.kind, "name": app.name,
        "domain": app.domain(), "destinations": destinations, "self_hosted_domains": domains,
        "policies": policies, "session_duration": app.session_duration, "allowed_idps": app.allowed_idps,
        "auto_redirect_to_identity": app.auto_redirect_to_identity,
        "options_preflight_bypass": app.options_preflight_bypass,
        "service_auth_401_redirect": app.service_auth_401_redirect,
        "read_service_tokens_from_header": app.read_service_tokens_from_header,
        "custom_deny_message": app.custom_deny_message, "custom_deny_url": app.custom_deny_url,
        "custom_non_identity_deny_url": app.custom_non_identity_deny_url,
        "cors_headers": app.cors_headers, "created_at": app.created_at, "updated_at": app.updated_at,
        "allow_authenticate_via_warp": null, "allow_iframe": false, "app_launcher_visible": true,
        "custom_pages": null, "logo_url": null, "mfa_config": null, "oauth_configuration": null,
        "scim_config": null, "skip_interstitial": false, "tags": [],
        "use_clientless_isolation_app_launcher_url": null,
    });
    let cookie = &app.cookie;
    document["same_site_cookie_attribute"] = json!(cookie.same_site_cookie_attribute);
    document["http_only_cookie_attribute"] = cookie.http_only_cookie_attribute.into();
    document["enable_binding_cookie"] = cookie.enable_binding_cookie.into();
    document["path_cookie_attribute"] = cookie.path_cookie_attribute.into();
    document["eager_redirect_cookie_setting"] =
        cookie.eager_redirect_cookie_setting.unwrap_or(true).into();
    for (name, on) in [
        ("partitioned_cookie_handoff", cookie.partitioned_cookie_handoff),
        ("replay_post_after_login", app.replay_post_after_login),
    ] {
        if on {
            document[name] = true.into(); // official clients refuse members that they do not know
        }
    }
    for (name, value) in &app.presentation {
        document[name] = value.clone();
    }
    document
}
