//! The age of a topic's updates at one slow reader, for each policy.

use std::time::Duration;

use clap::Args;
use eventwire::OverflowPolicy;

use super::ageing::{
    AGE_MAX, AGE_P50, AgeingArgs, RECEIVED, SKIPPED, SMALL, Setting, UNREAD, measure,
};
use crate::arguments::parse_rate;
use crate::error::Error;
use crate::output::FileArgs;
use crate::results::Role;
use crate::scenario::{Plan, Scenario};

/// Measure the age of the messages that a slow subscriber gets, for each policy
///
/// A reader reads less than is broadcast: first with the policy that keeps the latest, then with
/// that policy and a small receive buffer, then with the policy that drops the oldest. It takes 36
/// seconds.
#[derive(Args, Debug)]
pub(crate) struct FreshnessArgs {
    /// Updates per second
    #[arg(long, default_value = "10000", value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: f64,
    #[command(flatten)]
    common: AgeingArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl FreshnessArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (args, updates_per_second) = (self.common, self.rate);
        let figures = [AGE_P50, AGE_MAX, RECEIVED, SKIPPED, UNREAD];
        let mut scenario = Scenario::new("freshness", "updates at a slow reader", figures);
        for (name, policy, receive_buffer) in [
            ("keep latest", OverflowPolicy::KeepLatest, None),
            ("keep latest, receive buffer of 16 KiB", OverflowPolicy::KeepLatest, Some(SMALL)),
            ("drop oldest", OverflowPolicy::DropOldest, None),
        ] {
            let (interval, keys, readers) = (None, None, 1);
            let setting = Setting {
                args,
                policy,
                interval,
                keys,
                updates_per_second,
                readers,
                receive_buffer,
            };
            scenario = scenario.entrant(name, Role::Mode, move |timing| measure(setting, timing));
        }
        Ok(Plan {
            title: "Freshness",
            conditions: vec![
                format!(
                    "{updates_per_second} updates/s of {} B to a reader of {} B/s, over loopback",
                    args.size, args.reader
                ),
                format!("{:?} with each policy, a third of it to fill the buffers", args.time()),
            ],
            timing: args.timing(),
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }
}
