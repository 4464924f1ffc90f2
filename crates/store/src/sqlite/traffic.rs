//! Requests admitted again: not recorded one by one, but counted per key and hour.

use super::database::Database;
use super::row::{bigint, count, limit, parse, parse_option, text, timestamp};
use crate::{StoreError, Term, TrafficFilter};
use narthex_model::{TrafficCount, TrafficKey, UnixSeconds};
use sqlx::QueryBuilder;

const HOUR: i64 = 3_600;

/// The first second of the hour.
fn hour(at: UnixSeconds) -> i64 {
    at.0 - at.0.rem_euclid(HOUR)
}

/// Adds the counts. A count that spans two hours belongs to that of its last request; the tables that are folded
/// here are a minute long.
pub(super) async fn fold(records: &Database, counts: &[TrafficCount]) -> Result<(), StoreError> {
    if counts.is_empty() {
        return Ok(());
    }
    let mut change = records.begin().await?;
    for new in counts {
        sqlx::query(
            "INSERT INTO traffic (hour, app, caller, policy, network, country, requests, first_at, last_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (hour, app, caller, policy, network, country) DO UPDATE SET
                 requests = traffic.requests + excluded.requests,
                 first_at = CASE WHEN excluded.first_at < traffic.first_at THEN excluded.first_at
                                 ELSE traffic.first_at END,
                 last_at = CASE WHEN excluded.last_at > traffic.last_at THEN excluded.last_at
                                ELSE traffic.last_at END",
        )
        .bind(hour(new.last.0))
        .bind(new.key.app.to_string())
        .bind(&new.key.caller)
        .bind(text(new.key.policy.as_ref()))
        .bind(&new.key.network)
        .bind(text(new.key.country.as_ref()))
        .bind(bigint(new.requests))
        .bind(new.first.0.0)
        .bind(new.last.0.0)
        .execute(&mut *change)
        .await?;
    }
    Ok(change.commit().await?)
}

/// Removes the oldest hour of which nothing needs to be kept; how many rows that were.
pub(super) async fn prune(records: &Database, term: Term) -> Result<u64, StoreError> {
    let oldest: Option<i64> =
        sqlx::query_scalar("SELECT min(hour) FROM traffic").fetch_one(records.readers()).await?;
    let Some(oldest) = oldest.filter(|oldest| oldest + HOUR <= term.before.0) else {
        return Ok(0);
    };
    let mut change = records.begin().await?;
    let done = sqlx::query("DELETE FROM traffic WHERE hour = $1")
        .bind(oldest)
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(done.rows_affected())
}

type Row = (String, String, String, String, String, i64, i64, i64);

pub(super) async fn list(
    records: &Database,
    filter: &TrafficFilter,
) -> Result<Vec<TrafficCount>, StoreError> {
    let mut query = QueryBuilder::new(
        "SELECT app, caller, policy, network, country, requests, first_at, last_at FROM traffic WHERE 1 = 1",
    );
    if let Some(since) = filter.since {
        query.push(" AND hour >= ").push_bind(hour(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND hour <= ").push_bind(hour(until));
    }
    if let Some(app) = filter.app {
        query.push(" AND app = ").push_bind(app.to_string());
    }
    if let Some(caller) = &filter.caller {
        query.push(" AND caller = ").push_bind(caller.clone());
    }
    query.push(" ORDER BY hour DESC, app, caller, policy, network, country LIMIT ");
    query.push_bind(limit(filter.limit)).push(" OFFSET ").push_bind(bigint(filter.offset));
    let rows: Vec<Row> = query.build_query_as().fetch_all(records.readers()).await?;
    rows.into_iter().map(counted).collect()
}

fn counted(
    (app, caller, policy, network, country, requests, first, last): Row,
) -> Result<TrafficCount, StoreError> {
    let key = TrafficKey {
        app: parse("traffic.app", &app)?,
        caller,
        policy: parse_option("traffic.policy", &policy)?,
        network,
        country: parse_option("traffic.country", &country)?,
    };
    Ok(TrafficCount {
        key,
        requests: count(requests),
        first: timestamp(first),
        last: timestamp(last),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_begin_on_the_hour() {
        for (at, want) in [(0, 0), (3_599, 0), (3_600, 3_600), (-1, -3_600)] {
            assert_eq!(hour(UnixSeconds(at)), want, "{at}");
        }
    }
}
