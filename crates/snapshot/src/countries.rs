//! Which country an address is in, from a MaxMind DB file.

use maxminddb::{PathElement, Reader};
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
    reader: Reader<Vec<u8>>,
}

impl fmt::Debug for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = &self.reader.metadata().database_type;
        f.debug_struct("Countries").field("database_type", kind).finish_non_exhaustive()
    }
}

/// Where the code stands: in MaxMind's and DB-IP's files, and in flat ones such as IPinfo's.
const LAYOUTS: [&[PathElement<'static>]; 2] = [
    &[PathElement::Key("country"), PathElement::Key("iso_code")],
    &[PathElement::Key("country_code")],
];

impl Countries {
    /// Reads the whole file. Both layouts in use are understood: `country.iso_code` and a flat `country_code`.
    ///
    /// The frame of the file is checked; damage inside shows when an address is looked up, and then its country is
    /// unknown, which admits nobody.
    ///
    /// # Errors
    /// [`CountriesError`] when the file cannot be read or is not sound.
    pub fn load(path: &Path) -> Result<Self, CountriesError> {
        let bytes = std::fs::read(path)
            .map_err(|source| CountriesError::Unreadable { path: path.to_owned(), source })?;
        let reader = Reader::from_source(bytes).map_err(|error| CountriesError::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        Ok(Self { reader })
    }

    /// The country of `ip`, or `None` when the database does not say. An IPv4-mapped IPv6 address is the IPv4
    /// address.
    #[must_use]
    pub fn lookup(&self, ip: IpAddr) -> Option<CountryCode> {
        let found = self.reader.lookup(ip.to_canonical()).ok()?;
        let mut codes =
            LAYOUTS.iter().filter_map(|layout| found.decode_path::<&str>(layout).ok()?);
        codes.next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database in which 192.0.0.0/2 has `record` and no other address has any (MaxMind DB format 2.0).
    fn database(record: &[u8]) -> Vec<u8> {
        let text = |t: &str| [&[0x40 | u8::try_from(t.len()).unwrap()], t.as_bytes()].concat();
        let short = |n: u16| [&[0xa2][..], &n.to_be_bytes()].concat();
        let long = |n: u32| [&[0xc4][..], &n.to_be_bytes()].concat();
        // Two nodes of 24-bit records: 0 is "nothing" (= the number of nodes) or on to node 1; there, the record.
        let (nothing, data) = ([0, 0, 2], [0, 0, 2 + 16]);
        let tree = [nothing, [0, 0, 1], nothing, data].concat();
        let metadata = [
            &[0xe9][..],
            &[text("node_count"), long(2), text("record_size"), short(24)].concat(),
            &[text("ip_version"), short(4), text("database_type"), text("Test")].concat(),
            &[text("binary_format_major_version"), short(2)].concat(),
            &[text("binary_format_minor_version"), short(0)].concat(),
            &[text("build_epoch"), vec![1, 2, 1], text("languages"), vec![0, 4]].concat(),
            &[text("description"), vec![0xe0]].concat(),
        ]
        .concat();
        [&tree, &[0; 16][..], record, b"\xab\xcd\xefMaxMind.com", &metadata].concat()
    }

    fn load(bytes: &[u8]) -> Result<Countries, CountriesError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Countries::load(file.path())
    }

    #[test]
    fn both_layouts_are_read() {
        let nested = b"\xe1\x47country\xe1\x48iso_code\x42JP";
        let flat = b"\xe2\x47country\x45Japan\x4ccountry_code\x42jp";
        for (record, want) in [
            (&nested[..], Some("JP")),
            (&flat[..], Some("JP")),
            (&b"\xe1\x47country\xe1\x48iso_code\x45Japan"[..], None),
            (&b"\xe1\x44city\x42JP"[..], None),
            (&b"\xe1\x4ccountry_code\xa1\x05"[..], None),
        ] {
            let countries = load(&database(record)).unwrap();
            for (ip, inside) in [
                ("192.0.2.1", true),
                ("255.255.255.255", true),
                ("::ffff:192.0.2.1", true),
                ("191.255.255.255", false),
                ("10.0.0.1", false),
                ("2001:db8::1", false),
            ] {
                let found = countries.lookup(ip.parse().unwrap()).map(|c| c.to_string());
                assert_eq!(found.as_deref(), want.filter(|_| inside), "{ip} {record:?}");
            }
        }
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let sound = database(b"\xe1\x4ccountry_code\x42JP");
        for bytes in [&b""[..], b"PK\x03\x04", &sound[..sound.len() / 2]] {
            let error = load(bytes).unwrap_err();
            assert!(matches!(error, CountriesError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("fetch it again"), "{error}");
        }
        let absent = Countries::load(Path::new("/nonexistent/country.mmdb")).unwrap_err();
        assert!(absent.to_string().contains("/nonexistent/country.mmdb"), "{absent}");
    }

    #[test]
    fn damage_inside_makes_a_country_unknown() {
        let countries = load(&database(b"\xff\xff\xff\xff")).unwrap();
        assert_eq!(countries.lookup([192, 0, 2, 1].into()), None);
    }
}
