//! How it is found out that an authority has revoked a certificate: lists that it publishes (RFC 5280 §5), its OCSP
//! responder (RFC 6960), and serial numbers that an administrator named here.

use super::SerialNumber;
use crate::{CertificateAuthorityId, GoDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// What happens when nobody can say whether a certificate was revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckMode {
    /// It is not asked at all.
    Off,
    /// The certificate counts, and an alarm says that nobody knew.
    Soft,
    /// The certificate does not count.
    #[default]
    Hard,
}

/// Revocation lists of an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CrlChecks {
    /// What happens without a list that may still be used. It says nothing while there is neither an address nor a list.
    pub mode: CheckMode,
    /// Where lists are fetched, full ones and deltas.
    pub urls: Vec<Url>,
    /// From one fetch to the next; 1 minute to 7 days.
    pub refresh: GoDuration,
    /// For how long after its `nextUpdate` the last good list is still used while its source is down.
    pub grace: GoDuration,
}

impl Default for CrlChecks {
    fn default() -> Self {
        let duration = |text: &str| text.parse().expect("a duration");
        Self {
            mode: CheckMode::Hard,
            urls: Vec::new(),
            refresh: duration("1h"),
            grace: duration("24h"),
        }
    }
}

/// An authority's OCSP responders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OcspChecks {
    /// What happens when the responder does not say.
    pub mode: CheckMode,
    /// The responder for clients' certificates; `None` asks the one that the certificate names.
    pub url: Option<Url>,
    /// The same as `mode` for the CAs between a client's certificate and the root, each of which may name its issuer's
    /// responder; `None`: as `mode`.
    pub intermediates: Option<CheckMode>,
}

impl Default for OcspChecks {
    fn default() -> Self {
        Self { mode: CheckMode::Off, url: None, intermediates: None }
    }
}

/// Everything that is asked about revocation of one authority's certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RevocationChecks {
    /// Its revocation lists.
    pub crl: CrlChecks,
    /// Its OCSP responder.
    pub ocsp: OcspChecks,
    /// Serial numbers that an administrator declared revoked; they count at once and whatever lists say.
    pub serial_numbers: BTreeSet<SerialNumber>,
}

/// Where a revocation list came from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum CrlSource {
    /// Fetched from this address.
    Url(Box<str>),
    /// Uploaded under this name.
    Upload(Box<str>),
}

const UPLOAD: &str = "upload:";

impl From<CrlSource> for String {
    fn from(source: CrlSource) -> Self {
        source.to_string()
    }
}

impl From<String> for CrlSource {
    fn from(text: String) -> Self {
        match text.strip_prefix(UPLOAD) {
            Some(name) => Self::Upload(name.into()),
            None => Self::Url(text.into()),
        }
    }
}

impl fmt::Display for CrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Upload(name) => write!(f, "{UPLOAD}{name}"),
        }
    }
}

impl fmt::Debug for CrlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why the last attempt to get a list failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlFailure {
    /// When.
    pub at: Timestamp,
    /// What went wrong.
    pub why: String,
}

/// The last good revocation list of one source, and how the last attempt to renew it went.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCrl {
    /// Whose certificates it is about.
    pub authority: CertificateAuthorityId,
    /// Where it came from.
    pub source: CrlSource,
    /// The list, DER; `None` when there never was a good one.
    pub der: Option<Arc<[u8]>>,
    /// When the list was taken up.
    pub taken_at: Option<Timestamp>,
    /// The failure since then, if the last attempt was one.
    pub failure: Option<CrlFailure>,
}

impl fmt::Debug for StoredCrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCrl")
            .field("authority", &self.authority)
            .field("source", &self.source)
            .field("bytes", &self.der.as_ref().map(|der| der.len()))
            .field("taken_at", &self.taken_at)
            .field("failure", &self.failure)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_said_about_revocation_has_defaults() {
        let checks: RevocationChecks =
            serde_json::from_value(json!({"crl": {"urls": ["http://ca.example/a.crl"]}})).unwrap();
        assert_eq!(checks.crl.mode, CheckMode::Hard, "a list that is named is enforced");
        assert_eq!((checks.crl.refresh.seconds(), checks.crl.grace.seconds()), (3_600, 86_400));
        assert_eq!(checks.ocsp.mode, CheckMode::Off);
        assert_eq!(
            serde_json::from_value::<RevocationChecks>(json!({})).unwrap(),
            RevocationChecks::default()
        );
        let back: RevocationChecks =
            serde_json::from_value(serde_json::to_value(&checks).unwrap()).unwrap();
        assert_eq!(back, checks);
    }

    #[test]
    fn an_upload_is_no_address() {
        for source in [CrlSource::Url("http://x/y".into()), CrlSource::Upload("CN=A".into())] {
            assert_eq!(CrlSource::from(source.to_string()), source);
        }
    }
}
