//! The request on its way to the origin: what a client may not claim is taken out, then what the permit says is
//! written. Remove before you add (security rule 5).
//!
//! It runs on every request to every origin, bypassed ones and upgrades as well. The answer's way back is
//! [`clean_answer`].

mod answer;
mod cookies;
mod loops;
mod names;

pub(crate) use answer::{clean_answer, clean_trailers};
pub(crate) use loops::Loop;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use narthex_model::{CountryCode, RayId};
use std::net::IpAddr;

const JWT_ASSERTION: HeaderName = HeaderName::from_static("cf-access-jwt-assertion");
const USER_EMAIL: HeaderName = HeaderName::from_static("cf-access-authenticated-user-email");
const CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const COUNTRY: HeaderName = HeaderName::from_static("cf-ipcountry");
const RAY: HeaderName = HeaderName::from_static("cf-ray");
const VISITOR: HeaderName = HeaderName::from_static("cf-visitor");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the origin is told about the caller; nothing of it comes from the request's own fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Introduction<'a> {
    /// The application token that admitted the caller; none on bypass.
    pub(crate) token: Option<&'a HeaderValue>,
    /// The caller's address; persons only, not machines, not on bypass (access-protocol §6.1).
    pub(crate) email: Option<&'a HeaderValue>,
    /// The one header that carried a service token, when the application has such a header and it did.
    pub(crate) spent: Option<&'a HeaderName>,
}

/// What the origin is told about the road the request came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop<'a> {
    /// Host as the client asked for it, canonical, with its port if one was sent.
    pub(crate) host: &'a str,
    /// Address of the visitor.
    pub(crate) client: IpAddr,
    /// Address of the trusted proxy that told us about the visitor; none when the visitor came by itself.
    pub(crate) through: Option<IpAddr>,
    /// The visitor's country, if known.
    pub(crate) country: Option<CountryCode>,
    /// The request's id.
    pub(crate) ray: &'a RayId,
}

/// Turns a client's fields into the origin's. `Host` and the framing fields are left out: the connection to the
/// origin writes them.
///
/// # Errors
/// [`Loop`] when the request has run in a circle.
pub(crate) fn clean_request(
    headers: &mut HeaderMap,
    hop: &Hop<'_>,
    who: &Introduction<'_>,
) -> Result<(), Loop> {
    let chain = hop.through.map(|proxy| forwarded_chain(headers, proxy));
    names::remove_hop_by_hop(headers);
    names::remove_where(headers, names::is_ours);
    for name in [header::EXPECT, header::HOST, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    if let Some(spent) = who.spent {
        headers.remove(spent);
    }
    cookies::for_origin(headers, who.token.map(HeaderValue::as_bytes));
    loops::count_pass(headers)?;

    headers.extend(who.token.map(|token| (JWT_ASSERTION, token.clone())));
    headers.extend(who.email.map(|email| (USER_EMAIL, email.clone())));
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    };
    let client = hop.client.to_canonical().to_string();
    add(FORWARDED_FOR, chain.as_deref().unwrap_or(&client));
    add(CONNECTING_IP, &client);
    add(FORWARDED_HOST, hop.host);
    add(RAY, hop.ray.as_str());
    if let Some(country) = hop.country {
        add(COUNTRY, country.as_str());
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    headers.insert(VISITOR, HeaderValue::from_static(r#"{"scheme":"https"}"#));
    Ok(())
}

/// `X-Forwarded-For` of a trusted proxy, with that proxy's own address appended.
fn forwarded_chain(headers: &HeaderMap, proxy: IpAddr) -> String {
    let known = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let mut chain: Vec<&str> = known.map(str::trim).filter(|value| !value.is_empty()).collect();
    let proxy = proxy.to_canonical().to_string();
    chain.push(&proxy);
    chain.join(", ")
}
