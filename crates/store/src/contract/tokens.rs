//! Signing keys and API tokens.

use super::NOW;
use crate::{ApiToken, SamlKey, Store, StoreError, StoredKey};
use narthex_model::{ApiTokenId, Kid, Timestamp};
use zeroize::Zeroizing;

pub(super) async fn keys_come_back_as_they_were(store: &dyn Store) -> Result<(), StoreError> {
    let key = |active_from| StoredKey {
        kid: Kid::random(),
        pkcs8: Zeroizing::new(vec![48, 130, 0, 255]),
        certificate_pem: "-----BEGIN CERTIFICATE-----\n".to_owned(),
        created_at: NOW,
        active_from: NOW.plus(active_from),
    };
    let (next, current) = (key(86_400), key(0));
    store.put_key(&next).await?;
    store.put_key(&current).await?;
    store.put_key(&current).await?; // again: the same key, not a second one
    assert_eq!(store.load_keys().await?, [current.clone(), next.clone()], "by active_from");
    assert!(store.delete_key(&current.kid).await?);
    assert!(!store.delete_key(&current.kid).await?, "it is gone");
    assert_eq!(store.load_keys().await?, [next]);

    let saml = |byte| SamlKey {
        pkcs8: Zeroizing::new(vec![byte; 40]),
        certificate_pem: format!("-----BEGIN CERTIFICATE-----\n{byte}\n"),
        created_at: NOW,
    };
    assert_eq!(store.saml_key().await?, None);
    store.put_first_saml_key(&saml(1)).await?;
    store.put_first_saml_key(&saml(2)).await?;
    assert_eq!(store.saml_key().await?, Some(saml(1)), "the first stays");
    Ok(())
}

pub(super) async fn api_tokens_are_found_by_their_hash(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let token = |name: &str, hash, created| ApiToken {
        id: ApiTokenId::random(),
        name: name.to_owned(),
        hash: [hash; 32],
        created_at: Timestamp(NOW.plus(created)),
        not_before: None,
        expires_at: Some(Timestamp(NOW.plus(3_600))),
        disabled: false,
        read_only: created == 1,
    };
    let (young, old) = (token("young", 1, 1), token("old", 2, 0));
    store.put_api_token(&young).await?;
    store.put_api_token(&old).await?;
    assert_eq!(store.api_tokens().await?, [old.clone(), young.clone()], "oldest first");
    assert_eq!(store.api_token_by_hash(&[1; 32]).await?, Some(young.clone()));
    assert_eq!(store.api_token_by_hash(&[3; 32]).await?, None);

    let disabled = ApiToken { disabled: true, hash: [4; 32], ..young.clone() };
    store.put_api_token(&disabled).await?;
    assert_eq!(store.api_token_by_hash(&[1; 32]).await?, None, "its hash was replaced");
    assert_eq!(store.api_token_by_hash(&[4; 32]).await?, Some(disabled));
    assert!(store.delete_api_token(&young.id).await?);
    assert!(!store.delete_api_token(&young.id).await?);
    assert_eq!(store.api_tokens().await?, [old]);
    Ok(())
}
