//! Revocation lists: taken up when they are good, kept when their source is down, and in force before anyone is told
//! (security checklist T14, T15).

use super::{Desk, Pen};
use crate::error::{ApiError, Kind};
use narthex_cert::{Authority, CrlFault, RevocationList};
use narthex_model::{
    CertificateAuthority, CertificateAuthorityId, CrlFailure, CrlSource, StoredCrl, Timestamp,
    UnixSeconds,
};
use narthex_snapshot::{Materials, ReadList};
use narthex_store::AdminRecord;
use std::sync::Arc;

impl Desk {
    /// Takes up a revocation list (DER or PEM) that came from `source`. A list that cannot be trusted, or is older than
    /// the one from the same source, changes nothing: the inner error says why. `audit` is who uploaded it, if anybody.
    ///
    /// # Errors
    /// `Missing` without such an authority; `Store` when the list could not be kept.
    pub async fn take_list(
        &self,
        audit: Option<&AdminRecord>,
        id: CertificateAuthorityId,
        source: CrlSource,
        bytes: &[u8],
        now: UnixSeconds,
    ) -> Result<Result<StoredCrl, CrlFault>, ApiError> {
        let mut pen = self.pen.lock().await;
        let authority = self.authority(id)?;
        let kept = self.kept(id, &source).await?;
        let before = kept.as_ref().and_then(|list| list.der.clone());
        let bytes = bytes.to_vec();
        let in_force = &pen.materials.revocation_lists;
        let last = before.as_deref().and_then(|der| in_force.full(id, der)).cloned();
        let judged = judge(Arc::clone(&authority), last, bytes).await?;
        let (der, read) = match judged {
            Ok(judged) => judged,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Some(audit) = audit {
            self.note(&pen, audit).await?;
        }
        let changed = before.as_deref() != Some(&*der);
        let list = StoredCrl {
            authority: id,
            source,
            der: Some(der),
            taken_at: Some(Timestamp(now)),
            failure: None,
        };
        if !self.store.put_crl(&list).await? {
            return Err(ApiError::Missing(Kind::Certificate));
        }
        if changed {
            self.renew_lists(&mut pen, id, &authority, Some(read)).await?;
        }
        Ok(Ok(list))
    }

    /// Remembers that a list could not be had. The last good one stays in force.
    ///
    /// # Errors
    /// `Store` when it could not be kept.
    pub async fn miss_list(
        &self,
        id: CertificateAuthorityId,
        source: CrlSource,
        why: String,
        now: UnixSeconds,
    ) -> Result<(), ApiError> {
        let _pen = self.pen.lock().await;
        let kept = self.kept(id, &source).await?;
        let never = StoredCrl { authority: id, source, der: None, taken_at: None, failure: None };
        let failure = Some(CrlFailure { at: Timestamp(now), why });
        self.store.put_crl(&StoredCrl { failure, ..kept.unwrap_or(never) }).await?;
        Ok(())
    }

    /// Forgets the list of a source; whether there was one.
    ///
    /// # Errors
    /// `Store` when it could not be forgotten.
    pub async fn forget_list(
        &self,
        audit: &AdminRecord,
        id: CertificateAuthorityId,
        source: &CrlSource,
    ) -> Result<bool, ApiError> {
        let mut pen = self.pen.lock().await;
        if self.kept(id, source).await?.is_none() {
            return Ok(false);
        }
        self.note(&pen, audit).await?;
        let there = self.store.delete_crl(id, source).await?;
        let authority = self.authority(id)?;
        self.renew_lists(&mut pen, id, &authority, None).await?;
        Ok(there)
    }

    /// Forgets lists that were fetched from addresses which the authority's settings no longer name.
    ///
    /// # Errors
    /// `Store` when they could not be forgotten.
    pub(crate) async fn forget_unused_lists(
        &self,
        said: &CertificateAuthority,
    ) -> Result<(), ApiError> {
        let mut pen = self.pen.lock().await;
        let urls = &said.revocation.crl.urls;
        let unused = |list: &StoredCrl| match &list.source {
            CrlSource::Url(url) => !urls.iter().any(|known| known.as_str() == &**url),
            CrlSource::Upload(_) => false,
        };
        let kept = self.store.crls_of(said.id).await?;
        let mut forgotten = false;
        for list in kept.iter().filter(|list| unused(list)) {
            forgotten |= self.store.delete_crl(said.id, &list.source).await?;
        }
        if forgotten {
            let authority = self.authority(said.id)?;
            self.renew_lists(&mut pen, said.id, &authority, None).await?;
        }
        Ok(())
    }

    fn authority(&self, id: CertificateAuthorityId) -> Result<Arc<Authority>, ApiError> {
        let standing = self.standing();
        let said = standing.configuration.certificate_authorities.get(&id);
        let said = said.ok_or(ApiError::Missing(Kind::Certificate))?;
        let read = Authority::parse(said.certificates.as_str());
        read.map(Arc::new).map_err(|why| ApiError::Internal(format!("{id}: {why}")))
    }

    async fn kept(
        &self,
        id: CertificateAuthorityId,
        source: &CrlSource,
    ) -> Result<Option<StoredCrl>, ApiError> {
        let all = self.store.crls_of(id).await?;
        Ok(all.into_iter().find(|list| list.source == *source))
    }

    /// Puts the lists of one authority in force as they are kept; `fresh` is one of them that was read just now.
    async fn renew_lists(
        &self,
        pen: &mut Pen,
        id: CertificateAuthorityId,
        authority: &Arc<Authority>,
        fresh: Option<ReadList>,
    ) -> Result<(), ApiError> {
        let kept = self.store.crls_of(id).await?;
        let (before, authority) =
            (Arc::clone(&pen.materials.revocation_lists), Arc::clone(authority));
        let reading =
            tokio::task::spawn_blocking(move || before.with(id, &authority, &kept, fresh));
        let (lists, unusable) = reading.await.map_err(|why| ApiError::Internal(why.to_string()))?;
        for list in unusable {
            tracing::error!(authority.id = %id, source = %list.source, "a kept revocation list cannot be used: {}", list.fault);
        }
        let materials = Materials { revocation_lists: Arc::new(lists), ..pen.materials.clone() };
        self.put_in_force(pen, materials).await
    }
}

/// Whether a list may follow the one before from its source; its DER, and what was read. On a thread of its own: lists are long.
async fn judge(
    authority: Arc<Authority>,
    before: Option<Arc<RevocationList>>,
    bytes: Vec<u8>,
) -> Result<Result<(Arc<[u8]>, ReadList), CrlFault>, ApiError> {
    let judging = tokio::task::spawn_blocking(move || {
        let read = ReadList::open(&bytes, &authority)?;
        match (&read, before) {
            (ReadList::Full(list), Some(before)) => list.after(&before)?,
            (ReadList::Full(_), None) | (ReadList::Delta(_), _) => {}
        }
        Ok((der_of(bytes)?, read))
    });
    judging.await.map_err(|why| ApiError::Internal(why.to_string()))
}

/// The DER of a list that has been read, be it PEM or DER.
fn der_of(bytes: Vec<u8>) -> Result<Arc<[u8]>, CrlFault> {
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN"));
    let Some(text) = text else { return Ok(bytes.into()) };
    let blocks = narthex_model::pem_blocks(text).map_err(|_| CrlFault::NotACrl)?;
    let list = blocks.into_iter().find(|(label, _)| *label == "X509 CRL");
    list.map(|(_, der)| der.into()).ok_or(CrlFault::NotACrl)
}
