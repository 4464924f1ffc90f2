//! Forms posted without a session: handed over to be kept, or lost in the redirect; and put in place after the login.

use crate::town::{Plan, Town, everyone, policy};
use crate::wire::{Answer, Wire};
use bytes::Bytes;
use http::{Response, StatusCode};
use narthex_proxy::{Errand, Limits, Settings, Site};
use serde_json::{Value, json};

const SHOP: &str = "shop.example.com";
const BODY: &[u8] = b"--x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n\x00\xff\r\n--x--\r\n";
const KIND: &str = "content-type: multipart/form-data; boundary=x\r\n";
const OWN: &str = "origin: https://shop.example.com\r\nsec-fetch-site: same-origin\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n";

async fn town(more: Value, limits: Limits) -> Town {
    let settings = Settings { limits, ..Settings::default() };
    let plan = Plan { settings, ..Plan::default() };
    Town::build(plan.app(SHOP, &[policy("allow", everyone())], more)).await
}

async fn keeping() -> Town {
    town(json!({"replay_post_after_login": true}), Limits::default()).await
}

fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /orders?new=1 HTTP/1.1\r\nHost: {SHOP}\r\n{fields}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends, answers the errand that it causes, and takes the answer.
async fn ask(
    town: &mut Town,
    wire: &mut Wire,
    request: Vec<u8>,
    said: Response<Bytes>,
) -> (Errand, Answer) {
    wire.send(request).await;
    let mut errand = town.errands.recv().await.expect("an errand");
    let (unused, _) = tokio::sync::oneshot::channel();
    let reply = std::mem::replace(&mut errand.reply, unused);
    reply.send(said).unwrap();
    (errand, wire.answer().await.expect("an answer"))
}

fn said(
    status: StatusCode,
    fields: &[(&'static str, &str)],
    body: &'static [u8],
) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(Bytes::from_static(body)).unwrap()
}

fn is_plain_redirect(answer: &Answer) -> bool {
    answer.status == 302
        && answer.field("location").contains("&redirect_url=%2Forders%3Fnew%3D1")
        && answer.fields("set-cookie").len() == 1
}

#[tokio::test]
async fn a_form_without_a_session_is_handed_over_and_its_sender_goes_to_log_in() {
    let mut town = keeping().await;
    let mut wire = town.wire(SHOP).await;
    let cookies = "cookie: CF_Person=aa; a=1\r\n";
    let kept = said(StatusCode::CREATED, &[("set-cookie", "CF_Form=h; Path=/")], b"");
    let request = post(&format!("{KIND}{OWN}{cookies}"), BODY);
    let (errand, answer) = ask(&mut town, &mut wire, request, kept).await;
    assert_eq!((errand.site, errand.request.body().as_ref()), (Site::FormToKeep, BODY));
    assert_eq!(errand.request.uri(), "/orders?new=1");
    assert_eq!(errand.request.headers()["content-type"], "multipart/form-data; boundary=x");
    assert_eq!(errand.request.headers()["cookie"], "CF_Person=aa; a=1");
    assert_eq!(
        (errand.visitor.app, errand.visitor.host.host.as_str()),
        (Some(town.app(SHOP).id), SHOP)
    );
    let cookies = answer.fields("set-cookie");
    assert_eq!((answer.status, cookies.len(), cookies[1]), (302, 2, "CF_Form=h; Path=/"));
    assert!(cookies[0].starts_with("CF_AppSession="), "{cookies:?}");
    assert!(town.origin.seen().is_empty());

    let request = post(&format!("{KIND}{OWN}"), BODY);
    let declined = said(StatusCode::NO_CONTENT, &[("set-cookie", "CF_Form=h")], b"");
    let (_, answer) = ask(&mut town, &mut wire, request.clone(), declined).await;
    assert!(is_plain_redirect(&answer), "{}", answer.head);
    wire.send(request).await;
    drop(town.errands.recv().await.expect("an errand")); // the control side fails over it
    assert!(is_plain_redirect(&wire.answer().await.unwrap()));
}

#[tokio::test]
async fn nothing_else_is_read_of_a_stranger() {
    let limits = Limits { form_body: BODY.len(), ..Limits::default() };
    let mut town = town(json!({"replay_post_after_login": true}), limits).await;
    let across = OWN.replace("same-origin", "cross-site");
    let script = OWN.replace("navigate", "cors");
    let large = [BODY, b"x"].concat();
    let chunked = "transfer-encoding: chunked\r\n";
    let xhr = format!("{KIND}{OWN}x-requested-with: XMLHttpRequest\r\n");
    for (name, request, status) in [
        ("another site's", post(&format!("{KIND}{across}"), BODY), 302),
        ("a script's", post(&format!("{KIND}{script}"), BODY), 302),
        ("one that says 401 is better", post(&xhr, BODY), 401),
        ("JSON", post(&format!("content-type: application/json\r\n{OWN}"), b"{}"), 302),
        ("a large one", post(&format!("{KIND}{OWN}"), &large), 302),
        (
            "a large one of unknown length",
            [
                format!(
                    "POST /orders HTTP/1.1\r\nHost: {SHOP}\r\n{KIND}{OWN}{chunked}\r\n{:x}\r\n",
                    large.len()
                )
                .as_bytes(),
                &large,
                b"\r\n0\r\n\r\n",
            ]
            .concat(),
            302,
        ),
    ] {
        let answer = town.wire(SHOP).await.ask(request).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.head);
        assert!(!answer.head.contains("CF_Form"), "{name}");
        assert!(town.errands.try_recv().is_err(), "{name}");
    }
}

