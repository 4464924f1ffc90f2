//! `[limits]`: everything that is bounded and may be set, in one table. None can be unlimited (security §3).
//!
//! The defaults stand where the limits are kept, such as [`narthex_proxy::Limits`]; here are their names, units and the
//! range in which each makes sense. `docs/limits.md` has the same table for people, and a test compares the two.

use narthex_model::GoDuration;
use std::time::Duration;

/// What nobody may exceed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// On the data path.
    pub road: narthex_proxy::Limits,
    /// On the control side.
    pub control: ControlLimits,
}

/// The limits of the control side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlLimits {
    /// Logins and other requests to the gateway's own pages under way at once.
    pub pages_at_once: usize,
    /// Requests to the administration API under way at once; they have places of their own.
    pub api_at_once: usize,
    /// Requests that may wait for one of those places, of each kind; more are answered 503.
    pub waiting: usize,
    /// Entries of one list in the body of an API call.
    pub list_entries: usize,
    /// Bytes of an identity provider's answer.
    pub provider_answer: usize,
    /// Time for a call to an identity provider, from resolving its name to the last byte.
    pub provider_time: Duration,
    /// How long what is under way may take to finish when the gateway stops.
    pub drain: Duration,
    /// How long what is under way may go on in a process that another one has taken over from.
    pub drain_after_hand_over: Duration,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            pages_at_once: 256,
            api_at_once: 64,
            waiting: 1024,
            list_entries: narthex_api::MOST_ENTRIES,
            provider_answer: 1024 * 1024,
            provider_time: Duration::from_secs(10),
            drain: Duration::from_secs(30),
            drain_after_hand_over: Duration::from_secs(10 * 60),
        }
    }
}

/// What the number of a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things. Written as a number.
    Count,
    /// Bytes. Written as a number, or with `KiB` or `MiB`.
    Bytes,
    /// Milliseconds. Written as a duration, such as `10s`.
    Time,
}

/// One limit that may be set.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// In its unit.
    pub(super) least: u64,
    pub(super) most: u64,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

macro_rules! limit {
    ($name:literal, $unit:ident, $least:expr, $most:expr, $($field:ident).+) => {
        Limit {
            name: $name,
            unit: Unit::$unit,
            least: $least,
            most: $most,
            get: |limits| limits.$($field).+.number(),
            set: |limits, number| limits.$($field).+ = Number::of(number),
        }
    };
}

