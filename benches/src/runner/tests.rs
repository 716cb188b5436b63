//! Plans of measurements that need no server.

use std::cell::Cell;
use std::time::Duration;

use super::{order, run};
use crate::error::Error;
use crate::results::{Figure, Results, Role};
use crate::scenario::{AGAIN, ENGINE, Plan, Sample, Scenario, Timing};

const CPU: Figure = Figure::time("server_cpu_ns", "CPU");

fn plan(scenario: Scenario<'_>) -> Plan<'_> {
    let (rounds, duration) = (3, Duration::from_secs(1));
    Plan {
        title: "test",
        conditions: Vec::new(),
        timing: Timing { rounds, warm_up: Duration::ZERO, duration },
        repetition_max: Duration::from_secs(60),
        scenarios: vec![scenario],
        notes: Vec::new(),
    }
}

/// Values one after the other, the last one for ever.
fn values<const N: usize>(values: [f64; N]) -> impl FnMut(Timing) -> Result<Sample, Error> {
    let mut round = 0;
    move |_| {
        round += 1;
        Ok(Sample::default().with(&CPU, values[N.min(round) - 1]))
    }
}

fn scenario<'a>() -> Scenario<'a> {
    Scenario::new("s", "S", [CPU])
}

fn rounds(results: &Results, entrant: &str) -> Vec<f64> {
    results.scenarios[0].entrant(entrant).unwrap().values("server_cpu_ns")
}

#[test]
fn rounds_of_another_speed_are_replaced() {
    let scenario = scenario()
        .entrant(ENGINE, Role::Engine, values([10.0, 16.0, 11.0, 10.5]))
        .entrant("floor", Role::Floor, values([10.0, 16.0, 10.2, 9.9]));
    let results = run(plan(scenario)).unwrap();
    assert_eq!(rounds(&results, ENGINE), [10.0, 11.0, 10.5]);
    assert_eq!(results.scenarios[0].entrant(ENGINE).unwrap().medians["server_cpu_ns"], 10.5);
    let note = "S: the machine's speed changed; 3 of 4 rounds count";
    assert!(results.notes.iter().any(|one| one == note), "{:?}", results.notes);
}

#[test]
fn a_machine_without_one_speed_gets_twice_the_rounds_at_most() {
    let mut speed = 1.0;
    let floor = move |_| {
        speed *= 2.0;
        Ok(Sample::default().with(&CPU, speed))
    };
    let results = run(plan(scenario().entrant("floor", Role::Floor, floor))).unwrap();
    assert_eq!(rounds(&results, "floor"), [2.0]);
}

#[test]
fn noise_is_measured_again_for_longer() {
    let longest = Cell::new(Duration::ZERO);
    let engine = |timing: Timing| {
        longest.set(longest.get().max(timing.duration));
        Ok(Sample::default().with(&CPU, 10.0))
    };
    let scenario = scenario().entrant(ENGINE, Role::Engine, engine).entrant(
        AGAIN,
        Role::Again,
        values([15.0, 15.0, 15.0, 10.5]),
    );
    let results = run(plan(scenario)).unwrap();
    assert_eq!(longest.get(), Duration::from_secs(3));
    assert_eq!(rounds(&results, AGAIN), [10.5, 10.5, 10.5]);
    assert_eq!(results.scenarios[0].doubt, None);
}

#[test]
fn figures_rank_nobody_if_the_noise_stays() {
    let scenario = scenario()
        .entrant(ENGINE, Role::Engine, values([10.0]))
        .entrant(AGAIN, Role::Again, values([14.0]))
        .entrant("peer", Role::Peer, values([90.0]));
    let results = run(plan(scenario)).unwrap();
    let doubt = "not measurable here: the engine differed from itself by 40 %";
    assert_eq!(results.scenarios[0].doubt.as_deref(), Some(doubt));
    assert_eq!(results.scenarios[0].first(&CPU), None);
}

#[test]
fn an_entrant_that_fails_takes_part_no_more() {
    let calls = Cell::new(0);
    let broken = |_| {
        calls.set(calls.get() + 1);
        Err(Error::Settings("broken".to_owned()))
    };
    let scenario = scenario().entrant(ENGINE, Role::Engine, values([10.0])).entrant(
        "peer",
        Role::Peer,
        broken,
    );
    let results = run(plan(scenario)).unwrap();
    assert_eq!(calls.get(), 1);
    let peer = results.scenarios[0].entrant("peer").unwrap();
    assert_eq!((peer.failure.as_deref(), peer.rounds.len()), (Some("broken"), 0));
}

#[test]
fn a_run_fails_if_nothing_was_measured() {
    let broken = |_| Err(Error::Settings("broken".to_owned()));
    let failed = run(plan(scenario().entrant(ENGINE, Role::Engine, broken)));
    assert_eq!(failed.unwrap_err().to_string(), "broken");
}

#[test]
fn places_and_neighbours_change() {
    let rounds: Vec<Vec<usize>> = (0..4).map(|round| order(4, round)).collect();
    assert_eq!(rounds, [[0, 1, 2, 3], [0, 3, 2, 1], [2, 3, 0, 1], [2, 1, 0, 3]]);
    for (count, round) in (0..6).flat_map(|count| (0..12).map(move |round| (count, round))) {
        let mut order = order(count, round);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..count));
    }
}
