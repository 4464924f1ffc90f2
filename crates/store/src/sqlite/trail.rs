//! The audit trail of the configuration: who made which revision, and what it touched.

use super::chain::{self, Verifier};
use super::database::Database;
use super::row::{bigint, count, from_json, timestamp, to_json};
use crate::{AdminRecord, Change, Intact, Listing, RecordedChange, StoreError};
use narthex_model::{MasterKey, RayId, Revision};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::SqliteConnection;
use std::net::IpAddr;

const TABLE: &str = "config_change";
/// How many rows the verifier reads at a time.
const PAGE: i64 = 1_000;

/// What of a row is not a column of its own.
#[derive(Serialize, Deserialize)]
struct Body {
    ip_address: Option<IpAddr>,
    ray_id: Option<RayId>,
    summary: Value,
    objects: Vec<String>,
}

/// Adds the row of `revision`; part of the transaction that makes the revision.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    master: &MasterKey,
    revision: Revision,
    changes: &[Change],
    audit: &AdminRecord,
) -> Result<(), StoreError> {
    let body = to_json(&Body {
        ip_address: audit.ip_address,
        ray_id: audit.ray_id.clone(),
        summary: audit.summary.clone(),
        objects: changes.iter().map(Change::summary).collect(),
    });
    let at = audit.at.0.0;
    let link = chain::head(connection, master, TABLE).await?;
    let link = link.next(&columns(&at.to_be_bytes(), &audit.actor, &body));
    sqlx::query(
        "INSERT INTO config_change (revision, at, actor, body, hash) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(revision.0)
    .bind(at)
    .bind(&audit.actor)
    .bind(&body)
    .bind(link.hash.as_slice())
    .execute(&mut *connection)
    .await?;
    chain::put_head(connection, master, TABLE, link).await
}

fn columns<'a>(at: &'a [u8; 8], actor: &'a str, body: &'a str) -> [&'a [u8]; 3] {
    [at, actor.as_bytes(), body.as_bytes()]
}

pub(super) async fn list(
    main: &Database,
    limit: u32,
    offset: u64,
) -> Result<Listing<RecordedChange>, StoreError> {
    let mut view = main.view().await?;
    let total: i64 =
        sqlx::query_scalar("SELECT count(*) FROM config_change").fetch_one(&mut *view).await?;
    let rows: Vec<(i64, i64, String, String)> = sqlx::query_as(
        "SELECT revision, at, actor, body FROM config_change ORDER BY revision DESC LIMIT $1 OFFSET $2",
    )
    .bind(i64::from(limit))
    .bind(bigint(offset))
    .fetch_all(&mut *view)
    .await?;
    let items = rows.into_iter().map(recorded).collect::<Result<_, _>>()?;
    Ok(Listing { items, total: count(total) })
}

fn recorded(
    (revision, at, actor, body): (i64, i64, String, String),
) -> Result<RecordedChange, StoreError> {
    let body: Body = from_json("config_change.body", &body)?;
    let record = AdminRecord {
        at: timestamp(at),
        actor,
        ip_address: body.ip_address,
        ray_id: body.ray_id,
        summary: body.summary,
    };
    Ok(RecordedChange { revision: Revision(revision), record, objects: body.objects })
}

pub(super) async fn verify(main: &Database, master: &MasterKey) -> Result<Intact, StoreError> {
    let mut view = main.view().await?;
    let mut verifier = Verifier::new(TABLE, chain::Link::START);
    loop {
        let rows: Vec<(i64, i64, String, String, Vec<u8>)> = sqlx::query_as(
            "SELECT revision, at, actor, body, hash FROM config_change WHERE revision > $1
             ORDER BY revision LIMIT $2",
        )
        .bind(verifier.seq())
        .bind(PAGE)
        .fetch_all(&mut *view)
        .await?;
        if rows.is_empty() {
            return Ok(verifier.finish(chain::head(&mut view, master, TABLE).await));
        }
        for (revision, at, actor, body, hash) in rows {
            let at = at.to_be_bytes();
            if let Err(broken) = verifier.follow(revision, &columns(&at, &actor, &body), &hash) {
                return Ok(broken);
            }
        }
    }
}
