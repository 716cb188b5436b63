//! The comparison of the engine with the floors and its peers.

mod cases;
mod events;

use std::rc::Rc;
use std::time::Duration;

use clap::{Args, ValueEnum as _};

use super::traffic::{Case, Setting};
use crate::arguments::parse_time;
use crate::contestants::{Contestant, Elsewhere, Own, Program};
use crate::error::Error;
use crate::idle::IdleMode;
use crate::output::FileArgs;
use crate::scenario::{Plan, Timing};
use crate::servers::Implementation;
use crate::service::Service;

use cases::Scope;

/// Compare the engine with a raw TCP floor, a WebSocket floor, and its peers
///
/// Every server runs in a process of its own on one CPU, and the load on another. Each round runs
/// all servers, one after the other. The engine runs twice: how far it differs from itself is the
/// noise, and smaller differences mean nothing. The full matrix takes half an hour. Peers need a
/// build with `--features peers`; --against and --start add other servers.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// Run a few scenarios briefly: less than three minutes
    #[arg(long)]
    quick: bool,
    /// Compare with a running echo server; may be given several times. NAME:broadcast=URL names a
    /// server that does the same as `serve broadcast`
    #[arg(long, value_name = "NAME=URL")]
    against: Vec<Elsewhere>,
    /// Compare with a server that is started for each round: a command with `{port}` for its port;
    /// may be given several times, with :broadcast as above
    #[arg(long, value_name = "NAME=COMMAND")]
    start: Vec<Program>,
    /// Run only these scenarios; a prefix selects all names that begin with it
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',', value_parser = parse_selection)]
    only: Vec<String>,
    /// Run only these contestants, and those of --against and --start [default: all]
    #[arg(long, value_name = "NAME", value_enum, value_delimiter = ',')]
    contestants: Vec<Implementation>,
    /// Rounds of each scenario
    #[arg(long, default_value = "5", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(5..=101))]
    rounds: u16,
    /// Also count system calls per message, in one more run of every contestant: needs perf, and
    /// the permission to use it
    #[arg(long)]
    system_calls: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// List scenarios and contestants without measuring
    #[arg(long)]
    list: bool,
    /// Measure for this time in each round: a check that everything works
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = parse_time)]
    seconds_per_round: Option<Duration>,
}

/// The prefix of a scenario's name.
fn parse_selection(text: &str) -> Result<String, String> {
    let mut ids = cases::all().into_iter().map(|(_, case)| case.id).chain(events::IDS);
    match ids.any(|id| id.starts_with(text)) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err("no such scenario: --list names them".to_owned()),
    }
}

