//! Every traffic against every implementation.

use std::time::Duration;

use clap::ValueEnum as _;

use super::{Load, Measurement, Pace, Traffic, run};
use crate::idle::IdleMode;
use crate::machine;
use crate::servers::Implementation;
use crate::service::{Server, Service, ServiceConfig};
use crate::target::{Target, Wire};

/// More than the engine's default limit on pending handshakes.
const STORM: usize = 1200;

/// Runs each traffic against each implementation of the service.
fn against_all(service: Service, all: &[Traffic], check: impl Fn(Traffic, &Measurement)) {
    // Both ends of each connection are in this process.
    machine::raise_file_limit(4 * STORM as u64);
    let implementations = Implementation::value_variants().iter();
    for &implementation in implementations.filter(|one| one.services().contains(&service)) {
        let config = ServiceConfig {
            service,
            address: "127.0.0.1:0".to_owned(),
            idle: IdleMode::Block,
            cpu: None,
            max_message: None,
            deflate: false,
            tls: false,
        };
        let server = Server::start(config, None, implementation.run()).unwrap();
        let wire = implementation.wire();
        // Raw TCP has no empty messages and no handshakes.
        let is_for_frames = |one: &Traffic| {
            matches!(one, Traffic::Echo { size: 0, .. })
                || matches!(one, Traffic::Handshakes { .. } | Traffic::Storm { .. })
        };
        for &traffic in all.iter().filter(|one| wire != Wire::Tcp || !is_for_frames(one)) {
            let load = Load {
                target: Target::embedded(wire, server.address()),
                traffic,
                warm_up: Duration::from_millis(5),
                duration: Duration::from_millis(50),
                spin: false,
            };
            let measured = run(&load, None);
            let measured =
                measured.map_err(|error| format!("{implementation:?} {traffic:?}: {error}"));
            let measured = measured.unwrap();
            assert!(measured.count > 0, "{implementation:?} {traffic:?}");
            check(traffic, &measured);
        }
        server.stop().unwrap();
    }
}

#[test]
fn echoes_come_back_whole_from_everybody() {
    let echo = |connections, depth, size| Traffic::Echo {
        connections,
        size,
        pace: Pace::Closed { depth },
    };
    let open = Pace::Open { per_second: 2000.0, in_flight_max: 16 };
    let all = [
        echo(1, 1, 128),
        echo(100, 64, 20),
        echo(10, 16, 16 * 1024),
        echo(2, 2, 1 << 20),
        echo(1, 1, 0),
        Traffic::Echo { connections: 3, size: 20, pace: open },
        Traffic::Flood { quiet: 10, per_second: 500.0, depth: 64, size: 1024 },
    ];
    against_all(Service::Echo, &all, |_, measured| assert!(!measured.latency.is_empty()));
}

#[test]
fn broadcasts_reach_everybody_while_a_bystander_gets_its_echoes() {
    let broadcast = |slow, publishers, size, depth, bystander| Traffic::Broadcast {
        receivers: 20,
        slow,
        publishers,
        size,
        pace: Pace::Closed { depth },
        bystander,
    };
    let all = [broadcast(0, 1, 200, 4, false), broadcast(1, 1, 128, 16, true)];
    against_all(Service::Broadcast, &all, |traffic, measured| {
        assert!(!measured.last_receiver.is_empty());
        let has_bystander = matches!(traffic, Traffic::Broadcast { bystander: true, .. });
        assert_eq!(!measured.bystander.is_empty(), has_bystander);
    });
}

#[test]
fn connections_are_opened_again_and_again_all_at_once_and_one_after_the_other() {
    let all = [
        Traffic::Handshakes { at_once: 4 },
        Traffic::Storm { connections: STORM },
        Traffic::Idle { connections: 30 },
    ];
    against_all(Service::Echo, &all, |traffic, measured| {
        assert_eq!(measured.unanswered, 0);
        if matches!(traffic, Traffic::Storm { .. }) {
            assert_eq!(measured.latency.len(), STORM as u64);
        }
    });
}
