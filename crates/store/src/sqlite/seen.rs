//! When service tokens were let in last.

use super::database::Database;
use super::row::{parse, timestamp};
use crate::StoreError;
use narthex_model::{ClientId, Timestamp, TrafficCount};
use std::collections::{BTreeMap, BTreeSet};

/// Takes the last use of each service token from the counts; the callers that are people have no Client ID.
pub(super) async fn note(main: &Database, counts: &[TrafficCount]) -> Result<(), StoreError> {
    let mut last = BTreeMap::<ClientId, i64>::new();
    for count in counts {
        let Ok(client) = count.key.caller.parse() else { continue };
        let at = last.entry(client).or_insert(count.last.0.0);
        *at = count.last.0.0.max(*at);
    }
    if last.is_empty() {
        return Ok(());
    }
    let mut change = main.begin().await?;
    for (client, at) in last {
        sqlx::query(
            "INSERT INTO service_token_seen (client_id, last_at) VALUES ($1, $2)
             ON CONFLICT (client_id) DO UPDATE SET last_at = excluded.last_at
             WHERE excluded.last_at > service_token_seen.last_at",
        )
        .bind(client.as_str())
        .bind(at)
        .execute(&mut *change)
        .await?;
    }
    Ok(change.commit().await?)
}

/// Forgets the service tokens that are not among `kept`; how many. Reads only, unless there are some.
pub(super) async fn forget_others(
    main: &Database,
    kept: &BTreeSet<ClientId>,
) -> Result<u64, StoreError> {
    let gone: Vec<ClientId> =
        all(main).await?.into_keys().filter(|client| !kept.contains(client)).collect();
    if gone.is_empty() {
        return Ok(0);
    }
    let mut change = main.begin().await?;
    for client in &gone {
        sqlx::query("DELETE FROM service_token_seen WHERE client_id = $1")
            .bind(client.as_str())
            .execute(&mut *change)
            .await?;
    }
    change.commit().await?;
    Ok(gone.len() as u64)
}

pub(super) async fn all(main: &Database) -> Result<BTreeMap<ClientId, Timestamp>, StoreError> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT client_id, last_at FROM service_token_seen")
            .fetch_all(main.readers())
            .await?;
    let seen = |(client, at): (String, i64)| {
        Ok((parse("service_token_seen.client_id", &client)?, timestamp(at)))
    };
    rows.into_iter().map(seen).collect()
}
