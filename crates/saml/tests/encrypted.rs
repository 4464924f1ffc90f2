//! Encrypted assertions: opened for the right key, and otherwise refused by one refusal that tells nothing.

#![allow(clippy::unwrap_used, reason = "part of the tests")]

mod forge;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forge::{PROVIDER, Plan, STRANGER, Scene, Signer, assertion, response, sign, unsigned};
use narthex_saml::Refusal;

const SAML: &str = "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
const MGF1P: &str =
    "<xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"/>";
const OAEP_256: &str = "<xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#rsa-oaep\"><ds:DigestMethod xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><xenc11:MGF xmlns:xenc11=\"http://www.w3.org/2009/xmlenc11#\" Algorithm=\"http://www.w3.org/2009/xmlenc11#mgf1sha256\"/></xenc:EncryptionMethod>";
const GCM: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
const CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";

/// How an assertion is encrypted.
struct Seal {
    to: &'static Signer,
    transport: &'static str,
    oaep: &'static OaepAlgorithm,
    cipher: &'static str,
    key: Vec<u8>,
}

impl Seal {
    fn gcm() -> Self {
        let (transport, oaep) = (MGF1P, &OAEP_SHA1_MGF1SHA1);
        Self { to: &STRANGER, transport, oaep, cipher: GCM, key: vec![7; 16] }
    }

    fn cbc() -> Self {
        Self { cipher: CBC, key: vec![7; 32], ..Self::gcm() }
    }

    fn ciphertext(&self, plain: &[u8]) -> Vec<u8> {
        if self.cipher == CBC {
            let padding = 16 - plain.len() % 16;
            let mut content = plain.to_vec();
            // XML Encryption pads with anything; only the last byte is read.
            content.extend(std::iter::repeat_n(0xEE, padding - 1));
            content.push(u8::try_from(padding).unwrap());
            return self.blocks(content);
        }
        let algorithm = if self.key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &self.key).unwrap());
        let nonce = [5; NONCE_LEN];
        let mut content = plain.to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut content,
        )
        .unwrap();
        [&nonce[..], &content].concat()
    }

    /// Whole blocks of AES-CBC behind their initialisation vector.
    fn blocks(&self, mut content: Vec<u8>) -> Vec<u8> {
        let key = EncryptingKey::cbc(UnboundCipherKey::new(&AES_256, &self.key).unwrap()).unwrap();
        let iv = [9; 16];
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        key.less_safe_encrypt(&mut content, context).unwrap();
        [&iv[..], &content].concat()
    }

    fn wrapped(&self) -> Vec<u8> {
        let spki = self.to.public_key();
        let key = PublicEncryptingKey::from_der(&spki).unwrap();
        let key = OaepPublicEncryptingKey::new(key).unwrap();
        let mut wrapped = vec![0; key.ciphertext_size()];
        key.encrypt(self.oaep, &self.key, &mut wrapped, None).unwrap().to_vec()
    }

    fn element(&self, ciphertext: &[u8], wrapped: &[u8]) -> String {
        let key = format!(
            "<xenc:EncryptedKey>{}<xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>",
            self.transport,
            STANDARD.encode(wrapped)
        );
        format!(
            "<saml:EncryptedAssertion {SAML}><xenc:EncryptedData xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\">\
             <xenc:EncryptionMethod Algorithm=\"{}\"/><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{key}</ds:KeyInfo>\
             <xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>",
            self.cipher,
            STANDARD.encode(ciphertext)
        )
    }

    fn seal(&self, plain: &str) -> String {
        self.element(&self.ciphertext(plain.as_bytes()), &self.wrapped())
    }
}

/// This gateway with a decryption key: for the purpose, that of the stranger.
fn scene() -> Scene {
    let mut scene = Scene::default();
    scene.sp.decryption_keys = vec![STRANGER.decryption_key()];
    scene
}

fn signed() -> String {
    sign(&assertion(), &Plan::default())
}

