//! Access records: appended in order, chained, found by what the API filters on.

use super::chain::{self, Verifier};
use super::database::Database;
use super::people::containing;
use super::row::{bigint, count, from_json, hash, text, to_json};
use crate::{Direction, EmailMatch, Intact, Is, RecordFilter, SpillMark, StoreError, Term};
use narthex_model::{AccessRecord, Action, MasterKey, Verdict};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

const TABLE: &str = "access_record";
/// How many rows the verifier reads at a time.
const PAGE: i64 = 1_000;
/// The type of connection where nobody logged in (access-protocol §15.8).
const NON_IDENTITY: &str = "nonidentity";

/// A record as it lies in the table: what filters compare, and the whole as JSON.
struct Row {
    created_at: i64,
    allowed: i64,
    /// `action ray_id app person email service_token idp connection country body`, in this order.
    texts: [String; 10],
}

impl Row {
    fn of(record: &AccessRecord) -> Self {
        let texts = [
            action(record.action).to_owned(),
            record.ray_id.to_string(),
            text(record.app.as_ref()),
            text(record.user.as_ref()),
            text(record.user_email.as_ref()),
            text(record.service_token.as_ref()),
            text(record.idp.as_ref()),
            record.connection.clone(),
            text(record.country.as_ref()),
            to_json(record),
        ];
        let allowed = i64::from(record.verdict == Verdict::Allowed);
        Self { created_at: record.created_at.0.0, allowed, texts }
    }

    /// Every column but number and hash, for the chain.
    fn with_columns<T>(&self, use_them: impl FnOnce(&[&[u8]]) -> T) -> T {
        let [created_at, allowed] = [self.created_at.to_be_bytes(), self.allowed.to_be_bytes()];
        let mut columns = vec![created_at.as_slice(), &allowed];
        columns.extend(self.texts.iter().map(String::as_bytes));
        use_them(&columns)
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Login => "login",
        Action::Logout => "logout",
        Action::Request => "request",
        Action::FirstUse => "first_use",
        Action::Revoke => "revoke",
    }
}

pub(super) async fn append(
    records: &Database,
    master: &MasterKey,
    new: &[AccessRecord],
) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let mut change = records.begin().await?;
    extend(&mut change, master, new).await?;
    Ok(change.commit().await?)
}

pub(super) async fn append_spilled(
    records: &Database,
    master: &MasterKey,
    new: &[AccessRecord],
    mark: &SpillMark,
) -> Result<(), StoreError> {
    let mut change = records.begin().await?;
    extend(&mut change, master, new).await?;
    sqlx::query(
        "INSERT INTO spill_mark (one, file, lines) VALUES (1, $1, $2)
         ON CONFLICT (one) DO UPDATE SET file = excluded.file, lines = excluded.lines",
    )
    .bind(&mark.file)
    .bind(bigint(mark.lines))
    .execute(&mut *change)
    .await?;
    Ok(change.commit().await?)
}

pub(super) async fn spill_mark(records: &Database) -> Result<Option<SpillMark>, StoreError> {
    let row: Option<(String, i64)> = sqlx::query_as("SELECT file, lines FROM spill_mark")
        .fetch_optional(records.readers())
        .await?;
    Ok(row.map(|(file, lines)| SpillMark { file, lines: count(lines) }))
}

/// Adds rows at the end of the chain; part of a transaction.
async fn extend(
    connection: &mut SqliteConnection,
    master: &MasterKey,
    new: &[AccessRecord],
) -> Result<(), StoreError> {
    let mut link = chain::head(connection, master, TABLE).await?;
    for record in new {
        let row = Row::of(record);
        link = row.with_columns(|columns| link.next(columns));
        insert(connection, link, row).await?;
    }
    chain::put_head(connection, master, TABLE, link).await
}

async fn insert(
    connection: &mut SqliteConnection,
    link: chain::Link,
    row: Row,
) -> Result<(), StoreError> {
    let mut statement = sqlx::query(
        "INSERT INTO access_record (seq, hash, created_at, allowed, action, ray_id, app, person, email,
             service_token, idp, connection, country, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(link.seq)
    .bind(link.hash.to_vec())
    .bind(row.created_at)
    .bind(row.allowed);
    for text in row.texts {
        statement = statement.bind(text);
    }
    statement.execute(connection).await?;
    Ok(())
}

pub(super) async fn list(
    records: &Database,
    filter: &RecordFilter,
) -> Result<Vec<AccessRecord>, StoreError> {
    let mut query = QueryBuilder::new("SELECT body FROM access_record WHERE 1 = 1");
    narrow(&mut query, filter);
    query.push(match filter.direction {
        Direction::Desc => " ORDER BY created_at DESC, seq DESC LIMIT ",
        Direction::Asc => " ORDER BY created_at, seq LIMIT ",
    });
    query.push_bind(i64::from(filter.limit)).push(" OFFSET ").push_bind(bigint(filter.offset));
    let bodies: Vec<String> = query.build_query_scalar().fetch_all(records.readers()).await?;
    bodies.iter().map(|body| from_json("access_record.body", body)).collect()
}

pub(super) async fn number_of(
    records: &Database,
    filter: &RecordFilter,
) -> Result<u64, StoreError> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM access_record WHERE 1 = 1");
    narrow(&mut query, filter);
    Ok(count(query.build_query_scalar().fetch_one(records.readers()).await?))
}

