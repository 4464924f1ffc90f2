//! So many people, each with a token that the gateway has not seen: what they cost the first time and the second, and what memory
//! remembering them takes, which is bounded. Prints one line of JSON; bench/scale makes it a table.
//!
//! `cargo bench --package narthex-bench --bench many_tokens -- TOKENS REMEMBERED`

use narthex_bench::{KEYS, NOW, compiled, configuration, materials, token};
use narthex_model::Clock;
use narthex_proxy::{CertificateSource, Control, LocalCa, LogRequests, Meters, Settings, start};
use narthex_snapshot::Live;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::error::Error;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

const HOST: &str = "app1.example.com";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The application of all tokens, and the person in them. What tells them apart is the session.
const NUMBER: usize = 1;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut numbers = std::env::args().filter_map(|word| word.parse::<usize>().ok());
    let tokens = numbers.next().unwrap_or(2_000);
    let remembered = numbers.next().unwrap_or(tokens / 2);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(tokens, remembered))
}

async fn measure(tokens: usize, remembered: usize) -> Outcome<()> {
    let origin = TcpListener::bind("127.0.0.1:0").await?;
    let snapshot = compiled(&materials(origin.local_addr()?.port()), &configuration(10));
    std::thread::Builder::new()
        .name("origin".to_owned())
        .spawn(move || serve(origin.into_std()?))?;

    let folder = tempfile::tempdir()?;
    let ca = LocalCa::open_or_create(folder.path(), NOW)?;
    let roots = roots(ca.certificate_pem())?;
    let mut settings = Settings { cores: 1, log_requests: LogRequests::Off, ..Settings::default() };
    settings.https = vec!["127.0.0.1:0".parse()?];
    settings.limits.tokens = remembered;
    settings.certificates =
        CertificateSource { certificates: Vec::new(), local_ca: Some(Arc::new(ca)) };
    let (pages, _errands) = tokio::sync::mpsc::channel(1);
    let control = Control { admin: pages.clone(), pages };
    let (records, _kept) = tokio::sync::mpsc::channel(1);
    let running = start(
        settings,
        Arc::new(Live::new(snapshot)),
        control,
        records,
        Arc::new(Meters::new(1)),
        Clock::manual(NOW),
    )?;
    let mut client = connect(roots, running.https_addrs()[0].port()).await?;

    // Signing takes longer than all the rest, so it has a thread of its own and is ahead by a few.
    let (minted, mut mint) = tokio::sync::mpsc::channel(256);
    std::thread::spawn(move || {
        (0..tokens).try_for_each(|_| minted.blocking_send(KEYS.mint(&token(NUMBER))))
    });
    let some = remembered.min(1_000);
    for _ in 0..100.min(tokens / 4) {
        if let Some(token) = mint.recv().await {
            ask(&mut client, &token).await?; // warm, so that buffers and tasks are not taken for tokens
        }
    }
    let (before, cpu_before) = (resident_kib()?, lane_nanoseconds()?);
    let (mut asked, mut full, mut last) = (0_usize, None, Vec::new());
    while let Some(token) = mint.recv().await {
        ask(&mut client, &token).await?;
        asked += 1;
        if asked == remembered {
            full = Some(resident_kib()?);
        }
        if asked + some > tokens.saturating_sub(100) {
            last.push(token);
        }
    }
    let (end, cpu_unseen) = (resident_kib()?, lane_nanoseconds()? - cpu_before);
    let cpu_before = lane_nanoseconds()?;
    for token in &last {
        ask(&mut client, token).await?;
    }
    let cpu_known = lane_nanoseconds()? - cpu_before;
    let full = full.unwrap_or(end);
    println!(
        "{{\"tokens\": {asked}, \"remembered\": {remembered}, \"before_kib\": {before}, \"full_kib\": {full}, \"end_kib\": {end}, \
         \"kib_per_token\": {:.3}, \"unseen_us\": {:.1}, \"known_us\": {:.1}}}",
        ratio(full.saturating_sub(before), remembered.min(asked)),
        ratio(cpu_unseen / 1000, asked),
        ratio(cpu_known / 1000, last.len()),
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "these are figures for people")]
fn ratio(whole: usize, parts: usize) -> f64 {
    whole as f64 / parts.max(1) as f64
}

/// One request with this token, answered by the origin.
async fn ask(client: &mut TlsStream<TcpStream>, token: &str) -> Outcome<()> {
    let request =
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: CF_Authorization={token}\r\n\r\n");
    client.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(4096);
    while !answer.ends_with(b"\r\n\r\nok") {
        if client.read_buf(&mut answer).await? == 0 {
            return Err("the gateway closed the connection".into());
        }
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&answer).into());
        }
    }
    Ok(())
}

async fn connect(roots: RootCertStore, port: u16) -> Outcome<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    Ok(connector.connect(ServerName::try_from(HOST)?, tcp).await?)
}

fn roots(pem: &str) -> Outcome<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
    Ok(roots)
}

/// An origin that has one answer.
fn serve(listener: std::net::TcpListener) -> std::io::Result<()> {
    use std::io::{Read, Write};
    listener.set_nonblocking(false)?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        std::thread::spawn(move || -> std::io::Result<()> {
            let mut received = Vec::new();
            let mut part = [0; 8192];
            loop {
                match stream.read(&mut part)? {
                    0 => return Ok(()),
                    read => received.extend_from_slice(&part[..read]),
                }
                if received.ends_with(b"\r\n\r\n") {
                    received.clear();
                    stream.write_all(ANSWER)?;
                }
            }
        });
    }
    Ok(())
}

/// Memory of this process.
fn resident_kib() -> Outcome<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// CPU that the data path's one thread has used.
fn lane_nanoseconds() -> Outcome<usize> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim() == "narthex-0" {
            let spent = std::fs::read_to_string(task.join("schedstat"))?;
            return Ok(spent.split(' ').next().ok_or("an empty schedstat")?.parse()?);
        }
    }
    Err("the data path has no thread".into())
}
