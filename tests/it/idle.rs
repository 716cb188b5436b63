//! What the loop does while there is nothing to do makes no difference to anybody else.

use std::time::Duration;

use eventwire::proto::Limits;
use eventwire::{Config, Idle, ServerConfig};

use crate::util::{Call, Peer, Recorder, Server};

const MODES: [Idle; 5] = [
    Idle::Block,
    Idle::Adaptive { spin_max: Duration::from_micros(200) },
    Idle::Adaptive { spin_max: Duration::MAX },
    Idle::Adaptive { spin_max: Duration::ZERO },
    Idle::Busy,
];

fn serve(idle: Idle) -> (Server, crate::util::Log) {
    let (recorder, log) = Recorder::new();
    // No deadline wakes it before a test has given up.
    let never = Duration::from_secs(3600);
    let limits = Limits::default().handshake_timeout(never).ping_interval(None);
    let config = ServerConfig::default().limits(limits);
    (Server::listen(Config::default().idle(idle), config, recorder), log)
}

#[test]
fn every_mode_serves() {
    for idle in MODES {
        let (server, _log) = serve(idle);
        let mut peers = [(); 3].map(|()| Peer::connect(server.address()));
        for n in 0..200 {
            let message = format!("{idle:?} {n}");
            for peer in &mut peers {
                peer.send(&message);
            }
            for peer in &mut peers {
                peer.expect(&message);
            }
        }
    }
}

#[test]
fn every_mode_is_stopped_from_another_thread() {
    for idle in MODES {
        let (server, log) = serve(idle);
        let handle = server.handle.clone();
        std::thread::spawn(move || {
            handle.stop();
            handle.stop();
        });
        server.wait();
        assert_eq!(log.rest(), []);
    }
}

#[test]
fn a_loop_that_has_gone_to_sleep_is_stopped_from_another_thread() {
    for idle in MODES {
        let (server, log) = serve(idle);
        let mut peer = Peer::connect(server.address());
        let conn = log.open();
        // Many times the longest moment of looking around. Whether the loop sleeps by then or
        // not, it has to stop.
        assert!(peer.stays_silent_for(Duration::from_millis(20)));
        server.handle.stop();
        server.wait();
        assert_eq!(log.rest(), [Call::Close(conn, "ClosedByApplication(1001)".to_owned())]);
    }
}

#[test]
fn a_stop_right_after_the_last_message_is_never_lost() {
    // Each time the loop is about to fall asleep, or just has.
    for idle in MODES {
        for _ in 0..100 {
            let (server, _log) = serve(idle);
            let mut peer = Peer::connect(server.address());
            peer.send("last");
            peer.expect("last");
            server.handle.stop();
            server.wait();
        }
    }
}

#[test]
fn deadlines_expire_in_every_mode() {
    let soon = Duration::from_millis(100);
    for idle in MODES {
        let limits = Limits::default().handshake_timeout(soon);
        let config = ServerConfig::default().limits(limits);
        let server = Server::listen(Config::default().idle(idle), config, Recorder::new().0);
        assert_eq!(Peer::open(server.address()).rest(), "");
    }
}
