//! Every operation in one table: its method and path, the permission it needs, and the function that does it.
//!
//! `{A}` stands for `/accounts/{id}`, `{Z}` for `/zones/{id}`, `{S}` for either; the first row that fits is taken.
//! Operations of the contract that are not built have a row that says so; everything else is not a route.

use crate::answer::Answer;
use crate::call::{Call, Scope};
use crate::error::ApiError;
use crate::permission::{Area, Permission};
use crate::resources::{
    accounts, app_policies, apps, certificate_settings, certificates, client_certificates, groups,
    hostname_associations, identity_providers, keys, logs, managed_ca, managed_headers,
    mtls_certificates, organizations, policies, revocation_lists, revocations, saml_certificates,
    service_tokens, tokens, user_sessions, users, zones,
};
use http::Method;
use narthex_model::Premises;
use std::pin::Pin;

/// The prefix of every path.
const BASE: &str = "/client/v4";

type Work = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;
type Handler = fn(Call) -> Work;

/// One row of the table.
pub(crate) struct Route {
    /// `None`: any.
    method: Option<Method>,
    path: &'static str,
    duty: Duty,
}

enum Duty {
    Run(Permission, Handler),
    NotBuilt(&'static str),
}

impl Route {
    const fn on(method: Method, path: &'static str, needs: Permission, run: Handler) -> Self {
        Self { method: Some(method), path, duty: Duty::Run(needs, run) }
    }

    const fn later(path: &'static str, what: &'static str) -> Self {
        Self { method: None, path, duty: Duty::NotBuilt(what) }
    }

