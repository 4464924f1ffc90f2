//! The two requests of the code flow: the browser's, to the authorization endpoint, and ours, to the token endpoint.

use crate::ask;
use crate::error::{IdpError, words};
use crate::keys::ProviderKey;
use crate::outbound::OutboundHttp;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use narthex_model::OidcConfig;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType,
    CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId,
    ClientSecret, CsrfToken, EmptyAdditionalClaims, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdToken, IssuerUrl, JsonWebKeySet, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardErrorResponse,
    TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use url::Url;

type OurClient = Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    ProviderKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// 256 random bits as base64url: a nonce, or a PKCE verifier (43 characters, RFC 7636 §4.1).
pub(crate) fn random_text() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the system's random generator answers");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The library's client. The issuer that it wants plays no part in these two requests: ID tokens are opened elsewhere.
fn client(config: &OidcConfig, redirect_uri: &Url) -> OurClient {
    let id = ClientId::new(config.client_id.clone());
    let unused = IssuerUrl::from_url(config.certs_url.clone());
    let client: OurClient = Client::new(id, unused, JsonWebKeySet::new(Vec::new()))
        .set_auth_uri(AuthUrl::from_url(config.auth_url.clone()))
        .set_token_uri(TokenUrl::from_url(config.token_url.clone()))
        .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
    match &config.client_secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    }
}

/// Where the browser goes: code flow, PKCE S256 and nonce, always.
pub(crate) fn authorization(
    config: &OidcConfig,
    redirect_uri: &Url,
    state: &str,
    nonce: &str,
    verifier: &str,
) -> Url {
    let verifier = PkceCodeVerifier::new(verifier.to_owned());
    let (state, nonce) = (CsrfToken::new(state.to_owned()), Nonce::new(nonce.to_owned()));
    let client = client(config, redirect_uri);
    let mut request = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    for scope in config.scopes.iter().filter(|s| !s.is_empty() && *s != "openid") {
        request = request.add_scope(Scope::new(scope.clone())); // the library adds openid
    }
    request.url().0
}

/// Redeems a code.
///
/// # Errors
/// `Denied` for a code that the provider does not take (`invalid_grant`), `Misconfigured` for a client that it does not take,
/// `Unreachable`, `BadAnswer`.
pub(crate) async fn redeem(
    http: &OutboundHttp,
    config: &OidcConfig,
    redirect_uri: &Url,
    code: &str,
    verifier: &str,
    secret_in_body: bool,
) -> Result<Tokens, IdpError> {
    let method = if secret_in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
    let client = client(config, redirect_uri).set_auth_type(method);
    client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()))
        .request_async(&TokenEndpoint(http))
        .await
        .map_err(explain)
}

/// Our client as the library calls it.
struct TokenEndpoint<'a>(&'a OutboundHttp);

impl<'c> AsyncHttpClient<'c> for TokenEndpoint<'_> {
    type Error = IdpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, IdpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let answer = ask::call(self.0, request, "token_url").await?;
            if answer.status() == StatusCode::OK {
                ask::object(answer.body(), "token_url")?; // refuses what can be read in two ways
            }
            Ok(answer)
        })
    }
}

fn explain(
    error: RequestTokenError<IdpError, StandardErrorResponse<CoreErrorResponseType>>,
) -> IdpError {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(answer) => {
            let description = words(answer.error_description().map_or("", String::as_str));
            let code = words(answer.error().as_ref());
            match answer.error() {
                CoreErrorResponseType::InvalidGrant => {
                    IdpError::Denied { error: code, description }
                }
                CoreErrorResponseType::InvalidClient
                | CoreErrorResponseType::InvalidRequest
                | CoreErrorResponseType::InvalidScope
                | CoreErrorResponseType::UnauthorizedClient
                | CoreErrorResponseType::UnsupportedGrantType
                | CoreErrorResponseType::Extension(_) => {
                    IdpError::Misconfigured(format!("token_url answered {code}: {description}"))
                }
            }
        }
        RequestTokenError::Parse(_, _) => IdpError::BadAnswer(
            "token_url did not send an access token of type Bearer and an ID token".to_owned(),
        ),
        RequestTokenError::Other(_) => {
            IdpError::BadAnswer("token_url sent an empty answer or one that is not JSON".to_owned())
        }
    }
}

/// What the token endpoint gave us: only what is needed. A refresh token is not kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tokens {
    access_token: AccessToken,
    #[serde(deserialize_with = "bearer")]
    token_type: CoreTokenType,
    id_token: String,
}

impl Tokens {
    pub(crate) fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// The ID token as it was sent.
    pub(crate) fn id_token(&self) -> &str {
        &self.id_token
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens([redacted])")
    }
}

/// `token_type` is "Bearer" in any case (RFC 6749 §5.1).
fn bearer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<CoreTokenType, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.eq_ignore_ascii_case("bearer") {
        Ok(CoreTokenType::Bearer)
    } else {
        Err(serde::de::Error::custom("not a bearer token"))
    }
}

impl OAuth2TokenResponse for Tokens {
    type TokenType = CoreTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &CoreTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// The library asks for this trait to make a client. It never calls it: the token is opened from its own text.
impl
    TokenResponse<
        EmptyAdditionalClaims,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    > for Tokens
{
    fn id_token(
        &self,
    ) -> Option<
        &IdToken<
            EmptyAdditionalClaims,
            CoreGenderClaim,
            CoreJweContentEncryptionAlgorithm,
            CoreJwsSigningAlgorithm,
        >,
    > {
        None
    }
}
