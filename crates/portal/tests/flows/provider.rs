//! An honest OpenID Connect provider on loopback. A code is the nonce and the person's claims, so nothing is kept.

use crate::house::{NOW, TEAM};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{IdentityProvider, IdpConfig};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use url::Url;

static KEY: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// A running provider.
pub(crate) struct Provider {
    pub(crate) issuer: String,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://idp.localhost:{}", listener.local_addr().unwrap().port());
        let app = Router::new()
            .route("/keys", get(async || Json(keys())))
            .route("/token", post(token))
            .with_state(Arc::new(issuer.clone()));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { issuer }
    }

    /// The provider as an administrator would configure it.
    pub(crate) fn configured(&self, id: &str, name: &str) -> IdentityProvider {
        self.keeping(id, name, &["team"])
    }

    /// The same, with these claims kept.
    pub(crate) fn keeping(&self, id: &str, name: &str, claims: &[&str]) -> IdentityProvider {
        let at = |path: &str| format!("{}/{path}", self.issuer);
        let config = json!({
            "client_id": "narthex", "issuer": self.issuer, "auth_url": at("auth"), "token_url": at("token"),
            "certs_url": at("keys"), "claims": claims,
        });
        crate::house::idp(id, name, IdpConfig::parse("oidc", config).unwrap())
    }

    /// What the person's login leads to: the callback with a code for somebody with these claims.
    pub(crate) fn log_in(&self, location: &str, claims: Value) -> String {
        let query: HashMap<String, String> =
            Url::parse(location).unwrap().query_pairs().into_owned().collect();
        assert!(location.starts_with(&format!("{}/auth?", self.issuer)), "{location}");
        assert_eq!(query["redirect_uri"], format!("https://{TEAM}/cdn-cgi/access/callback"));
        let code = json!({"nonce": query["nonce"], "claims": claims}).to_string();
        let (code, state) = (URL_SAFE_NO_PAD.encode(code), &query["state"]);
        format!("{}?code={code}&state={state}", query["redirect_uri"])
    }
}

fn keys() -> Value {
    let der = KEY.public_key().as_ref(); // RSAPublicKey: a sequence, then the modulus behind one zero
    let n = URL_SAFE_NO_PAD.encode(&der[9..9 + KEY.public_modulus_len()]);
    json!({"keys": [{"kty": "RSA", "use": "sig", "kid": "1", "n": n, "e": "AQAB"}]})
}

async fn token(State(issuer): State<Arc<String>>, body: String) -> Json<Value> {
    let form: HashMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let code: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&form["code"]).unwrap()).unwrap();
    let mut claims = json!({
        "iss": *issuer, "aud": "narthex", "sub": "subject", "nonce": code["nonce"], "iat": NOW.0,
        "exp": NOW.0 + 86_400, "email_verified": true,
    });
    claims.as_object_mut().unwrap().extend(code["claims"].as_object().unwrap().clone());
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(json!({"alg": "RS256", "kid": "1"})), part(claims));
    let mut signature = vec![0; KEY.public_modulus_len()];
    KEY.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    let id_token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    Json(json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token}))
}
