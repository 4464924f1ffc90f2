//! Group T, client certificates: who is let in by one, and how long a verdict lasts.

use crate::clients::{Ca, Client, FIRST, SECOND, config_with, get, wire};
use crate::town::{CLIENT_ID, CLIENT_SECRET, NOW, Plan, Town, everyone, policy};
use crate::wire::{Wire, connect};
use narthex_model::{Configuration, UnixSeconds};
use narthex_proxy::{CertificateSource, ServerCertificate};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use serde_json::json;
use std::sync::Arc;

const HOST: &str = "mtls.example.com";
const OTHER: &str = "other.example.com";
const STAFF: &str = "staff.example.com";
const OPEN: &str = "open.example.com";

/// A certificate suffices on `HOST`; on `STAFF` a person needs one too; `OTHER` has another authority; `OPEN` asks for none.
async fn town(ours: &Ca, theirs: &Ca) -> Town {
    let certificate = || json!({"certificate": {}});
    let staff = json!({
        "decision": "allow", "include": [everyone()], "require": [{"common_name": {"common_name": "ada"}}],
    });
    let plan = Plan::default()
        .app(HOST, &[policy("non_identity", certificate())], json!({}))
        .app(OTHER, &[policy("non_identity", certificate())], json!({}))
        .app(STAFF, &[staff], json!({}))
        .app(OPEN, &[policy("non_identity", certificate())], json!({}));
    let mut town = Town::build(plan).await;
    town.publish(|configuration| {
        ours.put(configuration, &[HOST, STAFF], json!({}));
        theirs.put(configuration, &[OTHER], json!({}));
    });
    town
}

fn authorities() -> (Ca, Ca) {
    (Ca::new(FIRST, "Our CA"), Ca::new(SECOND, "Their CA"))
}

#[tokio::test]
async fn t05_t06_t07_a_certificate_of_the_hosts_authority_admits_and_others_are_told_why_not() {
    let (ours, theirs) = authorities();
    let mut town = town(&ours, &theirs).await;
    let good = ours.client("robot");
    let expired = ours.client_with("robot", |params| params.not_after = date_time_ymd(2026, 2, 1));
    let early = ours.client_with("robot", |params| params.not_before = date_time_ymd(2029, 1, 1));
    let server = ours.client_with("robot", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    type Case<'a> = (&'a str, &'a str, Option<&'a Client>, u16, &'a str, &'a str);
    let table: [Case<'_>; 8] = [
        ("a good one", HOST, Some(&good), 200, "", ""),
        ("none", HOST, None, 403, "none was presented", "NONE"),
        (
            "another host's",
            HOST,
            Some(&theirs.client("robot")),
            403,
            "was not issued for this address",
            "FAILED:unable to verify the first certificate",
        ),
        (
            "ours on another host",
            OTHER,
            Some(&good),
            403,
            "was not issued for this address",
            "FAILED:",
        ),
        ("expired", HOST, Some(&expired), 403, "has expired", "FAILED:certificate has expired"),
        (
            "early",
            HOST,
            Some(&early),
            403,
            "is not valid yet",
            "FAILED:certificate is not yet valid",
        ),
        (
            "for servers",
            HOST,
            Some(&server),
            403,
            "cannot be accepted",
            "FAILED:unsuitable certificate purpose",
        ),
        ("where none is asked for", OPEN, Some(&good), 403, "", ""),
    ];
    for (case, host, client, status, page, record) in table {
        let answer = wire(&town, host, client).await.ask(get(host)).await;
        assert_eq!(answer.status, status, "{case}: {}", answer.text());
        assert!(answer.text().contains(page), "{case}: {}", answer.text());
        let kept = town.records.recv().await.unwrap();
        if status == 200 {
            continue;
        }
        assert!(kept.reason.contains(record), "{case}: {}", kept.reason);
        if !record.is_empty() && client.is_some() {
            assert!(kept.reason.contains("sha256 "), "t22: {case}: {}", kept.reason);
        }
        assert!(!answer.text().contains("Our CA"), "{case}: no authority is named to strangers");
    }
    assert_eq!(town.origin.seen().len(), 1);
}

