//! The command, and the servers that take part.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;

use super::case::{self, Case, Kind, PLAIN};
use super::events::TEXT;
use super::loads::{Load, STORM_MAX};
use super::session::Transport;
use crate::contestants::{Contestant, Own, Program};
use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::{self, CpuPair};
use crate::output::FileArgs;
use crate::results::Role;
use crate::scenario::{ENGINE, Plan, Sample, Timing};
use crate::scenarios::traffic::Setting;
use crate::servers::Implementation;
use crate::service::Service;
use crate::target::Wire;

/// The server of Node's socket.io, a program of its own.
const NODE_SERVER: &str = include_str!("../../../peers/socket_io_server.js");
const NODE: &str = "socket.io";

/// Measure Socket.IO: servers in turns, beside a plain WebSocket server of the engine
///
/// It measures the memory of idle sessions, acknowledged events, events to all sessions and storms
/// of connecting clients, over WebSocket and over polling. Every server has a process of its own
/// on one CPU, and every packet is checked. With `--features peers` Rust's socketioxide takes part,
/// and with --node Node's socket.io. It takes five minutes.
#[derive(Args, Debug)]
pub(crate) struct SocketIoArgs {
    /// Measure briefly with few sessions: a check that everything works, without meaningful figures
    #[arg(long)]
    quick: bool,
    /// Measure Node's socket.io, too: the folder `node_modules` that has it
    #[arg(long, value_name = "FOLDER")]
    node: Option<PathBuf>,
    /// The command of the engine's server, to which `PORT load` is appended
    #[arg(long, value_name = "COMMAND")]
    eventwire: Option<String>,
    /// How the servers of this program wait while nothing is ready, where that can be chosen
    #[arg(long, value_enum, default_value = "block", value_name = "MODE")]
    idle: IdleMode,
    /// Rounds of each scenario
    #[arg(long, default_value = "5", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=101))]
    rounds: u16,
    /// Scenarios to run, all by default
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = parse_id)]
    only: Vec<String>,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

fn parse_id(id: &str) -> Result<String, String> {
    let known: Vec<_> = case::all().into_iter().map(|case| case.id).collect();
    match known.iter().any(|known| known == id) {
        true => Ok(id.to_owned()),
        false => Err(format!("the scenarios are {}", known.join(", "))),
    }
}

impl SocketIoArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (rounds, times) =
            if self.quick { (1, [20, 100]) } else { (self.rounds.into(), [300, 1_000]) };
        let [warm_up, duration] = times.map(Duration::from_millis);
        let (setting, contestants) = (Setting::new(false), self.contestants());
        let cpus = setting.cpus;
        let is_chosen = |case: &Case| self.only.is_empty() || self.only.contains(&case.id);
        let cases = case::all().into_iter().filter(is_chosen);
        let scenarios = cases.map(|case| {
            let case = Rc::new(if self.quick { case.quick() } else { case });
            let takes_part = |one: &&Rc<dyn Contestant>| {
                !is_plain(&***one) || case.transport == Transport::WebSocket
            };
            contestants.iter().filter(takes_part).fold(case.scenario(), |scenario, contestant| {
                // A command in place of the engine's server is the engine.
                let is_engine = contestant.name() == ENGINE;
                let role = if is_engine { Role::Engine } else { contestant.role() };
                let (case, contestant) = (Rc::clone(&case), Rc::clone(contestant));
                scenario.entrant(contestant.name().to_owned(), role, move |timing| {
                    measure(&case, &*contestant, timing, cpus)
                })
            })
        });
        Ok(Plan {
            title: "Socket.IO",
            conditions: vec![
                setting.place(),
                format!(
                    "{rounds} rounds of {duration:?} after {warm_up:?} to warm up, in turns; this \
                     program's servers with idle: {}",
                    self.idle.name()
                ),
                format!(
                    "events carry a text of {TEXT} B; a storm has {} s; {PLAIN}: the engine \
                     without Socket.IO, with the same text messages",
                    STORM_MAX.as_secs()
                ),
            ],
            timing: Timing { rounds, warm_up, duration },
            repetition_max: Duration::ZERO,
            scenarios: scenarios.collect(),
            notes: Vec::new(),
        })
    }

    /// Everything that takes part.
    fn contestants(&self) -> Vec<Rc<dyn Contestant>> {
        let engine = || Own::new(Implementation::Eventwire).idle(self.idle);
        let mut all: Vec<Rc<dyn Contestant>> = vec![Rc::new(engine().named(PLAIN, Role::Floor))];
        match &self.eventwire {
            Some(command) => {
                let command = command.split_whitespace().map(str::to_owned).collect();
                all.push(Rc::new(program(ENGINE, command)));
            }
            None if cfg!(feature = "socketio") => all.push(Rc::new(engine())),
            None => {}
        }
        if let Some(folder) = &self.node {
            let path = format!("NODE_PATH={}", folder.display());
            let node = ["env", &path, "node", "--expose-gc", "-e", NODE_SERVER];
            all.push(Rc::new(program(NODE, node.map(str::to_owned).to_vec())));
        }
        #[cfg(feature = "peers")]
        all.push(Rc::new(Own::new(Implementation::Socketioxide)));
        all
    }
}

/// A server whose command takes its port and the profile `load`.
fn program(name: &str, mut command: Vec<String>) -> Program {
    command.extend(["{port}", "load"].map(str::to_owned));
    Program { name: name.to_owned(), wire: Wire::WebSocket, service: Service::SocketIo, command }
}

fn is_plain(contestant: &dyn Contestant) -> bool {
    contestant.role() == Role::Floor
}

/// Runs one round on one server.
fn measure(
    case: &Case,
    contestant: &dyn Contestant,
    timing: Timing,
    cpus: Option<CpuPair>,
) -> Result<Sample, Error> {
    let (service, transport) = match (is_plain(contestant), case.kind) {
        (false, _) => (Service::SocketIo, case.transport),
        (true, Kind::ToAll) => (Service::Broadcast, Transport::Plain),
        (true, _) => (Service::Echo, Transport::Plain),
    };
    let server = contestant.launch(service, cpus.map(|cpus| cpus.server))?.start()?;
    let (spins, collects_garbage) = (cpus.is_some(), contestant.name() == NODE);
    let load = Load { case, server: &server, transport, spins, collects_garbage };
    let sample = machine::run_on(cpus.map(|cpus| cpus.load), || load.run(timing));
    let used = server.process().and_then(|process| process.cpu().time());
    // If both failed, the load says what the server did.
    let sample = sample?;
    server.stop()?;
    Ok(Sample { servers_cpu: used.unwrap_or_default(), ..sample })
}
