//! A team with a key, and one good token of each kind.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{AudTag, TeamDomain, UnixSeconds};
use narthex_token::{KeyRing, KeySet, MachineToken, MetaToken, OrgToken, PersonToken, SigningKey};
use std::sync::{Arc, LazyLock};

pub(super) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// The team; made once, because a key of RSA takes its time.
pub(super) static TEAM: LazyLock<Team> = LazyLock::new(Team::new);

pub(super) struct Team {
    pub(super) key: Arc<SigningKey>,
    pair: RsaKeyPair,
    pub(super) issuer: TeamDomain,
    pub(super) ring: KeyRing,
    /// As an origin reads it.
    pub(super) set: KeySet,
    pub(super) aud: AudTag,
    pub(super) person: PersonToken,
    pub(super) jwt: String,
    /// Tokens of the same key that admit nobody to the application, by kind.
    pub(super) others: [(&'static str, String); 2],
}

impl Team {
    fn new() -> Self {
        let key = Arc::new(SigningKey::generate(NOW, NOW));
        let issuer: TeamDomain = "access.example.com".parse().unwrap();
        let ring = KeyRing::of(vec![Arc::clone(&key)], &issuer, NOW).unwrap();
        let set = KeySet::read(&issuer, ring.certs_json().as_bytes()).unwrap();
        let aud: AudTag = "a".repeat(64).parse().unwrap();
        let person = PersonToken {
            aud: aud.clone(),
            email: "ann@example.com".parse().unwrap(),
            sub: "7335d417-61da-459d-899c-0a01c76a2f94".parse().unwrap(),
            identity_nonce: "6ei69kawdKzMIAPF".parse().unwrap(),
            country: None,
            custom: Default::default(),
            iat: NOW,
            exp: NOW.plus(3600),
            binding: None,
        };
        let org = OrgToken {
            aud: aud.clone(),
            email: person.email.clone(),
            sub: person.sub,
            account_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            identity_nonce: person.identity_nonce.clone(),
            iat: NOW,
            exp: NOW.plus(3600),
        };
        let meta = MetaToken {
            aud: aud.clone(),
            hostname: "wiki.example.com".parse().unwrap(),
            redirect_url: "/".to_owned(),
            iat: NOW,
            exp: NOW.plus(300),
            service_token_status: false,
            service_token_id: None,
            auth_status: "NONE".to_owned(),
            mtls_auth: MetaToken::no_certificate(),
            real_country: None,
            app_session_hash: "0".repeat(64),
        };
        let (jwt, others) =
            (ring.mint(&person), [("org", ring.mint(&org)), ("meta", ring.mint(&meta))]);
        let pair = RsaKeyPair::from_pkcs8(key.pkcs8()).unwrap();
        Self { key, pair, issuer, ring, set, aud, person, jwt, others }
    }

    /// Any header and payload under a good signature: whoever makes this holds more than any attacker.
    pub(super) fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let (header, payload) = (URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let message = format!("{header}.{payload}");
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let (padding, random) = (&RSA_PKCS1_SHA256, SystemRandom::new());
        self.pair.sign(padding, &random, message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A machine's token with these claims, minted again.
    pub(super) fn mint_machine(&self, token: &MachineToken) -> String {
        self.ring.mint(token)
    }
}
