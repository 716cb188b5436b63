//! Stock clients of Socket.IO against the example `socketio`: those for Node, Python and Rust, and
//! the one for browsers in Chromium.
//!
//! With `EVENTWIRE_SOCKET_IO_SERVER` in the environment, a command that `PORT PROFILE` is appended
//! to, they talk to that server instead. Node's server with the same events is
//! `clients/socket_io_server.js`.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

use super::browser::Browser;
use super::client::{Client, command, prepared};
use super::nginx::nginx;
use super::program::Running;
use super::server::{Daemon, Looping, example_path};
use super::wait::PATIENCE;

/// All ways to connect: polling and then an upgrade, or one transport alone.
const WAYS: &[&str] = &["default", "polling", "websocket"];

/// The server's settings with recovery, and without it.
const CLIENT: &str = "client";
const LOAD: &str = "load";

/// A stock client, and the script that has its scenarios.
type Stock = (Client, &'static str);

const NODE: Stock = (Client::new("socket.io-client", &["node"], NODE_PROBE), "socket_io_client.js");
const NODE_PROBE: &[&str] = &["-e", "require('socket.io-client'), require('engine.io-client')"];

const PYTHON: Stock =
    (Client::new("python-socketio", &["python3"], PYTHON_PROBE), "socket_io_client.py");
const PYTHON_PROBE: &[&str] = &["-c", "import socketio, requests, websocket"];

const RUST: Client = Client::new("rust_socketio", &["rust-socketio-client"], &[]);

/// The stock client for browsers. `None` if it is not installed, which is reported.
pub(super) fn bundle() -> Option<PathBuf> {
    NODE.0.find().map(|_| prepared("node_modules/socket.io-client/dist/socket.io.min.js"))
}

/// The command of the server that is named in the environment.
fn reference() -> Option<String> {
    env::var("EVENTWIRE_SOCKET_IO_SERVER").ok()
}

fn serve(profile: &str) -> Daemon {
    Daemon::start(|port, _| {
        let mut command = match reference() {
            Some(words) => command(&words.split_whitespace().collect::<Vec<_>>()),
            None => Command::new(example_path("socketio")),
        };
        command.args([&port.to_string(), profile]);
        command
    })
}

/// Plays a scenario against a server, in each of these ways.
fn play((client, script): Stock, scenario: &str, profile: &str, ways: &[&str]) {
    let Some(client) = client.find() else { return };
    let mut server = serve(profile);
    let url = format!("http://{}", server.address);
    for way in ways {
        let command = client.script(script, &[scenario, &url, way]);
        play_once(command, &mut server, profile);
    }
}

/// Plays scenarios against a server behind nginx, in every way.
fn play_behind_nginx((client, script): Stock, scenarios: &[&str], profile: &str) {
    let Some(client) = client.find() else { return };
    let mut server = serve(profile);
    let Some(nginx) = nginx(&server.address, &[]) else { return };
    let url = format!("http://{}", nginx.address);
    for scenario in scenarios {
        for way in WAYS {
            let command = client.script(script, &[scenario, &url, way]);
            play_once(command, &mut server, profile);
        }
    }
}

/// Runs a script, which has to succeed. Each line that it prints asks for a restart of the server.
fn play_once(mut command: Command, server: &mut Daemon, profile: &str) {
    command.env("SOCKET_IO_PROFILE", profile);
    if reference().is_some() {
        command.env("SOCKET_IO_REFERENCE", "1");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let (sender, requests) = channel();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let end = loop {
        match requests.recv_timeout(PATIENCE) {
            Ok(line) if line == "kill the server" => server.restart(),
            end => break end,
        }
    };
    if end != Err(RecvTimeoutError::Disconnected) {
        process.kill().unwrap();
    }
    let output = process.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}, {end:?}: {errors}");
}

/// With recovery, it does not take events with bytes: an offset follows them.
#[test]
fn rusts_client_exchanges_events_and_bytes() {
    let Some(client) = RUST.find() else { return };
    let server = serve(LOAD);
    let url = format!("http://{}", server.address);
    for way in WAYS {
        Running::spawn(client.command().args([&url, *way])).finish().assert_success();
    }
}

#[test]
fn a_page_of_another_origin_upgrades_and_exchanges_events() {
    let Some(mut browser) = Browser::start() else { return };
    let Some(bundle) = bundle() else { return };
    let script = fs::read_to_string(bundle).unwrap();
    let page = Looping::page(include_str!("clients/socket_io.html"), &script);
    let server = serve(LOAD);
    let window = browser.open(&format!("http://{}/?url=http://{}", page.address, server.address));
    let shown = browser.wait_for(&window, "#log", |text| !text.is_empty());
    assert_eq!(shown, "ok, polling,websocket");
}

/// A test for each scenario of a stock client.
macro_rules! tests {
    ($($name:ident: $client:ident $scenario:literal $profile:ident $ways:expr;)*) => {$(
        #[test]
        fn $name() {
            play($client, $scenario, $profile, $ways);
        }
    )*};
}

tests! {
    nodes_client_exchanges_events: NODE "exchanges" LOAD WAYS;
    nodes_client_exchanges_events_with_recovery: NODE "exchanges" CLIENT WAYS;
    nodes_client_acknowledges_and_is_acknowledged: NODE "acknowledges" CLIENT WAYS;
    nodes_client_joins_namespaces: NODE "joins_namespaces" LOAD WAYS;
    nodes_client_learns_why_it_was_disconnected: NODE "disconnects" CLIENT WAYS;
    nodes_client_shares_rooms: NODE "shares_rooms" CLIENT WAYS;
    nodes_client_receives_volatile_events: NODE "receives_volatile" CLIENT WAYS;
    nodes_client_upgrades_while_events_flow: NODE "upgrades" LOAD &["default"; 10];
    nodes_client_receives_floods: NODE "floods" LOAD WAYS;
    two_hundred_clients_of_node_are_served_at_once: NODE "crowds" LOAD WAYS;
    nodes_client_reconnects_after_the_server_was_killed: NODE "reconnects" CLIENT WAYS;
    nodes_client_recovers_what_it_missed_once_and_in_order:
        NODE "recovers_missed_events" CLIENT WAYS;
    nodes_client_recovers_whenever_its_connections_are_cut:
        NODE "recovers_while_events_flow" CLIENT WAYS;
    nodes_client_recovers_binary: NODE "recovers_binary" CLIENT WAYS;
    nodes_client_recovers_after_its_engine_was_closed:
        NODE "recovers_after_the_engine_was_closed" CLIENT WAYS;
    // Node's server does not send an offset with such an event.
    nodes_client_recovers_after_a_volatile_event:
        NODE "recovers_after_a_volatile_event" CLIENT by_server(WAYS, &[]);
    nodes_client_learns_the_truth_when_it_had_no_event:
        NODE "tells_the_truth_without_an_event" CLIENT WAYS;
    nodes_client_begins_anew_with_an_unknown_offset:
        NODE "begins_anew_with_an_unknown_offset" CLIENT WAYS;
    nodes_client_of_the_layer_below_opens_sessions: NODE "opens_engine_sessions" LOAD WAYS;

    pythons_client_exchanges_events: PYTHON "exchanges" LOAD WAYS;
    pythons_client_acknowledges_and_is_acknowledged: PYTHON "acknowledges" LOAD WAYS;
    pythons_client_joins_namespaces: PYTHON "joins_namespaces" LOAD WAYS;
    pythons_client_shares_rooms: PYTHON "shares_rooms" LOAD WAYS;
    pythons_client_disconnects_and_is_disconnected: PYTHON "disconnects" LOAD WAYS;
    // Over polling it drops an answer of more than 16 packets, and Node's server sends such.
    pythons_client_receives_floods: PYTHON "floods" LOAD by_server(WAYS, &["websocket"]);
    pythons_client_reconnects_after_the_server_was_killed: PYTHON "reconnects" LOAD WAYS;
}

/// The ways for the example, or those for another server.
fn by_server<'a>(example: &'a [&'a str], other: &'a [&'a str]) -> &'a [&'a str] {
    if reference().is_none() { example } else { other }
}

#[test]
fn nodes_client_behind_nginx_is_served_as_directly() {
    let scenarios = ["exchanges", "upgrades", "disconnects", "recovers_while_events_flow"];
    play_behind_nginx(NODE, &scenarios, CLIENT);
}

#[test]
fn pythons_client_behind_nginx_is_served_as_directly() {
    play_behind_nginx(PYTHON, &["exchanges", "acknowledges", "shares_rooms"], LOAD);
}
