//! Every action from every method of a handler: what it returns, and what its peer and another
//! peer receive.

mod actions;
mod case;
mod expected;
mod methods;
mod probe;
mod tags;

use std::time::Duration;

use actions::Action;
use case::{Case, MILLIS};
use expected::{Outcome, expected};
use methods::{At, Kind};
use probe::Say;

fn outcome(kind: Kind, at: At, action: Action) -> Outcome {
    let mut case = Case::new(kind, at, action);
    let me = case.provoke();
    let rig = &mut case.rig;
    if matches!(action, Action::Stop | Action::Drain) {
        rig.event_loop.run(&mut rig.state).expect("a poll");
        assert_eq!(rig.event_loop.connections(), 0);
        let after = rig.sim().elapsed() + Duration::from_millis(10);
        while rig.sim().elapsed() < after {
            rig.event_loop.turn(Some(Duration::from_millis(1)), &mut rig.state).expect("a poll");
        }
    } else {
        assert!(rig.event_loop.publisher().publish(Say(".")).is_ok());
        rig.run(MILLIS);
    }
    let (mine, me_closed) = match kind {
        Kind::WebSocket => me.map(|me| case.received(me)),
        Kind::Stream => me.map(|me| case.received_raw(me)),
    }
    .unwrap_or_default();
    let (others, other_closed) = case.received(case.other);
    let result = case.rig.state.result.expect("the method was called");
    Outcome { result, me: mine, other: others, me_closed, other_closed }
}

#[test]
fn every_action_from_every_method_does_what_is_defined() {
    for kind in Kind::ALL {
        for at in At::ALL.into_iter().filter(|at| kind.has(*at)) {
            for action in Action::ALL {
                let (outcome, expected) = (outcome(kind, at, action), expected(kind, at, action));
                assert_eq!(outcome, expected, "{action:?} in {at:?} of a {kind:?}");
            }
        }
    }
}
