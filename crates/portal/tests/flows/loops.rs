//! Loops end at a page that helps (access-protocol §3.9, security O16, O17).

use crate::browser::Browser;
use crate::house::House;
use http::{Method, StatusCode};

const LOOP: &str = "Your browser keeps being sent back here";

#[tokio::test]
async fn a_browser_that_drops_the_applications_cookie_is_helped_after_three_rounds() {
    let house = House::open().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/x", "ann@example.com").await;
    for round in 1..=3 {
        browser.drop_cookie("app.example.com", "CF_Authorization");
        let url = browser.visit(&house, "wiki", "app.example.com", "/x");
        let silent = browser.get(&house, &url).await;
        assert_eq!(silent.status, StatusCode::FOUND, "round {round}: {}", silent.body);
        let onwards = silent.location().to_owned();
        assert_eq!(browser.get(&house, &onwards).await.status, StatusCode::FOUND, "round {round}");
        house.clock.advance(1);
    }
    let url = browser.visit(&house, "wiki", "app.example.com", "/x");
    let help = browser.get(&house, &url).await;
    assert_eq!((help.status, help.heading().as_str()), (StatusCode::BAD_REQUEST, LOOP));
    assert!(help.body.contains("Allow cookies") && help.body.contains("Ray ID"));
    // Another page is no loop, and a person who tries again later gets three more rounds.
    let url = browser.visit(&house, "wiki", "app.example.com", "/other");
    assert_eq!(browser.get(&house, &url).await.status, StatusCode::FOUND);
    house.clock.advance(6);
    let url = browser.visit(&house, "wiki", "app.example.com", "/x");
    assert_eq!(browser.get(&house, &url).await.status, StatusCode::FOUND);
}

#[tokio::test]
async fn people_and_programs_in_a_hurry_are_no_loop() {
    let house = House::open().await;
    let mut browser = Browser::new();
    browser.arrive(&house, "wiki", "app.example.com", "/x", "ann@example.com").await;
    for _ in 0..10 {
        // Zero-length sessions: a new token with every visit to the same page.
        let url = browser.visit(&house, "wiki", "app.example.com", "/x");
        assert_eq!(browser.get(&house, &url).await.status, StatusCode::FOUND);
        house.clock.advance(10);
    }
    let mut client = browser.clone();
    client.method = Method::HEAD;
    for _ in 0..10 {
        // Many processes of a command-line client share one org token and no jar.
        client.drop_cookie("auth.example.com", "CF_Rounds");
        let url = client.visit(&house, "wiki", "app.example.com", "/x");
        assert_eq!(client.get(&house, &url).await.status, StatusCode::FOUND);
    }
    for nonsense in ["x", "9", "3.x.y", "99999999999.1.2", "3..", "3.1800000000", "..", ""] {
        browser.set_cookie("auth.example.com", "CF_Rounds", nonsense);
        let url = browser.visit(&house, "wiki", "app.example.com", "/x");
        assert_eq!(browser.get(&house, &url).await.status, StatusCode::FOUND, "{nonsense}");
        house.clock.advance(10);
    }
}

#[tokio::test]
async fn without_cookies_the_login_ends_with_a_hint() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let url = browser.visit(&house, "wiki", "app.example.com", "/");
    let login = browser.get(&house, &url).await;
    let (action, mut fields) = login.form();
    fields
        .iter_mut()
        .filter(|(n, _)| n == "email")
        .for_each(|(_, v)| *v = "ann@example.com".to_owned());
    browser.drop_cookie("auth.example.com", "CF_Session");
    let page = browser.post(&house, &action, &fields).await;
    assert_eq!(page.heading(), "Invalid session. Please try logging in again");
    assert!(page.body.contains("allow cookies for this site") && page.cookies().is_empty());
    assert!(page.body.contains("href=\"https://app.example.com/\""), "a way to start again");
}

#[tokio::test]
async fn ten_thousand_logins_from_one_place_are_too_many() {
    let house = House::open().await;
    let mut browser = Browser::new();
    let state = "A".repeat(43);
    let url = format!("https://auth.example.com/cdn-cgi/access/callback?code=c&state={state}");
    let mut answers = Vec::new();
    for _ in 0..601 {
        answers.push(browser.get(&house, &url).await.status.as_u16());
    }
    assert_eq!((answers[0], answers[599], answers[600]), (400, 400, 429));
    house.clock.advance(1);
    assert_eq!(browser.get(&house, &url).await.status.as_u16(), 400);
}
