//! What origins and clients are told about a client certificate (access-protocol §7.6 to §7.8).

use crate::clients::{Ca, FIRST, get, wire};
use crate::town::{Plan, Town, everyone, policy};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use narthex_model::{HostnameSetting, ManagedTransforms};
use serde_json::{Value, json};
use std::sync::Arc;

const HOST: &str = "mtls.example.com";

async fn town(ours: &Ca, setting: Value) -> Town {
    let mut town =
        Town::build(Plan::default().app(HOST, &[policy("bypass", everyone())], json!({}))).await;
    let mut body = json!({"hostname": HOST, "client_certificate_forwarding": true});
    body.as_object_mut().unwrap().extend(setting.as_object().unwrap().clone());
    let setting: HostnameSetting = serde_json::from_value(body).unwrap();
    town.publish(|configuration| {
        ours.put(configuration, &[HOST], json!({}));
        configuration.hostname_settings.insert(setting.hostname.host().clone(), Arc::new(setting));
    });
    town
}

/// A client's own copies of every name that may be written, in several spellings.
fn forged() -> String {
    let mut fields = String::new();
    for name in [
        "Cf-Client-Cert-Der-Base64",
        "cf_client_cert_sha256",
        "CF-Cert-Verified",
        "Cf.Cert.Subject.Dn",
        "Client-Cert",
        "client_cert_chain",
        "X-CERT-SERIAL",
        "x_cert_serial",
        "X.Cert.Subject-DN",
        "X-Environment",
    ] {
        fields.push_str(&format!("{name}: forged\r\n"));
    }
    format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n")
}

#[tokio::test]
async fn t28_the_certificate_is_forwarded_on_the_first_request_or_on_every_one() {
    let ours = Ca::new(FIRST, "Our CA");
    let client = ours.client("robot");
    let der = STANDARD.encode(&client.chain[0]);
    for (setting, first, later) in [
        (json!({}), true, false),
        (json!({"forwarded_requests": "every"}), true, true),
        (
            json!({"client_certificate_forwarding": false, "request_headers": {"x-a": {"value": "b"}}}),
            false,
            false,
        ),
    ] {
        let town = town(&ours, setting.clone()).await;
        let mut one = wire(&town, HOST, Some(&client)).await;
        let mut none = wire(&town, HOST, None).await;
        for want in [first, later, later] {
            assert_eq!(one.ask(forged()).await.status, 200);
            let seen = town.origin.take();
            let told: &[&str] = if want { &[der.as_str()] } else { &[] };
            assert_eq!(seen[0].fields("cf-client-cert-der-base64"), told, "{setting}");
            assert_eq!(
                seen[0].fields("cf-client-cert-sha256").len(),
                usize::from(want),
                "{setting}"
            );
            assert_eq!(none.ask(forged()).await.status, 200);
            let head = town.origin.take()[0].head.clone();
            assert!(
                !head.to_lowercase().contains("client"),
                "nothing without a certificate: {head}"
            );
        }
    }
}

#[tokio::test]
async fn the_form_of_rfc_9440_is_a_further_choice() {
    let ours = Ca::new(FIRST, "Our CA");
    let mut client = ours.client("robot");
    let ca = rustls::pki_types::CertificateDer::from(pem_body(&ours.pem));
    client.chain.push(ca.clone());
    for (form, cloudflare, rfc) in [("cloudflare", 1, 0), ("rfc9440", 0, 1), ("both", 1, 1)] {
        let town = town(&ours, json!({"forwarded_form": form})).await;
        assert_eq!(wire(&town, HOST, Some(&client)).await.ask(forged()).await.status, 200);
        let seen = town.origin.take();
        assert_eq!(seen[0].fields("cf-client-cert-sha256").len(), cloudflare, "{form}");
        let (leaf, chain) = (seen[0].fields("client-cert"), seen[0].fields("client-cert-chain"));
        assert_eq!((leaf.len(), chain.len()), (rfc, rfc), "{form}");
        if rfc == 1 {
            assert_eq!(leaf[0], format!(":{}:", STANDARD.encode(&client.chain[0])));
            assert_eq!(chain[0], format!(":{}:", STANDARD.encode(&ca)));
        }
        assert!(!seen[0].head.contains("forged\r\nclient"), "{}", seen[0].head);
    }
}

