//! Identity providers: where people prove who they are.

mod certificate_set;
mod saml;

pub use certificate_set::{CertificateSet, EncryptionKey};
pub use saml::{HeaderAttribute, SamlConfig};

use crate::{IdpId, Secret, Timestamp, ZoneId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

/// Why a provider's configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdpConfig {
    /// A type of the contract that is not built yet.
    #[error("identity provider type {0:?} is not supported yet; use oidc, saml or onetimepin")]
    NotYet(String),
    /// A member is missing or wrong.
    #[error("config: {0}")]
    Member(String),
    /// The same, with its place.
    #[error("config{pointer}: {why}")]
    At {
        /// JSON pointer below `config`.
        pointer: String,
        /// What is wrong there.
        why: String,
    },
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
    /// What was written, letter for letter and without the secret, for the API to echo; filled by
    /// [`IdpConfig::parse`].
    #[serde(skip)]
    pub written: Map<String, Value>,
}

fn default_scopes() -> Vec<String> {
    ["openid", "email", "profile"].map(str::to_owned).to_vec()
}

/// What a provider needs to know, by type.
#[derive(Clone, Debug)]
pub enum IdpConfig {
    /// Generic OpenID Connect.
    Oidc(Box<OidcConfig>),
    /// SAML 2.0.
    Saml(Box<SamlConfig>),
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
                let mut written = config.as_object().cloned().unwrap_or_default();
                written.retain(|name, value| name != "client_secret" && !value.is_null());
                let mut config: OidcConfig = serde_json::from_value(config)
                    .map_err(|e| InvalidIdpConfig::Member(e.to_string()))?;
                config.written = written;
                for (name, url) in [
                    ("auth_url", Some(&config.auth_url)),
                    ("token_url", Some(&config.token_url)),
                    ("certs_url", Some(&config.certs_url)),
                    ("userinfo_url", config.userinfo_url.as_ref()),
                ] {
                    if !url.is_none_or(is_web_url) {
                        return Err(InvalidIdpConfig::Member(format!(
                            "{name} must be an https URL"
                        )));
                    }
                }
                Ok(Self::Oidc(Box::new(config)))
            }
            "saml" => SamlConfig::parse(config).map(Box::new).map(Self::Saml),
            other => Err(InvalidIdpConfig::NotYet(other.chars().take(40).collect())),
        }
    }

    /// The `type` of the API.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Oidc(_) => "oidc",
            Self::Saml(_) => "saml",
            Self::OneTimePin => "onetimepin",
        }
    }

    /// The `config` of the API, without secrets: defaults filled in, what was written as it was written.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Oidc(config) => {
                let mut object = serde_json::to_value(config).unwrap_or_default();
                if let Some(object) = object.as_object_mut() {
                    object.extend(config.written.clone());
                }
                object
            }
            Self::Saml(config) => config.to_json(),
            Self::OneTimePin => json!({}),
        }
    }

    /// The secret, for the store to seal.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Oidc(config) => config.client_secret.as_ref(),
            Self::Saml(config) => config.sealed.as_ref(),
            Self::OneTimePin => None,
        }
    }

    /// The same configuration with this secret.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<Secret>) -> Self {
        match &mut self {
            Self::Oidc(config) => config.client_secret = secret,
            Self::Saml(config) => config.sealed = secret,
            Self::OneTimePin => {}
        }
        self
    }
}

/// Whether an address is https, or http on this very machine.
fn is_web_url(url: &Url) -> bool {
    let local = url.host_str().is_some_and(|h| {
        h == "localhost" || h.ends_with(".localhost") || h == "127.0.0.1" || h == "[::1]"
    });
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

/// `scim_config` of the API, kept and echoed; provisioning is not built yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScimConfig {
    /// Always off for now; the API refuses to switch it on.
    #[serde(default)]
    pub enabled: bool,
    /// Take away the seat of a person whom the provider removed.
    #[serde(default)]
    pub seat_deprovision: bool,
    /// End the sessions of a person whom the provider removed.
    #[serde(default)]
    pub user_deprovision: bool,
    /// What a change of a person's groups does.
    #[serde(default)]
    pub identity_update_behavior: IdentityUpdate,
}

/// What happens when the provider reports a changed person (access-protocol §12.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityUpdate {
    /// Nothing until the next login.
    #[default]
    NoAction,
    /// The user registry follows.
    Automatic,
    /// The person has to log in again.
    Reauth,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_echoes_what_was_written_but_no_secret() {
        let written = json!({"client_id": "cid", "client_secret": "sec", "auth_url": "https://IdP.example.com",
            "token_url": "https://idp.example.com/token", "certs_url": "https://idp.example.com/certs",
            "prompt": "login", "email_claim_name": null});
        let config = IdpConfig::parse("oidc", written).expect("a configuration");
        assert_eq!(config.secret().map(Secret::expose), Some("sec"));
        let echoed = json!({"client_id": "cid", "auth_url": "https://IdP.example.com",
            "token_url": "https://idp.example.com/token", "certs_url": "https://idp.example.com/certs",
            "scopes": ["openid", "email", "profile"], "claims": [], "pkce_enabled": null, "prompt": "login"});
        assert_eq!(config.to_json(), echoed);
        let again = IdpConfig::parse("oidc", config.to_json()).expect("what we write, we read");
        assert_eq!(again.to_json(), echoed);
    }

    #[test]
    fn near_misses_are_refused() {
        let base = json!({"client_id": "c", "auth_url": "https://a/", "token_url": "https://t/", "certs_url": "https://c/"});
        for (member, value) in [
            ("auth_url", json!("http://a.example.com/")),
            ("token_url", json!("file:///etc/passwd")),
            ("certs_url", json!("not a URL")),
            ("userinfo_url", json!("http://u.example.com/")),
            ("client_id", Value::Null),
        ] {
            let mut config = base.clone();
            config[member] = value;
            assert!(IdpConfig::parse("oidc", config).is_err(), "{member}");
        }
        assert!(matches!(IdpConfig::parse("github", json!({})), Err(InvalidIdpConfig::NotYet(_))));
    }
}
