//! Opens an encrypted assertion: the key by RSA-OAEP, the content by AES.
//!
//! Once the algorithms are known to be accepted, nothing that goes wrong is told apart. A key that does not open is
//! replaced by a random one and padding that is wrong is taken for content, so that both end like any other nonsense:
//! where the plaintext is parsed and its signature verified. AES-CBC is malleable and would otherwise be an oracle.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uppsala::dom::NodeId;

use crate::Refusal;
use crate::document::Tree;
use crate::keys::{DecryptionKey, OaepHash};
use crate::names;

/// The source of `tree` with the assertion in place of its encrypted form, and without `signature`, which covers the
/// encrypted form and was verified there. To be parsed and judged like any other response.
///
/// # Errors
/// `NoDecryptionKey`, `Structure` and `EncryptionAlgorithm` by what is written in clear; `Decryption` for all else.
pub(crate) fn open(
    tree: &Tree<'_>,
    encrypted: NodeId,
    signature: Option<NodeId>,
    keys: &[DecryptionKey],
) -> Result<String, Refusal> {
    if keys.is_empty() {
        return Err(Refusal::NoDecryptionKey);
    }
    let data = tree.at_most_one(encrypted, names::ENCRYPTED_DATA)?.ok_or(Refusal::Structure)?;
    let wrapped = wrapped_key(tree, encrypted, data)?;
    let cipher = Cipher::of(tree, data)?;
    let hash = oaep_hash(tree, wrapped)?;
    let key = content_key(keys, hash, &value(tree, wrapped)?, cipher.key_bytes());
    let plain = cipher.decrypt(&key, &value(tree, data)?).ok_or(Refusal::Decryption)?;
    let plain = String::from_utf8(plain).map_err(|_| Refusal::Decryption)?;
    splice(tree, encrypted, signature, &plain).ok_or(Refusal::Structure)
}

/// The one wrapped key: inside the data's `KeyInfo`, or beside the data (core §6.1 allows both).
fn wrapped_key(tree: &Tree<'_>, encrypted: NodeId, data: NodeId) -> Result<NodeId, Refusal> {
    let mut found = tree.named(encrypted, names::ENCRYPTED_KEY);
    if let Some(info) = tree.at_most_one(data, names::KEY_INFO)? {
        found.extend(tree.named(info, names::ENCRYPTED_KEY));
    }
    match *found {
        [only] => Ok(only),
        [] | [_, _, ..] => Err(Refusal::Structure),
    }
}

/// The bytes of a `CipherValue`; references to elsewhere are not followed.
fn value(tree: &Tree<'_>, parent: NodeId) -> Result<Vec<u8>, Refusal> {
    let data = tree.at_most_one(parent, names::CIPHER_DATA)?.ok_or(Refusal::Structure)?;
    let value = tree.at_most_one(data, names::CIPHER_VALUE)?.ok_or(Refusal::Structure)?;
    let compact: String = tree.text(value).chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).map_err(|_| Refusal::Structure)
}

fn method(tree: &Tree<'_>, parent: NodeId) -> Result<NodeId, Refusal> {
    tree.at_most_one(parent, names::ENCRYPTION_METHOD)?.ok_or(Refusal::EncryptionAlgorithm)
}

/// The hash of RSA-OAEP. Both of its hashes must be the same: the library has no others. RSA 1.5 is not spoken.
fn oaep_hash(tree: &Tree<'_>, wrapped: NodeId) -> Result<OaepHash, Refusal> {
    let refused = Refusal::EncryptionAlgorithm;
    let method = method(tree, wrapped)?;
    let below = |name| -> Result<Option<&str>, Refusal> {
        let found = tree.at_most_one(method, name)?;
        Ok(found.map(|node| tree.attribute(node, "Algorithm").unwrap_or_default()))
    };
    let label = tree.at_most_one(method, names::OAEP_PARAMS)?;
    if label.is_some_and(|label| !tree.text(label).is_empty()) {
        return Err(refused);
    }
    let digest = match below(names::DIGEST_METHOD)? {
        None | Some("http://www.w3.org/2000/09/xmldsig#sha1") => OaepHash::Sha1,
        Some("http://www.w3.org/2001/04/xmlenc#sha256") => OaepHash::Sha256,
        Some("http://www.w3.org/2001/04/xmldsig-more#sha384") => OaepHash::Sha384,
        Some("http://www.w3.org/2001/04/xmlenc#sha512") => OaepHash::Sha512,
        Some(_) => return Err(refused),
    };
    let mask = match (tree.attribute(method, "Algorithm"), below(names::MASK_GENERATION)?) {
        (Some("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"), None) => OaepHash::Sha1,
        (Some("http://www.w3.org/2009/xmlenc11#rsa-oaep"), mask) => match mask {
            None | Some("http://www.w3.org/2009/xmlenc11#mgf1sha1") => OaepHash::Sha1,
            Some("http://www.w3.org/2009/xmlenc11#mgf1sha256") => OaepHash::Sha256,
            Some("http://www.w3.org/2009/xmlenc11#mgf1sha384") => OaepHash::Sha384,
            Some("http://www.w3.org/2009/xmlenc11#mgf1sha512") => OaepHash::Sha512,
            Some(_) => return Err(refused),
        },
        _ => return Err(refused),
    };
    if digest == mask { Ok(digest) } else { Err(refused) }
}

