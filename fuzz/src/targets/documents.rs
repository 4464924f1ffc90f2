//! The nouns of the API as JSON, after a line that names the kind: what was read is written, and reads the same.

use crate::Target;
use narthex_model::{
    Application, CertificateAuthority, CertificatePem, ClientId, CountryCode, Destination,
    EmailAddress, GoDuration, Group, Hostname, HostnameSetting, ManagedTransforms, Organization,
    OriginService, Policy, RuleSet, SerialNumber, ServiceToken, Session, TeamDomain, Timestamp,
    User,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) const TARGET: Target = Target {
    name: "documents",
    run,
    words: &[
        "application",
        "authority",
        "duration",
        "email",
        "destination",
        "organization",
        "policy",
        "session",
        "text",
        "0h",
        "24h",
        "1.5h",
        "-1s",
        "2562047h47m16.854775807s",
        "2562048h",
        "1µs",
        "1ns",
        "a@b.com",
        "\"a b\"@c.com",
        "a@xn--e1afmkf.com",
        "0A",
        "00",
        "-1",
        "FF:FF",
        "*.example.com/x*",
        "example.com/*",
        "http_status:404",
        "unix:/run/a",
        "http://[::1]:80",
        "https://127.0.0.1:1",
        "2026-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "T1",
        "XX",
        "same_site_cookie_attribute",
        "strict",
        "session_duration",
        "policies",
        "destinations",
        "cors_headers",
    ],
    rounds: 20_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (kind, json) = text.split_once('\n').unwrap_or((text, ""));
    match kind {
        "application" => same::<Application>(json),
        "authority" => same::<CertificateAuthority>(json),
        "group" => same::<Group>(json),
        "hostname_setting" => same::<HostnameSetting>(json),
        "managed_transforms" => same::<ManagedTransforms>(json),
        "organization" => same::<Organization>(json),
        "policy" => same::<Policy>(json),
        "rules" => same::<RuleSet>(json),
        "service_token" => same::<ServiceToken>(json),
        "session" => same::<Session>(json),
        "user" => same::<User>(json),
        _ => {}
    }
    for json in [json.to_owned(), serde_json::to_string(json).unwrap()] {
        same::<CertificatePem>(&json);
        same::<ClientId>(&json);
        same::<CountryCode>(&json);
        same::<Destination>(&json);
        same::<EmailAddress>(&json);
        same::<GoDuration>(&json);
        same::<Hostname>(&json);
        same::<OriginService>(&json);
        same::<SerialNumber>(&json);
        same::<TeamDomain>(&json);
        same::<Timestamp>(&json);
    }
}

fn same<T: DeserializeOwned + Serialize>(json: &str) {
    let Ok(read) = serde_json::from_str::<T>(json) else { return };
    let written = serde_json::to_string(&read).expect("what was read can be written");
    let again: T = serde_json::from_str(&written).unwrap_or_else(|why| panic!("{why}: {written}"));
    assert_eq!(serde_json::to_string(&again).unwrap(), written, "written, read and written");
    assert!(written.len() <= 8 * json.len() + 8_192, "{} bytes of {}", written.len(), json.len());
}
