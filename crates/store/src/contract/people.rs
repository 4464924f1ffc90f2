//! People.

use super::samples::{email, session};
use super::{NOW, at_once};
use crate::{Revoked, Store, StoreError, UserFilter};
use narthex_model::{Timestamp, User, UserId};
use std::sync::Arc;

pub(super) async fn an_address_keeps_its_id_until_it_is_deleted(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let address = email("Aoi@Example.com");
    let first = store.user_for_login(&address, "Aoi", NOW).await?;
    assert_eq!(first.last_successful_login, Some(Timestamp(NOW)));
    let again = store.user_for_login(&email("aoi@example.com"), "", NOW.plus(10)).await?;
    let login = Some(Timestamp(NOW.plus(10)));
    assert_eq!(again, User { last_successful_login: login, ..first.clone() }, "the name stays");
    let renamed = store.user_for_login(&address, "Aoi N.", NOW.plus(20)).await?;
    assert_eq!((renamed.id, renamed.name.as_str()), (first.id, "Aoi N."));
    assert_eq!(renamed.updated_at, Timestamp(NOW.plus(20)));
    assert_eq!(store.user(first.id).await?, Some(renamed));

    let kept = session(first.id, NOW);
    store.put_session(&kept).await?;
    assert_eq!(store.last_identity(first.id).await?, Some(kept.identity.clone()));
    let until = NOW.plus(7_200);
    assert!(store.delete_user(first.id, until).await?);
    assert!(!store.delete_user(first.id, until).await?);
    assert_eq!(store.user(first.id).await?, None);
    assert_eq!(store.session(&kept.nonce).await?, None, "the sessions go too");
    assert_eq!(store.last_identity(first.id).await?, None);
    let revoked = Revoked::User(first.id);
    assert!(store.revocations(NOW).await?.iter().any(|r| r.what == revoked && r.at == until));
    store.put_session(&kept).await?;
    assert_eq!(store.session(&kept.nonce).await?, None, "a login under way comes too late");

    let back = store.user_for_login(&address, "Aoi", NOW.plus(30)).await?;
    assert_ne!(back.id, first.id, "whoever comes back is somebody new");
    Ok(())
}

pub(super) async fn many_first_logins_make_one_user(
    store: &Arc<dyn Store>,
) -> Result<(), StoreError> {
    let logins = at_once(16, |_| {
        let store = Arc::clone(store);
        async move { store.user_for_login(&email("ren@example.com"), "Ren", NOW.plus(1)).await }
    });
    let mut ids: Vec<UserId> = logins.await?.iter().map(|user| user.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    Ok(())
}

pub(super) async fn users_are_found_by_what_people_type(
    store: &dyn Store,
) -> Result<(), StoreError> {
    store.user_for_login(&email("a_b@example.net"), "100% Mio", NOW.plus(2)).await?;
    let some = |text: &str| Some(text.to_owned());
    let everyone = UserFilter::default();
    for (filter, want) in [
        (everyone.clone(), vec!["ren@example.com", "a_b@example.net", "aoi@example.com"]),
        (
            UserFilter { email: some("REN@example.com"), ..everyone.clone() },
            vec!["ren@example.com"],
        ),
        (UserFilter { email: some("ren@example"), ..everyone.clone() }, vec![]),
        (UserFilter { name: some("ren"), ..everyone.clone() }, vec!["ren@example.com"]),
        (UserFilter { name: some("re"), ..everyone.clone() }, vec![]),
        (
            UserFilter { search: some("EXAMPLE.COM"), ..everyone.clone() },
            vec!["ren@example.com", "aoi@example.com"],
        ),
        (UserFilter { search: some("a_b"), ..everyone.clone() }, vec!["a_b@example.net"]),
        (UserFilter { search: some("r_n"), ..everyone.clone() }, vec![]),
        (UserFilter { search: some("0%"), ..everyone.clone() }, vec!["a_b@example.net"]),
        (UserFilter { search: some("' OR 1=1 --"), ..everyone.clone() }, vec![]),
    ] {
        let found = store.users(&filter).await?;
        let emails: Vec<&str> = found.items.iter().map(|user| user.email.as_str()).collect();
        assert_eq!(emails, want, "{filter:?}");
        assert_eq!(found.total, want.len() as u64, "{filter:?}");
    }
    for (limit, offset, want) in [(2, 0, 2), (2, 2, 1), (2, 4, 0)] {
        let filter = UserFilter { limit: Some(limit), offset, ..everyone.clone() };
        let found = store.users(&filter).await?;
        assert_eq!((found.items.len(), found.total), (want, 3), "{filter:?}");
    }
    Ok(())
}
