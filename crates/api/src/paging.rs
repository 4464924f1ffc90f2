//! `page` and `per_page`: clients ask for the next page until one is empty (api/README "Pagination").

use crate::error::ApiError;
use crate::query::Query;
use serde_json::{Value, json};

/// Which page of a list was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// From 1.
    number: u64,
    /// From 1 to 1,000.
    size: u32,
}

/// The page size of Access lists where the query names none.
pub(crate) const ACCESS: u32 = 25;
/// The page size of accounts and zones where the query names none.
pub(crate) const ACCOUNT: u32 = 20;

impl Page {
    /// Reads `page` and `per_page`; `size` is the default.
    ///
    /// # Errors
    /// `BadParameter` for anything but a page from 1 and a size from 1 to 1,000.
    pub(crate) fn of(query: &Query, size: u32) -> Result<Self, ApiError> {
        let number = query.number("page", 1..=u64::MAX, "a whole number from 1")?;
        let asked = query.number("per_page", 1..=1000, "a whole number from 1 to 1000")?;
        let size = asked.and_then(|asked| u32::try_from(asked).ok()).unwrap_or(size);
        Ok(Self { number: number.unwrap_or(1), size })
    }

    /// How many items one page holds.
    pub(crate) fn size(self) -> u32 {
        self.size
    }

    /// How many items stand on the pages before.
    pub(crate) fn offset(self) -> u64 {
        (self.number - 1).saturating_mul(u64::from(self.size))
    }

    /// This page of `all`; empty past the end.
    pub(crate) fn cut<T>(self, all: &[T]) -> &[T] {
        let start = usize::try_from(self.offset()).unwrap_or(usize::MAX).min(all.len());
        let end = start.saturating_add(self.size as usize).min(all.len());
        all.get(start..end).unwrap_or_default()
    }

    /// `result_info` for a page with `count` of `total` items.
    pub(crate) fn info(self, count: usize, total: u64) -> Value {
        json!({
            "page": self.number, "per_page": self.size, "count": count, "total_count": total,
            "total_pages": total.div_ceil(u64::from(self.size)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_in_an_empty_one() {
        let all: Vec<u32> = (0..45).collect();
        for (query, want, info) in [
            ("", 0..25, json!([1, 25, 25, 45, 2])),
            ("page=2", 25..45, json!([2, 25, 20, 45, 2])),
            ("page=3", 45..45, json!([3, 25, 0, 45, 2])),
            ("page=18446744073709551615", 45..45, json!([u64::MAX, 25, 0, 45, 2])),
            ("per_page=1000", 0..45, json!([1, 1000, 45, 45, 1])),
            ("per_page=7&page=7&count=7&total_pages=9", 42..45, json!([7, 7, 3, 45, 7])),
        ] {
            let page = Page::of(&Query::of(Some(query)), ACCESS).unwrap();
            let cut = page.cut(&all);
            assert_eq!(cut, &all[want], "{query}");
            let got = page.info(cut.len(), 45);
            let names = ["page", "per_page", "count", "total_count", "total_pages"];
            assert_eq!(Value::from(names.map(|n| got[n].clone()).to_vec()), info, "{query}");
        }
        assert_eq!(Page::of(&Query::default(), ACCESS).unwrap().info(0, 0)["total_pages"], 0);
    }

    #[test]
    fn numbers_that_are_no_page_are_refused() {
        for query in ["page=0", "page=-1", "page=x", "per_page=0", "per_page=1001", "per_page=1.5"]
        {
            assert!(Page::of(&Query::of(Some(query)), ACCESS).is_err(), "{query}");
        }
    }
}
