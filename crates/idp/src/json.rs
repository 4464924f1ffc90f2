//! JSON from strangers: one reading or none.
//!
//! Two members of one name are refused at every depth: parsers disagree about which of them counts, and what was checked
//! must be what is read.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Reads a JSON object.
///
/// # Errors
/// What is wrong, without repeating any of the text.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(Value::Object(map))) => Ok(map),
        Ok(Strict(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        )) => Err("it is JSON but not an object".to_owned()),
        Err(error) => Err(match error.classify() {
            serde_json::error::Category::Data => "an object has two members of one name".to_owned(),
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => {
                format!("it is not JSON (line {}, column {})", error.line(), error.column())
            }
        }),
    }
}

/// Any value in which no object has two members of one name.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = access.next_entry::<String, Strict>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("two members of one name"));
            }
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_or_none() {
        let plain = br#" {"a":[1,-2,2.5,true,null,"x\u00e9",{"b":{}}]} "#;
        assert_eq!(object(plain), serde_json::from_slice(plain).map_err(|e| e.to_string()));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for (name, near_miss) in [
            ("empty", &b""[..]),
            ("a member twice", br#"{"sub":"a","sub":"b"}"#),
            ("twice, escaped", br#"{"sub":"a","s\u0075b":"b"}"#),
            ("twice, inside", br#"{"a":[{"b":1,"b":1}]}"#),
            ("an array", b"[]"),
            ("something after it", b"{} {}"),
            ("a byte order mark", b"\xef\xbb\xbf{}"),
            ("not UTF-8", b"{\"a\":\"\xff\"}"),
            ("a trailing comma", b"{\"a\":1,}"),
            ("too deep", deep.as_bytes()),
            ("HTML", b"<!doctype html>"),
        ] {
            assert!(object(near_miss).is_err(), "{name}");
        }
    }
}
