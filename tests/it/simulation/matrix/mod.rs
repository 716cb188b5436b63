//! Every action from every method of a handler: what it returns, and what its peer and others
//! receive.

mod actions;
mod case;
mod expected;
mod expected_http;
mod http;
mod methods;
mod others;
mod probe;
mod received;
mod resuming;
mod storing;
mod tags;

use actions::Action;
use case::Case;
use expected::expected;
use methods::Call;

#[test]
fn every_action_from_every_method_does_what_is_defined() {
    for call in Call::all() {
        for action in Action::all() {
            let (outcome, expected) = (Case::outcome(call, action), expected(call, action));
            assert_eq!(outcome, expected, "{action:?} in {call:?}");
        }
    }
}
