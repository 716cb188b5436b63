//! Stock clients of Socket.IO against the example `socketio`: those for Node, Python and Rust, and
//! the one for browsers in Chromium.
//!
//! With `EVENTWIRE_SOCKET_IO_SERVER` in the environment, a command that `PORT PROFILE` is appended
//! to, they talk to that server instead.

mod browser;
mod server;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use self::server::{Profile, Server, is_reference};
use super::client::{clients, command, prepared, skip, succeeds};
use super::nginx::{self, Nginx};

/// A wait takes this long only if something is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// All ways to connect: polling and then an upgrade, or one transport alone.
const WAYS: &[&str] = &["default", "polling", "websocket"];

/// A stock client.
#[derive(Clone, Copy)]
struct Stock {
    name: &'static str,
    interpreter: &'static str,
    /// Succeeds if the client is installed.
    probe: [&'static str; 2],
    script: &'static str,
}

const NODE: Stock = Stock {
    name: "socket.io-client",
    interpreter: "node",
    probe: ["-e", "require('socket.io-client'), require('engine.io-client')"],
    script: "socket_io_client.js",
};

const PYTHON: Stock = Stock {
    name: "python-socketio",
    interpreter: "python3",
    probe: ["-c", "import socketio, requests, websocket"],
    script: "socket_io_client.py",
};

impl Stock {
    fn is_installed(self) -> bool {
        let is_installed = succeeds(command(&[self.interpreter]).args(self.probe));
        if !is_installed {
            skip(self.name);
        }
        is_installed
    }

    /// Runs a scenario against a server, in each of these ways.
    fn run(self, scenario: &str, profile: Profile, ways: &[&str]) {
        if !self.is_installed() {
            return;
        }
        let mut server = Server::start(profile);
        let url = server.url();
        for way in ways {
            self.play(scenario, &mut server, &url, way);
        }
    }

    /// Runs scenarios against a server behind nginx, in every way.
    fn run_behind_nginx(self, scenarios: &[&str], profile: Profile) {
        if !nginx::is_installed() {
            return skip("nginx");
        }
        if !self.is_installed() {
            return;
        }
        let mut server = Server::start(profile);
        // Its default for a body is less than the longest payload.
        let larger =
            |block: String| block.replacen("listen ", "client_max_body_size 4m; listen ", 1);
        let nginx = Nginx::start_with(&server.address(), larger);
        let url = format!("http://{}", nginx.address);
        for scenario in scenarios {
            for way in WAYS {
                self.play(scenario, &mut server, &url, way);
            }
        }
    }

    fn play(self, scenario: &str, server: &mut Server, url: &str, way: &str) {
        let mut command = command(&[self.interpreter]);
        command.arg(clients().join(self.script)).args([scenario, url, way]);
        command.env("SOCKET_IO_PROFILE", server.profile().name());
        if is_reference() {
            command.env("SOCKET_IO_REFERENCE", "1");
        }
        let client = Client::spawn(&mut command);
        // Each line asks for the server's end.
        while let Some(line) = client.line() {
            assert_eq!(line, "kill the server");
            server.restart();
        }
        let (is_success, errors) = client.finish();
        assert!(is_success, "{scenario}, {way}: {errors}");
    }
}

/// A running client. Dropping it kills it.
struct Client {
    child: Child,
    lines: mpsc::Receiver<String>,
    errors: mpsc::Receiver<String>,
}

impl Client {
    fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = pass_on(BufReader::new(child.stdout.take().unwrap()));
        let errors = pass_on(BufReader::new(child.stderr.take().unwrap()));
        Self { child, lines, errors }
    }