/// Every limit, in the order of the page about them.
pub(super) const ALL: &[Limit] = &[
    limit!("connections", Count, 1, 10_000_000, road.connections),
    limit!("connections_per_address", Count, 1, 10_000_000, road.connections_per_address),
    limit!("handshakes", Count, 1, 1_000_000, road.handshakes),
    limit!("handshake_time", Time, 100, 10 * MINUTE, road.handshake_time),
    limit!("queue_delay", Time, 5, MINUTE, road.queue_delay),
    limit!("overload_connections", Count, 10, 100_000, road.overload_connections),
    limit!("client_hello", Bytes, KIB, 64 * KIB, road.client_hello),
    limit!("head", Bytes, 8 * KIB, MIB, road.head),
    limit!("field", Bytes, KIB, MIB, road.field),
    limit!("fields", Count, 16, 1_000, road.fields),
    limit!("target", Bytes, KIB, 60 * KIB, road.target),
    limit!("head_time", Time, 100, 10 * MINUTE, road.head_time),
    limit!("keep_alive", Time, 100, DAY, road.keep_alive),
    limit!("body_rate", Bytes, 1, 100 * MIB, road.body_rate),
    limit!("body_grace", Time, 100, 10 * MINUTE, road.body_grace),
    limit!("write_stall", Time, 100, 10 * MINUTE, road.write_stall),
    limit!("streams", Count, 1, 10_000, road.streams),
    limit!("resets", Count, 1, 100_000, road.resets),
    limit!("idle_bytes", Bytes, KIB, MIB, road.idle_bytes),
    limit!("cookies", Count, 8, 1_000, road.cookies.pairs),
    limit!("token_candidates", Count, 1, 100, road.cookies.candidates),
    limit!("token", Bytes, 2 * KIB, 16 * KIB, road.token),
    limit!("tokens_remembered", Count, 64, 100_000_000, road.tokens),
    limit!("origin_connect", Time, 100, 10 * MINUTE, road.origin_connect),
    limit!("origin_first_byte", Time, 100, DAY, road.origin_first_byte),
    limit!("origin_idle", Time, SECOND, DAY, road.origin_idle),
    limit!("stream_idle", Time, SECOND, 7 * DAY, road.stream_idle),
    limit!("recheck", Time, SECOND, HOUR, road.recheck),
    limit!("form", Bytes, KIB, 10 * MIB, road.form_body),
    limit!("form_time", Time, 100, 10 * MINUTE, road.form_time),
    limit!("forms_at_once", Count, 1, 100_000, road.forms_at_once),
    limit!("forms_per_minute", Count, 1, 100_000, road.forms_per_minute),
    limit!("signatures_per_second", Count, 1, 100_000, road.signatures_per_second),
    limit!("page_body", Bytes, 4 * KIB, 10 * MIB, road.portal_body),
    limit!("callback_body", Bytes, 4 * KIB, 10 * MIB, road.callback_body),
    limit!("pages_at_once", Count, 1, 100_000, control.pages_at_once),
    limit!("api_body", Bytes, 4 * KIB, 10 * MIB, road.admin_body),
    limit!("api_at_once", Count, 1, 100_000, control.api_at_once),
    limit!("list_entries", Count, 100, 1_000_000, control.list_entries),
    limit!("control_waiting", Count, 1, 100_000, control.waiting),
    limit!("control_time", Time, SECOND, HOUR, road.control_time),
    limit!("provider_answer", Bytes, 16 * KIB, 64 * MIB, control.provider_answer),
    limit!("provider_time", Time, SECOND, 10 * MINUTE, control.provider_time),
    limit!("drain", Time, SECOND, HOUR, control.drain),
    limit!("drain_after_hand_over", Time, SECOND, 7 * DAY, control.drain_after_hand_over),
];

impl Limit {
    /// The limit of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|limit| limit.name == name)
    }

    /// Where it stands.
    #[cfg(test)]
    pub(super) fn of(&self, limits: &Limits) -> u64 {
        (self.get)(limits)
    }

    /// Sets it to what the file says.
    ///
    /// # Errors
    /// What is wrong with the value, and what it may be.
    pub(super) fn put(&self, limits: &mut Limits, written: &toml::Value) -> Result<(), String> {
        let number = self.unit.read(written).ok_or_else(|| {
            format!("{} is {}; for the default leave it out", self.name, self.unit.wanted())
        })?;
        if !(self.least..=self.most).contains(&number) {
            let show = |number| self.unit.show(number);
            return Err(format!(
                "{} may be {} to {}; for the default, {}, leave it out",
                self.name,
                show(self.least),
                show(self.most),
                show((self.get)(&Limits::default())),
            ));
        }
        (self.set)(limits, number);
        Ok(())
    }
}

impl Unit {
    /// The number that is written; `None` when it is none of this unit.
    pub(super) fn read(self, written: &toml::Value) -> Option<u64> {
        match (self, written.as_integer(), written.as_str()) {
            (Self::Count | Self::Bytes, Some(number), _) => u64::try_from(number).ok(),
            (Self::Bytes, None, Some(text)) => {
                let scales = [("KiB", KIB), ("MiB", MIB)];
                let (number, scale) = scales
                    .iter()
                    .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
                number.trim_end().parse::<u64>().ok()?.checked_mul(*scale)
            }
            (Self::Time, None, Some(text)) => {
                u64::try_from(text.parse::<GoDuration>().ok()?.std().as_millis()).ok()
            }
            (Self::Count, None, Some(_)) | (Self::Time, Some(_), _) | (_, None, None) => None,
        }
    }

    /// How people write `number`.
    pub(super) fn show(self, number: u64) -> String {
        let whole = |scale: u64| number >= scale && number.is_multiple_of(scale);
        match self {
            Self::Bytes if whole(MIB) => format!("{}MiB", number / MIB),
            Self::Bytes if whole(KIB) => format!("{}KiB", number / KIB),
            Self::Count | Self::Bytes => number.to_string(),
            Self::Time if whole(HOUR) => format!("{}h", number / HOUR),
            Self::Time if whole(SECOND) => format!("{}s", number / SECOND),
            Self::Time => format!("{number}ms"),
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Count => "a whole number",
            Self::Bytes => "a number of bytes, as in 65536 or \"64KiB\"",
            Self::Time => "a time with its unit, as in \"10s\" or \"500ms\"",
        }
    }
}