fn pem_body(pem: &str) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[tokio::test]
async fn rules_of_a_host_fill_headers_from_the_certificate() {
    let ours = Ca::new(FIRST, "Our CA");
    let client = ours.client("robot");
    // The nine of the documented sample, and one that is always the same.
    let rules = json!({
        "X-CERT-ISSUER-DN": {"field": "certIssuerDN"}, "X-CERT-SUBJECT-DN": {"field": "certSubjectDN"},
        "X-CERT-ISSUER-DN-L": {"field": "certIssuerDNLegacy"}, "X-CERT-SUBJECT-DN-L": {"field": "certSubjectDNLegacy"},
        "X-CERT-SERIAL": {"field": "certSerial"}, "X-CERT-FINGER": {"field": "certFingerprintSHA1"},
        "X-CERT-VERIFY": {"field": "certVerify"}, "X-CERT-NOTBE": {"field": "certNotBefore"},
        "X-CERT-NOTAF": {"field": "certNotAfter"}, "X-Environment": {"value": "production"},
    });
    let town =
        town(&ours, json!({"client_certificate_forwarding": false, "request_headers": rules}))
            .await;
    for client in [Some(&client), None] {
        let mut wire = wire(&town, HOST, client).await;
        for _ in 0..2 {
            assert_eq!(wire.ask(forged()).await.status, 200);
            let seen = town.origin.take();
            let field = |name: &str| seen[0].fields(name).join("|");
            let (dn, serial, verify) = match client {
                Some(_) => ("CN=robot", "C0FFEE", "SUCCESS"),
                None => ("", "", "NONE"),
            };
            assert_eq!(field("x-cert-subject-dn"), dn);
            assert_eq!(field("x-cert-subject-dn-l"), dn.replace("CN=", "/CN="));
            assert_eq!(field("x-cert-serial"), serial);
            assert_eq!(field("x-cert-verify"), verify);
            assert_eq!(field("x-environment"), "production");
            assert_eq!(field("x-cert-notaf").is_empty(), client.is_none());
            assert!(!seen[0].head.contains("forged"), "in no spelling: {}", seen[0].head);
        }
    }
}

/// Keys and subjects as OpenSSL makes them, twenty in all.
const MADE_BY_OPENSSL: [(&str, &str, &str); 20] = [
    ("rsa", "rsa_keygen_bits:2048", "/CN=rsa 2048"),
    ("rsa", "rsa_keygen_bits:3072", "/CN=rsa 3072"),
    ("ec", "ec_paramgen_curve:P-256", "/CN=p256"),
    ("ec", "ec_paramgen_curve:P-384", "/CN=p384"),
    ("ec", "ec_paramgen_curve:P-521", "/CN=p521"),
    ("ed25519", "", "/CN=ed25519"),
    ("ed25519", "", "/C=US/ST=Texas/L=Austin/O=Access Testing/OU=TX/CN=Testing"),
    ("ed25519", "", "/CN=Zoë 東京 🗝"),
    ("ed25519", "", "/O=Acme+OU=Robots+CN=many in one"),
    ("ed25519", "", "/CN=a,b;c<d>e\"f"),
    ("ed25519", "", "/CN=slash \\/CN=admin"),
    ("ed25519", "", "/CN=# hash and space "),
    ("ed25519", "", "/CN= "),
    ("ed25519", "", "/CN=plus \\+ equals = back \\\\ slash"),
    ("ed25519", "", "/O=no common name"),
    ("ed25519", "", "/CN=one/CN=two"),
    ("ed25519", "", "/DC=com/DC=example/UID=ada"),
    ("ed25519", "", "/emailAddress=ada@example.com/serialNumber=42/title=Dr"),
    ("ed25519", "", "/2.5.4.97=NTRUS-1/1.2.3.4=unknown"),
    ("ed25519", "", "/CN=0123456789012345678901234567890123456789012345678901234567890123"),
];

