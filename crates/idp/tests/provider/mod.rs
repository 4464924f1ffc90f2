//! An OpenID Connect provider on loopback that is honest until told otherwise: one switch for each way to misbehave.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use narthex_idp::CallbackParams;
use narthex_model::{IdentityProvider, IdpConfig, IdpId, UnixSeconds};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use url::Url;

/// The time of the whole test world.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
pub(crate) const CLIENT: &str = "narthex";
pub(crate) const SECRET: &str = "a client's secret: with/odd?chars";
pub(crate) const REDIRECT: &str = "https://auth.example.com/cdn-cgi/access/callback";

static RSA: LazyLock<[RsaKeyPair; 2]> =
    LazyLock::new(|| [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

/// How an ID token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Rs256,
    Rs384,
    Rs512,
    Ps512,
    Es256,
    Es384,
    Es512,
    /// RS256, by the next key.
    NextKey,
    /// RS256 by the next key, said to be by the first.
    WrongKey,
    /// ES256 by a key that nobody knows, said to be the published one.
    WrongEcKey,
    /// RS256, said to be by a key that nobody has.
    UnknownKey,
    /// HS256 under the client secret.
    Secret,
    None,
}

/// How an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Right,
    /// 503.
    Down,
    /// A redirect to an address inside.
    Redirect,
    Html,
    /// Compressed, though nobody asked for it.
    Gzip,
    /// 2 MiB and says so.
    Huge,
    /// 2 MiB and does not say so.
    HugeStream,
    /// A first byte and then nothing.
    Drip,
    /// 404.
    Missing,
}

/// The switches.
#[derive(Clone)]
pub(crate) struct Manners {
    pub(crate) claims: fn(&mut Map<String, Value>),
    pub(crate) header: fn(&mut Map<String, Value>),
    pub(crate) sign: Sign,
    pub(crate) jwks: fn(&mut Vec<Value>),
    /// The next key is published too.
    pub(crate) rotated: bool,
    pub(crate) tokens: fn(&mut Map<String, Value>),
    /// Replaces the token endpoint's whole body.
    pub(crate) token_body: Option<&'static str>,
    pub(crate) userinfo: fn(&mut Map<String, Value>),
    pub(crate) userinfo_body: Option<&'static str>,
    pub(crate) userinfo_type: &'static str,
    pub(crate) discovery: fn(&mut Map<String, Value>),
    pub(crate) at_discovery: Answer,
    pub(crate) at_jwks: Answer,
    pub(crate) at_token: Answer,
    pub(crate) at_userinfo: Answer,
    /// Codes work again and again, and without their PKCE verifier.
    pub(crate) careless: bool,
    /// The client shows itself in the body.
    pub(crate) secret_in_body: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            claims: |_| {},
            header: |_| {},
            sign: Sign::Rs256,
            jwks: |_| {},
            rotated: false,
            tokens: |_| {},
            token_body: None,
            userinfo: |_| {},
            userinfo_body: None,
            userinfo_type: "application/json",
            discovery: |_| {},
            at_discovery: Answer::Right,
            at_jwks: Answer::Right,
            at_token: Answer::Right,
            at_userinfo: Answer::Right,
            careless: false,
            secret_in_body: false,
        }
    }
}

/// What the provider remembers of a code.
#[derive(Clone)]
struct Grant {
    nonce: String,
    challenge: String,
}

struct World {
    origin: String,
    manners: Mutex<Manners>,
    grants: Mutex<HashMap<String, Grant>>,
    calls: Mutex<HashMap<String, usize>>,
    ec: [EcdsaKeyPair; 4],
}

/// A running provider.
pub(crate) struct Provider {
    world: Arc<World>,
}

