//! Durations as the API writes them: Go's notation, `24h`, `1h30m`, `0s`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a duration is a number and a unit, as in 30m, 24h or 1h30m (ns, us, ms, s, m, h), not {0:?}"
)]
pub struct InvalidDuration(String);

/// A span of time that remembers how it was written, because clients compare the text (`24h` stays `24h`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GoDuration {
    text: Box<str>,
    nanos: u64,
}

impl GoDuration {
    /// `hours` whole hours, written `<hours>h`.
    #[must_use]
    pub fn hours(hours: u32) -> Self {
        Self { text: format!("{hours}h").into(), nanos: u64::from(hours) * 3_600_000_000_000 }
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        i64::try_from(self.nanos / 1_000_000_000).unwrap_or(i64::MAX)
    }

    /// True for `0s`: no session, ask at every visit.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// The same span for timers.
    #[must_use]
    pub fn std(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.nanos)
    }
}

/// Nanoseconds of one `number unit` pair and what follows it.
fn leading_pair(rest: &str) -> Option<(u64, &str)> {
    let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = rest.split_at(number_len);
    let units = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000u64),
    ];
    let (rest, scale) =
        units.iter().find_map(|(unit, scale)| Some((rest.strip_prefix(unit)?, *scale)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.chars() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit.to_digit(10)?).checked_mul(place)?)?;
    }
    Some((nanos, rest))
}

impl FromStr for GoDuration {
    type Err = InvalidDuration;
    fn from_str(raw: &str) -> Result<Self, InvalidDuration> {
        let invalid = || InvalidDuration(raw.chars().take(80).collect());
        let mut nanos: u64 = 0;
        let mut rest = raw;
        if raw.is_empty() || raw.len() > 64 {
            return Err(invalid());
        }
        while !rest.is_empty() && raw != "0" {
            let (pair, after) = leading_pair(rest).ok_or_else(invalid)?;
            nanos = nanos.checked_add(pair).ok_or_else(invalid)?;
            rest = after;
        }
        Ok(Self { text: raw.into(), nanos })
    }
}

impl TryFrom<String> for GoDuration {
    type Error = InvalidDuration;
    fn try_from(raw: String) -> Result<Self, InvalidDuration> {
        raw.parse()
    }
}

impl From<GoDuration> for String {
    fn from(duration: GoDuration) -> Self {
        duration.text.into()
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_notation_and_nothing_else() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("24h", 86_400_000),
            ("2h45m", 9_900_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            (".5s", 500),
            ("1h0m0.25s", 3_600_250),
        ] {
            let duration: GoDuration = text.parse().expect(text);
            assert_eq!(duration.std().as_millis(), millis, "{text}");
            assert_eq!(duration.to_string(), text);
        }
        for near_miss in
            ["", "1", "h", "1d", "-1h", "+1h", "1h ", " 1h", "1h-5m", ".s", "1..5h", "999999999h"]
        {
            assert!(near_miss.parse::<GoDuration>().is_err(), "{near_miss}");
        }
    }
}
