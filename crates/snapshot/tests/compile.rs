//! What a configuration must hold to be put in force, and what the table made of it answers.

mod parts;

use narthex_model::{CanonicalPath, Configuration, Revision};
use narthex_snapshot::{App, Fault, FaultAt, FaultCode, Snapshot};
use parts::{Parts, premises, uuid};
use serde_json::{Value, json};
use std::sync::Arc;

/// Kind, number, pointer and code of the fault.
type Expected = Option<(&'static str, usize, &'static str, FaultCode)>;

fn told(result: Result<Snapshot, Fault>) -> Option<(FaultAt, String, FaultCode, String)> {
    result.err().map(|f| (f.object, f.pointer, f.code, f.message))
}

fn check(name: &str, parts: Parts, want: Expected) {
    let got = told(parts.compile());
    let want = want.map(|(kind, n, pointer, code)| {
        let id = uuid(kind, n);
        let object = match kind {
            "app" => FaultAt::App(id.parse().expect("an id")),
            "policy" => FaultAt::Policy(id.parse().expect("an id")),
            "group" => FaultAt::Group(id.parse().expect("an id")),
            "idp" => FaultAt::IdentityProvider(id.parse().expect("an id")),
            "token" => FaultAt::ServiceToken(id.parse().expect("an id")),
            "organization" => FaultAt::Organization,
            _ => FaultAt::Premises,
        };
        (object, pointer.to_owned(), code)
    });
    let message = got.as_ref().map(|g| g.3.clone());
    assert_eq!(
        got.map(|(object, pointer, code, _)| (object, pointer, code)),
        want,
        "{name}: {message:?}"
    );
}

