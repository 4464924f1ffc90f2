//! The configuration: objects under one revision, which rises by one with each committed change.

use super::crls;
use super::database::Database;
use super::object::{self, Edit, Row};
use super::row::parse;
use super::trail;
use crate::{AdminRecord, Change, StoreError};
use narthex_model::{AccountId, Configuration, MasterKey, Revision};
use sqlx::SqliteConnection;

pub(super) async fn account_id(main: &Database) -> Result<AccountId, StoreError> {
    let id: String =
        sqlx::query_scalar("SELECT account_id FROM meta").fetch_one(main.readers()).await?;
    parse("meta.account_id", &id)
}

pub(super) async fn load(
    main: &Database,
    master: &MasterKey,
) -> Result<(Revision, Configuration), StoreError> {
    let mut view = main.view().await?;
    let revision = revision(&mut view).await?;
    let rows: Vec<Row> =
        sqlx::query_as("SELECT kind, id, body, sealed FROM object").fetch_all(&mut *view).await?;
    let mut configuration = Configuration::default();
    for row in rows {
        object::read(&mut configuration, master, &row)?;
    }
    Ok((revision, configuration))
}

async fn revision(connection: &mut SqliteConnection) -> Result<Revision, StoreError> {
    Ok(Revision(sqlx::query_scalar("SELECT revision FROM meta").fetch_one(connection).await?))
}

pub(super) async fn commit(
    main: &Database,
    master: &MasterKey,
    expected: Revision,
    changes: &[Change],
    audit: &AdminRecord,
) -> Result<Revision, StoreError> {
    let mut change = main.begin().await?;
    let new: Option<i64> = sqlx::query_scalar(
        "UPDATE meta SET revision = revision + 1 WHERE revision = $1 RETURNING revision",
    )
    .bind(expected.0)
    .fetch_optional(&mut *change)
    .await?;
    let Some(new) = new.map(Revision) else {
        return Err(StoreError::Moved { expected, found: revision(&mut change).await? });
    };
    for object in changes {
        write(&mut change, object::edit(master, object), new).await?;
        if let Change::DeleteCertificateAuthority(id) = object {
            crls::delete_of(&mut change, *id).await?;
        }
    }
    trail::append(&mut change, master, new, changes, audit).await?;
    change.commit().await?;
    Ok(new)
}

async fn write(
    connection: &mut SqliteConnection,
    edit: Edit,
    revision: Revision,
) -> Result<(), StoreError> {
    let statement = match edit {
        Edit::Put((kind, id, body, sealed)) => sqlx::query(
            "INSERT INTO object (kind, id, body, sealed, revision) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, sealed = excluded.sealed,
                 revision = excluded.revision",
        )
        .bind(kind)
        .bind(id)
        .bind(body)
        .bind(sealed)
        .bind(revision.0),
        Edit::Delete { kind, id } => {
            sqlx::query("DELETE FROM object WHERE kind = $1 AND id = $2").bind(kind).bind(id)
        }
    };
    statement.execute(connection).await?;
    Ok(())
}
