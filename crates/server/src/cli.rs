//! What a person types after `narthexd`.

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// An identity-aware access gateway that speaks the contract of Cloudflare Access.
#[derive(Debug, Parser)]
#[command(name = "narthexd", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The things `narthexd` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve what a configuration file describes, until SIGTERM; SIGHUP reads the file and certificates again.
    Serve(ConfigArgs),
    /// Read a configuration file, report what is wrong with it, and exit with 0 or 1.
    Check(ConfigArgs),
    /// Start a gateway on this machine with an example application and a mailbox.
    Demo(DemoArgs),
    /// Administer a gateway's data directory.
    #[command(subcommand)]
    Admin(AdminCommand),
}

/// Where the configuration stands.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "NARTHEX_CONFIG", default_value = "narthex.toml")]
    pub config: PathBuf,
}

/// How the demo is set up.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the demo keeps its data.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Address of the HTTPS listener.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub https: SocketAddr,
    /// Address that redirects to HTTPS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Address of metrics and health.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    pub metrics: SocketAddr,
}

/// `narthexd admin …`
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// `narthexd admin token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a new API token and print it; it is shown this once.
    Create {
        /// The configuration file.
        #[command(flatten)]
        config: ConfigArgs,
        /// A name by which people recognise the token.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// The token may read everything and change nothing.
        #[arg(long)]
        read_only: bool,
    },
}
