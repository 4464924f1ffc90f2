//! Who logged in: the person, the session, and the object that get-identity answers (seed 003).

use crate::{
    AccountId, AppId, CertificateHolder, ClientId, CountryCode, EmailAddress, IdentityNonce, IdpId,
    Timestamp, UnixSeconds, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;
use uuid::Uuid;

/// The provider that vouched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdpReference {
    /// Its id.
    pub id: IdpId,
    /// Its type, `oidc`, `saml` or `onetimepin`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Where a login came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geo {
    /// `None` without a country database.
    pub country: Option<CountryCode>,
}

/// A group as the identity provider named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMembership {
    /// The provider's id of the group; the name when there is no other.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What is known of a person at login; frozen until the next (access-protocol §5.7, §9.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The subject at the identity provider.
    pub id: String,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// The address, as the provider confirmed it.
    pub email: EmailAddress,
    /// Authentication methods (RFC 8176).
    #[serde(default)]
    pub amr: Vec<String>,
    /// Who vouched.
    pub idp: IdpReference,
    /// From where.
    pub geo: Geo,
    /// The person's id, the `sub` of tokens.
    pub user_uuid: UserId,
    /// The account.
    pub account_id: AccountId,
    /// When the person logged in (not when a token was issued).
    pub iat: UnixSeconds,
    /// The address the person logged in from.
    pub ip: IpAddr,
    /// Groups the provider named.
    #[serde(default)]
    pub groups: Vec<GroupMembership>,
    /// Claims that the provider's configuration asked to keep.
    #[serde(default)]
    pub oidc_fields: Map<String, Value>,
    /// Attributes that the configuration of a SAML provider asked to keep: a text, or a list of texts.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub saml_attributes: Map<String, Value>,
    /// The client certificate that the application saw when the person logged in.
    #[serde(default)]
    pub certificate: Option<CertificateHolder>,
}

/// A login session: one person, one browser, from login to logout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its handle, the `identity_nonce` of every token issued under it.
    pub nonce: IdentityNonce,
    /// Who.
    pub identity: Identity,
    /// When the global session ends.
    pub expires_at: UnixSeconds,
    /// When tokens issued under it end at the latest; not before `expires_at`.
    pub tokens_until: UnixSeconds,
    /// The applications that a token was issued for under it.
    #[serde(default)]
    pub apps: BTreeSet<AppId>,
}

impl Session {
    /// The name of the session in `device_sessions`: a UUID made of the nonce (version 5, RFC 9562 §5.5).
    ///
    /// The contract names devices there and we know none. The nonce itself would tell every application the handles
    /// of a person's other sessions.
    #[must_use]
    pub fn device(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, self.nonce.as_str().as_bytes())
    }
}

/// A person known to the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Stable for an account and address until the user is deleted (seed 003).
    pub id: UserId,
    /// The address.
    pub email: EmailAddress,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// When the user was first seen.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
    /// The last time a login succeeded.
    #[serde(default)]
    pub last_successful_login: Option<Timestamp>,
}

impl Identity {
    /// What goes into application tokens as `custom`: the claims or attributes that the provider's configuration chose.
    /// One provider vouches for one login, so that only one of the two can hold something.
    #[must_use]
    pub fn custom(&self) -> &Map<String, Value> {
        if self.saml_attributes.is_empty() { &self.oidc_fields } else { &self.saml_attributes }
    }

