//! A JSON object whose members stand once, taken out one by one with strict types.
//!
//! serde_json keeps the last of two members of one name; two readers of such a token could believe two different
//! e-mail addresses. Here a duplicate refuses the whole object, at every depth (security rule 22).

use crate::TokenError;
use narthex_model::UnixSeconds;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// 9999-12-31T23:59:59Z, the last second that dates can be written with.
const LAST_SECOND: i64 = 253_402_300_799;

/// The members that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Members(Vec<(String, Value)>);

impl Members {
    /// Takes a member out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Whether a member of this name is left.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Whether every member has been taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a member that must be a string.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, TokenError> {
        match self.take(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(TokenError::Claim(name)),
        }
    }

    /// Takes a string that must parse.
    pub(crate) fn parsed<T: TryFrom<String>>(
        &mut self,
        name: &'static str,
    ) -> Result<T, TokenError> {
        T::try_from(self.text(name)?).map_err(|_| TokenError::Claim(name))
    }

    /// Takes a string that may be missing, and must parse when it is there.
    pub(crate) fn optional<T: TryFrom<String>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, TokenError> {
        if self.has(name) { self.parsed(name).map(Some) } else { Ok(None) }
    }

    /// Takes `true` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, TokenError> {
        match self.take(name) {
            Some(Value::Bool(flag)) => Ok(flag),
            _ => Err(TokenError::Claim(name)),
        }
    }

    /// Takes an object.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Map<String, Value>, TokenError> {
        match self.take(name) {
            Some(Value::Object(object)) => Ok(object),
            _ => Err(TokenError::Claim(name)),
        }
    }

    /// Takes an instant: an integer from 0 to the end of the year 9999. `1e9` and `1.0` are not integers.
    pub(crate) fn seconds(&mut self, name: &'static str) -> Result<UnixSeconds, TokenError> {
        match self.take(name).as_ref().and_then(Value::as_i64) {
            Some(seconds @ 0..=LAST_SECOND) => Ok(UnixSeconds(seconds)),
            _ => Err(TokenError::Claim(name)),
        }
    }

    /// Takes `aud`: a string, or an array of exactly one (access-protocol §5.3).
    pub(crate) fn audience<T: TryFrom<String>>(&mut self) -> Result<T, TokenError> {
        let text = match self.take("aud") {
            Some(Value::String(text)) => Some(text),
            Some(Value::Array(list)) => match <[Value; 1]>::try_from(list) {
                Ok([Value::String(text)]) => Some(text),
                _ => None,
            },
            _ => None,
        };
        text.and_then(|text| T::try_from(text).ok()).ok_or(TokenError::Claim("aud"))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members(Vec::with_capacity(16));
        while let Some(name) = map.next_key::<String>()? {
            if members.has(&name) {
                return Err(A::Error::custom("a member stands twice"));
            }
            members.0.push((name, map.next_value::<Once>()?.0));
        }
        Ok(members)
    }
}

/// A JSON value in which every object's members stand once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<Once>()? {
            list.push(item.0);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<Once>()?.0;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Members> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_member_stands_once_at_every_depth() {
        for json in ["{}", r#"{"a":1,"b":1}"#, r#"{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]}"#]
        {
            assert!(read(json).is_some(), "{json}");
        }
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"c":{"x":1,"x":2}}"#,
            r#"{"c":[{"x":1,"x":2}]}"#,
            "[]",
            "1",
            "null",
            "",
            "{} {}",
            "\u{feff}{}",
        ] {
            assert!(read(json).is_none(), "{json}");
        }
    }

    #[test]
    fn an_instant_is_an_integer() {
        let seconds = |json: &str| {
            read(&format!(r#"{{"exp":{json}}}"#)).and_then(|mut m| m.seconds("exp").ok())
        };
        assert_eq!(seconds("0"), Some(UnixSeconds(0)));
        assert_eq!(seconds("253402300799"), Some(UnixSeconds(LAST_SECOND)));
        for near_miss in [
            "-1",
            "-0",
            "253402300800",
            "9223372036854775808",
            "1.0",
            "1e3",
            "1e300",
            "\"1\"",
            "null",
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(seconds(near_miss), None, "{near_miss}");
        }
    }

    #[test]
    fn an_audience_is_a_string_or_an_array_of_one() {
        let audience = |json: &str| {
            read(&format!(r#"{{"aud":{json}}}"#)).and_then(|mut m| m.audience::<String>().ok())
        };
        assert_eq!(audience(r#""a""#).as_deref(), Some("a"));
        assert_eq!(audience(r#"["a"]"#).as_deref(), Some("a"));
        for near_miss in
            ["[]", r#"["a","b"]"#, r#"["a","a"]"#, r#"[["a"]]"#, r#"{"a":1}"#, "1", "null"]
        {
            assert_eq!(audience(near_miss), None, "{near_miss}");
        }
    }
}
