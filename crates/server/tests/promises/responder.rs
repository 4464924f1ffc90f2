//! The whole way of OCSP: a client shows a certificate, and the gateway asks the responder that it names, which is OpenSSL's.

use crate::daemon::{Daemon, Place};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SerialNumber,
};
use serde_json::json;
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

/// Makes a client's certificate that names its responder.
fn client(place: &Place, issuer: &Issuer<'_, KeyPair>, number: u64, url: &str) {
    let der =
        |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let ocsp = der(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1]);
    let access = der(0x30, &der(0x30, &[ocsp, der(0x86, url.as_bytes())].concat()));
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from(number));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.custom_extensions =
        vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access)];
    let leaf = params.signed_by(&key, issuer).unwrap();
    std::fs::write(place.file(&format!("{number}.pem")), leaf.pem()).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn the_responder_that_a_certificate_names_decides_on_its_first_request() {
    if !there("openssl", "version") || !there("curl", "--version") {
        return;
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
    let (_responder, url) = responder(&place);
    for number in 1..=3 {
        client(&place, &issuer, number, &url);
    }

    let daemon = place.serve();
    let access = format!("/accounts/{}/access", place.account().await);
    let mut app = Place::open_app(HOST);
    app["policies"] = json!([{"precedence": 1, "name": "robots", "decision": "non_identity",
                              "include": [{"certificate": {}}]}]);
    place.api("POST", &format!("{access}/apps"), &app).await;
    let body = json!({"name": "Staff", "certificate": pem, "associated_hostnames": [HOST]});
    let made = place.api("POST", &format!("{access}/certificates"), &body).await;
    let settings = format!("{access}/certificates/{}/revocation", made["id"].as_str().unwrap());
    place.api("PUT", &settings, &json!({"ocsp": {"mode": "hard", "url": null}})).await;

    for (number, status, text) in
        [(1, "218", ""), (2, "403", "has been revoked"), (3, "403", "cannot be told right now")]
    {
        let answer = tokio::task::block_in_place(|| curl(&place, number));
        assert!(answer.ends_with(status) && answer.contains(text), "{number}: {answer}");
    }
    let (_, page) = place.private("/metrics").await;
    for (status, count) in [("good", 1), ("revoked", 1), ("unknown", 1), ("failed", 0)] {
        let line = format!("narthex_ocsp_answers_total{{status=\"{status}\"}} {count}\n");
        assert!(page.contains(&line), "{line} in\n{page}");
    }
    daemon.stop();
}
