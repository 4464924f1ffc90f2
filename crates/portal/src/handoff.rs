//! From the team domain to the application's host: a nonce that is good once, for one host and one minute, and a
//! state that must come back with it (access-protocol §3.6, §3.7).

use crate::Portal;
use crate::ask::Ask;
use crate::journey::{Journey, Packed};
use crate::redirect::AppOrigin;
use crate::secret::{Handle, sha256};
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{Hostname, IdentityNonce, UnixSeconds};
use narthex_snapshot::{App, Snapshot};
use narthex_store::PendingKind;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashSet;
use std::net::IpAddr;

/// What the store keeps under a nonce.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandOff {
    /// The host that may redeem the nonce.
    pub(crate) host: Hostname,
    /// Where the login began, which is where it ends.
    pub(crate) journey: Packed,
    /// Hosts still to be visited after this one; the journey's own host is the last.
    pub(crate) then: Vec<Hostname>,
    /// Where the browser was when it left the team domain.
    #[serde(default)]
    pub(crate) ip: Option<IpAddr>,
    /// The login session.
    pub(crate) session: IdentityNonce,
    /// Life of the token in seconds.
    pub(crate) life: i64,
    /// SHA-256 of the state that goes with the nonce: nobody can change it, and no key has to be kept for that.
    pub(crate) state: [u8; 32],
}

/// Seconds for which a nonce is good.
const LIFE_SECONDS: i64 = 60;
/// Most hosts whose cookies are set at login (seed 004).
const EAGER_HOSTS: usize = 5;

impl Portal {
    /// Sends a session on its way: keeps a nonce for the first host and returns the URL that redeems it.
    pub(crate) async fn hand_off(
        &self,
        ask: &Ask<'_>,
        snapshot: &Snapshot,
        journey: &Journey,
        session: &IdentityNonce,
        life: i64,
    ) -> Result<String, Trouble> {
        let start = &journey.origin.host;
        let mut hosts = tour(&journey.app, start);
        hosts.retain(|host| host == start || !self.silent.is_silent(host, session, ask.now));
        let hand_off = HandOff {
            host: journey.origin.host.clone(),
            journey: journey.pack(),
            then: hosts,
            ip: Some(ask.visit.ip),
            session: session.clone(),
            life,
            state: [0; 32],
        };
        self.hand_on(ask.now, snapshot, journey, hand_off).await
    }

    /// Moves a hand-off to the next of its hosts and returns the URL there.
    pub(crate) async fn hand_on(
        &self,
        now: UnixSeconds,
        snapshot: &Snapshot,
        journey: &Journey,
        mut hand_off: HandOff,
    ) -> Result<String, Trouble> {
        if hand_off.then.is_empty() {
            return Err(Trouble::InvalidLoginSession {
                restart: Some(journey.url()),
                cookie_missing: false,
            });
        }
        hand_off.host = hand_off.then.remove(0);
        let team = snapshot.premises.team.authority();
        let state = json!({
            "authDomain": team.to_string(),
            "hostname": hand_off.host.as_str(),
            "isSSO": hand_off.host != journey.origin.host,
            "redirectURL": journey.path.as_str(),
        });
        let state = URL_SAFE_NO_PAD.encode(state.to_string());
        hand_off.state = sha256(state.as_bytes());

        let nonce = Handle::random();
        let body = serde_json::to_value(&hand_off).expect("a hand-off has only text keys");
        let expires = now.plus(LIFE_SECONDS);
        self.store.put_pending(PendingKind::Handoff, &nonce.key(), &body, expires).await?;
        if hand_off.host != journey.origin.host {
            self.silent.sent(&hand_off.host, &hand_off.session, now);
        }
        let origin = AppOrigin::of(hand_off.host, team);
        let nonce = nonce.as_str();
        Ok(format!("{origin}/cdn-cgi/access/authorized?nonce={nonce}&state={state}"))
    }
}

/// The hosts to visit for their cookies, in order: the others first, the one where the login began last. Only that
/// one when there are more than five, or when the application's setting says so; wildcards name no host to visit.
fn tour(app: &App, start: &Hostname) -> Vec<Hostname> {
    let patterns: HashSet<_> = app.spec.destinations.iter().map(|d| &d.host).collect();
    let eager = app.spec.cookie.eager_redirect_cookie_setting != Some(false);
    let mut hosts = Vec::new();
    if eager && patterns.len() <= EAGER_HOSTS {
        hosts.extend(app.spec.exact_hosts().filter(|host| *host != start).cloned());
    }
    hosts.push(start.clone());
    hosts
}
