//! The parts of a CertificateList (RFC 5280 §5.1). Entries are read one by one, without copying.

use super::CrlFault;
use crate::serials::MAX_SERIAL;
use crate::{Certificate, Name, der, hex};
use narthex_model::UnixSeconds;
use x509_parser::extensions::X509Extension;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

const CRL_NUMBER: &str = "2.5.29.20";
const REASON_CODE: &str = "2.5.29.21";
const DELTA_INDICATOR: &str = "2.5.29.27";
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
const CERTIFICATE_ISSUER: &str = "2.5.29.29";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";

/// The reason `removeFromCRL` (RFC 5280 §5.3.1).
const REMOVE_FROM_CRL: u8 = 8;

/// What a list holds, signed or not.
pub(super) struct Raw<'a> {
    pub(super) issuer: Name,
    pub(super) scope: Scope,
    pub(super) number: Option<Number>,
    pub(super) base: Option<Number>,
    pub(super) this_update: UnixSeconds,
    pub(super) next_update: Option<UnixSeconds>,
    pub(super) revoked: Vec<&'a [u8]>,
    /// Entries of a delta that take a certificate off hold.
    pub(super) restored: Vec<&'a [u8]>,
}

/// A number of a list: large, never negative, ordered by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number(Box<[u8]>);

/// Which certificates of its issuer a list speaks about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    only_users: bool,
    only_authorities: bool,
    /// The distribution point that it belongs to, if it is one part of several: its URIs.
    point: Option<Box<[Box<str>]>>,
}

/// The issuer of a `TBSCertList`, before anything else of it is believed.
pub(super) fn issuer(message: &[u8]) -> Result<Name, CrlFault> {
    Ok(Header::read(message)?.issuer)
}

struct Header<'a> {
    inner_algorithm: &'a [u8],
    issuer: Name,
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(message: &'a [u8]) -> Result<Self, CrlFault> {
        use CrlFault::Malformed;
        let mut rest = der::only(message, der::SEQUENCE).ok_or(Malformed("content"))?.content;
        let version = der::take_tagged(&mut rest, der::INTEGER).map(|version| version.content);
        if version.is_some_and(|version| version != [1]) {
            return Err(CrlFault::Unsupported("a version other than 2"));
        }
        let algorithm = der::take_tagged(&mut rest, der::SEQUENCE);
        let issuer = der::take_tagged(&mut rest, der::SEQUENCE);
        Ok(Self {
            inner_algorithm: algorithm.ok_or(Malformed("algorithm"))?.whole,
            issuer: issuer.and_then(|name| Name::parse(name.whole)).ok_or(Malformed("issuer"))?,
            rest,
        })
    }
}

impl<'a> Raw<'a> {
    /// Reads a whole list, of which `message` is the signed part.
    pub(super) fn read(whole: &'a [u8], message: &'a [u8]) -> Result<Self, CrlFault> {
        use CrlFault::Malformed;
        let Header { inner_algorithm, issuer, mut rest } = Header::read(message)?;
        if outer_algorithm(whole) != Some(inner_algorithm) {
            return Err(Malformed("algorithm, which is said twice and differs,"));
        }
        let this_update = time(&mut rest)?.ok_or(Malformed("thisUpdate"))?;
        let next_update = time(&mut rest)?;
        let mut list = Self {
            issuer,
            scope: Scope::default(),
            number: None,
            base: None,
            this_update,
            next_update,
            revoked: Vec::new(),
            restored: Vec::new(),
        };
        if let Some(entries) = der::take_tagged(&mut rest, der::SEQUENCE) {
            list.read_entries(entries.content)?;
        }
        if let Some(extensions) = der::take_tagged(&mut rest, 0xa0) {
            list.read_extensions(extensions.content)?;
        }
        if !rest.is_empty() {
            return Err(Malformed("end"));
        }
        Ok(list)
    }

    fn read_entries(&mut self, mut entries: &'a [u8]) -> Result<(), CrlFault> {
        let broken = CrlFault::Malformed("list of entries");
        while !entries.is_empty() {
            let mut entry =
                der::take_tagged(&mut entries, der::SEQUENCE).ok_or(broken.clone())?.content;
            let serial = der::take_tagged(&mut entry, der::INTEGER).ok_or(broken.clone())?.content;
            let serial = shortest(serial);
            if serial.is_empty() || serial.len() > MAX_SERIAL {
                return Err(CrlFault::Malformed("serial number of an entry"));
            }
            time(&mut entry)?.ok_or(broken.clone())?;
            let mut removes = false;
            if let Some(extensions) = der::take_tagged(&mut entry, der::SEQUENCE) {
                removes = entry_removes(extensions.content)?;
            }
            if !entry.is_empty() {
                return Err(broken);
            }
            if removes { self.restored.push(serial) } else { self.revoked.push(serial) }
        }
        Ok(())
    }

    fn read_extensions(&mut self, wrapped: &[u8]) -> Result<(), CrlFault> {
        let broken = CrlFault::Malformed("list of extensions");
        let mut extensions = der::only(wrapped, der::SEQUENCE).ok_or(broken.clone())?.content;
        let mut seen: Vec<String> = Vec::new();
        while !extensions.is_empty() {
            let extension = next_extension(&mut extensions).ok_or(broken.clone())?;
            let oid = extension.oid.to_id_string();
            match oid.as_str() {
                CRL_NUMBER => self.number = Some(Number::read(extension.value)?),
                DELTA_INDICATOR => self.base = Some(Number::read(extension.value)?),
                ISSUING_DISTRIBUTION_POINT => self.scope = Scope::read(extension.value)?,
                AUTHORITY_KEY_ID => {}
                _ if extension.critical => {
                    return Err(CrlFault::Unsupported("it holds an unknown critical extension"));
                }
                _ => {}
            }
            if seen.contains(&oid) || seen.len() == 64 {
                return Err(broken);
            }
            seen.push(oid);
        }
        Ok(())
    }
}