    /// The next line of its output; `None` at the end.
    fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the client does not end"),
        }
    }

    /// Whether it succeeded, and what it reported.
    fn finish(mut self) -> (bool, String) {
        let errors: Vec<String> = self.errors.iter().collect();
        (self.child.wait().unwrap().success(), errors.join("\n"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(lines: impl BufRead + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            // Without a receiver, the test has failed.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// With recovery, it does not take events with bytes: an offset follows them.
#[test]
fn rusts_client_exchanges_events_and_bytes() {
    let program = prepared().join("rust_socketio/debug/rust-socketio-client");
    if !program.exists() {
        return skip("rust_socketio");
    }
    let server = Server::start(Profile::Load);
    for way in WAYS {
        let client = Client::spawn(Command::new(&program).args([&server.url(), *way]));
        let (is_success, errors) = client.finish();
        assert!(is_success, "{way}: {errors}");
    }
}

#[test]
fn nodes_client_exchanges_events() {
    NODE.run("exchanges", Profile::Load, WAYS);
    NODE.run("exchanges", Profile::Client, WAYS);
}

#[test]
fn nodes_client_acknowledges_and_is_acknowledged() {
    NODE.run("acknowledges", Profile::Client, WAYS);
}

#[test]
fn nodes_client_joins_namespaces() {
    NODE.run("joins_namespaces", Profile::Load, WAYS);
}

#[test]
fn nodes_client_learns_why_it_was_disconnected() {
    NODE.run("disconnects", Profile::Client, WAYS);
}

#[test]
fn nodes_client_shares_rooms() {
    NODE.run("shares_rooms", Profile::Client, WAYS);
}

#[test]
fn nodes_client_receives_volatile_events() {
    NODE.run("receives_volatile", Profile::Client, WAYS);
}

#[test]
fn nodes_client_upgrades_while_events_flow() {
    NODE.run("upgrades", Profile::Load, &["default"; 10]);
}

#[test]
fn nodes_client_receives_floods() {
    NODE.run("floods", Profile::Load, WAYS);
}

#[test]
fn two_hundred_clients_of_node_are_served_at_once() {
    NODE.run("crowds", Profile::Load, WAYS);
}

#[test]
fn nodes_client_reconnects_after_the_server_was_killed() {
    NODE.run("reconnects", Profile::Client, WAYS);
}

#[test]
fn nodes_client_recovers_what_it_missed_once_and_in_order() {
    NODE.run("recovers_missed_events", Profile::Client, WAYS);
}

#[test]
fn nodes_client_recovers_whenever_its_connections_are_cut() {
    NODE.run("recovers_while_events_flow", Profile::Client, WAYS);
}

#[test]
fn nodes_client_recovers_binary() {
    NODE.run("recovers_binary", Profile::Client, WAYS);
}

#[test]
fn nodes_client_recovers_after_its_engine_was_closed() {
    NODE.run("recovers_after_the_engine_was_closed", Profile::Client, WAYS);
}

#[test]
fn nodes_client_recovers_after_a_volatile_event() {
    // Node's server does not send an offset with such an event.
    if !is_reference() {
        NODE.run("recovers_after_a_volatile_event", Profile::Client, WAYS);
    }
}

#[test]
fn nodes_client_learns_the_truth_when_it_had_no_event() {
    NODE.run("tells_the_truth_without_an_event", Profile::Client, WAYS);
}

#[test]
fn nodes_client_begins_anew_with_an_unknown_offset() {
    NODE.run("begins_anew_with_an_unknown_offset", Profile::Client, WAYS);
}

#[test]
fn nodes_client_of_the_layer_below_opens_sessions() {
    NODE.run("opens_engine_sessions", Profile::Load, WAYS);
}

#[test]
fn pythons_client_exchanges_events() {
    PYTHON.run("exchanges", Profile::Load, WAYS);
}

#[test]
fn pythons_client_acknowledges_and_is_acknowledged() {
    PYTHON.run("acknowledges", Profile::Load, WAYS);
}

#[test]
fn pythons_client_joins_namespaces() {
    PYTHON.run("joins_namespaces", Profile::Load, WAYS);
}

#[test]
fn pythons_client_shares_rooms() {
    PYTHON.run("shares_rooms", Profile::Load, WAYS);
}

#[test]
fn pythons_client_disconnects_and_is_disconnected() {
    PYTHON.run("disconnects", Profile::Load, WAYS);
}

#[test]
fn pythons_client_receives_floods() {
    // Over polling it drops an answer of more than 16 packets, and Node's server sends such.
    let ways = if is_reference() { &["websocket"] } else { WAYS };
    PYTHON.run("floods", Profile::Load, ways);
}

#[test]
fn pythons_client_reconnects_after_the_server_was_killed() {
    PYTHON.run("reconnects", Profile::Load, WAYS);
}

#[test]
fn nodes_client_behind_nginx_is_served_as_directly() {
    let scenarios = ["exchanges", "upgrades", "disconnects", "recovers_while_events_flow"];
    NODE.run_behind_nginx(&scenarios, Profile::Client);
}

#[test]
fn pythons_client_behind_nginx_is_served_as_directly() {
    PYTHON.run_behind_nginx(&["exchanges", "acknowledges", "shares_rooms"], Profile::Load);
}
