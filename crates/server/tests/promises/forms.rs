//! A form that is posted after the session has ended arrives after the login, with its files, and once.

use crate::browser::Browser;
use crate::office::Office;
use crate::wire::Answer;
use serde_json::json;

const SHOP: &str = "shop.localhost";
const PATH: &str = "/orders?new=1";
const MULTIPART: &str = "multipart/form-data; boundary=x";
const BODY: &[u8] =
    b"--x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n\x00\xff\r\n--x--\r\n";

async fn post(browser: &mut Browser, from: &str, kind: &str, body: &[u8]) -> Answer {
    let headers = [
        ("origin", from),
        ("content-type", kind),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    browser.step("POST", SHOP, PATH, &headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_survives_the_end_of_the_session() {
    let mut office = Office::open(&[SHOP], |_| json!({"replay_post_after_login": true})).await;
    let own = office.origin(SHOP);
    let (mut browser, page) = office.log_in(SHOP, "/orders").await;
    assert!(page.text.starts_with("GET /orders "), "{}", page.text);
    for (kind, body) in
        [(MULTIPART, BODY), ("application/x-www-form-urlencoded", &b"a=1&b=%20&a=%C3%A9"[..])]
    {
        browser.forget(SHOP, "CF_Authorization"); // as browsers do when it expires
        let elsewhere = post(&mut browser, "https://evil.test", kind, body).await;
        assert!(elsewhere.status == 302 && !elsewhere.sets("CF_Form"), "{elsewhere:?}");
        let answer = post(&mut browser, &own, kind, body).await;
        assert!(answer.status == 302 && answer.sets("CF_Form"), "{answer:?}");
        let page = browser.follow(&answer).await;
        let proof = page.text.split("name=\"cf_form\" value=\"").nth(1).expect("a form that waits");
        let mark = format!("cf_form={}", proof.split('"').next().unwrap());
        assert!(page.text.contains("<script>"), "{}", page.text);

        let urlencoded = "application/x-www-form-urlencoded";
        let answer = post(&mut browser, &own, urlencoded, mark.as_bytes()).await;
        let want = [format!("POST {PATH} {kind}\n").as_bytes(), body].concat();
        assert_eq!((answer.status, answer.body), (200, want));
        let again = post(&mut browser, &own, urlencoded, mark.as_bytes()).await;
        assert_eq!(again.status, 410, "{}", again.text());
    }
    office.close();
}
