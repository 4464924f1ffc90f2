//! Query parameters: those that an operation knows are read strictly, all others are ignored.

use crate::error::ApiError;
use narthex_model::UnixSeconds;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The parameters of one request, in order. An empty value counts as absent.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part after `?`.
    pub(crate) fn of(raw: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The first value of `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(ApiError::Parameter { name, wanted: "true or false".to_owned() }),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
        wanted: &str,
    ) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => Err(ApiError::Parameter { name, wanted: wanted.to_owned() }),
        }
    }

    /// An RFC 3339 time. A plus sign that nobody percent-encoded arrives as a space and is put back.
    pub(crate) fn time(&self, name: &'static str) -> Result<Option<UnixSeconds>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.replace(' ', "+").parse::<narthex_model::Timestamp>() {
            Ok(time) => Ok(Some(time.0)),
            Err(_) => Err(ApiError::Parameter {
                name,
                wanted: "an RFC 3339 time such as 2026-01-31T00:00:00Z".to_owned(),
            }),
        }
    }

    /// A value of a checked type.
    pub(crate) fn value<T>(&self, name: &'static str) -> Result<Option<T>, ApiError>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let parse = |text: &str| {
            text.parse()
                .map_err(|why: T::Err| ApiError::Parameter { name, wanted: why.to_string() })
        };
        self.text(name).map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_clients_write_them() {
        let query = Query::of(Some(
            "since=2026-01-01T00%3A00%3A00%2B00%3A00&until=2026-01-01T00:00:00+00:00&z=2026-01-01T00:00:00Z\
             &exact=true&no=false&odd=maybe&empty=&name=a%20b+c",
        ));
        let new_year = Ok(Some(UnixSeconds(1_767_225_600)));
        for name in ["since", "until", "z"] {
            assert_eq!(query.time(name).map_err(drop), new_year, "{name}");
        }
        assert_eq!(query.flag("exact").map_err(drop), Ok(Some(true)));
        assert_eq!(query.flag("no").map_err(drop), Ok(Some(false)));
        assert!(query.flag("odd").is_err());
        assert_eq!(query.text("empty"), None);
        assert_eq!(query.text("name"), Some("a b c"));
        assert!(query.time("name").is_err());
    }
}
