//! SQLite's result codes as [`StoreError`]s: the one place that knows what each asks of an operator.

use crate::StoreError;
use std::fmt::Display;
use std::io;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(database) = error.as_database_error() {
            let code = database.code().and_then(|code| code.parse::<i32>().ok());
            return of_code(code.unwrap_or(0), database.message());
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "sqlx may add variants at any time")]
        match error {
            sqlx::Error::PoolTimedOut => Self::Locked,
            sqlx::Error::Io(error) => of_io(&error),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. } => Self::Damaged(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Result codes, <https://www.sqlite.org/rescode.html>; the low byte of an extended code is the primary one.
fn of_code(code: i32, message: &str) -> StoreError {
    match code & 0xff {
        5 | 6 => StoreError::Locked,   // BUSY, LOCKED
        3 | 8 => StoreError::ReadOnly, // PERM, READONLY
        13 => StoreError::Full,        // FULL
        11 | 26 => StoreError::Damaged(format!("{message} (SQLite code {code})")), // CORRUPT, NOTADB
        // IOERR, CANTOPEN, NOMEM, and what should not happen at all
        _ => StoreError::Unavailable(format!("{message} (SQLite code {code})")),
    }
}

fn of_io(error: &io::Error) -> StoreError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library adds kinds")]
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// A row that does not hold what this program writes there.
pub(super) fn damaged(place: impl Display, why: impl Display) -> StoreError {
    StoreError::Damaged(format!("{place}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_remedy() {
        let name = |error: StoreError| match error {
            StoreError::Moved { .. } => "moved",
            StoreError::Full => "full",
            StoreError::ReadOnly => "read-only",
            StoreError::Locked => "locked",
            StoreError::HandedOver => "handed over",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Damaged(_) => "damaged",
        };
        for (code, want) in [
            (5, "locked"),         // SQLITE_BUSY
            (517, "locked"),       // SQLITE_BUSY_SNAPSHOT
            (6, "locked"),         // SQLITE_LOCKED
            (8, "read-only"),      // SQLITE_READONLY
            (1032, "read-only"),   // SQLITE_READONLY_DBMOVED
            (13, "full"),          // SQLITE_FULL
            (11, "damaged"),       // SQLITE_CORRUPT
            (26, "damaged"),       // SQLITE_NOTADB
            (10, "unavailable"),   // SQLITE_IOERR
            (1034, "unavailable"), // SQLITE_IOERR_FSYNC
            (14, "unavailable"),   // SQLITE_CANTOPEN
            (1, "unavailable"),    // SQLITE_ERROR
        ] {
            assert_eq!(name(of_code(code, "")), want, "{code}");
        }
        assert_eq!(name(sqlx::Error::PoolTimedOut.into()), "locked");
        assert_eq!(name(sqlx::Error::PoolClosed.into()), "unavailable");
        assert_eq!(name(io::Error::from(io::ErrorKind::StorageFull).into_store()), "full");
        assert_eq!(name(io::Error::from(io::ErrorKind::NotFound).into_store()), "unavailable");
    }

    trait IntoStore {
        fn into_store(self) -> StoreError;
    }

    impl IntoStore for io::Error {
        fn into_store(self) -> StoreError {
            sqlx::Error::Io(self).into()
        }
    }
}
