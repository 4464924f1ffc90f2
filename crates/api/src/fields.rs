//! Reading a request body, member by member, so that every error points at its place (RFC 6901).
//!
//! Members that nobody asks for are ignored, and `null` means unset (api/README "Write semantics").

use crate::error::ApiError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

/// The most entries that one list of a body has by default (security "Defaults the tests rely on").
pub const MOST_ENTRIES: usize = 50_000;

/// The members of one JSON object of a request.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// JSON pointer of the object; empty for the body itself.
    at: String,
    members: Map<String, Value>,
}

impl Fields {
    /// The body of a request, with at most `most` entries in each list. No body, `null` and `{}` are alike: clients send
    /// action calls either way.
    ///
    /// # Errors
    /// `Invalid` for anything but one JSON object, or a list in it that is too long.
    pub(crate) fn of(body: &[u8], most: usize) -> Result<Self, ApiError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|why| ApiError::invalid("", format!("the body is not JSON: {why}")))?;
        bounded(&value, "", most)?;
        Self::within(String::new(), value)
    }

    /// An object inside a body, found at the pointer `at`.
    ///
    /// # Errors
    /// `Invalid` unless an object or `null`.
    pub(crate) fn within(at: String, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(members) => Ok(Self { at, members }),
            Value::Null => Ok(Self { at, members: Map::new() }),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(ApiError::invalid(at, "must be a JSON object"))
            }
        }
    }

    /// JSON pointer of the member `name`.
    pub(crate) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }

    /// A refusal of what the member `name` says.
    pub(crate) fn refuse(&self, name: &str, reason: impl Into<String>) -> ApiError {
        ApiError::Invalid { pointer: self.pointer(name), reason: reason.into() }
    }

    /// Whether the member is there, be it `null`: what a merging write changes.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The member as it was written; `None` when absent or `null`.
    pub(crate) fn raw(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// The member as a `T`; `None` when absent or `null`.
    ///
    /// # Errors
    /// `Invalid` with the pointer of the innermost value that does not fit.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        serde_path_to_error::deserialize(value).map(Some).map_err(|why| {
            let mut pointer = self.pointer(name);
            for segment in why.path() {
                match segment {
                    Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                    Segment::Map { key } => pointer.push_str(&format!("/{key}")),
                    Segment::Enum { .. } | Segment::Unknown => {}
                }
            }
            ApiError::invalid(pointer, why.into_inner().to_string())
        })
    }

    /// The member as a `T`, or the type's default.
    ///
    /// # Errors
    /// As [`Fields::read`].
    pub(crate) fn or_default<T: DeserializeOwned + Default>(
        &self,
        name: &str,
    ) -> Result<T, ApiError> {
        Ok(self.read(name)?.unwrap_or_default())
    }

    /// The member as a `T`, which must be there.
    ///
    /// # Errors
    /// As [`Fields::read`], and `Invalid` when the member is absent or `null`.
    pub(crate) fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T, ApiError> {
        self.read(name)?.ok_or_else(|| self.refuse(name, format!("{name} is required")))
    }

    /// A text for people, at most `most` characters without control characters; `None` when absent or `null`.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub(crate) fn text(&self, name: &str, most: usize) -> Result<Option<String>, ApiError> {
        let Some(text) = self.read::<String>(name)? else { return Ok(None) };
        if text.chars().count() > most {
            return Err(self.refuse(name, format!("{name} has more than {most} characters")));
        }
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.contains(odd) {
            return Err(self.refuse(name, format!("{name} has a control character in it")));
        }
        Ok(Some(text))
    }

    /// The `name` of an object: one line that is not blank, at most 350 characters.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub(crate) fn name(&self) -> Result<Option<String>, ApiError> {
        let name = self.text("name", 350)?;
        match &name {
            Some(text) if text.trim().is_empty() => Err(self.refuse("name", "name is empty")),
            Some(text) if text.contains(['\n', '\r', '\t']) => {
                Err(self.refuse("name", "name has more than one line"))
            }
            Some(_) | None => Ok(name),
        }
    }

    /// Copies into `kept` those of the `names` that the body mentions; `null` takes a member out.
    pub(crate) fn keep(&self, names: &[&str], kept: &mut Map<String, Value>) {
        for name in names {
            match self.members.get(*name) {
                None => {}
                Some(Value::Null) => drop(kept.remove(*name)),
                Some(value) => drop(kept.insert((*name).to_owned(), value.clone())),
            }
        }
    }

    /// Refuses to switch on what is not built: `true`, or any object or list with something in it.
    ///
    /// # Errors
    /// `Invalid` with the remedy.
    pub(crate) fn off(&self, name: &str, what: &str) -> Result<(), ApiError> {
        let on = match self.raw(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Bool(true) | Value::Number(_)) => true,
        };
        if on {
            return Err(self.refuse(name, format!("not supported yet: {what}; leave {name} out")));
        }
        Ok(())
    }
}