    /// get-identity's answer for a person, every field of seed 003 present (access-protocol §5.7). `sessions` are those
    /// that the person has now, on any device.
    #[must_use]
    pub fn to_json<'a>(&self, sessions: impl IntoIterator<Item = &'a Session>) -> Value {
        let device_sessions: Map<String, Value> = sessions
            .into_iter()
            .map(|s| (s.device().to_string(), json!({"last_authenticated": s.identity.iat.0})))
            .collect();
        let mut object = blank(&self.account_id);
        object.extend([
            ("id".to_owned(), self.id.clone().into()),
            ("name".to_owned(), self.name.clone().into()),
            ("email".to_owned(), self.email.as_str().into()),
            ("amr".to_owned(), self.amr.clone().into()),
            ("idp".to_owned(), serde_json::to_value(&self.idp).unwrap_or_default()),
            ("geo".to_owned(), serde_json::to_value(self.geo).unwrap_or_default()),
            ("user_uuid".to_owned(), self.user_uuid.to_string().into()),
            ("iat".to_owned(), self.iat.0.into()),
            ("ip".to_owned(), self.ip.to_string().into()),
            ("groups".to_owned(), serde_json::to_value(&self.groups).unwrap_or_default()),
            ("oidc_fields".to_owned(), self.oidc_fields.clone().into()),
            ("saml_attributes".to_owned(), self.saml_attributes.clone().into()),
            ("custom".to_owned(), self.custom().clone().into()),
            ("device_sessions".to_owned(), device_sessions.into()),
        ]);
        if let Some(holder) = &self.certificate {
            object.extend(certified(holder));
        }
        Value::Object(object)
    }

    /// get-identity's answer for a client certificate without a person: nobody logged in, and the certificate is
    /// named. `holder` is what this connection shows of it; `None` where there is only its common name.
    #[must_use]
    pub fn of_certificate(
        account: &AccountId,
        common_name: &str,
        holder: Option<&CertificateHolder>,
        iat: UnixSeconds,
    ) -> Value {
        let mut object = blank(account);
        let named = CertificateHolder {
            common_name: Some(common_name.into()),
            ..CertificateHolder::default()
        };
        object.extend(certified(holder.unwrap_or(&named)));
        object.insert("iat".to_owned(), iat.0.into());
        Value::Object(object)
    }

    /// get-identity's answer for a service token: nobody logged in, and the token is named. `common_name` is that of a
    /// client certificate (seed 003), so it stays empty; the token's own claim of that name holds the Client ID.
    #[must_use]
    pub fn of_service_token(account: &AccountId, token: &ClientId, iat: UnixSeconds) -> Value {
        let mut object = blank(account);
        object.extend([
            ("service_token_id".to_owned(), token.as_str().into()),
            ("service_token_status".to_owned(), true.into()),
            ("iat".to_owned(), iat.0.into()),
        ]);
        Value::Object(object)
    }
}

/// The members that tell of a client certificate (seed 003).
fn certified(holder: &CertificateHolder) -> [(String, Value); 3] {
    [
        ("auth_status".to_owned(), CertificateHolder::SUCCESS.into()),
        ("common_name".to_owned(), holder.common_name.as_deref().unwrap_or_default().into()),
        ("mtls_auth".to_owned(), holder.mtls_auth()),
    ]
}

/// Every field of the object, saying that nothing is known.
fn blank(account: &AccountId) -> Map<String, Value> {
    let object = json!({
        "id": "", "name": "", "email": "", "amr": [], "idp": {"id": "", "type": ""}, "geo": {"country": null},
        "user_uuid": "", "account_id": account.as_str(), "iat": 0, "ip": "", "auth_status": "NONE",
        "common_name": "", "service_token_id": "", "service_token_status": false, "is_warp": false,
        "is_gateway": false, "gateway_account_id": "", "device_id": "", "version": 2, "device_sessions": {},
        "devicePosture": {}, "groups": [], "oidc_fields": {}, "saml_attributes": {}, "custom": {},
        "mtls_auth": {"auth_status": "NONE", "cert_issuer_dn": "", "cert_issuer_ski": "", "cert_presented": false,
            "cert_serial": ""},
    });
    match object {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_one_device_name_that_is_not_its_nonce() {
        let session = |nonce: &str| -> Session {
            serde_json::from_value(json!({
                "nonce": nonce, "expires_at": 10, "tokens_until": 10,
                "identity": {
                    "id": "1", "email": "a@b.com", "idp": {"id": UserId::random(), "type": "oidc"},
                    "geo": {"country": null}, "user_uuid": UserId::random(),
                    "account_id": "0123456789abcdef0123456789abcdef", "iat": 1, "ip": "192.0.2.1",
                },
            }))
            .unwrap()
        };
        let (one, other) = (session("6ei69kawdKzMIAPF"), session("6ei69kawdKzMIAPG"));
        assert_eq!(one.device(), session("6ei69kawdKzMIAPF").device(), "the same each time");
        assert_ne!(one.device(), other.device());
        let told = one.identity.to_json([&one, &other]);
        assert_eq!(told["device_sessions"].as_object().unwrap().len(), 2);
        assert!(!told.to_string().contains(one.nonce.as_str()), "{told}");
        assert!(one.apps.is_empty(), "sessions from before this list was kept are read");
    }
}
