//! The scenarios: as many messages as possible in both modes, and how long messages wait.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use eventwire::Durability;

use super::durable;
use super::plain::{self, Paced};
use super::setting::{BATCH, CPU, KEPT, RATE, Setting};
use crate::error::Error;
use crate::load::Latencies;
use crate::results::{Better, Bound, Figure, Role, To, Unit};
use crate::scenario::{ENGINE, Measure, Plan, Sample, Scenario, Timing};

// Other names than `p50_ns`, by which a slow device would count as a slow machine.
const P50: Figure = Figure::time("wait_p50_ns", "p50");
const P99: Figure = Figure::time("wait_p99_ns", "p99");
const MAX: Figure = Figure::time("wait_max_ns", "max");
/// What a commit adds to a message's latency at p99, as a part of a plain commit's and a
/// synchronisation's.
const ADDED: Figure = Figure::new("added_p99", "added p99", Unit::Ratio, Better::Less);

const PLAIN: &str = "plain loop";
const COMMIT_FIRST: &str = "delivered, commit first";
/// The most CPU time for a durable message, as a part of a plain loop's.
const CPU_RATIO_MAX: f64 = 1.5;
const ADDED_RATIO_MAX: f64 = 1.0;

pub(super) fn plan(setting: Setting, quick: bool) -> Result<Plan<'static>, Error> {
    // A folder that cannot be used is an error of the command, and not of each entrant.
    setting.folder()?;
    let milliseconds = Duration::from_millis;
    let timing = match quick {
        true => Timing { rounds: 1, warm_up: milliseconds(10), duration: milliseconds(40) },
        false => Timing { rounds: 5, warm_up: milliseconds(100), duration: milliseconds(400) },
    };
    let kind = file_system(&setting).map(|kind| format!(" ({kind})"));
    let Setting { topics, size, rate, .. } = setting;
    let conditions = vec![
        format!("files in {}{}", setting.directory.display(), kind.unwrap_or_default()),
        format!(
            "messages of {size} B, stored as fast as possible in {topics} topics, of each of \
             which {KEPT} are kept; latency at {rate}/s, to a subscriber of the loop"
        ),
        "plain loop: stores the same rows in SQLite in batches of the same size, alternately with \
         the engine; CPU time is that of all threads"
            .to_owned(),
    ];
    let scenarios = vec![
        storing("deliver_first", "stored, deliver first", &setting, Durability::DeliverFirst),
        storing("commit_first", "stored, commit first", &setting, Durability::CommitFirst),
        waiting(setting),
    ];
    let title = "Durable topics";
    let notes = vec![format!(
        "{}: what a commit adds to the latency, as a part of a plain commit and an fdatasync",
        ADDED.title
    )];
    Ok(Plan { title, conditions, timing, repetition_max: Duration::ZERO, scenarios, notes })
}

/// As many messages as possible.
fn storing(
    id: &'static str,
    title: &'static str,
    setting: &Setting,
    durability: Durability,
) -> Scenario<'static> {
    let setting = setting.clone();
    let [engine, plain] = together(move |timing| {
        let engine = durable::store(&setting, durability, timing)?;
        let batch = engine.figures[&BATCH.id];
        let plain = plain::store(&setting, durability, batch, timing)?;
        Ok([engine, plain])
    });
    Scenario::new(id, title, [CPU, RATE, BATCH])
        .base(PLAIN)
        .entrant(ENGINE, Role::Engine, engine)
        .entrant(PLAIN, Role::Floor, plain)
        .target(&CPU, To::Entrant(PLAIN.to_owned()), Bound::AtMost(CPU_RATIO_MAX))
}

/// Messages at a moderate rate, and what the device takes.
fn waiting(setting: Setting) -> Scenario<'static> {
    let title = format!("latency at {}/s", setting.rate);
    let [deliver_first, commit_first, commit, synchronisation] = together(move |timing| {
        // There are fewer messages than when they are stored as fast as possible.
        let longer = Timing { duration: timing.duration * 7 / 4, ..timing };
        let (without, _) = durable::deliver(&setting, Durability::DeliverFirst, longer)?;
        let (with, batch) = durable::deliver(&setting, Durability::CommitFirst, longer)?;
        let every = Duration::from_secs_f64(batch / setting.rate);
        let paced = Paced { every, time: timing.duration };
        let commit = plain::commit(&setting, batch, paced)?;
        let synchronisation = plain::synchronise(&setting, paced)?;
        let p99 = |latencies: &Latencies| latencies.value_at_quantile(0.99) as f64;
        let added = (p99(&with) - p99(&without)).max(0.0);
        let added = added / (p99(&commit) + p99(&synchronisation));
        let mut samples = [without, with, commit, synchronisation].map(waited);
        samples[1] = std::mem::take(&mut samples[1]).with(&ADDED, added).with(&BATCH, batch);
        Ok(samples)
    });
    Scenario::new("waiting", title, [P50, P99, MAX, BATCH, ADDED])
        .entrant("delivered, deliver first", Role::Mode, deliver_first)
        .entrant(COMMIT_FIRST, Role::Mode, commit_first)
        .entrant("plain commit of as many messages", Role::Floor, commit)
        .entrant("4 KiB and fdatasync", Role::Floor, synchronisation)
        .target_of(COMMIT_FIRST, &ADDED, To::Itself, Bound::AtMost(ADDED_RATIO_MAX))
}

fn waited(latencies: Latencies) -> Sample {
    Sample::default()
        .percentiles(&latencies, &[(&P50, 0.5), (&P99, 0.99), (&MAX, 1.0)])
        .plot(latencies)
}

/// Entrants that are measured together, because the figures of one depend on another's: the one
/// that is first in a round measures all of them.
fn together<const N: usize>(
    measure: impl Fn(Timing) -> Result<[Sample; N], Error> + 'static,
) -> [Measure<'static>; N] {
    let shared = Rc::new((measure, RefCell::new([const { None }; N])));
    std::array::from_fn(|index| {
        let shared = Rc::clone(&shared);
        let measure = move |timing| {
            let (measure, samples) = &*shared;
            let mut samples = samples.borrow_mut();
            if samples[index].is_none() {
                *samples = measure(timing)?.map(Some);
            }
            Ok(samples[index].take().expect("all entrants were measured"))
        };
        Box::new(measure) as Measure<'static>
    })
}

/// The type of the file system, if the system says which.
fn file_system(setting: &Setting) -> Option<String> {
    let mut command = Command::new("df");
    let output = command.arg("--output=fstype").arg(&setting.directory).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1).map(str::to_owned)
}
