//! What the body of an application says (api/README "Applications").

use crate::error::ApiError;
use crate::fields::Fields;
use crate::resources::policy_form::{PolicyForm, precedence};
use narthex_model::{
    AppId, AppKind, Application, AudTag, Configuration, CookieSettings, CorsHeaders, Destination,
    GoDuration, IdpId, PolicyId, PolicyLink, SameSite, Timestamp, ZoneId,
};
use serde_json::{Map, Value};

/// What is kept and echoed but changes nothing here. `cors_headers` is also kept as it was written.
const KEPT: [&str; 10] = [
    "allow_iframe",
    "app_launcher_visible",
    "cors_headers",
    "custom_pages",
    "logo_url",
    "mfa_config",
    "oauth_configuration",
    "scim_config",
    "skip_interstitial",
    "tags",
];

/// The body of an application, checked as far as it can be by itself.
#[derive(Clone)]
pub(super) struct AppForm {
    name: String,
    destinations: Vec<Destination>,
    /// Where each destination stands in the body.
    pub(super) written_at: Vec<String>,
    session_duration: Option<GoDuration>,
    allowed_idps: Vec<IdpId>,
    auto_redirect_to_identity: bool,
    cookie: CookieSettings,
    cors_headers: Option<CorsHeaders>,
    options_preflight_bypass: bool,
    service_auth_401_redirect: bool,
    read_service_tokens_from_header: Option<String>,
    custom_deny_message: Option<String>,
    custom_deny_url: Option<String>,
    custom_non_identity_deny_url: Option<String>,
    partitioned_cookie_handoff: Said,
    replay_post_after_login: Said,
    /// `None` leaves the policies as they are.
    pub(super) policies: Option<Vec<Entry>>,
    presentation: Map<String, Value>,
}

/// One element of `policies`: the id of a policy, a link to one, or a policy written out.
#[derive(Clone)]
pub(super) struct Entry {
    /// The policy's id; a new one for a policy written out without.
    pub(super) id: PolicyId,
    /// Whether the body named the id.
    pub(super) named: bool,
    pub(super) precedence: Option<u32>,
    /// What was written out.
    pub(super) form: Option<PolicyForm>,
    /// Where it stands in the body.
    pub(super) at: String,
}

/// What stays the same when an application is replaced.
pub(super) struct Origin {
    pub(super) id: AppId,
    pub(super) aud: AudTag,
    pub(super) zone: Option<ZoneId>,
    pub(super) created_at: Timestamp,
    pub(super) extensions: Extensions,
}

/// Settings of ours that the contract does not have. Official clients cannot send them, so a replace that does not
/// mention one leaves it as it is, and an answer shows one only where it is on.
#[derive(Clone, Copy, Default)]
pub(super) struct Extensions {
    partitioned_cookie_handoff: bool,
    replay_post_after_login: bool,
}

impl Extensions {
    pub(super) fn of(app: &Application) -> Self {
        Self {
            partitioned_cookie_handoff: app.cookie.partitioned_cookie_handoff,
            replay_post_after_login: app.replay_post_after_login,
        }
    }
}

/// What a body says about such a setting.
#[derive(Clone, Copy)]
enum Said {
    Nothing,
    Set(bool),
}

impl Said {
    fn read(fields: &Fields, name: &str) -> Result<Self, ApiError> {
        let set = fields.or_default(name)?;
        Ok(if fields.mentions(name) { Self::Set(set) } else { Self::Nothing })
    }

    fn or(self, before: bool) -> bool {
        match self {
            Self::Nothing => before,
            Self::Set(set) => set,
        }
    }
}

impl AppForm {
    /// # Errors
    /// `Invalid` with the place of what is missing, wrong, or not built.
    pub(super) fn read(fields: &Fields) -> Result<Self, ApiError> {
        fields.or_default::<AppKind>("type")?;
        not_built(fields)?;
        let (destinations, written_at) = destinations(fields)?;
        let domain = destinations.first().map_or_else(String::new, ToString::to_string);
        Ok(Self {
            name: fields.name()?.unwrap_or(domain),
            destinations,
            written_at,
            session_duration: fields.read("session_duration")?,
            allowed_idps: fields.or_default("allowed_idps")?,
            auto_redirect_to_identity: fields.or_default("auto_redirect_to_identity")?,
            cookie: cookie(fields)?,
            cors_headers: fields.read("cors_headers")?,
            options_preflight_bypass: fields.or_default("options_preflight_bypass")?,
            service_auth_401_redirect: fields.or_default("service_auth_401_redirect")?,
            read_service_tokens_from_header: fields.text("read_service_tokens_from_header", 100)?,
            custom_deny_message: fields.text("custom_deny_message", 5000)?,
            custom_deny_url: fields.text("custom_deny_url", 2000)?,
            custom_non_identity_deny_url: fields.text("custom_non_identity_deny_url", 2000)?,
            partitioned_cookie_handoff: Said::read(fields, "partitioned_cookie_handoff")?,
            replay_post_after_login: Said::read(fields, "replay_post_after_login")?,
            policies: policies(fields)?,
            presentation: presentation(fields)?,
        })
    }