#[test]
fn settings_of_an_application() {
    use FaultCode::{Invalid, Missing};
    let cors = |value: Value| json!({"cors_headers": value});
    let bad = |pointer: &'static str| Some(("app", 0, pointer, Invalid));
    let own_pages = || json!({"allow_all_methods": true, "allowed_origins": ["https://a.example.com:8443"], "allow_credentials": true});
    for (name, settings, want) in [
        ("nothing special", json!({}), None),
        ("no destination", json!({"destinations": []}), bad("/destinations")),
        ("a month", json!({"session_duration": "744h"}), None),
        ("more than a month", json!({"session_duration": "744h1s"}), bad("/session_duration")),
        (
            "an unknown provider",
            json!({"allowed_idps": [uuid("idp", 0), uuid("idp", 9)]}),
            Some(("app", 0, "/allowed_idps/1", Missing)),
        ),
        (
            "instant auth",
            json!({"allowed_idps": [uuid("idp", 0)], "auto_redirect_to_identity": true}),
            None,
        ),
        (
            "instant auth without a provider",
            json!({"auto_redirect_to_identity": true}),
            bad("/auto_redirect_to_identity"),
        ),
        (
            "instant auth with two",
            json!({"allowed_idps": [uuid("idp", 0), uuid("idp", 1)], "auto_redirect_to_identity": true}),
            bad("/auto_redirect_to_identity"),
        ),
        (
            "cors",
            cors(
                json!({"allowed_methods": ["GET"], "allowed_origins": ["https://a.example"], "allow_credentials": true, "max_age": -1}),
            ),
            None,
        ),
        (
            "cors for all",
            cors(
                json!({"allow_all_methods": true, "allow_all_origins": true, "allow_all_headers": true, "max_age": 86_400}),
            ),
            None,
        ),
        (
            "cors without methods",
            cors(json!({"allow_all_origins": true})),
            bad("/cors_headers/allowed_methods"),
        ),
        (
            "cors with all methods and some",
            cors(
                json!({"allow_all_methods": true, "allowed_methods": ["GET"], "allow_all_origins": true}),
            ),
            bad("/cors_headers/allowed_methods"),
        ),
        (
            "cors without origins",
            cors(json!({"allow_all_methods": true})),
            bad("/cors_headers/allowed_origins"),
        ),
        (
            "cors with all headers and some",
            cors(
                json!({"allow_all_methods": true, "allow_all_origins": true, "allow_all_headers": true, "allowed_headers": ["x"]}),
            ),
            bad("/cors_headers/allow_all_headers"),
        ),
        (
            "cors, credentials to all",
            cors(
                json!({"allow_all_methods": true, "allow_all_origins": true, "allow_credentials": true}),
            ),
            bad("/cors_headers/allow_credentials"),
        ),
        (
            "partitioned cookies",
            json!({"partitioned_cookie_handoff": true, "same_site_cookie_attribute": "none", "cors_headers": own_pages()}),
            None,
        ),
        (
            "partitioned cookies, the origin answers preflights",
            json!({"partitioned_cookie_handoff": true, "options_preflight_bypass": true}),
            None,
        ),
        (
            "partitioned cookies, lax",
            json!({"partitioned_cookie_handoff": true, "same_site_cookie_attribute": "lax", "cors_headers": own_pages()}),
            bad("/partitioned_cookie_handoff"),
        ),
        (
            "partitioned cookies, on a path",
            json!({"partitioned_cookie_handoff": true, "path_cookie_attribute": true, "cors_headers": own_pages()}),
            bad("/partitioned_cookie_handoff"),
        ),
        (
            "partitioned cookies without cors",
            json!({"partitioned_cookie_handoff": true}),
            bad("/partitioned_cookie_handoff"),
        ),
        (
            "partitioned cookies, cors without credentials",
            json!({"partitioned_cookie_handoff": true, "cors_headers":
                {"allow_all_methods": true, "allowed_origins": ["https://a.example.com"]}}),
            bad("/partitioned_cookie_handoff"),
        ),
        (
            "partitioned cookies, cors for strangers only",
            json!({"partitioned_cookie_handoff": true, "cors_headers":
                {"allow_all_methods": true, "allowed_origins": ["http://a.example.com", "https://other.example.com"],
                 "allow_credentials": true}}),
            bad("/partitioned_cookie_handoff"),
        ),
        (
            "cors, a method in small letters",
            cors(json!({"allowed_methods": ["GET", "post"], "allow_all_origins": true})),
            bad("/cors_headers/allowed_methods/1"),
        ),
        (
            "cors, an origin with a path",
            cors(json!({"allow_all_methods": true, "allowed_origins": ["https://a.example/"]})),
            bad("/cors_headers/allowed_origins/0"),
        ),
        (
            "cors, a header that splits",
            cors(
                json!({"allow_all_methods": true, "allow_all_origins": true, "allowed_headers": ["a\r\nb"]}),
            ),
            bad("/cors_headers/allowed_headers/0"),
        ),
        (
            "cors, remembered for too long",
            cors(json!({"allow_all_methods": true, "allow_all_origins": true, "max_age": 86_401})),
            bad("/cors_headers/max_age"),
        ),
        ("preflights to the origin", json!({"options_preflight_bypass": true}), None),
        (
            "preflights to the origin and here",
            json!({"options_preflight_bypass": true, "cors_headers": {"allow_all_methods": true, "allow_all_origins": true}}),
            bad("/options_preflight_bypass"),
        ),
        ("a denial elsewhere", json!({"custom_deny_url": "https://a.example/no?x=1"}), None),
        (
            "a denial by script",
            json!({"custom_deny_url": "javascript:alert(1)"}),
            bad("/custom_deny_url"),
        ),
        (
            "a denial that splits",
            json!({"custom_non_identity_deny_url": "https://a.example/\r\nX: y"}),
            bad("/custom_non_identity_deny_url"),
        ),
        (
            "one header for both halves",
            json!({"read_service_tokens_from_header": "Authorization"}),
            None,
        ),
        (
            "no header",
            json!({"read_service_tokens_from_header": "Not A Header"}),
            bad("/read_service_tokens_from_header"),
        ),
        (
            "a policy that is not there",
            json!({"policies": [{"id": uuid("policy", 9), "precedence": 1}]}),
            Some(("app", 0, "/policies/0/id", Missing)),
        ),
        (
            "one place for two policies",
            json!({"policies": [{"id": uuid("policy", 0), "precedence": 1}, {"id": uuid("policy", 1), "precedence": 1}]}),
            bad("/policies/1/precedence"),
        ),
        (
            "one policy in two places",
            json!({"policies": [{"id": uuid("policy", 0), "precedence": 1}, {"id": uuid("policy", 0), "precedence": 2}]}),
            bad("/policies/1/id"),
        ),
        (
            "a policy of another application",
            json!({"policies": [{"id": uuid("policy", 2), "precedence": 1}]}),
            bad("/policies/0/id"),
        ),
    ] {
        let everyone = json!({"include": [{"everyone": {}}]});
        let parts = Parts::default()
            .app(0, &["a.example.com"], settings)
            .app(1, &["b.example.com"], json!({}))
            .policy(0, "allow", everyone.clone())
            .policy(1, "allow", everyone.clone())
            .scoped_policy(2, "allow", everyone, 1)
            .idp(0, "onetimepin")
            .idp(1, "oidc");
        check(name, parts, want);
    }
}

