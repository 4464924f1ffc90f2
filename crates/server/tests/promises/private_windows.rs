//! A page of one host calls another host of its application with a cookie that it was handed.

use crate::office::{Office, origin};
use serde_json::{Value, json};

const SHOP: &str = "shop.localhost";
const API: &str = "api.localhost";
const HANDOFF: &str = "/cdn-cgi/access/handoff";

#[tokio::test(flavor = "multi_thread")]
async fn a_handed_cookie_admits_until_the_logout() {
    let mut office = Office::open(&[SHOP, API], |place| {
        json!({
            "partitioned_cookie_handoff": true,
            "cors_headers": {"allow_all_methods": true, "allow_credentials": true,
                             "allowed_origins": [origin(place, SHOP)]},
        })
    })
    .await;
    let own = office.origin(SHOP);
    let (mut browser, _) = office.log_in(SHOP, "/").await;
    browser.forget(API, "CF_Authorization");
    let json = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let script = [kind, ("origin", own.as_str()), ("sec-fetch-mode", "cors")];

    let to = format!("to={API}");
    let evil = [kind, ("origin", "https://evil.test"), ("sec-fetch-mode", "cors")];
    let answer = browser.step("POST", SHOP, HANDOFF, &evil, to.as_bytes()).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let answer = browser.step("POST", SHOP, HANDOFF, &script, to.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let offer = json(&answer.body);
    assert_eq!(offer["url"], format!("{}{HANDOFF}", office.origin(API)));
    let code = format!("code={}", offer["code"].as_str().unwrap());
    let answer = browser.step("POST", API, HANDOFF, &script, code.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["access-control-allow-origin"], own);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; SameSite=none; HttpOnly; Partitioned"), "{cookie}");

    // A browser that blocks nothing sends its first cookie as well, which may be out of date.
    let pair = cookie.split(';').next().unwrap();
    let both = format!("CF_Authorization=outdated; {pair}");
    let wire = office.place.wire();
    let call = async |cookie: &str| {
        let mut connection = wire.open(API).await.unwrap();
        connection.ask("GET", "/list", &[("cookie", cookie)], "").await.unwrap()
    };
    for cookie in [pair, &both] {
        let answer = call(cookie).await;
        assert_eq!((answer.status, answer.text()), (200, "GET /list -\n".to_owned()));
    }
    browser.step("GET", SHOP, "/cdn-cgi/access/logout", &[], b"").await;
    for cookie in [pair, &both] {
        assert_eq!(call(cookie).await.status, 302, "the session is over");
    }
    office.close();
}
