//! The benchmark of eventwire: `eventwire-bench --help` says what it does.

mod bus;
mod bystander;
mod cli;
mod compare;
mod contestants;
mod error;
mod events_stream;
mod freshness;
mod http;
#[cfg(feature = "tls")]
mod identity;
mod idle;
mod jobs;
mod journal;
mod keyed;
mod load;
mod machine;
mod reconnect;
mod report;
mod resume;
mod scenarios;
mod service;
mod socketio;
#[cfg(feature = "tls")]
mod tls;
mod unsent;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use cli::{Cli, Command, FileArgs};
use contestants::{Body, Contestant};
use error::Error;
use journal::JournalArgs;
use load::{Load, Measurement, Wire};
use report::socketio::SocketIoReport;
use report::{Files, Report};
use resume::ResumeArgs;
use service::{Server, ServiceConfig};
use socketio::SocketIoArgs;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    match cli.command {
        None => {
            let files = Files::create(&cli.run.files)?;
            files.publish(&scenarios::run(&cli.run)?)
        }
        Some(Command::Serve(args)) => {
            if args.end_with_parent {
                machine::end_with_parent()?;
            }
            serve(args.contestant(), args.config())
        }
        Some(Command::Bus(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&bus::run(&args)?)
        }
        Some(Command::Bystander(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&bystander::run(&args)?)
        }
        Some(Command::EventsStream(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&events_stream::run(&args)?)
        }
        Some(Command::Http(args)) => match args.serve {
            Some(server) => {
                machine::end_with_parent()?;
                serve_until_signal(args.server_config(), server.body(), "tcp")
            }
            None => {
                let files = Files::create(&args.files())?;
                files.publish(&http::run(&args)?)
            }
        },
        Some(Command::Freshness(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&freshness::run(&args)?)
        }
        Some(Command::Jobs(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&jobs::run(&args)?)
        }
        Some(Command::Journal(args)) => journal(&args),
        Some(Command::Keyed(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&keyed::run(args)?)
        }
        Some(Command::Reconnect(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&reconnect::run(&args)?)
        }
        Some(Command::Resume(args)) => resume(&args),
        Some(Command::Socketio(args)) => socketio(&args),
        #[cfg(feature = "tls")]
        Some(Command::Tls(args)) => {
            let files = Files::create(&args.files())?;
            files.publish(&tls::run(&args)?)
        }
        #[cfg(not(feature = "tls"))]
        Some(Command::Tls(_)) => Err(Error::without_tls()),
        Some(Command::Compare(args)) if args.list => print(&compare::list(&args)),
        Some(Command::Compare(args)) => {
            let files = Files::with_markdown(&args.files, args.markdown.as_ref())?;
            files.publish(&compare::run(&args)?)
        }
        Some(Command::Echo(args)) => measure(&args.load(), args.load.cpu, &args.load.files),
        Some(Command::Broadcast(args)) => measure(&args.load(), args.load.cpu, &args.load.files),
    }
}

#[cfg(feature = "sqlite")]
fn journal(args: &JournalArgs) -> Result<(), Error> {
    let files = Files::create(&args.files())?;
    files.publish(&journal::run(args)?)
}

#[cfg(not(feature = "sqlite"))]
fn journal(_: &JournalArgs) -> Result<(), Error> {
    Err(Error::without_sqlite())
}

fn resume(args: &ResumeArgs) -> Result<(), Error> {
    if args.serve {
        machine::end_with_parent()?;
        return serve_until_signal(args.server_config(), resume::serve, "ws");
    }
    let files = Files::create(&args.files())?;
    files.publish(&resume::run(args)?)
}

fn socketio(args: &SocketIoArgs) -> Result<(), Error> {
    if !args.become_command.is_empty() {
        return socketio::become_program(&args.become_command, args.cpu);
    }
    if let Some(serving) = args.serve {
        machine::end_with_parent()?;
        return serve_until_signal(args.server_config(), serving.body(), "ws");
    }
    let files = Files::create(&args.files())?;
    files.publish(&SocketIoReport::new(args, &socketio::run(args)?))
}

/// Serves as a contestant until a signal arrives, or the server fails.
fn serve(contestant: Contestant, config: ServiceConfig) -> Result<(), Error> {
    contestant.check(&config)?;
    let scheme = match contestant.wire() {
        Wire::WebSocket if config.tls => "wss",
        Wire::WebSocket => "ws",
        Wire::Tcp => "tcp",
    };
    serve_until_signal(config, contestant.run(), scheme)
}

fn serve_until_signal(config: ServiceConfig, body: Body, scheme: &str) -> Result<(), Error> {
    let mut signals =
        Signals::new([SIGTERM, SIGINT]).map_err(Error::system("cannot wait for signals"))?;
    machine::raise_file_limit(u64::MAX);
    let (end, ended) = mpsc::channel();
    let server = Server::start(config, Some(end.clone()), body)?;
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

fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Error::system("cannot write to standard output"))
}

/// Runs one load against another server and prints the report.
fn measure(load: &Load, cpu: Option<usize>, files: &FileArgs) -> Result<(), Error> {
    let files = Files::create(files)?;
    let measurement = with_progress(load.clone(), cpu)?;
    files.publish(&Report::of_one_run(load, cpu, measurement))
}

/// Runs the load on a thread of its own, with a progress bar on a terminal.
fn with_progress(load: Load, cpu: Option<usize>) -> Result<Measurement, Error> {
    const STEP: Duration = Duration::from_millis(100);
    let total = load.warm_up + load.duration;
    let bar = progress_bar((total.as_secs_f64() / STEP.as_secs_f64()) as u64);
    bar.set_message(load.target.to_string());
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = cpu.map_or(Ok(()), machine::pin).and_then(|()| load::run(&load, None));
        // The receiver is waiting, so this cannot fail.
        let _ = sender.send(result);
    });
    let result = loop {
        match receiver.recv_timeout(STEP) {
            Ok(result) => break result,
            Err(RecvTimeoutError::Timeout) => bar.inc(1),
            Err(RecvTimeoutError::Disconnected) => break Err(Error::Thread("load")),
        }
    };
    bar.finish_and_clear();
    // Its result has arrived, so the join's outcome does not matter.
    let _ = thread.join();
    result
}

/// A progress bar on standard error. Hidden unless standard error is a terminal.
fn progress_bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {elapsed}  {msg}");
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