#[test]
fn destinations_of_all_applications() {
    use FaultCode::{Duplicate, Invalid};
    let zone = Some(("app", 0, "/destinations/0/uri", Invalid));
    let taken = |place| Some(("app", 1, place, Duplicate));
    for (name, first, second, want) in [
        ("apart", vec!["a.example.com"], vec!["b.example.com"], None),
        ("one host, two paths", vec!["a.example.com"], vec!["a.example.com/x"], None),
        (
            "the same",
            vec!["a.example.com"],
            vec!["b.example.com", "a.example.com"],
            taken("/destinations/1/uri"),
        ),
        (
            "the same, spelled otherwise",
            vec!["a.example.com/x"],
            vec!["A.Example.com/x/"],
            taken("/destinations/0/uri"),
        ),
        (
            "the same with an escape",
            vec!["a.example.com/x"],
            vec!["a.example.com/%78"],
            taken("/destinations/0/uri"),
        ),
        (
            "the same wildcard",
            vec!["*.example.com"],
            vec!["*.EXAMPLE.com/"],
            taken("/destinations/0/uri"),
        ),
        ("another case in the path", vec!["a.example.com/x"], vec!["a.example.com/X"], None),
        (
            "twice in one application",
            vec!["a.example.com", "a.example.com"],
            vec!["b.example.com"],
            None,
        ),
        ("another zone", vec!["a.example.org"], vec!["b.example.com"], zone),
        ("a zone's name within another", vec!["badexample.com"], vec!["b.example.com"], zone),
        ("the apex", vec!["example.com"], vec!["b.example.com"], None),
        ("a wildcard below the zone", vec!["*.example.com"], vec!["b.example.com"], None),
        ("a wildcard above the zone", vec!["*.com"], vec!["b.example.com"], zone),
        ("a wildcard in the middle", vec!["a.*.com"], vec!["b.example.com"], zone),
        ("the team domain", vec!["access.example.com"], vec!["b.example.com"], zone),
        ("the team domain with a path", vec!["access.example.com/x"], vec!["b.example.com"], zone),
        ("the admin host", vec!["admin.example.com"], vec!["b.example.com"], zone),
        (
            "the gateway's own paths",
            vec!["a.example.com/cdn-cgi/access"],
            vec!["b.example.com"],
            zone,
        ),
    ] {
        let parts = Parts::default().app(0, &first, json!({})).app(1, &second, json!({}));
        check(name, parts, want);
    }
}

#[test]
fn without_zones_every_name_is_ours() {
    let mut parts = Parts::default().app(0, &["a.example.org"], json!({}));
    parts.premises.zones.clear();
    assert_eq!(told(parts.compile()), None);
}

