//! Fetches the revocation lists of certificate authorities from the addresses that an administrator named, each on its
//! own schedule. What cannot be had or trusted is said, and the last good list stays (security checklist T14, T15).

use crate::pen::{Holder, Pen};
use crate::restarts::{Restarts, Work};
use http::{Request, StatusCode, header};
use narthex_api::Desk;
use narthex_idp::OutboundHttp;
use narthex_model::{
    CertificateAuthority, CertificateAuthorityId, CheckMode, Clock, CrlSource, UnixSeconds,
};
use narthex_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_secs(5);
/// After a failure a list is tried again after this many seconds, or sooner if its schedule says so.
const PATIENCE: i64 = 300;

/// Where lists come from and go to.
pub(crate) struct Fetcher {
    pub(crate) desk: Arc<Desk>,
    pub(crate) store: Arc<dyn Store>,
    /// Fenced; its limits on time and size hold for lists.
    pub(crate) http: OutboundHttp,
    pub(crate) clock: Clock,
    /// Whether this process may keep what it fetches.
    pub(crate) pen: Arc<Pen>,
}

/// When each list is to be fetched next.
type Schedule = HashMap<(CertificateAuthorityId, Url), UnixSeconds>;

impl Fetcher {
    /// Fetches what is due, for ever.
    pub(crate) async fn keep(self, restarts: Arc<Restarts>) {
        while restarts.again(Work::RevocationLists, self.rounds()).await {}
    }

    async fn rounds(&self) {
        let mut schedule = match self.begun().await {
            Ok(schedule) => schedule,
            Err(error) => {
                tracing::warn!(%error, "what is kept of revocation lists could not be read");
                Schedule::new()
            }
        };
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if matches!(&*self.pen.holder().await, Holder::Us) {
                self.round(&mut schedule).await;
            }
        }
    }

    /// The schedule as the last run left it.
    async fn begun(&self) -> Result<Schedule, StoreError> {
        let mut schedule = Schedule::new();
        let standing = self.desk.standing();
        for list in self.store.crls().await? {
            let said = standing.configuration.certificate_authorities.get(&list.authority);
            let (Some(said), CrlSource::Url(url)) = (said, &list.source) else { continue };
            let (Ok(url), Some(taken)) = (url.parse::<Url>(), list.taken_at) else { continue };
            let due = taken.0.plus(said.revocation.crl.refresh.seconds());
            schedule.insert((list.authority, url), due);
        }
        Ok(schedule)
    }

    /// Fetches every list that is due, one after the other.
    async fn round(&self, schedule: &mut Schedule) {
        let standing = self.desk.standing();
        let authorities = &standing.configuration.certificate_authorities;
        schedule.retain(|(id, url), _| authorities.get(id).is_some_and(|said| names(said, url)));
        for said in authorities.values() {
            for url in said.revocation.crl.urls.iter().filter(|url| names(said, url)) {
                let key = (said.id, url.clone());
                let now = self.clock.now();
                if schedule.get(&key).is_some_and(|due| now < *due) {
                    continue;
                }
                let refresh = said.revocation.crl.refresh.seconds();
                let wait =
                    if self.renew(said, url).await { refresh } else { refresh.min(PATIENCE) };
                schedule.insert(key, self.clock.now().plus(wait));
            }
        }
    }

    /// Fetches one list and puts it in force; whether that worked.
    async fn renew(&self, said: &CertificateAuthority, url: &Url) -> bool {
        let source = || CrlSource::Url(url.as_str().into());
        let why = match self.fetch(url).await {
            Ok(bytes) => {
                let taken = self.desk.take_list(None, said.id, source(), &bytes, self.clock.now());
                match taken.await {
                    Ok(Ok(_)) => return true,
                    Ok(Err(fault)) => fault.to_string(),
                    Err(error) => error.to_string(),
                }
            }
            Err(why) => why,
        };
        tracing::warn!(authority.id = %said.id, source = %url, "a revocation list could not be renewed: {why}");
        if let Err(error) = self.desk.miss_list(said.id, source(), why, self.clock.now()).await {
            tracing::warn!(%error, "that a revocation list could not be renewed was not kept");
        }
        false
    }

    async fn fetch(&self, url: &Url) -> Result<Vec<u8>, String> {
        let request =
            Request::get(url.as_str()).header(header::ACCEPT, "application/pkix-crl, */*");
        let request = request.body(Vec::new()).map_err(|error| error.to_string())?;
        let answer = self.http.call(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            let host = url.host_str().unwrap_or_default();
            return Err(format!("{host} answered {}", answer.status()));
        }
        Ok(answer.into_body())
    }
}

