//! The server for Socket.IO: cases of the protocol against `examples/socketio.rs`.
//!
//! With `EVENTWIRE_SOCKET_IO_SERVER` in the environment, a command that `PORT PROFILE` is appended
//! to, the cases run against that server instead. Node's own server, which
//! `benches/tests/interop/clients/socket_io_server.js` sets up, passes all but those of
//! [`differences`].

mod acknowledgements;
mod binary;
mod client;
mod connect;
mod cors;
mod differences;
mod disconnect;
mod events;
#[path = "../shared/frames.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod frames;
mod handshake;
mod heartbeat;
mod limits;
mod malformed;
mod polling;
mod recovery;
mod rooms;
mod server;
mod upgrade;
mod websocket;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::panic;
use std::sync::Mutex;
use std::thread;

use self::client::{Target, Transport};
use self::differences::DIFFERENCES;
use self::server::{Profile, Server, VARIABLE};

/// Some behaviour of a server. It fails by a panic.
#[derive(Clone, Copy)]
struct Case {
    /// The path of the function.
    name: &'static str,
    profile: Profile,
    transports: &'static [Transport],
    check: fn(&Target),
}

/// Cases that say themselves which transport they use. The target's is of no account.
const EITHER: &[Transport] = &[Transport::WebSocket];
/// Cases that hold for both transports.
const BOTH: &[Transport] = &[Transport::Polling, Transport::WebSocket];

/// Makes a table of cases out of the names of functions: `cases![Load, BOTH: one, two]`.
macro_rules! cases {
    ($($profile:ident, $transports:ident: $($check:ident),+ $(,)?);+ $(;)?) => {
        &[$($($crate::Case {
            name: concat!(module_path!(), "::", stringify!($check)),
            profile: $crate::Profile::$profile,
            transports: $crate::$transports,
            check: $check,
        }),+),+]
    };
}
use cases;

/// How cases of a subject run.
#[derive(Clone, Copy)]
enum Order {
    /// Several at a time. They mostly wait.
    Together,
    /// They would receive each other's broadcasts.
    OneByOne,
}

impl Case {
    /// `events::comes_back, polling`.
    fn title(&self, transport: Transport) -> String {
        let (_, name) = self.name.split_once("::").expect("a path");
        if self.transports.len() == 1 {
            return name.to_owned();
        }
        format!("{name}, {transport:?}")
    }

    /// What went wrong.
    fn run(&self, address: SocketAddr, transport: Transport) -> Result<(), String> {
        let target = Target { address, transport };
        let outcome = panic::catch_unwind(|| (self.check)(&target));
        outcome.map_err(|panic| match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().unwrap_or(&"a panic").to_string(),
        })
    }
}

/// Runs all cases of a subject, and fails with a list of those that failed.
fn run(cases: &[Case], order: Order) {
    if !server::is_there() {
        return eprintln!("skipped: there is no server");
    }
    let profiles: BTreeSet<Profile> = cases.iter().map(|case| case.profile).collect();
    let servers: BTreeMap<Profile, Server> =
        profiles.into_iter().map(|profile| (profile, Server::start(profile))).collect();
    let transports = |case: &Case| case.transports.iter().copied();
    let runs = cases.iter().flat_map(|case| transports(case).map(move |way| (case, way)));
    let queue = Mutex::new(runs);
    let failures = Mutex::new(Vec::new());
    let threads = match order {
        Order::Together => 6,
        Order::OneByOne => 1,
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("a lock").next();
                    let Some((case, transport)) = next else { break };
                    let address = servers[&case.profile].address;
                    let title = case.title(transport);
                    if let Err(failure) = case.run(address, transport) {
                        failures.lock().expect("a lock").push((title, failure));
                    }
                }
            });
        }
    });
    report(&failures.into_inner().expect("a lock"));
}

/// Fails if there are failures that are no known differences of another server.
fn report(failures: &[(String, String)]) {
    let is_another = std::env::var_os(VARIABLE).is_some();
    let is_known = |title: &str| {
        let name = title.split(',').next().unwrap_or(title);
        is_another && DIFFERENCES.iter().any(|difference| difference.case == name)
    };
    let mut unknown = Vec::new();
    for (title, failure) in failures {
        if is_known(title) {
            println!("known difference: {title}: {failure}");
        } else {
            unknown.push(format!("{title}: {failure}"));
        }
    }
    let count = unknown.len();
    assert!(unknown.is_empty(), "{count} cases failed:\n  {}\n", unknown.join("\n  "));
}

/// A test for each subject.
macro_rules! subjects {
    ($($subject:ident: $order:ident),+ $(,)?) => {
        $(#[test]
        fn $subject() {
            run($subject::CASES, Order::$order);
        })+

        /// All cases.
        fn all() -> Vec<Case> {
            [$($subject::CASES),+].concat()
        }
    };
}

subjects! {
    acknowledgements: Together,
    binary: OneByOne,
    connect: Together,
    cors: Together,
    disconnect: OneByOne,
    events: Together,
    handshake: Together,
    heartbeat: Together,
    limits: Together,
    malformed: Together,
    polling: Together,
    recovery: OneByOne,
    rooms: OneByOne,
    upgrade: Together,
    websocket: Together,
}

#[test]
fn every_known_difference_is_of_a_case() {
    let titles: Vec<String> = all().iter().map(|case| case.title(case.transports[0])).collect();
    for difference in DIFFERENCES {
        let is_its = |title: &String| title.split(',').next() == Some(difference.case);
        assert!(titles.iter().any(is_its), "{}: {}", difference.case, difference.reason);
    }
}
