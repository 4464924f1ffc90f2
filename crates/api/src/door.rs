//! The door of the administration API: the story of one request.

use crate::answer::Answer;
use crate::authenticate::authenticate;
use crate::call::Call;
use crate::error::{ApiError, Concern};
use crate::parts::{ApiParts, Caller};
use crate::query::Query;
use crate::routes;
use bytes::Bytes;
use http::{Request, Response};
use narthex_model::RayId;
use serde_json::json;
use std::sync::Arc;
use tracing::{error, info};

/// The largest body that is read, in bytes.
pub const MOST_BODY_BYTES: usize = 10 * 1024 * 1024;

/// The administration API.
#[derive(Clone)]
pub struct Api {
    parts: Arc<ApiParts>,
}

impl Api {
    /// An API over these parts.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Answers one request under `/client/v4`. Always with JSON in the common envelope.
    ///
    /// The request is worked on in a task of its own: a caller who goes away does not leave a write half done, and a
    /// panic costs that one request.
    pub async fn answer(&self, caller: Caller, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, ray) = (Arc::clone(&self.parts), caller.ray.clone());
        let work = tokio::spawn(async move { serve(parts, caller, request).await });
        let outcome = work.await.unwrap_or_else(|why| Err(ApiError::Internal(why.to_string())));
        match outcome {
            Ok(answer) => answer.respond(&ray),
            Err(refusal) => {
                note(&refusal, &ray);
                refusal.respond(&ray)
            }
        }
    }
}

/// The story of one request.
async fn serve(
    parts: Arc<ApiParts>,
    caller: Caller,
    request: Request<Bytes>,
) -> Result<Answer, ApiError> {
    let now = parts.clock.now();
    let (head, body) = request.into_parts();
    if body.len() > MOST_BODY_BYTES {
        return Err(ApiError::TooLarge);
    }
    let bootstrap = parts.bootstrap_token.as_ref();
    let actor = authenticate(&head.headers, bootstrap, &*parts.store, now).await?;
    let found = routes::find(&head.method, head.uri.path())?;
    let scope = found.scope(&parts.live.snapshot.load().premises)?;
    let retries = head.headers.get("x-stainless-retry-count").and_then(|v| v.to_str().ok());
    let summary = json!({
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "retry": retries.and_then(|count| count.parse::<u16>().ok()).unwrap_or(0),
    });
    let query = Query::of(head.uri.query());
    let (needs, run) = found.route.duty()?;
    actor.may(needs)?;
    let ids = found.ids;
    run(Call { parts, actor, caller, now, scope, ids, query, body, summary }).await
}

/// Logs what an operator should know.
fn note(refusal: &ApiError, ray: &RayId) {
    match refusal.concern() {
        Concern::Failure => error!(%ray, "the API failed: {refusal}"),
        Concern::Credential => info!(%ray, "a caller of the API was refused: {refusal:?}"),
        Concern::Caller => {}
    }
}
