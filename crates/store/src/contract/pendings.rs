//! What waits to be taken once.

use super::{NOW, at_once};
use crate::{PendingKind, Store, StoreError, TryOutcome};
use serde_json::json;
use std::sync::Arc;

pub(super) async fn a_handle_opens_its_own_kind_until_it_expires(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let (kind, key, end) = (PendingKind::Login, [1; 32], NOW.plus(600));
    let body = json!({"verifier": "secret", "n": 1});
    store.put_pending(kind, &key, &body, end).await?;
    for (other, key) in [
        (PendingKind::Handoff, [1; 32]),
        (PendingKind::Walk, [1; 32]),
        (PendingKind::Pin, [1; 32]),
        (PendingKind::Partition, [1; 32]),
        (PendingKind::Form, [1; 32]),
        (PendingKind::Login, [2; 32]),
    ] {
        assert_eq!(store.peek_pending(other, &key, NOW).await?, None, "{other:?}");
        assert_eq!(store.take_pending(other, &key, NOW).await?, None, "{other:?}");
    }
    let last = NOW.plus(599);
    assert_eq!(store.peek_pending(kind, &key, last).await?, Some(body.clone()));
    assert_eq!(store.peek_pending(kind, &key, end).await?, None, "expired");
    assert_eq!(store.take_pending(kind, &key, end).await?, None, "expired");
    assert_eq!(store.take_pending(kind, &key, last).await?, Some(body));
    assert_eq!(store.take_pending(kind, &key, last).await?, None, "taken");
    assert_eq!(store.peek_pending(kind, &key, last).await?, None, "taken");
    Ok(())
}

pub(super) async fn of_sixteen_takers_one_wins(store: &Arc<dyn Store>) -> Result<(), StoreError> {
    for (kind, round) in
        [(PendingKind::Login, 10), (PendingKind::Handoff, 11), (PendingKind::Pin, 12)]
    {
        store.put_pending(kind, &[round; 32], &json!(round), NOW.plus(60)).await?;
        let taken = at_once(16, |_| {
            let store = Arc::clone(store);
            async move { store.take_pending(kind, &[round; 32], NOW).await }
        });
        let winners: Vec<_> = taken.await?.into_iter().flatten().collect();
        assert_eq!(winners, [json!(round)], "{kind:?}");
    }
    Ok(())
}

pub(super) async fn tries_are_counted_exactly(store: &Arc<dyn Store>) -> Result<(), StoreError> {
    let (kind, key, end) = (PendingKind::Pin, [20; 32], NOW.plus(600));
    assert_eq!(store.count_try(kind, &key, 5, NOW).await?, TryOutcome::Gone, "never put");
    store.put_pending(kind, &key, &json!("first"), end).await?;
    let tries = at_once(16, |_| {
        let store = Arc::clone(store);
        async move { store.count_try(kind, &key, 5, NOW).await }
    });
    let mut allowed = Vec::new();
    let mut exhausted = 0;
    for outcome in tries.await? {
        match outcome {
            TryOutcome::Allowed(n) => allowed.push(n),
            TryOutcome::Exhausted => exhausted += 1,
            TryOutcome::Gone => panic!("it was there"),
        }
    }
    allowed.sort_unstable();
    assert_eq!((allowed.as_slice(), exhausted), ([1, 2, 3, 4, 5].as_slice(), 11));
    store.put_pending(kind, &key, &json!("second"), end).await?;
    let again = store.count_try(kind, &key, 5, NOW).await?;
    assert_eq!(again, TryOutcome::Exhausted, "a new body brings no new tries");
    assert_eq!(store.count_try(kind, &key, 5, end).await?, TryOutcome::Gone, "expired");
    assert_eq!(store.take_pending(kind, &key, NOW).await?, Some(json!("second")));
    assert_eq!(store.count_try(kind, &key, 5, NOW).await?, TryOutcome::Gone, "taken");
    Ok(())
}
