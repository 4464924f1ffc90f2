//! The admin host is reached under its own name and in no other way (security A3).

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::{Wire, client_config, connect};
use narthex_proxy::{CertificateSource, Errand, ServerCertificate, Settings, Site};
use serde_json::json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const ADMIN: &str = "admin.example.com";
const WIKI: &str = "wiki.example.com";
const TEAM: &str = "access.example.com";

/// All three hosts under one certificate, so that browsers would share a connection among them.
async fn town() -> Town {
    let names = [ADMIN, WIKI, TEAM].map(str::to_owned).to_vec();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let certificate = ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let certificates =
        CertificateSource { certificates: vec![Arc::new(certificate)], local_ca: None };
    let plan = Plan {
        settings: Settings { certificates, ..Settings::default() },
        ..Plan::default().app(WIKI, &[policy("bypass", everyone())], json!({}))
    };
    let mut town = Town::build(plan).await;
    town.ca_pem = chain;
    town
}

/// Answers every errand with 200 and keeps which site it was for.
fn control_side(town: &mut Town) -> mpsc::UnboundedReceiver<Site> {
    let mut errands: mpsc::Receiver<Errand> =
        std::mem::replace(&mut town.errands, mpsc::channel(1).1);
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(errand) = errands.recv().await {
            let _ = tell.send(errand.site);
            drop(errand.reply.send(http::Response::new(bytes::Bytes::from_static(b"done"))));
        }
    });
    told
}

fn get(host: &str) -> String {
    format!("GET /client/v4/accounts HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer x\r\n\r\n")
}

#[tokio::test]
async fn a3_the_admin_host_shares_no_connection() {
    let mut town = town().await;
    let mut told = control_side(&mut town);
    for name in [WIKI, TEAM] {
        let mut wire = town.wire(name).await;
        let port = town.port();
        for host in [
            ADMIN.to_owned(),
            ADMIN.to_uppercase(),
            format!("{ADMIN}."),
            format!("{ADMIN}:443"),
            format!("{ADMIN}:{port}"),
        ] {
            let answer = wire.ask(get(&host)).await;
            assert_eq!(answer.status, 421, "{host} over {name}: {answer:?}");
        }
        let absolute =
            format!("GET https://{ADMIN}/client/v4/accounts HTTP/1.1\r\nHost: {ADMIN}\r\n\r\n");
        assert_eq!(wire.ask(absolute).await.status, 421, "{name}");
        assert_eq!(wire.ask(get(name)).await.status, 200, "{name}: the connection goes on");
    }
    assert_eq!(told.try_recv().unwrap(), Site::Team);
    assert!(told.try_recv().is_err(), "nothing reached the API");
    town.origin.take();

    let mut wire = town.wire(ADMIN).await;
    assert_eq!(wire.ask(get(ADMIN)).await.status, 200, "under its own name");
    assert_eq!(told.try_recv().unwrap(), Site::Admin);
    assert_eq!(wire.ask(get(WIKI)).await.status, 200, "neighbours may use its connection");
    assert_eq!(town.origin.take().len(), 1);
}

#[tokio::test]
async fn a3_nor_is_it_there_by_number_or_under_a_name_that_was_rebound() {
    let mut town = town().await;
    let mut told = control_side(&mut town);
    // A page at evil.example whose name leads here: its browser says evil.example, in TLS and in HTTP.
    for name in ["evil.example", "127.0.0.1", "localhost", "admin.example.com.evil.example"] {
        let config = client_config(&town.ca_pem, &[b"http/1.1"]);
        let refused = connect(config, town.port(), name).await.map(drop).unwrap_err().to_string();
        assert!(refused.to_lowercase().contains("unrecogni"), "{name}: {refused}");
    }
    for host in [
        "evil.example",
        "127.0.0.1",
        &format!("127.0.0.1:{}", town.port()),
        "[::1]",
        "localhost",
        "",
    ] {
        let config = client_config(&town.ca_pem, &[b"http/1.1"]);
        let mut wire = Wire::new(connect(config, town.port(), ADMIN).await.unwrap());
        let answer = wire.ask(get(host)).await;
        assert!([400, 421].contains(&answer.status), "{host}: {answer:?}");
    }
    // Without TLS there is nothing but the way to TLS.
    for host in [ADMIN, "127.0.0.1", "evil.example"] {
        let http = town.running.http_addrs()[0];
        let mut tcp = TcpStream::connect(http).await.unwrap();
        let request = get(host).replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1);
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap();
        if host == ADMIN {
            assert!(status.starts_with('3'), "{answer}");
            assert!(
                answer.to_lowercase().contains(&format!("location: https://{ADMIN}")),
                "{answer}"
            );
        } else {
            assert!(status.starts_with('4'), "{host}: {answer}");
        }
    }
    assert!(told.try_recv().is_err(), "nothing reached the control side");
    assert!(town.origin.take().is_empty());
}
