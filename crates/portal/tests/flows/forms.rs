//! Forms that wait for a login: once, for the person who filled them in, in the browser that sent them (security C5,
//! C14; rules 16, 24).

use crate::browser::{Browser, Page};
use crate::house::House;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use narthex_model::{Authority, RayId};
use narthex_portal::Visit;
use serde_json::{Value, json};

const HOST: &str = "app.example.com";
const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const PATH: &str = "/orders/new?draft=1";
const URLENCODED: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "item=a%20b&item=c&note=%C3%A9+1%0D%0A";

async fn house() -> House {
    house_with(json!({})).await
}

async fn house_with(more: Value) -> House {
    House::with(|plan| {
        plan.configuration.apps.clear();
        let mut settings =
            json!({"replay_post_after_login": true, "eager_redirect_cookie_setting": false});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        plan.app("wiki", &[HOST, "other.example.com"], settings);
        plan.app("plain", &["plain.example.com"], json!({}));
    })
    .await
}

/// A form on its way through the data path.
#[derive(Clone)]
struct Form {
    app: &'static str,
    host: &'static str,
    path: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Form {
    fn of(body: &str) -> Self {
        let body = body.as_bytes().to_vec();
        Self { app: "wiki", host: HOST, path: PATH, kind: URLENCODED, body }
    }

    fn request(&self, browser: &Browser) -> Request<Bytes> {
        Request::builder()
            .method(Method::POST)
            .uri(self.path)
            .header("content-type", self.kind)
            .header("referer", "https://app.example.com/orders/form")
            .header("cookie", browser.cookies_for(self.host))
            .body(Bytes::from(self.body.clone()))
            .unwrap()
    }

    fn visit(&self, house: &House, browser: &Browser) -> Visit {
        let host: Authority = self.host.parse().unwrap();
        let path = self.path.split('?').next().unwrap().to_owned();
        Visit {
            ip: browser.ip,
            country: None,
            ray: RayId::random(),
            host,
            path,
            app: Some(house.app(self.app).id),
            certificate: None,
        }
    }

    /// What the data path does with it before the login. Whether it is kept.
    async fn keep(&self, house: &House, browser: &mut Browser) -> bool {
        let visit = self.visit(house, browser);
        let answer = house.portal.keep_form(visit, self.request(browser)).await;
        browser.keep(self.host, &answer);
        assert!(answer.status().is_success() && answer.body().is_empty());
        answer.status() == StatusCode::CREATED
    }

    /// What the data path does with the short post after the login.
    async fn exchange(&self, house: &House, browser: &Browser) -> Response<Bytes> {
        house.portal.kept_form(self.visit(house, browser), self.request(browser)).await
    }
}

/// Logs in and follows until the page that was asked for, or the one that sends the form.
async fn log_in(house: &House, browser: &mut Browser, email: &str, path: &str) -> String {
    let page = browser.arrive(house, "wiki", HOST, path, email).await;
    page.location().to_owned()
}

/// A browser with Ann's session over, but known.
async fn returning(house: &House) -> Browser {
    let mut browser = Browser::new();
    browser.arrive(house, "wiki", HOST, "/", ANN).await;
    house.clock.advance(2 * 86_400);
    browser.drop_cookie(HOST, "CF_Authorization"); // browsers forget cookies that have expired
    browser.drop_cookie("auth.example.com", "CF_Authorization");
    browser
}

async fn resubmit(house: &House, browser: &mut Browser) -> Page {
    browser.get(house, &format!("https://{HOST}/cdn-cgi/access/resubmit")).await
}

/// The short post of a page that sends a form.
fn mark(page: &Page) -> Form {
    let (action, fields) = page.form();
    assert_eq!(
        (page.status, action.as_str(), fields.len()),
        (StatusCode::OK, PATH, 1),
        "{}",
        page.body
    );
    let mark = Form::of(&format!("{}={}", fields[0].0, fields[0].1));
    assert_eq!(
        (fields[0].0.as_str(), mark.body.len()),
        ("cf_form", 51),
        "as the data path expects"
    );
    mark
}

fn is_gone(answer: &Response<Bytes>) -> bool {
    answer.status() == StatusCode::GONE
        && answer.headers()["content-type"] == "text/html; charset=utf-8"
}

#[tokio::test]
async fn a_form_survives_the_login_byte_for_byte_and_once() {
    let house = house().await;
    let mut browser = returning(&house).await;
    let multipart = b"--x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n\x00\xff\r\n\r\n--x--\r\n";
    for (kind, body) in [
        (URLENCODED, TEXT.as_bytes().to_vec()),
        ("multipart/form-data; boundary=x", multipart.to_vec()),
        ("text/plain", b"a=b\r\n".to_vec()),
        (URLENCODED, Vec::new()),
    ] {
        let form = Form { kind, body, ..Form::of("") };
        assert!(form.keep(&house, &mut browser).await);
        browser.drop_cookie(HOST, "CF_Authorization");
        let landing = log_in(&house, &mut browser, ANN, PATH).await;
        assert_eq!(landing, format!("https://{HOST}/cdn-cgi/access/resubmit"));
        let page = resubmit(&house, &mut browser).await;
        assert!(page.body.contains("<script>"), "it sends itself: {}", page.body);
        let mark = mark(&page);
        let answer = mark.exchange(&house, &browser).await;
        assert_eq!((answer.status(), answer.body().to_vec()), (StatusCode::OK, form.body.clone()));
        assert_eq!(answer.headers()["content-type"], kind);
        assert_eq!(answer.headers()["referer"], "https://app.example.com/orders/form");
        assert!(is_gone(&mark.exchange(&house, &browser).await), "once");
        assert_eq!(resubmit(&house, &mut browser).await.status, StatusCode::GONE);
        browser.drop_cookie("auth.example.com", "CF_Authorization");
        house.clock.advance(3_600);
    }
}

#[tokio::test]
async fn the_page_sends_by_itself_under_a_strict_policy() {
    let house = house().await;
    let mut browser = returning(&house).await;
    Form::of(TEXT).keep(&house, &mut browser).await;
    log_in(&house, &mut browser, ANN, PATH).await;
    let page = resubmit(&house, &mut browser).await;
    let script = page.body.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, script.as_bytes());
    use base64::Engine as _;
    let hash = base64::engine::general_purpose::STANDARD.encode(hash.as_ref());
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with(&format!("default-src 'none'; script-src 'sha256-{hash}'; ")),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(
        page.body.contains("<button class=\"primary\">Send the form</button>"),
        "and without a script"
    );
    assert!(page.body.contains("ann@example.com"), "it says as whom");
}

