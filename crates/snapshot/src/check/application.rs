//! One application's settings.

use super::text;
use crate::{Fault, FaultAt};
use narthex_model::{Application, Authority, Configuration, CorsHeaders, SameSite};
use std::collections::{HashMap, HashSet};

pub(super) fn check(app: &Application, configuration: &Configuration) -> Result<(), Fault> {
    let at = FaultAt::App(app.id);
    if !text::is_session(&app.session_duration) {
        return Err(Fault::invalid(at, "/session_duration", text::SESSION_RULE));
    }
    for (place, idp) in app.allowed_idps.iter().enumerate() {
        if !configuration.identity_providers.contains_key(idp) {
            return Err(Fault::missing(
                at,
                format!("/allowed_idps/{place}"),
                format!("there is no identity provider {idp}"),
            ));
        }
    }
    if app.auto_redirect_to_identity && app.allowed_idps.len() != 1 {
        return Err(Fault::invalid(
            at,
            "/auto_redirect_to_identity",
            "auto_redirect_to_identity needs exactly one entry in allowed_idps",
        ));
    }
    links(app, configuration)?;
    if let Some(cors) = &app.cors_headers {
        if app.options_preflight_bypass {
            return Err(Fault::invalid(
                at,
                "/options_preflight_bypass",
                "with options_preflight_bypass the origin answers preflights; remove cors_headers or switch it off",
            ));
        }
        check_cors(cors).map_err(|(member, message)| {
            Fault::invalid(at, format!("/cors_headers{member}"), message)
        })?;
    }
    if app.cookie.partitioned_cookie_handoff {
        check_hand_off(app)
            .map_err(|message| Fault::invalid(at, "/partitioned_cookie_handoff", message))?;
    }
    for (member, url) in [
        ("/custom_deny_url", &app.custom_deny_url),
        ("/custom_non_identity_deny_url", &app.custom_non_identity_deny_url),
    ] {
        if let Some(url) = url.as_ref().filter(|url| !url.is_empty() && !text::is_web_url(url)) {
            return Err(Fault::invalid(
                at,
                member,
                format!("it must be an absolute http or https URL, not {url:?}"),
            ));
        }
    }
    let header = app.read_service_tokens_from_header.as_ref();
    if let Some(name) = header.filter(|name| !name.is_empty() && !text::is_token(name)) {
        return Err(Fault::invalid(
            at,
            "/read_service_tokens_from_header",
            format!("{name:?} is not the name of a header"),
        ));
    }
    Ok(())
}

/// The application's links to policies.
fn links(app: &Application, configuration: &Configuration) -> Result<(), Fault> {
    let at = FaultAt::App(app.id);
    let (mut linked, mut precedences) = (HashSet::new(), HashSet::new());
    for (place, link) in app.policies.iter().enumerate() {
        let pointer = format!("/policies/{place}");
        let Some(policy) = configuration.policies.get(&link.id) else {
            return Err(Fault::missing(
                at,
                format!("{pointer}/id"),
                format!("there is no policy {}", link.id),
            ));
        };
        if let Some(other) = policy.app.filter(|owner| *owner != app.id) {
            return Err(Fault::invalid(
                at,
                format!("{pointer}/id"),
                format!("policy {} belongs to application {other}; use a reusable policy", link.id),
            ));
        }
        if !linked.insert(link.id) {
            let message = format!("policy {} is linked twice", link.id);
            return Err(Fault::invalid(at, format!("{pointer}/id"), message));
        }
        if !precedences.insert(link.precedence) {
            let message = "policy precedences must be unique";
            return Err(Fault::invalid(at, format!("{pointer}/precedence"), message));
        }
    }
    Ok(())
}

