//! Where an application lives: a host and an optional path, both with wildcards (access-protocol §11.2).

use crate::{CanonicalPath, Hostname};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// Text that is not a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a destination is a hostname with an optional path, as in wiki.example.com/docs, without scheme, port or query; {why}: {raw:?}"
)]
pub struct InvalidDestination {
    raw: String,
    why: &'static str,
}

/// A hostname in which each label may hold one `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// One name.
    Exact(Hostname),
    /// Labels from left to right. `*` alone stands for exactly one label; with text beside it, for any part of one.
    Wildcard(Box<[Glob]>),
}

/// Text with at most one `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    before: Box<str>,
    /// `None` when there is no `*`.
    after: Option<Box<str>>,
}

impl Glob {
    fn of(text: &str) -> Self {
        match text.split_once('*') {
            None => Self { before: text.into(), after: None },
            Some((before, after)) => Self { before: before.into(), after: Some(after.into()) },
        }
    }

    fn matches(&self, text: &str) -> bool {
        match &self.after {
            None => text == &*self.before,
            Some(after) => {
                text.len() >= self.before.len() + after.len()
                    && text.starts_with(&*self.before)
                    && text.ends_with(&**after)
            }
        }
    }
}

impl HostPattern {
    /// Whether `host` is covered.
    #[must_use]
    pub fn matches(&self, host: &Hostname) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Wildcard(labels) => {
                let names = host.as_str().split('.');
                names.clone().count() == labels.len()
                    && names.zip(labels.iter()).all(|(name, label)| label.matches(name))
            }
        }
    }

    /// The concrete name, unless there is a wildcard.
    #[must_use]
    pub fn exact(&self) -> Option<&Hostname> {
        match self {
            Self::Exact(name) => Some(name),
            Self::Wildcard(_) => None,
        }
    }

    /// The labels that end the pattern and hold no wildcard, for lookups: `*.example.com` → `example.com`.
    #[must_use]
    pub fn fixed_suffix(&self) -> String {
        match self {
            Self::Exact(name) => name.to_string(),
            Self::Wildcard(labels) => {
                let fixed = labels.iter().rev().take_while(|l| l.after.is_none());
                let mut fixed: Vec<&str> = fixed.map(|l| &*l.before).collect();
                fixed.reverse();
                fixed.join(".")
            }
        }
    }
}

/// A path prefix in which each segment may hold one `*`, which may span several segments of the request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// Literal pieces around the `*`s; the first begins with `/` or is empty for the whole host.
    pieces: Box<[Box<str>]>,
}

impl PathPattern {
    fn of(path: &str) -> Self {
        let path = if path == "/" { "" } else { path };
        Self { pieces: path.split('*').map(Into::into).collect() }
    }

    /// Whether `path` is covered: the pattern itself or anything below it, borders of segments respected.
    #[must_use]
    pub fn matches(&self, path: &CanonicalPath<'_>) -> bool {
        let Some((first, others)) = self.pieces.split_first() else { return false };
        let Some(rest) = path.as_str().strip_prefix(&**first) else { return false };
        covers(rest, others)
    }

    /// The literal part before the first wildcard, for the cookie's `Path`; `/` for the whole host.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        match self.pieces.first() {
            None => "/",
            Some(first) if first.is_empty() => "/",
            Some(first) if self.pieces.len() == 1 => first,
            Some(first) => match first.rsplit_once('/') {
                Some(("", _)) | None => "/",
                Some((whole_segments, _)) => whole_segments,
            },
        }
    }

    fn literal_length(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    fn wildcards(&self) -> usize {
        self.pieces.len().saturating_sub(1)
    }
}

