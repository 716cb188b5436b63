//! The whole engine in a simulated world: a seed decides what the network does, and what the
//! application and its peers do.
//!
//! `families` holds the workloads, each with its invariant. `world` runs one: an event loop, the
//! application of `app` and `actions`, and scripted peers. `invariants` checks what must hold after
//! every turn, `settled` what must hold when nothing is under way, `ending` what must hold at the
//! end of a loop. The other files with tests are single cases over `rig`.
//!
//! The families' 1,500 seeds run in the ordinary test command. A seed that fails prints the command
//! that runs it again with the end of its history. `EVENTWIRE_SEEDS=100000` runs more, and
//! `--nocapture` shows each family's progress and the totals.

mod actions;
mod ages;
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
mod heartbeats;
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
mod rates;
mod reaching;
#[cfg(feature = "socketio")]
mod recovering;
mod regressions;
mod resuming;
mod rig;
mod script;
mod settled;
mod shares;
mod smuggling;
mod stages;
mod stirring;
mod storm;
mod tags;
mod visitor;
mod world;

use eventwire::reactor::sim::{Fault, FaultCounts};

/// How often the clock went on by itself.
fn jumps(faults: FaultCounts) -> u64 {
    faults.get(Fault::ClockJump) + faults.get(Fault::Stopped)
}