const METHODS: [&str; 9] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The rules of api/README "Value rules"; the member at fault and what would be right.
fn check_cors(cors: &CorsHeaders) -> Result<(), (String, String)> {
    let wrong = |member: &str, message: &str| Err((member.to_owned(), message.to_owned()));
    if cors.allow_all_headers && !cors.allowed_headers.is_empty() {
        return wrong("/allow_all_headers", "allow_all_headers excludes allowed_headers");
    }
    if cors.allow_all_methods != cors.allowed_methods.is_empty() {
        return wrong(
            "/allowed_methods",
            "set exactly one of allow_all_methods and allowed_methods",
        );
    }
    if cors.allow_all_origins != cors.allowed_origins.is_empty() {
        return wrong(
            "/allowed_origins",
            "set exactly one of allow_all_origins and allowed_origins",
        );
    }
    if cors.allow_credentials && cors.allow_all_origins {
        return wrong(
            "/allow_credentials",
            "allow_credentials excludes allow_all_origins; name the origins",
        );
    }
    if cors.max_age.is_some_and(|age| !(-1..=86_400).contains(&age)) {
        return wrong("/max_age", "max_age is -1 to 86400 seconds");
    }
    type Form = fn(&str) -> bool;
    let lists: [(&str, &[String], Form, &str); 3] = [
        ("allowed_headers", &cors.allowed_headers, text::is_token, "the name of a header"),
        (
            "allowed_methods",
            &cors.allowed_methods,
            |m| METHODS.contains(&m),
            "one of the methods GET, POST, HEAD, PUT, DELETE, CONNECT, OPTIONS, TRACE and PATCH",
        ),
        (
            "allowed_origins",
            &cors.allowed_origins,
            text::is_origin,
            "an origin such as https://app.example.com",
        ),
    ];
    for (member, list, form, what) in lists {
        if let Some(at) = list.iter().position(|entry| !form(entry)) {
            return wrong(&format!("/{member}/{at}"), &format!("{:?} is not {what}", list[at]));
        }
    }
    Ok(())
}

/// What the hand-over of a partitioned cookie needs to be of any use, and safe.
fn check_hand_off(app: &Application) -> Result<(), &'static str> {
    match app.cookie.same_site_cookie_attribute {
        None | Some(SameSite::None) => {}
        Some(SameSite::Lax | SameSite::Strict) => {
            return Err(
                "with partitioned_cookie_handoff same_site_cookie_attribute must be none: browsers send no other cookie from another site's page",
            );
        }
    }
    if app.cookie.path_cookie_attribute {
        return Err(
            "partitioned_cookie_handoff excludes path_cookie_attribute: a cookie limited to a path does not reach /cdn-cgi/access/handoff",
        );
    }
    if app.options_preflight_bypass {
        return Ok(()); // the origin says which pages may call it
    }
    let Some(cors) = &app.cors_headers else {
        return Err(
            "partitioned_cookie_handoff needs cors_headers (or options_preflight_bypass), since the pages that use it call from another origin",
        );
    };
    if !cors.allow_credentials {
        return Err("with partitioned_cookie_handoff cors_headers needs allow_credentials");
    }
    let own = |origin: &String| {
        let authority = origin.strip_prefix("https://").map(str::parse::<Authority>);
        let host = authority.and_then(Result::ok).map(|authority| authority.host);
        host.is_some_and(|host| app.destinations.iter().any(|d| d.host.matches(&host)))
    };
    if cors.allowed_origins.iter().any(own) {
        Ok(())
    } else {
        Err(
            "with partitioned_cookie_handoff allowed_origins in cors_headers must name the origin of one of the application's own hosts, as in https://app.example.com",
        )
    }
}

pub(super) fn unique_auds(configuration: &Configuration) -> Result<(), Fault> {
    let mut known = HashMap::new();
    for app in configuration.apps.values() {
        if let Some(other) = known.insert(&app.aud, app.id) {
            return Err(Fault::duplicate(
                FaultAt::App(app.id),
                "/aud",
                format!("application {other} has the same aud"),
            ));
        }
    }
    Ok(())
}