#[tokio::test]
async fn origins_read_what_openssl_prints() {
    use std::process::{Command, Stdio};
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: the openssl command is not installed");
        return;
    }
    let ours = Ca::new(FIRST, "Our CA");
    let mut town = town(&ours, json!({"client_certificate_forwarding": false})).await;
    let zone = town.add_zone("example.com");
    town.publish(|configuration| {
        let managed = ManagedTransforms {
            zone: zone.clone(),
            client_certificate_request_headers: true,
            client_certificate_response_headers: false,
        };
        configuration.managed_transforms.insert(zone, Arc::new(managed));
    });
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("ca.pem"), &ours.pem).unwrap();
    std::fs::write(path("ca.key"), ours.key_pem()).unwrap();
    std::fs::write(path("ext"), "extendedKeyUsage=clientAuth\nsubjectKeyIdentifier=hash\n")
        .unwrap();
    let run = |arguments: &[&str]| {
        let output =
            Command::new("openssl").args(arguments).stderr(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (kind, option, subject) in MADE_BY_OPENSSL {
        let (key, request, leaf) = (path("key"), path("request"), path("leaf"));
        let make_key = ["genpkey", "-algorithm", kind, "-out", &key, "-pkeyopt", option];
        run(&make_key[..if option.is_empty() { 5 } else { 7 }]);
        run(&["req", "-new", "-key", &key, "-utf8", "-subj", subject, "-out", &request]);
        run(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &path("ca.pem"),
            "-CAkey",
            &path("ca.key"),
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            &path("ext"),
            "-out",
            &leaf,
        ]);
        // The town's clock stands before the certificate's time; so it is presented, and found early.
        let client = crate::clients::Client::read(&leaf, &key);
        let answer = wire(&town, HOST, Some(&client)).await.ask(get(HOST)).await;
        assert_eq!(answer.status, 200, "{subject}");
        let seen = town.origin.take();
        let field = |name: &str| seen[0].fields(name).join("|");
        let print = |arguments: &[&str]| {
            let text = run(&[&["x509", "-in", &leaf, "-noout"], arguments].concat());
            text.trim_end_matches('\n').split_once('=').unwrap().1.trim().to_owned()
        };
        let hex = |text: String| text.replace(':', "").to_lowercase();
        for (name, want) in [
            ("cf-cert-subject-dn", print(&["-subject", "-nameopt", "RFC2253"])),
            ("cf-cert-subject-dn-rfc2253", print(&["-subject", "-nameopt", "RFC2253"])),
            ("cf-cert-subject-dn-legacy", print(&["-subject", "-nameopt", "compat"])),
            ("cf-cert-issuer-dn-rfc2253", print(&["-issuer", "-nameopt", "RFC2253"])),
            ("cf-cert-issuer-dn-legacy", print(&["-issuer", "-nameopt", "compat"])),
            ("cf-cert-serial", print(&["-serial"])),
            ("cf-cert-sha1", hex(print(&["-fingerprint", "-sha1"]))),
            ("cf-cert-sha256", hex(print(&["-fingerprint", "-sha256"]))),
            ("cf-cert-not-before", print(&["-startdate"])),
            ("cf-cert-not-after", print(&["-enddate"])),
            ("cf-cert-presented", "true".to_owned()),
            ("cf-cert-verified", "false".to_owned()),
        ] {
            assert_eq!(field(name), want, "{subject}: {name}");
        }
        assert_eq!(field("cf-cert-ski").len(), 40, "{subject}");
    }
}

#[tokio::test]
async fn the_managed_set_is_written_on_requests_and_answers_by_its_switches() {
    let ours = Ca::new(FIRST, "Our CA");
    let client = ours.client("robot");
    for (on_requests, on_responses) in [(true, false), (false, true), (false, false)] {
        let mut town =
            town(&ours, json!({"client_certificate_forwarding": false, "request_headers": {}}))
                .await;
        let zone = town.add_zone("example.com");
        town.publish(|configuration| {
            let managed = ManagedTransforms {
                zone: zone.clone(),
                client_certificate_request_headers: on_requests,
                client_certificate_response_headers: on_responses,
            };
            configuration.managed_transforms.insert(zone, Arc::new(managed));
        });
        for (client, presented, verified, serial) in
            [(Some(&client), "true", "true", "C0FFEE"), (None, "false", "false", "")]
        {
            let answer = wire(&town, HOST, client).await.ask(get(HOST)).await;
            let seen = town.origin.take();
            for (name, want) in [
                ("cf-cert-presented", presented),
                ("cf-cert-verified", verified),
                ("cf-cert-revoked", "false"),
                ("cf-cert-serial", serial),
            ] {
                let on = |on: bool| if on { want } else { "" };
                assert_eq!(seen[0].fields(name).join("|"), on(on_requests), "{name}");
                assert_eq!(answer.fields(name).join("|"), on(on_responses), "{name}");
            }
            let both =
                ["cf-cert-sha256", "cf-cert-fingerprint-sha256"].map(|name| seen[0].fields(name));
            assert_eq!(both[0], both[1], "the older name says the same");
        }
    }
}
