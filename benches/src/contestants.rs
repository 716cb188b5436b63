//! The contestants of comparisons: servers of this program, servers that already run, and other
//! programs, with one interface.

use std::str::FromStr;

use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::{CpuPair, Process};
use crate::process::{Launch, Server};
use crate::results::Role;
use crate::scenario::{AGAIN, ENGINE};
use crate::servers::Implementation;
use crate::service::Service;
use crate::target::{Target, Wire};

/// The names of the floors.
pub(crate) const FLOOR: &str = "floor";
pub(crate) const WS_FLOOR: &str = "ws-floor";

/// A server that takes part in comparisons.
pub(crate) trait Contestant {
    /// Its name in results.
    fn name(&self) -> &str;

    fn role(&self) -> Role;

    fn wire(&self) -> Wire;

    /// Whether it has this service.
    fn serves(&self, service: Service) -> bool;

    /// What starts it for a service, on `cpu` only, if given.
    fn launch(&self, service: Service, cpu: Option<usize>) -> Result<Launch, Error>;

    /// Starts it, and waits until it takes connections. It ends when the server is dropped.
    fn start(&self, service: Service, cpu: Option<usize>) -> Result<Server, Error> {
        self.launch(service, cpu)?.start()
    }
}

/// A server of this program, in a process that is started for each round.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    name: String,
    role: Role,
    implementation: Implementation,
    idle: IdleMode,
    tls: bool,
}

impl Own {
    /// Its role follows from what it is. It sleeps at once while nothing is ready.
    pub(crate) fn new(implementation: Implementation) -> Self {
        let role = match implementation {
            Implementation::Eventwire => Role::Engine,
            Implementation::Floor | Implementation::WsFloor => Role::Floor,
            _ => Role::Peer,
        };
        let name = implementation.name().to_owned();
        Self { name, role, implementation, idle: IdleMode::Block, tls: false }
    }

    /// The engine once more, so that its noise shows.
    pub(crate) fn again() -> Self {
        Self::new(Implementation::Eventwire).named(AGAIN, Role::Again)
    }

    /// The engine in another idle mode.
    pub(crate) fn mode(idle: IdleMode) -> Self {
        let name = format!("{ENGINE} ({})", idle.name());
        Self::new(Implementation::Eventwire).named(&name, Role::Mode).idle(idle)
    }

    pub(crate) fn named(self, name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, ..self }
    }

    pub(crate) fn idle(self, idle: IdleMode) -> Self {
        Self { idle, ..self }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(self) -> Self {
        Self { tls: true, ..self }
    }
}

impl Contestant for Own {
    fn name(&self) -> &str {
        &self.name
    }

    fn role(&self) -> Role {
        self.role
    }

    fn wire(&self) -> Wire {
        self.implementation.wire()
    }

    fn serves(&self, service: Service) -> bool {
        self.implementation.services().contains(&service)
    }

    fn launch(&self, service: Service, cpu: Option<usize>) -> Result<Launch, Error> {
        let (name, idle) = (self.implementation.name(), self.idle.name());
        // However the comparison ends, no server keeps running.
        let words = ["serve", service.name(), "--as", name, "--idle", idle, "--end-with-parent"];
        let launch = Launch::own(&self.name, words).option("--listen", Some("127.0.0.1:0"));
        let launch = launch.option("--cpu", cpu);
        Ok(if self.tls { launch.with("--tls") } else { launch })
    }
}

/// Another program, such as a real server, which is started for each round and ended after it.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) service: Service,
    /// The command. `{port}` in it stands for the port that it is to listen on.
    pub(crate) command: Vec<String>,
}

impl Contestant for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn wire(&self) -> Wire {
        self.wire
    }

    fn serves(&self, service: Service) -> bool {
        self.service == service
    }

    fn launch(&self, _: Service, cpu: Option<usize>) -> Result<Launch, Error> {
        Launch::program(&self.name, self.wire, cpu, &self.command)
    }
}

/// A server that already runs, as `NAME=URL`. `NAME:broadcast=URL` serves broadcasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    name: String,
    service: Service,
    url: Target,
}

impl Elsewhere {
    /// A note if its process may use the load's CPU, or is unknown.
    pub(crate) fn wrong_cpu(&self, cpus: Option<CpuPair>) -> Option<String> {
        let (name, cpu) = (&self.name, cpus?.server);
        let allowed = self.url.process().and_then(Process::allowed_cpus);
        match allowed {
            None => Some(format!("{name}: unknown CPU time, its process is not on this machine")),
            Some(allowed) if allowed == cpu.to_string() => None,
            Some(allowed) => Some(format!(
                "{name} may run on CPUs {allowed}, not only on {cpu}: start it with taskset -c \
                 {cpu}"
            )),
        }
    }
}

impl Contestant for Elsewhere {
    fn name(&self) -> &str {
        &self.name
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn wire(&self) -> Wire {
        self.url.wire
    }

    fn serves(&self, service: Service) -> bool {
        self.service == service
    }

    fn launch(&self, _: Service, _: Option<usize>) -> Result<Launch, Error> {
        Ok(Launch::running(&self.url))
    }
}

impl FromStr for Elsewhere {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, service, url) = named(text).ok_or("must be NAME=ws://HOST:PORT")?;
        check_name(name)?;
        Ok(Self { name: name.to_owned(), service, url: url.parse()? })
    }
}

/// As `NAME=COMMAND` or `NAME:broadcast=COMMAND`.
impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, service, command) = named(text).ok_or("must be NAME=COMMAND")?;
        check_name(name)?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if !command.iter().any(|word| word.contains("{port}")) {
            return Err("the command needs {port} where its port is to stand".to_owned());
        }
        Ok(Self { name: name.to_owned(), wire: Wire::WebSocket, service, command })
    }
}

/// The parts of `NAME=VALUE` or `NAME:broadcast=VALUE`.
fn named(text: &str) -> Option<(&str, Service, &str)> {
    let (name, value) = text.split_once('=')?;
    Some(match name.strip_suffix(":broadcast") {
        Some(name) => (name, Service::Broadcast, value),
        None => (name, Service::Echo, value),
    })
}

fn check_name(name: &str) -> Result<(), String> {
    const NAME_MAX: usize = 32;
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(format!("a name has 1 to {NAME_MAX} characters"));
    }
    if [FLOOR, WS_FLOOR].contains(&name) || name.starts_with(ENGINE) {
        return Err(format!("{name} is the name of a contestant"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_server_is_named_with_its_url() {
        let server: Elsewhere = "uws:broadcast=ws://h:1/x".parse().unwrap();
        assert_eq!((server.name(), server.wire()), ("uws", Wire::WebSocket));
        assert!(server.serves(Service::Broadcast) && !server.serves(Service::Echo));
        for wrong in ["ws://h:1", "=ws://h:1", "eventwire=ws://h:1", "floor=ws://h:1", "a=h:1"] {
            assert!(wrong.parse::<Elsewhere>().is_err(), "{wrong}");
        }
        let program: Program = "node=node server.js echo {port}".parse().unwrap();
        assert_eq!(program.command, ["node", "server.js", "echo", "{port}"]);
        assert!("node=node server.js".parse::<Program>().is_err());
    }
}