#[test]
fn what_is_opened_is_judged_like_any_other_response() {
    let (plan, bare) = (Plan::default(), unsigned(&assertion()));
    let seal = |plain: &str| unsigned(&response(&Seal::gcm().seal(plain)));
    let by_stranger = Plan { signer: &STRANGER, ..Plan::default() };
    // Canonical form, so that the response around the ciphertext can be signed as text.
    let canonical = |element: String| element.replace("/>", "></xenc:EncryptionMethod>");
    let around = |plain: &str| sign(&response(&canonical(Seal::gcm().seal(plain))), &plan);
    let evil = bare.replace("ada@", "eve@").replace("_assertion-1", "_evil-1");
    let content = |plain: &str| STANDARD.encode(Seal::gcm().ciphertext(plain.as_bytes()));
    let signed_around = around(&bare);
    let moved = signed_around.replace(&content(&bare), &content(&bare.replace("ada@", "eve@")));
    assert_ne!(moved, signed_around);
    let late = assertion().replace("21:04:00Z", "20:59:00Z");
    let sha256 = Seal { transport: OAEP_256, oaep: &OAEP_SHA256_MGF1SHA256, ..Seal::gcm() };
    let opened = Err(Refusal::Decryption);
    for (name, document, want) in [
        ("signed, then encrypted", seal(&signed()), Ok(())),
        ("by AES-CBC", unsigned(&response(&Seal::cbc().seal(&signed()))), Ok(())),
        ("by OAEP with SHA-256", unsigned(&response(&sha256.seal(&signed()))), Ok(())),
        ("encrypted, then signed", around(&bare), Ok(())),
        ("signed on both sides", around(&signed()), Ok(())),
        ("not signed", seal(&bare), opened),
        ("signed by a stranger", seal(&sign(&assertion(), &by_stranger)), opened),
        ("changed after it was signed", seal(&signed().replace("ada@", "eve@")), opened),
        (
            "signed around by a stranger",
            sign(&response(&canonical(Seal::gcm().seal(&bare))), &by_stranger),
            Err(Refusal::Signature),
        ),
        ("replaced inside a signed response", moved, Err(Refusal::Signature)),
        ("two assertions in it", seal(&format!("{}{evil}", signed())), opened),
        ("a whole response in it", seal(&unsigned(&response(&signed()))), opened),
        ("an encrypted assertion in it", seal(&Seal::gcm().seal(&signed())), opened),
        (
            "out of its element",
            seal(&format!("{}</samlp:Response><samlp:Response>", signed())),
            opened,
        ),
        ("a comment in it", seal(&signed().replace("ada@", "ada<!-- -->@")), opened),
        ("a document type in it", seal(&format!("<!DOCTYPE x>{}", signed())), opened),
        ("nonsense in it", seal("nonsense"), opened),
        ("nothing in it", seal(""), opened),
        (
            "not UTF-8",
            unsigned(&response(
                &Seal::gcm().element(&Seal::gcm().ciphertext(b"\xff\xfe"), &Seal::gcm().wrapped()),
            )),
            opened,
        ),
        ("late", seal(&sign(&late, &plan)), Err(Refusal::Expired)),
    ] {
        assert_eq!(scene().consume(&document).map(drop), want, "{name}");
    }
}