impl CompareArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let setting = Rc::new(Setting::new(self.system_calls));
        let contestants = self.contestants();
        let mut plan = Plan {
            title: "Comparison",
            conditions: self.conditions(&setting),
            timing: self.timing(),
            repetition_max: Duration::from_secs(if self.quick { 15 } else { 300 }),
            scenarios: Vec::new(),
            notes: self.against.iter().filter_map(|one| one.wrong_cpu(setting.cpus)).collect(),
        };
        for case in self.cases() {
            match case.lacks_files() {
                None => plan.scenarios.push(case.scenario(&contestants, &setting)),
                Some(reason) => plan.notes.push(format!("{}: left out, {reason}", case.title)),
            }
        }
        for id in events::IDS.into_iter().filter(|id| self.has_events(id)) {
            plan.scenarios.push(events::scenario(id, &contestants, setting.cpus));
        }
        Ok(plan)
    }

    /// The list of scenarios and contestants, if that is asked for.
    pub(crate) fn list(&self) -> Option<String> {
        let mut list = String::from("Scenarios:\n");
        for case in self.cases() {
            list.push_str(&format!("  {:<24}{}\n", case.id, case.title));
        }
        for id in events::IDS.into_iter().filter(|id| self.has_events(id)) {
            list.push_str(&format!("  {id:<24}events from threads\n"));
        }
        list.push_str("Contestants:\n");
        for implementation in self.chosen() {
            let (name, version) = (implementation.name(), implementation.version());
            list.push_str(&format!("  {name:<24}{version}\n"));
        }
        self.list.then_some(list)
    }

    fn timing(&self) -> Timing {
        const FULL: (u64, u64) = (150, 400);
        const QUICK: (u64, u64) = (50, 180);
        const WARM_UP_SHARE: u32 = 5;
        let (warm_up, duration) = if self.quick { QUICK } else { FULL };
        let (warm_up, duration) = match self.seconds_per_round {
            Some(duration) => (duration / WARM_UP_SHARE, duration),
            None => (Duration::from_millis(warm_up), Duration::from_millis(duration)),
        };
        Timing { rounds: self.rounds.into(), warm_up, duration }
    }

    fn conditions(&self, setting: &Setting) -> Vec<String> {
        let Timing { rounds, warm_up, duration } = self.timing();
        vec![
            setting.place(),
            format!(
                "{rounds} rounds of {duration:?} after {warm_up:?} to warm up, all in turn in each \
                 round, in changing order; medians over the rounds"
            ),
            "servers sleep at once while nothing is ready, except for the engine's other idle \
             modes; floor: as many bytes over raw TCP; ws-floor: WebSocket without an engine, \
             limits or checks; of events, floor is the standard library's channel"
                .to_owned(),
            "every answer is compared byte for byte; fixed rates are shares of what saturates \
             ws-floor, and their latency counts from the intended send time"
                .to_owned(),
        ]
    }

    /// The chosen implementations, in their order.
    fn chosen(&self) -> Vec<Implementation> {
        let all = Implementation::value_variants().iter().copied();
        let is_chosen = |one: &Implementation| match self.contestants.as_slice() {
            // The engine's raw streams speak another protocol.
            [] => *one != Implementation::Streams,
            some => some.contains(one),
        };
        let serves = |one: &Implementation| one.services().contains(&Service::Echo);
        all.filter(is_chosen).filter(serves).collect()
    }

    /// Everything that takes part, the engine first.
    fn contestants(&self) -> Vec<Rc<dyn Contestant>> {
        let chosen = self.chosen();
        let mut all: Vec<Rc<dyn Contestant>> = Vec::new();
        all.extend(chosen.iter().map(|one| Rc::new(Own::new(*one)) as Rc<dyn Contestant>));
        all.extend(self.against.iter().map(|one| Rc::new(one.clone()) as Rc<dyn Contestant>));
        all.extend(self.start.iter().map(|one| Rc::new(one.clone()) as Rc<dyn Contestant>));
        if chosen.contains(&Implementation::Eventwire) {
            // In the middle, so that it is not always next to the engine.
            all.insert(all.len().div_ceil(2), Rc::new(Own::again()));
            let modes = [IdleMode::Adaptive, IdleMode::Busy];
            all.extend(modes.map(|idle| Rc::new(Own::mode(idle)) as Rc<dyn Contestant>));
        }
        all
    }

    /// The selected cases.
    fn cases(&self) -> Vec<Case> {
        let scope = self.scope();
        let is_selected = |(belongs, case): &(Scope, Case)| match self.only.as_slice() {
            [] => *belongs >= scope,
            only => selects(only, case.id),
        };
        cases::all().into_iter().filter(is_selected).map(|(_, case)| case).collect()
    }

    /// Whether events from threads are measured in this way. There is time for all of them.
    fn has_events(&self, id: &str) -> bool {
        match self.only.as_slice() {
            [] => self.scope() != Scope::Always,
            only => selects(only, id),
        }
    }

    /// With more contestants there is time for fewer scenarios.
    fn scope(&self) -> Scope {
        const FEW: usize = 3;
        match self.quick {
            false => Scope::Full,
            true if self.chosen().len() + self.against.len() + self.start.len() > FEW => {
                Scope::Always
            }
            true => Scope::Quick,
        }
    }
}

/// Whether one of the names is this one. A prefix stands for all names that begin with it, unless
/// it is a whole name.
fn selects(only: &[String], id: &str) -> bool {
    let is_whole = |name: &str| {
        events::IDS.contains(&name) || cases::all().iter().any(|(_, case)| case.id == name)
    };
    only.iter().any(|name| id == name || (!is_whole(name) && id.starts_with(name.as_str())))
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
        parse(arguments).unwrap().cases().iter().map(|case| case.id).collect()
    }

    #[test]
    fn everything_runs_unless_something_is_chosen() {
        assert_eq!(ids("").len(), cases::all().len());
        assert_eq!(ids("--only depth-64,round-trip-16"), ["round-trip-16", "depth-64"]);
        assert_eq!(ids("--only round-trip-128"), ["round-trip-128"]);
        assert_eq!(ids("--only open-100-"), ["open-100-30", "open-100-70", "open-100-90"]);
        assert_eq!(ids("--quick --only storm"), ["storm-5000"]);
    }

    #[test]
    fn a_quick_run_has_the_fewer_scenarios_the_more_take_part() {
        let few = "--quick --contestants eventwire,floor,ws-floor";
        let (few, many) = (ids(few).len(), ids(&format!("{few} --against a=ws://h:1")).len());
        assert!(many > 0 && many < few && few < cases::all().len());
    }

    #[test]
    fn the_engine_takes_part_twice_and_in_its_modes() {
        let args = parse("--contestants floor,eventwire,floor").unwrap();
        let contestants = args.contestants();
        let names: Vec<_> = contestants.iter().map(|one| one.name()).collect();
        let modes = ["eventwire (adaptive)", "eventwire (busy)"];
        assert_eq!(names[..3], ["eventwire", "eventwire (again)", "floor"]);
        assert_eq!(names[3..], modes);
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
            "--start uws",
            "--seconds-per-round 0",
        ] {
            assert!(parse(arguments).is_none(), "{arguments}");
        }
        assert_eq!(parse("--rounds 7").unwrap().timing().rounds, 7);
    }
}
