//! Sessions and what ends them.

use super::NOW;
use super::samples::session;
use crate::{PendingKind, Revocation, Revoked, Store, StoreError};
use narthex_model::{AudTag, ClientId, IdentityNonce, Session, UserId};
use serde_json::json;

pub(super) async fn sessions_live_until_their_last_token(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let user = UserId::random();
    let (old, young) = (session(user, NOW), session(user, NOW.plus(60)));
    store.put_session(&old).await?;
    store.put_session(&young).await?;
    store.put_session(&session(UserId::random(), NOW)).await?;
    assert_eq!(store.session(&old.nonce).await?, Some(old.clone()));
    assert_eq!(store.session(&IdentityNonce::random()).await?, None);
    assert_eq!(store.sessions_of(user, NOW).await?, [young.clone(), old.clone()], "youngest first");
    assert_eq!(store.live_sessions(NOW).await?.len(), 3);
    for (after, want) in [(7_199, 2), (7_200, 1), (7_260, 0)] {
        let live = store.sessions_of(user, NOW.plus(after)).await?;
        assert_eq!(live.len(), want, "{after} seconds later");
    }
    let longer = Session { tokens_until: NOW.plus(9_000), ..old };
    store.put_session(&longer).await?;
    assert_eq!(store.session(&longer.nonce).await?, Some(longer), "replaced");
    Ok(())
}

pub(super) async fn an_ended_session_stays_ended(store: &dyn Store) -> Result<(), StoreError> {
    let ended = session(UserId::random(), NOW);
    store.put_session(&ended).await?;
    store.end_session(&ended.nonce, ended.tokens_until).await?;
    assert_eq!(store.session(&ended.nonce).await?, None);
    let revoked = Revocation::of_session(ended.nonce.clone(), ended.tokens_until);
    assert!(store.revocations(NOW).await?.contains(&revoked));
    assert!(!store.revocations(ended.tokens_until).await?.contains(&revoked), "no longer needed");
    store.put_session(&ended).await?;
    assert_eq!(store.session(&ended.nonce).await?, None, "a refresh under way comes too late");
    let unknown = IdentityNonce::random();
    store.end_session(&unknown, NOW.plus(5)).await?;
    let revoked = Revocation::of_session(unknown, NOW.plus(5));
    assert!(store.revocations(NOW).await?.contains(&revoked), "of another node, perhaps");
    Ok(())
}

pub(super) async fn revoking_a_user_ends_what_began_before(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let (user, at) = (UserId::random(), NOW.plus(100));
    let [before, on, after] = [NOW.plus(99), at, NOW.plus(101)].map(|iat| session(user, iat));
    for session in [&before, &on, &after] {
        store.put_session(session).await?;
    }
    let revocation = Revocation { what: Revoked::User(user), at, until: NOW.plus(9_000) };
    store.put_revocations(std::slice::from_ref(&revocation)).await?;
    assert!(store.revocations(NOW).await?.contains(&revocation));
    assert_eq!(
        store.sessions_of(user, NOW).await?,
        std::slice::from_ref(&after),
        "a new login stays"
    );
    store.put_session(&before).await?;
    store.put_session(&on).await?;
    let kept = store.sessions_of(user, NOW).await?;
    assert_eq!(kept, std::slice::from_ref(&after), "a refresh under way comes too late");
    let new = session(user, at);
    store.put_session(&new).await?;
    let kept = store.sessions_of(user, NOW).await?;
    assert_eq!(kept, [after, new], "whoever logs in anew within that second is in");
    Ok(())
}

pub(super) async fn every_session_is_ended_at_once(store: &dyn Store) -> Result<(), StoreError> {
    let [one, other] = [session(UserId::random(), NOW), session(UserId::random(), NOW)];
    store.put_session(&one).await?;
    store.put_session(&other).await?;
    let (live, until) = (store.live_sessions(NOW).await?.len(), NOW.plus(9_000));
    let ended = store.end_all_sessions(until).await?;
    assert!(ended.len() >= live && ended.contains(&one.nonce) && ended.contains(&other.nonce));
    assert_eq!(store.live_sessions(NOW).await?, []);
    let kept = store.revocations(NOW).await?;
    for nonce in [&one.nonce, &other.nonce] {
        assert!(kept.contains(&Revocation::of_session(nonce.clone(), until)), "{nonce}");
    }
    store.put_session(&one).await?;
    assert_eq!(store.session(&one.nonce).await?, None, "a refresh under way comes too late");
    let new = session(one.identity.user_uuid, NOW);
    store.put_session(&new).await?;
    assert_eq!(store.live_sessions(NOW).await?, [new], "whoever logs in anew is in");
    assert_eq!(store.end_all_sessions(until).await?.len(), 1);
    Ok(())
}

pub(super) async fn revocations_are_kept_together(store: &dyn Store) -> Result<(), StoreError> {
    let (ended, user) = (session(UserId::random(), NOW), UserId::random());
    store.put_session(&ended).await?;
    store.put_revocations(&[]).await?;
    let revoked = |what| Revocation { what, at: NOW, until: NOW.plus(9_000) };
    let all = [
        Revocation::of_session(ended.nonce.clone(), NOW.plus(9_000)),
        revoked(Revoked::User(user)),
        revoked(Revoked::App(AudTag::random())),
    ];
    store.put_revocations(&all).await?;
    let kept = store.revocations(NOW).await?;
    assert!(all.iter().all(|revocation| kept.contains(revocation)), "{kept:?}");
    assert_eq!(store.session(&ended.nonce).await?, None);
    Ok(())
}

pub(super) async fn the_later_revocation_wins(store: &dyn Store) -> Result<(), StoreError> {
    for what in [Revoked::App(AudTag::random()), Revoked::ServiceToken(ClientId::random())] {
        let revocation =
            |at, until| Revocation { what: what.clone(), at: NOW.plus(at), until: NOW.plus(until) };
        for (put, want) in [
            (revocation(10, 500), revocation(10, 500)),
            (revocation(5, 400), revocation(10, 500)),
            (revocation(20, 400), revocation(20, 500)),
            (revocation(15, 600), revocation(20, 600)),
        ] {
            store.put_revocations(std::slice::from_ref(&put)).await?;
            let kept = store.revocations(NOW).await?;
            let kept: Vec<_> = kept.into_iter().filter(|kept| kept.what == what).collect();
            assert_eq!(kept, [want], "{put:?}");
        }
    }
    Ok(())
}

pub(super) async fn what_has_expired_is_forgotten(store: &dyn Store) -> Result<(), StoreError> {
    let far = NOW.plus(1_000_000);
    store.forget_expired(far).await?;
    let user = UserId::random();
    let (gone, kept) = (session(user, far.plus(-7_200)), session(user, far.plus(-7_199)));
    store.put_session(&gone).await?;
    store.put_session(&kept).await?;
    store.end_session(&IdentityNonce::random(), far).await?;
    store.end_session(&IdentityNonce::random(), far.plus(1)).await?;
    store.put_pending(PendingKind::Login, &[70; 32], &json!({}), far).await?;
    store.put_pending(PendingKind::Login, &[71; 32], &json!({}), far.plus(1)).await?;
    assert_eq!(store.forget_expired(far).await?, 3, "one of each");
    assert_eq!(store.forget_expired(far).await?, 0);
    assert_eq!(store.session(&gone.nonce).await?, None);
    assert_eq!(store.live_sessions(far).await?, [kept]);
    assert_eq!(store.revocations(far).await?.len(), 1);
    assert!(store.peek_pending(PendingKind::Login, &[71; 32], far).await?.is_some());
    Ok(())
}