#[tokio::test]
async fn a_machine_is_known_to_its_origin_by_a_token_that_is_bound_to_the_certificate() {
    let (ours, theirs) = authorities();
    let town = town(&ours, &theirs).await;
    let client = ours.client("robot");
    let mut with = wire(&town, HOST, Some(&client)).await;
    let answer = with.ask(get(HOST)).await;
    let cookie = answer.field("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("CF_Authorization=ey"), "access-protocol §7.9: {cookie}");
    let seen = town.origin.take();
    let jwt = seen[0].fields("cf-access-jwt-assertion")[0].to_owned();
    let token = town.keys.open_app(&jwt, &town.app(HOST).aud, NOW).unwrap();
    let narthex_token::AppToken::Machine(token) = token else { panic!("a person") };
    assert_eq!(token.common_name, "robot");
    assert!(token.certificate.is_some(), "bound to the certificate");
    // The same again: the certificate is judged, the token is kept.
    let again = with.ask(get(HOST)).await;
    assert_eq!(again.status, 200);
    assert_eq!(town.origin.take()[0].fields("cf-access-jwt-assertion"), [jwt.as_str()]);
    // The token without the certificate is nothing.
    let stolen = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n");
    assert_eq!(wire(&town, HOST, None).await.ask(&stolen).await.status, 403);
    let imposter = theirs.client("robot");
    assert_eq!(wire(&town, HOST, Some(&imposter)).await.ask(&stolen).await.status, 403);
}

/// Both are Service Auth: the policies are asked in their order, and the first that admits says who came (access-protocol §7.5,
/// §16 no. 34).
#[tokio::test]
async fn beside_a_service_token_the_order_of_the_policies_decides_who_it_is() {
    let ours = Ca::new(FIRST, "Our CA");
    let client = ours.client("robot");
    let by = |include| policy("non_identity", include);
    let (certificate, service) =
        (|| json!({"certificate": {}}), || json!({"any_valid_service_token": {}}));
    let either = json!({"decision": "non_identity", "include": [{"certificate": {}}, {"any_valid_service_token": {}}]});
    let both = json!({
        "decision": "non_identity", "include": [{"any_valid_service_token": {}}], "require": [{"certificate": {}}],
    });
    let fields =
        format!("CF-Access-Client-Id: {CLIENT_ID}\r\nCF-Access-Client-Secret: {CLIENT_SECRET}\r\n");
    // Who is let in with both, by which of the two alone, and by none.
    for (case, policies, name, certificate_alone, token_alone) in [
        ("certificate first", vec![by(certificate()), by(service())], "robot", 200, 200),
        ("token first", vec![by(service()), by(certificate())], CLIENT_ID, 200, 200),
        ("one policy, either", vec![either], CLIENT_ID, 200, 200),
        ("one policy, both", vec![both], CLIENT_ID, 403, 403),
    ] {
        let mut town = Town::build(Plan::default().app(HOST, &policies, json!({}))).await;
        town.publish(|configuration| ours.put(configuration, &[HOST], json!({})));
        let request = |fields: &str| format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n");
        let ask = async |shown: Option<&Client>, fields: &str| {
            wire(&town, HOST, shown).await.ask(request(fields)).await.status
        };
        assert_eq!(ask(Some(&client), &fields).await, 200, "{case}");
        let seen = town.origin.take();
        let jwt = seen[0].fields("cf-access-jwt-assertion")[0];
        let token = town.keys.open_app(jwt, &town.app(HOST).aud, NOW).unwrap();
        let narthex_token::AppToken::Machine(token) = token else { panic!("a person") };
        assert_eq!(token.common_name, name, "{case}");
        assert_eq!(ask(Some(&client), "").await, certificate_alone, "{case}");
        assert_eq!(ask(None, &fields).await, token_alone, "{case}");
        assert_eq!(ask(None, "").await, 403, "{case}");
    }
}

#[tokio::test]
async fn a_person_may_need_a_certificate_as_well() {
    let (ours, theirs) = authorities();
    let mut town = town(&ours, &theirs).await;
    let jwt = town.log_in("ada@example.com", STAFF);
    let request =
        format!("GET / HTTP/1.1\r\nHost: {STAFF}\r\nCookie: CF_Authorization={jwt}\r\n\r\n");
    let client = ours.client("ada");
    let mut ada = wire(&town, STAFF, Some(&client)).await;
    assert_eq!(ada.ask(&request).await.status, 200);
    assert_eq!(ada.ask(&request).await.status, 200, "remembered");
    assert_eq!(wire(&town, STAFF, Some(&ours.client("bob"))).await.ask(&request).await.status, 403);
    assert_eq!(wire(&town, STAFF, None).await.ask(&request).await.status, 403);
    let stranger = wire(&town, STAFF, Some(&client)).await.ask(get(STAFF)).await;
    assert_eq!(stranger.status, 302, "with the certificate, a login can help");
    assert_eq!(
        wire(&town, STAFF, None).await.ask(get(STAFF)).await.status,
        403,
        "without it, none can"
    );
    town.publish(|configuration| ours.revoke(configuration, &[HOST, STAFF], &client));
    assert_eq!(ada.ask(&request).await.status, 403, "what is remembered is not believed any more");
}

#[tokio::test]
async fn t09_a_verdict_changes_on_open_connections() {
    let (ours, theirs) = authorities();
    let hosts = [HOST, STAFF];
    let mut town = town(&ours, &theirs).await;
    let client = ours.client("robot");
    let mut open = wire(&town, HOST, Some(&client)).await;
    assert_eq!(open.ask(get(HOST)).await.status, 200);
    town.publish(|configuration| ours.revoke(configuration, &hosts, &client));
    let answer = open.ask(get(HOST)).await;
    assert_eq!((answer.status, answer.field("connection")), (403, "close"));
    assert!(answer.text().contains("has been revoked"), "{}", answer.text());
    let mut open = wire(&town, HOST, Some(&client)).await;
    assert_eq!(open.ask(get(HOST)).await.status, 403);
    town.publish(|configuration| ours.put(configuration, &hosts, json!({})));
    assert_eq!(open.ask(get(HOST)).await.status, 200, "reactivated");
    town.publish(|configuration| ours.remove(configuration));
    assert_eq!(open.ask(get(HOST)).await.status, 403, "its authority is gone");
    town.publish(|configuration| ours.put(configuration, &hosts, json!({})));
    assert_eq!(open.ask(get(HOST)).await.status, 200);
    let end = UnixSeconds(1_924_991_999); // 2030-12-31T23:59:59Z; the certificate ends a second later
    town.clock.advance(end.since(NOW));
    assert_eq!(open.ask(get(HOST)).await.status, 200);
    town.clock.advance(2);
    assert_eq!(open.ask(get(HOST)).await.status, 403, "expired meanwhile");
}

#[tokio::test]
async fn a_stream_ends_with_the_certificate_that_opened_it() {
    let (ours, theirs) = authorities();
    let mut town = town(&ours, &theirs).await;
    let client = ours.client("robot");
    let mut stream = wire(&town, HOST, Some(&client)).await;
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert_eq!(stream.ask(upgrade).await.status, 101);
    town.publish(|configuration| ours.revoke(configuration, &[HOST, STAFF], &client));
    assert!(stream.is_closed().await);
}

#[tokio::test]
async fn a_connection_that_was_not_asked_shows_none_and_ends() {
    let (ours, theirs) = authorities();
    let mut town = town(&ours, &theirs).await;
    let client = ours.client("robot");
    let mut early = wire(&town, OPEN, Some(&client)).await;
    assert_eq!(early.ask(get(OPEN)).await.status, 403);
    town.publish(|configuration| ours.put(configuration, &[HOST, STAFF, OPEN], json!({})));
    let answer = early.ask(get(OPEN)).await;
    assert_eq!((answer.status, answer.field("connection")), (403, "close"));
    assert!(early.is_closed().await);
    assert_eq!(wire(&town, OPEN, Some(&client)).await.ask(get(OPEN)).await.status, 200);
}

/// What happens to a connection over which a certificate was trusted, or none was shown.
#[tokio::test]
async fn a_connection_ends_when_the_next_handshake_may_show_what_counts() {
    type Edit = fn(&mut Configuration, &Ca, &Ca, &Client);
    let swap: Edit = |configuration, ours, theirs, _| {
        ours.put(configuration, &[STAFF], json!({}));
        theirs.put(configuration, &[OTHER, HOST], json!({}));
    };
    let join: Edit = |configuration, _, theirs, _| {
        theirs.put(configuration, &[OTHER, HOST], json!({}));
    };
    let revoke: Edit = |configuration, ours, _, client| {
        ours.revoke(configuration, &[HOST, STAFF], client);
    };
    let revoke_another: Edit = |configuration, ours, _, client| {
        let another = Client { serial: "0BAD".to_owned(), ..client.clone() };
        ours.revoke(configuration, &[HOST, STAFF], &another);
    };
    let ask_for_theirs: Edit = |configuration, _, theirs, _| {
        theirs.put(configuration, &[OTHER, HOST], json!({}));
        for policy in configuration.policies.values_mut() {
            let mut rules = serde_json::to_value(&**policy).unwrap();
            if rules["include"] == json!([{"certificate": {}}]) {
                rules["include"] = json!([{"certificate": {"certificate_id": SECOND}}]);
                *policy = Arc::new(serde_json::from_value(rules).unwrap());
            }
        }
    };
    for alpn in [&b"http/1.1"[..], b"h2"] {
        for (case, shows, edit, before, after, ends) in [
            ("swapped", true, swap, 200, 403, true),
            ("revoked", true, revoke, 200, 403, true),
            ("another is revoked", true, revoke_another, 200, 200, false),
            ("another authority joins", true, join, 200, 200, false),
            ("only that one is let in", true, ask_for_theirs, 200, 403, true),
            ("swapped, nothing shown", false, swap, 403, 403, true),
            ("another joins, nothing shown", false, join, 403, 403, true),
            ("something is revoked, nothing shown", false, revoke, 403, 403, false),
        ] {
            let (ours, theirs) = authorities();
            let mut town = town(&ours, &theirs).await;
            let client = ours.client("robot");
            let config = config_with(&town, &[alpn], Some(&client).filter(|_| shows));
            let stream = connect(config, town.port(), HOST).await.unwrap();
            let case = format!("{case}, {}", String::from_utf8_lossy(alpn));
            if alpn == b"h2" {
                let (sender, mut connection) = h2::client::handshake(stream).await.unwrap();
                let mut pings = connection.ping_pong().unwrap();
                let running = tokio::spawn(connection);
                let ask = async || {
                    let request = http::Request::get(format!("https://{HOST}/")).body(()).unwrap();
                    let mut sender = sender.clone().ready().await.unwrap();
                    let (answer, _) = sender.send_request(request, true).unwrap();
                    answer.await.unwrap().status().as_u16()
                };
                assert_eq!(ask().await, before, "{case}");
                town.publish(|configuration| edit(configuration, &ours, &theirs, &client));
                assert_eq!(ask().await, after, "{case}");
                if ends {
                    drop(running.await.unwrap()); // it has ended, perhaps before the client had said goodbye
                } else {
                    pings.ping(h2::Ping::opaque()).await.unwrap(); // a GOAWAY would have come before it
                    assert_eq!(ask().await, after, "{case}");
                    running.abort();
                }
            } else {
                let mut wire = Wire::new(stream);
                assert_eq!(wire.ask(get(HOST)).await.status, before, "{case}");
                town.publish(|configuration| edit(configuration, &ours, &theirs, &client));
                let answer = wire.ask(get(HOST)).await;
                let closes = answer.fields("connection").contains(&"close");
                assert_eq!((answer.status, closes), (after, ends), "{case}");
                if ends {
                    assert!(wire.is_closed().await, "{case}");
                } else {
                    assert_eq!(wire.ask(get(HOST)).await.status, after, "{case}");
                }
            }
            if ends && edit as usize != revoke as usize {
                let theirs = theirs.client("robot");
                let mut next = wire(&town, HOST, Some(&theirs)).await;
                assert_eq!(next.ask(get(HOST)).await.status, 200, "{case}: another one");
            }
            let mut next = wire(&town, HOST, Some(&client).filter(|_| shows)).await;
            for _ in 0..2 {
                let answer = next.ask(get(HOST)).await; // a new one that shows the same lives on
                assert_eq!(
                    (answer.status, answer.fields("connection").len()),
                    (after, 0),
                    "{case}"
                );
            }
        }
    }
}

#[tokio::test]
async fn t03_t04_hosts_of_other_authorities_share_no_connection() {
    let (ours, theirs) = authorities();
    let names: Vec<String> = [HOST, STAFF, OTHER, OPEN].map(str::to_owned).into();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let certificate = ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let source = CertificateSource { certificates: vec![Arc::new(certificate)], local_ca: None };
    let mut town = town(&ours, &theirs).await;
    town.running.reload_certificates(source);
    town.ca_pem = chain;
    let client = ours.client("ada");
    for (first, second, want) in
        [(HOST, OTHER, 421), (HOST, OPEN, 421), (OPEN, HOST, 421), (HOST, STAFF, 302)]
    {
        let mut http1 = wire(&town, first, Some(&client)).await;
        assert_eq!(http1.ask(get(second)).await.status, want, "{first} {second}");
        let config = config_with(&town, &[b"h2"], Some(&client));
        let stream = connect(config, town.port(), first).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let running = tokio::spawn(connection);
        for (host, want) in [(second, want), (first, if first == HOST { 200 } else { 403 })] {
            let request = http::Request::get(format!("https://{host}/")).body(()).unwrap();
            let (answer, _) =
                sender.clone().ready().await.unwrap().send_request(request, true).unwrap();
            assert_eq!(answer.await.unwrap().status().as_u16(), want, "{first} {host}, HTTP/2");
        }
        running.abort();
    }
    let mut http1 = wire(&town, HOST, Some(&client)).await;
    town.publish(|configuration| theirs.put(configuration, &[OTHER, STAFF], json!({})));
    assert_eq!(http1.ask(get(STAFF)).await.status, 421, "another authority counts there now");
}

#[tokio::test]
async fn t19_a_chain_beyond_the_limits_ends_the_handshake() {
    let (ours, theirs) = authorities();
    let town = town(&ours, &theirs).await;
    let client = ours.client("robot");
    let with = |chain: Vec<_>| Client { chain, ..client.clone() };
    let leaf = client.chain[0].clone();
    let attempt = async |client: Client| {
        // In TLS 1.3 the client learns of it with the first answer.
        let config = config_with(&town, &[b"http/1.1"], Some(&client));
        let stream = connect(config, town.port(), HOST).await.ok()?;
        let mut wire = Wire::new(stream);
        wire.send(get(HOST)).await;
        wire.answer().await.map(|answer| answer.status)
    };
    assert_eq!(attempt(with(vec![leaf.clone(); 16])).await, Some(200), "many, within the limit");
    for (case, chain) in [
        ("too many", vec![leaf.clone(); 17]),
        ("too large", vec![leaf.clone(), vec![0x30; 60_000].into()]),
        ("an empty one", vec![leaf.clone(), Vec::new().into()]),
    ] {
        assert_eq!(attempt(with(chain)).await, None, "{case}");
    }
    let rubbish = with(vec![leaf, b"no certificate".to_vec().into()]);
    assert_eq!(attempt(rubbish).await, Some(403), "possession is proved; the chain cannot be read");
}
