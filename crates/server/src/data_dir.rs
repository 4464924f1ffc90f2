//! The data directory: who may read it, and what is made in it at the first start.

use narthex_model::{AccountId, MasterKey};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes the directory if needed, for its owner alone.
///
/// # Errors
/// When it cannot be made or written to.
pub fn prepare(data_dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)
}

/// Reads the key that seals secrets, or makes it at the first start (`master.key`, mode 0600).
///
/// # Errors
/// When the file is no key, or cannot be read or written.
pub fn master_key(data_dir: &Path) -> io::Result<MasterKey> {
    let path = data_dir.join("master.key");
    match std::fs::read_to_string(&path) {
        Ok(text) => MasterKey::parse(&text).map_err(io::Error::other),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let (key, text) = MasterKey::generate();
            write_private(&path, text.as_bytes())?;
            Ok(key)
        }
        Err(e) => Err(e),
    }
}

/// Keeps the account id that was made at the first start.
///
/// # Errors
/// When the file cannot be written.
pub fn keep_account_id(data_dir: &Path, id: &AccountId) -> io::Result<()> {
    let path = data_dir.join("account-id");
    if path.exists() { Ok(()) } else { write_private(&path, id.as_str().as_bytes()) }
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

    #[test]
    fn the_master_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        prepare(&data).unwrap();
        let sealed = master_key(&data).unwrap().seal(b"x", "place");
        assert!(master_key(&data).unwrap().open(&sealed, "place").is_ok(), "the same key again");
        let mode = std::fs::metadata(data.join("master.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_damaged_master_key_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("master.key"), "not a key").unwrap();
        assert!(master_key(dir.path()).is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("master.key")).unwrap(), "not a key");
    }
}
