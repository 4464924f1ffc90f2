//! Finds the application of a request among any number of destinations (access-protocol §11.2).
//!
//! An exact host is one hash lookup, a wildcard host one for each label of the name asked for. Within a host the
//! destinations are keyed by their literal whole segments, so that a request is compared with those only that share
//! its beginning, however many others there are.

use crate::App;
use hashbrown::HashMap;
use narthex_model::{CanonicalPath, Destination, HostPattern, Hostname, Specificity};
use std::cmp::Reverse;
use std::sync::Arc;

/// Every destination of every application.
#[derive(Default)]
pub(crate) struct Places {
    exact: HashMap<Hostname, Paths>,
    /// By the labels after the last wildcard.
    wild: HashMap<Box<str>, HashMap<HostPattern, Paths>>,
}

/// The destinations on one host.
#[derive(Default)]
struct Paths {
    /// By the literal whole segments that a path begins with; "" for the whole host.
    by_prefix: HashMap<Box<str>, Vec<Place>>,
    /// The number of segments of the longest such prefix.
    deepest: usize,
}

struct Place {
    rank: Rank,
    destination: Destination,
    app: Arc<App>,
}

/// The greater rank wins. Two destinations that are equally specific are told apart by their text, so that the
/// winner never depends on the order in which they were made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(Specificity, Reverse<Box<str>>);

impl Rank {
    fn of(destination: &Destination) -> Self {
        Self(destination.specificity(), Reverse(destination.as_str().into()))
    }
}

impl Places {
    /// Every destination of `apps`.
    pub(crate) fn of<'a>(apps: impl IntoIterator<Item = &'a Arc<App>>) -> Self {
        let mut places = Self::default();
        for app in apps {
            for destination in &app.spec.destinations {
                places.add(destination, app);
            }
        }
        let wild = places.wild.values_mut().flat_map(HashMap::values_mut);
        for paths in places.exact.values_mut().chain(wild) {
            for places in paths.by_prefix.values_mut() {
                places.sort_by(|a, b| b.rank.cmp(&a.rank));
            }
        }
        places
    }

    fn add(&mut self, destination: &Destination, app: &Arc<App>) {
        let paths = match &destination.host {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            pattern @ HostPattern::Wildcard(_) => {
                let patterns = self.wild.entry(pattern.fixed_suffix().into()).or_default();
                patterns.entry(pattern.clone()).or_default()
            }
        };
        paths.add(destination, app);
    }

    /// The application whose most specific destination covers the request.
    pub(crate) fn find(&self, host: &Hostname, path: &CanonicalPath<'_>) -> Option<&Arc<App>> {
        let on_host = self.exact.get(host).and_then(|paths| paths.best(host, path));
        let place = on_host.or_else(|| {
            let matching = self.patterns(host).filter_map(|paths| paths.best(host, path));
            matching.max_by(|a, b| a.rank.cmp(&b.rank))
        });
        place.map(|place| &place.app)
    }

    /// Whether any destination is on `host`.
    pub(crate) fn knows(&self, host: &Hostname) -> bool {
        self.exact.contains_key(host) || self.patterns(host).next().is_some()
    }

    /// What is on the wildcard hosts that cover `host`.
    fn patterns(&self, host: &Hostname) -> impl Iterator<Item = &Paths> {
        let name = host.as_str();
        let suffixes = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        let candidates = suffixes.filter_map(|suffix| self.wild.get(suffix)).flatten();
        candidates.filter(|(pattern, _)| pattern.matches(host)).map(|(_, paths)| paths)
    }
}

impl Paths {
    fn add(&mut self, destination: &Destination, app: &Arc<App>) {
        let prefix = destination.path.literal_prefix();
        let prefix = if prefix == "/" { "" } else { prefix };
        self.deepest = self.deepest.max(prefix.matches('/').count());
        let place = Place {
            rank: Rank::of(destination),
            destination: destination.clone(),
            app: Arc::clone(app),
        };
        self.by_prefix.entry(prefix.into()).or_default().push(place);
    }

    /// The most specific destination that covers the request. Within one prefix they are sorted, and the first that
    /// matches is the best; a shorter prefix may still win by what follows its wildcard.
    fn best(&self, host: &Hostname, path: &CanonicalPath<'_>) -> Option<&Place> {
        let covers = |place: &&Place| place.destination.matches(host, path);
        let matching = self.candidates(path).filter_map(|places| places.iter().find(covers));
        matching.max_by(|a, b| a.rank.cmp(&b.rank))
    }

    /// The destinations that share a literal beginning with `path`, by beginning.
    fn candidates(&self, path: &CanonicalPath<'_>) -> impl Iterator<Item = &Vec<Place>> {
        let text = path.as_str();
        let borders = text.match_indices('/').skip(1).map(|(slash, _)| slash);
        let whole = (!text.ends_with('/')).then_some(text.len());
        let borders = [0].into_iter().chain(borders).chain(whole).take(self.deepest + 1);
        borders.filter_map(|border| self.by_prefix.get(text.get(..border)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::{AppId, Application, AudTag};
    use narthex_policy::PolicyList;
    use serde_json::json;

    /// With how many destinations a request is compared.
    fn compared(places: &Places, host: &str, path: &str) -> usize {
        let host: Hostname = host.parse().expect("a name");
        let path = CanonicalPath::of(path).expect("a path");
        let lists = places.exact.get(&host).into_iter().chain(places.patterns(&host));
        lists.flat_map(|paths| paths.candidates(&path)).map(Vec::len).sum()
    }

    #[test]
    fn p10_what_a_request_is_compared_with_does_not_grow_with_the_others() {
        let made = "2026-05-01T00:00:00Z";
        let long = "/ab".repeat(5_000);
        for many in [10, 1_000] {
            let own = (0..many).map(|n| format!("a.x.com/app{n}/*/edit"));
            let wild = (0..many).map(|n| format!("*.z{n}.com"));
            let deep = (0..many).map(|n| format!("a.x.com/deep/{n}/b/c/*"));
            let mut destinations: Vec<String> = own.chain(wild).chain(deep).collect();
            destinations.push("a.x.com".to_owned());
            let spec: Application = serde_json::from_value(json!({
                "id": AppId::random().to_string(), "aud": AudTag::random().as_str(), "name": "all",
                "domain": "a.x.com", "destinations": destinations, "policies": [],
                "session_duration": "24h", "created_at": made, "updated_at": made,
            }))
            .expect("an application");
            let app = Arc::new(App::new(Arc::new(spec), PolicyList::default()));
            let places = Places::of([&app]);
            for (host, path, want) in [
                ("a.x.com", format!("/app7{long}/edit"), 2),
                ("a.x.com", format!("/deep/7/b/c{long}"), 2),
                ("a.x.com", format!("/deep{long}"), 1),
                ("a.x.com", long.clone(), 1),
                ("b.z9.com", long.clone(), 1),
                ("b.c.z9.com", long.clone(), 0),
            ] {
                assert_eq!(compared(&places, host, &path), want, "{host}, {many} of each kind");
            }
        }
    }
}
