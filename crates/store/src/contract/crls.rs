//! Revocation lists.

use super::NOW;
use super::samples::{audit, authority};
use crate::{Change, Store, StoreError};
use narthex_model::{CertificateAuthorityId, CrlFailure, CrlSource, StoredCrl, Timestamp};
use std::sync::Arc;

pub(super) async fn lists_are_kept_as_long_as_their_authority(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let mut ours = authority();
    ours.id = CertificateAuthorityId::random();
    let mut good = StoredCrl {
        authority: ours.id,
        source: CrlSource::Url("http://ca.example/a.crl".into()),
        der: Some(Arc::from([0x30, 0x00, 0xff])),
        taken_at: Some(Timestamp(NOW)),
        failure: None,
    };
    assert!(!store.put_crl(&good).await?, "an authority that is not there");
    assert_eq!(store.crls().await?, []);

    let change = Change::PutCertificateAuthority(Arc::new(ours.clone()));
    let (revision, _) = store.load().await?;
    let revision = store.commit(revision, &[change], &audit("terraform")).await?;
    let never = StoredCrl {
        source: CrlSource::Upload("CN=Staff CA".into()),
        der: None,
        taken_at: None,
        failure: Some(CrlFailure { at: Timestamp(NOW), why: "no list, but 50 MB".to_owned() }),
        ..good.clone()
    };
    assert!(store.put_crl(&good).await? && store.put_crl(&never).await?);
    assert_eq!(store.crls().await?, [good.clone(), never.clone()]);
    good.failure = Some(CrlFailure { at: Timestamp(NOW.plus(5)), why: "no answer".to_owned() });
    assert!(store.put_crl(&good).await?, "replaced");
    assert_eq!(store.crls().await?, [good.clone(), never.clone()]);
    assert_eq!(store.crls_of(ours.id).await?, [good.clone(), never.clone()]);
    assert_eq!(store.crls_of(CertificateAuthorityId::random()).await?, [], "another's");
    assert!(store.delete_crl(ours.id, &never.source).await?);
    assert!(!store.delete_crl(ours.id, &never.source).await?, "gone already");
    assert_eq!(store.crls().await?, [good]);

    let change = Change::DeleteCertificateAuthority(ours.id);
    store.commit(revision, &[change], &audit("terraform")).await?;
    assert_eq!(store.crls().await?, [], "its lists go with it");
    Ok(())
}