    /// The application that this form makes.
    pub(super) fn made(
        &self,
        origin: Origin,
        policies: Vec<PolicyLink>,
        now: Timestamp,
    ) -> Application {
        let form = self.clone();
        let before = origin.extensions;
        let partitioned_cookie_handoff =
            form.partitioned_cookie_handoff.or(before.partitioned_cookie_handoff);
        Application {
            id: origin.id,
            aud: origin.aud,
            name: form.name,
            kind: AppKind::SelfHosted,
            destinations: form.destinations,
            session_duration: form.session_duration.unwrap_or_else(|| GoDuration::hours(24)),
            allowed_idps: form.allowed_idps,
            auto_redirect_to_identity: form.auto_redirect_to_identity,
            cookie: CookieSettings { partitioned_cookie_handoff, ..form.cookie },
            cors_headers: form.cors_headers,
            options_preflight_bypass: form.options_preflight_bypass,
            service_auth_401_redirect: form.service_auth_401_redirect,
            read_service_tokens_from_header: form.read_service_tokens_from_header,
            custom_deny_message: form.custom_deny_message,
            custom_deny_url: form.custom_deny_url,
            custom_non_identity_deny_url: form.custom_non_identity_deny_url,
            replay_post_after_login: form
                .replay_post_after_login
                .or(before.replay_post_after_login),
            policies,
            presentation: form.presentation,
            zone: origin.zone,
            created_at: origin.created_at,
            updated_at: now,
        }
    }

    /// The destination that another application than `id` has already. Two applications of the same second are
    /// equally old, so the fault of the snapshot may blame either; the client wants to hear of its own.
    pub(super) fn clash(&self, id: AppId, configuration: &Configuration) -> Option<ApiError> {
        let others = || configuration.apps.values().filter(|app| app.id != id);
        self.destinations.iter().enumerate().find_map(|(index, own)| {
            let same = |other: &Destination| other.host == own.host && other.path == own.path;
            let owner = others().find(|app| app.destinations.iter().any(same))?;
            Some(ApiError::Duplicate {
                pointer: self.written_at.get(index).cloned().unwrap_or_default(),
                application: index == 0,
                reason: format!(
                    "destination belongs to another application: {own} is a destination of {} ({})",
                    owner.name, owner.id
                ),
            })
        })
    }

    /// Where the body says what stands at this pointer of the application's JSON.
    pub(super) fn place(&self, pointer: &str) -> String {
        let index = pointer
            .strip_prefix("/destinations/")
            .and_then(|rest| rest.split('/').next().and_then(|index| index.parse::<usize>().ok()));
        index
            .and_then(|index| self.written_at.get(index))
            .map_or(pointer, String::as_str)
            .to_owned()
    }
}

/// Refuses to switch on what would have to change who gets in, or how.
fn not_built(fields: &Fields) -> Result<(), ApiError> {
    fields.off("allow_authenticate_via_warp", "logging in through the device client")?;
    fields.off("use_clientless_isolation_app_launcher_url", "browser isolation")?;
    fields.off("custom_pages", "custom pages")?;
    fields.off("target_criteria", "infrastructure targets")?;
    fields.off("saas_app", "SaaS applications")?;
    let inner = |name: &str| match fields.raw(name) {
        None => Ok(Fields::default()),
        Some(value) => Fields::within(fields.pointer(name), value.clone()),
    };
    inner("mfa_config")?.off("allowed_authenticators", "a second factor at the gateway")?;
    inner("oauth_configuration")?.off("enabled", "managed OAuth")?;
    let scim = inner("scim_config")?;
    if fields.raw("scim_config").is_some() && scim.raw("enabled") != Some(&Value::Bool(false)) {
        return Err(scim.refuse(
            "enabled",
            "provisioning into applications is not supported yet; send false, or no scim_config",
        ));
    }
    scim.off("authentication", "provisioning into applications")
}

