//! The private listener.

use crate::daemon::Place;

/// Reads a page of OpenMetrics as strictly as the text format is written down, and answers its samples by name.
fn parse(page: &str) -> Vec<(String, f64)> {
    let body = page.strip_suffix("# EOF\n").expect("the page ends with # EOF");
    let mut samples = Vec::new();
    let mut family = (String::new(), String::new());
    let mut seen = std::collections::BTreeSet::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type has a name and a kind");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert!(seen.insert(name.to_owned()), "{name} is described twice");
            family = (name.to_owned(), kind.to_owned());
            continue;
        }
        if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        assert!(labels.ends_with('}') && labels.matches('"').count().is_multiple_of(2), "{line}");
        let wanted =
            if family.1 == "counter" { format!("{}_total", family.0) } else { family.0.clone() };
        assert_eq!(name, wanted, "a sample stands under its family: {line}");
        assert!(name.starts_with("narthex_"), "{line}");
        samples.push((series.to_owned(), value.parse().expect("a number")));
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_and_health_are_told_in_private_only() {
    let place =
        Place::new("[[ingress]]\nhostname = \"wiki.localhost\"\nservice = \"http_status:218\"");
    let daemon = place.serve();
    place.open_to_all("wiki.localhost").await;
    for _ in 0..3 {
        assert_eq!(place.wire().get("wiki.localhost", "/").await.unwrap().status, 218);
    }
    let (status, page) = place.private("/metrics").await;
    assert_eq!(status, 200);
    let samples = parse(&page);
    let value = |name: &str| {
        samples.iter().find(|s| s.0 == name).unwrap_or_else(|| panic!("{name} in\n{page}")).1
    };
    assert_eq!(value("narthex_requests_total{verdict=\"admitted_bypass\"}"), 3.0);
    assert_eq!(value("narthex_applications"), 1.0);
    assert_eq!(place.private("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(place.private("/readyz").await, (200, "ready\n".to_owned()));

    for path in ["/metrics", "/healthz", "/readyz"] {
        for host in ["team.localhost", "admin.localhost", "wiki.localhost"] {
            let answer = place.wire().get(host, path).await.unwrap();
            assert!(!matches!(answer.text().as_str(), "ok\n" | "ready\n"), "{host}{path}");
            assert!(!answer.text().contains("narthex_requests"), "{host}{path}");
        }
        let redirect =
            crate::wire::plain(([127, 0, 0, 1], place.http).into(), "team.localhost", path);
        assert!((300..400).contains(&redirect.await.unwrap().status), "{path}");
    }
    daemon.stop();
}
