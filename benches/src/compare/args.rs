//! The command line of the comparison.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum as _};

use super::entrant::Against;
use super::scenario::{Scenario, Scope};
use super::table::{self, SCENARIOS};
use crate::cli::{FileArgs, parse_time};
use crate::contestants::Contestant;

#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// Run a few scenarios briefly: less than three minutes
    #[arg(long)]
    quick: bool,
    /// Compare with a running echo server; may be given several times. NAME:broadcast=URL names a
    /// server that does the same as `serve broadcast`
    #[arg(long, value_name = "NAME=URL")]
    pub(crate) against: Vec<Against>,
    /// Run only these scenarios; a prefix selects all names that begin with it
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',', value_parser = parse_selection)]
    only: Vec<Selection>,
    /// Run only these contestants, and those of --against [default: all]
    #[arg(long, value_name = "NAME", value_enum, value_delimiter = ',')]
    contestants: Vec<Contestant>,
    /// Rounds of each scenario
    #[arg(long, default_value = "5", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(5..=101))]
    rounds: u16,
    /// Also count system calls per message, in one more round of every contestant: needs perf, and
    /// the permission to use it
    #[arg(long)]
    pub(crate) system_calls: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Write the page with the tables to FILE, as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// List scenarios and contestants without measuring
    #[arg(long)]
    pub(crate) list: bool,
    /// Measure for this time in each round: a check that everything works
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = parse_time)]
    seconds_per_round: Option<Duration>,
}

/// The number and length of the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

const FULL: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(400));
const QUICK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(180));

/// Scenarios, selected by a prefix of their names.
type Selection = Vec<&'static Scenario>;

fn parse_selection(text: &str) -> Result<Selection, String> {
    if let Some(scenario) = table::find(text) {
        return Ok(vec![scenario]);
    }
    let selection: Selection =
        SCENARIOS.iter().filter(|scenario| scenario.id.starts_with(text)).collect();
    if text.is_empty() || selection.is_empty() {
        return Err("no such scenario: --list names them".to_owned());
    }
    Ok(selection)
}

impl CompareArgs {
    pub(crate) fn timing(&self) -> Timing {
        const WARM_UP_SHARE: u32 = 5;
        let (warm_up, duration) = match self.seconds_per_round {
            Some(duration) => (duration / WARM_UP_SHARE, duration),
            None if self.quick => QUICK,
            None => FULL,
        };
        Timing { rounds: self.rounds.into(), warm_up, duration }
    }

    /// The selected contestants of this program.
    pub(crate) fn chosen(&self) -> Vec<Contestant> {
        let mut chosen = self.contestants.clone();
        if chosen.is_empty() {
            // The engine's raw streams speak another protocol.
            let all = Contestant::value_variants().iter().copied();
            chosen = all.filter(|one| *one != Contestant::Streams).collect();
        }
        // The engine first, without duplicates.
        chosen
            .sort_by_key(|one| Contestant::value_variants().iter().position(|other| other == one));
        chosen.dedup();
        chosen
    }

    /// The selected scenarios, in the order of the table.
    pub(crate) fn scenarios(&self) -> Vec<&'static Scenario> {
        let is_chosen = |scenario: &Scenario| match self.only.as_slice() {
            [] => scenario.scope >= self.scope(),
            only => only.iter().flatten().any(|chosen| chosen.id == scenario.id),
        };
        SCENARIOS.iter().filter(|scenario| is_chosen(scenario)).collect()
    }

    /// With more entrants there is time for fewer scenarios.
    fn scope(&self) -> Scope {
        const FEW: usize = 3;
        match self.quick {
            false => Scope::Full,
            true if self.chosen().len() + self.against.len() > FEW => Scope::Always,
            true => Scope::Quick,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(arguments: &str) -> Option<CompareArgs> {
        let words = ["eventwire-bench", "compare"].into_iter();
        let words = words.chain(arguments.split_whitespace());
        match Cli::try_parse_from(words).ok()?.command {
            Some(Command::Compare(args)) => Some(args),
            _ => None,
        }
    }

    fn ids(arguments: &str) -> Vec<&'static str> {
        parse(arguments).unwrap().scenarios().iter().map(|scenario| scenario.id).collect()
    }

    #[test]
    fn everything_runs_unless_something_is_chosen() {
        assert_eq!(ids("").len(), SCENARIOS.len());
        assert_eq!(ids("--only depth-64,round-trip-16"), ["round-trip-16", "depth-64"]);
        assert_eq!(ids("--only round-trip-128"), ["round-trip-128"]);
        assert_eq!(ids("--only open-100-"), ["open-100-30", "open-100-70", "open-100-90"]);
        assert_eq!(ids("--quick --only storm"), ["storm-5000"]);
    }

    #[test]
    fn a_quick_run_has_the_fewer_scenarios_the_more_take_part() {
        let few = "--quick --contestants eventwire,floor,ws-floor";
        let (few, many) = (ids(few).len(), ids(&format!("{few} --against a=ws://h:1")).len());
        assert!(many > 0 && many < few && few < SCENARIOS.len());
    }

    #[test]
    fn contestants_are_in_order_and_once() {
        let chosen = parse("--contestants floor,eventwire,floor").unwrap().chosen();
        assert_eq!(chosen, [Contestant::Eventwire, Contestant::Floor]);
        assert!(parse("").unwrap().chosen().starts_with(&[Contestant::Eventwire]));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for arguments in [
            "--only nothing",
            "--only ,",
            "--contestants nobody",
            "--rounds 4",
            "--rounds 1000",
            "--against uws",
            "--seconds-per-round 0",
        ] {
            assert!(parse(arguments).is_none(), "{arguments}");
        }
        assert_eq!(parse("--rounds 7").unwrap().timing().rounds, 7);
    }
}