/// The public destinations, with the place of each. `destinations` wins over `self_hosted_domains`, and `domain`
/// alone is a list of one; beside a list it has to be in it, so that nobody thinks it protected when it is not.
fn destinations(fields: &Fields) -> Result<(Vec<Destination>, Vec<String>), ApiError> {
    let written: Vec<Value> = fields.or_default("destinations")?;
    let domains: Vec<Value> = fields.or_default("self_hosted_domains")?;
    let mut found = Vec::new();
    let mut places = Vec::new();
    if !written.is_empty() {
        for (index, value) in written.into_iter().enumerate() {
            let at = format!("{}/{index}", fields.pointer("destinations"));
            let fields = Fields::within(at, value)?;
            found.push(public(&fields)?);
            places.push(fields.pointer("uri"));
        }
    } else if !domains.is_empty() {
        found = fields.need("self_hosted_domains")?;
        let place = |index| format!("{}/{index}", fields.pointer("self_hosted_domains"));
        places = (0..found.len()).map(place).collect();
    }
    let Some(domain) = fields.read::<Destination>("domain")? else {
        if found.is_empty() {
            return Err(fields.refuse(
                "domain",
                "one of domain, destinations and self_hosted_domains is required",
            ));
        }
        return Ok((found, places));
    };
    if found.is_empty() {
        return Ok((vec![domain], vec![fields.pointer("domain")]));
    }
    if !found.iter().any(|d| d.host == domain.host && d.path == domain.path) {
        return Err(fields.refuse(
            "domain",
            format!("{domain} is not among the destinations; add it, or leave domain out"),
        ));
    }
    Ok((found, places))
}

/// A destination of the one kind that is served.
fn public(fields: &Fields) -> Result<Destination, ApiError> {
    match fields.read::<String>("type")?.as_deref() {
        None | Some("public") => {}
        Some(other) => {
            return Err(fields.refuse(
                "type",
                format!("destinations of type {other:?} are not supported yet; use public"),
            ));
        }
    }
    fields.off("overrides", "an exception for a part of a destination")?;
    fields.need("uri")
}

fn cookie(fields: &Fields) -> Result<CookieSettings, ApiError> {
    let same_site = fields.raw("same_site_cookie_attribute") != Some(&Value::from(""));
    let same_site: Option<SameSite> =
        if same_site { fields.read("same_site_cookie_attribute")? } else { None };
    Ok(CookieSettings {
        same_site_cookie_attribute: same_site,
        http_only_cookie_attribute: fields.read("http_only_cookie_attribute")?.unwrap_or(true),
        enable_binding_cookie: fields.or_default("enable_binding_cookie")?,
        path_cookie_attribute: fields.or_default("path_cookie_attribute")?,
        eager_redirect_cookie_setting: fields.read("eager_redirect_cookie_setting")?,
        partitioned_cookie_handoff: false, // of the extensions
    })
}

