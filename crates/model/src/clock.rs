//! Where "now" comes from. It is read once at the door of a request and is a plain argument below it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since 1970-01-01T00:00:00Z, as in a token's `exp` and `iat`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(pub i64);

impl UnixSeconds {
    /// This instant moved by `seconds`; it stops at the ends of the range instead of wrapping.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this instant; negative when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The date of HTTP headers and cookies, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
    #[must_use]
    pub fn http_date(self) -> String {
        let form = time::macros::format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        );
        self.date_time().format(form).expect("every field of the form exists in a date and time")
    }

    fn date_time(self) -> OffsetDateTime {
        let last = 253_402_300_799; // 9999-12-31T23:59:59Z, the last second that the forms can write
        OffsetDateTime::from_unix_timestamp(self.0.clamp(0, last))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl std::fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An instant as the API writes it: RFC 3339, UTC, whole seconds, `Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub UnixSeconds);

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.date_time().format(&Rfc3339).map_err(|_| std::fmt::Error)?;
        f.write_str(&text)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = time::error::Parse;
    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        Ok(Self(UnixSeconds(OffsetDateTime::parse(raw, &Rfc3339)?.unix_timestamp())))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        raw.parse().map_err(|_| de::Error::custom(format!("{raw:?} is not an RFC 3339 time")))
    }
}

/// The clock of one running gateway.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's wall clock.
    #[default]
    System,
    /// Stands still until a test moves it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that a test sets.
    #[must_use]
    pub fn manual(start: UnixSeconds) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// The current second.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    pub fn now(&self) -> UnixSeconds {
        match self {
            Self::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                UnixSeconds(since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
            }
            Self::Manual(now) => UnixSeconds(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's clock is left alone.
    pub fn advance(&self, seconds: i64) {
        match self {
            Self::Manual(now) => {
                now.fetch_add(seconds, Ordering::SeqCst);
            }
            Self::System => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_in_the_rfcs() {
        let instant = UnixSeconds(784_111_777);
        assert_eq!(instant.http_date(), "Sun, 06 Nov 1994 08:49:37 GMT"); // RFC 9110 §5.6.7
        assert_eq!(Timestamp(instant).to_string(), "1994-11-06T08:49:37Z");
        assert_eq!("1994-11-06T08:49:37+00:00".parse(), Ok(Timestamp(instant)));
        assert!("1994-11-06".parse::<Timestamp>().is_err());
        assert_eq!(UnixSeconds(i64::MAX).http_date(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(UnixSeconds(100));
        clock.advance(5);
        assert_eq!(clock.now(), UnixSeconds(105));
    }
}
