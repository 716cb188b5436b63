//! The servers, and how they are started.

use super::args::SocketIoArgs;
use super::scenario::{Scenario, Transport};
use super::serving::Serving;
use super::session::Way;
use crate::compare::process::{Order, Server};
use crate::contestants;
use crate::error::Error;
use crate::machine::CpuPair;

/// The server of Node's socket.io, a program of its own.
const NODE_SERVER: &str = include_str!("../../peers/socket_io_server.js");

/// A server that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// The engine's plain WebSocket server, without Socket.IO
    Plain,
    /// The engine
    Eventwire,
    /// Node's socket.io
    Node,
    /// Rust's socketioxide
    #[cfg(feature = "peers")]
    Socketioxide,
}

impl Contestant {
    /// All that take part.
    pub(crate) fn all(args: &SocketIoArgs) -> Vec<Self> {
        let mut all = vec![Self::Plain];
        if args.eventwire.is_some() || cfg!(feature = "socketio") {
            all.push(Self::Eventwire);
        }
        if args.node.is_some() {
            all.push(Self::Node);
        }
        #[cfg(feature = "peers")]
        all.push(Self::Socketioxide);
        all
    }

    /// The name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain WebSocket",
            Self::Eventwire => "eventwire",
            Self::Node => "socket.io",
            #[cfg(feature = "peers")]
            Self::Socketioxide => "socketioxide",
        }
    }

    /// Whether it is another Socket.IO server than the engine's.
    pub(crate) const fn is_peer(self) -> bool {
        !matches!(self, Self::Plain | Self::Eventwire)
    }

    pub(super) fn takes_part_in(self, scenario: &Scenario) -> bool {
        self != Self::Plain || scenario.transport == Transport::WebSocket
    }

    pub(super) const fn way(self, scenario: &Scenario) -> Way {
        if matches!(self, Self::Plain) { Way::Plain } else { scenario.way() }
    }

    /// Whether it collects its garbage when a session emits `collect-garbage`.
    pub(super) const fn collects_garbage(self) -> bool {
        matches!(self, Self::Node)
    }

    /// Starts it for a scenario.
    pub(super) fn start(
        self,
        args: &SocketIoArgs,
        scenario: &Scenario,
        cpus: Option<CpuPair>,
    ) -> Result<Server, Error> {
        let cpu = cpus.map(|cpus| cpus.server);
        let own = |serving: Serving| Server::spawn(self.name(), words(serving, args, cpu), None);
        match self {
            Self::Plain => {
                let contestant = contestants::Contestant::Eventwire;
                let service = scenario.plain_service();
                let order = Order { contestant, service, idle: args.idle, cpu, tls: false };
                Server::start(order, None)
            }
            Self::Eventwire => match &args.eventwire {
                Some(command) => self.start_command(command.0.clone(), cpu),
                None => own(Serving::Eventwire),
            },
            Self::Node => {
                let folder = args.node.as_deref().unwrap_or_else(|| "node_modules".as_ref());
                let path = format!("NODE_PATH={}", folder.display());
                let node = ["env", &path, "node", "--expose-gc", "-e", NODE_SERVER];
                self.start_command(node.map(str::to_owned).to_vec(), cpu)
            }
            #[cfg(feature = "peers")]
            Self::Socketioxide => own(Serving::Socketioxide),
        }
    }

    /// Starts `COMMAND PORT load`, by this program, which becomes it.
    fn start_command(self, command: Vec<String>, cpu: Option<usize>) -> Result<Server, Error> {
        let mut words = vec!["socketio".to_owned()];
        words.extend(cpu.map(|cpu| format!("--cpu={cpu}")));
        words.push("--".to_owned());
        words.extend(command);
        Server::spawn_on_free_port(self.name(), words, "load")
    }
}

/// The arguments with which this program becomes the server.
fn words(serving: Serving, args: &SocketIoArgs, cpu: Option<usize>) -> Vec<String> {
    let words = ["socketio", "--serve", serving.name(), "--idle", args.idle.name()];
    let mut words = words.map(str::to_owned).to_vec();
    words.extend(cpu.map(|cpu| format!("--cpu={cpu}")));
    words
}
