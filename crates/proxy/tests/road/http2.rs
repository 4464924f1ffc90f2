//! Group N: HTTP/2 obeys the same checks.

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::{client_config, connect};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use serde_json::json;
use std::time::Duration;

const A: &str = "a.example.com";
const B: &str = "b.example.com";

async fn town() -> Town {
    let plan = Plan::default().app(A, &[policy("bypass", everyone())], json!({})).app(
        B,
        &[policy("allow", everyone())],
        json!({}),
    );
    Town::build(plan).await
}

type Sender = h2::client::SendRequest<Bytes>;

async fn sender(town: &Town, name: &str) -> Sender {
    let stream = connect(client_config(&town.ca_pem, &[b"h2"]), town.port(), name).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ended = connection.await;
    });
    sender
}

/// The status and fields of an answer, or that the stream or connection ended in an error.
async fn ask(sender: &Sender, request: Request<()>) -> Result<(u16, HeaderMap), h2::Error> {
    let mut sender = sender.clone().ready().await?;
    let (response, _) = sender.send_request(request, true)?;
    let response = response.await?;
    Ok((response.status().as_u16(), response.headers().clone()))
}

fn get(uri: &str) -> http::request::Builder {
    Request::builder().method(Method::GET).uri(uri).version(Version::HTTP_2)
}

#[tokio::test]
async fn n11_to_n18_one_authority_one_scheme_and_a_path() {
    let town = town().await;
    let sender = sender(&town, A).await;
    let status = async |request: http::request::Builder| {
        ask(&sender, request.body(()).unwrap()).await.map_or(0, |(status, _)| status)
    };
    assert_eq!(status(get("https://a.example.com/x")).await, 200);
    assert_eq!(town.origin.take()[0].line(), "GET /x HTTP/1.1");
    assert_eq!(status(get("https://a.example.com/").header("host", A)).await, 200);
    town.origin.take();
    for (name, request, want) in [
        ("n11", get("https://a.example.com/").header("host", B), &[400][..]),
        ("n11 twice", get("https://a.example.com/").header("host", A).header("host", A), &[400]),
        ("n12", get("https://u@a.example.com/"), &[400, 0]),
        ("n15", get("http://a.example.com/"), &[400]),
        ("n15 file", get("file://a.example.com/"), &[400]),
        ("n16 trace", get("https://a.example.com/").method(Method::TRACE), &[405]),
        ("p3", get("https://a.example.com/a%2fb"), &[400]),
        ("n17", get("a.example.com:443").method(Method::CONNECT), &[405]),
        ("n9", get("https://a.example.com/").header("te", "gzip"), &[0, 200]),
    ] {
        let got = status(request).await;
        assert!(want.contains(&got), "{name}: {got}");
        assert!(town.origin.take().len() <= usize::from(got == 200), "{name}");
    }
    assert_eq!(status(get("https://a.example.com/")).await, 200, "the connection goes on");
}

#[tokio::test]
async fn t04_a_host_of_another_rule_is_misdirected_and_the_connection_goes_on() {
    let town = town().await;
    let sender = sender(&town, A).await;
    let status = async |uri: &str| ask(&sender, get(uri).body(()).unwrap()).await.unwrap().0;
    assert_eq!(status("https://b.example.com/").await, 421);
    assert_eq!(status("https://a.example.com/").await, 200);
    assert_eq!(town.origin.seen().len(), 1);
}