#[tokio::test]
async fn one_persons_form_is_never_sent_as_another() {
    let house = house().await;
    for by_token in [false, true] {
        let mut browser = Browser::new();
        log_in(&house, &mut browser, ANN, "/").await;
        house.clock.advance(2 * 86_400);
        browser.drop_cookie("auth.example.com", "CF_Authorization");
        if by_token {
            browser.drop_cookie(HOST, "CF_Person"); // the expired token alone tells
        } else {
            browser.drop_cookie(HOST, "CF_Authorization");
        }
        assert!(Form::of(TEXT).keep(&house, &mut browser).await);
        log_in(&house, &mut browser, BOB, PATH).await;
        let page = resubmit(&house, &mut browser).await;
        assert_eq!(
            (page.status, page.heading().as_str()),
            (StatusCode::FORBIDDEN, "That form was somebody else's")
        );
        assert!(!page.body.contains("cf_form"), "{}", page.body);
        assert_eq!(resubmit(&house, &mut browser).await.status, StatusCode::GONE, "it is dropped");
    }
}

#[tokio::test]
async fn a_person_who_changes_between_page_and_post_gets_nothing() {
    let house = house().await;
    let mut browser = returning(&house).await;
    Form::of(TEXT).keep(&house, &mut browser).await;
    log_in(&house, &mut browser, ANN, PATH).await;
    let mark = mark(&resubmit(&house, &mut browser).await);
    browser.drop_cookie("auth.example.com", "CF_Authorization");
    browser.drop_cookie(HOST, "CF_Authorization");
    let nobody = mark.exchange(&house, &browser).await;
    assert_eq!(
        (nobody.status(), &nobody.headers()["location"]),
        (StatusCode::SEE_OTHER, &http::HeaderValue::from_static(PATH))
    );
    log_in(&house, &mut browser, BOB, "/").await;
    assert_eq!(mark.exchange(&house, &browser).await.status(), StatusCode::FORBIDDEN);
    assert!(is_gone(&mark.exchange(&house, &browser).await));
}

