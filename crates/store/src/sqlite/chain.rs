//! The chain of an audit trail (security L5): every row keeps SHA-256 over the hash of the row before and its own
//! columns, and the last link is sealed beside the table.
//!
//! A changed, removed or inserted row breaks the chain at that row. Rows cut off at the end, or a chain computed
//! anew, do not meet the sealed head, which nobody makes without the master key. Rows that are removed from the
//! beginning when their time is over leave a sealed anchor, from which the rest still follows. A whole file put back from an
//! earlier day is not noticed here; ship records elsewhere for that.

use super::fault::damaged;
use crate::{Intact, StoreError};
use aws_lc_rs::digest::{Context, SHA256};
use narthex_model::MasterKey;
use sqlx::SqliteConnection;

/// A link: the number of the last row and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Numbers rise by one from 1; 0 before the first row.
    pub(super) seq: i64,
    pub(super) hash: [u8; 32],
}

impl Link {
    /// Before the first row.
    pub(super) const START: Self = Self { seq: 0, hash: [0; 32] };

    /// The link after a row with these columns. Each is hashed with its length, so none can flow into the next.
    pub(super) fn next(self, columns: &[&[u8]]) -> Self {
        let seq = self.seq + 1;
        let mut sha = Context::new(&SHA256);
        sha.update(&self.hash);
        sha.update(&seq.to_be_bytes());
        for column in columns {
            sha.update(&(column.len() as u64).to_be_bytes());
            sha.update(column);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(sha.finish().as_ref());
        Self { seq, hash }
    }

    fn seal(self, master: &MasterKey, place: &str) -> Vec<u8> {
        master.seal(&[self.seq.to_be_bytes().as_slice(), &self.hash].concat(), place)
    }
}

/// What a link at either end of a chain is sealed for.
const HEAD: &str = "chain_head";
const ANCHOR: &str = "chain_anchor";

fn place(end: &str, name: &str) -> String {
    format!("{end}/{name}/sealed")
}

/// The last link of the chain `name`.
pub(super) async fn head(
    connection: &mut SqliteConnection,
    master: &MasterKey,
    name: &str,
) -> Result<Link, StoreError> {
    let sealed = sqlx::query_scalar("SELECT sealed FROM chain_head WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    open(sealed, master, &place(HEAD, name))
}

/// The link before the oldest row of the chain `name`: the last of those that were removed.
pub(super) async fn anchor(
    connection: &mut SqliteConnection,
    master: &MasterKey,
    name: &str,
) -> Result<Link, StoreError> {
    let sealed = sqlx::query_scalar("SELECT sealed FROM chain_anchor WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    open(sealed, master, &place(ANCHOR, name))
}

fn open(sealed: Option<Vec<u8>>, master: &MasterKey, place: &str) -> Result<Link, StoreError> {
    let Some(sealed) = sealed else { return Ok(Link::START) };
    let plain = master.open(&sealed, place).map_err(|error| damaged(place, error))?;
    let link = plain.split_first_chunk::<8>().and_then(|(seq, hash)| {
        Some(Link { seq: i64::from_be_bytes(*seq), hash: hash.try_into().ok()? })
    });
    link.ok_or_else(|| damaged(place, "40 bytes were expected"))
}

/// Moves the head; part of the transaction that added the rows.
pub(super) async fn put_head(
    connection: &mut SqliteConnection,
    master: &MasterKey,
    name: &str,
    link: Link,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO chain_head (name, sealed) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
    )
    .bind(name)
    .bind(link.seal(master, &place(HEAD, name)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves the anchor; part of the transaction that removes the rows.
pub(super) async fn put_anchor(
    connection: &mut SqliteConnection,
    master: &MasterKey,
    name: &str,
    link: Link,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO chain_anchor (name, sealed) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
    )
    .bind(name)
    .bind(link.seal(master, &place(ANCHOR, name)))
    .execute(connection)
    .await?;
    Ok(())
}

/// Follows a chain row by row.
pub(super) struct Verifier {
    table: &'static str,
    start: Link,
    link: Link,
}

impl Verifier {
    /// Begins at the row after `start`.
    pub(super) fn new(table: &'static str, start: Link) -> Self {
        Self { table, start, link: start }
    }

    /// The number after which to read on.
    pub(super) fn seq(&self) -> i64 {
        self.link.seq
    }

    /// Takes the next row; the text says what does not fit.
    pub(super) fn follow(
        &mut self,
        seq: i64,
        columns: &[&[u8]],
        hash: &[u8],
    ) -> Result<(), Intact> {
        let next = self.link.next(columns);
        if seq != next.seq {
            return Err(self.broken(&format!("row {} is missing before row {seq}", next.seq)));
        }
        if hash != next.hash {
            return Err(self.broken(&format!("row {seq} is not what was written")));
        }
        self.link = next;
        Ok(())
    }

    /// Compares the end with the sealed head.
    pub(super) fn finish(self, head: Result<Link, StoreError>) -> Intact {
        match head {
            Ok(head) if head == self.link => {
                Intact::Yes((self.link.seq - self.start.seq).unsigned_abs())
            }
            Ok(head) => self.broken(&format!(
                "it ends after row {} and the sealed head names row {}",
                self.link.seq, head.seq
            )),
            Err(error) => self.broken(&error.to_string()),
        }
    }

    fn broken(&self, why: &str) -> Intact {
        Intact::Broken(format!("{}: {why}", self.table))
    }
}

impl Intact {
    /// Both trails; the first fault found.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes(one), Self::Yes(two)) => Self::Yes(one + two),
            (broken @ Self::Broken(_), Self::Yes(_) | Self::Broken(_))
            | (Self::Yes(_), broken @ Self::Broken(_)) => broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_do_not_flow_into_each_other() {
        let one = Link::START.next(&[b"ab", b"c"]);
        for other in
            [&[b"a".as_slice(), b"bc"], &[b"abc".as_slice(), b""], &[b"".as_slice(), b"abc"]]
        {
            assert_ne!(Link::START.next(other), one, "{other:?}");
        }
        assert_ne!(one.next(&[b"ab", b"c"]).hash, one.hash, "the same row twice");
    }
}
