//! The benchmark of eventwire: `eventwire-bench --help` says what it does.
//!
//! A command declares a plan of scenarios (`scenarios`), the runner measures them in rounds
//! (`runner`) and returns plain data (`results`), which is shown (`display`) and written
//! (`output`). Scenarios put load (`load`) on contestants (`contestants`), which are mostly servers
//! of this program (`servers`) in processes of their own (`process`).

mod arguments;
mod cli;
mod contestants;
mod display;
mod error;
#[cfg(feature = "tls")]
mod identity;
mod idle;
mod load;
mod machine;
mod output;
mod process;
mod results;
mod runner;
mod scenario;
mod scenarios;
mod servers;
mod service;
mod target;
mod unsent;
mod worker;

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use cli::{Cli, Command, ExecArgs, ServeArgs};
use error::Error;
use output::{FileArgs, print};
use scenario::Plan;
use service::{Server, Service};
use target::Wire;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                Error::Arguments(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    match cli.command {
        None => measure(cli.run.plan(), &cli.run.files),
        Some(Command::Serve(args)) => serve(args),
        Some(Command::Exec(args)) => Err(exec(&args)),
        Some(Command::Show(args)) => args.show(),
        Some(Command::Echo(args)) => measure(args.plan(), &args.load.files),
        Some(Command::Broadcast(args)) => measure(args.plan(), &args.load.files),
        Some(Command::Bus(args)) => measure(args.plan(), &args.files),
        Some(Command::Bystander(args)) => measure(args.plan(), &args.files),
        Some(Command::EventsStream(args)) => measure(args.plan(), &args.files),
        Some(Command::Http(args)) => measure(args.plan(), &args.files),
        Some(Command::Freshness(args)) => measure(args.plan(), &args.files),
        Some(Command::Jobs(args)) => measure(args.plan(), &args.files),
        Some(Command::Journal(args)) => measure(args.plan(), &args.files),
        Some(Command::Keyed(args)) => measure(args.plan(), &args.files),
        Some(Command::Reconnect(args)) => measure(args.plan(), &args.files),
        Some(Command::Resume(args)) => measure(args.plan(), &args.files),
        Some(Command::Socketio(args)) => measure(args.plan(), &args.files),
        Some(Command::Tls(args)) => measure(args.plan(), &args.files),
        Some(Command::Compare(args)) => match args.list() {
            Some(list) => print(&list),
            None => measure(args.plan(), &args.files),
        },
    }
}

/// Measures, prints the results, and writes them to the files that are asked for. Fails after that
/// if the engine did; a peer that fails only loses its row.
fn measure(plan: Result<Plan<'_>, Error>, files: &FileArgs) -> Result<(), Error> {
    let files = files.create()?;
    let results = runner::run(plan?)?;
    files.publish(&results)?;
    results.engine_failure().map_or(Ok(()), |failure| Err(Error::Events(failure)))
}

/// Serves until a signal arrives, or the server fails.
fn serve(args: ServeArgs) -> Result<(), Error> {
    let implementation = args.implementation;
    if args.end_with_parent {
        machine::end_with_parent()?;
    }
    let config = args.config();
    implementation.check(&config)?;
    let scheme = match implementation.wire() {
        _ if config.service == Service::Page => "tcp",
        Wire::WebSocket if config.tls => "wss",
        Wire::WebSocket => "ws",
        Wire::Tcp => "tcp",
    };
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(Error::system("cannot wait for signals"))?;
    machine::raise_file_limit(u64::MAX);
    let (end, ended) = mpsc::channel();
    let server = Server::start(config, Some(end.clone()), implementation.run())?;
    thread::spawn(move || {
        signals.forever().next();
        // The receiver is gone only if the program is already ending.
        let _ = end.send(());
    });
    print(&format!("listening on {scheme}://{}\n", server.address()))?;
    // The signal thread sends before it drops its end.
    let _ = ended.recv();
    server.stop()
}

/// Becomes another program, which may have many connections. Returns only if that fails.
fn exec(args: &ExecArgs) -> Error {
    machine::raise_file_limit(u64::MAX);
    let (program, words) = args.command.split_first().expect("the command line has a program");
    let prepared = args.cpu.map_or(Ok(()), machine::pin).and_then(|()| machine::end_with_parent());
    match prepared {
        Ok(()) => {
            let error = std::process::Command::new(program).args(words).exec();
            Error::system(format!("cannot start {program}"))(error)
        }
        Err(error) => error,
    }
}
