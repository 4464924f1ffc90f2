//! What is wrong with a configuration file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A mistake in the configuration: names the file and line, and says what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    path: PathBuf,
    message: String,
}

impl ConfigFault {
    pub(super) fn syntax(path: &Path, error: &toml::de::Error) -> Self {
        // Its text has the line, a caret and what was expected.
        Self { path: path.into(), message: error.to_string().trim_end().to_owned() }
    }

    pub(super) fn unreadable(path: &Path, what: &str, error: &std::io::Error) -> Self {
        Self { path: path.into(), message: format!("the {what} cannot be read: {error}") }
    }

    pub(super) fn whole(path: &Path, message: &str) -> Self {
        Self { path: path.into(), message: message.to_owned() }
    }

    /// Points at `span` (bytes) of `text`, in the form that the TOML parser uses for its own errors.
    pub(super) fn at(path: &Path, text: &str, span: Range<usize>, message: &str) -> Self {
        let start = span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_number = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        let line = text.lines().nth(line_number - 1).unwrap_or_default();
        let margin = " ".repeat(line_number.to_string().len());
        let room = line.chars().count().saturating_sub(column - 1).max(1);
        let carets = "^".repeat((span.end.saturating_sub(span.start)).clamp(1, room));
        let indent = " ".repeat(column - 1);
        let message = format!(
            "error at line {line_number}, column {column}\n{margin} |\n{line_number} | {line}\n{margin} | {indent}{carets}\n{message}"
        );
        Self { path: path.into(), message }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message)
    }
}

impl std::error::Error for ConfigFault {}