#[tokio::test]
async fn n17_n18_the_decision_is_the_same_as_over_http_1() {
    let town = town().await;
    let sender = sender(&town, B).await;
    let (status, fields) =
        ask(&sender, get("https://b.example.com/x").body(()).unwrap()).await.unwrap();
    assert_eq!(status, 302);
    assert_eq!(fields["content-length"], "143");
    let grpc = get("https://b.example.com/p.S/M")
        .method(Method::POST)
        .header("content-type", "application/grpc");
    let (status, fields) = ask(&sender, grpc.body(()).unwrap()).await.unwrap();
    assert_eq!((status, fields["grpc-status"].as_bytes()), (200, &b"16"[..]));
    let mut websocket = get("https://b.example.com/ws").method(Method::CONNECT);
    websocket = websocket.extension(h2::ext::Protocol::from_static("websocket"));
    let (status, _) = ask(&sender, websocket.body(()).unwrap()).await.unwrap();
    assert_eq!(status, 302, "as an upgrade without a session over HTTP/1.1");
    // Cookies come in pieces (RFC 9113 §8.2.3).
    let token = town.log_in("a@b.test", B);
    for _ in 0..2 {
        let request = get("https://b.example.com/").header("cookie", "a=b");
        let request = request.header("cookie", format!("CF_Authorization={token}"));
        assert_eq!(ask(&sender, request.body(()).unwrap()).await.unwrap().0, 200);
    }
    assert_eq!(town.read_meters().memo_hits, 1);
}

#[tokio::test]
async fn n01_rapid_resets_end_the_connection_and_nobody_else() {
    let town = town().await;
    let sender = sender(&town, A).await;
    let mut ended = false;
    for _ in 0..20_000 {
        let Ok(mut ready) = sender.clone().ready().await else {
            ended = true;
            break;
        };
        match ready.send_request(get("https://a.example.com/").body(()).unwrap(), false) {
            Ok((_, mut stream)) => stream.send_reset(h2::Reason::CANCEL),
            Err(_) => {
                ended = true;
                break;
            }
        }
    }
    assert!(ended || town.origin.seen().len() < 20_000);
    let other = self::sender(&town, A).await;
    assert_eq!(ask(&other, get("https://a.example.com/").body(()).unwrap()).await.unwrap().0, 200);
}

/// A masked binary frame (RFC 6455 §5.2) with a mask of zeros, and how it comes back: byte for byte.
fn websocket_frame(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x82, 0xfe], &length[..], &[0; 4], payload].concat()
}

#[tokio::test]
async fn w05_a_websocket_over_http_2_outlives_quiet_times_and_ends_with_its_session() {
    let limits = narthex_proxy::Limits {
        head_time: Duration::from_millis(200),
        keep_alive: Duration::from_millis(200),
        ..narthex_proxy::Limits::default()
    };
    let settings = narthex_proxy::Settings { limits, ..narthex_proxy::Settings::default() };
    let plan = Plan { settings, ..Plan::default() };
    let town = Town::build(plan.app(B, &[policy("allow", everyone())], json!({}))).await;
    let token = town.log_in("a@b.test", B);
    let sender = sender(&town, B).await;
    let request = get("https://b.example.com/ws").method(Method::CONNECT);
    let request = request.extension(h2::ext::Protocol::from_static("websocket"));
    let request = request.header("sec-websocket-version", "13");
    let request = request.header("cookie", format!("CF_Authorization={token}")).body(()).unwrap();
    let mut ready = sender.clone().ready().await.unwrap();
    let (answer, mut up) = ready.send_request(request, false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(town.origin.seen()[0].fields("cf-access-jwt-assertion"), [token.as_str()]);
    let mut down = answer.into_body();
    let frame = websocket_frame(&vec![7; 20_000]);
    for _ in 0..3 {
        // Quiet for longer than a connection without requests is kept; then more than one may bring while idle.
        let quiet = Duration::from_millis(500);
        let _elapsed = tokio::time::timeout(quiet, std::future::pending::<()>()).await;
        up.send_data(frame.clone().into(), false).unwrap();
        let mut echoed = 0;
        while echoed < frame.len() {
            let piece = down.data().await.expect("the stream goes on").unwrap();
            down.flow_control().release_capacity(piece.len()).unwrap();
            echoed += piece.len();
        }
    }
    let opened = town.keys.open_any_app(&token, crate::town::NOW).unwrap();
    let narthex_token::AppToken::Person(person) = opened else { panic!("a person's") };
    let until = crate::town::NOW.plus(86_400);
    town.live.revocations.end_session(&person.identity_nonce, until);
    let ended = async { while let Some(Ok(_)) = down.data().await {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("closed with the session");
}
