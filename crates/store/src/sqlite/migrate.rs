//! Bringing a file to the schema that this program knows: all missing steps or none, and a copy before the first.

use super::directory;
use super::fault::damaged;
use crate::{OpenError, StoreError};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, raw_sql};
use std::path::{Path, PathBuf};

/// The steps of the main file, oldest first; number N leads from version N - 1 to version N.
pub(super) const MAIN: &[&str] = &[
    include_str!("../../migrations/main/0001_start.sql"),
    include_str!("../../migrations/main/0002_crl.sql"),
    include_str!("../../migrations/main/0003_service_token_seen.sql"),
    include_str!("../../migrations/main/0004_saml_key.sql"),
];
/// The steps of the file of records.
pub(super) const RECORDS: &[&str] = &[
    include_str!("../../migrations/records/0001_start.sql"),
    include_str!("../../migrations/records/0002_spill.sql"),
    include_str!("../../migrations/records/0003_anchor.sql"),
];

/// The schema version of the file at `path`; 0 for an empty one.
///
/// # Errors
/// [`OpenError::Newer`] when it is above what `steps` lead to; [`OpenError::Database`] when it is no file of ours.
pub(super) async fn version(
    connection: &mut SqliteConnection,
    path: &Path,
    steps: &[&str],
) -> Result<i64, OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let found = read_version(connection).await.map_err(failed)?;
    let known = known(steps);
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// The youngest version.
pub(super) fn known(steps: &[&str]) -> i64 {
    i64::try_from(steps.len()).expect("there are few steps")
}

async fn read_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let (tables, ours): (i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(name = 'schema_version'), 0) FROM sqlite_master WHERE type = 'table'",
    )
    .fetch_one(&mut *connection)
    .await?;
    match (tables, ours) {
        (0, _) => Ok(0),
        (_, 0) => {
            Err(damaged("schema_version", "the table is missing, so the file is not narthex's"))
        }
        (_, _) => {
            let version = sqlx::query_scalar("SELECT version FROM schema_version");
            version
                .fetch_optional(connection)
                .await?
                .ok_or_else(|| damaged("schema_version", "no row"))
        }
    }
}

/// Takes every step that is missing, in one transaction. A file that holds something is copied first.
pub(super) async fn climb(
    connection: &mut SqliteConnection,
    path: &Path,
    steps: &'static [&'static str],
) -> Result<(), OpenError> {
    let found = version(connection, path, steps).await?;
    if found == known(steps) {
        return Ok(());
    }
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    if found > 0 {
        let copy = backup(connection, path, found).await?;
        tracing::info!(from = found, to = known(steps), copy = %copy.display(), "upgrading the database");
    }
    take(connection, found, steps).await.map_err(|error| failed(error.into()))
}

