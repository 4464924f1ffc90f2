//! Which country an address is in, from a MaxMind DB file.

use narthex_model::CountryCode;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Why a country database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CountriesError {
    /// The file could not be read.
    #[error("cannot read the country database {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no MaxMind DB, or is damaged.
    #[error("{} is not a sound MaxMind DB file, fetch it again: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What the reader found.
        why: String,
    },
}

/// A country database, held in memory.
pub struct Countries {
    reader: maxminddb::Reader<Vec<u8>>,
}

impl fmt::Debug for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Countries").finish_non_exhaustive()
    }
}

impl Countries {
    /// Reads the whole file. Both layouts in use are understood: `country.iso_code` and a flat `country_code`.
    ///
    /// # Errors
    /// [`CountriesError`] when the file cannot be read or is not sound.
    pub fn load(path: &Path) -> Result<Self, CountriesError> {
        let _ = path;
        unimplemented!()
    }

    /// The country of `ip`, or `None` when the database does not say.
    #[must_use]
    pub fn lookup(&self, ip: IpAddr) -> Option<CountryCode> {
        let _ = ip;
        unimplemented!()
    }
}
