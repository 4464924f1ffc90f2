//! What is wrong with a configuration file, and where.

use regex::Regex;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A mistake in the configuration: names the file and line, and says what was found and what was expected.
///
/// It shows the line, but never the value of a key that may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    path: PathBuf,
    message: String,
}

/// Sections whose values may be secrets (a password in an URL, a token where its file should stand), and their keys
/// that never are.
const SECRETIVE: [&str; 3] = ["admin", "store", "mail"];
const PUBLIC_KEYS: [&str; 2] = ["host", "from"];

impl ConfigFault {
    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let Some(span) = error.span() else { return Self::whole(path, error.message()) };
        if !Line::at(text, span.start).is_secretive() {
            return Self::at(path, text, span, error.message());
        }
        let quoted = Regex::new(r#""(?:[^"\\]|\\.)*""#).expect("the pattern is sound");
        Self::at(path, text, span, &quoted.replace_all(error.message(), "\"…\""))
    }

    pub(super) fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> Self {
        Self { path: path.into(), message: format!("the {what} cannot be read: {error}") }
    }

    pub(super) fn whole(path: &Path, message: &str) -> Self {
        Self { path: path.into(), message: message.to_owned() }
    }

    /// Points at `span` (bytes) of `text`.
    pub(super) fn at(path: &Path, text: &str, span: Range<usize>, message: &str) -> Self {
        let line = Line::at(text, span.start);
        let (shown, column) = line.shown();
        let number = line.number;
        let margin = " ".repeat(number.to_string().len());
        let room = shown.chars().count().saturating_sub(column - 1).max(1);
        let carets = "^".repeat((span.end.saturating_sub(span.start)).clamp(1, room));
        let indent = " ".repeat(column - 1);
        let message = format!(
            "error at line {number}, column {column}\n{margin} |\n{number} | {shown}\n{margin} | {indent}{carets}\n{message}"
        );
        Self { path: path.into(), message }
    }
}

/// One line of the file.
struct Line<'a> {
    /// Counted from 1.
    number: usize,
    /// In characters, counted from 1.
    column: usize,
    text: &'a str,
    /// The section that it stands in, without brackets; empty before the first.
    section: &'a str,
}

impl<'a> Line<'a> {
    fn at(text: &'a str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        let header =
            text.lines().take(number).filter(|line| line.trim_start().starts_with('[')).last();
        let section = header.unwrap_or_default().trim_start().trim_start_matches('[');
        let section = section.split(']').next().unwrap_or_default().trim();
        Self { number, column, text: text.lines().nth(number - 1).unwrap_or_default(), section }
    }

    /// Whether the value on this line may be a secret.
    fn is_secretive(&self) -> bool {
        if self.text.trim_start().starts_with('[') || self.text.trim().is_empty() {
            return false;
        }
        let key = self.text.split('=').next().unwrap_or_default().trim();
        let first = |name: &'a str| name.split('.').next().unwrap_or_default().trim();
        let sections = [first(self.section), first(key)];
        sections.iter().any(|section| SECRETIVE.contains(section)) && !PUBLIC_KEYS.contains(&key)
    }

    /// The line as people may see it, and the column to point at.
    fn shown(&self) -> (String, usize) {
        if !self.is_secretive() {
            return (self.text.to_owned(), self.column);
        }
        let key = self.text.split_once('=').map_or("", |(key, _)| key);
        let shown = if key.is_empty() { "…".to_owned() } else { format!("{key}= …") };
        let last = shown.chars().count();
        (shown, self.column.min(last))
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}

impl std::error::Error for ConfigFault {}