    /// The permission and the function.
    ///
    /// # Errors
    /// `NotBuilt` where there is none.
    pub(crate) fn duty(&self) -> Result<(Permission, Handler), ApiError> {
        match self.duty {
            Duty::Run(needs, run) => Ok((needs, run)),
            Duty::NotBuilt(what) => Err(ApiError::NotBuilt(what)),
        }
    }
}

macro_rules! run {
    ($handler:path) => {
        |call| Box::pin($handler(call))
    };
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

use Area::{
    Account, Apps, Certificates, IdentityProviders, Keys, Logs, Organization, ServiceTokens, Users,
};
use Permission::{Own, Read, Write};

#[rustfmt::skip]
static ROUTES: &[Route] = &[
    Route::on(GET,    "/user/tokens/verify", Own, run!(tokens::verify)),
    Route::on(GET,    "{A}/tokens/verify", Own, run!(tokens::verify)),
    Route::later("{A}/tokens/*", "API tokens made through the API"),

    Route::on(GET,    "/accounts", Read(Account), run!(accounts::list)),
    Route::on(GET,    "{A}", Read(Account), run!(accounts::get)),
    Route::on(GET,    "/zones", Read(Account), run!(zones::list)),
    Route::on(GET,    "{Z}", Read(Account), run!(zones::get)),

    Route::on(GET,    "{S}/access/organizations", Read(Organization), run!(organizations::get)),
    Route::on(POST,   "{S}/access/organizations", Write(Organization), run!(organizations::create)),
    Route::on(PUT,    "{S}/access/organizations", Write(Organization), run!(organizations::update)),
    Route::on(POST,   "{S}/access/organizations/revoke_user", Write(Users), run!(revocations::user)),
    Route::on(POST,   "{A}/access/organizations/revoke_all", Write(Users), run!(revocations::everything)),

    Route::on(GET,    "{S}/access/identity_providers", Read(IdentityProviders), run!(identity_providers::list)),
    Route::on(POST,   "{S}/access/identity_providers", Write(IdentityProviders), run!(identity_providers::create)),
    Route::on(GET,    "{S}/access/identity_providers/{id}", Read(IdentityProviders), run!(identity_providers::get)),
    Route::on(PUT,    "{S}/access/identity_providers/{id}", Write(IdentityProviders), run!(identity_providers::update)),
    Route::on(DELETE, "{S}/access/identity_providers/{id}", Write(IdentityProviders), run!(identity_providers::delete)),
    Route::on(POST,   "{A}/access/identity_providers/{id}/saml_certificate", Write(IdentityProviders), run!(saml_certificates::create)),
    Route::on(GET,    "{A}/access/saml_certificates", Read(IdentityProviders), run!(saml_certificates::list)),
    Route::on(GET,    "{A}/access/saml_certificates/{id}", Read(IdentityProviders), run!(saml_certificates::get)),
    Route::on(GET,    "{A}/access/saml_certificates/{id}/pem", Read(IdentityProviders), run!(saml_certificates::pem)),
    Route::on(POST,   "{A}/access/saml_certificates/{id}/rotate", Write(IdentityProviders), run!(saml_certificates::rotate)),
    Route::later("{A}/access/identity_providers/{id}/scim/*", "users and groups pushed over SCIM"),

    Route::on(GET,    "{S}/access/apps", Read(Apps), run!(apps::list)),
    Route::on(POST,   "{S}/access/apps", Write(Apps), run!(apps::create)),
    Route::later("{S}/access/apps/ca/*", "short-lived SSH certificates"),
    Route::on(GET,    "{S}/access/apps/{id}", Read(Apps), run!(apps::get)),
    Route::on(PUT,    "{S}/access/apps/{id}", Write(Apps), run!(apps::update)),
    Route::on(DELETE, "{S}/access/apps/{id}", Write(Apps), run!(apps::delete)),
    Route::on(PUT,    "{S}/access/apps/{id}/settings", Write(Apps), run!(apps::replace_settings)),
    Route::on(PATCH,  "{S}/access/apps/{id}/settings", Write(Apps), run!(apps::change_settings)),
    Route::on(POST,   "{S}/access/apps/{id}/revoke_tokens", Write(Apps), run!(revocations::app)),
    Route::later("{S}/access/apps/{id}/ca/*", "short-lived SSH certificates"),
    Route::later("{S}/access/apps/{id}/user_policy_checks", "policy checks"),

    Route::on(GET,    "{S}/access/apps/{id}/policies", Read(Apps), run!(app_policies::list)),
    Route::on(POST,   "{S}/access/apps/{id}/policies", Write(Apps), run!(app_policies::create)),
    Route::on(GET,    "{S}/access/apps/{id}/policies/{id}", Read(Apps), run!(app_policies::get)),
    Route::on(PUT,    "{S}/access/apps/{id}/policies/{id}", Write(Apps), run!(app_policies::update)),
    Route::on(DELETE, "{S}/access/apps/{id}/policies/{id}", Write(Apps), run!(app_policies::delete)),
    Route::on(PUT,    "{A}/access/apps/{id}/policies/{id}/make_reusable", Write(Apps), run!(app_policies::make_reusable)),

    Route::on(GET,    "{A}/access/policies", Read(Apps), run!(policies::list)),
    Route::on(POST,   "{A}/access/policies", Write(Apps), run!(policies::create)),
    Route::on(GET,    "{A}/access/policies/{id}", Read(Apps), run!(policies::get)),
    Route::on(PUT,    "{A}/access/policies/{id}", Write(Apps), run!(policies::update)),
    Route::on(DELETE, "{A}/access/policies/{id}", Write(Apps), run!(policies::delete)),
    Route::later("{A}/access/policy-tests/*", "policy tests"),

    Route::on(GET,    "{S}/access/groups", Read(Apps), run!(groups::list)),
    Route::on(POST,   "{S}/access/groups", Write(Apps), run!(groups::create)),
    Route::on(GET,    "{S}/access/groups/{id}", Read(Apps), run!(groups::get)),
    Route::on(PUT,    "{S}/access/groups/{id}", Write(Apps), run!(groups::update)),
    Route::on(DELETE, "{S}/access/groups/{id}", Write(Apps), run!(groups::delete)),

    Route::on(GET,    "{S}/access/service_tokens", Read(ServiceTokens), run!(service_tokens::list)),
    Route::on(POST,   "{S}/access/service_tokens", Write(ServiceTokens), run!(service_tokens::create)),
    Route::on(GET,    "{S}/access/service_tokens/{id}", Read(ServiceTokens), run!(service_tokens::get)),
    Route::on(PUT,    "{S}/access/service_tokens/{id}", Write(ServiceTokens), run!(service_tokens::update)),
    Route::on(DELETE, "{S}/access/service_tokens/{id}", Write(ServiceTokens), run!(service_tokens::delete)),
    Route::on(POST,   "{A}/access/service_tokens/{id}/refresh", Write(ServiceTokens), run!(service_tokens::refresh)),
    Route::on(POST,   "{A}/access/service_tokens/{id}/rotate", Write(ServiceTokens), run!(service_tokens::rotate)),

    Route::on(GET,    "{A}/access/keys", Read(Keys), run!(keys::get)),
    Route::on(PUT,    "{A}/access/keys", Write(Keys), run!(keys::update)),
    Route::on(POST,   "{A}/access/keys/rotate", Write(Keys), run!(keys::rotate)),

    Route::on(GET,    "{A}/access/users", Read(Users), run!(users::list)),
    Route::on(POST,   "{A}/access/users", Write(Users), run!(users::create)),
    Route::on(GET,    "{A}/access/users/{id}", Read(Users), run!(users::get)),
    Route::on(PUT,    "{A}/access/users/{id}", Write(Users), run!(users::update)),
    Route::on(DELETE, "{A}/access/users/{id}", Write(Users), run!(users::delete)),
    Route::on(GET,    "{A}/access/users/{id}/active_sessions", Read(Users), run!(user_sessions::list)),
    Route::on(GET,    "{A}/access/users/{id}/active_sessions/{nonce}", Read(Users), run!(user_sessions::get)),
    Route::on(DELETE, "{A}/access/users/{id}/active_sessions/{nonce}", Write(Users), run!(user_sessions::delete)),
    Route::on(GET,    "{A}/access/users/{id}/last_seen_identity", Read(Users), run!(user_sessions::last_identity)),
    Route::on(GET,    "{A}/access/users/{id}/failed_logins", Read(Users), run!(users::failed_logins)),
    Route::later("{A}/access/seats", "seats"),

    Route::on(GET,    "{A}/access/logs/access_requests", Read(Logs), run!(logs::access_requests)),
    Route::later("{A}/access/logs/scim/*", "users and groups pushed over SCIM"),

    Route::on(GET,    "{S}/access/certificates/settings", Read(Certificates), run!(certificate_settings::list)),
    Route::on(PUT,    "{S}/access/certificates/settings", Write(Certificates), run!(certificate_settings::update)),
    Route::on(GET,    "{S}/access/certificates", Read(Certificates), run!(certificates::list)),
    Route::on(POST,   "{S}/access/certificates", Write(Certificates), run!(certificates::create)),
    Route::on(GET,    "{S}/access/certificates/{id}", Read(Certificates), run!(certificates::get)),
    Route::on(PUT,    "{S}/access/certificates/{id}", Write(Certificates), run!(certificates::update)),
    Route::on(DELETE, "{S}/access/certificates/{id}", Write(Certificates), run!(certificates::delete)),
    Route::on(GET,    "{S}/access/certificates/{id}/revocation", Read(Certificates), run!(certificates::revocation)),
    Route::on(PUT,    "{S}/access/certificates/{id}/revocation", Write(Certificates), run!(certificates::update_revocation)),
    Route::on(GET,    "{S}/access/certificates/{id}/crls", Read(Certificates), run!(revocation_lists::list)),
    Route::on(POST,   "{S}/access/certificates/{id}/crls", Write(Certificates), run!(revocation_lists::upload)),
    Route::on(DELETE, "{S}/access/certificates/{id}/crls/{id}", Write(Certificates), run!(revocation_lists::delete)),

    Route::on(GET,    "{A}/mtls_certificates", Read(Certificates), run!(mtls_certificates::list)),
    Route::on(POST,   "{A}/mtls_certificates", Write(Certificates), run!(mtls_certificates::create)),
    Route::on(GET,    "{A}/mtls_certificates/{id}", Read(Certificates), run!(mtls_certificates::get)),
    Route::on(DELETE, "{A}/mtls_certificates/{id}", Write(Certificates), run!(mtls_certificates::delete)),
    Route::on(GET,    "{A}/mtls_certificates/{id}/associations", Read(Certificates), run!(mtls_certificates::associations)),

    Route::on(GET,    "{Z}/certificate_authorities/hostname_associations", Read(Certificates), run!(hostname_associations::get)),
    Route::on(PUT,    "{Z}/certificate_authorities/hostname_associations", Write(Certificates), run!(hostname_associations::update)),

    Route::on(GET,    "{A}/certificate_authorities", Read(Certificates), run!(managed_ca::list)),
    Route::on(POST,   "{A}/certificate_authorities", Write(Certificates), run!(managed_ca::create)),
    Route::on(DELETE, "{A}/certificate_authorities/{id}", Write(Certificates), run!(managed_ca::delete)),

    Route::on(GET,    "{Z}/client_certificates", Read(Certificates), run!(client_certificates::list)),
    Route::on(POST,   "{Z}/client_certificates", Write(Certificates), run!(client_certificates::create)),
    Route::on(GET,    "{Z}/client_certificates/{id}", Read(Certificates), run!(client_certificates::get)),
    Route::on(PATCH,  "{Z}/client_certificates/{id}", Write(Certificates), run!(client_certificates::reactivate)),
    Route::on(DELETE, "{Z}/client_certificates/{id}", Write(Certificates), run!(client_certificates::revoke)),

    Route::on(GET,    "{Z}/managed_headers", Read(Certificates), run!(managed_headers::list)),
    Route::on(PATCH,  "{Z}/managed_headers", Write(Certificates), run!(managed_headers::update)),
    Route::on(DELETE, "{Z}/managed_headers", Write(Certificates), run!(managed_headers::delete)),

    Route::later("{A}/access/custom_pages/*", "custom pages"),
    Route::later("{A}/access/tags/*", "tags"),
    Route::later("{A}/access/bookmarks/*", "bookmarks"),
    Route::later("{A}/access/gateway_ca/*", "account-wide SSH CAs"),
    Route::later("{A}/cfd_tunnel/*", "tunnels"),
    Route::later("{A}/devices/physical-devices/*", "devices"),
    Route::later("{A}/devices/posture/*", "device posture rules"),
    Route::later("{A}/devices/registrations", "devices"),
    Route::later("{A}/devices/registrations/{id}", "devices"),
    Route::later("{A}/gateway/lists/*", "lists"),
    Route::later("{A}/infrastructure/*", "infrastructure targets"),
];

/// A row that fits a request, with what its path names.
pub(crate) struct Found {
    pub(crate) route: &'static Route,
    door: Option<Door>,
    pub(crate) ids: Vec<String>,
}

/// `accounts` or `zones`, and the id after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Door {
    zone: bool,
    id: String,
}

impl Found {
    /// The account or zone that the path names.
    ///
    /// # Errors
    /// `NotAllowed` unless it is ours.
    pub(crate) fn scope(&self, premises: &Premises) -> Result<Scope, ApiError> {
        match &self.door {
            None => Ok(Scope::Account),
            Some(Door { zone: false, id }) if premises.account.id.as_str() == id => {
                Ok(Scope::Account)
            }
            Some(Door { zone: false, .. }) => {
                Err(ApiError::NotAllowed("the token belongs to another account".to_owned()))
            }
            Some(Door { zone: true, id }) => {
                let ours = premises.zones.iter().find(|zone| zone.id.as_str() == id);
                let ours = ours.map(|zone| Scope::Zone(zone.id.clone()));
                ours.ok_or_else(|| ApiError::NotAllowed("the account has no such zone".to_owned()))
            }
        }
    }
}

/// The row for a request.
///
/// # Errors
/// `NoRoute` when no row has this path; `Method` when some have, for other methods.
pub(crate) fn find(method: &Method, path: &str) -> Result<Found, ApiError> {
    let no_route = || ApiError::NoRoute(path.chars().take(200).collect());
    let inner = path.strip_prefix(BASE).filter(|rest| rest.starts_with('/'));
    let segments = inner.and_then(segments).ok_or_else(no_route)?;
    let mut offered = Vec::new();
    for route in ROUTES {
        let Some((door, ids)) = fit(route.path, &segments) else { continue };
        match &route.method {
            Some(wanted) if wanted != method => offered.push(wanted.clone()),
            Some(_) => return Ok(Found { route, door, ids }),
            None if offered.is_empty() => return Ok(Found { route, door, ids }),
            None => break, // a literal row before this one has the path, for other methods
        }
    }
    if offered.is_empty() { Err(no_route()) } else { Err(ApiError::Method(offered)) }
}

/// The segments of a path, percent-decoded; `None` when one is empty or not text.
fn segments(path: &str) -> Option<Vec<String>> {
    let decoded = |segment: &str| {
        let bytes = percent_decoded(segment)?;
        String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
    };
    path.strip_prefix('/')?.split('/').map(decoded).collect()
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(out)
}

/// Whether `segments` have the form of `pattern`, and what stands in its places.
fn fit(pattern: &str, segments: &[String]) -> Option<(Option<Door>, Vec<String>)> {
    let (mut rest, mut door, mut ids) = (segments, None, Vec::new());
    for part in pattern.trim_start_matches('/').split('/') {
        if part == "*" {
            return Some((door, ids)); // the path before it, and everything below
        }
        let (segment, after) = rest.split_first()?;
        rest = after;
        match part {
            "{S}" | "{A}" | "{Z}" => {
                let zone = match segment.as_str() {
                    "accounts" if part != "{Z}" => false,
                    "zones" if part != "{A}" => true,
                    _ => return None,
                };
                let (id, after) = rest.split_first()?;
                rest = after;
                door = Some(Door { zone, id: id.clone() });
            }
            place if place.starts_with('{') => ids.push(segment.clone()),
            literal if literal == segment => {}
            _ => return None,
        }
    }
    rest.is_empty().then_some((door, ids))
}

/// Every operation with a path that fits it, for the test that none is open to strangers.
#[doc(hidden)]
#[must_use]
pub fn every_operation(account: &str, zone: &str) -> Vec<(Method, String)> {
    let mut operations = Vec::new();
    for route in ROUTES {
        let method = route.method.clone().unwrap_or(Method::GET);
        let path = route
            .path
            .trim_end_matches("/*")
            .replace("{id}", "7335d417-61da-459d-899c-0a01c76a2f94");
        let path = path
            .replace("{nonce}", "X1aXj1lFVcqqyoXF")
            .replace("{A}", &format!("/accounts/{account}"));
        let path = path.replace("{Z}", &format!("/zones/{zone}"));
        for door in [format!("/accounts/{account}"), format!("/zones/{zone}")] {
            let path = format!("{BASE}{}", path.replace("{S}", &door));
            if !operations.contains(&(method.clone(), path.clone())) {
                operations.push((method.clone(), path));
            }
        }
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, path: &str) -> Result<(&'static str, Vec<String>), String> {
        match find(method, path) {
            Ok(found) => Ok((found.route.path, found.ids)),
            Err(ApiError::NoRoute(_)) => Err("no route".to_owned()),
            Err(ApiError::Method(offered)) => Err(format!("{offered:?}")),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn paths_find_their_rows() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        for (method, path, want) in [
            (GET, "/client/v4/user/tokens/verify", Ok(("/user/tokens/verify", ids(&[])))),
            (GET, "/client/v4/accounts/a/access/apps/b", Ok(("{S}/access/apps/{id}", ids(&["b"])))),
            (
                GET,
                "/client/v4/zones/z/access/apps/%62%2F",
                Ok(("{S}/access/apps/{id}", ids(&["b/"]))),
            ),
            (
                PUT,
                "/client/v4/accounts/a/access/apps/b/policies/c",
                Ok(("{S}/access/apps/{id}/policies/{id}", ids(&["b", "c"]))),
            ),
            (GET, "/client/v4/accounts/a/access/apps/ca", Ok(("{S}/access/apps/ca/*", ids(&[])))),
            (GET, "/client/v4/accounts/a/access/tags/x/y", Ok(("{A}/access/tags/*", ids(&[])))),
            (POST, "/client/v4/accounts/a/tokens", Ok(("{A}/tokens/*", ids(&[])))),
            (GET, "/client/v4/zones/z/access/policies", Err("no route".to_owned())),
            (GET, "/client/v4/accounts/a/access/apps/", Err("no route".to_owned())),
            (GET, "/client/v4/accounts//access/apps", Err("no route".to_owned())),
            (GET, "/client/v4", Err("no route".to_owned())),
            (GET, "/client/v4x/accounts", Err("no route".to_owned())),
            (GET, "/accounts", Err("no route".to_owned())),
            (GET, "/client/v4/accounts/a/access/apps/%zz", Err("no route".to_owned())),
            (GET, "/client/v4/accounts/a/access/apps/%ff", Err("no route".to_owned())),
            (
                GET,
                "/client/v4/accounts/a/access/ai-controls/mcp/portals",
                Err("no route".to_owned()),
            ),
            (PATCH, "/client/v4/accounts/a/access/apps", Err("[GET, POST]".to_owned())),
            (POST, "/client/v4/accounts/a/tokens/verify", Err("[GET]".to_owned())),
        ] {
            assert_eq!(found(&method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn reading_needs_no_permission_to_write_and_the_reverse() {
        for route in ROUTES {
            let Ok((needs, _)) = route.duty() else { continue };
            let reads = route.method == Some(GET);
            assert_eq!(matches!(needs, Own | Read(_)), reads, "{}", route.path);
            assert_eq!(needs == Own, route.path.ends_with("/tokens/verify"), "{}", route.path);
        }
    }
}
