//! The whole way of OCSP: a client shows a certificate, and the gateway asks the responder that it names, which is OpenSSL's.

use crate::daemon::{Daemon, Place};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SerialNumber,
};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

const HOST: &str = "mtls.localhost";

fn there(tool: &str, argument: &str) -> bool {
    let there = Command::new(tool).arg(argument).stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: the {tool} command is not installed");
    }
    there
}

/// OpenSSL's responder, which knows the first certificate as good and the second as revoked; and its address.
fn responder(place: &Place) -> (Daemon, String) {
    let index = "V\t491231235959Z\t\t01\tunknown\t/CN=a\n\
                 R\t491231235959Z\t260101000000Z\t02\tunknown\t/CN=b\n";
    std::fs::write(place.file("index"), index).unwrap();
    let mut command = Command::new("openssl");
    command.args(["ocsp", "-port", "0", "-ndays", "1", "-index", "index", "-CA", "ca.pem"]);
    command.args(["-rsigner", "ca.pem", "-rkey", "ca.key"]).current_dir(place.dir.path());
    let running = Daemon::start(command);
    let said = running.wait_for("ACCEPT ", 1);
    let line = said.lines().find(|line| line.starts_with("ACCEPT ")).unwrap();
    let address = line.split_whitespace().nth(1).unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    (running, format!("http://127.0.0.1:{port}/"))
}

/// The extension that names a responder.
fn names(url: &str) -> Vec<CustomExtension> {
    let der =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let ocsp = der(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1]);
    let access = der(0x30, &der(0x30, &[ocsp, der(0x86, url.as_bytes())].concat()));
    vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access)]
}

/// Makes a client's certificate, which names its responder if it has one; `chain` follows it in the file.
fn client(
    place: &Place,
    issuer: &Issuer<'_, KeyPair>,
    number: u64,
    url: Option<&str>,
    chain: &str,
) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from(number));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.custom_extensions = url.map(names).unwrap_or_default();
    let leaf = params.signed_by(&key, issuer).unwrap();
    std::fs::write(place.file(&format!("{number}.pem")), leaf.pem() + chain).unwrap();
    std::fs::write(place.file(&format!("{number}.key")), key.serialize_pem()).unwrap();
}

/// What curl is answered with this certificate: body and, in a line of its own, status.
fn curl(place: &Place, number: u64) -> String {
    let output = Command::new("curl")
        .args(["-sS", "--cacert", "data/local-ca.pem", "-w", "\n%{http_code}"])
        .args(["--cert", &format!("{number}.pem"), "--key", &format!("{number}.key")])
        .args(["--resolve", &format!("{HOST}:{}:127.0.0.1", place.https)])
        .arg(format!("https://{HOST}:{}/", place.https))
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A root with its responder, and who serves a host that asks for a certificate of it.
struct Scene {
    place: Place,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    _responder: Daemon,
    url: String,
}

impl Scene {
    fn new() -> Option<Self> {
        if !there("openssl", "version") || !there("curl", "--version") {
            return None;
        }
        let place = Place::new(&format!(
            "[[ingress]]\nhostname = \"{HOST}\"\nservice = \"http_status:218\"\n\
             [outbound]\nprivate_networks = [\"127.0.0.0/8\"]"
        ));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(place.file("ca.pem"), &pem).unwrap();
        std::fs::write(place.file("ca.key"), key.serialize_pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let (responder, url) = responder(&place);
        Some(Self { place, issuer, pem, _responder: responder, url })
    }

    /// Serves with these settings of OCSP, and holds what the first three clients are answered against statuses and texts.
    async fn try_three(&self, ocsp: Value, told: [(&str, &str); 3]) {
        let Self { place, pem, .. } = self;
        let daemon = place.serve();
        let access = format!("/accounts/{}/access", place.account().await);
        let mut app = Place::open_app(HOST);
        app["policies"] = json!([{"precedence": 1, "name": "robots", "decision": "non_identity",
                                  "include": [{"certificate": {}}]}]);
        place.api("POST", &format!("{access}/apps"), &app).await;
        let body = json!({"name": "Staff", "certificate": pem, "associated_hostnames": [HOST]});
        let made = place.api("POST", &format!("{access}/certificates"), &body).await;
        let settings = format!("{access}/certificates/{}/revocation", made["id"].as_str().unwrap());
        place.api("PUT", &settings, &json!({"ocsp": ocsp})).await;

        for (number, (status, text)) in (1..).zip(told) {
            let answer = tokio::task::block_in_place(|| curl(place, number));
            assert!(answer.ends_with(status) && answer.contains(text), "{number}: {answer}");
        }
        let (_, page) = place.private("/metrics").await;
        for (status, count) in [("good", 1), ("revoked", 1), ("unknown", 1), ("failed", 0)] {
            let line = format!("narthex_ocsp_answers_total{{status=\"{status}\"}} {count}\n");
            assert!(page.contains(&line), "{line} in\n{page}");
        }
        daemon.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_responder_that_a_certificate_names_decides_on_its_first_request() {
    let Some(scene) = Scene::new() else { return };
    for number in 1..=3 {
        client(&scene.place, &scene.issuer, number, Some(&scene.url), "");
    }
    let told = [("218", ""), ("403", "has been revoked"), ("403", "cannot be told right now")];
    scene.try_three(json!({"mode": "hard", "url": null}), told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_the_one_that_an_intermediate_names_for_all_below_it() {
    let Some(scene) = Scene::new() else { return };
    for number in 1..=3 {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("Below {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.serial_number = Some(SerialNumber::from(number));
        params.custom_extensions = names(&scene.url);
        let pem = params.signed_by(&key, &scene.issuer).unwrap().pem();
        client(&scene.place, &Issuer::new(params, key), 9, None, &pem);
        for end in ["pem", "key"] {
            let file = |name: u64| scene.place.file(&format!("{name}.{end}"));
            std::fs::rename(file(9), file(number)).unwrap();
        }
    }
    let told = [("218", ""), ("403", "has been revoked"), ("218", "")];
    scene.try_three(json!({"mode": "off", "intermediates": "soft"}), told).await;
}
