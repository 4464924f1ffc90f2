//! Certificates as administrators paste them: PEM (RFC 7468), one after the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest text that is read, in bytes.
const LONGEST: usize = 256 * 1024;
/// The most certificates in one text.
const MOST: usize = 20;

/// Text that is not a sequence of PEM certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPem {
    /// No block at all.
    #[error("there is no -----BEGIN CERTIFICATE----- in it; paste the certificate as PEM")]
    Empty,
    /// A block of another kind, such as a private key.
    #[error("it holds a {0:?} block; paste certificates only, never a private key")]
    Label(String),
    /// A block that is cut or not base64.
    #[error("certificate {0} is cut or damaged: {1}")]
    Block(usize, &'static str),
    /// Too much of it.
    #[error("it is too long: at most {MOST} certificates and {} KiB", LONGEST / 1024)]
    TooLong,
}

/// One or more certificates: the text as it was written, and the DER of each, in that order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificatePem {
    written: Box<str>,
    der: Arc<[Box<[u8]>]>,
}

impl CertificatePem {
    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The DER of each certificate; at least one.
    #[must_use]
    pub fn der(&self) -> &Arc<[Box<[u8]>]> {
        &self.der
    }
}

/// The blocks of a PEM text: label and DER. Text outside of blocks, such as what `openssl x509 -text` prints, is
/// ignored.
///
/// # Errors
/// [`InvalidPem::Block`] when a block has no end or is not base64.
pub fn blocks(text: &str) -> Result<Vec<(&str, Vec<u8>)>, InvalidPem> {
    let (mut found, mut lines) = (Vec::new(), text.lines().map(str::trim));
    while let Some(line) = lines.next() {
        let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        let Some(label) = label else { continue };
        let wrong = |why| InvalidPem::Block(found.len() + 1, why);
        let mut body = String::new();
        loop {
            let line = lines.next().ok_or_else(|| wrong("its END line is missing"))?;
            if let Some(end) = line.strip_prefix("-----END ") {
                if end.strip_suffix("-----") != Some(label) {
                    return Err(wrong("its END line names something else"));
                }
                break;
            }
            body.extend(line.chars().filter(|c| !c.is_ascii_whitespace()));
        }
        let der = STANDARD.decode(&body).ok().filter(|der| !der.is_empty());
        let der = der.ok_or_else(|| wrong("it is not base64"))?;
        found.push((label, der));
    }
    Ok(found)
}

impl TryFrom<String> for CertificatePem {
    type Error = InvalidPem;
    fn try_from(written: String) -> Result<Self, InvalidPem> {
        if written.len() > LONGEST {
            return Err(InvalidPem::TooLong);
        }
        let found = blocks(&written)?;
        if let Some((label, _)) = found.iter().find(|(label, _)| *label != "CERTIFICATE") {
            return Err(InvalidPem::Label(label.chars().take(40).collect()));
        }
        match found.len() {
            0 => Err(InvalidPem::Empty),
            1..=MOST => {
                let der = found.into_iter().map(|(_, der)| der.into()).collect();
                Ok(Self { written: written.into(), der })
            }
            _ => Err(InvalidPem::TooLong),
        }
    }
}

impl std::str::FromStr for CertificatePem {
    type Err = InvalidPem;
    fn from_str(raw: &str) -> Result<Self, InvalidPem> {
        raw.to_owned().try_into()
    }
}

impl From<CertificatePem> for String {
    fn from(pem: CertificatePem) -> Self {
        pem.written.into()
    }
}

impl fmt::Debug for CertificatePem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.der.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn certificates_come_in_their_order_with_anything_between() {
        let text = format!(
            "Certificate:\n  Data:\n{}# the root\r\n{}",
            block("CERTIFICATE", "MAM=\r\n"),
            block("CERTIFICATE", "  MAMC\n AQE=")
        );
        let pem: CertificatePem = text.parse().unwrap();
        let der: Vec<&[u8]> = pem.der().iter().map(|der| &**der).collect();
        assert_eq!(der, [&[0x30, 0x03][..], &[0x30, 0x03, 0x02, 0x01, 0x01][..]]);
        assert_eq!(pem.as_str(), text, "echoed as it was written");
    }

    #[test]
    fn what_is_not_a_whole_certificate_is_refused_with_its_reason() {
        let many = block("CERTIFICATE", "MAM=").repeat(21);
        for (text, want) in [
            ("", InvalidPem::Empty),
            ("MAM=", InvalidPem::Empty),
            (&block("PRIVATE KEY", "MAM="), InvalidPem::Label("PRIVATE KEY".to_owned())),
            (
                &(block("CERTIFICATE", "MAM=") + &block("EC PRIVATE KEY", "MAM=")),
                InvalidPem::Label("EC PRIVATE KEY".to_owned()),
            ),
            ("-----BEGIN CERTIFICATE-----\nMAM=", InvalidPem::Block(1, "its END line is missing")),
            (
                "-----BEGIN CERTIFICATE-----\nMAM=\n-----END X-----",
                InvalidPem::Block(1, "its END line names something else"),
            ),
            (&block("CERTIFICATE", "MAM"), InvalidPem::Block(1, "it is not base64")),
            (&block("CERTIFICATE", "MA!="), InvalidPem::Block(1, "it is not base64")),
            (&block("CERTIFICATE", "MAN="), InvalidPem::Block(1, "it is not base64")),
            (&block("CERTIFICATE", "M==="), InvalidPem::Block(1, "it is not base64")),
            (&block("CERTIFICATE", ""), InvalidPem::Block(1, "it is not base64")),
            (&many, InvalidPem::TooLong),
            (&" ".repeat(LONGEST + 1), InvalidPem::TooLong),
        ] {
            assert_eq!(
                text.parse::<CertificatePem>(),
                Err(want),
                "{}",
                &text[..text.len().min(60)]
            );
        }
    }
}