/// Refuses a list with more than `most` entries anywhere in `value`. The parser has bounded the depth.
fn bounded(value: &Value, at: &str, most: usize) -> Result<(), ApiError> {
    match value {
        Value::Array(items) if items.len() > most => {
            Err(ApiError::invalid(at, format!("the list has more than {most} entries")))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.is_array() || item.is_object())
            .try_for_each(|(index, item)| bounded(item, &format!("{at}/{index}"), most)),
        Value::Object(members) => members
            .iter()
            .filter(|(_, item)| item.is_array() || item.is_object())
            .try_for_each(|(name, item)| bounded(item, &format!("{at}/{name}"), most)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::{GoDuration, Rule};
    use serde_json::json;

    fn pointer(error: ApiError) -> String {
        let ApiError::Invalid { pointer, .. } = error else { panic!("no place: {error:?}") };
        pointer
    }

    #[test]
    fn no_body_null_and_an_empty_object_are_alike() {
        for body in ["", "  \n", "null", "{}"] {
            assert!(
                Fields::of(body.as_bytes(), MOST_ENTRIES).unwrap().members.is_empty(),
                "{body:?}"
            );
        }
    }

    #[test]
    fn bodies_that_are_no_object_are_refused() {
        let deep = "[".repeat(100_000);
        let long = format!(r#"{{"include": [{}1]}}"#, "1,".repeat(MOST_ENTRIES));
        for body in ["[]", "3", "\"x\"", "{", "{\"a\":1}x", "{\"a\": \"\u{1}\"}", &deep, &long] {
            assert!(
                Fields::of(body.as_bytes(), MOST_ENTRIES).is_err(),
                "{}",
                &body[..body.len().min(20)]
            );
        }
        assert!(Fields::of(b"{\"a\": \"\xff\"}", MOST_ENTRIES).is_err(), "not UTF-8");
    }

    #[test]
    fn a_list_may_be_as_long_as_is_set() {
        let body = br#"{"a": {"b": [[1, 2, 3]]}}"#;
        assert!(Fields::of(body, 3).is_ok());
        assert_eq!(pointer(Fields::of(body, 2).unwrap_err()), "/a/b/0");
    }

    #[test]
    fn errors_point_at_their_place() {
        let body = json!({
            "include": [{"everyone": {}}, {"ip": {"ip": "10.0.0.0/33"}}], "session_duration": "1d", "name": " ",
            "flag": "yes", "huge": 1e300,
        });
        let fields = Fields::of(body.to_string().as_bytes(), MOST_ENTRIES).unwrap();
        assert_eq!(pointer(fields.read::<Vec<Rule>>("include").unwrap_err()), "/include/1");
        assert_eq!(
            pointer(fields.read::<GoDuration>("session_duration").unwrap_err()),
            "/session_duration"
        );
        assert_eq!(pointer(fields.name().unwrap_err()), "/name");
        assert_eq!(pointer(fields.read::<bool>("flag").unwrap_err()), "/flag");
        assert_eq!(pointer(fields.read::<u32>("huge").unwrap_err()), "/huge");
        assert_eq!(pointer(fields.need::<String>("absent").unwrap_err()), "/absent");
    }

    #[test]
    fn null_is_unset_and_only_what_is_mentioned_changes() {
        let fields = Fields::of(br#"{"a": null, "b": 1, "unknown": {}}"#, MOST_ENTRIES).unwrap();
        assert_eq!(fields.read::<u8>("a").unwrap(), None);
        assert!(fields.mentions("a") && !fields.mentions("c"));
        let mut kept = Map::from_iter([("a".to_owned(), json!(7)), ("c".to_owned(), json!(8))]);
        fields.keep(&["a", "b", "c"], &mut kept);
        assert_eq!(Value::Object(kept), json!({"b": 1, "c": 8}));
    }

    #[test]
    fn what_is_not_built_stays_off() {
        let fields = Fields::of(
            br#"{"no": false, "none": null, "empty": [], "blank": {}, "yes": true, "some": [1], "set": {"enabled": false}}"#,
            MOST_ENTRIES,
        )
        .unwrap();
        for name in ["no", "none", "empty", "blank", "absent"] {
            assert!(fields.off(name, "it").is_ok(), "{name}");
        }
        for name in ["yes", "some", "set"] {
            assert!(fields.off(name, "it").is_err(), "{name}");
        }
    }
}
