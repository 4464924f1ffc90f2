//! `narthexd`: the gateway as a program.

use clap::Parser;
use narthex_model::Clock;
use narthex_server::cli::{AdminCommand, Cli, Command, ConfigArgs, DemoArgs, TokenCommand};
use narthex_server::config::{LogLevel, Settings};
use narthex_server::demo::{Demo, furnish};
use narthex_server::{Running, StartError, logging, start, token};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("control").build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let result = runtime.block_on(run(cli.command));
    runtime.shutdown_background();
    logging::flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    let mut said = error.to_string();
    eprintln!("narthexd: {said}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            eprintln!("  because {text}");
        }
        said = text;
        cause = error.source();
    }
    ExitCode::FAILURE
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Serve(ConfigArgs { config }) => serve(&config).await,
        Command::Check(ConfigArgs { config }) => check(&config),
        Command::Demo(args) => demo(args).await,
        Command::Admin(AdminCommand::Token(TokenCommand::Create { config, name, read_only })) => {
            let settings = Settings::read(&config.config)?;
            let secret = token::create(&settings, &name, read_only, &Clock::System).await?;
            println!("{}", secret.expose());
            eprintln!("This is the token {name:?}. It is shown this once: keep it now.");
            Ok(())
        }
    }
}

fn check(path: &Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings::read(path)?;
    println!(
        "{}: fine. Team domain {}, {} zone(s), {} ingress rule(s), {} certificate(s).",
        path.display(),
        settings.team.issuer(),
        settings.zones.len(),
        settings.ingress.len(),
        settings.certificates.len(),
    );
    Ok(())
}

async fn serve(path: &Path) -> Result<(), Box<dyn Error>> {
    let settings = Settings::read(path)?;
    let signals = Signals::catch()?;
    let dropped_lines = logging::start(settings.log_level);
    let running = start(settings, Clock::System, dropped_lines).await?;
    for address in running.https() {
        tracing::info!(%address, "serving https");
    }
    until_told(running, Some(path), signals).await
}

async fn demo(args: DemoArgs) -> Result<(), Box<dyn Error>> {
    let data_dir = std::path::absolute(&args.data_dir)?;
    let demo = Demo {
        data_dir: data_dir.clone(),
        https: args.https,
        http: Some(args.http),
        metrics: Some(args.metrics),
    };
    let signals = Signals::catch()?;
    let dropped_lines = logging::start(LogLevel::Warn);
    let running = start(demo.settings()?, Clock::System, dropped_lines).await;
    let running = running.map_err(explain)?;
    furnish(&running, &demo).await?;
    if let Some(outbox) = &running.outbox {
        demo.open_applications(running.live.clone(), Clock::System, outbox.clone())?;
    }
    print_welcome(&demo, &data_dir);
    until_told(running, None, signals).await
}

/// A start that failed, with the option that helps.
fn explain(error: StartError) -> Box<dyn Error> {
    let StartError::Listen { key, error } = error else { return error.into() };
    format!(
        "{error}\nChoose another port with --{key}, as in: make run ARGS=\"--{key} 127.0.0.1:18443\""
    )
    .into()
}

fn print_welcome(demo: &Demo, data_dir: &Path) {
    let addresses = demo.addresses();
    let ca: PathBuf = data_dir.join("local-ca.pem");
    println!(
        "
narthex is running. Open these in a browser on this machine:

{addresses}

1. Open the example application. Your browser warns, because the certificates are signed by a CA that was made just
   now on this machine. Continue anyway, or let your browser trust {ca}.
2. Type any e-mail address. The code arrives in the mailbox: open it in a second tab.
3. Type the code. You are in, and the application shows what it received.

To talk to the API:

  curl --cacert {ca} -H \"Authorization: Bearer $(cat {data}/admin-token)\" {admin}/client/v4/accounts

Ctrl-C stops the demo. Its data stays in {data}.
",
        ca = ca.display(),
        admin = addresses.admin,
        data = data_dir.display(),
    );
}

/// SIGXFSZ, which is 25 on every system that this program is built for.
const FILE_SIZE_EXCEEDED: i32 = 25;

/// What the process is told from outside; caught before anything is started, so that no signal is missed.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Caught so that they do nothing: the system would end the process.
    _without_meaning: [Signal; 3],
    /// Never waited for. That it is caught makes a write beyond a limit of the file size (`ulimit -f`) fail as one on a
    /// full disk does, instead of ending the gateway.
    _file_size: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            _without_meaning: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
                signal(SignalKind::alarm())?,
            ],
            _file_size: signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED))?,
        })
    }
}

/// Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again. A second SIGTERM or SIGINT ends at once.
async fn until_told(
    mut running: Running,
    config: Option<&Path>,
    signals: Signals,
) -> Result<(), Box<dyn Error>> {
    let Signals { mut terminate, mut interrupt, mut hang_up, _without_meaning, _file_size } =
        signals;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(&mut running, config).await,
        }
    }
    eprintln!("narthexd: finishing what is under way; once more to stop at once");
    tokio::select! {
        () = running.drain() => Ok(()),
        () = again(&mut terminate, &mut interrupt) => Err("stopped before everything was finished".into()),
    }
}

async fn again(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn reload(running: &mut Running, config: Option<&Path>) {
    let Some(path) = config else { return };
    let outcome: Result<(), Box<dyn Error>> = async {
        let settings = Settings::read(path)?;
        running.reload(settings).await?;
        Ok(())
    }
    .await;
    match outcome {
        Ok(()) => tracing::info!(config = %path.display(), "read the configuration again"),
        Err(error) => tracing::error!(%error, "kept the running configuration"),
    }
}
