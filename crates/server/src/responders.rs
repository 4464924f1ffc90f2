//! Asks OCSP responders about client certificates (RFC 6960): the data path queues the questions, what comes of them is kept
//! in memory for all cores. Each responder has a line of its own, so that a silent one holds up nobody else's.

use crate::restarts::{Restarts, Work};
use aws_lc_rs::rand;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{Request, StatusCode, header};
use narthex_cert::OcspAnswer;
use narthex_idp::OutboundHttp;
use narthex_model::Clock;
use narthex_snapshot::{Live, OcspAsk};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use url::{Position, Url};

/// How long a responder may take for an answer, and a question may wait for its turn.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Questions that are under way at once, or wait for their turn.
const MOST: usize = 1_024;

/// Questions that are under way at once to one responder.
const MOST_TO_ONE: usize = 16;

/// Who asks.
pub(crate) struct Responders {
    pub(crate) live: Arc<Live>,
    /// Fenced: a certificate may name any address as its responder's.
    pub(crate) http: OutboundHttp,
    pub(crate) clock: Clock,
}

/// The turns of each responder that questions wait for, by scheme, host and port.
#[derive(Default)]
struct Lines(Mutex<HashMap<Box<str>, Arc<Semaphore>>>);

impl Lines {
    fn to(&self, url: &Url) -> Arc<Semaphore> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| Arc::strong_count(line) > 1);
        let line = lines.entry(url[..Position::BeforePath].into());
        Arc::clone(line.or_insert_with(|| Arc::new(Semaphore::new(MOST_TO_ONE))))
    }
}

impl Responders {
    /// Asks what there is to ask, for ever.
    pub(crate) async fn keep(self, restarts: Arc<Restarts>) {
        let Some(mut asks) = self.live.ocsp.take_asks() else { return };
        while restarts.again(Work::Responders, self.rounds(&mut asks)).await {}
    }

