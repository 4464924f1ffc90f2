//! Service tokens (access-protocol §8.1). The secret is in the answer that made it and in no other.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Fields;
use crate::resources::{found, holds, revocations};
use narthex_model::{
    ClientId, Configuration, GoDuration, Secret, SecretHash, ServiceToken, ServiceTokenId,
    Timestamp,
};
use narthex_snapshot::FaultAt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The duration where the body names none.
const YEAR: &str = "8760h";

/// When tokens were let in last: known a minute later, and never written while a request waits.
type Seen = BTreeMap<ClientId, Timestamp>;

fn document(token: &ServiceToken, seen: &Seen) -> Value {
    json!({
        "id": token.id, "name": token.name, "client_id": token.client_id, "duration": token.duration,
        "enabled": token.enabled, "expires_at": token.expires_at, "client_secret_version": token.client_secret_version,
        "previous_client_secret_expires_at": token.previous_secret.as_ref().map(|(_, until)| until),
        "last_seen_at": seen.get(&token.client_id),
        "created_at": token.created_at, "updated_at": token.updated_at,
    })
}

fn with_secret(token: &ServiceToken, seen: &Seen, secret: &Secret) -> Value {
    let mut document = document(token, seen);
    document["client_secret"] = secret.expose().into();
    document
}

/// `duration`: a Go duration above zero, or `forever`.
fn duration(fields: &Fields) -> Result<Option<String>, ApiError> {
    let Some(text) = fields.read::<String>("duration")? else { return Ok(None) };
    let sound = text == "forever" || text.parse::<GoDuration>().is_ok_and(|d| d.seconds() > 0);
    if !sound {
        return Err(fields.refuse(
            "duration",
            "a duration is hours, minutes or seconds, as in 8760h, or forever",
        ));
    }
    Ok(Some(text))
}

/// When a token of this `duration` ends that was made or refreshed at `from`.
fn end(from: Timestamp, duration: &str) -> Option<Timestamp> {
    let duration: GoDuration = duration.parse().ok()?; // `forever` is none
    Some(Timestamp(from.0.plus(duration.seconds())))
}

/// When the token was made or refreshed last.
fn start(token: &ServiceToken) -> Timestamp {
    let whole = token.duration.parse::<GoDuration>().ok();
    match (token.expires_at, whole) {
        (Some(end), Some(whole)) => Timestamp(end.0.plus(-whole.seconds())),
        (Some(_) | None, _) => token.created_at,
    }
}

/// The token with a new secret; the old one works until `grace`, if that is given, and else not at all.
fn rotated(
    token: &ServiceToken,
    secret: &Secret,
    version: u32,
    grace: Option<Timestamp>,
) -> ServiceToken {
    ServiceToken {
        secret: SecretHash::of(secret.expose()),
        previous_secret: grace.map(|until| (token.secret.clone(), until)),
        client_secret_version: version,
        ..token.clone()
    }
}

impl Call {
    async fn seen(&self) -> Result<Seen, ApiError> {
        Ok(self.parts.store.service_tokens_seen().await?)
    }

    fn service_token(&self, configuration: &Configuration) -> Result<Arc<ServiceToken>, ApiError> {
        let id = self.id(0, Kind::ServiceToken)?;
        let seen = |token: &ServiceToken| self.scope.sees(token.zone.as_ref());
        found(&configuration.service_tokens, id, seen, Kind::ServiceToken)
    }

    /// Replaces the token that the path names by what `edit` makes of it.
    async fn replace_service_token(
        &self,
        mut edit: impl FnMut(&ServiceToken) -> Result<ServiceToken, ApiError> + Send,
    ) -> Result<(Arc<ServiceToken>, Arc<ServiceToken>), ApiError> {
        let id: ServiceTokenId = self.id(0, Kind::ServiceToken)?;
        self.change(&[(FaultAt::ServiceToken(id), String::new())], |configuration| {
            let old = self.service_token(configuration)?;
            let new = Arc::new(ServiceToken { updated_at: self.stamp(), ..edit(&old)? });
            configuration.service_tokens.insert(id, Arc::clone(&new));
            Ok((old, new))
        })
        .await
    }
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let page = call.page()?;
    let (name, search) = (call.query.text("name"), call.query.text("search"));
    let standing = call.standing();
    let mut tokens: Vec<&Arc<ServiceToken>> = standing
        .configuration
        .service_tokens
        .values()
        .filter(|token| call.scope.sees(token.zone.as_ref()))
        .filter(|token| name.is_none_or(|name| token.name == name))
        .filter(|token| search.is_none_or(|part| holds(&token.name, part)))
        .collect();
    tokens.sort_by_key(|token| (token.created_at, token.id));
    let seen = call.seen().await?;
    Ok(Answer::page_of(page, tokens, |token| document(token, &seen)))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let token = call.service_token(&call.standing().configuration)?;
    Ok(Answer::ok(document(&token, &call.seen().await?)))
}

