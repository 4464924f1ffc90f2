//! Codes by mail: guessed, reused, borrowed, asked for too often, and asked for by the wrong page (security C13, C14).

use crate::browser::{Browser, Page, pin_action};
use crate::house::{House, TEAM};
use http::StatusCode;
use narthex_model::Verdict;
use serde_json::json;

const WRONG: &str = "That code is not right";
const OVER: &str = "no longer valid";
const INVALID: &str = "Invalid session. Please try logging in again";

async fn login_page(house: &House, browser: &mut Browser) -> Page {
    let url = browser.visit(house, "wiki", "app.example.com", "/");
    let page = browser.get(house, &url).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page
}

fn other_than(code: &str, nth: u32) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + nth) % 1_000_000)
}

fn with(fields: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let replaced = |(n, v): &(String, String)| {
        (n.clone(), if n == name { value.to_owned() } else { v.clone() })
    };
    fields.iter().map(replaced).collect()
}

#[tokio::test]
async fn five_guesses_and_the_code_is_dead() {
    let mut house = House::open().await;
    let mut browser = Browser::new();
    let login = login_page(&house, &mut browser).await;
    let (page, code) = browser.ask_for_code(&house, &login, "ann@example.com").await;
    for guess in ["", "1", "abcdef", &other_than(&code, 1), &other_than(&code, 2)] {
        let answer = browser.enter_code(&house, &page, guess).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains(WRONG), "{guess:?}");
    }
    let answer = browser.enter_code(&house, &page, &code).await;
    assert!(
        answer.body.contains("tried too often"),
        "the right code comes too late: {}",
        answer.body
    );
    assert!(browser.enter_code(&house, &page, &code).await.body.contains(OVER));
    let records = house.records();
    assert_eq!(records.len(), 5);
    assert!(records.iter().all(|r| r.verdict == Verdict::Refused && r.user_email.is_some()));

    let (page, code) = browser.ask_for_code(&house, &login, "ann@example.com").await;
    assert_eq!(browser.enter_code(&house, &page, &code).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn of_parallel_answers_one_wins() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let login = login_page(&house, &mut browser).await;
    let (page, code) = browser.ask_for_code(&house, &login, "ann@example.com").await;
    let mut tabs: Vec<_> = (0..4).map(|_| browser.clone()).collect();
    let answers = tabs.iter_mut().map(|tab| tab.enter_code(&house, &page, &code));
    let answers = futures_util::future::join_all(answers).await;
    let admitted = answers.iter().filter(|page| page.status == StatusCode::SEE_OTHER).count();
    assert_eq!(admitted, 1);
    assert!(browser.enter_code(&house, &page, &code).await.body.contains(OVER), "used up");
}

#[tokio::test]
async fn a_code_lasts_ten_minutes() {
    let house = House::open().await;
    for (wait, status) in [(599, StatusCode::SEE_OTHER), (600, StatusCode::BAD_REQUEST)] {
        let mut browser = Browser::new();
        let login = login_page(&house, &mut browser).await;
        let (page, code) = browser.ask_for_code(&house, &login, "ann@example.com").await;
        house.clock.advance(wait);
        assert_eq!(browser.enter_code(&house, &page, &code).await.status, status, "{wait}");
    }
}

