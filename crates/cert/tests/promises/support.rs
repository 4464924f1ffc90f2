//! What the tests need: DER written by hand (for certificates that no library would make), and the `openssl` command.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SigningKey as _};
use std::io::Write as _;
use std::process::{Command, Stdio};

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..0x80 => out.push(length as u8),
        length @ 0x80..0x100 => out.extend([0x81, length as u8]),
        length @ 0x100..0x1_0000 => out.extend([0x82, (length >> 8) as u8, length as u8]),
        length => out.extend([0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// The OBJECT IDENTIFIER of dotted text.
pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = Vec::new();
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let mut septets = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            septets.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        content.extend(septets.iter().rev());
    }
    tlv(6, &content)
}

/// One attribute: type, tag of the value, value.
pub(crate) type Attribute<'a> = (&'a str, u8, &'a [u8]);

/// A name from its relative distinguished names.
pub(crate) fn name(rdns: &[&[Attribute<'_>]]) -> Vec<u8> {
    let sets: Vec<_> = rdns
        .iter()
        .map(|rdn| {
            let mut members: Vec<_> = rdn
                .iter()
                .map(|(kind, tag, value)| seq(&[&oid(kind), &tlv(*tag, value)]))
                .collect();
            members.sort(); // DER
            tlv(0x31, &members.concat())
        })
        .collect();
    tlv(0x30, &sets.concat())
}

pub(crate) fn cn(text: &str) -> Vec<u8> {
    name(&[&[("2.5.4.3", 0x0c, text.as_bytes())]])
}

pub(crate) fn utc(text: &str) -> Vec<u8> {
    tlv(0x17, text.as_bytes())
}

/// An extension with its value (DER).
pub(crate) fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    seq(&[&oid(id), critical, &tlv(4, value)])
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// `ecdsa-with-SHA256`
pub(crate) fn algorithm() -> Vec<u8> {
    seq(&[&oid("1.2.840.10045.4.3.2")])
}

/// A signed structure: the message, the algorithm, the signature.
pub(crate) fn signed(message: &[u8], key: &KeyPair) -> Vec<u8> {
    let signature = [&[0][..], &key.sign(message).unwrap()].concat();
    seq(&[message, &algorithm(), &tlv(3, &signature)])
}

/// A certificate in force from 2020 to 2049.
pub(crate) struct Forged<'a> {
    pub(crate) serial: &'a [u8],
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Forged<'_> {
    pub(crate) fn sign(&self, holder: &KeyPair, issuer: &KeyPair) -> Vec<u8> {
        let validity = seq(&[&utc("200101000000Z"), &utc("491231235959Z")]);
        let extensions = if self.extensions.is_empty() {
            Vec::new()
        } else {
            tlv(0xa3, &tlv(0x30, &self.extensions.concat()))
        };
        let message = seq(&[
            &tlv(0xa0, &[2, 1, 2]),
            &tlv(2, self.serial),
            &algorithm(),
            &self.issuer,
            &validity,
            &self.subject,
            &holder.subject_public_key_info(),
            &extensions,
        ]);
        signed(&message, issuer)
    }
}

/// basicConstraints CA:TRUE
pub(crate) fn ca() -> Vec<u8> {
    extension("2.5.29.19", true, &seq(&[&[1, 1, 0xff]]))
}

/// keyUsage with these bits (first octet of the BIT STRING).
pub(crate) fn usage(bits: u8) -> Vec<u8> {
    extension("2.5.29.15", true, &[3, 2, bits.trailing_zeros().min(7) as u8, bits])
}

/// extendedKeyUsage
pub(crate) fn purpose(id: &str) -> Vec<u8> {
    extension("2.5.29.37", false, &seq(&[&oid(id)]))
}

pub(crate) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(crate) const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub(crate) const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

pub(crate) fn pem(kind: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> =
        body.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// Whether the `openssl` command is there; says so when it is not.
pub(crate) fn has_openssl() -> bool {
    let there = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: the openssl command is not installed");
    }
    there
}

/// What `openssl` prints for this input.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().stdout
}
