//! One login for all hosts of an application: who is walked where, and that no link of the walk logs in anybody but the
//! browser that walks (access-protocol §3.7, security rule 24).

use crate::browser::{Browser, Page};
use crate::house::{House, TEAM};
use http::StatusCode;
use serde_json::{Value, json};
use url::Url;

#[tokio::test]
async fn one_login_sets_the_cookies_of_up_to_five_hosts() {
    let five = [
        "a.example.com",
        "b.example.com/x",
        "b.example.com/y",
        "c.example.com",
        "d.example.com",
        "e.example.com",
    ];
    let six = [
        "f1.example.com",
        "f2.example.com",
        "f3.example.com",
        "f4.example.com",
        "f5.example.com",
        "f6.example.com",
    ];
    let wild = ["w.example.com", "*.w.example.com", "v.example.com"];
    let house = House::with(|plan| {
        plan.app("five", &five, json!({"eager_redirect_cookie_setting": true}));
        plan.app("six", &six, json!({}));
        plan.app("wild", &wild, json!({"same_site_cookie_attribute": "strict"}));
        plan.app(
            "lazy",
            &["l1.example.com", "l2.example.com"],
            json!({"eager_redirect_cookie_setting": false}),
        );
    })
    .await;
    for (app, start, walk) in [
        ("five", "c.example.com", vec!["a", "b", "d", "e", "c"]),
        ("six", "f1.example.com", vec!["f1"]),
        ("wild", "w.example.com", vec!["v", "w"]),
        ("wild", "x.w.example.com", vec!["w", "v", "x.w"]),
        ("lazy", "l2.example.com", vec!["l2"]),
    ] {
        let mut browser = Browser::new();
        let url = browser.visit(&house, app, start, "/x");
        let (mut at, mut hosts) =
            (browser.log_in(&house, &url, "ann@example.com").await, Vec::new());
        let others = &walk[..walk.len() - 1];
        for host in others.iter().map(|host| format!("{host}.example.com")).chain([TEAM.to_owned()])
        {
            if others.is_empty() {
                break;
            }
            assert_eq!(place(&at), (host.clone(), Step::Walk), "{app}: the first round");
            let next = at.location().to_owned();
            at = browser.get(&house, &next).await;
            assert_eq!(browser.cookie(&host, "CF_AppSession").is_some(), host != TEAM);
        }
        while at.headers.contains_key("location") && place(&at).1 == Step::Authorized {
            let next = Url::parse(at.location()).unwrap();
            let host = next.host_str().unwrap().to_owned();
            let state: Value = state_of(&next);
            assert_eq!(
                (state["hostname"].as_str(), state["redirectURL"].as_str()),
                (Some(&*host), Some("/x"))
            );
            assert_eq!(state["isSSO"], json!(host != start), "{app} {host}");
            assert_eq!(state["authDomain"], TEAM);
            at = browser.get(&house, next.as_str()).await;
            let token = browser.cookie(&host, "CF_Authorization").expect("a cookie on every host");
            assert_eq!(house.open_app_token(app, token).iat, house.now());
            hosts.push(host.strip_suffix(".example.com").unwrap().to_owned());
        }
        assert_eq!(hosts, walk, "{app}");
        let last = if app == "wild" { at.body } else { at.location().to_owned() };
        assert!(last.contains(&format!("https://{start}/x")), "{app}: {last}");
        house.clock.advance(3_600);
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_strands_nobody_twice() {
    let house = House::with(|plan| {
        plan.app("trio", &["a.example.com", "b.example.com", "c.example.com"], json!({}));
    })
    .await;
    // Ann is sent to B, where nobody answers, and comes back to A.
    let mut ann = Browser::new();
    let url = ann.visit(&house, "trio", "a.example.com", "/x");
    let stranded = ann.log_in(&house, &url, "ann@example.com").await;
    assert_eq!(place(&stranded).0, "b.example.com");
    let (hosts, end) = arrive(&house, &mut ann, &url).await;
    assert_eq!(
        (hosts.as_slice(), end.as_str()),
        (&["c", "a"].map(|h| format!("{h}.example.com"))[..], "https://a.example.com/x")
    );
    // That was her window; nobody else is spared the walk for it, and B is remembered as long as nobody is seen there.
    house.clock.advance(120);
    let mut bob = Browser::new();
    let url = bob.visit(&house, "trio", "a.example.com", "/x");
    let walked = bob.log_in(&house, &url, "bob@example.com").await;
    assert_eq!(place(&walked).0, "b.example.com");
    house.clock.advance(60);
    let mut eve = Browser::new();
    let url = eve.visit(&house, "trio", "a.example.com", "/x");
    let spared = eve.log_in(&house, &url, "eve@example.com").await;
    assert_eq!(place(&spared).0, "c.example.com", "two got lost");
    // B is visited for its own sake: it is there again, and part of the next walk.
    let direct = bob.visit(&house, "trio", "b.example.com", "/y");
    let (_, end) = arrive(&house, &mut bob, &direct).await;
    assert_eq!(end, "https://b.example.com/y");
    let walked = eve.get(&house, &url).await;
    assert_eq!(place(&walked).0, "b.example.com");
}

/// Follows a login to its end: the hosts that set their cookie, in order, and where it ended.
async fn arrive(house: &House, browser: &mut Browser, login_url: &str) -> (Vec<String>, String) {
    let (mut at, mut hosts) = (browser.get(house, login_url).await, Vec::new());
    for _ in 0..20 {
        let next = at.location().to_owned();
        let (host, step) = place(&at);
        match step {
            Step::Elsewhere => return (hosts, next),
            Step::Walk => {}
            Step::Authorized => hosts.push(host.clone()),
        }
        at = browser.get(house, &next).await;
        let given = at.cookies().iter().any(|cookie| cookie.starts_with("CF_Authorization="));
        assert_eq!(given, step == Step::Authorized, "{next}");
    }
    panic!("more redirects than browsers follow");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The first round.
    Walk,
    /// The second.
    Authorized,
    Elsewhere,
}

/// Where a redirect leads.
fn place(page: &Page) -> (String, Step) {
    place_of(page.location())
}

fn place_of(link: &str) -> (String, Step) {
    let url = Url::parse(link).unwrap();
    let step = match url.path() {
        "/cdn-cgi/access/walk" => Step::Walk,
        "/cdn-cgi/access/authorized" => Step::Authorized,
        _ => Step::Elsewhere,
    };
    (url.host_str().unwrap().to_owned(), step)
}

fn state_of(url: &Url) -> Value {
    use base64::Engine as _;
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(state).unwrap())
        .unwrap()
}

async fn duo() -> House {
    House::with(|plan| {
        plan.app("duo", &["one.example.com", "two.example.com", "six.example.com"], json!({}));
    })
    .await
}

/// The links of a login up to the redirect to the page, each followed but the last of `steps`.
async fn links(house: &House, browser: &mut Browser, steps: usize) -> Vec<String> {
    let url = browser.visit(house, "duo", "one.example.com", "/x");
    let mut at = match browser.cookie(TEAM, "CF_Authorization") {
        None => browser.log_in(house, &url, "mallory@example.com").await,
        Some(_) => browser.get(house, &url).await,
    };
    let mut links = vec![at.location().to_owned()];
    while links.len() < steps {
        at = browser.get(house, links.last().unwrap()).await;
        links.push(at.location().to_owned());
    }
    links
}

const STEPS: usize = 6;

/// All links of a login, each followed: two hosts, the team domain, and three hosts.
async fn all_links(house: &House, browser: &mut Browser) -> Vec<String> {
    let mut links = links(house, browser, STEPS + 1).await;
    assert_eq!(links.pop().as_deref(), Some("https://one.example.com/x"));
    let steps: Vec<_> = links.iter().map(|link| place_of(link)).collect();
    let at = |host: &str, step| (host.to_owned(), step);
    assert_eq!(
        steps,
        [
            at("two.example.com", Step::Walk),
            at("six.example.com", Step::Walk),
            at(TEAM, Step::Walk),
            at("two.example.com", Step::Authorized),
            at("six.example.com", Step::Authorized),
            at("one.example.com", Step::Authorized),
        ]
    );
    links
}

/// Follows a link as far as it leads at the gateway; the victim must come out of it without anybody's token.
async fn lured(house: &House, victim: &mut Browser, link: &str, told: &str) {
    let (mut link, before) = (link.to_owned(), victim.cookies_for(TEAM));
    for _ in 0..20 {
        let page = victim.get(house, &link).await;
        let given = page.cookies().into_iter().find(|cookie| !cookie.starts_with("CF_AppSession="));
        assert_eq!(given, None, "{told}: {link}");
        if page.status != StatusCode::FOUND {
            assert_eq!(page.heading(), "Invalid login session", "{told}: {link}");
            break;
        }
        link = page.location().to_owned();
    }
    for host in ["one", "two", "six"].map(|host| format!("{host}.example.com")) {
        assert_eq!(victim.cookie(&host, "CF_Authorization"), None, "{told}: {host}");
    }
    assert_eq!(victim.cookies_for(TEAM), before);
}

/// Mallory takes her own login as far as she likes and sends somebody the next link of it: from her own address, with
/// cookies from visits to every host, and at the same time logged in as themselves or not.
#[tokio::test]
async fn a_link_of_the_walk_logs_nobody_in_as_somebody_else() {
    let house = duo().await;
    let mut mallory = Browser::new();
    let own = all_links(&house, &mut mallory).await;
    for logged_in in [false, true] {
        for steps in 1..=STEPS {
            house.clock.advance(3_600); // the mailbox is rationed
            let mut victim = Browser::new();
            for host in ["one.example.com", "two.example.com", "six.example.com"] {
                victim.visit(&house, "duo", host, "/");
            }
            if logged_in {
                let url = victim.visit(&house, "duo", "one.example.com", "/");
                victim.log_in(&house, &url, "vic@example.com").await;
                house.clock.advance(600); // long enough for nobody to believe that he is lost on the way
            }
            let link = links(&house, &mut mallory, steps).await.pop().unwrap();
            assert_eq!(place_of(&link), place_of(&own[steps - 1]));
            lured(&house, &mut victim, &link, &format!("link {steps}, logged in: {logged_in}"))
                .await;
        }
    }
}

#[tokio::test]
async fn a_link_of_the_walk_is_good_once_and_at_one_host() {
    let house = duo().await;
    let mut ann = Browser::new();
    let refused = |page: &Page| page.status == StatusCode::BAD_REQUEST && page.cookies().is_empty();
    for link in all_links(&house, &mut ann).await {
        assert!(refused(&ann.get(&house, &link).await), "{link}");
    }
    for (steps, elsewhere) in [
        (1, "https://six.example.com"),
        (1, "https://auth.example.com"),
        (3, "https://two.example.com"),
        (4, "https://six.example.com"),
    ] {
        let house = duo().await;
        let mut ann = Browser::new();
        let link = links(&house, &mut ann, steps).await.pop().unwrap();
        let own = Url::parse(&link).unwrap().origin().ascii_serialization();
        assert_ne!(own, elsewhere);
        assert!(refused(&ann.get(&house, &link.replace(&own, elsewhere)).await), "{elsewhere}");
        assert!(refused(&ann.get(&house, &link).await), "and it is used up");
    }
    let house = duo().await;
    let mut ann = Browser::new();
    let link = links(&house, &mut ann, 1).await.pop().unwrap();
    house.clock.advance(60);
    assert!(refused(&ann.get(&house, &link).await), "a minute later");
}

/// The way back to the application, for somebody who logged out in another window meanwhile.
#[tokio::test]
async fn a_session_that_ended_during_the_walk_ends_it() {
    let house = duo().await;
    let mut ann = Browser::new();
    let url = ann.visit(&house, "duo", "one.example.com", "/x");
    let mut at = ann.log_in(&house, &url, "ann@example.com").await;
    while place(&at) != (TEAM.to_owned(), Step::Walk) {
        let next = at.location().to_owned();
        at = ann.get(&house, &next).await;
    }
    ann.get(&house, "https://auth.example.com/cdn-cgi/access/logout").await;
    let page = ann.get(&house, at.location()).await;
    assert_eq!(page.heading(), "Invalid login session");
    assert!(page.body.contains("href=\"https://one.example.com/x\""), "{}", page.body);
}

/// A tab that waits for its login keeps its cookie when the walk of another tab comes by.
#[tokio::test]
async fn the_walk_keeps_the_cookie_that_another_tab_waits_for() {
    let house = duo().await;
    let mut ann = Browser::new();
    ann.visit(&house, "duo", "two.example.com", "/");
    let before = ann.cookie("two.example.com", "CF_AppSession").unwrap().to_owned();
    all_links(&house, &mut ann).await;
    assert_eq!(ann.cookie("two.example.com", "CF_AppSession"), Some(before.as_str()));
    assert!(ann.cookie("two.example.com", "CF_Authorization").is_some());
}

/// A command-line client takes the first token that an `authorized` sets, and has one cookie for all hosts; a link
/// without a visit to the application is bound to no browser yet (access-protocol §13.4).
#[tokio::test]
async fn who_is_no_browser_or_not_bound_to_one_is_not_walked() {
    let house = duo().await;
    let mut ann = Browser::new();
    all_links(&house, &mut ann).await;
    let url = ann.visit(&house, "duo", "one.example.com", "/x");
    let mut client = ann.clone();
    client.telling = false;
    let answer = client.get(&house, &url).await;
    assert_eq!(place(&answer), ("one.example.com".to_owned(), Step::Authorized));
    let next = answer.location().to_owned();
    assert_eq!(client.get(&house, &next).await.cookies().len(), 1);

    let url = house.plain_login_url("duo", "one.example.com", "/x");
    let answer = ann.get(&house, &url).await;
    assert_eq!(place(&answer), ("one.example.com".to_owned(), Step::Authorized));
}