impl Provider {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ec = [
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        ];
        let world = Arc::new(World {
            origin: format!("http://idp.localhost:{port}"),
            manners: Mutex::new(manners),
            grants: Mutex::default(),
            calls: Mutex::default(),
            ec: ec.map(|alg: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::generate(alg).unwrap()),
        });
        let app = Router::new().fallback(answer).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { world }
    }

    pub(crate) fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.world.manners.lock().unwrap());
    }

    /// How often `path` was called.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.world.calls.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    pub(crate) fn issuer(&self) -> String {
        format!("{}/tenant", self.world.origin)
    }

    /// This provider as an administrator would configure it, with more or other settings.
    pub(crate) fn configured(&self, extra: Value) -> IdentityProvider {
        let issuer = self.issuer();
        let mut config = json!({
            "client_id": CLIENT, "client_secret": SECRET, "auth_url": format!("{issuer}/auth"),
            "token_url": format!("{issuer}/token"), "certs_url": format!("{issuer}/keys"), "issuer": issuer,
        });
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        identity_provider(config)
    }

    /// What the browser does at the authorization endpoint: the person logs in and is sent back.
    pub(crate) fn log_in(&self, location: &Url) -> CallbackParams {
        let query: HashMap<String, String> = location.query_pairs().into_owned().collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], CLIENT);
        assert_eq!(query["redirect_uri"], REDIRECT);
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|s| s == "openid"));
        let grant =
            Grant { nonce: query["nonce"].clone(), challenge: query["code_challenge"].clone() };
        let mut grants = self.world.grants.lock().unwrap();
        let code = format!("code-{}", grants.len());
        grants.insert(code.clone(), grant);
        CallbackParams { code: Some(code), iss: Some(self.issuer()), ..Default::default() }
    }
}

pub(crate) fn identity_provider(config: Value) -> IdentityProvider {
    IdentityProvider {
        id: IdpId::random(),
        name: "Test".to_owned(),
        config: IdpConfig::parse("oidc", config).unwrap(),
        scim: Default::default(),
        zone: None,
        created_at: Default::default(),
        updated_at: Default::default(),
    }
}

async fn answer(
    State(world): State<Arc<World>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().to_owned();
    *world.calls.lock().unwrap().entry(path.clone()).or_default() += 1;
    let manners = world.manners.lock().unwrap().clone();
    match path.as_str() {
        "/tenant/.well-known/openid-configuration" => {
            respond(manners.at_discovery, || world.discovery(&manners))
        }
        "/tenant/keys" => respond(manners.at_jwks, || world.jwks(&manners)),
        "/tenant/token" => respond(manners.at_token, || world.token(&manners, &headers, &body)),
        "/tenant/userinfo" => respond(manners.at_userinfo, || world.userinfo(&manners, &headers)),
        _ => plain(StatusCode::NOT_FOUND, "text/html", "<h1>Not found</h1>"),
    }
}

fn respond(how: Answer, right: impl FnOnce() -> Response<Body>) -> Response<Body> {
    let megabytes = vec![b' '; 2 * 1024 * 1024];
    let stream = |chunks: Vec<Vec<u8>>, then_wait: bool| {
        let chunks = chunks.into_iter().map(|c| Ok::<_, std::io::Error>(Bytes::from(c)));
        let chunks = futures_util::stream::iter(chunks);
        if then_wait {
            let rest = futures_util::stream::pending();
            Body::from_stream(futures_util::StreamExt::chain(chunks, rest))
        } else {
            Body::from_stream(chunks)
        }
    };
    let json = || Response::builder().header("content-type", "application/json");
    match how {
        Answer::Right => right(),
        Answer::Down => plain(StatusCode::SERVICE_UNAVAILABLE, "text/html", "down"),
        Answer::Redirect => Response::builder()
            .status(302)
            .header("location", "http://169.254.169.254/latest/meta-data")
            .body(Body::empty())
            .unwrap(),
        Answer::Html => plain(StatusCode::OK, "text/html", "<!doctype html><p>Welcome"),
        Answer::Gzip => json().header("content-encoding", "gzip").body(Body::from("x")).unwrap(),
        Answer::Huge => json().body(Body::from(megabytes)).unwrap(),
        Answer::HugeStream => {
            let chunks = megabytes.chunks(64 * 1024).map(<[u8]>::to_vec).collect();
            json().body(stream(chunks, false)).unwrap()
        }
        Answer::Drip => json().body(stream(vec![b"{".to_vec()], true)).unwrap(),
        Answer::Missing => plain(StatusCode::NOT_FOUND, "text/html", "nothing here"),
    }
}

