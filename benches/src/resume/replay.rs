//! What it costs the server to replay messages to one client.

use std::time::Duration;

use super::args::ResumeArgs;
use super::control::Control;
use crate::compare::process::Server;
use crate::error::Error;

/// The messages of each replay.
const REPLAYED: u64 = 100;

const FULL: u64 = 5_000;
const QUICK: u64 = 20;

/// How often both kinds are measured in turns.
const ROUNDS: usize = 9;

/// The server's CPU time in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplayCost {
    /// For a subscription that is resumed and has missed 100 messages, and for one that has missed
    /// none.
    pub(crate) hundred: Duration,
    pub(crate) none: Duration,
}

/// Resumes again and again on one connection. Returns the cost in each round.
pub(super) fn measure(args: &ResumeArgs, server: &Server) -> Result<Vec<ReplayCost>, Error> {
    let (times, rounds) = if args.quick { (QUICK, 1) } else { (FULL, ROUNDS) };
    let mut control = Control::connect(server)?;
    control.ask(&format!("fill replay {} {}", 2 * REPLAYED, args.size), "filled")?;
    let mut measured = |count| {
        let cpu = || server.cpu().and_then(|cpu| cpu.time()).unwrap_or_default();
        let before = cpu();
        for _ in 0..times {
            control.say(&format!("last replay {count}"))?;
            control.wait(|text| text.starts_with("recovered"))?;
            let mut left = count;
            while left > 0 {
                control.wait(|_| true)?;
                left -= 1;
            }
        }
        Ok::<_, Error>((cpu() - before) / times as u32)
    };
    let mut round = || Ok(ReplayCost { none: measured(0)?, hundred: measured(REPLAYED)? });
    (0..rounds).map(|_| round()).collect()
}