#[test]
fn objects_of_the_account() {
    use FaultCode::{Duplicate, Invalid, Missing};
    let everyone = || json!({"include": [{"everyone": {}}]});
    let to = |n| json!({"group": {"id": uuid("group", n)}});
    let organization = |settings: Value| Parts::default().organization(settings);
    let wrong = |pointer| Some(("organization", 0, pointer, Invalid));
    for (name, parts, want) in [
        (
            "a policy without rules",
            Parts::default().policy(0, "allow", json!({"include": []})),
            Some(("policy", 0, "/include", Invalid)),
        ),
        (
            "a policy without a name",
            Parts::default().policy(
                0,
                "allow",
                json!({"include": [{"everyone": {}}], "name": " "}),
            ),
            Some(("policy", 0, "/name", Invalid)),
        ),
        (
            "a policy for years",
            Parts::default().policy(
                0,
                "allow",
                json!({"include": [{"everyone": {}}], "session_duration": "8760h"}),
            ),
            Some(("policy", 0, "/session_duration", Invalid)),
        ),
        (
            "a bypass that asks who",
            Parts::default().policy(
                0,
                "bypass",
                json!({"include": [{"email": {"email": "a@b.c"}}]}),
            ),
            Some(("policy", 0, "/include/0", Invalid)),
        ),
        (
            "a policy of no application",
            Parts::default().scoped_policy(0, "allow", everyone(), 9),
            Some(("policy", 0, "/app", Missing)),
        ),
        (
            "a group that is not there",
            Parts::default().policy(0, "allow", json!({"include": [to(9)]})),
            Some(("policy", 0, "/include/0/group/id", Missing)),
        ),
        (
            "groups in a circle",
            Parts::default()
                .group(0, json!({"include": [to(1)]}))
                .group(1, json!({"include": [to(0)]})),
            Some(("group", 1, "/include/0/group/id", Invalid)),
        ),
        (
            "a group of groups",
            Parts::default().group(0, json!({"include": [to(1)]})).group(1, everyone()),
            None,
        ),
        ("one way to log in by mail", Parts::default().idp(0, "onetimepin").idp(1, "oidc"), None),
        (
            "two ways to log in by mail",
            Parts::default().idp(0, "onetimepin").idp(1, "onetimepin"),
            Some(("idp", 1, "/type", Duplicate)),
        ),
        (
            "two tokens, one client id",
            Parts::default().token(0, "a").token(1, "a"),
            Some(("token", 1, "/client_id", Duplicate)),
        ),
        ("two tokens", Parts::default().token(0, "a").token(1, "b"), None),
        (
            "keys change monthly",
            organization(json!({"keys": {"key_rotation_interval_days": 30}})),
            None,
        ),
        (
            "keys change too often",
            organization(json!({"keys": {"key_rotation_interval_days": 20}})),
            wrong("/key_rotation_interval_days"),
        ),
        (
            "keys change too seldom",
            organization(json!({"keys": {"key_rotation_interval_days": 366}})),
            wrong("/key_rotation_interval_days"),
        ),
        (
            "a long global session",
            organization(json!({"session_duration": "1000h"})),
            wrong("/session_duration"),
        ),
        (
            "unused service tokens go",
            organization(
                json!({"service_token_inactivity": {"enabled": true, "inactivity_threshold_days": 30, "action": "delete"}}),
            ),
            None,
        ),
        (
            "they go too soon",
            organization(
                json!({"service_token_inactivity": {"enabled": true, "inactivity_threshold_days": 29, "action": "delete"}}),
            ),
            wrong("/service_token_inactivity/inactivity_threshold_days"),
        ),
        (
            "they go too late",
            organization(
                json!({"service_token_inactivity": {"enabled": true, "inactivity_threshold_days": 366, "action": "disable"}}),
            ),
            wrong("/service_token_inactivity/inactivity_threshold_days"),
        ),
        (
            "a colour",
            organization(
                json!({"login_design": {"background_color": "#c5ed1b", "text_color": ""}}),
            ),
            None,
        ),
        (
            "a colour that ends the style",
            organization(json!({"login_design": {"text_color": "#fff;}"}})),
            wrong("/login_design/text_color"),
        ),
        (
            "a logo by script",
            organization(json!({"login_design": {"logo_path": "javascript:x"}})),
            wrong("/login_design/logo_path"),
        ),
        (
            "an exempted zone",
            organization(json!({"deny_unmatched_requests_exempted_zone_names": ["Example.com"]})),
            None,
        ),
        (
            "an exempted zone that is not ours",
            organization(json!({"deny_unmatched_requests_exempted_zone_names": ["example.org"]})),
            wrong("/deny_unmatched_requests_exempted_zone_names/0"),
        ),
    ] {
        let parts = if parts.configuration.apps.is_empty() {
            parts.app(0, &["a.example.com"], json!({}))
        } else {
            parts
        };
        check(name, parts, want);
    }
    let mut parts = Parts::default();
    parts.configuration.organization = None;
    check("no organization", parts, Some(("organization", 0, "", Missing)));
}