/// What a limit's field holds, as a number in the limit's unit.
trait Number {
    fn number(&self) -> u64;
    fn of(number: u64) -> Self;
}

impl Number for usize {
    fn number(&self) -> u64 {
        *self as u64
    }
    fn of(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
}

impl Number for u32 {
    fn number(&self) -> u64 {
        (*self).into()
    }
    fn of(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
}

impl Number for u64 {
    fn number(&self) -> u64 {
        *self
    }
    fn of(number: u64) -> Self {
        number
    }
}

impl Number for Duration {
    fn number(&self) -> u64 {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX)
    }
    fn of(number: u64) -> Self {
        Self::from_millis(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/limits.md");

    /// The rows of the page's tables: name, default, least, most.
    fn rows() -> Vec<[String; 4]> {
        let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            let cells: Vec<&str> =
                row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let (least, most) = cells[3].split_once(" to ").unwrap_or_else(|| panic!("{row}"));
            [cells[1], cells[2], least.trim_matches('`'), most.trim_matches('`')].map(str::to_owned)
        })
        .collect()
    }

    #[test]
    fn the_page_about_limits_says_what_the_code_does() {
        let usual = Limits::default();
        let in_code = ALL.iter().map(|limit| {
            let show = |number| limit.unit.show(number);
            [limit.name.to_owned(), show(limit.of(&usual)), show(limit.least), show(limit.most)]
        });
        for (row, limit) in rows().into_iter().zip(in_code.clone()) {
            assert_eq!(row, limit, "docs/limits.md, and what the code has at this place");
        }
        assert_eq!(rows().len(), in_code.count());
    }

    #[test]
    fn every_limit_is_set_by_its_name_and_refused_beyond_its_range() {
        for limit in ALL {
            let mut limits = Limits::default();
            let written = |number: u64| match limit.unit {
                Unit::Time => toml::Value::String(format!("{number}ms")),
                Unit::Count | Unit::Bytes => toml::Value::Integer(number.try_into().unwrap()),
            };
            let usual = limit.of(&limits);
            assert!((limit.least..=limit.most).contains(&usual), "{}", limit.name);
            for number in [limit.least, limit.most] {
                limit.put(&mut limits, &written(number)).unwrap();
                assert_eq!(limit.of(&limits), number, "{}", limit.name);
            }
            let before = limits.clone();
            for number in [0, limit.least - 1, limit.most + 1] {
                let why = limit.put(&mut limits, &written(number)).unwrap_err();
                assert!(why.contains(&limit.unit.show(usual)), "names the default: {why}");
            }
            assert_eq!(limits, before);
            let others = ALL.iter().filter(|other| other.name != limit.name);
            for other in others {
                assert_eq!(other.of(&limits), other.of(&Limits::default()), "{}", other.name);
            }
        }
    }

    #[test]
    fn a_value_has_the_unit_of_its_limit() {
        let text = |text: &str| toml::Value::String(text.to_owned());
        for (unit, written, want) in [
            (Unit::Bytes, toml::Value::Integer(70_000), Some(70_000)),
            (Unit::Bytes, text("64KiB"), Some(65_536)),
            (Unit::Bytes, text("2 MiB"), Some(2_097_152)),
            (Unit::Bytes, text("64KB"), None),
            (Unit::Bytes, text("99999999999999999999MiB"), None),
            (Unit::Bytes, text("18446744073709551615KiB"), None),
            (Unit::Time, text("1m30s"), Some(90_000)),
            (Unit::Time, toml::Value::Integer(10), None),
            (Unit::Time, text("ten"), None),
            (Unit::Count, toml::Value::Integer(-1), None),
            (Unit::Count, text("10"), None),
            (Unit::Count, toml::Value::Boolean(true), None),
        ] {
            assert_eq!(unit.read(&written), want, "{unit:?} {written}");
        }
    }
}