#[test]
fn algorithms_and_structure_are_judged_by_what_stands_in_clear() {
    let honest = unsigned(&response(&Seal::gcm().seal(&signed())));
    let key = {
        let start = honest.find("<xenc:EncryptedKey>").unwrap();
        let end = honest.find("</xenc:EncryptedKey>").unwrap() + "</xenc:EncryptedKey>".len();
        honest[start..end].to_owned()
    };
    let algorithm = Err(Refusal::EncryptionAlgorithm);
    let structure = Err(Refusal::Structure);
    let oaep = "rsa-oaep-mgf1p\"/>";
    let method = |inside: &str| {
        honest.replace(oaep, &format!("rsa-oaep-mgf1p\">{inside}</xenc:EncryptionMethod>"))
    };
    let digest = |uri: &str| {
        method(&format!(
            "<ds:DigestMethod xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" Algorithm=\"{uri}\"/>"
        ))
    };
    for (name, document, want) in [
        ("honest", honest.clone(), Ok(())),
        ("its hash said", digest("http://www.w3.org/2000/09/xmldsig#sha1"), Ok(())),
        ("no label", method("<xenc:OAEPparams></xenc:OAEPparams>"), Ok(())),
        ("a label", method("<xenc:OAEPparams>AAAA</xenc:OAEPparams>"), algorithm),
        ("two hashes", digest("http://www.w3.org/2001/04/xmlenc#sha256"), algorithm),
        ("MD5", digest("http://www.w3.org/2001/04/xmldsig-more#md5"), algorithm),
        ("RSA 1.5", honest.replace("rsa-oaep-mgf1p", "rsa-1_5"), algorithm),
        ("Triple DES", honest.replace(GCM, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"), algorithm),
        ("nothing said", honest.replace(&format!(" Algorithm=\"{GCM}\""), ""), algorithm),
        ("no key", honest.replace(&key, ""), structure),
        ("two keys", honest.replace(&key, &key.repeat(2)), structure),
        (
            "the key beside the data",
            honest.replace(&key, "").replace("</xenc:EncryptedData>", &format!("</xenc:EncryptedData>{}", key.replace("<xenc:EncryptedKey>", "<xenc:EncryptedKey xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\">"))),
            Ok(()),
        ),
        (
            "elsewhere",
            honest.replacen("<xenc:CipherValue>", "<xenc:CipherReference URI=\"http://127.0.0.1/\"></xenc:CipherReference><xenc:Other>", 1).replacen("</xenc:CipherValue>", "</xenc:Other>", 1),
            structure,
        ),
    ] {
        assert_eq!(scene().consume(&document).map(drop), want, "{name}");
    }
    assert_eq!(Scene::default().consume(&honest), Err(Refusal::NoDecryptionKey));
}

#[test]
fn keys_may_change_and_another_key_opens_nothing() {
    let document = unsigned(&response(&Seal::gcm().seal(&signed())));
    let with = |keys: &[&Signer]| {
        let mut scene = Scene::default();
        scene.sp.decryption_keys = keys.iter().map(|signer| signer.decryption_key()).collect();
        scene.consume(&document).map(drop)
    };
    assert_eq!(with(&[&PROVIDER, &STRANGER]), Ok(()));
    assert_eq!(with(&[&STRANGER, &PROVIDER]), Ok(()));
    assert_eq!(with(&[&PROVIDER]), Err(Refusal::Decryption));
}

#[test]
fn probing_the_ciphertext_tells_nothing() {
    let seal = Seal::cbc();
    let (plain, wrapped) = (signed(), seal.wrapped());
    let honest = seal.ciphertext(plain.as_bytes());
    let verdict = |ciphertext: &[u8], wrapped: &[u8]| {
        scene().consume(&unsigned(&response(&seal.element(ciphertext, wrapped)))).map(drop)
    };
    assert_eq!(verdict(&honest, &wrapped), Ok(()));
    let (last, before) = (honest.len() - 1, honest.len() - 17);
    // The last bytes that an attacker can give the padding: all the right ones, many of the wrong.
    for change in (1..=31).chain((32..=255_u8).step_by(7)) {
        let mut probe = honest.clone();
        probe[before] ^= change;
        assert_eq!(verdict(&probe, &wrapped), Err(Refusal::Decryption), "padding ^ {change}");
    }
    for at in (0..=last).step_by(61) {
        let mut probe = honest.clone();
        probe[at] ^= 1;
        assert_eq!(verdict(&probe, &wrapped), Err(Refusal::Decryption), "byte {at}");
    }
    for length in [0, 1, 15, 16, 17, 31, 32, 33, 48, last] {
        let want = Err(Refusal::Decryption);
        assert_eq!(verdict(&honest[..length], &wrapped), want, "{length} bytes");
    }
    let longer = [&honest[..], &[0; 16]].concat();
    assert_eq!(verdict(&longer, &wrapped), Err(Refusal::Decryption));
    // A wrapped key that is changed, cut, empty, or of the wrong size inside.
    for at in (0..wrapped.len()).step_by(37) {
        let mut probe = wrapped.clone();
        probe[at] ^= 1;
        assert_eq!(verdict(&honest, &probe), Err(Refusal::Decryption), "wrapped byte {at}");
    }
    for length in [0, 1, 128, 255] {
        assert_eq!(verdict(&honest, &wrapped[..length]), Err(Refusal::Decryption));
    }
    let short = Seal { key: vec![7; 16], ..Seal::cbc() };
    assert_eq!(verdict(&honest, &short.wrapped()), Err(Refusal::Decryption));
}
