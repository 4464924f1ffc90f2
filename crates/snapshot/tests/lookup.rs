//! Finding an application beside the plain rule: of all destinations that cover the request, the most specific.

mod parts;

use narthex_model::{CanonicalPath, Destination, Hostname};
use narthex_snapshot::Snapshot;
use parts::{Parts, uuid};
use proptest::prelude::*;
use serde_json::json;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The application that owns the winner, by the plain rule.
fn plain(
    destinations: &[Destination],
    host: &Hostname,
    path: &CanonicalPath<'_>,
) -> Option<String> {
    let covering = destinations.iter().enumerate().filter(|(_, d)| d.matches(host, path));
    let winner = covering.max_by_key(|(_, d)| (d.specificity(), Reverse(d.as_str())));
    winner.map(|(n, _)| uuid("app", n))
}

/// One application for each destination.
fn compiled(destinations: &[Destination]) -> Snapshot {
    let mut parts = Parts::default();
    parts.premises.zones.clear();
    let parts = destinations
        .iter()
        .enumerate()
        .fold(parts, |parts, (n, d)| parts.app(n, &[d.as_str()], json!({})));
    parts.compile().expect("a configuration")
}

fn destination() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "aa", "ab", "*", "a*", "*a", "b*b"]);
    let tail = prop::sample::select(vec!["x.com", "y.com", "a.x.com", "com"]);
    let segment = prop::sample::select(vec!["a", "b", "aa", "c", "*", "a*", "*a", "a*b", "b*"]);
    (label, tail, prop::collection::vec(segment, 0..4)).prop_map(|(label, tail, segments)| {
        let path: String = segments.iter().map(|s| format!("/{s}")).collect();
        format!("{label}.{tail}{path}")
    })
}

fn request() -> impl Strategy<Value = (String, String)> {
    let label = prop::sample::select(vec!["a", "b", "aa", "ab", "ba", "aab", "bab", "a.a", "x"]);
    let tail = prop::sample::select(vec!["x.com", "y.com", "a.x.com", "com"]);
    let segment = prop::sample::select(vec!["a", "b", "aa", "ab", "aab", "c", "aaa", "d"]);
    let path = (prop::collection::vec(segment, 0..6), any::<bool>());
    (label, tail, path).prop_map(|(label, tail, (segments, open))| {
        let path: String = segments.iter().map(|s| format!("/{s}")).collect();
        let tail_slash = if open || path.is_empty() { "/" } else { "" };
        (format!("{label}.{tail}"), format!("{path}{tail_slash}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_the_plain_rule_finds(
        destinations in prop::collection::vec(destination(), 0..30),
        requests in prop::collection::vec(request(), 20),
    ) {
        // One application for each place, however it is spelled.
        let mut places = BTreeMap::new();
        for text in destinations {
            let destination: Destination = text.parse().expect("a destination");
            places.entry(format!("{:?}{:?}", destination.host, destination.path)).or_insert(destination);
        }
        let destinations: Vec<Destination> = places.into_values().collect();
        let snapshot = compiled(&destinations);
        for (host, path) in requests {
            let host: Hostname = host.parse().expect("a name");
            let path = CanonicalPath::of(&path).expect("a path");
            let found = snapshot.app(&host, &path).map(|app| app.id().to_string());
            prop_assert_eq!(found, plain(&destinations, &host, &path), "{} {}", host, path);
            let known = destinations.iter().any(|d| d.host.matches(&host));
            prop_assert_eq!(snapshot.knows_host(&host), known);
        }
    }
}

/// P10 of the checklist: many applications with wildcards, a long path. That it is quick is for `bench/` to show.
#[test]
fn long_paths_among_many_applications() {
    let mut written: Vec<String> = (0..1_000).map(|n| format!("a.x.com/app{n}/*/edit")).collect();
    written.extend((0..1_000).map(|n| format!("*.z{n}.com")));
    written.push("a.x.com".to_owned());
    let destinations: Vec<Destination> =
        written.iter().map(|d| d.parse().expect("a destination")).collect();
    let snapshot = compiled(&destinations);
    let long = "/ab".repeat(5_000);
    for (host, path, want) in [
        ("a.x.com", format!("/app7{long}/edit"), Some(7)),
        ("a.x.com", format!("/app7{long}"), Some(2_000)),
        ("a.x.com", long.clone(), Some(2_000)),
        ("b.z999.com", long, Some(1_999)),
        ("z999.com", "/".to_owned(), None),
    ] {
        let path = CanonicalPath::of(&path).expect("a path");
        let found = snapshot.app(&host.parse().expect("a name"), &path);
        assert_eq!(found.map(|app| app.id().to_string()), want.map(|n| uuid("app", n)), "{host}");
    }
}
