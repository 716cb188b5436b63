//! The age of a topic's updates at one slow reader, for each policy.

use std::time::Duration;

use clap::Args;
use eventwire::OverflowPolicy;

use super::ageing::{self, AGE_MAX, AGE_P50, RECEIVED, SKIPPED, SMALL, STAMP_BYTES, UNREAD};
use crate::cli::{parse_integer, parse_rate, parse_time};
use crate::error::Error;
use crate::output::FileArgs;
use crate::results::Role;
use crate::scenario::{Plan, Scenario, Timing};

/// Measure the age of the messages that a slow subscriber gets, for each policy
///
/// A reader reads less than is broadcast: first with the policy that keeps the latest, then with
/// that policy and a small receive buffer, then with the policy that drops the oldest. It takes 36
/// seconds.
#[derive(Args, Debug)]
pub(crate) struct FreshnessArgs {
    /// Bytes that the reader reads per second
    #[arg(long, default_value = "100000", value_name = "BYTES")]
    #[arg(value_parser = |text: &str| parse_integer(text, 1_000..=1_000_000_000))]
    reader: usize,
    /// Updates per second
    #[arg(long, default_value = "10000", value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: f64,
    /// Payload bytes of each update
    #[arg(short, long, default_value = "64", value_name = "BYTES")]
    #[arg(value_parser = |text: &str| parse_integer(text, STAMP_BYTES..=65_535))]
    size: usize,
    /// Seconds to run with each policy; during the first third, the buffers fill
    #[arg(short, long, default_value = "12", value_name = "SECONDS", value_parser = parse_time)]
    time: Duration,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl FreshnessArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let Self { reader, rate, size, .. } = *self;
        let time = if self.quick { Duration::from_millis(300) } else { self.time };
        let figures = [AGE_P50, AGE_MAX, RECEIVED, SKIPPED, UNREAD];
        let mut scenario = Scenario::new("freshness", "updates at a slow reader", figures);
        for (name, policy, receive_buffer) in [
            ("keep latest", OverflowPolicy::KeepLatest, None),
            ("keep latest, receive buffer of 16 KiB", OverflowPolicy::KeepLatest, Some(SMALL)),
            ("drop oldest", OverflowPolicy::DropOldest, None),
        ] {
            let setting = ageing::Setting {
                policy,
                interval: None,
                keys: None,
                updates_per_second: rate,
                size,
                readers: 1,
                bytes_per_second: reader,
                receive_buffer,
            };
            let measure = move |timing| ageing::measure(setting, timing);
            scenario = scenario.entrant(name, Role::Mode, measure);
        }
        Ok(Plan {
            title: "Freshness",
            conditions: vec![
                format!("{rate} updates/s of {size} B to a reader of {reader} B/s, over loopback"),
                format!("{time:?} with each policy, the first third of it to fill the buffers"),
            ],
            timing: Timing { rounds: 1, warm_up: time / 3, duration: time * 2 / 3 },
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }
}