/// Whether the authority still wants a list from this address.
fn names(said: &CertificateAuthority, url: &Url) -> bool {
    match said.revocation.crl.mode {
        CheckMode::Off => false,
        CheckMode::Soft | CheckMode::Hard => said.revocation.crl.urls.contains(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_api::{Standing, by_itself};
    use narthex_idp::{Fence, OutboundSettings};
    use narthex_model::{
        Account, CertificateAuthority, Configuration, MasterKey, Organization, Premises,
    };
    use narthex_snapshot::{Live, Materials, Snapshot};
    use narthex_store::{Change, SqliteStore};
    use narthex_token::{KeyRing, SigningKey};
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
    };
    use serde_json::json;
    use std::sync::Mutex;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

    /// An authority, and its lists by number.
    fn authority() -> (String, impl Fn(u64) -> Vec<u8>) {
        let at =
            |days: i64| time::OffsetDateTime::from_unix_timestamp(NOW.0 + days * 86_400).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Staff CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let list = move |number: u64| {
            let list = CertificateRevocationListParams {
                this_update: at(i64::try_from(number).unwrap() - 100),
                next_update: at(30),
                crl_number: SerialNumber::from(number),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            list.signed_by(&issuer).unwrap().der().to_vec()
        };
        (pem, list)
    }

    /// A web server that answers every request with what stands in `answer`.
    async fn source(answer: Arc<Mutex<Vec<u8>>>) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let body = answer.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        });
        format!("http://{address}/staff.crl").parse().unwrap()
    }

    async fn fetcher(said: CertificateAuthority, place: &std::path::Path) -> Fetcher {
        let master = Arc::new(MasterKey::generate().0);
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&place.join("narthex.db"), master).await.unwrap());
        let premises = Arc::new(Premises {
            account: Account {
                id: "0123456789abcdef0123456789abcdef".parse().unwrap(),
                name: "acme".to_owned(),
            },
            zones: Vec::new(),
            team: "access.example.com".parse().unwrap(),
            admin: None,
            ingress: Vec::new(),
        });
        let organization = Organization::new("acme", premises.team.clone(), NOW);
        let mut configuration = Configuration {
            organization: Some(Arc::new(organization)),
            ..Configuration::default()
        };
        configuration.certificate_authorities.insert(said.id, Arc::new(said));
        let (revision, empty) = store.load().await.unwrap();
        let changes = Change::between(&empty, &configuration);
        let first = by_itself("start", "make it", NOW);
        let revision = store.commit(revision, &changes, &first).await.unwrap();
        let key = Arc::new(SigningKey::generate(NOW, NOW));
        let materials = Materials {
            keys: Arc::new(KeyRing::of(vec![Arc::clone(&key)], &premises.team, NOW).unwrap()),
            premises,
            countries: None,
            revocation_lists: Arc::default(),
        };
        let snapshot = Snapshot::compile(&materials, &configuration, revision).unwrap();
        let live = Arc::new(Live::new(snapshot));
        let standing = Standing { revision, configuration };
        let desk = Arc::new(Desk::new(live, Arc::clone(&store), materials, vec![key], standing));
        let fence = Fence::open_to_this_machine().for_signed_data();
        let limits = OutboundSettings { max_answer: 100_000, fence, ..OutboundSettings::default() };
        let http = OutboundHttp::new(limits).unwrap();
        Fetcher { desk, store, http, clock: Clock::manual(NOW), pen: Arc::default() }
    }

    #[tokio::test]
    async fn lists_are_fetched_on_schedule_and_the_last_good_one_is_kept() {
        let (pem, list) = authority();
        let good = list(5);
        let answer = Arc::new(Mutex::new(good.clone()));
        let url = source(Arc::clone(&answer)).await;
        let said: CertificateAuthority = serde_json::from_value(json!({
            "id": "7335d417-61da-459d-899c-0a01c76a2f94", "name": "Staff CA", "kind": "access", "certificates": pem,
            "hostnames": [], "revocation": {"crl": {"urls": [url], "refresh": "1h"}}, "fingerprint": "",
            "expires_on": "2040-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let place = tempfile::tempdir().unwrap();
        let fetcher = fetcher(said, place.path()).await;
        let mut schedule = fetcher.begun().await.unwrap();
        let list_kept = async || fetcher.store.crls().await.unwrap().pop();

        fetcher.round(&mut schedule).await;
        let kept = list_kept().await.expect("the list");
        assert_eq!(
            (kept.der.as_deref(), kept.failure.is_some()),
            (Some(&*good), false),
            "{kept:?}"
        );
        *answer.lock().unwrap() = list(6);
        fetcher.round(&mut schedule).await;
        assert_eq!(list_kept().await.unwrap().der.as_deref(), Some(&*good), "it is not due yet");

        for (name, body) in [
            ("older", list(4)),
            ("no list", b"<html>not found</html>".to_vec()),
            ("nothing", Vec::new()),
            ("more than is read", vec![0x30; 100_001]),
        ] {
            fetcher.clock.advance(3_600);
            *answer.lock().unwrap() = body;
            fetcher.round(&mut schedule).await;
            let kept = list_kept().await.unwrap();
            assert_eq!(kept.der.as_deref(), Some(&*good), "{name}");
            assert_eq!(
                kept.failure.map(|failure| failure.at.0),
                Some(fetcher.clock.now()),
                "{name}"
            );
        }
        fetcher.clock.advance(PATIENCE);
        let newer = list(7);
        answer.lock().unwrap().clone_from(&newer);
        fetcher.round(&mut schedule).await;
        let kept = list_kept().await.unwrap();
        assert_eq!(
            (kept.der.as_deref(), kept.failure),
            (Some(&*newer), None),
            "after a short patience"
        );
        let again = fetcher.begun().await.unwrap();
        let due = again.values().copied().collect::<Vec<_>>();
        assert_eq!(due, [fetcher.clock.now().plus(3_600)], "a restart goes on with the schedule");
    }
}