/// Whether `rest` can be read as a gap, `pieces[0]`, a gap, `pieces[1]` …, ending at a segment border.
///
/// Taking the first place where each piece fits is enough for all but the last, which may need any of its places.
fn covers(rest: &str, pieces: &[Box<str>]) -> bool {
    let Some((piece, others)) = pieces.split_first() else {
        return rest.is_empty() || rest.starts_with('/');
    };
    if others.is_empty() {
        // Looked for at the borders, not by searching: the places where it fits may overlap, as "aa" in "aaa".
        let borders = rest.match_indices('/').map(|(slash, _)| slash).chain([rest.len()]);
        let ends_at = |border| rest.get(..border).is_some_and(|r| r.ends_with(&**piece));
        return piece.is_empty() || borders.into_iter().any(ends_at);
    }
    rest.find(&**piece)
        .and_then(|at| rest.get(at + piece.len()..))
        .is_some_and(|after| covers(after, others))
}

/// Which of two matching destinations decides: exact host before wildcard, then the longer path, then fewer
/// wildcards (access-protocol §11.2). The greater one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    exact_host: bool,
    path_length: usize,
    host_length: usize,
    wildcards: Reverse<usize>,
}

/// One public destination of an application.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Destination {
    /// Exactly what was written, for the API to echo.
    text: Box<str>,
    /// The host part.
    pub host: HostPattern,
    /// The path part.
    pub path: PathPattern,
}

impl Destination {
    /// Whether a request for `host` and `path` belongs here.
    #[must_use]
    pub fn matches(&self, host: &Hostname, path: &CanonicalPath<'_>) -> bool {
        self.host.matches(host) && self.path.matches(path)
    }

