//! Every load against every contestant.

use std::time::Duration;

use clap::ValueEnum;

use super::fan_out::{self, FanOut};
use super::flood::{self, Flood};
use super::handshakes::{self, Handshakes, Storm};
use super::hold::hold;
use super::{Load, Pace, Shape, Target, Wire};
use crate::contestants::Contestant;
use crate::idle::IdleMode;
use crate::machine;
use crate::service::{Server, Service, ServiceConfig};

const WARM_UP: Duration = Duration::from_millis(5);
const DURATION: Duration = Duration::from_millis(50);

/// Runs `body` against each contestant that supports the service.
fn against_all(service: Service, body: impl Fn(Contestant, Target)) {
    let all = Contestant::value_variants().iter().copied();
    for contestant in all.filter(|contestant| contestant.services().contains(&service)) {
        let config = ServiceConfig::embedded(service, IdleMode::Block, None);
        contestant.check(&config).unwrap();
        let server = Server::start(config, None, contestant.run()).unwrap();
        body(contestant, Target::embedded(contestant.wire(), server.address()));
        server.stop().unwrap();
    }
}

fn load(target: Target, shape: Shape, size: usize, depth: usize) -> Load {
    let pace = Pace::Closed { depth };
    Load { target, shape, size, pace, warm_up: WARM_UP, duration: DURATION, spin: false }
}

#[test]
fn echoes_come_back_whole_from_everybody() {
    against_all(Service::Echo, |_, target| {
        for (connections, depth, size) in
            [(1, 1, 128), (100, 64, 20), (10, 16, 16 * 1024), (2, 2, 1 << 20), (1, 1, 0)]
        {
            if target.wire == Wire::Tcp && size == 0 {
                continue;
            }
            let load = load(target.clone(), Shape::Echo { connections }, size, depth);
            assert!(super::run(&load, None).unwrap().answered > 0);
        }
    });
}

#[test]
fn broadcasts_reach_everybody() {
    against_all(Service::Broadcast, |_, target| {
        let shape = Shape::Broadcast { receivers: 20, publishers: 1 };
        let load = load(target, shape, 200, 4);
        assert!(super::run(&load, None).unwrap().answered > 0);
    });
}

#[test]
fn bursts_reach_everybody_while_a_bystander_gets_its_echoes() {
    against_all(Service::Broadcast, |_, target| {
        let (receivers, slow, size, burst) = (20, 1, 128, 16);
        let (bystander, warm_up, duration, spin) = (true, WARM_UP, DURATION, false);
        let load =
            FanOut { target, receivers, slow, size, burst, bystander, warm_up, duration, spin };
        let shown = fan_out::run(&load, None).unwrap();
        assert!(shown.broadcasts.answered > 0);
        assert!(!shown.broadcasts.last_receiver.is_empty());
        assert!(!shown.bystander.is_empty());
    });
}

#[test]
fn quiet_connections_are_answered_beside_a_flood() {
    against_all(Service::Echo, |_, target| {
        let (quiet, per_second, size, depth) = (10, 500.0, 1024, 64);
        let (warm_up, duration, spin) = (WARM_UP, DURATION, false);
        let load = Flood { target, quiet, per_second, size, depth, warm_up, duration, spin };
        let shown = flood::run(&load, None).unwrap();
        assert!(shown.quiet.answered > 0);
        assert!(shown.flooded > 0);
    });
}

#[test]
fn handshakes_are_made_again_and_again() {
    against_all(Service::Echo, |contestant, target| {
        if contestant.wire() == Wire::Tcp {
            return;
        }
        let (connections, warm_up, duration, spin) = (4, WARM_UP, DURATION, false);
        let load = Handshakes { target, connections, warm_up, duration, spin };
        assert!(handshakes::run(&load, None).unwrap().answered > 0);
    });
}

#[test]
fn a_storm_ends_with_all_open() {
    /// More than the engine's default limit on pending handshakes.
    const STORM: usize = 1200;
    // Both ends of each connection are in this process.
    machine::raise_file_limit(4 * STORM as u64);
    against_all(Service::Echo, |contestant, target| {
        if contestant.wire() == Wire::Tcp {
            return;
        }
        let (connections, patience, spin) = (STORM, Duration::from_secs(60), false);
        let storm = handshakes::storm(&Storm { target, connections, patience, spin }).unwrap();
        assert_eq!((storm.opened, storm.failed), (STORM as u64, 0));
        assert_eq!(storm.latency.len(), STORM as u64);
        assert!(storm.time < Duration::from_secs(60));
    });
}

#[test]
fn connections_are_held_while_the_server_is_looked_at() {
    against_all(Service::Echo, |_, target| {
        let mut looks = 0;
        let seen = hold(&target, 30, || {
            looks += 1;
            Ok(looks)
        });
        assert_eq!(seen.unwrap(), (1, 2));
    });
}