async fn take(
    connection: &mut SqliteConnection,
    found: i64,
    steps: &'static [&'static str],
) -> Result<(), sqlx::Error> {
    let mut change = connection.begin_with("BEGIN IMMEDIATE").await?;
    raw_sql("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .execute(&mut *change)
        .await?;
    let taken = usize::try_from(found).unwrap_or(0);
    for step in steps.iter().skip(taken) {
        raw_sql(*step).execute(&mut *change).await?;
    }
    sqlx::query("DELETE FROM schema_version").execute(&mut *change).await?;
    sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
        .bind(known(steps))
        .execute(&mut *change)
        .await?;
    change.commit().await
}

/// Copies the file to the first free name beside it, such as `narthex.db.v1-backup`.
async fn backup(
    connection: &mut SqliteConnection,
    path: &Path,
    found: i64,
) -> Result<PathBuf, OpenError> {
    let name = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".v{found}-backup"));
        if n > 1 {
            name.push(format!("-{n}"));
        }
        PathBuf::from(name)
    };
    let copy = (1..).map(name).find(|copy| !copy.exists()).expect("a free number");
    directory::make_private(&copy)?; // VACUUM INTO accepts an empty file
    let into = sqlx::query("VACUUM INTO $1").bind(copy.to_string_lossy().into_owned());
    let done = into.execute(connection).await;
    done.map_err(|error| OpenError::Database { path: copy.clone(), source: error.into() })?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::super::database::Database;
    use super::*;
    use sqlx::ConnectOptions as _;
    use std::os::unix::fs::PermissionsExt as _;

    const ONE: &[&str] = &["CREATE TABLE a (x BIGINT); INSERT INTO a VALUES (1);"];
    const TWO: &[&str] = &[ONE[0], "ALTER TABLE a ADD COLUMN y BIGINT; UPDATE a SET y = x + 1;"];
    const BROKEN: &[&str] = &[ONE[0], "UPDATE a SET x = 9; SELECT nonsense;"];

    async fn connect(path: &Path) -> SqliteConnection {
        directory::make_private(path).unwrap();
        Database::options(path).connect().await.unwrap()
    }

    #[tokio::test]
    async fn an_empty_file_climbs_to_the_top_and_stays_there() {
        let place = tempfile::tempdir().unwrap();
        for (name, steps) in [("main", MAIN), ("records", RECORDS), ("two", TWO)] {
            let path = place.path().join(name);
            let mut file = connect(&path).await;
            climb(&mut file, &path, steps).await.unwrap();
            climb(&mut file, &path, steps).await.unwrap();
            assert_eq!(version(&mut file, &path, steps).await.unwrap(), known(steps), "{name}");
            assert!(!path.with_extension("v0-backup").exists(), "nothing to copy");
        }
    }

    #[tokio::test]
    async fn an_old_file_is_copied_and_upgraded() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.db");
        let mut file = connect(&path).await;
        climb(&mut file, &path, ONE).await.unwrap();
        climb(&mut file, &path, TWO).await.unwrap();
        let y: i64 = sqlx::query_scalar("SELECT y FROM a").fetch_one(&mut file).await.unwrap();
        assert_eq!(y, 2);
        let copy = place.path().join("x.db.v1-backup");
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let mut old = connect(&copy).await;
        assert_eq!(version(&mut old, &copy, ONE).await.unwrap(), 1);
        let x: i64 = sqlx::query_scalar("SELECT x FROM a").fetch_one(&mut old).await.unwrap();
        assert_eq!(x, 1);
    }

    #[tokio::test]
    async fn a_step_that_fails_leaves_the_old_schema() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.db");
        let mut file = connect(&path).await;
        climb(&mut file, &path, ONE).await.unwrap();
        for _ in 0..2 {
            let failed = climb(&mut file, &path, BROKEN).await;
            assert!(matches!(failed, Err(OpenError::Database { .. })), "{failed:?}");
        }
        let x: i64 = sqlx::query_scalar("SELECT x FROM a").fetch_one(&mut file).await.unwrap();
        assert_eq!((x, version(&mut file, &path, ONE).await.unwrap()), (1, 1));
        assert!(place.path().join("x.db.v1-backup-2").exists(), "no copy is overwritten");
    }

    #[tokio::test]
    async fn what_is_newer_or_foreign_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.db");
        let mut file = connect(&path).await;
        climb(&mut file, &path, TWO).await.unwrap();
        let refused = climb(&mut file, &path, ONE).await.unwrap_err();
        assert!(matches!(refused, OpenError::Newer { found: 2, known: 1, .. }), "{refused}");
        assert!(refused.to_string().contains("start the newer program"), "{refused}");

        let path = place.path().join("other.db");
        let mut file = connect(&path).await;
        raw_sql("CREATE TABLE mail (x TEXT)").execute(&mut file).await.unwrap();
        let refused = climb(&mut file, &path, ONE).await.unwrap_err();
        assert!(refused.to_string().contains("not narthex's"), "{refused}");
    }
}
