//! The data directory: who may read it, and what is made in it at the first start.

use crate::config::{Settings, StoreRoute};
use narthex_model::MasterKey;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made, or a file in it cannot be read or written.
    #[error("{}: {error}; the gateway's user must own the data directory", path.display())]
    File {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file does not hold a key.
    #[error("{}: {error}; restore it from the backup: without it the sealed secrets do not open", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: narthex_model::InvalidMasterKey,
    },
    /// There is a database, and not the key that seals its secrets.
    #[error(
        "{} is missing, and {} needs it; restore it from the backup, or give it as [store] master_key",
        key.display(), database.display()
    )]
    Missing {
        /// The file that should be there.
        key: PathBuf,
        /// What it seals.
        database: PathBuf,
    },
}

/// Makes the data directory if needed, for its owner alone, and answers the key that seals secrets: the configured one,
/// or `master.key` (mode 0600), which is made at the first start.
///
/// # Errors
/// [`DataDirError`], each with its remedy.
pub fn prepare(settings: &Settings) -> Result<Arc<MasterKey>, DataDirError> {
    let data_dir = &settings.data_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(|error| DataDirError::File { path: data_dir.clone(), error })?;
    match &settings.master_key {
        Some(key) => Ok(key.clone()),
        None => {
            let StoreRoute::Sqlite(database) = &settings.store;
            master_key(data_dir, database).map(Arc::new)
        }
    }
}

fn master_key(data_dir: &Path, database: &Path) -> Result<MasterKey, DataDirError> {
    let path = data_dir.join("master.key");
    match std::fs::read_to_string(&path) {
        Ok(text) => MasterKey::parse(&text).map_err(|error| DataDirError::Damaged { path, error }),
        Err(e) if e.kind() == io::ErrorKind::NotFound && database.exists() => {
            Err(DataDirError::Missing { key: path, database: database.to_owned() })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let (key, text) = MasterKey::generate();
            write_private(&path, text.as_bytes())
                .map_err(|error| DataDirError::File { path, error })?;
            Ok(key)
        }
        Err(error) => Err(DataDirError::File { path, error }),
    }
}

/// Writes a new file that only its owner can read. The name appears only when its content is on disk.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &Path) -> Settings {
        let text = "data_dir = \"data\"\n[listen]\nhttps = [\"127.0.0.1:0\"]\n[team]\nname = \"a\"\ndomain = \"a.test\"\n";
        Settings::parse(text, &dir.join("narthex.toml")).unwrap()
    }

    #[test]
    fn the_master_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, data) = (settings(dir.path()), dir.path().join("data"));
        let sealed = prepare(&settings).unwrap().seal(b"x", "place");
        assert!(prepare(&settings).unwrap().open(&sealed, "place").is_ok(), "the same key again");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("master.key"))), (0o700, 0o600));
    }

    #[test]
    fn a_damaged_or_missing_master_key_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, data) = (settings(dir.path()), dir.path().join("data"));
        prepare(&settings).unwrap();
        let key = data.join("master.key");
        for damaged in ["", "not a key", "zz".repeat(32).as_str()] {
            std::fs::write(&key, damaged).unwrap();
            let error = prepare(&settings).unwrap_err().to_string();
            assert!(error.contains("master.key") && error.contains("64 hexadecimal"), "{error}");
            assert!(damaged.is_empty() || !error.contains(damaged), "{error}");
            assert_eq!(std::fs::read_to_string(&key).unwrap(), damaged);
        }
        std::fs::remove_file(&key).unwrap();
        std::fs::write(data.join("narthex.db"), "").unwrap();
        let error = prepare(&settings).unwrap_err().to_string();
        assert!(error.contains("master.key is missing"), "{error}");
        assert!(!key.exists());
    }
}