#[test]
fn the_configuration_file_beside_itself() {
    let mut parts = Parts::default();
    parts.premises.admin = "access.example.com:9443".parse().ok();
    check(
        "one host for team and admin",
        parts,
        Some(("premises", 0, "/admin/host", FaultCode::Invalid)),
    );
    let mut parts = Parts::default();
    parts.premises.zones.push(parts.premises.zones[0].clone());
    check("a zone twice", parts, Some(("premises", 0, "/zone/2/name", FaultCode::Invalid)));
}

fn app<'s>(snapshot: &'s Snapshot, host: &str, path: &str) -> Option<&'s Arc<App>> {
    snapshot.app(&host.parse().expect("a name"), &CanonicalPath::of(path).expect("a path"))
}

/// P5, P6, P7 of the checklist: borders of segments, no inheritance, all spellings of one name alike.
#[test]
fn the_most_specific_application_decides() {
    let everyone = json!({"include": [{"everyone": {}}]});
    let link = json!({"policies": [{"id": uuid("policy", 0), "precedence": 1}]});
    let snapshot = Parts::default()
        .policy(0, "allow", everyone)
        .app(0, &["example.com"], link)
        .app(1, &["example.com/health"], json!({}))
        .app(2, &["*.example.com"], json!({}))
        .app(3, &["*test.example.com/x"], json!({}))
        .app(4, &["bücher.example.com"], json!({}))
        .compile()
        .unwrap();
    for (host, path, want) in [
        ("example.com", "/", Some(0)),
        ("example.com.", "/", Some(0)),
        ("EXAMPLE.com", "/any", Some(0)),
        ("example.com", "/health", Some(1)),
        ("example.com", "/health/", Some(1)),
        ("example.com", "/health/x", Some(1)),
        ("example.com", "/healthz", Some(0)),
        ("example.com", "/HEALTH", Some(0)),
        ("www.example.com", "/health", Some(2)),
        ("a.b.example.com", "/", None),
        ("mytest.example.com", "/x/y", Some(3)),
        ("mytest.example.com", "/y", Some(2)),
        ("xn--bcher-kva.example.com", "/", Some(4)),
        ("Bücher.example.com", "/", Some(4)),
        ("badexample.com", "/", None),
    ] {
        let found = app(&snapshot, host, path).map(|app| app.id().to_string());
        assert_eq!(found, want.map(|n| uuid("app", n)), "{host}{path}");
    }
    let inner = app(&snapshot, "example.com", "/health").unwrap();
    assert!(!inner.has_allow(), "the application above lends nothing");
    assert!(app(&snapshot, "example.com", "/").unwrap().has_allow());
}

#[test]
fn lookups_by_other_keys() {
    let snapshot = Parts::default()
        .app(0, &["a.example.com", "*.b.example.com"], json!({"allowed_idps": [uuid("idp", 1)]}))
        .app(1, &["c.example.com"], json!({}))
        .idp(1, "oidc")
        .idp(0, "onetimepin")
        .token(0, "a")
        .compile()
        .unwrap();
    let first = snapshot.app_by_id(uuid("app", 0).parse().unwrap()).unwrap();
    assert_eq!(snapshot.app_by_aud(first.aud()).map(|a| a.id()), Some(first.id()));
    assert_eq!(snapshot.apps().len(), 2);
    let idps =
        |app: &App| snapshot.allowed_idps(app).iter().map(|i| i.name.clone()).collect::<Vec<_>>();
    assert_eq!(idps(first), ["idp1"]);
    assert_eq!(idps(app(&snapshot, "c.example.com", "/").unwrap()), ["idp0", "idp1"]);
    let client = format!("{}.access", "a".repeat(32));
    assert_eq!(snapshot.service_token(&client).map(|t| t.name.as_str()), Some("token0"));
    assert!(snapshot.service_token(&client.to_uppercase()).is_none());
    assert!(snapshot.service_token_by_id(uuid("token", 0).parse().unwrap()).is_some());
    assert!(snapshot.country([192, 0, 2, 1].into()).is_none());
    for (host, want) in [
        ("access.example.com", true),
        ("admin.example.com", true),
        ("a.example.com", true),
        ("x.b.example.com", true),
        ("origin.example.com", true),
        ("b.example.com", false),
        ("x.y.b.example.com", false),
        ("example.com", false),
        ("d.example.com", false),
    ] {
        assert_eq!(snapshot.knows_host(&host.parse().unwrap()), want, "{host}");
    }
}

