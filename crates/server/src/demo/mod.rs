//! `narthexd demo`: a gateway with an example application and a mailbox, ready in one command.

mod example;
mod furnish;
mod mailbox;

pub use furnish::furnish;

use crate::config::Settings;
use narthex_idp::Outbox;
use narthex_snapshot::Live;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The three addresses that a demo answers at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The example application.
    pub example: String,
    /// The mailbox that stands in for SMTP.
    pub mailbox: String,
    /// The admin host.
    pub admin: String,
}

/// What a demo is made of.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Where it keeps its data.
    pub data_dir: PathBuf,
    /// The HTTPS listener.
    pub https: SocketAddr,
    /// The HTTP listener that redirects.
    pub http: Option<SocketAddr>,
    /// Metrics and health.
    pub metrics: Option<SocketAddr>,
}

impl Demo {
    /// The addresses to open.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let at = |name: &str| match self.https.port() {
            443 => format!("https://{name}.localhost"),
            port => format!("https://{name}.localhost:{port}"),
        };
        Addresses { example: at("app"), mailbox: at("mailbox"), admin: at("admin") }
    }

    /// The configuration file that this demo amounts to: what `serve` would need to do the same.
    #[must_use]
    pub fn configuration(&self) -> String {
        let Self { data_dir, https, http, metrics } = self;
        let list = |at: &Option<SocketAddr>| at.map_or(String::new(), |at| format!("\"{at}\""));
        let metrics = metrics.map_or(String::new(), |at| format!("metrics = \"{at}\"\n"));
        let port = https.port();
        let data = Path::new(data_dir).display();
        let (example, mailbox) = (self.example_socket(), self.mailbox_socket());
        format!(
            r#"data_dir = "{data}"

[listen]
https = ["{https}"]
http = [{http}]
{metrics}
[team]
name = "Demo"
domain = "team.localhost:{port}"

[admin]
host = "admin.localhost:{port}"

[[zone]]
name = "localhost"

[outbound]
private_networks = ["127.0.0.0/8", "::1/128"]

[[ingress]]
hostname = "app.localhost"
service = "unix:{example}"

[[ingress]]
hostname = "mailbox.localhost"
service = "unix:{mailbox}"
"#,
            http = list(http),
            example = example.display(),
            mailbox = mailbox.display(),
        )
    }

    /// The same, checked, with the mailbox in place of SMTP.
    ///
    /// # Errors
    /// When the data directory cannot be found or the parts do not make a valid configuration.
    pub fn settings(&self) -> Result<Settings, crate::config::ConfigFault> {
        let mut settings = Settings::parse(&self.configuration(), Path::new("demo"))?;
        settings.mail = crate::config::MailRoute::Mailbox;
        Ok(settings)
    }

    fn example_socket(&self) -> PathBuf {
        self.data_dir.join("example.sock")
    }

    fn mailbox_socket(&self) -> PathBuf {
        self.data_dir.join("mailbox.sock")
    }

    /// Starts the two small applications behind the gateway.
    ///
    /// # Errors
    /// When a socket in the data directory cannot be made.
    pub fn open_applications(
        &self,
        live: Arc<Live>,
        clock: narthex_model::Clock,
        outbox: Arc<Outbox>,
    ) -> io::Result<()> {
        let example = listen(&self.example_socket())?;
        let mailbox = listen(&self.mailbox_socket())?;
        let addresses = self.addresses();
        tokio::spawn(serve(example, example::pages(live, clock)));
        tokio::spawn(serve(mailbox, mailbox::pages(outbox, addresses.example)));
        Ok(())
    }
}

/// A socket that replaces one left behind by an earlier run.
fn listen(path: &Path) -> io::Result<tokio::net::UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    tokio::net::UnixListener::bind(path)
}

async fn serve(listener: tokio::net::UnixListener, pages: axum::Router) {
    if let Err(error) = axum::serve(listener, pages).await {
        tracing::error!(%error, "a demo application stopped");
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { example, mailbox, admin } = self;
        writeln!(f, "  Example application   {example}")?;
        writeln!(f, "  Mailbox               {mailbox}")?;
        write!(f, "  Admin host            {admin}")
    }
}
