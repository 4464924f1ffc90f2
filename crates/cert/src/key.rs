//! Which public keys are strong enough.

use crate::der;

/// The kind and strength of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, with the size of its modulus in bits.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// Anything else: DSA, other curves, explicit curve parameters, RSA keys bound to PSS.
    Other,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]; // 1.2.840.113549.1.1.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]; // 1.2.840.10045.2.1
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]; // 1.2.840.10045.3.1.7
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22]; // 1.3.132.0.34
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23]; // 1.3.132.0.35
const ED25519: &[u8] = &[0x2b, 0x65, 0x70]; // 1.3.101.112

impl KeyKind {
    /// The kind of a SubjectPublicKeyInfo (DER).
    pub(crate) fn of(spki: &[u8]) -> Self {
        Self::read(spki).unwrap_or(Self::Other)
    }

    fn read(spki: &[u8]) -> Option<Self> {
        let mut info = der::only(spki, der::SEQUENCE)?.content;
        let mut algorithm = der::take_tagged(&mut info, der::SEQUENCE)?.content;
        let bits = der::only(info, der::BIT_STRING)?.content.strip_prefix(&[0])?;
        let oid = der::take_tagged(&mut algorithm, der::OID)?.content;
        match oid {
            RSA => {
                let mut key = der::only(bits, der::SEQUENCE)?.content;
                let modulus = der::take_tagged(&mut key, der::INTEGER)?.content;
                let magnitude = modulus.strip_prefix(&[0]).unwrap_or(modulus);
                let leading = magnitude.first()?.leading_zeros() as usize;
                Some(Self::Rsa { bits: magnitude.len() * 8 - leading })
            }
            EC => Some(match der::only(algorithm, der::OID)?.content {
                P256 => Self::P256,
                P384 => Self::P384,
                P521 => Self::P521,
                _ => Self::Other,
            }),
            ED25519 => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// Whether a certificate with this key can be trusted: RSA of 2048 to 8192 bits in whole octets, the three NIST
    /// curves, Ed25519 (security.md T20; CA/Browser Forum baseline requirements §6.1.5).
    #[must_use]
    pub fn is_strong(self) -> bool {
        match self {
            Self::Rsa { bits } => (2048..=8192).contains(&bits) && bits % 8 == 0,
            Self::P256 | Self::P384 | Self::P521 | Self::Ed25519 => true,
            Self::Other => false,
        }
    }
}
