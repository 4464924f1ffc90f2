//! The request on its way to the origin: what a client may not claim is taken out, then what the permit says is
//! written. Remove before you add (security rule 5).
//!
//! It runs on every request to every origin, bypassed ones and upgrades as well. The answer's way back is
//! [`clean_answer`].

mod answer;
mod client_cert;
mod cookies;
mod loops;
mod names;

pub(crate) use answer::{clean_answer, clean_trailers};
pub use client_cert::{Certified, JudgedCertificate, write_managed};
pub use loops::Loop;

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
#[derive(Clone, Copy, Default)]
pub struct Introduction<'a> {
    /// The application token that admitted the caller; none on bypass.
    pub token: Option<&'a HeaderValue>,
    /// The caller's address; persons only, not machines, not on bypass (access-protocol §6.1).
    pub email: Option<&'a HeaderValue>,
    /// The one header that carried a service token, when the application has such a header and it did.
    pub spent: Option<&'a HeaderName>,
    /// The client certificate.
    pub certified: Certified<'a>,
}

/// What the origin is told about the road the request came.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// Host as the client asked for it, canonical, with its port if one was sent.
    pub host: &'a HeaderValue,
    /// Address of the visitor.
    pub client: IpAddr,
    /// Address of the trusted proxy that told us about the visitor; none when the visitor came by itself.
    pub through: Option<IpAddr>,
    /// The visitor's country, if known.
    pub country: Option<CountryCode>,
}