/// P18 of the checklist.
#[test]
fn hosts_without_an_application() {
    for (settings, ours, exempted) in [
        (json!({}), false, false),
        (json!({"deny_unmatched_requests": false}), true, true),
        (json!({"deny_unmatched_requests_exempted_zone_names": ["lab.example.com"]}), false, true),
    ] {
        let snapshot = Parts::default().organization(settings).compile().unwrap();
        let admits = |host: &str| snapshot.admits_unmatched(&host.parse().unwrap());
        assert_eq!(admits("x.example.com"), ours);
        assert_eq!(admits("x.lab.example.com"), exempted);
        assert_eq!(admits("lab.example.com"), exempted);
    }
}

#[test]
fn sessions_and_cookies_of_an_application() {
    let everyone = |extra: Value| {
        let mut rules = json!({"include": [{"everyone": {}}]});
        rules.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        rules
    };
    let links: Vec<_> = [(0, 30), (1, 20), (2, 10)]
        .map(|(n, p)| json!({"id": uuid("policy", n), "precedence": p}))
        .into();
    let snapshot = Parts::default()
        .policy(0, "allow", everyone(json!({})))
        .policy(1, "allow", everyone(json!({"session_duration": "30m"})))
        .policy(2, "allow", everyone(json!({"session_duration": "0s"})))
        .app(
            0,
            &["a.example.com/x", "a.example.com/x/y*/z", "b.example.com"],
            json!({"policies": links, "session_duration": "2h", "path_cookie_attribute": true}),
        )
        .app(1, &["c.example.com/x"], json!({"session_duration": "0s"}))
        .compile()
        .unwrap();
    let first = snapshot.app_by_id(uuid("app", 0).parse().unwrap()).unwrap();
    let names: Vec<_> = first.policies.policies().map(|p| p.name().to_owned()).collect();
    assert_eq!(names, ["policy2", "policy1", "policy0"], "by precedence");
    for (policy, want) in
        [(None, 7_200), (Some(0), 10), (Some(1), 1_800), (Some(2), 7_200), (Some(9), 7_200)]
    {
        assert_eq!(first.session_seconds(policy), want, "{policy:?}");
    }
    let second = snapshot.app_by_id(uuid("app", 1).parse().unwrap()).unwrap();
    assert_eq!(second.session_seconds(None), 10);
    for (app, host, path, want) in [
        (first, "a.example.com", "/x/1", "/x"),
        (first, "a.example.com", "/x/y1/z", "/x"),
        (first, "b.example.com", "/x", "/"),
        (second, "c.example.com", "/x", "/"),
    ] {
        let path = CanonicalPath::of(path).unwrap();
        assert_eq!(app.cookie_path(&host.parse().unwrap(), &path), want, "{host}{path}");
    }
    assert_eq!(first.domain(), "a.example.com/x");
}

#[test]
fn an_empty_account_compiles() {
    let parts = Parts::default();
    let empty = Configuration {
        organization: parts.configuration.organization.clone(),
        ..Configuration::default()
    };
    let snapshot = Snapshot::compile(&parts::materials(premises()), &empty, Revision(7)).unwrap();
    assert_eq!((snapshot.revision, snapshot.apps().len()), (Revision(7), 0));
    assert_eq!(snapshot.keys.issuer(), "https://access.example.com:8443");
}
