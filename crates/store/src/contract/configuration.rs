//! The configuration and its audit.

use super::at_once;
use super::samples::{APP, KEY, SECRET, application, audit, configuration};
use crate::{Change, Intact, Store, StoreError};
use narthex_model::{Configuration, IdentityProvider, Revision, Secret};
use std::sync::Arc;

/// Both hold the same objects, secrets included.
fn same(one: &Configuration, two: &Configuration) -> bool {
    let providers = |it: &Configuration| -> Vec<_> {
        let provider = |idp: &IdentityProvider| {
            let secret = idp.config.secret().map(|secret| secret.expose().to_owned());
            let named = (idp.id, idp.name.clone(), idp.scim.clone(), idp.zone.clone());
            (named, idp.config.kind(), idp.config.to_json(), secret, idp.created_at, idp.updated_at)
        };
        it.identity_providers.values().map(|idp| provider(idp)).collect()
    };
    one.organization == two.organization
        && one.apps == two.apps
        && one.policies == two.policies
        && one.groups == two.groups
        && one.service_tokens == two.service_tokens
        && one.certificate_authorities == two.certificate_authorities
        && one.hostname_settings == two.hostname_settings
        && one.client_certificates == two.client_certificates
        && one.managed_transforms == two.managed_transforms
        && providers(one) == providers(two)
}

pub(super) async fn what_is_committed_is_loaded(store: &dyn Store) -> Result<(), StoreError> {
    let (revision, empty) = store.load().await?;
    assert_eq!(revision, Revision(0), "a new store");
    assert!(same(&empty, &Configuration::default()), "a new store is empty");

    let wanted = configuration();
    let changes = Change::between(&empty, &wanted);
    assert_eq!(changes.len(), 10, "one of every kind");
    let one = store.commit(revision, &changes, &audit("first start")).await?;
    let (revision, loaded) = store.load().await?;
    assert_eq!((one, revision), (Revision(1), Revision(1)));
    assert!(same(&loaded, &wanted), "{loaded:?}");
    let idp = loaded.identity_providers.values().next().expect("one provider");
    assert_eq!(idp.config.secret().map(Secret::expose), Some(SECRET));

    let authority = loaded.certificate_authorities.values().next().expect("one authority");
    assert_eq!(authority.key.as_ref().map(Secret::expose), Some(KEY));

    let mut wanted = loaded.clone();
    let app = application("Wiki, renamed");
    wanted.apps.insert(app.id, app);
    wanted.groups.clear();
    let changes = Change::between(&loaded, &wanted);
    assert_eq!(changes.len(), 2, "only what differs: {changes:?}");
    store.commit(revision, &changes, &audit("terraform")).await?;
    assert!(same(&store.load().await?.1, &wanted));
    Ok(())
}

pub(super) async fn a_stale_change_is_refused_whole(store: &dyn Store) -> Result<(), StoreError> {
    let (revision, before) = store.load().await?;
    let app = APP.parse().expect("the sample is valid");
    for stale in [Revision(0), Revision(revision.0 - 1), Revision(revision.0 + 1)] {
        let refused = store.commit(stale, &[Change::DeleteApp(app)], &audit("late")).await;
        match refused {
            Err(StoreError::Moved { expected, found }) => {
                assert_eq!((expected, found), (stale, revision));
            }
            Err(other) => return Err(other),
            Ok(made) => panic!("a change read at {stale:?} made {made:?}"),
        }
    }
    let (after, configuration) = store.load().await?;
    assert_eq!(after, revision);
    assert!(same(&configuration, &before));
    Ok(())
}

pub(super) async fn of_many_writers_at_one_revision_one_wins(
    store: &Arc<dyn Store>,
) -> Result<(), StoreError> {
    let (revision, _) = store.load().await?;
    let outcomes = at_once(16, |n| {
        let store = Arc::clone(store);
        async move {
            let change = Change::PutApp(application(&format!("writer {n}")));
            match store.commit(revision, &[change], &audit("writer")).await {
                Ok(_) => Ok(Some(n)),
                Err(StoreError::Moved { .. }) => Ok(None),
                Err(other) => Err(other),
            }
        }
    });
    let winners: Vec<u8> = outcomes.await?.into_iter().flatten().collect();
    let (after, configuration) = store.load().await?;
    assert_eq!(after, Revision(revision.0 + 1));
    let [winner] = winners[..] else { panic!("one writer wins, not {winners:?}") };
    let names: Vec<_> = configuration.apps.values().map(|app| app.name.clone()).collect();
    assert_eq!(names, [format!("writer {winner}")], "what is kept is the winner's");
    Ok(())
}

pub(super) async fn the_audit_names_every_revision(store: &dyn Store) -> Result<(), StoreError> {
    let all = store.recorded_changes(10, 0).await?;
    let revisions: Vec<_> = all.items.iter().map(|change| change.revision.0).collect();
    assert_eq!((revisions.as_slice(), all.total), ([3, 2, 1].as_slice(), 3), "youngest first");
    let second = store.recorded_changes(1, 1).await?;
    assert_eq!((second.items.as_slice(), second.total), (&all.items[1..2], 3), "a page");
    assert_eq!(store.recorded_changes(10, 3).await?.items, [], "past the end");
    let change = &all.items[1];
    assert_eq!(change.record.actor, "terraform");
    assert_eq!(change.record.summary["method"], "PUT");
    assert!(change.objects.contains(&format!("put app {APP}")), "{:?}", change.objects);
    let text = format!("{all:?}");
    assert!(!text.contains(SECRET) && !text.contains(KEY), "{text}");
    assert_eq!(store.verify_audit().await?, Intact::Yes(3));
    Ok(())
}
