//! What the tests of this crate's promises share: a team, its tokens, and a forger who holds its key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{AudTag, Kid, TeamDomain, UnixSeconds};
use narthex_token::{
    KeyRing, MachineToken, MatchToken, MetaToken, OrgToken, PersonToken, SigningKey,
};
use serde_json::{Map, Value};
use std::sync::Arc;

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// One team with one key.
pub(crate) struct Team {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) ring: KeyRing,
    pub(crate) domain: TeamDomain,
    pair: RsaKeyPair,
}

impl Team {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(SigningKey::generate(NOW, NOW)))
    }

    pub(crate) fn with(key: Arc<SigningKey>) -> Self {
        let domain: TeamDomain = "access.example.com:8443".parse().unwrap();
        let ring = KeyRing::of(vec![Arc::clone(&key)], &domain, NOW).unwrap();
        let pair = RsaKeyPair::from_pkcs8(key.pkcs8()).unwrap();
        Self { key, ring, domain, pair }
    }

    /// The header as it ought to be.
    pub(crate) fn header(&self) -> String {
        format!(r#"{{"alg":"RS256","kid":"{}","typ":"JWT"}}"#, self.key.kid())
    }

    /// Any header and payload, signed with the team's own key.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        self.sign_with(&RSA_PKCS1_SHA256, header, payload)
    }

    pub(crate) fn sign_with(
        &self,
        how: &'static dyn RsaEncoding,
        header: &str,
        payload: &str,
    ) -> String {
        let message = format!("{}.{}", encode(header), encode(payload));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(how, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", encode(signature))
    }

    /// A payload with the right header and signature.
    pub(crate) fn forge(&self, payload: &Value) -> String {
        self.sign(&self.header(), &payload.to_string())
    }

    /// The claims of a token, as JSON.
    pub(crate) fn claims(jwt: &str) -> Value {
        serde_json::from_slice(&decode(jwt.split('.').nth(1).unwrap())).unwrap()
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn aud() -> AudTag {
    "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228".parse().unwrap() // seed 003
}

pub(crate) fn person() -> PersonToken {
    PersonToken {
        aud: aud(),
        email: "user@example.com".parse().unwrap(),
        sub: "7335d417-61da-459d-899c-0a01c76a2f94".parse().unwrap(),
        identity_nonce: "6ei69kawdKzMIAPF".parse().unwrap(),
        country: Some("US".parse().unwrap()),
        custom: Map::new(),
        iat: NOW,
        exp: NOW.plus(86_400),
        binding: None,
    }
}

pub(crate) fn machine() -> MachineToken {
    MachineToken {
        aud: aud(),
        common_name: "e367826f93b8d71185e03fe518aff3b4.access".to_owned(),
        certificate: None,
        iat: NOW,
        exp: NOW.plus(86_400),
    }
}

pub(crate) fn org() -> OrgToken {
    OrgToken {
        aud: aud(),
        email: "user@example.com".parse().unwrap(),
        sub: "7335d417-61da-459d-899c-0a01c76a2f94".parse().unwrap(),
        account_id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
        identity_nonce: "6ei69kawdKzMIAPF".parse().unwrap(),
        iat: NOW,
        exp: NOW.plus(86_400),
    }
}

pub(crate) fn meta() -> MetaToken {
    MetaToken {
        aud: aud(),
        hostname: "wiki.example.com".parse().unwrap(),
        redirect_url: "/reports?y=2026".to_owned(),
        iat: NOW,
        exp: NOW.plus(MetaToken::LIFE_SECONDS),
        service_token_status: true,
        service_token_id: Some("e367826f93b8d71185e03fe518aff3b4.access".parse().unwrap()),
        auth_status: "NONE".to_owned(),
        mtls_auth: MetaToken::no_certificate(),
        real_country: Some("JP".parse().unwrap()),
        app_session_hash: narthex_token::AppSession::hash("n0123456789abcdef"),
    }
}

pub(crate) fn discovery(team: &Team) -> MatchToken {
    MatchToken {
        aud: aud(),
        hostname: "wiki.example.com".parse().unwrap(),
        auth_domain: team.domain.clone(),
        app_hostname: "*.example.com".to_owned(),
        iat: NOW,
    }
}

pub(crate) fn kid(digit: char) -> Kid {
    digit.to_string().repeat(64).parse().unwrap()
}
