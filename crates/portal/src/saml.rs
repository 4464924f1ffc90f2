//! What SAML providers need of us besides the callback: our metadata, the key that signs our requests with its
//! certificate, and the memory of assertions that were used.

use crate::Portal;
use crate::ask::Ask;
use crate::login::{Stayed, callback_url};
use crate::pages::{Response, document};
use crate::secret::sha256;
use crate::trouble::Trouble;
use http::{HeaderName, HeaderValue};
use narthex_idp::{BegunSaml, IdpError, RequestKey, Vouched};
use narthex_model::{IdentityProvider, IdpConfig, IdpId, SamlConfig, UnixSeconds};
use narthex_snapshot::Snapshot;
use narthex_store::{PendingKind, SamlKey, TryOutcome};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::OnceCell;
use url::Url;

/// The key that signs requests, once it was needed.
pub(crate) type RequestKeys = OnceCell<Arc<RequestKey>>;

/// The most bytes of header fields that a provider may have us answer with.
const HEADER_BYTES: usize = 8 * 1024;

impl Portal {
    /// Makes the request for a SAML provider, signed where its configuration asks for that.
    pub(crate) async fn begin_saml(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        idp: &IdentityProvider,
        callback: &Url,
        state: &str,
    ) -> Result<BegunSaml, Stayed> {
        let signs = saml_config(idp).is_some_and(|config| config.sign_request);
        let key = if signs { Some(self.request_key(ask.now, snapshot).await?) } else { None };
        Ok(self.providers.begin_saml(idp, callback, state, key.as_deref())?)
    }

    /// Notes that an assertion was presented. The second time, also after a restart, it is refused (security S10).
    pub(crate) async fn used_once(
        &self,
        idp: &IdentityProvider,
        vouched: Vouched,
        now: UnixSeconds,
    ) -> Result<Result<Vouched, IdpError>, Trouble> {
        let (kind, once) = (PendingKind::Assertion, &vouched.once);
        let key = sha256(format!("{}\n{}", idp.id, once.id).as_bytes());
        self.store.put_pending(kind, &key, &Value::Null, once.until).await?;
        Ok(match self.store.count_try(kind, &key, 1, now).await? {
            TryOutcome::Allowed(_) => Ok(vouched),
            TryOutcome::Exhausted | TryOutcome::Gone => {
                Err(IdpError::BadAnswer("the assertion was used before".to_owned()))
            }
        })
    }

    /// `GET /cdn-cgi/access/saml-metadata`, and the same for one provider: who we are, for providers to read.
    pub(crate) async fn saml_metadata(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        idp: Option<&str>,
    ) -> Result<Response, Trouble> {
        let one = match idp {
            None => None,
            Some(id) => {
                let id: IdpId = id.parse().map_err(|_| Trouble::NotFound)?;
                let idp = snapshot.identity_provider(id).ok_or(Trouble::NotFound)?;
                Some(saml_config(idp).ok_or(Trouble::NotFound)?)
            }
        };
        let mut all = snapshot.identity_providers().filter_map(|idp| saml_config(idp));
        let signs = one.map_or_else(|| all.any(|c| c.sign_request), |c| c.sign_request);
        let key = if signs { Some(self.request_key(ask.now, snapshot).await?) } else { None };
        let xml = narthex_idp::saml_metadata(&callback_url(snapshot), key.as_deref(), one);
        let xml = xml.ok_or(Trouble::NotFound)?;
        Ok(document("application/samlmetadata+xml", xml))
    }

    /// `GET /cdn-cgi/access/public-cert`: the certificate of the key that signs our requests.
    pub(crate) async fn public_cert(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
    ) -> Result<Response, Trouble> {
        let key = self.request_key(ask.now, snapshot).await?;
        Ok(document("application/x-pem-file", key.certificate_pem().to_owned()))
    }

    /// The key that signs our requests: the one that is kept, made now if there is none yet.
    async fn request_key(
        &self,
        now: UnixSeconds,
        snapshot: &Snapshot,
    ) -> Result<Arc<RequestKey>, Trouble> {
        let found = self.request_key.get_or_try_init(async || {
            if self.store.saml_key().await?.is_none() {
                let team = snapshot.premises.team.authority().host.to_string();
                let made = RequestKey::generate(&team, now);
                let key = SamlKey {
                    pkcs8: made.pkcs8().to_vec().into(),
                    certificate_pem: made.certificate_pem().to_owned(),
                    created_at: now,
                };
                self.store.put_first_saml_key(&key).await?;
            }
            let broken = |error| Trouble::Provider { error, restart: None };
            let lost = || broken(IdpError::Misconfigured("our key was not kept".to_owned()));
            let kept = self.store.saml_key().await?.ok_or_else(lost)?;
            let key = RequestKey::restore(&kept.pkcs8, kept.certificate_pem);
            key.map(Arc::new).map_err(broken)
        });
        found.await.cloned()
    }
}

fn saml_config(idp: &IdentityProvider) -> Option<&SamlConfig> {
    match &idp.config {
        IdpConfig::Saml(config) => Some(config),
        IdpConfig::Oidc(_) | IdpConfig::OneTimePin => None,
    }
}

/// Adds the fields that a provider's attributes become. A value that no field may hold, and what is too much, is left
/// out with a warning.
pub(crate) fn with_headers(mut response: Response, fields: Vec<(String, String)>) -> Response {
    let mut room = HEADER_BYTES;
    for (name, value) in fields {
        let size = name.len() + value.len();
        let field =
            (HeaderName::try_from(&*name), HeaderValue::from_bytes(value.trim().as_bytes()));
        match field {
            (Ok(name), Ok(value)) if size <= room => {
                room -= size;
                response.headers_mut().append(name, value);
            }
            (_, _) => tracing::warn!(header = name, "an attribute does not fit into a header"),
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn attributes_become_fields_as_far_as_they_fit() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let response = crate::pages::redirect(StatusCode::FOUND, "/");
        let long = "x".repeat(HEADER_BYTES);
        let fields = vec![
            field("X-Group", "a"),
            field("X-Group", " b"),
            field("X-Split", "a\r\nSet-Cookie: CF_Authorization=x"),
            field("X-Long", &long),
            field("X-Name", "Zoë"),
        ];
        let headers = with_headers(response, fields).headers().clone();
        let groups: Vec<_> = headers.get_all("x-group").iter().collect();
        assert_eq!(groups, ["a", "b"]);
        assert_eq!(headers["x-name"].as_bytes(), "Zoë".as_bytes());
        for absent in ["x-split", "x-long", "set-cookie"] {
            assert!(!headers.contains_key(absent), "{absent}");
        }
    }
}
