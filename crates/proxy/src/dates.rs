//! The `Date` of answers that bring none (RFC 9110 §6.6.1), written once a second on each core.

use http::header::DATE;
use http::{HeaderMap, HeaderValue};
use narthex_model::UnixSeconds;
use std::cell::RefCell;

/// The last date that was written.
#[derive(Default)]
pub(crate) struct Dates(RefCell<Option<(UnixSeconds, HeaderValue)>>);

impl Dates {
    /// Adds `Date` where there is none.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap, now: UnixSeconds) {
        if headers.contains_key(DATE) {
            return;
        }
        let mut last = self.0.borrow_mut();
        if last.as_ref().is_none_or(|(second, _)| *second != now) {
            *last = HeaderValue::try_from(now.http_date()).ok().map(|date| (now, date));
        }
        headers.extend(last.as_ref().map(|(_, date)| (DATE, date.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_where_there_is_none() {
        let dates = Dates::default();
        for (now, want) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), // RFC 9110 §5.6.7
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let mut headers = HeaderMap::new();
            dates.add_to(&mut headers, UnixSeconds(now));
            assert_eq!(headers["date"], want);
        }
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static("the origin's"));
        dates.add_to(&mut headers, UnixSeconds(1));
        assert_eq!(headers["date"], "the origin's");
    }
}
