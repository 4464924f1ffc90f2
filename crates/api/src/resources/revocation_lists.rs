//! `access/certificates/{id}/crls` (ours, not the contract's): the revocation lists of an authority. They are uploaded
//! here, or fetched from the addresses of its revocation settings.

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use narthex_cert::{Authority, CrlFault, DeltaList, RevocationList};
use narthex_model::{CertificateAuthority, CrlSource, StoredCrl, Timestamp};
use serde_json::{Value, json};

/// The `id` of the list from this source: 32 hexadecimal digits of its hash. An address as it stands would go into the
/// path of a call only with encoded slashes, which the data path refuses.
fn id(source: &CrlSource) -> String {
    let hash = digest::digest(&digest::SHA256, source.to_string().as_bytes());
    hash.as_ref()[..16].iter().map(|octet| format!("{octet:02x}")).collect()
}

fn document(list: &StoredCrl, authority: &Authority, call: &Call) -> Value {
    let mut document = json!({
        "id": id(&list.source), "url": match &list.source {
            CrlSource::Url(url) => Some(url),
            CrlSource::Upload(_) => None,
        },
        "taken_at": list.taken_at,
        "failure": list.failure.as_ref().map(|failure| json!({"at": failure.at, "why": failure.why})),
    });
    let opened = list.der.as_ref().map(|der| RevocationList::open(der, authority));
    match (opened, document.as_object_mut()) {
        (Some(Ok(read)), Some(members)) => members.extend([
            ("kind".to_owned(), "full".into()),
            ("issuer".to_owned(), read.issuer().rfc2253().into()),
            ("number".to_owned(), read.number().into()),
            ("this_update".to_owned(), json!(Timestamp(read.this_update()))),
            ("next_update".to_owned(), json!(read.next_update().map(Timestamp))),
            ("overdue".to_owned(), read.is_overdue(call.now).into()),
            ("revoked".to_owned(), read.len().into()),
        ]),
        (Some(Err(CrlFault::IsDelta)), Some(members)) => {
            members.insert("kind".to_owned(), "delta".into());
        }
        (Some(Err(_)) | None, _) | (_, None) => {}
    }
    document
}

fn opened(authority: &CertificateAuthority) -> Result<Authority, ApiError> {
    let read = Authority::parse(authority.certificates.as_str());
    read.map_err(|why| ApiError::Internal(format!("{}: {why}", authority.id)))
}

pub(crate) async fn list(call: Call) -> Result<Answer, ApiError> {
    let authority = call.certificate(&call.standing().configuration)?;
    let read = opened(&authority)?;
    let kept = call.parts.store.crls().await?;
    let ours = kept.iter().filter(|list| list.authority == authority.id);
    Ok(Answer::ok(ours.map(|list| document(list, &read, &call)).collect()))
}

/// `{"crl": …}`: PEM, or the DER in base64. It takes the place of the list of the same issuer that was uploaded
/// before; an older one is refused.
pub(crate) async fn upload(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let text: String = fields.need("crl")?;
    let text = text.replace("\\n", "\n");
    let bytes = if text.contains("-----BEGIN") {
        text.into_bytes()
    } else {
        let compact: String = text.split_whitespace().collect();
        let der = STANDARD.decode(compact);
        der.map_err(|_| fields.refuse("crl", "crl is PEM, or the DER of the list in base64"))?
    };
    let authority = call.certificate(&call.standing().configuration)?;
    let read = opened(&authority)?;
    let refuse = |why: CrlFault| fields.refuse("crl", why.to_string());
    let source = match RevocationList::open(&bytes, &read) {
        Ok(list) => list.issuer().rfc2253(),
        Err(CrlFault::IsDelta) => {
            DeltaList::open(&bytes, &read).map_err(refuse)?;
            "delta".to_owned()
        }
        Err(why) => return Err(refuse(why)),
    };
    let source = CrlSource::Upload(source.into());
    let (desk, audit) = (&call.parts.desk, call.audit());
    let taken = desk.take_list(Some(&audit), authority.id, source, &bytes, call.now);
    let list = taken.await?.map_err(refuse)?;
    Ok(Answer::created(document(&list, &read, &call)))
}

/// Forgets a list, by the `id` of the list of lists.
pub(crate) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let authority = call.certificate(&call.standing().configuration)?;
    let wanted: String = call.id(1, Kind::RevocationList)?;
    let kept = call.parts.store.crls().await?;
    let mut ours = kept.into_iter().filter(|list| list.authority == authority.id);
    let list = ours.find(|list| id(&list.source) == wanted);
    let list = list.ok_or(ApiError::Missing(Kind::RevocationList))?;
    if !call.parts.desk.forget_list(&call.audit(), authority.id, &list.source).await? {
        return Err(ApiError::Missing(Kind::RevocationList));
    }
    Ok(Answer::accepted(json!({ "id": wanted })))
}