fn plain(status: StatusCode, kind: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn json_answer(value: impl Into<Value>) -> Response<Body> {
    plain(StatusCode::OK, "application/json", value.into().to_string())
}

fn oauth_error(error: &str) -> Response<Body> {
    let body = json!({"error": error, "error_description": "no <b>luck</b>"});
    plain(StatusCode::BAD_REQUEST, "application/json", body.to_string())
}

fn half_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16])
}

impl World {
    fn discovery(&self, manners: &Manners) -> Response<Body> {
        let issuer = format!("{}/tenant", self.origin);
        let mut document = object(json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }));
        if manners.secret_in_body {
            document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
        }
        (manners.discovery)(&mut document);
        json_answer(document)
    }

    fn jwks(&self, manners: &Manners) -> Response<Body> {
        let rsa = |kid: &str, key: &RsaKeyPair| {
            let der = key.public_key().as_ref(); // RSAPublicKey: sequence, then the modulus behind one zero
            let n = &der[9..9 + key.public_modulus_len()];
            json!({"kty": "RSA", "use": "sig", "kid": kid, "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB"})
        };
        let ec = |kid: &str, key: &EcdsaKeyPair, curve: &str| {
            let point = &key.public_key().as_ref()[1..];
            let [x, y] = [&point[..point.len() / 2], &point[point.len() / 2..]];
            json!({"kty": "EC", "crv": curve, "kid": kid, "x": URL_SAFE_NO_PAD.encode(x),
                "y": URL_SAFE_NO_PAD.encode(y)})
        };
        let mut keys = vec![
            rsa("rsa-0", &RSA[0]),
            ec("ec-256", &self.ec[0], "P-256"),
            ec("ec-384", &self.ec[1], "P-384"),
            ec("ec-521", &self.ec[2], "P-521"),
        ];
        if manners.rotated {
            keys.push(rsa("rsa-1", &RSA[1]));
        }
        (manners.jwks)(&mut keys);
        json_answer(json!({"keys": keys}))
    }

    fn token(&self, manners: &Manners, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
        let form: HashMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let encode = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let basic = STANDARD.encode(format!("{CLIENT}:{}", encode(SECRET)));
        let shown = if manners.secret_in_body {
            form.get("client_secret").is_some_and(|s| s == SECRET) && form["client_id"] == CLIENT
        } else {
            headers.get("authorization").is_some_and(|v| *v == format!("Basic {basic}"))
        };
        if !shown {
            return oauth_error("invalid_client");
        }
        assert_eq!(form["grant_type"], "authorization_code");
        assert_eq!(form["redirect_uri"], REDIRECT);
        let mut grants = self.grants.lock().unwrap();
        let Some(grant) = grants.get(&form["code"]).cloned() else {
            return oauth_error("invalid_grant");
        };
        if !manners.careless {
            grants.remove(&form["code"]);
            let verifier = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
            if URL_SAFE_NO_PAD.encode(verifier) != grant.challenge {
                return oauth_error("invalid_grant");
            }
        }
        if let Some(body) = manners.token_body {
            return plain(StatusCode::OK, "application/json", body);
        }
        let access_token = format!("access-{}", form["code"]);
        let id_token = self.id_token(manners, &grant, &access_token, &form["code"]);
        let mut tokens = object(json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
        }));
        (manners.tokens)(&mut tokens);
        json_answer(tokens)
    }

    fn id_token(&self, manners: &Manners, grant: &Grant, access: &str, code: &str) -> String {
        let mut claims = object(json!({
            "iss": format!("{}/tenant", self.origin), "sub": "subject-1", "aud": CLIENT, "nonce": grant.nonce,
            "iat": NOW.0, "exp": NOW.0 + 300, "email": "User@Example.com", "email_verified": true,
            "name": "Ann Lee", "amr": ["pwd", "otp"], "groups": ["staff"], "team": "blue",
        }));
        if manners.sign == Sign::Rs256 {
            claims.insert("at_hash".to_owned(), half_hash(access).into());
            claims.insert("c_hash".to_owned(), half_hash(code).into());
        }
        (manners.claims)(&mut claims);
        let (alg, kid) = match manners.sign {
            Sign::Rs256 | Sign::WrongKey => ("RS256", "rsa-0"),
            Sign::Rs384 => ("RS384", "rsa-0"),
            Sign::Rs512 => ("RS512", "rsa-0"),
            Sign::Ps512 => ("PS512", "rsa-0"),
            Sign::Es256 | Sign::WrongEcKey => ("ES256", "ec-256"),
            Sign::Es384 => ("ES384", "ec-384"),
            Sign::Es512 => ("ES512", "ec-521"),
            Sign::NextKey => ("RS256", "rsa-1"),
            Sign::UnknownKey => ("RS256", "rsa-9"),
            Sign::Secret => ("HS256", "rsa-0"),
            Sign::None => ("none", "rsa-0"),
        };
        let mut header = object(json!({"alg": alg, "kid": kid, "typ": "JWT"}));
        (manners.header)(&mut header);
        let part = |object| URL_SAFE_NO_PAD.encode(Value::Object(object).to_string());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(manners.sign, input.as_bytes()));
        format!("{input}.{signature}")
    }

    fn sign(&self, how: Sign, input: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        let rsa = |key: &RsaKeyPair, scheme: &'static dyn RsaEncoding| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(scheme, &rng, input, &mut signature).unwrap();
            signature
        };
        let ec = |key: &EcdsaKeyPair| key.sign(&rng, input).unwrap().as_ref().to_vec();
        match how {
            Sign::Rs256 | Sign::UnknownKey => rsa(&RSA[0], &signature::RSA_PKCS1_SHA256),
            Sign::Rs384 => rsa(&RSA[0], &signature::RSA_PKCS1_SHA384),
            Sign::Rs512 => rsa(&RSA[0], &signature::RSA_PKCS1_SHA512),
            Sign::Ps512 => rsa(&RSA[0], &signature::RSA_PSS_SHA512),
            Sign::NextKey | Sign::WrongKey => rsa(&RSA[1], &signature::RSA_PKCS1_SHA256),
            Sign::Es256 => ec(&self.ec[0]),
            Sign::Es384 => ec(&self.ec[1]),
            Sign::Es512 => ec(&self.ec[2]),
            Sign::WrongEcKey => ec(&self.ec[3]),
            Sign::Secret => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
                hmac::sign(&key, input).as_ref().to_vec()
            }
            Sign::None => Vec::new(),
        }
    }

    fn userinfo(&self, manners: &Manners, headers: &HeaderMap) -> Response<Body> {
        let bearer = headers.get("authorization").and_then(|v| v.to_str().ok());
        assert!(bearer.is_some_and(|v| v.starts_with("Bearer access-code-")), "{bearer:?}");
        if let Some(body) = manners.userinfo_body {
            return plain(StatusCode::OK, manners.userinfo_type, body);
        }
        let mut claims =
            object(json!({"sub": "subject-1", "email": "userinfo@example.com", "team": "green"}));
        (manners.userinfo)(&mut claims);
        plain(StatusCode::OK, manners.userinfo_type, Value::Object(claims).to_string())
    }
}