fn outer_algorithm(whole: &[u8]) -> Option<&[u8]> {
    let mut parts = der::only(whole, der::SEQUENCE)?.content;
    der::take(&mut parts)?;
    Some(der::take_tagged(&mut parts, der::SEQUENCE)?.whole)
}

/// The next element if it is a time (UTCTime or GeneralizedTime).
fn time(input: &mut &[u8]) -> Result<Option<UnixSeconds>, CrlFault> {
    let found = [0x17, 0x18].into_iter().find_map(|tag| der::take_tagged(input, tag));
    let Some(element) = found else { return Ok(None) };
    let (_, time) =
        ASN1Time::from_der(element.whole).map_err(|_| CrlFault::Malformed("a time in it"))?;
    Ok(Some(UnixSeconds(time.timestamp())))
}

fn next_extension<'a>(input: &mut &'a [u8]) -> Option<X509Extension<'a>> {
    let element = der::take_tagged(input, der::SEQUENCE)?;
    X509Extension::from_der(element.whole).ok().map(|(_, extension)| extension)
}

/// Whether an entry of a delta takes its certificate off the list.
fn entry_removes(mut extensions: &[u8]) -> Result<bool, CrlFault> {
    let mut removes = false;
    while !extensions.is_empty() {
        let extension =
            next_extension(&mut extensions).ok_or(CrlFault::Malformed("extension of an entry"))?;
        match extension.oid.to_id_string().as_str() {
            REASON_CODE => removes = extension.value == [0x0a, 1, REMOVE_FROM_CRL],
            CERTIFICATE_ISSUER => {
                return Err(CrlFault::Unsupported("an indirect list, of several issuers"));
            }
            _ if extension.critical => {
                return Err(CrlFault::Unsupported("an entry holds an unknown critical extension"));
            }
            _ => {}
        }
    }
    Ok(removes)
}

fn shortest(mut octets: &[u8]) -> &[u8] {
    while let [0, next, ..] = octets
        && *next < 0x80
    {
        octets = &octets[1..];
    }
    octets
}

impl Number {
    fn read(value: &[u8]) -> Result<Self, CrlFault> {
        let content = der::only(value, der::INTEGER).map(|number| number.content);
        let valid = content.filter(|content| {
            (1..=21).contains(&content.len()) && content[0] < 0x80 // RFC 5280 §5.2.3: 20 octets
        });
        let content = valid.ok_or(CrlFault::Malformed("number"))?;
        Ok(Self(content.iter().copied().skip_while(|octet| *octet == 0).collect()))
    }

    pub(super) fn hex(&self) -> String {
        if self.0.is_empty() { "00".into() } else { hex::upper(&self.0) }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Scope {
    /// Reads an issuing distribution point (RFC 5280 §5.2.5) by ourselves: the library skips a member that it cannot
    /// read, and a list of some reasons would pass for a list of all.
    fn read(value: &[u8]) -> Result<Self, CrlFault> {
        let broken = CrlFault::Malformed("issuing distribution point");
        let mut members = der::only(value, der::SEQUENCE).ok_or(broken.clone())?.content;
        let mut scope = Self::default();
        let mut last = 0;
        while !members.is_empty() {
            let member = der::take(&mut members).ok_or(broken.clone())?;
            let is_flag = member.content == [0xff]; // DER leaves a false out
            match member.tag {
                _ if member.tag & 0x1f < last => return Err(broken),
                0xa0 => scope.point = Some(point_name(member.content).ok_or(broken.clone())?),
                0x81 if is_flag => scope.only_users = true,
                0x82 if is_flag => scope.only_authorities = true,
                0x83 => return Err(CrlFault::Unsupported("a list of some reasons only")),
                0x84 if is_flag => {
                    return Err(CrlFault::Unsupported("an indirect list, of several issuers"));
                }
                0x85 if is_flag => {
                    return Err(CrlFault::Unsupported("a list of attribute certificates"));
                }
                _ => return Err(broken),
            }
            last = (member.tag & 0x1f) + 1;
        }
        if scope.only_users && scope.only_authorities {
            return Err(broken);
        }
        Ok(scope)
    }

    /// Whether a certificate of the list's issuer is one that it speaks about.
    pub(super) fn includes(&self, certificate: &Certificate) -> bool {
        if if certificate.is_ca() { self.only_users } else { self.only_authorities } {
            return false;
        }
        self.point
            .as_ref()
            .is_none_or(|urls| urls.iter().any(|url| certificate.crl_urls().contains(url)))
    }
}

/// The URIs of a DistributionPointName; none for a name relative to the issuer.
fn point_name(content: &[u8]) -> Option<Box<[Box<str>]>> {
    let mut rest = content;
    let name = der::take(&mut rest).filter(|_| rest.is_empty())?;
    let mut names = match name.tag {
        0xa0 => name.content,
        0xa1 => &[],
        _ => return None,
    };
    let mut urls = Vec::new();
    while !names.is_empty() {
        let name = der::take(&mut names)?;
        if name.tag == 0x86 {
            urls.push(std::str::from_utf8(name.content).ok()?.into());
        }
    }
    Some(urls.into())
}
