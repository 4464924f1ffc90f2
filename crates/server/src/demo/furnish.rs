//! What a demo contains at its first start: an example application, a mailbox that anybody may read, and codes by mail.

use super::Demo;
use crate::Running;
use narthex_api::{ApiError, by_itself};
use narthex_model::{
    ApiTokenId, AppId, AppKind, Application, AudTag, Clock, Configuration, CookieSettings,
    Decision, Destination, GoDuration, IdentityProvider, IdpConfig, IdpId, Policy, PolicyId,
    PolicyLink, Rule, RuleSet, ScimConfig, Secret, Timestamp,
};
use narthex_store::{ApiToken, StoreError};
use serde_json::{Map, json};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the demo could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum FurnishError {
    /// The configuration was refused.
    #[error(transparent)]
    Desk(#[from] ApiError),
    /// The store did not take the API token.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The API token cannot be kept.
    #[error("{path}: {error}")]
    Token {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Sets the demo up where that has not happened yet, with an API token in `<data_dir>/admin-token`.
///
/// # Errors
/// [`FurnishError`] when the configuration or the store refuses.
pub async fn furnish(running: &Running, demo: &Demo) -> Result<(), FurnishError> {
    let now = Timestamp(Clock::System.now());
    if running.live.snapshot.load().apps().len() == 0 {
        let edit = move |configuration: &mut Configuration| -> Result<(), ApiError> {
            provider(configuration, now);
            application(
                configuration,
                now,
                "Example application",
                "app.localhost",
                Decision::Allow,
            );
            application(configuration, now, "Mailbox", "mailbox.localhost", Decision::Bypass);
            Ok(())
        };
        running.desk.change(&by_itself("demo", "furnished", now.0), edit).await?;
    }
    token(running, demo, now).await
}

fn provider(configuration: &mut Configuration, now: Timestamp) {
    let id = IdpId::random();
    let provider = IdentityProvider {
        id,
        name: "Login code by mail".to_owned(),
        config: IdpConfig::OneTimePin,
        scim: ScimConfig::default(),
        zone: None,
        created_at: now,
        updated_at: now,
    };
    configuration.identity_providers.insert(id, Arc::new(provider));
}

fn application(
    configuration: &mut Configuration,
    now: Timestamp,
    name: &str,
    host: &str,
    decision: Decision,
) {
    let everyone = Rule::try_from(json!({"everyone": {}})).expect("everyone is a rule");
    let (app, policy) = (AppId::random(), PolicyId::random());
    let rules = RuleSet { include: vec![everyone], ..RuleSet::default() };
    let policy_name =
        if decision == Decision::Allow { "Anyone with a mailbox" } else { "Open to everyone" };
    configuration.policies.insert(
        policy,
        Arc::new(Policy {
            id: policy,
            name: policy_name.to_owned(),
            decision,
            rules,
            session_duration: None,
            app: Some(app),
            presentation: Map::new(),
            created_at: now,
            updated_at: now,
        }),
    );
    let destination: Destination = host.parse().expect("a demo host is a destination");
    configuration.apps.insert(
        app,
        Arc::new(Application {
            id: app,
            aud: AudTag::random(),
            name: name.to_owned(),
            kind: AppKind::SelfHosted,
            destinations: vec![destination],
            session_duration: GoDuration::hours(24),
            allowed_idps: Vec::new(),
            auto_redirect_to_identity: false,
            cookie: CookieSettings::default(),
            cors_headers: None,
            options_preflight_bypass: false,
            service_auth_401_redirect: false,
            read_service_tokens_from_header: None,
            custom_deny_message: None,
            custom_deny_url: None,
            custom_non_identity_deny_url: None,
            replay_post_after_login: false,
            policies: vec![PolicyLink { id: policy, precedence: 1 }],
            presentation: Map::new(),
            zone: None,
            created_at: now,
            updated_at: now,
        }),
    );
}

/// The demo's API token, kept in a file that only its owner can read.
async fn token(running: &Running, demo: &Demo, now: Timestamp) -> Result<(), FurnishError> {
    let path = demo.data_dir.join("admin-token");
    let fail = |error| FurnishError::Token { path: path.clone(), error };
    if path.exists() {
        return Ok(());
    }
    let secret = Secret::random();
    let token = ApiToken {
        id: ApiTokenId::random(),
        name: "demo".to_owned(),
        hash: narthex_api::sha256(secret.expose()),
        created_at: now,
        not_before: None,
        expires_at: None,
        disabled: false,
        read_only: false,
    };
    running.store.put_api_token(&token).await?;
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(&path).map_err(fail)?;
    io::Write::write_all(&mut file, secret.expose().as_bytes()).map_err(fail)
}