/// The content's key, or a random one that opens nothing.
fn content_key(keys: &[DecryptionKey], hash: OaepHash, wrapped: &[u8], bytes: usize) -> Vec<u8> {
    let opened = keys
        .iter()
        .filter_map(|key| key.unwrap(hash, wrapped))
        .find(|content| content.len() == bytes);
    opened.unwrap_or_else(|| {
        let mut random = vec![0; bytes];
        rand::fill(&mut random).expect("the system's random generator answers");
        random
    })
}

/// How the content is encrypted.
#[derive(Clone, Copy)]
enum Cipher {
    Gcm(Size),
    Cbc(Size),
}

/// The size of an AES key.
#[derive(Clone, Copy)]
enum Size {
    Bits128,
    Bits192,
    Bits256,
}

impl Cipher {
    fn of(tree: &Tree<'_>, data: NodeId) -> Result<Self, Refusal> {
        match tree.attribute(method(tree, data)?, "Algorithm") {
            Some("http://www.w3.org/2009/xmlenc11#aes128-gcm") => Ok(Self::Gcm(Size::Bits128)),
            Some("http://www.w3.org/2009/xmlenc11#aes192-gcm") => Ok(Self::Gcm(Size::Bits192)),
            Some("http://www.w3.org/2009/xmlenc11#aes256-gcm") => Ok(Self::Gcm(Size::Bits256)),
            Some("http://www.w3.org/2001/04/xmlenc#aes128-cbc") => Ok(Self::Cbc(Size::Bits128)),
            Some("http://www.w3.org/2001/04/xmlenc#aes192-cbc") => Ok(Self::Cbc(Size::Bits192)),
            Some("http://www.w3.org/2001/04/xmlenc#aes256-cbc") => Ok(Self::Cbc(Size::Bits256)),
            Some(_) | None => Err(Refusal::EncryptionAlgorithm),
        }
    }

    fn key_bytes(self) -> usize {
        let (Self::Gcm(size) | Self::Cbc(size)) = self;
        match size {
            Size::Bits128 => 16,
            Size::Bits192 => 24,
            Size::Bits256 => 32,
        }
    }

    fn decrypt(self, key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gcm(size) => {
                let algorithm = match size {
                    Size::Bits128 => &AES_128_GCM,
                    Size::Bits192 => &AES_192_GCM,
                    Size::Bits256 => &AES_256_GCM,
                };
                let (nonce, rest) = ciphertext.split_at_checked(12)?;
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                let mut content = rest.to_vec();
                let length = key.open_in_place(nonce, Aad::empty(), &mut content).ok()?.len();
                content.truncate(length);
                Some(content)
            }
            Self::Cbc(size) => {
                let algorithm = match size {
                    Size::Bits128 => &AES_128,
                    Size::Bits192 => &AES_192,
                    Size::Bits256 => &AES_256,
                };
                let (iv, rest) = ciphertext.split_first_chunk::<16>()?;
                let key = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
                let context = DecryptionContext::Iv128(FixedLength::from(*iv));
                let mut content = rest.to_vec();
                let length = key.decrypt(&mut content, context).ok()?.len();
                content.truncate(length);
                Some(without_padding(content))
            }
        }
    }
}

/// Takes the padding of XML Encryption off (§5.2: its last byte is its length). Wrong padding stays, as content.
fn without_padding(mut content: Vec<u8>) -> Vec<u8> {
    let padding = content.last().copied().map_or(0, usize::from);
    if (1..=16).contains(&padding) && padding <= content.len() {
        content.truncate(content.len() - padding);
    }
    content
}

/// Puts `plain` where `encrypted` stood and nothing where `signature` stood.
fn splice(
    tree: &Tree<'_>,
    encrypted: NodeId,
    signature: Option<NodeId>,
    plain: &str,
) -> Option<String> {
    let mut source = tree.source().to_owned();
    let mut cuts = vec![(tree.document().node_range(encrypted)?, plain)];
    if let Some(signature) = signature {
        cuts.push((tree.document().node_range(signature)?, ""));
    }
    cuts.sort_by_key(|(range, _)| range.start);
    for (range, with) in cuts.into_iter().rev() {
        source.get(range.clone())?;
        source.replace_range(range, with);
    }
    Some(source)
}