fn narrow(query: &mut QueryBuilder<Sqlite>, filter: &RecordFilter) {
    if let Some(since) = filter.since {
        query.push(" AND created_at >= ").push_bind(since.0);
    }
    if let Some(until) = filter.until {
        query.push(" AND created_at <= ").push_bind(until.0);
    }
    if let Some(allowed) = filter.allowed {
        query.push(" AND allowed = ").push_bind(i64::from(allowed));
    }
    narrow_email(query, filter.email.as_ref());
    compare(query, "app", filter.app.as_ref());
    compare(query, "ray_id", filter.ray_id.as_ref());
    compare(query, "person", filter.user.as_ref());
    compare(query, "service_token", filter.service_token.clone().map(Is::Equal).as_ref());
    compare(query, "country", filter.country.as_ref());
    match &filter.idp {
        Some(Is::Equal(it)) => {
            query.push(" AND (idp = ").push_bind(it.clone());
            query.push(" OR connection = ").push_bind(it.clone()).push(")");
        }
        Some(Is::Not(it)) => {
            query.push(" AND idp <> ").push_bind(it.clone());
            query.push(" AND connection <> ").push_bind(it.clone());
        }
        None => {}
    }
    if let Some(wanted) = filter.non_identity {
        query.push(if wanted { " AND connection = " } else { " AND connection <> " });
        query.push_bind(NON_IDENTITY);
    }
    if !filter.actions.is_empty() {
        query.push(" AND action IN (");
        let mut list = query.separated(", ");
        for wanted in &filter.actions {
            list.push_bind(action(*wanted));
        }
        query.push(")");
    }
}

/// `column` is one of our own names, never text of a caller.
fn compare<T: ToString>(
    query: &mut QueryBuilder<Sqlite>,
    column: &'static str,
    wanted: Option<&Is<T>>,
) {
    match wanted {
        Some(Is::Equal(it)) => {
            query.push(" AND ").push(column).push(" = ").push_bind(it.to_string());
        }
        Some(Is::Not(it)) => {
            query.push(" AND ").push(column).push(" <> ").push_bind(it.to_string());
        }
        None => {}
    }
}

fn narrow_email(query: &mut QueryBuilder<Sqlite>, wanted: Option<&EmailMatch>) {
    let (comparison, operand, end) = match wanted {
        Some(EmailMatch::Exact(it)) => (" AND email = ", it.to_ascii_lowercase(), ""),
        Some(EmailMatch::NotExact(it)) => (" AND email <> ", it.to_ascii_lowercase(), ""),
        Some(EmailMatch::Contains(it)) => (" AND email LIKE ", containing(it), " ESCAPE '\\'"),
        Some(EmailMatch::NotContains(it)) => {
            (" AND email NOT LIKE ", containing(it), " ESCAPE '\\'")
        }
        None => return,
    };
    query.push(comparison).push_bind(operand).push(end);
}

/// Removes the oldest rows whose time is over, at most so many, and moves the anchor. Rows are removed in the order of
/// the chain; one that claims to be from the future was written under a wrong clock and keeps nobody.
pub(super) async fn prune(
    records: &Database,
    master: &MasterKey,
    term: Term,
    most: u32,
) -> Result<u64, StoreError> {
    let oldest: Vec<(i64, i64, Vec<u8>)> =
        sqlx::query_as("SELECT seq, created_at, hash FROM access_record ORDER BY seq LIMIT $1")
            .bind(i64::from(most))
            .fetch_all(records.readers())
            .await?;
    let is_over = |at: i64| at < term.before.0 || at > term.now.0;
    let over: Vec<_> = oldest.iter().take_while(|(_, at, _)| is_over(*at)).collect();
    let Some((seq, _, kept)) = over.last() else { return Ok(0) };
    let link = chain::Link { seq: *seq, hash: hash("access_record.hash", kept)? };
    let mut change = records.begin().await?;
    sqlx::query("DELETE FROM access_record WHERE seq <= $1")
        .bind(seq)
        .execute(&mut *change)
        .await?;
    chain::put_anchor(&mut change, master, TABLE, link).await?;
    change.commit().await?;
    Ok(over.len() as u64)
}

pub(super) async fn verify(records: &Database, master: &MasterKey) -> Result<Intact, StoreError> {
    let mut view = records.view().await?;
    let mut verifier = match chain::anchor(&mut view, master, TABLE).await {
        Ok(anchor) => Verifier::new(TABLE, anchor),
        Err(error) => return Ok(Intact::Broken(format!("{TABLE}: {error}"))),
    };
    loop {
        let rows = page(&mut view, verifier.seq()).await?;
        if rows.is_empty() {
            return Ok(verifier.finish(chain::head(&mut view, master, TABLE).await));
        }
        for (seq, hash, row) in rows {
            let followed = row.with_columns(|columns| verifier.follow(seq, columns, &hash));
            if let Err(broken) = followed {
                return Ok(broken);
            }
        }
    }
}

async fn page(
    connection: &mut SqliteConnection,
    after: i64,
) -> Result<Vec<(i64, Vec<u8>, Row)>, StoreError> {
    use sqlx::Row as _;
    let rows = sqlx::query(
        "SELECT seq, hash, created_at, allowed, action, ray_id, app, person, email, service_token, idp,
             connection, country, body FROM access_record WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(after)
    .bind(PAGE)
    .fetch_all(connection)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let mut texts = <[String; 10]>::default();
        for (place, column) in texts.iter_mut().zip(4..) {
            *place = row.try_get::<String, usize>(column)?;
        }
        let kept = Row { created_at: row.try_get(2)?, allowed: row.try_get(3)?, texts };
        Ok((row.try_get(0)?, row.try_get(1)?, kept))
    };
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}
