//! `narthexd`: the gateway as a program.

use clap::Parser;
use narthex_model::Clock;
use narthex_server::cli::{AdminCommand, Cli, Command, ConfigArgs, DemoArgs, TokenCommand};
use narthex_server::config::{LogLevel, Settings};
use narthex_server::demo::{Demo, furnish};
use narthex_server::systemd::{self, Manager, News};
use narthex_server::{
    Inheritance, Program, StartError, inherited, logging, start, start_with, token,
};
use signals::{Gateway, Signals};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

mod signals;

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
    let program = Program::running()?;
    let dropped_lines = logging::start(settings.log_level);
    let manager = Arc::new(Manager::of_environment());
    let inheritance = match inherited()? {
        Some(inheritance) => inheritance,
        None => Inheritance::from(systemd::given(&settings)?),
    };
    let running = start_with(inheritance, settings, Clock::System, dropped_lines).await?;
    for address in running.https() {
        tracing::info!(%address, process = std::process::id(), "serving https");
    }
    manager.tell(News::Ready);
    signals
        .obeyed_by(Gateway { running, config: Some(path), program: Some(program), manager })
        .await
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
    let manager = Arc::<Manager>::default();
    signals.obeyed_by(Gateway { running, config: None, program: None, manager }).await
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
