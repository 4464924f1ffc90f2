//! Rotation lets nobody down: what was signed verifies until the overlap ends, and not a second longer (J7, J16).

use crate::forge::{NOW, Team, aud, person};
use narthex_model::UnixSeconds;
use narthex_token::{
    KeyAction, KeyError, KeyRing, OVERLAP_SECONDS, SigningKey, TokenError, next_action,
};
use serde_json::Value;
use std::sync::Arc;

const DAY: i64 = 24 * 3600;

/// Does what the schedule asks for, as the control side would.
fn settle(keys: &mut Vec<Arc<SigningKey>>, now: UnixSeconds) {
    loop {
        match next_action(keys, 42, now) {
            KeyAction::Nothing => return,
            KeyAction::Generate { active_from } => {
                keys.push(Arc::new(SigningKey::generate(now, active_from)));
            }
            KeyAction::Reschedule { kid, active_from } => {
                for key in keys.iter_mut().filter(|key| *key.kid() == kid) {
                    *key = Arc::new(key.rescheduled(active_from));
                }
            }
            KeyAction::Retire(kid) => keys.retain(|key| *key.kid() != kid),
        }
    }
}

fn published(ring: &KeyRing) -> Vec<String> {
    let certs: Value = serde_json::from_str(ring.certs_json()).unwrap();
    let kid = |jwk: &Value| jwk["kid"].as_str().unwrap().to_owned();
    certs["keys"].as_array().unwrap().iter().map(kid).collect()
}

#[test]
fn a_rotation_from_first_notice_to_last_use() {
    let domain = Team::new().domain;
    let mut keys = Vec::new();
    settle(&mut keys, NOW);
    let ring = |keys: &[Arc<SigningKey>], now| KeyRing::of(keys.to_vec(), &domain, now).unwrap();
    let (first, second) = (keys[0].kid().to_string(), keys[1].kid().to_string());
    let before = ring(&keys, NOW);
    assert_eq!(
        published(&before),
        [first.clone(), second.clone()],
        "the next key is public at once"
    );
    let takeover = NOW.plus(42 * DAY);
    assert_eq!((before.next_rotation(), before.changes_at()), (Some(takeover), Some(takeover)));
    assert_eq!(ring(&keys, takeover.plus(-1)).signer_kid().as_str(), first);

    let long = |iat| {
        let mut token = person();
        (token.iat, token.exp) = (iat, takeover.plus(60 * DAY));
        token
    };
    let old = ring(&keys, takeover.plus(-1)).mint(&long(takeover.plus(-1)));
    settle(&mut keys, takeover);
    let after = ring(&keys, takeover);
    assert_eq!(after.signer_kid().as_str(), second);
    assert_eq!(after.signing_since(), takeover);
    assert_eq!(published(&after), [second, keys[2].kid().to_string(), first]);
    let new = after.mint(&long(takeover));
    let end = takeover.plus(OVERLAP_SECONDS);
    assert_eq!(after.changes_at(), Some(end));
    for now in [takeover, end.plus(-1)] {
        let ring = ring(&keys, now);
        assert!(
            ring.open_app(&old, &aud(), now).is_ok() && ring.open_app(&new, &aud(), now).is_ok()
        );
    }
    let refused = Err(TokenError::UnknownKey { kid: keys[0].kid().clone() });
    assert_eq!(ring(&keys, end).open_app(&old, &aud(), end).map(drop), refused, "not deleted yet");
    settle(&mut keys, end);
    assert_eq!(keys.len(), 2);
    assert_eq!(ring(&keys, end).open_app(&old, &aud(), end).map(drop), refused);
    assert!(ring(&keys, end).open_app(&new, &aud(), end).is_ok());
}

#[test]
fn a_ring_needs_a_key_that_is_active_and_each_once() {
    let domain = Team::new().domain;
    let key = Arc::new(SigningKey::generate(NOW, NOW.plus(1)));
    let of = |keys, now| KeyRing::of(keys, &domain, now).map(drop);
    assert_eq!(of(vec![], NOW), Err(KeyError::NoneActive));
    assert_eq!(of(vec![Arc::clone(&key)], NOW), Err(KeyError::NoneActive));
    assert_eq!(of(vec![Arc::clone(&key)], NOW.plus(1)), Ok(()));
    let twice = vec![Arc::clone(&key), Arc::clone(&key)];
    assert_eq!(of(twice, NOW.plus(1)), Err(KeyError::Duplicate { kid: key.kid().clone() }));
}

#[test]
fn a_ring_shows_no_key() {
    let team = Team::new();
    let shown = format!("{:?}", team.ring);
    assert!(shown.contains(team.key.kid().as_str()) && shown.len() < 300, "{shown}");
}