#[tokio::test]
async fn one_address_sends_so_many_forms_a_minute() {
    let limits = Limits { forms_per_minute: 2, ..Limits::default() };
    let mut town = town(json!({"replay_post_after_login": true}), limits).await;
    let mut wire = town.wire(SHOP).await;
    let request = || post(&format!("{KIND}{OWN}"), BODY);
    let kept = || said(StatusCode::CREATED, &[("set-cookie", "CF_Form=h")], b"");
    for _ in 0..2 {
        let (_, answer) = ask(&mut town, &mut wire, request(), kept()).await;
        assert_eq!(answer.fields("set-cookie").len(), 2);
    }
    let answer = town.wire(SHOP).await.ask(request()).await;
    assert!(is_plain_redirect(&answer) && town.errands.try_recv().is_err());
    town.clock.advance(60);
    let mut wire = town.wire(SHOP).await;
    ask(&mut town, &mut wire, request(), kept()).await;
}

fn mark(token: &str, cookies: &str) -> Vec<u8> {
    let fields = format!(
        "content-type: application/x-www-form-urlencoded\r\n{OWN}referer: https://{SHOP}/cdn-cgi/access/resubmit\r\n\
         cookie: CF_Authorization={token}; {cookies}\r\n"
    );
    post(&fields, format!("cf_form={}", "p".repeat(43)).as_bytes())
}

#[tokio::test]
async fn a_kept_form_reaches_the_origin_as_it_was_sent() {
    let mut town = keeping().await;
    let token = town.log_in("ada@example.com", SHOP);
    let mut wire = town.wire(SHOP).await;
    let kept = said(
        StatusCode::OK,
        &[
            ("content-type", "multipart/form-data; boundary=x"),
            ("referer", "https://shop.example.com/form"),
        ],
        BODY,
    );
    let (errand, answer) =
        ask(&mut town, &mut wire, mark(&token, "CF_Form=h; CF_Person=aa; a=1"), kept).await;
    assert_eq!(
        (errand.site, errand.request.uri().to_string()),
        (Site::KeptForm, "/orders?new=1".to_owned())
    );
    assert!(errand.request.headers()["cookie"].to_str().unwrap().contains("CF_Form=h"));
    assert_eq!((answer.status, answer.field("x-origin")), (200, "yes"));
    let [seen] = &town.origin.take()[..] else { panic!("one request") };
    assert_eq!((seen.line(), seen.body.as_slice()), ("POST /orders?new=1 HTTP/1.1", BODY));
    for (name, want) in [
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-length", &BODY.len().to_string()),
        ("referer", "https://shop.example.com/form"),
        ("cf-access-authenticated-user-email", "ada@example.com"),
    ] {
        assert_eq!(seen.fields(name), [want], "{name}");
    }
    let cookies = seen.fields("cookie").join("; ");
    assert!(
        cookies.contains("a=1") && !cookies.contains("CF_Form") && !cookies.contains("CF_Person"),
        "{cookies}"
    );

    let gone = said(StatusCode::GONE, &[("content-type", "text/html")], b"gone");
    let (_, answer) = ask(&mut town, &mut wire, mark(&token, "CF_Form=h"), gone).await;
    assert_eq!((answer.status, answer.text().as_str()), (410, "gone"));
    assert!(town.origin.take().is_empty(), "the short post itself never gets there");
}

#[tokio::test]
async fn what_only_looks_like_a_kept_form_passes_as_it_came() {
    let mut town = keeping().await;
    let token = town.log_in("ada@example.com", SHOP);
    let mut wire = town.wire(SHOP).await;
    let short = "a=".to_owned() + &"b".repeat(49);
    let cookies = format!("cookie: CF_Authorization={token}; CF_Form=h\r\n");
    let kind = "content-type: application/x-www-form-urlencoded\r\n";
    for (name, request) in [
        ("no cookie", mark(&token, "CF_Forms=h")),
        ("another form of that length", post(&format!("{kind}{OWN}{cookies}"), short.as_bytes())),
    ] {
        let body = request[request.len() - 51..].to_vec();
        let answer = wire.ask(request).await;
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(town.origin.take()[0].body, body, "{name}");
        assert!(town.errands.try_recv().is_err(), "{name}");
    }
    town.publish(|configuration| {
        for app in configuration.apps.values_mut() {
            std::sync::Arc::make_mut(app).replay_post_after_login = false;
        }
    });
    assert_eq!(wire.ask(mark(&token, "CF_Form=h")).await.status, 200, "switched off");
    assert_eq!(town.origin.take().len(), 1);
    let answer = town.wire(SHOP).await.ask(post(&format!("{KIND}{OWN}"), BODY)).await;
    assert!(is_plain_redirect(&answer) && town.errands.try_recv().is_err());
}
