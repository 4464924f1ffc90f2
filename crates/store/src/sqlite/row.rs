//! Reading columns back into checked types. What does not parse was not written by this program.

use super::fault::damaged;
use crate::StoreError;
use narthex_model::{Timestamp, UnixSeconds};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;

/// A checked type from its text; `place` names the column in the error.
pub(super) fn parse<T>(place: &str, raw: &str) -> Result<T, StoreError>
where
    T: FromStr<Err: Display>,
{
    raw.parse().map_err(|error| damaged(place, error))
}

/// The same where the empty text stands for absence.
pub(super) fn parse_option<T>(place: &str, raw: &str) -> Result<Option<T>, StoreError>
where
    T: FromStr<Err: Display>,
{
    if raw.is_empty() { Ok(None) } else { parse(place, raw).map(Some) }
}

/// A value from its JSON; `place` names the row in the error.
pub(super) fn from_json<T: DeserializeOwned>(place: &str, raw: &str) -> Result<T, StoreError> {
    serde_json::from_str(raw).map_err(|error| damaged(place, error))
}

/// JSON of a value of ours.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our types have text keys and finite numbers only")
}

/// An optional value as the filter columns keep it.
pub(super) fn text<T: ToString>(value: Option<&T>) -> String {
    value.map(T::to_string).unwrap_or_default()
}

/// SHA-256 as it lies in a column.
pub(super) fn hash(place: &str, raw: &[u8]) -> Result<[u8; 32], StoreError> {
    raw.try_into().map_err(|_| damaged(place, "a hash of 32 bytes was expected"))
}

pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp(UnixSeconds(seconds))
}

/// A count for people; the tables never hold negative ones.
pub(super) fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// An unsigned number for `LIMIT`, `OFFSET` and counters.
pub(super) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `LIMIT`; everything when there is none.
pub(super) fn limit(limit: Option<u32>) -> i64 {
    limit.map_or(i64::MAX, i64::from)
}
