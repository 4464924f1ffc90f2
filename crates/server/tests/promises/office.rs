//! A gateway at which people log in by mail, with an application that answers what it was sent.

use crate::browser::{Browser, Page};
use crate::daemon::{Daemon, Place};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(crate) struct Office {
    pub(crate) place: Place,
    codes: UnboundedReceiver<String>,
    daemon: Daemon,
}

impl Office {
    /// Opens it with one application at all of `hosts`, changed by `settings`.
    pub(crate) async fn open(hosts: &[&str], settings: impl FnOnce(&Place) -> Value) -> Self {
        let origin = serve_echo().await;
        let (mailbox, codes) = unbounded_channel();
        let mail = serve_mail(mailbox).await;
        let place = Place::new(&format!(
            "[[ingress]]\nhostname = \"*.localhost\"\nservice = \"http://127.0.0.1:{origin}\"\n\
             [mail]\nfrom = \"Narthex <no-reply@example.com>\"\nsmtp = \"smtp://127.0.0.1:{mail}\"\n"
        ));
        let daemon = place.serve();
        let access = format!("/accounts/{}/access", place.account().await);
        let mail = json!({"name": "Mail", "type": "onetimepin", "config": {}});
        place.api("POST", &format!("{access}/identity_providers"), &mail).await;
        let destinations: Vec<Value> = hosts.iter().map(|host| json!({"uri": host})).collect();
        let mut app = json!({
            "type": "self_hosted", "name": "Shop", "destinations": destinations,
            "policies": [{"precedence": 1, "name": "staff", "decision": "allow",
                          "include": [{"email_domain": {"domain": "example.com"}}]}],
        });
        let settings = settings(&place);
        app.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        place.api("POST", &format!("{access}/apps"), &app).await;
        Self { place, codes, daemon }
    }

    /// Opens a page of the application in a new browser, and logs in on the way.
    pub(crate) async fn log_in(&mut self, host: &str, path: &str) -> (Browser, Page) {
        let mut browser = Browser::new(self.place.wire());
        let asked = browser.open(host, path).await;
        let sent = browser.send(&asked, "email", "kim@example.com").await;
        let code = self.codes.recv().await.expect("a mail with a code");
        let entered = browser.send(&sent, "code", &code).await;
        assert_eq!(entered.status, 200, "{}", entered.text);
        (browser, entered)
    }

    /// A host's origin, as browsers write it.
    pub(crate) fn origin(&self, host: &str) -> String {
        origin(&self.place, host)
    }

    pub(crate) fn close(self) {
        self.daemon.stop();
    }

    /// Closes it, and leaves what it kept.
    pub(crate) fn stop(self) -> Place {
        self.stop_and_tell().0
    }

    /// The same, with everything that it said.
    pub(crate) fn stop_and_tell(self) -> (Place, String) {
        let said = self.daemon.stop();
        (self.place, said)
    }
}

pub(crate) fn origin(place: &Place, host: &str) -> String {
    format!("https://{host}:{}", place.https)
}

/// Answers method, path and content type in one line, and then the body.
async fn serve_echo() -> u16 {
    let echo = |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let kind = headers.get("content-type").map_or("-", |kind| kind.to_str().unwrap());
        [format!("{method} {uri} {kind}\n").as_bytes(), &body].concat()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pages = Router::new().fallback(echo);
    tokio::spawn(async move { axum::serve(listener, pages).await.unwrap() });
    port
}

/// Takes every mail, and passes on the code in it.
async fn serve_mail(mailbox: UnboundedSender<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take_mail(stream, mailbox.clone()));
        }
    });
    port
}

async fn take_mail(stream: TcpStream, mailbox: UnboundedSender<String>) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut in_data = false;
    writer.write_all(b"220 sink\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let is_code = line.trim().len() == 6 && line.trim().bytes().all(|b| b.is_ascii_digit());
        if in_data && is_code {
            mailbox.send(line.trim().to_owned()).unwrap();
        }
        let answer = match (in_data, line.as_str()) {
            (true, ".") => {
                in_data = false;
                "250 taken"
            }
            (true, _) => continue,
            (false, "DATA") => {
                in_data = true;
                "354 go on"
            }
            (false, "QUIT") => "221 bye",
            (false, _) => "250 ok",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}
