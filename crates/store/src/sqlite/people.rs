//! People: one id per address, from the first login until an administrator deletes it.

use super::database::Database;
use super::row::{bigint, count, from_json, limit, parse, timestamp};
use super::{revocations, sessions};
use crate::{Listing, Revocation, Revoked, StoreError, UserFilter};
use narthex_model::{EmailAddress, Identity, UnixSeconds, User, UserId};
use sqlx::{QueryBuilder, Sqlite};

type Row = (String, String, String, i64, i64, Option<i64>);

fn user((id, email, name, created_at, updated_at, last): Row) -> Result<User, StoreError> {
    Ok(User {
        id: parse("person.id", &id)?,
        email: parse("person.email", &email)?,
        name,
        created_at: timestamp(created_at),
        updated_at: timestamp(updated_at),
        last_successful_login: last.map(timestamp),
    })
}

pub(super) async fn for_login(
    main: &Database,
    email: &EmailAddress,
    name: &str,
    now: UnixSeconds,
) -> Result<User, StoreError> {
    let mut change = main.begin().await?;
    let row: Row = sqlx::query_as(
        "INSERT INTO person (id, email, name, created_at, updated_at, last_successful_login)
         VALUES ($1, $2, $3, $4, $4, $4)
         ON CONFLICT (email) DO UPDATE SET
             name = CASE WHEN excluded.name = '' THEN person.name ELSE excluded.name END,
             updated_at = CASE WHEN excluded.name IN ('', person.name) THEN person.updated_at
                               ELSE excluded.updated_at END,
             last_successful_login = excluded.last_successful_login
         RETURNING id, email, name, created_at, updated_at, last_successful_login",
    )
    .bind(UserId::random().to_string())
    .bind(email.as_str())
    .bind(name)
    .bind(now.0)
    .fetch_one(&mut *change)
    .await?;
    change.commit().await?;
    user(row)
}

pub(super) async fn create(
    main: &Database,
    email: &EmailAddress,
    name: &str,
    now: UnixSeconds,
) -> Result<Option<User>, StoreError> {
    let mut change = main.begin().await?;
    let row: Option<Row> = sqlx::query_as(
        "INSERT INTO person (id, email, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (email) DO NOTHING
         RETURNING id, email, name, created_at, updated_at, last_successful_login",
    )
    .bind(UserId::random().to_string())
    .bind(email.as_str())
    .bind(name)
    .bind(now.0)
    .fetch_optional(&mut *change)
    .await?;
    change.commit().await?;
    row.map(user).transpose()
}

pub(super) async fn rename(
    main: &Database,
    id: UserId,
    name: &str,
    now: UnixSeconds,
) -> Result<Option<User>, StoreError> {
    let mut change = main.begin().await?;
    let row: Option<Row> = sqlx::query_as(
        "UPDATE person SET name = $1, updated_at = CASE WHEN name = $1 THEN updated_at ELSE $2 END WHERE id = $3
         RETURNING id, email, name, created_at, updated_at, last_successful_login",
    )
    .bind(name)
    .bind(now.0)
    .bind(id.to_string())
    .fetch_optional(&mut *change)
    .await?;
    change.commit().await?;
    row.map(user).transpose()
}

pub(super) async fn get(main: &Database, id: UserId) -> Result<Option<User>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, email, name, created_at, updated_at, last_successful_login FROM person WHERE id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(main.readers())
    .await?;
    row.map(user).transpose()
}

pub(super) async fn list(
    main: &Database,
    filter: &UserFilter,
) -> Result<Listing<User>, StoreError> {
    let mut view = main.view().await?;
    let mut query = QueryBuilder::new("SELECT count(*) FROM person");
    narrow(&mut query, filter);
    let total: i64 = query.build_query_scalar().fetch_one(&mut *view).await?;
    let mut query = QueryBuilder::new(
        "SELECT id, email, name, created_at, updated_at, last_successful_login FROM person",
    );
    narrow(&mut query, filter);
    query.push(" ORDER BY created_at, id LIMIT ").push_bind(limit(filter.limit));
    query.push(" OFFSET ").push_bind(bigint(filter.offset));
    let rows: Vec<Row> = query.build_query_as().fetch_all(&mut *view).await?;
    let items = rows.into_iter().map(user).collect::<Result<_, _>>()?;
    Ok(Listing { items, total: count(total) })
}

fn narrow(query: &mut QueryBuilder<Sqlite>, filter: &UserFilter) {
    query.push(" WHERE 1 = 1");
    if let Some(email) = &filter.email {
        query.push(" AND email = ").push_bind(email.to_ascii_lowercase());
    }
    if let Some(name) = &filter.name {
        query.push(" AND lower(name) = ").push_bind(name.to_ascii_lowercase());
    }
    if let Some(part) = &filter.search {
        query.push(" AND (email LIKE ").push_bind(containing(part));
        query.push(" ESCAPE '\\' OR lower(name) LIKE ").push_bind(containing(part));
        query.push(" ESCAPE '\\')");
    }
}

/// The `LIKE` pattern for texts that contain `part`; its own wildcards are letters like any other.
pub(super) fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for letter in part.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

pub(super) async fn last_identity(
    main: &Database,
    id: UserId,
) -> Result<Option<Identity>, StoreError> {
    let body: Option<Option<String>> =
        sqlx::query_scalar("SELECT last_identity FROM person WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(main.readers())
            .await?;
    body.flatten().map(|body| from_json("person.last_identity", &body)).transpose()
}

pub(super) async fn delete(
    main: &Database,
    id: UserId,
    until: UnixSeconds,
) -> Result<bool, StoreError> {
    let mut change = main.begin().await?;
    let done = sqlx::query("DELETE FROM person WHERE id = $1")
        .bind(id.to_string())
        .execute(&mut *change)
        .await?;
    let revocation = Revocation { what: Revoked::User(id), at: until, until };
    revocations::write(&mut change, &revocation).await?;
    sessions::delete_revoked(&mut change, &revocation).await?;
    change.commit().await?;
    Ok(done.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_letters() {
        for (part, pattern) in [
            ("Ann", "%ann%"),
            ("100%", "%100\\%%"),
            ("a_b", "%a\\_b%"),
            ("\\", "%\\\\%"),
            ("", "%%"),
        ] {
            assert_eq!(containing(part), pattern);
        }
    }
}
