//! Instants as SAML writes them: `xs:dateTime` in UTC.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant, in whole seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// Reads an `xs:dateTime` that names its offset (SAML core §1.3.3 demands UTC); fractions are cut off.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let instant = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
        Some(Self(instant.unix_timestamp()))
    }

    /// This instant as `2026-11-22T21:00:00Z`; nothing where the year has no four digits.
    pub(crate) fn write(self) -> Option<String> {
        let instant = OffsetDateTime::from_unix_timestamp(self.0).ok()?;
        (0..=9999).contains(&instant.year()).then(|| instant.format(&Rfc3339).ok()).flatten()
    }

    pub(crate) fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_providers_write_them() {
        for (text, want) in [
            ("2026-11-22T21:00:00Z", Some(1_795_381_200)),
            ("2026-11-22T21:00:00.999Z", Some(1_795_381_200)),
            ("2026-11-22T21:00:00.1234567Z", Some(1_795_381_200)),
            ("2026-11-22T22:00:00+01:00", Some(1_795_381_200)),
            (" 2026-11-22T21:00:00Z ", Some(1_795_381_200)),
            ("2026-11-22T21:00:00", None),
            ("2026-11-22", None),
            ("2026-13-22T21:00:00Z", None),
            ("1795381200", None),
            ("", None),
        ] {
            assert_eq!(UnixSeconds::read(text).map(|at| at.0), want, "{text}");
        }
        assert_eq!(UnixSeconds(1_795_381_200).write().as_deref(), Some("2026-11-22T21:00:00Z"));
        assert_eq!(UnixSeconds(i64::MAX).write(), None);
    }
}
