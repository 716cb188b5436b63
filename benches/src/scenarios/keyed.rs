//! Conflation by key: the age of the latest values of many keys at many slow readers.

use std::time::Duration;

use clap::{Args, ValueEnum};
use eventwire::OverflowPolicy;

use super::ageing::{
    AGE_MAX, AGE_P50, AGE_P99, AgeingArgs, CPU, KEYS_MIN, Keys, RECEIVED, SMALL, Setting, TURN_MAX,
    TURN_P99, UPDATES, measure,
};
use crate::arguments::{parse_integer, parse_rate};
use crate::error::Error;
use crate::output::FileArgs;
use crate::results::{Bound, Role, To};
use crate::scenario::{ENGINE, Plan, Scenario};

/// Measure conflation by key: how old the values of many keys are at many slow readers
///
/// Each reader gets the latest message of every key, as fast as it reads. The server and the
/// readers have a thread each, in this program. It takes a quarter of a minute.
#[derive(Args, Debug)]
pub(crate) struct KeyedArgs {
    /// Keys of the topic
    #[arg(short, long, default_value = "10000")]
    #[arg(value_parser = |text: &str| parse_integer(text, 1..=65_536))]
    keys: usize,
    /// Which key an update changes
    #[arg(long, value_enum, default_value_t)]
    order: Order,
    /// Updates per second, of all keys together
    #[arg(long, default_value = "100000", value_name = "PER_SECOND", value_parser = parse_rate)]
    rate: f64,
    /// Slow readers
    #[arg(short = 'c', long, default_value = "1000")]
    #[arg(value_parser = |text: &str| parse_integer(text, 1..=20_000))]
    readers: usize,
    /// Have the readers subscribe with an interval of so many milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    every: Option<u64>,
    #[command(flatten)]
    common: AgeingArgs,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

/// The order in which keys change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Each key in its turn
    #[default]
    RoundRobin,
    /// Any key
    Random,
}

/// What the age of a value may be at its reader, and what a turn of the server may take, with the
/// default options in which keys change in turn.
const AGE_NS_MAX: f64 = 500e6;
const TURN_NS_MAX: f64 = 10e6;

impl KeyedArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let Self { mut keys, order, mut rate, mut readers, every, common: args, .. } = *self;
        if args.quick {
            (keys, readers, rate) = (keys.min(500), readers.min(20), rate.min(20_000.0));
        }
        let setting = Setting {
            args,
            policy: OverflowPolicy::KeepLatest,
            interval: every.map(Duration::from_millis),
            keys: Some(Keys { count: keys, choose: order.choice() }),
            updates_per_second: rate,
            readers,
            receive_buffer: Some(SMALL),
        };
        let figures =
            [AGE_P50, AGE_P99, AGE_MAX, UPDATES, RECEIVED, KEYS_MIN, TURN_P99, TURN_MAX, CPU];
        let scenario = Scenario::new("keyed", "values at slow readers", figures)
            .entrant(ENGINE, Role::Engine, move |timing| measure(setting, timing))
            .target(&AGE_MAX, To::Itself, Bound::AtMost(AGE_NS_MAX))
            .target(&TURN_MAX, To::Itself, Bound::AtMost(TURN_NS_MAX));
        let every = every.map_or(String::new(), |ms| format!(" at most every {ms} ms"));
        let (AgeingArgs { size, reader, .. }, order) = (args, order.words());
        Ok(Plan {
            title: "Conflation by key",
            conditions: vec![format!(
                "{rate} updates/s of {size} B to {keys} keys {order}, {readers} readers of \
                 {reader} B/s each{every}, over loopback for {:?}",
                args.time()
            )],
            timing: args.timing(),
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: vec!["The targets are for the default options.".to_owned()],
        })
    }
}

impl Order {
    const fn words(self) -> &'static str {
        match self {
            Self::RoundRobin => "in turn",
            Self::Random => "at random",
        }
    }

    /// Chooses the key that an update changes, by its number and the number of keys.
    fn choice(self) -> fn(u64, usize) -> usize {
        // Coprime to every number of keys that has no such factor: neighbours in time are no
        // neighbours in the key's order.
        const STRIDE: u64 = 7_919;
        match self {
            Self::RoundRobin => |number, keys| (number * STRIDE % keys as u64) as usize,
            Self::Random => |number, keys| (mix(number) % keys as u64) as usize,
        }
    }
}

/// A number that looks random: the output of `SplitMix64` for this state.
const fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_turns_all_keys_change_and_at_random_some_change_again_first() {
        let changed = |order: Order| {
            let mut keys: Vec<_> = (0..1_000).map(|n| order.choice()(n, 1_000)).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.len()
        };
        assert_eq!(changed(Order::RoundRobin), 1_000);
        // 1 - 1/e of them are expected.
        assert!((600..660).contains(&changed(Order::Random)));
    }
}
