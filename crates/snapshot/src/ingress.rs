//! Which origin answers a request: the first `[[ingress]]` entry whose hostname and path match.

use crate::Fault;
use crate::fault::FaultAt;
use hashbrown::HashMap;
use narthex_model::{CanonicalPath, HostPattern, Hostname, IngressRule};
use regex::Regex;
use std::sync::Arc;

/// Every origin, in the order of the file.
pub(crate) struct Origins {
    all: Vec<Entry>,
    /// Places in `all`, ascending.
    exact: HashMap<Hostname, Vec<usize>>,
    wild: Vec<usize>,
}

struct Entry {
    /// Its place in the file.
    index: usize,
    rule: Arc<IngressRule>,
    path: Option<Regex>,
}

impl Origins {
    pub(crate) fn compile(rules: &[IngressRule]) -> Result<Self, Fault> {
        let mut origins = Self { all: Vec::new(), exact: HashMap::new(), wild: Vec::new() };
        for (index, rule) in rules.iter().enumerate() {
            let path = rule.path.as_deref().map(Regex::new).transpose().map_err(|error| {
                Fault::invalid(
                    FaultAt::Premises,
                    format!("/ingress/{index}/path"),
                    format!("the path is not a regular expression: {error}"),
                )
            })?;
            match &rule.hostname {
                HostPattern::Exact(name) => {
                    origins.exact.entry(name.clone()).or_default().push(index);
                }
                HostPattern::Wildcard(_) => origins.wild.push(index),
            }
            origins.all.push(Entry { index, rule: Arc::new(rule.clone()), path });
        }
        Ok(origins)
    }

    /// The first entry that matches.
    pub(crate) fn find(
        &self,
        host: &Hostname,
        path: &CanonicalPath<'_>,
    ) -> Option<&Arc<IngressRule>> {
        self.entry(host, path).map(|entry| &entry.rule)
    }

    fn entry(&self, host: &Hostname, path: &CanonicalPath<'_>) -> Option<&Entry> {
        let serves =
            |entry: &&Entry| entry.path.as_ref().is_none_or(|regex| regex.is_match(path.as_str()));
        let named = self.exact.get(host).map_or(&[][..], Vec::as_slice);
        let named = named.iter().filter_map(|at| self.all.get(*at)).find(serves);
        let wild = self.wild(host).find(serves);
        match (named, wild) {
            (Some(a), Some(b)) if b.index < a.index => Some(b),
            (Some(entry), _) | (None, Some(entry)) => Some(entry),
            (None, None) => None,
        }
    }

    /// Whether any entry is for `host`.
    pub(crate) fn knows(&self, host: &Hostname) -> bool {
        self.exact.contains_key(host) || self.wild(host).next().is_some()
    }

    fn wild(&self, host: &Hostname) -> impl Iterator<Item = &Entry> {
        let entries = self.wild.iter().filter_map(|at| self.all.get(*at));
        entries.filter(|entry| entry.rule.hostname.matches(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(hostname: &str, path: Option<&str>, service: &str) -> IngressRule {
        IngressRule {
            hostname: IngressRule::hostname(hostname).unwrap(),
            path: path.map(str::to_owned),
            service: service.parse().unwrap(),
            origin_request: Default::default(),
        }
    }

    #[test]
    fn the_first_entry_that_matches_wins() {
        let origins = Origins::compile(&[
            rule("a.example.com", Some("^/api/"), "http://127.0.0.1:1"),
            rule("*.example.com", Some(r"\.css$"), "http://127.0.0.1:2"),
            rule("a.example.com", None, "http://127.0.0.1:3"),
            rule("a.example.com", Some("^/never"), "http://127.0.0.1:4"),
            rule("*.example.com", None, "http_status:404"),
        ])
        .unwrap();
        for (host, path, want) in [
            ("a.example.com", "/api/x", Some(0)),
            ("a.example.com", "/api/x.css", Some(0)),
            ("a.example.com", "/api", Some(2)),
            ("a.example.com", "/x.css", Some(1)),
            ("a.example.com", "/never", Some(2)),
            ("b.example.com", "/x.css", Some(1)),
            ("b.example.com", "/", Some(4)),
            ("b.b.example.com", "/", None),
            ("example.com", "/", None),
        ] {
            let (name, path) = (host.parse().unwrap(), CanonicalPath::of(path).unwrap());
            let found = origins.entry(&name, &path).map(|entry| entry.index);
            assert_eq!(found, want, "{host}{path}");
            assert_eq!(origins.knows(&name), want.is_some());
        }
    }

    #[test]
    fn a_wrong_expression_is_pointed_at() {
        let rules = [rule("a.com", None, "http://b"), rule("a.com", Some("("), "http://b")];
        let fault = Origins::compile(&rules).err().unwrap();
        assert_eq!((fault.object, &*fault.pointer), (FaultAt::Premises, "/ingress/1/path"));
    }
}
