//! `certificate_authorities/hostname_associations`: on which hostnames of a zone an authority of the account counts,
//! or the gateway's own when none is named (api/README "Hostname associations").

use crate::answer::Answer;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::resources::certificates::places;
use crate::resources::managed_ca::{all_managed, managed};
use narthex_model::{
    AuthorityKind, CertificateAuthority, CertificateAuthorityId, Configuration, Hostname,
    WrittenHostname,
};
use serde_json::{Value, json};
use std::sync::Arc;

impl Call {
    /// Whether a hostname belongs to the zone of the path.
    fn is_here(&self, host: &Hostname) -> bool {
        self.of_this_zone(host, String::new()).is_ok()
    }

    fn associated(&self, authority: Option<&Arc<CertificateAuthority>>) -> Value {
        let hosts = authority.iter().flat_map(|authority| &authority.hostnames);
        let here: Vec<_> = hosts.filter(|host| self.is_here(host.host())).collect();
        json!({ "hostnames": here })
    }
}

/// The authority that the caller named, which must be one of the account.
fn named(
    configuration: &Configuration,
    id: CertificateAuthorityId,
) -> Result<&Arc<CertificateAuthority>, ApiError> {
    let known = configuration.certificate_authorities.get(&id);
    let known = known.filter(|it| it.kind == AuthorityKind::Account);
    known.ok_or(ApiError::Missing(Kind::Certificate))
}

pub(crate) async fn get(call: Call) -> Result<Answer, ApiError> {
    let id: Option<CertificateAuthorityId> = call.query.value("mtls_certificate_id")?;
    let standing = call.standing();
    let authority = match id {
        Some(id) => Some(named(&standing.configuration, id)?),
        None => managed(&standing.configuration),
    };
    Ok(Answer::ok(call.associated(authority)))
}

/// Replaces the authority's hostnames in this zone; those in other zones stay. The gateway's own authority may have several
/// keys: all count on the same hostnames.
pub(crate) async fn update(call: Call) -> Result<Answer, ApiError> {
    let fields = call.fields()?;
    let id: Option<CertificateAuthorityId> = fields.read("mtls_certificate_id")?;
    let hosts: Vec<WrittenHostname> = fields.or_default("hostnames")?;
    for (place, host) in hosts.iter().enumerate() {
        call.of_this_zone(host.host(), format!("/hostnames/{place}"))?;
        if hosts[..place].iter().any(|other| other.host() == host.host()) {
            return Err(fields.refuse("hostnames", format!("{host} stands twice")));
        }
    }
    let asked = id;
    let id = match asked {
        Some(id) => named(&call.standing().configuration, id)?.id,
        None if hosts.is_empty() && managed(&call.standing().configuration).is_none() => {
            return Ok(Answer::ok(json!({ "hostnames": [] })));
        }
        None => call.managed_ca().await?.id,
    };
    let authority = call
        .change(&places(id), |configuration| {
            let changed: Vec<_> = match asked {
                Some(id) => configuration.certificate_authorities.get(&id).into_iter().collect(),
                None => all_managed(configuration).collect(),
            };
            let changed: Vec<_> = changed.into_iter().map(Arc::clone).collect();
            for old in changed {
                let elsewhere = old.hostnames.iter().filter(|it| !call.is_here(it.host())).cloned();
                let new = Arc::new(CertificateAuthority {
                    hostnames: elsewhere.chain(hosts.iter().cloned()).collect(),
                    updated_at: call.stamp(),
                    ..CertificateAuthority::clone(&old)
                });
                configuration.certificate_authorities.insert(new.id, new);
            }
            let all = &configuration.certificate_authorities;
            all.get(&id).cloned().ok_or(ApiError::Missing(Kind::Certificate))
        })
        .await?;
    Ok(Answer::ok(call.associated(Some(&authority))))
}
