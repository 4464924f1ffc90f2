//! What the SQLite store promises beyond the contract: files, restarts, damage.

#![expect(clippy::unwrap_used, reason = "the helpers below belong to the tests")]

use narthex_model::{
    AccessRecord, Configuration, Group, MasterKey, Revision, Timestamp, UnixSeconds,
};
use narthex_store::{
    AdminRecord, Change, Intact, OpenError, PendingKind, RecordFilter, SamlKey, SqliteStore, Store,
    StoreError, StoredKey, Term, contract,
};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, raw_sql};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// A data directory and its key.
struct Place {
    directory: TempDir,
    master: Arc<MasterKey>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, master: Arc::new(MasterKey::generate().0) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn open(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(&self.file("narthex.db"), Arc::clone(&self.master)).await
    }

    /// A connection of somebody else.
    async fn connect(&self, name: &str) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.file(name)).connect().await.unwrap()
    }

    /// Does something to a closed file behind the store's back.
    async fn tamper(&self, name: &str, sql: &'static str) {
        let mut connection = self.connect(name).await;
        raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

fn audit() -> AdminRecord {
    AdminRecord {
        at: narthex_model::Timestamp(NOW),
        actor: "test".to_owned(),
        ip_address: None,
        ray_id: None,
        summary: json!("a group"),
    }
}

fn group(n: i64) -> Change {
    let group: Group = serde_json::from_value(json!({
        "id": format!("9a4bd9c5-5a0e-4d52-9d1f-0d2b{n:08x}"), "name": format!("group {n}"), "include": [],
        "created_at": "2023-11-14T22:13:20Z", "updated_at": "2023-11-14T22:13:20Z",
    }))
    .unwrap();
    Change::PutGroup(Arc::new(group))
}

fn record() -> AccessRecord {
    serde_json::from_value(json!({
        "ray_id": "0123456789abcdef", "created_at": "2023-11-14T22:13:20Z", "action": "login",
        "verdict": "allowed", "reason": "policy Staff admits", "ip_address": "127.0.0.1",
        "user_email": "aoi@example.com",
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_holds() {
    let place = Place::new();
    contract::check(Arc::new(place.open().await.unwrap())).await.unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let place = Place::new();
    let key = StoredKey {
        kid: narthex_model::Kid::random(),
        pkcs8: vec![1, 2, 3].into(),
        certificate_pem: String::new(),
        created_at: NOW,
        active_from: NOW,
    };
    let store = place.open().await.unwrap();
    let account = store.account_id().await.unwrap();
    store.commit(Revision(0), &[group(1)], &audit()).await.unwrap();
    store.put_key(&key).await.unwrap();
    store.append_records(&[record()]).await.unwrap();
    let nonce = narthex_model::IdentityNonce::random();
    store.end_session(&nonce, NOW.plus(60)).await.unwrap();
    store.close().await;
    drop(store);

    let store = place.open().await.unwrap();
    assert_eq!(store.account_id().await.unwrap(), account);
    let (revision, configuration) = store.load().await.unwrap();
    assert_eq!((revision, configuration.groups.len()), (Revision(1), 1));
    assert_eq!(store.load_keys().await.unwrap(), [key]);
    assert_eq!(store.records(&RecordFilter::default()).await.unwrap(), [record()]);
    assert_eq!(store.revocations(NOW).await.unwrap().len(), 1);
    assert_eq!(store.verify_audit().await.unwrap(), Intact::Yes(2));
}

/// A power cut, as far as one process can play it: what lies on disk is copied the moment after each
/// acknowledgement, with the store still open, and the copy must hold the change.
#[tokio::test]
async fn what_was_acknowledged_is_on_disk_at_that_moment() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    for n in 1..=5 {
        store.commit(Revision(n - 1), &[group(n)], &audit()).await.unwrap();
        store.append_records(&[record()]).await.unwrap();
        let copy = Place { directory: tempfile::tempdir().unwrap(), master: place.master.clone() };
        for name in ["narthex.db", "narthex.db-wal", "records.db", "records.db-wal"] {
            std::fs::copy(place.file(name), copy.file(name)).unwrap();
        }
        let after = copy.open().await.unwrap();
        let (revision, configuration) = after.load().await.unwrap();
        assert_eq!((revision.0, configuration.groups.len()), (n, usize::try_from(n).unwrap()));
        assert_eq!(after.verify_audit().await.unwrap(), Intact::Yes(2 * n.unsigned_abs()));
    }
}

/// Where the child process of the next test works; unset when the tests run as usual.
const CHILD: &str = "NARTHEX_STORE_TEST_CHILD";

/// Not a test by itself: commits and appends for ever, and says each time what was acknowledged.
#[tokio::test]
#[ignore = "runs as the child process of the next test"]
async fn commits_until_killed() {
    let Some(place) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let master = MasterKey::parse(&std::fs::read_to_string(place.join("key")).unwrap()).unwrap();
    let store = SqliteStore::open(&place.join("narthex.db"), Arc::new(master)).await.unwrap();
    let (Revision(mut n), _) = store.load().await.unwrap();
    loop {
        store.append_records(&[record()]).await.unwrap();
        n = store.commit(Revision(n), &[group(n)], &audit()).await.unwrap().0;
        println!("\nacknowledged {n}");
    }
}

/// Security A9 in the small: killed without warning amid its writes, a process loses nothing that it had
/// acknowledged, the files open, both chains hold, and nobody has to remove a lock.
#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let (master, text) = MasterKey::generate();
    let place = Place { directory: tempfile::tempdir().unwrap(), master: Arc::new(master) };
    std::fs::write(place.file("key"), text.as_bytes()).unwrap();
    let rounds = std::env::var("NARTHEX_KILL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    for round in 1..=rounds.unwrap_or(4_usize) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["commits_until_killed", "--exact", "--ignored", "--nocapture"])
            .env(CHILD, place.directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let acknowledged =
            lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<i64>().ok());
        let last = acknowledged.take(1 + round * 7 % 40).last();
        child.kill().unwrap();
        child.wait().unwrap();

        let store = place.open().await.unwrap();
        let (revision, configuration) = store.load().await.unwrap();
        assert!(Some(revision.0) >= last, "acknowledged {last:?}, found {revision:?}");
        assert_eq!(configuration.groups.len(), usize::try_from(revision.0).unwrap());
        match store.verify_audit().await.unwrap() {
            Intact::Yes(rows) => assert!(rows >= 2 * revision.0.unsigned_abs(), "{rows}"),
            Intact::Broken(why) => panic!("{why}"),
        }
        store.close().await;
    }
}

#[tokio::test]
async fn a_directory_has_one_holder_at_a_time() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    let refused = place.open().await.unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    drop(store);
    place.open().await.unwrap();
}

#[tokio::test]
async fn an_errand_runs_beside_the_holder() {
    let place = Place::new();
    let path = place.file("narthex.db");
    let alone = SqliteStore::open_beside(&path, Arc::clone(&place.master)).await.unwrap();
    assert!(place.open().await.is_err(), "an errand that came first holds the directory");
    alone.close().await;
    drop(alone);

    let store = place.open().await.unwrap();
    let beside = SqliteStore::open_beside(&path, Arc::clone(&place.master)).await.unwrap();
    let token = narthex_store::ApiToken {
        id: narthex_model::ApiTokenId::random(),
        name: "made beside".to_owned(),
        hash: [9; 32],
        created_at: narthex_model::Timestamp(NOW),
        not_before: None,
        expires_at: None,
        disabled: false,
        read_only: false,
    };
    beside.put_api_token(&token).await.unwrap();
    beside.close().await;
    drop(beside);
    assert_eq!(store.api_token_by_hash(&[9; 32]).await.unwrap(), Some(token));
    store.commit(Revision(0), &[group(1)], &audit()).await.unwrap();
    assert!(place.open().await.is_err(), "the holder still holds");
}

#[tokio::test]
async fn one_process_writes_after_the_other_and_the_former_sees_it() {
    let place = Place::new();
    let former = place.open().await.unwrap();
    former.commit(Revision(0), &[group(1)], &audit()).await.unwrap();
    let lock = former.share_lock().unwrap().unwrap();
    former.stop_writing().await.unwrap();
    for refused in [
        former.commit(Revision(1), &[group(2)], &audit()).await.map(|_| ()),
        former.append_records(&[record()]).await,
        former.health().await,
    ] {
        assert!(matches!(refused, Err(StoreError::HandedOver)), "{refused:?}");
    }
    let before = former.data_version().await.unwrap();
    assert_eq!(former.data_version().await.unwrap(), before);

    let path = place.file("narthex.db");
    let latter = SqliteStore::take_over(&path, Arc::clone(&place.master), lock).await.unwrap();
    latter.commit(Revision(1), &[group(3)], &audit()).await.unwrap();
    latter.append_records(&[record()]).await.unwrap();
    assert_ne!(former.data_version().await.unwrap(), before);
    let (revision, seen) = former.load().await.unwrap();
    assert_eq!((revision, seen.groups.len()), (Revision(2), 2));
    former.let_go();
    let third = place.open().await;
    assert!(matches!(third, Err(OpenError::InUse { .. })), "the lock is the latter's");
    assert!(matches!(latter.verify_audit().await.unwrap(), Intact::Yes(3)));
    drop(latter);
    let third = place.open().await.unwrap();
    assert_eq!(third.load().await.unwrap().0, former.load().await.unwrap().0, "it still reads");
}

#[tokio::test]
async fn writing_is_resumed_unless_the_other_has_changed_the_schema() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    store.stop_writing().await.unwrap();
    store.resume_writing().await.unwrap();
    store.commit(Revision(0), &[group(1)], &audit()).await.unwrap();

    store.stop_writing().await.unwrap();
    place.tamper("narthex.db", "UPDATE schema_version SET version = version + 1").await;
    assert!(matches!(store.resume_writing().await, Err(OpenError::Newer { .. })));
    let refused = store.commit(Revision(1), &[group(2)], &audit()).await;
    assert!(matches!(refused, Err(StoreError::HandedOver)));
    store.load().await.unwrap();
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    store.append_records(&[record()]).await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(place.directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    assert!(names.iter().any(|name| name == "records.db-wal"), "{names:?}");
}

#[tokio::test]
async fn a_stolen_copy_holds_no_secret_in_the_clear() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    let key = StoredKey {
        kid: narthex_model::Kid::random(),
        pkcs8: b"PRIVATE-HALF".to_vec().into(),
        certificate_pem: String::new(),
        created_at: NOW,
        active_from: NOW,
    };
    store.put_key(&key).await.unwrap();
    let pkcs8 = b"SAML-HALF".to_vec().into();
    let saml = SamlKey { pkcs8, certificate_pem: String::new(), created_at: NOW };
    store.put_first_saml_key(&saml).await.unwrap();
    let body = json!({"pkce": "VERIFIER-OF-A-LOGIN"});
    store.put_pending(PendingKind::Login, &[1; 32], &body, NOW.plus(60)).await.unwrap();
    store.close().await;
    let bytes = std::fs::read(place.file("narthex.db")).unwrap();
    for secret in ["PRIVATE-HALF", "SAML-HALF", "VERIFIER-OF-A-LOGIN"] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn another_master_key_is_refused_at_the_door() {
    let mut place = Place::new();
    place.open().await.unwrap().close().await;
    place.master = Arc::new(MasterKey::generate().0);
    let refused = place.open().await.unwrap_err();
    assert!(matches!(refused, OpenError::MasterKey { .. }), "{refused}");
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    for name in ["narthex.db", "records.db"] {
        let place = Place::new();
        place.open().await.unwrap().close().await;
        place.tamper(name, "UPDATE schema_version SET version = 1000").await;
        let before = std::fs::read(place.file(name)).unwrap();
        let refused = place.open().await.unwrap_err();
        assert!(matches!(refused, OpenError::Newer { found: 1000, .. }), "{name}: {refused}");
        assert_eq!(std::fs::read(place.file(name)).unwrap(), before, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused() {
    let place = Place::new();
    std::fs::write(
        place.file("narthex.db"),
        "certainly not a database, but long enough\n".repeat(99),
    )
    .unwrap();
    let refused = place.open().await.unwrap_err();
    let damaged = matches!(
        &refused,
        OpenError::Database { path, source: StoreError::Damaged(_) } if path.ends_with("narthex.db")
    );
    assert!(damaged, "{refused}");
    let taken = SqliteStore::open(&place.file("records.db"), Arc::clone(&place.master)).await;
    assert!(taken.unwrap_err().to_string().contains("choose another"));
}

#[tokio::test]
async fn every_altered_record_is_found() {
    for (sql, want) in [
        ("UPDATE access_record SET body = replace(body, 'aoi', 'ren') WHERE seq = 2", "row 2 is not"),
        ("UPDATE access_record SET email = 'ren@example.com' WHERE seq = 3", "row 3 is not"),
        ("UPDATE access_record SET allowed = 0 WHERE seq = 1", "row 1 is not"),
        ("UPDATE access_record SET created_at = created_at + 1 WHERE seq = 1", "row 1 is not"),
        ("DELETE FROM access_record WHERE seq = 1", "row 1 is missing"),
        ("DELETE FROM access_record WHERE seq = 2", "row 2 is missing"),
        ("DELETE FROM access_record WHERE seq = 4", "ends after row 3"),
        ("DELETE FROM access_record", "ends after row 0"),
        ("DELETE FROM chain_head", "sealed head names row 0"),
        ("DELETE FROM access_record WHERE seq = 2; UPDATE access_record SET seq = seq - 1 WHERE seq > 2", "row 2 is not"),
        ("UPDATE access_record SET seq = 9 WHERE seq = 1; UPDATE access_record SET seq = 1 WHERE seq = 2;
          UPDATE access_record SET seq = 2 WHERE seq = 9", "row 1 is not"),
    ] {
        let place = Place::new();
        let store = place.open().await.unwrap();
        store.append_records(&[record(), record(), record(), record()]).await.unwrap();
        assert_eq!(store.verify_audit().await.unwrap(), Intact::Yes(4));
        store.close().await;
        drop(store);
        place.tamper("records.db", sql).await;
        let store = place.open().await.unwrap();
        match store.verify_audit().await.unwrap() {
            Intact::Broken(why) => assert!(why.contains(want), "{sql}: {why}"),
            Intact::Yes(rows) => panic!("{sql}: {rows} rows pass"),
        }
    }
}

/// What is left of a chain whose oldest records were forgotten is guarded as before.
#[tokio::test]
async fn every_altered_record_is_found_after_the_oldest_were_forgotten() {
    for (sql, want) in [
        ("UPDATE access_record SET allowed = 0 WHERE seq = 3", "row 3 is not"),
        ("DELETE FROM access_record WHERE seq = 3", "row 3 is missing"),
        ("DELETE FROM chain_anchor", "row 1 is missing"),
        ("UPDATE chain_anchor SET sealed = (SELECT sealed FROM chain_head)", "chain_anchor"),
        ("DELETE FROM access_record", "ends after row 2"),
    ] {
        let place = Place::new();
        let store = place.open().await.unwrap();
        store.append_records(&[record(), record()]).await.unwrap();
        let young = AccessRecord { created_at: Timestamp(NOW.plus(100)), ..record() };
        store.append_records(&[young.clone(), young]).await.unwrap();
        let term = Term { before: NOW.plus(1), now: NOW.plus(100) };
        assert_eq!(store.prune_records(term, 100).await.unwrap(), 2);
        assert_eq!(store.verify_audit().await.unwrap(), Intact::Yes(2));
        store.close().await;
        drop(store);
        place.tamper("records.db", sql).await;
        let store = place.open().await.unwrap();
        match store.verify_audit().await.unwrap() {
            Intact::Broken(why) => assert!(why.contains(want), "{sql}: {why}"),
            Intact::Yes(rows) => panic!("{sql}: {rows} rows pass"),
        }
    }
}

#[tokio::test]
async fn an_altered_change_of_the_configuration_is_found() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    store.commit(Revision(0), &[group(1)], &audit()).await.unwrap();
    store.close().await;
    drop(store);
    place.tamper("narthex.db", "UPDATE config_change SET actor = 'nobody'").await;
    let store = place.open().await.unwrap();
    let found = store.verify_audit().await.unwrap();
    assert_eq!(found, Intact::Broken("config_change: row 1 is not what was written".to_owned()));
}

#[tokio::test]
async fn calls_after_closing_say_so() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    store.close().await;
    for refused in [store.health().await, store.append_records(&[record()]).await] {
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_store_of_the_size_of_a_large_team_opens() {
    let place = Place::new();
    let store = place.open().await.unwrap();
    let many: Vec<Change> = (0..2_000).map(group).collect();
    store.commit(Revision(0), &many, &audit()).await.unwrap();
    let (_, loaded) = store.load().await.unwrap();
    assert_eq!(loaded.groups.len(), 2_000);
    assert_eq!(Change::between(&loaded, &loaded.clone()).len(), 0, "shared objects are the same");
    assert_eq!(Change::between(&loaded, &Configuration::default()).len(), 2_000);
    assert!(Path::new(&place.file("records.db")).exists());
}