pub(crate) async fn create(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let name = fields.name()?.ok_or_else(|| fields.refuse("name", "name is required"))?;
    let duration = duration(&fields)?.unwrap_or_else(|| YEAR.to_owned());
    let (secret, now) = (Secret::random(), call.stamp());
    let token = Arc::new(ServiceToken {
        id: ServiceTokenId::random(),
        name,
        client_id: ClientId::random(),
        secret: SecretHash::of(secret.expose()),
        previous_secret: None,
        client_secret_version: fields.read("client_secret_version")?.unwrap_or(1),
        enabled: fields.read("enabled")?.unwrap_or(true),
        expires_at: end(now, &duration),
        duration,
        zone: call.scope.zone(),
        created_at: now,
        updated_at: now,
    });
    call.change(&[(FaultAt::ServiceToken(token.id), String::new())], |configuration| {
        configuration.service_tokens.insert(token.id, Arc::clone(&token));
        Ok(())
    })
    .await?;
    Ok(Answer::created(with_secret(&token, &Seen::new(), &secret)))
}

/// A merge: what the body does not mention stays. A higher `client_secret_version` rotates the secret.
pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let (name, duration) = (fields.name()?, duration(&fields)?);
    let enabled: Option<bool> = fields.read("enabled")?;
    let version: Option<u32> = fields.read("client_secret_version")?;
    let grace: Option<Timestamp> = fields.read("previous_client_secret_expires_at")?;
    let secret = Secret::random();
    let (old, new) = call
        .replace_service_token(|old| {
            let mut new = match version {
                Some(lower) if lower < old.client_secret_version => {
                    return Err(fields.refuse(
                        "client_secret_version",
                        format!("the version is {} and only rises", old.client_secret_version),
                    ));
                }
                Some(higher) if higher > old.client_secret_version => {
                    rotated(old, &secret, higher, grace)
                }
                Some(_) | None => ServiceToken {
                    previous_secret: old
                        .previous_secret
                        .clone()
                        .map(|(hash, until)| (hash, grace.unwrap_or(until))),
                    ..old.clone()
                },
            };
            if let Some(duration) = &duration {
                new.expires_at = end(start(old), duration);
                new.duration.clone_from(duration);
            }
            new.name = name.clone().unwrap_or(new.name);
            new.enabled = enabled.unwrap_or(new.enabled);
            Ok(new)
        })
        .await?;
    let has_rotated = new.client_secret_version > old.client_secret_version;
    if (has_rotated && new.previous_secret.is_none()) || (old.enabled && !new.enabled) {
        revocations::service_token(&call, &new.client_id).await?;
    }
    let seen = call.seen().await.unwrap_or_default(); // the change is made, and a new secret is shown this once
    let told = if has_rotated { with_secret(&new, &seen, &secret) } else { document(&new, &seen) };
    Ok(Answer::ok(told))
}

/// 200 with the whole object, as clients expect of this resource. Tokens minted for it are revoked with it.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let token = call
        .change(&[], |configuration| {
            let token = call.service_token(configuration)?;
            configuration.service_tokens.remove(&token.id);
            Ok(token)
        })
        .await?;
    revocations::service_token(&call, &token.client_id).await?;
    Ok(Answer::ok(document(&token, &call.seen().await.unwrap_or_default())))
}

/// Extends the token's life by its duration, counted from now.
pub(crate) async fn refresh(call: Call) -> Result<Answer, ApiError> {
    let (_, token) = call
        .replace_service_token(|old| {
            Ok(ServiceToken { expires_at: end(call.stamp(), &old.duration), ..old.clone() })
        })
        .await?;
    Ok(Answer::ok(document(&token, &call.seen().await.unwrap_or_default())))
}

/// A new secret. Without `previous_client_secret_expires_at` the old one, and what was minted for it, dies at once.
pub(crate) async fn rotate(call: Call) -> Result<Answer, ApiError> {
    let grace: Option<Timestamp> = call.fields()?.read("previous_client_secret_expires_at")?;
    let secret = Secret::random();
    let (_, token) = call
        .replace_service_token(|old| {
            let version = old.client_secret_version.saturating_add(1);
            Ok(rotated(old, &secret, version, grace))
        })
        .await?;
    if grace.is_none() {
        revocations::service_token(&call, &token.client_id).await?;
    }
    let seen = call.seen().await.unwrap_or_default();
    Ok(Answer::ok(with_secret(&token, &seen, &secret)))
}
