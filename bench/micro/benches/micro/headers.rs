//! The fields of a request on its way to the origin: what a client may not claim taken out, what the gateway says written.

use divan::{Bencher, black_box};
use http::{HeaderMap, HeaderName, HeaderValue};
use narthex_bench::{KEYS, address, token};
use narthex_model::RayId;
use narthex_upstream::{Hop, Introduction, clean_request};

/// What a browser sends, with the token among so many other cookies; with a few names that are ours, as a liar sends them.
fn request(token: &str, cookies: usize, lies: bool) -> HeaderMap {
    let mut pairs: Vec<String> =
        (0..cookies).map(|n| format!("cookie{n}=value-of-some-length-{n}")).collect();
    pairs.push(format!("CF_Authorization={token}"));
    let cookie = pairs.join("; ");
    let ours = [
        ("cf-access-jwt-assertion", "lie"),
        ("CF_Connecting_IP", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
    ];
    let fields = [
        ("host", "app1.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("upgrade-insecure-requests", "1"),
        ("cookie", &cookie),
    ];
    let claimed = ours.into_iter().filter(|_| lies);
    let field = |(name, value): (&str, &str)| {
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    fields.into_iter().chain(claimed).map(field).collect()
}

fn clean(bencher: Bencher<'_, '_>, cookies: usize, lies: bool) {
    let token = KEYS.mint(&token(1));
    let request = request(&token, cookies, lies);
    let assertion = HeaderValue::from_str(&token).expect("a token");
    let email = HeaderValue::from_str(&address(1)).expect("an address");
    let host = HeaderValue::from_static("app1.example.com");
    let ray: RayId = "0123456789abcdef".to_owned().try_into().expect("an id");
    let hop = Hop {
        host: &host,
        client: "192.0.2.1".parse().expect("an address"),
        through: None,
        country: None,
    };
    let who = Introduction { token: Some(&assertion), email: Some(&email), ..Default::default() };
    let cleaned = |mut headers: HeaderMap| {
        assert!(clean_request(&mut headers, black_box(&hop), &who, &ray).is_ok());
        headers
    };
    assert_eq!(cleaned(request.clone()).get("cf-access-jwt-assertion"), Some(&assertion));
    bencher.with_inputs(|| request.clone()).bench_local_values(cleaned);
}

#[divan::bench(args = [0, 10, 40])]
fn clean_with_cookies(bencher: Bencher<'_, '_>, cookies: usize) {
    clean(bencher, cookies, false);
}

#[divan::bench]
fn clean_of_lies(bencher: Bencher<'_, '_>) {
    clean(bencher, 0, true);
}
