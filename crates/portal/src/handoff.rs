//! From the team domain to the application's host: a nonce that is good once, for one host and one minute, and a
//! state that must come back with it (access-protocol §3.6, §3.7).

use crate::Portal;
use crate::journey::{Journey, Packed};
use crate::redirect::AppOrigin;
use crate::secret::{Handle, sha256};
use crate::trouble::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_model::{Hostname, IdentityNonce, UnixSeconds};
use narthex_snapshot::Snapshot;
use narthex_store::PendingKind;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the store keeps under a nonce.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandOff {
    /// The host that may redeem the nonce.
    pub(crate) stop: Stop,
    /// Where the login began, which is where it ends.
    pub(crate) journey: Packed,
    /// Hosts still to be visited after this one; the journey's own host is the last.
    pub(crate) then: Vec<Stop>,
    /// The login session.
    pub(crate) session: IdentityNonce,
    /// Life of the token in seconds.
    pub(crate) life: i64,
    /// SHA-256 of the state that goes with the nonce: nobody can change it, and no key has to be kept for that.
    pub(crate) state: [u8; 32],
}

/// A host that gets a cookie.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stop {
    pub(crate) host: Hostname,
    /// SHA-256 of the `CF_AppSession` that the browser has there, in hexadecimal digits; `None` only where a login
    /// ends that began at the team domain.
    pub(crate) app_session: Option<String>,
}

impl Stop {
    /// Where the journey began and ends.
    pub(crate) fn last(journey: &Journey) -> Self {
        let app_session = journey.seen.app_session.clone();
        Self { host: journey.origin.host.clone(), app_session }
    }
}

/// Seconds for which a nonce is good.
pub(crate) const LIFE_SECONDS: i64 = 60;

impl Portal {
    /// Sends a session to the journey's own host, after the `others`: keeps a nonce for the first of them and returns
    /// the URL that redeems it.
    pub(crate) async fn hand_off(
        &self,
        now: UnixSeconds,
        snapshot: &Snapshot,
        journey: &Journey,
        mut others: Vec<Stop>,
        (session, life): (IdentityNonce, i64),
    ) -> Result<String, Trouble> {
        others.push(Stop::last(journey));
        let stop = others.remove(0);
        let journey_packed = journey.pack();
        let hand_off =
            HandOff { stop, journey: journey_packed, then: others, session, life, state: [0; 32] };
        self.hand_over(now, snapshot, journey, hand_off).await
    }

    /// Moves a hand-off to the next of its hosts and returns the URL there; `None` at the last.
    pub(crate) async fn hand_on(
        &self,
        now: UnixSeconds,
        snapshot: &Snapshot,
        journey: &Journey,
        mut hand_off: HandOff,
    ) -> Result<Option<String>, Trouble> {
        if hand_off.then.is_empty() {
            return Ok(None);
        }
        hand_off.stop = hand_off.then.remove(0);
        self.hand_over(now, snapshot, journey, hand_off).await.map(Some)
    }

    /// Keeps a nonce for the hand-off's host and returns the URL that redeems it.
    async fn hand_over(
        &self,
        now: UnixSeconds,
        snapshot: &Snapshot,
        journey: &Journey,
        mut hand_off: HandOff,
    ) -> Result<String, Trouble> {
        let host = hand_off.stop.host.clone();
        let is_last = host == journey.origin.host;
        let team = snapshot.premises.team.authority();
        let state = json!({
            "authDomain": team.to_string(),
            "hostname": host.as_str(),
            "isSSO": !is_last,
            "redirectURL": journey.path.as_str(),
        });
        let state = URL_SAFE_NO_PAD.encode(state.to_string());
        hand_off.state = sha256(state.as_bytes());

        let nonce = Handle::random();
        let body = serde_json::to_value(&hand_off).expect("a hand-off has only text keys");
        let expires = now.plus(LIFE_SECONDS);
        self.store.put_pending(PendingKind::Handoff, &nonce.key(), &body, expires).await?;
        if !is_last {
            self.silent.sent(&host, &hand_off.session, now);
        }
        let origin = AppOrigin::of(host, team);
        let nonce = nonce.as_str();
        Ok(format!("{origin}/cdn-cgi/access/authorized?nonce={nonce}&state={state}"))
    }
}