fn policies(fields: &Fields) -> Result<Option<Vec<Entry>>, ApiError> {
    let Some(written) = fields.read::<Vec<Value>>("policies")? else { return Ok(None) };
    let at = fields.pointer("policies");
    let entries = written.into_iter().enumerate();
    entries
        .map(|(index, value)| entry(format!("{at}/{index}"), value))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn entry(at: String, value: Value) -> Result<Entry, ApiError> {
    if let Some(id) = value.as_str() {
        let id = id.parse().map_err(|why| ApiError::invalid(&at, format!("{why}")))?;
        return Ok(Entry { id, named: true, precedence: None, form: None, at });
    }
    let fields = Fields::within(at.clone(), value)?;
    let id: Option<PolicyId> = fields.read("id")?;
    let is_written_out = fields.mentions("decision") && fields.mentions("include");
    let form = match id {
        Some(_) if !is_written_out => None,
        Some(_) | None => Some(PolicyForm::read(&fields)?),
    };
    let named = id.is_some();
    let id = id.unwrap_or_else(PolicyId::random);
    Ok(Entry { id, named, precedence: precedence(&fields)?, form, at })
}

fn presentation(fields: &Fields) -> Result<Map<String, Value>, ApiError> {
    for name in ["allow_iframe", "app_launcher_visible", "skip_interstitial"] {
        fields.read::<bool>(name)?;
    }
    fields.text("logo_url", 2000)?;
    let mut kept = Map::new();
    fields.keep(&KEPT, &mut kept);
    if let Some(mut tags) = fields.read::<Vec<String>>("tags")? {
        tags.sort();
        kept.insert("tags".to_owned(), tags.into());
    }
    if let Some(Value::Object(cors)) = kept.get_mut("cors_headers") {
        cors.retain(|_, value| !value.is_null());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::MOST_ENTRIES;
    use serde_json::json;

    fn read(body: &Value) -> Result<AppForm, ApiError> {
        AppForm::read(&Fields::of(body.to_string().as_bytes(), MOST_ENTRIES)?)
    }

    #[test]
    fn domain_destinations_and_self_hosted_domains_are_views_of_one_thing() {
        let uri = |uri: &str| json!({"type": "public", "uri": uri});
        for (body, want, places) in [
            (json!({"domain": "a.example.com"}), vec!["a.example.com"], vec!["/domain"]),
            (
                json!({"destinations": [{"uri": "A.example.com/x"}, uri("b.example.com")]}),
                vec!["A.example.com/x", "b.example.com"],
                vec!["/destinations/0/uri", "/destinations/1/uri"],
            ),
            (
                json!({"self_hosted_domains": ["b.example.com", "a.example.com"], "domain": "b.example.com"}),
                vec!["b.example.com", "a.example.com"],
                vec!["/self_hosted_domains/0", "/self_hosted_domains/1"],
            ),
            (
                json!({"destinations": [uri("a.example.com")], "self_hosted_domains": ["ignored.example.com"],
                       "domain": "A.EXAMPLE.com"}),
                vec!["a.example.com"],
                vec!["/destinations/0/uri"],
            ),
        ] {
            let form = read(&body).unwrap_or_else(|e| panic!("{body}: {e:?}"));
            let got: Vec<String> = form.destinations.iter().map(ToString::to_string).collect();
            assert_eq!(got, want, "{body}");
            assert_eq!(form.written_at, places, "{body}");
        }
    }

    #[test]
    fn refusals_point_at_their_place() {
        let with = |member: &str, value: Value| json!({"domain": "a.example.com", member: value});
        for (body, pointer) in [
            (json!({}), "/domain"),
            (
                json!({"domain": "a.example.com", "destinations": [{"uri": "b.example.com"}]}),
                "/domain",
            ),
            (json!({"domain": "https://a.example.com"}), "/domain"),
            (json!({"domain": "a.example.com:8443"}), "/domain"),
            (
                json!({"destinations": [{"uri": "a.example.com"}, {"type": "private", "cidr": "10.0.0.0/8"}]}),
                "/destinations/1/type",
            ),
            (json!({"destinations": [{"type": "public"}]}), "/destinations/0/uri"),
            (
                json!({"destinations": [{"uri": "a.example.com", "overrides": [{"path_pattern": "/x", "behavior": "public"}]}]}),
                "/destinations/0/overrides",
            ),
            (json!({"destinations": ["a.example.com"]}), "/destinations/0"),
            (
                json!({"self_hosted_domains": ["a.example.com", "b..example.com"]}),
                "/self_hosted_domains/1",
            ),
            (with("type", json!("ssh")), "/type"),
            (with("session_duration", json!("1d")), "/session_duration"),
            (with("same_site_cookie_attribute", json!("Maybe")), "/same_site_cookie_attribute"),
            (
                with("mfa_config", json!({"allowed_authenticators": ["totp"]})),
                "/mfa_config/allowed_authenticators",
            ),
            (with("oauth_configuration", json!({"enabled": true})), "/oauth_configuration/enabled"),
            (with("scim_config", json!({"remote_uri": "https://x"})), "/scim_config/enabled"),
            (
                with("scim_config", json!({"enabled": false, "authentication": {"password": "x"}})),
                "/scim_config/authentication",
            ),
            (
                with("custom_pages", json!(["7335d417-61da-459d-899c-0a01c76a2f94"])),
                "/custom_pages",
            ),
            (with("allow_authenticate_via_warp", json!(true)), "/allow_authenticate_via_warp"),
            (with("policies", json!([{"name": "p", "decision": "allow"}])), "/policies/0/include"),
            (with("policies", json!(["x"])), "/policies/0"),
            (
                with(
                    "policies",
                    json!([{"name": "p", "decision": "allow", "include": [{"everyone": {}}, {"ip": {"ip": "x"}}]}]),
                ),
                "/policies/0/include/1",
            ),
            (
                with(
                    "policies",
                    json!([{"name": "p", "decision": "allow", "include": [{"everyone": {}}], "isolation_required": true}]),
                ),
                "/policies/0/isolation_required",
            ),
            (with("allowed_idps", json!(["nope"])), "/allowed_idps/0"),
            (with("http_only_cookie_attribute", json!("yes")), "/http_only_cookie_attribute"),
            (with("partitioned_cookie_handoff", json!("yes")), "/partitioned_cookie_handoff"),
            (with("replay_post_after_login", json!(1)), "/replay_post_after_login"),
        ] {
            match read(&body) {
                Err(ApiError::Invalid { pointer: got, .. }) => assert_eq!(got, pointer, "{body}"),
                Err(other) => panic!("{body}: {other:?}"),
                Ok(_) => panic!("{body} was accepted"),
            }
        }
    }
}