#[tokio::test]
async fn a_new_code_takes_the_place_of_the_last() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let login = login_page(&house, &mut browser).await;
    let (_, first) = browser.ask_for_code(&house, &login, "ann@example.com").await;
    let (page, mut second) = browser.ask_for_code(&house, &login, "ann@example.com").await;
    while first == second {
        second = browser.ask_for_code(&house, &login, "ann@example.com").await.1;
    }
    assert!(browser.enter_code(&house, &page, &first).await.body.contains(WRONG));
    assert_eq!(browser.enter_code(&house, &page, &second).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_code_is_good_for_its_browser_and_its_address() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let login = login_page(&house, &mut browser).await;
    let (page, code) = browser.ask_for_code(&house, &login, "ann@example.com").await;
    let (action, fields) = page.form();
    let fields = with(&fields, "code", &code);
    let check = format!("{}/code", pin_action("app.example.com"));
    assert_eq!(action, check);

    let bea = with(&fields, "email", "bea@example.com");
    assert!(browser.post(&house, &check, &bea).await.body.contains(OVER), "another address");
    let mut stranger = Browser::new();
    login_page(&house, &mut stranger).await;
    let answer = stranger.post(&house, &check, &fields).await;
    assert_eq!(answer.heading(), INVALID, "another browser");
    let stolen = login_page(&house, &mut stranger).await.form().1;
    let mut mixed = with(&stolen, "email", "ann@example.com");
    mixed.push(("code".to_owned(), code.clone()));
    assert!(stranger.post(&house, &check, &mixed).await.body.contains(OVER), "its own form");
    assert_eq!(browser.post(&house, &check, &fields).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_answer_tells_nothing_about_the_address() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let login = login_page(&house, &mut browser).await;
    let (action, fields) = login.form();
    let known = browser.post(&house, &action, &with(&fields, "email", "ann@example.com")).await;
    house.outbox.next_for(&"ann@example.com".parse().unwrap(), 0).await;
    let stranger = browser.post(&house, &action, &with(&fields, "email", "eve@evil.example")).await;
    assert_eq!(stranger.status, known.status);
    assert_eq!(stranger.body.replace("eve@evil.example", "ann@example.com"), known.body);
    assert!(stranger.headers.keys().eq(known.headers.keys()));
    let later = browser.post(&house, &action, &with(&fields, "email", "bea@example.com")).await;
    house.outbox.next_for(&"bea@example.com".parse().unwrap(), 0).await;
    assert_eq!(later.status, StatusCode::OK);
    assert_eq!(house.outbox.list().len(), 2, "no mail to the address that cannot get in");
    for guess in 0..5 {
        let answer = browser.enter_code(&house, &stranger, &format!("{guess:06}")).await;
        assert!(answer.body.contains(WRONG), "also the guesses look alike");
    }
}

#[tokio::test]
async fn what_is_no_address_is_asked_for_again() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let login = login_page(&house, &mut browser).await;
    let (action, fields) = login.form();
    for typed in [
        "",
        "ann",
        "ann@",
        "a b@example.com",
        "ann@example.com\r\nBcc: eve@evil.example",
        "\"><script>",
    ] {
        let page = browser.post(&house, &action, &with(&fields, "email", typed)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{typed}");
        assert_eq!(page.heading(), "Log in to wiki");
        assert!(page.body.contains("aria-invalid=\"true\"") && !page.body.contains("<script"));
    }
    let spaced = browser.post(&house, &action, &with(&fields, "email", " ann@example.com ")).await;
    assert_eq!(spaced.status, StatusCode::OK);
    house.outbox.next_for(&"ann@example.com".parse().unwrap(), 0).await;
    assert_eq!(house.outbox.list().len(), 1);
}

#[tokio::test]
async fn codes_are_rationed() {
    let house = House::open().await;
    let mut answers = Vec::new();
    for n in 0..7 {
        let mut browser = Browser::at(&format!("198.51.100.{n}"));
        let login = login_page(&house, &mut browser).await;
        let (action, fields) = login.form();
        let page = browser.post(&house, &action, &with(&fields, "email", "eve@evil.example")).await;
        answers.push(page.status.as_u16());
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            assert!(page.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
        }
    }
    assert_eq!(
        answers,
        [200, 200, 200, 200, 200, 429, 429],
        "the same for an address nobody knows"
    );
}

#[tokio::test]
async fn a_form_is_believed_from_its_own_browser_and_page_only() {
    let house = House::with(|plan| {
        plan.app("chat", &["chat.example.com"], json!({}));
    })
    .await;
    let mut browser = Browser::new();
    let login = login_page(&house, &mut browser).await;
    let (action, fields) = login.form();
    let fields = with(&fields, "email", "ann@example.com");
    let own: &[(&str, &str)] =
        &[("origin", "https://auth.example.com"), ("sec-fetch-site", "same-origin")];
    let mut refused = Vec::new();

    // From elsewhere.
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "https://app.example.com"), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site")],
    ] {
        refused.push(browser.clone().post_from(&house, &action, &fields, headers).await);
    }
    // Without the cookie, or with another one.
    let mut bare = browser.clone();
    bare.drop_cookie(TEAM, "CF_Session");
    refused.push(bare.post_from(&house, &action, &fields, own).await);
    let mut other = Browser::new();
    login_page(&house, &mut other).await;
    refused.push(other.post_from(&house, &action, &fields, own).await);
    let cookie = browser.cookie(TEAM, "CF_Session").unwrap().to_owned();
    for planted in ["", "x", &cookie[1..], &format!("{cookie}A"), &"A".repeat(43)] {
        let mut planted_browser = browser.clone();
        planted_browser.set_cookie(TEAM, "CF_Session", planted);
        refused.push(planted_browser.post_from(&house, &action, &fields, own).await);
    }
    // With a field changed, taken away, or of another journey.
    let chat = house.app("chat").aud.to_string();
    let meta = house.mint_meta("wiki", "app.example.com", |_| {}, "n0123456789abcdef");
    for (name, value) in [
        ("proof", ""),
        ("proof", "x"),
        ("redirect_url", "/elsewhere"),
        ("meta", ""),
        ("meta", meta.as_str()),
        ("at", "0"),
        ("at", "99999999999"),
        ("at", "x"),
        ("app_session_hash", "00"),
    ] {
        refused.push(
            browser.clone().post_from(&house, &action, &with(&fields, name, value), own).await,
        );
    }
    for (at, page) in refused.iter().enumerate() {
        assert_eq!(
            (page.status, page.heading().as_str()),
            (StatusCode::BAD_REQUEST, INVALID),
            "{at}"
        );
        assert!(page.cookies().is_empty(), "{at}");
    }
    let page = browser.clone().post_from(&house, &action, &with(&fields, "kid", &chat), own).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "another application");
    let elsewhere = pin_action("chat.example.com");
    let page = browser.clone().post_from(&house, &elsewhere, &fields, own).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "another host");
    let mut twice = fields.clone();
    twice.push(fields[0].clone());
    assert_eq!(
        browser.clone().post_from(&house, &action, &twice, own).await.status,
        StatusCode::BAD_REQUEST
    );
    assert!(house.outbox.list().is_empty(), "nothing was changed");

    // Four hours later the page is too old, a moment before it is not.
    house.clock.advance(4 * 3600);
    assert_eq!(
        browser.clone().post_from(&house, &action, &fields, own).await.status,
        StatusCode::OK
    );
    house.clock.advance(1);
    assert_eq!(browser.post_from(&house, &action, &fields, own).await.heading(), INVALID);
}
