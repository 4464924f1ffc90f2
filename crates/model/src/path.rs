//! The one spelling of a request's path that policy, log and origin all read (security rule 2).

use std::borrow::Cow;
use std::fmt;

/// Why a path was refused: two readers could understand it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It does not begin with a slash.
    #[error("a path begins with /")]
    NoLeadingSlash,
    /// A byte that may not stand in a path.
    #[error("a path holds visible ASCII without space, backslash, semicolon, ? and #")]
    Byte(u8),
    /// `%` without two hexadecimal digits.
    #[error("% is followed by two hexadecimal digits")]
    Escape,
    /// An encoded slash, backslash, semicolon or control character, or bytes that are not UTF-8.
    #[error(
        "an encoded slash, backslash, semicolon, control character or broken UTF-8 is ambiguous"
    )]
    Ambiguous,
}

/// A canonical absolute path: unreserved escapes decoded once, other escapes in capitals, `.` and `..`
/// resolved, repeated slashes joined. Canonicalising it again changes nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalPath<'a>(Cow<'a, str>);

impl<'a> CanonicalPath<'a> {
    /// Canonicalises `raw`, the path of a request target without its query (access-protocol §11.2).
    /// A path that is canonical already is borrowed, not copied.
    ///
    /// # Errors
    /// [`InvalidPath`] when the path is ambiguous; such a request is refused, never guessed at.
    pub fn of(raw: &'a str) -> Result<Self, InvalidPath> {
        if !raw.starts_with('/') {
            return Err(InvalidPath::NoLeadingSlash);
        }
        let mut plain = true;
        let mut previous = b' ';
        for byte in raw.bytes() {
            match byte {
                b'\\' | b';' | b'?' | b'#' | 0..=b' ' | 0x7f.. => {
                    return Err(InvalidPath::Byte(byte));
                }
                b'%' => plain = false,
                b'/' | b'.' if previous == b'/' => plain = false,
                _ => {}
            }
            previous = byte;
        }
        if plain {
            return Ok(Self(Cow::Borrowed(raw)));
        }
        let decoded = decode_unreserved(raw)?;
        Ok(Self(Cow::Owned(resolve_dots(&decoded))))
    }

    /// The path, beginning with a slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same path, owned.
    #[must_use]
    pub fn into_owned(self) -> CanonicalPath<'static> {
        CanonicalPath(Cow::Owned(self.0.into_owned()))
    }

    /// Whether this path is `prefix` or lies below it, borders of segments respected.
    #[must_use]
    pub fn is_below(&self, prefix: &str) -> bool {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        self.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Decodes escapes of unreserved characters (RFC 3986 §2.3) once and writes the others in capitals.
fn decode_unreserved(raw: &str) -> Result<String, InvalidPath> {
    let mut decoded = String::with_capacity(raw.len());
    let mut bytes = Vec::with_capacity(raw.len()); // what the path means, to see whether it is UTF-8
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            decoded.push(char::from(byte));
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(InvalidPath::Escape) };
        let meant = u8::try_from(high * 16 + low).map_err(|_| InvalidPath::Escape)?;
        match meant {
            b'/' | b'\\' | b';' | 0..0x20 | 0x7f => return Err(InvalidPath::Ambiguous),
            b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(meant)),
            other if other.is_ascii_alphanumeric() => decoded.push(char::from(other)),
            other => decoded.push_str(&format!("%{other:02X}")),
        }
        bytes.push(meant);
    }
    std::str::from_utf8(&bytes).map_err(|_| InvalidPath::Ambiguous)?;
    Ok(decoded)
}

/// Removes dot segments (RFC 3986 §5.2.4) and empty segments; a trailing slash stays.
fn resolve_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let tail = if open && !kept.is_empty() { "/" } else { "" };
    format!("/{}{tail}", kept.join("/"))
}

impl fmt::Display for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_what_means_the_same() {
        for (raw, canonical) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("//b", "/b"),
            ("/a//b", "/a/b"),
            ("/a/..", "/"),
            ("/../../x", "/x"),
            ("/%2e%2e/x", "/x"),
            ("/a/%2E./x", "/x"),
            ("/%61dmin", "/admin"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a.b/..c/d..", "/a.b/..c/d.."),
            ("/a%3fb", "/a%3Fb"),
        ] {
            let path = CanonicalPath::of(raw).expect(raw);
            assert_eq!(path.as_str(), canonical, "{raw}");
            let again = CanonicalPath::of(canonical).expect(canonical);
            assert_eq!(again.as_str(), canonical, "{raw}: canonical is a fixed point");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for raw in [
            "", "a", "*", "/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b", "/a%00", "/a%0d%0a", "/..;/x",
            "/a;b", "/a%3bb", "/%c0%af", "/%u002e", "/%zz", "/%", "/%4", "/a b", "/a?b", "/a#b",
            "/é", "/\u{7f}", "/%7f", "/%ff",
        ] {
            assert!(CanonicalPath::of(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn below_respects_segment_borders() {
        let path = CanonicalPath::of("/health/x").unwrap();
        assert!(path.is_below("/health") && path.is_below("/health/") && path.is_below("/"));
        assert!(!CanonicalPath::of("/healthz").unwrap().is_below("/health"));
    }
}