    async fn rounds(&self, asks: &mut mpsc::Receiver<OcspAsk>) {
        let lines = Lines::default();
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                ask = asks.recv(), if under_way.len() < MOST => match ask {
                    Some(ask) => under_way.push(self.settle(ask, &lines)),
                    None => return,
                },
                Some(()) = under_way.next() => {}
            }
        }
    }

    async fn settle(&self, ask: OcspAsk, lines: &Lines) {
        let line = lines.to(&ask.url);
        let answer = match tokio::time::timeout(PATIENCE, line.acquire()).await {
            Ok(_turn) => self.ask(&ask).await,
            Err(_) => Err("others wait for it already".to_owned()),
        };
        let answer = answer.inspect_err(|why| {
            let host = ask.url.host_str().unwrap_or_default();
            tracing::warn!(ocsp.host = host, "an OCSP responder gave no answer that counts: {why}");
        });
        self.live.ocsp_settled(&ask.question, answer.ok(), self.clock.now());
    }

    async fn ask(&self, ask: &OcspAsk) -> Result<OcspAnswer, String> {
        let mut nonce = [0; 32];
        rand::fill(&mut nonce).map_err(|_| "the system gives no random numbers".to_owned())?;
        let request = Request::post(ask.url.as_str())
            .header(header::CONTENT_TYPE, "application/ocsp-request")
            .header(header::ACCEPT, "application/ocsp-response");
        let request = request.body(ask.question.request(Some(&nonce)));
        let request = request.map_err(|error| error.to_string())?;
        let answer = self.http.call(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered {}", answer.status()));
        }
        let read = ask.question.read(answer.body(), &ask.issuer, Some(&nonce), self.clock.now());
        read.map_err(|fault| fault.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_cert::{Certificate, OcspQuestion, OcspStatus};
    use narthex_idp::{Fence, OutboundSettings};
    use narthex_model::{Account, Configuration, Organization, Premises, Revision, UnixSeconds};
    use narthex_snapshot::{Materials, Snapshot};
    use narthex_token::{KeyRing, SigningKey};
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SerialNumber};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn live(now: UnixSeconds) -> Arc<Live> {
        let team: narthex_model::TeamDomain = "access.example.com".parse().unwrap();
        let configuration = Configuration {
            organization: Some(Arc::new(Organization::new("acme", team.clone(), now))),
            ..Configuration::default()
        };
        let key = Arc::new(SigningKey::generate(now, now));
        let materials = Materials {
            keys: Arc::new(KeyRing::of(vec![key], &team, now).unwrap()),
            premises: Arc::new(Premises {
                account: Account { id: narthex_model::AccountId::random(), name: "acme".into() },
                zones: Vec::new(),
                team,
                admin: None,
                ingress: Vec::new(),
            }),
            countries: None,
            revocation_lists: Arc::default(),
        };
        Arc::new(Live::new(Snapshot::compile(&materials, &configuration, Revision(1)).unwrap()))
    }

    /// A CA, in files that OpenSSL's responder reads, and a certificate of it.
    fn authority(place: &Path) -> (Arc<Certificate>, Certificate) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        std::fs::write(place.join("ca.pem"), ca.pem()).unwrap();
        std::fs::write(place.join("ca.key"), key.serialize_pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(0x99));
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let read = |der: &[u8]| Certificate::parse(der).unwrap();
        (Arc::new(read(ca.der())), read(leaf.der()))
    }

    /// The keeper with a fence that is open to this machine, and who gives up after `timeout`.
    fn kept(live: &Arc<Live>, timeout: Duration) -> tokio::task::JoinHandle<()> {
        let settings = OutboundSettings {
            fence: Fence::open_to_this_machine().for_signed_data(),
            timeout,
            max_answer: narthex_cert::MAX_OCSP_BYTES,
            ..OutboundSettings::default()
        };
        let http = OutboundHttp::new(settings).unwrap();
        let responders = Responders { live: Arc::clone(live), http, clock: Clock::System };
        tokio::spawn(responders.keep(Arc::default()))
    }

    /// A question about the certificate with this number.
    fn about(
        number: u64,
        issuer: &Arc<Certificate>,
        maker: &Issuer<'_, KeyPair>,
        url: &str,
    ) -> OcspAsk {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(number));
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), maker).unwrap();
        let question = OcspQuestion::new(&Certificate::parse(leaf.der()).unwrap(), issuer);
        OcspAsk { question, issuer: Arc::clone(issuer), url: url.parse().unwrap() }
    }

    fn maker() -> (Arc<Certificate>, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        (Arc::new(Certificate::parse(ca.der()).unwrap()), Issuer::new(params, key))
    }

    /// A responder that answers every request with these bytes; with none it is silent and keeps the connection open.
    async fn scripted(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                if answer.is_empty() {
                    open.push(stream);
                } else {
                    let _ = stream.write_all(&answer).await;
                }
            }
        });
        format!("http://{address}/")
    }

    fn with_body(head: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn nothing_that_a_responder_does_wrong_is_an_answer() {
        let live = live(Clock::System.now());
        let keeping = kept(&live, Duration::from_millis(500));
        let (issuer, maker) = maker();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let cases = [
            ("fails", scripted(with_body("500 Oops", b"")).await),
            ("sends away", scripted(with_body("302 Found\r\nlocation: /else", b"")).await),
            ("talks to people", scripted(with_body("200 OK", b"<html>hello</html>")).await),
            ("tryLater", scripted(with_body("200 OK", &[0x30, 3, 0x0a, 1, 3])).await),
            ("too much", scripted(with_body("200 OK", &[0x30; 65_537])).await),
            ("silent", scripted(Vec::new()).await),
            ("not there", format!("http://{closed}/")),
            ("fenced off", "http://169.254.169.254/".to_owned()),
        ];
        for (failures, (case, url)) in (1..).zip(cases) {
            let ask = about(failures, &issuer, &maker, &url);
            let question = ask.question.clone();
            let now = Clock::System.now();
            live.ocsp.ask(ask, now);
            live.ocsp.settled(&question).await;
            assert_eq!(live.ocsp.get(&question), None, "{case}");
            assert_eq!(live.ocsp.counts().failed, failures, "{case}");
            assert!(!live.ocsp.may_ask(&question, now), "{case}: it is left alone for a while");
        }
        keeping.abort();
    }

    #[tokio::test]
    async fn a_silent_responder_holds_up_nobody_elses() {
        let live = live(Clock::System.now());
        let keeping = kept(&live, Duration::from_secs(60));
        let (issuer, maker) = maker();
        let silent = scripted(Vec::new()).await;
        let prompt = scripted(with_body("500 Oops", b"")).await;
        for number in 0..64 {
            live.ocsp.ask(about(number, &issuer, &maker, &silent), Clock::System.now());
        }
        let ask = about(64, &issuer, &maker, &prompt);
        let question = ask.question.clone();
        live.ocsp.ask(ask, Clock::System.now());
        tokio::time::timeout(PATIENCE, live.ocsp.settled(&question)).await.expect("it is heard");
        keeping.abort();
    }

    /// OpenSSL's answer to one request that came over the wire.
    fn openssl(place: &Path, request: &[u8]) -> Vec<u8> {
        let path = |name: &str| place.join(name).to_str().unwrap().to_owned();
        std::fs::write(path("request"), request).unwrap();
        let status = Command::new("openssl")
            .args(["ocsp", "-index", &path("index"), "-CA", &path("ca.pem")])
            .args(["-rsigner", &path("ca.pem"), "-rkey", &path("ca.key"), "-ndays", "1"])
            .args(["-reqin", &path("request"), "-respout", &path("answer")])
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        std::fs::read(path("answer")).unwrap()
    }

    #[tokio::test]
    async fn a_responder_is_asked_over_http_and_only_what_counts_is_kept() {
        if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: the openssl command is not installed");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let (issuer, leaf) = authority(place.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let clock = Clock::System; // OpenSSL's answers are of now
        let live = live(clock.now());
        let keeping = kept(&live, PATIENCE);
        let entry = |kind: &str| format!("{kind}\t491231235959Z\t\t99\tunknown\t/CN=a\n");
        for (index, spoilt, want) in [
            (entry("V"), false, Some(OcspStatus::Good)),
            (entry("R").replacen("\t\t", "\t260101000000Z\t", 1), false, Some(OcspStatus::Revoked)),
            (entry("V"), true, None),
        ] {
            std::fs::write(place.path().join("index"), index).unwrap();
            let question = OcspQuestion::new(&leaf, &issuer);
            let before = live.ocsp.get(&question);
            let ask = OcspAsk {
                question: question.clone(),
                issuer: Arc::clone(&issuer),
                url: url.parse().unwrap(),
            };
            live.ocsp.ask(ask, clock.now());
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            let body = loop {
                stream.read_buf(&mut received).await.unwrap();
                let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
                    continue;
                };
                let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
                assert!(head.starts_with("post / http/1.1"), "{head}");
                assert!(head.contains("content-type: application/ocsp-request"), "{head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if received.len() >= end + 4 + length.unwrap().parse::<usize>().unwrap() {
                    break received[end + 4..].to_vec();
                }
            };
            let mut answer = openssl(place.path(), &body);
            if spoilt {
                answer[60] ^= 1; // within what is signed
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            stream.write_all(&[head.as_bytes(), &answer].concat()).await.unwrap();
            live.ocsp.settled(&question).await;
            let kept = live.ocsp.get(&question);
            match want {
                Some(status) => assert_eq!(kept.map(|answer| answer.status()), Some(status)),
                None => assert_eq!(kept, before, "a spoilt answer changes nothing"),
            }
        }
        keeping.abort();
    }
}