/// Turns a client's fields into the origin's. `Host` and the framing fields are left out: the connection to the
/// origin writes them.
///
/// # Errors
/// [`Loop`] when the request has run in a circle.
pub fn clean_request(
    headers: &mut HeaderMap,
    hop: &Hop<'_>,
    who: &Introduction<'_>,
    ray: &RayId,
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
    who.certified.tell(headers);
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    };
    let client = hop.client.to_canonical().to_string();
    add(FORWARDED_FOR, chain.as_deref().unwrap_or(&client));
    add(CONNECTING_IP, &client);
    add(RAY, ray.as_str());
    if let Some(country) = hop.country {
        add(COUNTRY, country.as_str());
    }
    headers.insert(FORWARDED_HOST, hop.host.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: HeaderValue = HeaderValue::from_static("TOKEN");
    const EMAIL: HeaderValue = HeaderValue::from_static("ada@example.com");

    fn clean(headers: &mut HeaderMap, who: &Introduction<'_>, through: Option<&str>) {
        let ray: RayId = "0123456789abcdef".to_owned().try_into().unwrap();
        let hop = Hop {
            host: &HeaderValue::from_static("app.example.com:8443"),
            client: "::ffff:203.0.113.9".parse().unwrap(),
            through: through.map(|proxy| proxy.parse().unwrap()),
            country: None,
        };
        clean_request(headers, &hop, who, &ray).unwrap();
    }

    fn of(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn who_is_told_as_the_permit_says() {
        let person =
            Introduction { token: Some(&TOKEN), email: Some(&EMAIL), ..Introduction::default() };
        let machine = Introduction { token: Some(&TOKEN), ..Introduction::default() };
        let anybody = Introduction::default();
        for (name, who, jwt, email, cookie) in [
            (
                "a person",
                person,
                Some("TOKEN"),
                Some("ada@example.com"),
                Some("CF_Authorization=TOKEN"),
            ),
            ("a machine", machine, Some("TOKEN"), None, Some("CF_Authorization=TOKEN")),
            ("anybody", anybody, None, None, None),
        ] {
            let mut headers = of(&[
                ("Cf-Access-Jwt-Assertion", "forged"),
                ("Cf-Access-Authenticated-User-Email", "forged"),
                ("Cookie", "CF_Authorization=forged"),
            ]);
            clean(&mut headers, &who, None);
            let got = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(got("cf-access-jwt-assertion"), jwt, "{name}");
            assert_eq!(got("cf-access-authenticated-user-email"), email, "{name}");
            assert_eq!(got("cookie"), cookie, "{name}");
            assert_eq!(got("cf-connecting-ip"), Some("203.0.113.9"), "{name}");
            assert_eq!(got("x-forwarded-for"), Some("203.0.113.9"), "{name}");
            assert_eq!(got("x-forwarded-host"), Some("app.example.com:8443"), "{name}");
            assert_eq!(got("x-forwarded-proto"), Some("https"), "{name}");
            assert_eq!(got("cf-ipcountry"), None, "{name}");
        }
    }

    #[test]
    fn i9_a_trusted_proxy_is_added_to_its_own_list() {
        let mut headers = of(&[
            ("x-forwarded-for", "198.51.100.1, 203.0.113.9"),
            ("x-forwarded-for", "10.0.0.7"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-user", "forged"),
        ]);
        clean(&mut headers, &Introduction::default(), Some("10.0.0.8"));
        let chain = "198.51.100.1, 203.0.113.9, 10.0.0.7, 10.0.0.8";
        assert_eq!(headers["x-forwarded-for"], chain);
        assert_eq!(headers["cf-connecting-ip"], "203.0.113.9");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert!(!headers.contains_key("x-forwarded-user"));
    }

    #[test]
    fn what_is_not_ours_passes_as_it_came() {
        let fields = [
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("x_custom", "1"),
            ("x-custom", "2"),
            ("x-custom", "3"),
            ("cookie", "a=\"1 ,\";  b"),
            ("via", "1.1 somebody"),
            ("grpc-timeout", "1S"),
        ];
        let mut headers = of(&fields);
        clean(&mut headers, &Introduction::default(), None);
        for (name, _) in fields {
            let want: Vec<_> = fields.iter().filter(|f| f.0 == name).map(|f| f.1).collect();
            let got: Vec<_> = headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
            assert_eq!(got, want, "{name}");
        }
    }

    /// A name of ours as an attacker would spell it: other marks, other case, marks at the ends.
    fn spelling() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "cf-access-jwt-assertion",
            "cf-access-authenticated-user-email",
            "cf-access-user",
            "cf-access-client-secret",
            "cf-access-token",
            "cf-access-anything",
            "cf-client-cert-der-base64",
            "cf-cert-presented",
            "client-cert",
            "client-cert-chain",
            "cf-connecting-ip",
            "cf-ray",
            "cf-ipcountry",
            "cf-visitor",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-email",
            "forwarded",
            "x-real-ip",
            "true-client-ip",
            "x-original-url",
            "x-rewrite-url",
        ]);
        let mark = prop::sample::select(vec!["-", "_", ".", "!", "~", "|", "'"]);
        let end = prop::sample::select(vec!["", "", "", "_", "-", ".", "__"]);
        (name, prop::collection::vec((mark, any::<bool>()), 24), end.clone(), end).prop_map(
            |(name, odd, before, after)| {
                let spelt = name.chars().zip(odd).map(|(c, (mark, upper))| match c {
                    '-' => mark.to_owned(),
                    c if upper => c.to_ascii_uppercase().to_string(),
                    c => c.to_string(),
                });
                let rest: String = name.chars().skip(24).collect();
                format!("{before}{}{rest}{after}", spelt.collect::<String>())
            },
        )
    }

    proptest! {
        #[test]
        fn an_origin_never_sees_a_clients_value_of_a_name_we_own(
            names in prop::collection::vec(spelling(), 1..8),
            who in 0..3,
            connection in any::<bool>(),
        ) {
            let mut headers = HeaderMap::new();
            for name in &names {
                headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("forged"));
            }
            if connection {
                headers.insert(header::CONNECTION, HeaderValue::from_str(&names.join(", ")).unwrap());
            }
            let who = match who {
                0 => Introduction::default(),
                1 => Introduction { token: Some(&TOKEN), ..Introduction::default() },
                _ => Introduction { token: Some(&TOKEN), email: Some(&EMAIL), ..Introduction::default() },
            };
            clean(&mut headers, &who, None);
            prop_assert!(headers.values().all(|value| value != "forged"), "{names:?}: {headers:?}");
            prop_assert_eq!(headers.get(JWT_ASSERTION), who.token);
            prop_assert_eq!(headers.get(USER_EMAIL), who.email);
        }

        #[test]
        fn cleaning_twice_is_counted_but_changes_nothing_else(
            fields in prop::collection::vec(("[a-z][a-z_-]{0,12}", "[ -~]{0,20}"), 0..10),
        ) {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, v.trim())).collect();
            let mut once = of(&fields);
            clean(&mut once, &Introduction::default(), None);
            let mut twice = once.clone();
            clean(&mut twice, &Introduction::default(), None);
            once.remove("cdn-loop");
            twice.remove("cdn-loop");
            prop_assert_eq!(once, twice);
        }
    }
}
