//! A `narthexd` under test: a place of its own, its process, and what it says.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::wire::Wire;

/// Nothing in these tests takes this long unless it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const TOKEN: &str = "a-token-for-the-first-steps-and-for-tests";

/// A port that nobody listens on, outside the range that the system hands out to others.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A folder with a configuration file.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) https: u16,
    pub(crate) http: u16,
    pub(crate) metrics: u16,
}

impl Place {
    /// A file with the usual sections and `more` at its end.
    pub(crate) fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir, https: free_port(), http: free_port(), metrics: free_port() };
        std::fs::write(place.file("token"), TOKEN).unwrap();
        place.write(&place.usual("", more));
        place
    }

    /// The text of the file: `listen` is added to `[listen]`, `more` to the end.
    pub(crate) fn usual(&self, listen: &str, more: &str) -> String {
        let Self { https, http, metrics, .. } = self;
        format!(
            "data_dir = \"data\"\n[listen]\nhttps = [\"127.0.0.1:{https}\"]\nhttp = [\"127.0.0.1:{http}\"]\n\
             metrics = \"127.0.0.1:{metrics}\"\n{listen}\n[team]\nname = \"Acme\"\ndomain = \"team.localhost:{https}\"\n\
             [admin]\nhost = \"admin.localhost:{https}\"\ntoken = {{ file = \"token\" }}\n\
             [[zone]]\nname = \"localhost\"\n{more}\n"
        )
    }

    pub(crate) fn write(&self, text: &str) {
        // A reload must never see half a file.
        std::fs::write(self.file("narthex.toml.new"), text).unwrap();
        std::fs::rename(self.file("narthex.toml.new"), self.config()).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.file("narthex.toml")
    }

    pub(crate) fn https_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.https).into()
    }

    /// Runs a command of `narthexd` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = narthexd();
        command.args(args).current_dir(self.dir.path()).output().unwrap()
    }

    /// Starts `serve` and waits until it serves.
    pub(crate) fn serve(&self) -> Daemon {
        let daemon = Daemon::start(self.serving());
        daemon.wait_for("serving https", 1);
        daemon
    }

    /// The command that serves.
    pub(crate) fn serving(&self) -> Command {
        let mut command = narthexd();
        command.arg("serve").arg("--config").arg(self.config());
        command
    }

    /// A client that trusts the local CA.
    pub(crate) fn wire(&self) -> Wire {
        let ca = std::fs::read(self.file("data/local-ca.pem")).unwrap();
        Wire::trusting(&ca, self.https_addr())
    }

    /// One call of the API with `token`.
    pub(crate) async fn call(&self, token: &str, method: &str, path: &str, body: &Value) -> Value {
        let authorization = format!("Bearer {token}");
        let headers =
            [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/client/v4{path}");
        let mut wire = self.wire().open("admin.localhost").await.unwrap();
        let answer = wire.ask(method, &path, &headers, &body).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// A call that must succeed; answers its result.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.call(TOKEN, method, path, body).await;
        assert_eq!(answer["success"], true, "{method} {path}: {answer}");
        answer["result"].clone()
    }

    pub(crate) async fn account(&self) -> String {
        let accounts = self.api("GET", "/accounts", &Value::Null).await;
        accounts[0]["id"].as_str().unwrap().to_owned()
    }

    /// What makes an application at `host` that is open to everyone.
    pub(crate) fn open_app(host: &str) -> Value {
        json!({
            "type": "self_hosted", "name": host, "domain": host,
            "policies": [{"precedence": 1, "name": "open", "decision": "bypass", "include": [{"everyone": {}}]}],
        })
    }

    /// Makes it.
    pub(crate) async fn open_to_all(&self, host: &str) {
        let path = format!("/accounts/{}/access/apps", self.account().await);
        self.api("POST", &path, &Self::open_app(host)).await;
    }

    /// What the private listener answers: status and body.
    pub(crate) async fn private(&self, path: &str) -> (u16, String) {
        let at: SocketAddr = ([127, 0, 0, 1], self.metrics).into();
        let answer = crate::wire::plain(at, "localhost", path).await.unwrap();
        (answer.status, String::from_utf8(answer.body).unwrap())
    }
}

pub(crate) fn narthexd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_narthexd"));
    command.stdin(Stdio::null()).env_remove("NARTHEX_CONFIG");
    command
}

#[derive(Default)]
struct Said {
    text: String,
    /// Streams that have ended.
    ended: usize,
}

/// A running process; killed when the test ends.
pub(crate) struct Daemon {
    child: Child,
    said: Arc<(Mutex<Said>, Condvar)>,
}

impl Daemon {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said: Arc<(Mutex<Said>, Condvar)> = Arc::default();
        listen(child.stdout.take().unwrap(), said.clone());
        listen(child.stderr.take().unwrap(), said.clone());
        Self { child, said }
    }

    /// Waits until `words` were said `times` times, and answers everything that was said.
    pub(crate) fn wait_for(&self, words: &str, times: usize) -> String {
        self.wait(&format!("{words:?}"), |said| said.text.matches(words).count() >= times)
    }

    fn wait(&self, what: &str, enough: impl Fn(&Said) -> bool) -> String {
        let until = Instant::now() + DEADLINE;
        let (said, changed) = &*self.said;
        let mut said = said.lock().unwrap();
        while !enough(&said) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && said.ended < 2, "no {what} in:\n{}", said.text);
            said = changed.wait_timeout(said, left).unwrap().0;
        }
        said.text.clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end, and answers everything that was said.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let said = self.wait("end", |said| said.ended == 2);
        (self.child.wait().unwrap(), said)
    }

    pub(crate) fn stop(self) -> String {
        self.signal("TERM");
        let (status, said) = self.ended();
        assert!(status.success(), "{status}\n{said}");
        said
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stream: impl Read + Send + 'static, said: Arc<(Mutex<Said>, Condvar)>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            said.0.lock().unwrap().text.push_str(&std::mem::take(&mut line));
            said.1.notify_all();
        }
        said.0.lock().unwrap().ended += 1;
        said.1.notify_all();
    });
}