#[tokio::test]
async fn where_nobody_can_tell_whose_form_it_was_the_page_asks() {
    let house = house().await;
    let mut browser = Browser::new();
    assert!(Form::of(TEXT).keep(&house, &mut browser).await);
    log_in(&house, &mut browser, ANN, PATH).await;
    let page = resubmit(&house, &mut browser).await;
    assert!(!page.body.contains("<script"), "{}", page.body);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("script-src"), "{policy}");
    assert_eq!(page.heading(), "Send the form now?");
    assert_eq!(mark(&page).exchange(&house, &browser).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn another_browser_has_nothing_of_it() {
    let house = house().await;
    let mut browser = returning(&house).await;
    Form::of(TEXT).keep(&house, &mut browser).await;
    let cookie = browser.cookie(HOST, "CF_Form").unwrap().to_owned();
    log_in(&house, &mut browser, ANN, PATH).await;
    let mark = mark(&resubmit(&house, &mut browser).await);
    assert!(
        !String::from_utf8(mark.body.clone()).unwrap().contains(&cookie),
        "no page shows the cookie"
    );

    let mut other = Browser::at("203.0.113.8");
    let landing = log_in(&house, &mut other, ANN, PATH).await;
    assert_eq!(landing, format!("https://{HOST}{PATH}"), "even Ann's own other browser");
    assert_eq!(resubmit(&house, &mut other).await.status, StatusCode::GONE);
    assert!(is_gone(&mark.exchange(&house, &other).await));
    let guess = Form::of(&format!("cf_form={}", "A".repeat(43)));
    assert!(is_gone(&guess.exchange(&house, &browser).await), "the cookie without the proof");
    for elsewhere in [
        Form { path: "/orders/new?draft=2", ..mark.clone() },
        Form { path: "/orders/new", ..mark.clone() },
        Form { host: "other.example.com", ..mark.clone() },
        Form { app: "plain", host: "plain.example.com", ..mark.clone() },
    ] {
        for host in ["other.example.com", "plain.example.com"] {
            browser.set_cookie(host, "CF_Form", &cookie);
        }
        assert!(
            is_gone(&elsewhere.exchange(&house, &browser).await),
            "{} {}",
            elsewhere.host,
            elsewhere.path
        );
    }
    assert_eq!(mark.exchange(&house, &browser).await.status(), StatusCode::OK, "it is still there");
}

#[tokio::test]
async fn a_form_waits_ten_minutes() {
    let house = house().await;
    let mut browser = returning(&house).await;
    for (seconds, is_there) in [(599, true), (600, false)] {
        assert!(Form::of(TEXT).keep(&house, &mut browser).await);
        house.clock.advance(seconds);
        browser.drop_cookie(HOST, "CF_Authorization");
        browser.drop_cookie("auth.example.com", "CF_Authorization");
        let landing = log_in(&house, &mut browser, ANN, PATH).await;
        assert_eq!(landing.ends_with("/cdn-cgi/access/resubmit"), is_there, "{landing}");
    }
}

#[tokio::test]
async fn only_the_login_for_that_page_leads_to_the_form() {
    let house = house().await;
    let mut browser = returning(&house).await;
    Form::of(TEXT).keep(&house, &mut browser).await;
    let landing = log_in(&house, &mut browser, ANN, "/orders/new").await;
    assert_eq!(landing, format!("https://{HOST}/orders/new"), "a login in another tab");
    browser.drop_cookie(HOST, "CF_Authorization");
    let url = browser.visit(&house, "wiki", HOST, PATH);
    let mut at = browser.get(&house, &url).await;
    while at.location().contains("/authorized") {
        let next = at.location().to_owned();
        at = browser.get(&house, &next).await;
    }
    assert!(
        at.location().ends_with("/cdn-cgi/access/resubmit"),
        "a silent one too: {}",
        at.location()
    );
}

#[tokio::test]
async fn a_logout_forgets_the_form() {
    let house = house().await;
    let mut browser = returning(&house).await;
    Form::of(TEXT).keep(&house, &mut browser).await;
    log_in(&house, &mut browser, ANN, PATH).await;
    let mark = mark(&resubmit(&house, &mut browser).await);
    let cookie = browser.cookie(HOST, "CF_Form").unwrap().to_owned();
    browser.get(&house, &format!("https://{HOST}/cdn-cgi/access/logout")).await;
    assert!(browser.cookie(HOST, "CF_Form").is_none());
    browser.drop_cookie("auth.example.com", "CF_Authorization");
    browser.set_cookie(HOST, "CF_Form", &cookie);
    let landing = log_in(&house, &mut browser, ANN, PATH).await;
    assert_eq!(landing, format!("https://{HOST}{PATH}"));
    assert!(is_gone(&mark.exchange(&house, &browser).await));
}

#[tokio::test]
async fn what_was_switched_off_or_never_on_keeps_nothing() {
    let mut house = house().await;
    let mut browser = returning(&house).await;
    let off = Form { app: "plain", host: "plain.example.com", ..Form::of(TEXT) };
    assert!(!off.keep(&house, &mut browser).await);
    Browser::new().arrive(&house, "plain", "plain.example.com", "/", ANN).await;
    for form in [
        Form { path: "/cdn-cgi/access/resubmit", ..Form::of(TEXT) },
        Form { path: "//evil.test/", ..Form::of(TEXT) },
        Form::of(&format!("cf_form={}", "A".repeat(43))),
    ] {
        assert!(!form.keep(&house, &mut browser).await, "{}", form.path);
    }
    assert!(browser.cookie(HOST, "CF_Form").is_none());
    Form::of(TEXT).keep(&house, &mut browser).await;
    log_in(&house, &mut browser, ANN, PATH).await;
    let mark = mark(&resubmit(&house, &mut browser).await);
    house.reconfigure(|configuration| {
        let off = |app: &mut std::sync::Arc<narthex_model::Application>| {
            std::sync::Arc::make_mut(app).replay_post_after_login = false;
        };
        configuration.apps.values_mut().for_each(off);
    });
    assert!(is_gone(&mark.exchange(&house, &browser).await));
}

#[tokio::test]
async fn with_same_site_strict_the_form_is_reached_all_the_same() {
    let house = house_with(json!({"same_site_cookie_attribute": "strict"})).await;
    let mut browser = returning(&house).await;
    Form::of(TEXT).keep(&house, &mut browser).await;
    let mut page = browser.arrive(&house, "wiki", HOST, PATH, ANN).await;
    while page.status == StatusCode::FOUND {
        let next = page.location().to_owned();
        page = browser.get(&house, &next).await;
    }
    let refresh = format!("content=\"0;url=https://{HOST}/cdn-cgi/access/resubmit\"");
    assert!(page.body.contains(&refresh), "{}", page.body);
}

#[tokio::test]
async fn strangers_fill_no_more_than_their_share() {
    let house = house().await;
    let mut browser = Browser::new();
    let large = Form::of(&"x".repeat(256 * 1024));
    let mut kept = 0;
    while large.keep(&house, &mut browser).await {
        kept += 1;
        assert!(kept < 100, "there is no end to it");
    }
    assert_eq!(kept, 47, "16 MiB in base64 for one application");
    house.clock.advance(600);
    assert!(large.keep(&house, &mut browser).await);
}
