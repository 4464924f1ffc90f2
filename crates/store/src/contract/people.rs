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
    let later = session(first.id, NOW.plus(30));
    store.put_session(&later).await?;
    store.put_session(&kept).await?;
    assert_eq!(store.last_identity(first.id).await?, Some(later.identity), "of the last login");
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

pub(super) async fn a_user_made_ahead_is_found_by_the_login(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let address = email("Yui@example.org");
    let made = store.create_user(&address, "Yui", NOW).await?.expect("the address is new");
    assert_eq!((made.email.as_str(), made.last_successful_login), ("yui@example.org", None));
    assert_eq!((made.created_at, made.updated_at), (Timestamp(NOW), Timestamp(NOW)));
    assert_eq!(store.user(made.id).await?, Some(made.clone()));
    assert_eq!(store.create_user(&address, "Another", NOW.plus(1)).await?, None, "there is one");

    let renamed = store.rename_user(made.id, "Yui T.", NOW.plus(2)).await?;
    let updated_at = Timestamp(NOW.plus(2));
    let want = User { name: "Yui T.".to_owned(), updated_at, ..made.clone() };
    assert_eq!(renamed, Some(want.clone()));
    assert_eq!(store.rename_user(made.id, "Yui T.", NOW.plus(3)).await?, Some(want.clone()));
    assert_eq!(store.rename_user(UserId::random(), "Nobody", NOW).await?, None);

    let login = store.user_for_login(&address, "", NOW.plus(4)).await?;
    let last_successful_login = Some(Timestamp(NOW.plus(4)));
    assert_eq!(login, User { last_successful_login, ..want }, "the same user");
    assert!(store.delete_user(made.id, NOW.plus(5)).await?);
    let again = store.create_user(&address, "Yui", NOW.plus(6)).await?.expect("it is free again");
    assert_ne!(again.id, made.id);
    assert!(store.delete_user(again.id, NOW.plus(7)).await?);
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