    /// How specific this destination is beside others that match as well.
    #[must_use]
    pub fn specificity(&self) -> Specificity {
        let (host_length, host_wildcards) = match &self.host {
            HostPattern::Exact(name) => (name.as_str().len(), 0),
            HostPattern::Wildcard(labels) => {
                let wild = labels.iter().filter(|l| l.after.is_some()).count();
                let length = |l: &Glob| l.before.len() + l.after.as_ref().map_or(0, |a| a.len());
                (labels.iter().map(length).sum(), wild)
            }
        };
        Specificity {
            exact_host: self.host.exact().is_some(),
            path_length: self.path.literal_length(),
            host_length,
            wildcards: Reverse(self.path.wildcards() + host_wildcards),
        }
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Destination {
    type Err = InvalidDestination;
    fn from_str(raw: &str) -> Result<Self, InvalidDestination> {
        let invalid = |why| InvalidDestination { raw: raw.chars().take(120).collect(), why };
        if raw.contains("://") {
            return Err(invalid("it has a scheme"));
        }
        let (host, path) = raw.find('/').map_or((raw, ""), |at| raw.split_at(at));
        if host.contains(':') {
            return Err(invalid("it has a port"));
        }
        if raw.split(['.', '/']).any(|segment| segment.matches('*').count() > 1) {
            return Err(invalid("a label or path segment holds two wildcards"));
        }
        let host = host_pattern(host).ok_or_else(|| invalid("the host is not a DNS name"))?;
        let canonical = if path.is_empty() { "/" } else { path };
        let canonical =
            CanonicalPath::of(canonical).map_err(|_| invalid("the path is not canonical"))?;
        let trimmed = canonical.as_str().strip_suffix('/').unwrap_or(canonical.as_str());
        Ok(Self { text: raw.into(), host, path: PathPattern::of(trimmed) })
    }
}

fn host_pattern(host: &str) -> Option<HostPattern> {
    if !host.contains('*') {
        return host.parse().ok().map(HostPattern::Exact);
    }
    // A wildcard may stand for any text of a label; "x" stands in for it while the name is checked.
    let name: Hostname = host.replace('*', "x").parse().ok()?;
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    if labels.len() < 2 || labels.last().is_some_and(|l| l.contains('*')) {
        return None; // "*" or "*.": every name there is
    }
    let canonical = name.as_str().split('.');
    let globs = labels.iter().zip(canonical).map(|(written, canonical)| {
        if written.contains('*') {
            Glob::of(&written.to_ascii_lowercase())
        } else {
            Glob::of(canonical)
        }
    });
    Some(HostPattern::Wildcard(globs.collect()))
}

impl TryFrom<String> for Destination {
    type Error = InvalidDestination;
    fn try_from(raw: String) -> Result<Self, InvalidDestination> {
        raw.parse()
    }
}

impl From<Destination> for String {
    fn from(destination: Destination) -> Self {
        destination.text.into()
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most specific of `destinations` for a URL, as a snapshot would choose it.
    fn winner<'a>(destinations: &'a [Destination], host: &str, path: &str) -> Option<&'a str> {
        let (host, path) = (host.parse().unwrap(), CanonicalPath::of(path).unwrap());
        let matching = destinations.iter().filter(|d| d.matches(&host, &path));
        matching.max_by_key(|d| d.specificity()).map(Destination::as_str)
    }

    #[test]
    fn the_worked_table_of_the_protocol() {
        let written = [
            "example.com",
            "example.com/blog",
            "*.example.com",
            "api.example.com/v*/pub",
            "example.com/alpha/*",
        ];
        let apps: Vec<Destination> = written.iter().map(|d| d.parse().unwrap()).collect();
        for (host, path, want) in [
            ("example.com", "/", Some("example.com")),
            ("example.com", "/blog", Some("example.com/blog")),
            ("example.com", "/blog/2026", Some("example.com/blog")),
            ("example.com", "/blogger", Some("example.com")),
            ("example.com", "/Blog", Some("example.com")),
            ("example.com", "/alpha", Some("example.com")),
            ("example.com", "/alpha/x/y", Some("example.com/alpha/*")),
            ("www.example.com", "/", Some("*.example.com")),
            ("a.b.example.com", "/", None),
            ("api.example.com", "/v1/pub", Some("api.example.com/v*/pub")),
            ("api.example.com", "/v1/x/pub", Some("api.example.com/v*/pub")),
            ("api.example.com", "/v1/pub/more", Some("api.example.com/v*/pub")),
            ("api.example.com", "/v1/public", Some("*.example.com")),
            ("api.example.com", "/v1/public/pub", Some("api.example.com/v*/pub")),
            ("api.example.com", "/", Some("*.example.com")),
            ("other.test", "/", None),
        ] {
            assert_eq!(winner(&apps, host, path), want, "{host}{path}");
        }
    }

    #[test]
    fn partial_labels_and_suffixes() {
        let d: Destination = "*test.example.com/x".parse().unwrap();
        let name = |raw: &str| raw.parse::<Hostname>().unwrap();
        assert!(d.host.matches(&name("mytest.example.com")));
        assert!(!d.host.matches(&name("tester.example.com")));
        assert_eq!(d.host.fixed_suffix(), "example.com");
        let d: Destination = "a.com/v*aa".parse().unwrap();
        let covered = |path: &str| d.path.matches(&CanonicalPath::of(path).unwrap());
        assert!(covered("/vaa") && covered("/vaaa") && covered("/vaaa/x") && covered("/v1/aaa"));
        assert!(!covered("/va") && !covered("/vaab") && !covered("/vaab/aab"));
        assert_eq!("a.com/v*/pub".parse::<Destination>().unwrap().path.literal_prefix(), "/");
        assert_eq!("a.com/v1/x".parse::<Destination>().unwrap().path.literal_prefix(), "/v1/x");
        assert_eq!("a.com/v1/*".parse::<Destination>().unwrap().path.literal_prefix(), "/v1");
    }

    #[test]
    fn what_is_no_destination() {
        for raw in [
            "",
            "https://a.com",
            "a.com:8080",
            "a.com/b?c",
            "a.com/b#c",
            "*",
            "*.*",
            "a.*",
            "a**b.com",
            "a.com/**",
            "a.com/b%2fc",
            "a b.com",
            "127.0.0.1",
        ] {
            assert!(raw.parse::<Destination>().is_err(), "{raw}");
        }
    }
}
