//! The whole engine in a simulated world: a seed decides what the network does, and what the
//! application and its peers do.
//!
//! Twelve hundred seeds run in the ordinary test command. One that fails is named with the command
//! that runs it again and prints the end of its history. `EVENTWIRE_SEEDS=100000` runs more, and
//! `--nocapture` shows how far each family is, and what all of them came to.
//!
//! What must hold after every turn is in `invariants`, what must hold at a loop's end in `ending`.

mod actions;
mod alarms;
mod app;
mod broadcasts;
mod closes;
mod connecting;
mod control;
mod durations;
mod ending;
mod families;
mod flow;
mod followers;
mod handler;
mod hearing;
mod invariants;
mod judging;
mod listening;
mod matrix;
mod memory;
mod news;
mod panicking;
mod pausing;
mod payload;
mod peer;
mod places;
mod regressions;
mod rig;
mod script;
mod settled;
mod shares;
mod stirring;
mod visitor;
mod world;

use eventwire::reactor::sim::{Fault, FaultCounts};

/// How often the clock went on by itself.
fn jumps(faults: FaultCounts) -> u64 {
    faults.get(Fault::ClockJump) + faults.get(Fault::Stopped)
}
