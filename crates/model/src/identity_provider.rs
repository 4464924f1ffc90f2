//! Identity providers: where people prove who they are.

use crate::{IdpId, Secret, Timestamp, ZoneId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

/// Why a provider's configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdpConfig {
    /// A type of the contract that is not built yet.
    #[error("identity provider type {0:?} is not supported yet; use oidc or onetimepin")]
    NotYet(String),
    /// A member is missing or wrong.
    #[error("config: {0}")]
    Member(String),
}

/// Settings of a generic OpenID Connect provider (access-protocol §12.2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OidcConfig {
    /// Our client id at the provider.
    pub client_id: String,
    /// Our client secret; never written into an answer. `None` for a public client.
    #[serde(default, skip_serializing)]
    pub client_secret: Option<Secret>,
    /// Authorization endpoint.
    pub auth_url: Url,
    /// Token endpoint.
    pub token_url: Url,
    /// JWKS.
    pub certs_url: Url,
    /// The provider's issuer, compared with `iss` of ID tokens. `None`: learned from the JWKS host's discovery
    /// document when the provider has one at its usual place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Userinfo endpoint, asked for claims that the ID token lacks. An extension of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_url: Option<Url>,
    /// Scopes to ask for.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Claims copied into the identity and, as `custom`, into application tokens.
    #[serde(default, deserialize_with = "crate::rule::null_as_default")]
    pub claims: Vec<String>,
    /// The claim that holds the e-mail address; `email` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_claim_name: Option<String>,
    /// Kept for the contract; PKCE S256 is always used.
    #[serde(default)]
    pub pkce_enabled: Option<bool>,
}

fn default_scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

/// What a provider needs to know, by type.
#[derive(Clone, Debug)]
pub enum IdpConfig {
    /// Generic OpenID Connect.
    Oidc(Box<OidcConfig>),
    /// Six digits by mail.
    OneTimePin,
}

impl IdpConfig {
    /// Reads `config` as the type asks.
    ///
    /// # Errors
    /// [`InvalidIdpConfig`] for an unknown type or a member that is missing or wrong.
    pub fn parse(kind: &str, config: Value) -> Result<Self, InvalidIdpConfig> {
        match kind {
            "onetimepin" => Ok(Self::OneTimePin),
            "oidc" => {
                let config: OidcConfig = serde_json::from_value(config)
                    .map_err(|e| InvalidIdpConfig::Member(e.to_string()))?;
                for (name, url) in [
                    ("auth_url", &config.auth_url),
                    ("token_url", &config.token_url),
                    ("certs_url", &config.certs_url),
                ] {
                    let local = url.host_str().is_some_and(|h| {
                        h == "localhost"
                            || h.ends_with(".localhost")
                            || h == "127.0.0.1"
                            || h == "[::1]"
                    });
                    if url.scheme() != "https" && !(url.scheme() == "http" && local) {
                        return Err(InvalidIdpConfig::Member(format!(
                            "{name} must be an https URL"
                        )));
                    }
                }
                Ok(Self::Oidc(Box::new(config)))
            }
            other => Err(InvalidIdpConfig::NotYet(other.chars().take(40).collect())),
        }
    }

    /// The `type` of the API.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Oidc(_) => "oidc",
            Self::OneTimePin => "onetimepin",
        }
    }

    /// The `config` of the API, without secrets.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Oidc(config) => serde_json::to_value(config).unwrap_or_default(),
            Self::OneTimePin => json!({}),
        }
    }

    /// The secret, for the store to seal.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Oidc(config) => config.client_secret.as_ref(),
            Self::OneTimePin => None,
        }
    }

    /// The same configuration with this secret.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<Secret>) -> Self {
        if let Self::Oidc(config) = &mut self {
            config.client_secret = secret;
        }
        self
    }
}

/// `scim_config` of the API, kept and echoed; provisioning is not built yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScimConfig {
    /// Always off for now; the API refuses to switch it on.
    #[serde(default)]
    pub enabled: bool,
}

/// A configured identity provider.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// Its id.
    pub id: IdpId,
    /// The name on the button.
    pub name: String,
    /// Type and settings.
    pub config: IdpConfig,
    /// Provisioning.
    pub scim: ScimConfig,
    /// The zone through which it was made, if any.
    pub zone: Option<ZoneId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
