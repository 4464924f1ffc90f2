//! The data directory: made for its owner only, and held by one process at a time.

use crate::OpenError;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// The directory is ours while this lives. The system lets go of it when the process ends, however it ends, and every
/// process that the hold was shared with.
pub(super) struct Hold {
    file: File,
}

impl Hold {
    /// The same hold for another process, to which the file is passed on.
    pub(super) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Leaves our process id for the message that the next one gets.
    pub(super) fn sign(&self) -> io::Result<()> {
        sign(&mut &self.file)
    }
}

/// The directory of a database file.
pub(super) fn of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Makes the directory if it is missing, for its owner only.
pub(super) fn make(directory: &Path) -> Result<(), OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| OpenError::File { path: directory.to_owned(), source })
}

/// Makes the database file if it is missing, readable by its owner only; takes the rights of others away otherwise.
/// SQLite gives its side files (`-wal`, `-shm`) the mode of the database.
///
/// An existing file is never opened here: closing it would drop the locks of this process's own connections to it.
pub(super) fn make_private(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let done = match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tighten(path),
        Err(error) => Err(error),
    };
    done.map_err(|source| OpenError::File { path: path.to_owned(), source })
}

fn tighten(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        fs::set_permissions(path, Permissions::from_mode(0o600))
    }
}

/// Takes the directory for this process.
///
/// # Errors
/// [`OpenError::InUse`] when another process, or another store of this one, has it.
pub(super) fn hold(directory: &Path) -> Result<Hold, OpenError> {
    let path = directory.join("store.lock");
    let failed = |source| OpenError::File { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            sign(&mut &file).map_err(failed)?;
            Ok(Hold { file })
        }
        Err(TryLockError::WouldBlock) => {
            Err(OpenError::InUse { directory: directory.to_owned(), holder: holder(&mut file) })
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Takes the directory together with the process that shared its hold, as long as that one lives, and then alone.
///
/// # Errors
/// [`OpenError::Elsewhere`] when `file` is the hold of another directory.
pub(super) fn inherit(directory: &Path, file: File) -> Result<Hold, OpenError> {
    let path = directory.join("store.lock");
    let failed = |source| OpenError::File { path: path.clone(), source };
    let of = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let ours = match fs::metadata(&path) {
        Ok(metadata) => Some(of(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    if ours != Some(of(file.metadata().map_err(failed)?)) {
        return Err(OpenError::Elsewhere { directory: directory.to_owned() });
    }
    let hold = Hold { file };
    hold.sign().map_err(failed)?;
    Ok(hold)
}

fn sign(file: &mut &File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text).ok().and_then(|_| text.trim().parse::<u32>().ok())
    {
        Some(id) => format!("process {id}"),
        None => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let first = hold(place.path()).unwrap();
        match hold(place.path()) {
            Err(OpenError::InUse { holder, .. }) => {
                assert_eq!(holder, format!("process {}", std::process::id()));
            }
            other => panic!("{:?}", other.err()),
        }
        drop(first);
        assert!(hold(place.path()).is_ok());
    }

    #[test]
    fn a_shared_hold_is_never_free_in_between() {
        let place = tempfile::tempdir().unwrap();
        let first = hold(place.path()).unwrap();
        let passed_on = first.share().unwrap();
        drop(first);
        assert!(hold(place.path()).is_err(), "it is on its way");
        let second = inherit(place.path(), passed_on).unwrap();
        assert!(hold(place.path()).is_err());
        let elsewhere = tempfile::tempdir().unwrap();
        let wrong = inherit(elsewhere.path(), second.share().unwrap());
        assert!(matches!(wrong, Err(OpenError::Elsewhere { .. })));
        drop(second);
        assert!(hold(place.path()).is_ok());
    }

    #[test]
    fn files_are_for_their_owner_only() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("a/b");
        make(&directory).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        let file = directory.join("x.db");
        make_private(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        make_private(&file).unwrap();
        assert_eq!(mode(&file), 0o600, "a file that others could read");
    }

    #[test]
    fn a_bare_file_name_lies_in_the_working_directory() {
        assert_eq!(of(Path::new("narthex.db")), Path::new("."));
        assert_eq!(of(Path::new("data/narthex.db")), Path::new("data"));
    }
}
