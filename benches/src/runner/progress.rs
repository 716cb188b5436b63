//! A progress bar on standard error. Hidden unless standard error is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::scenario::{Scenario, Timing};

/// The progress of a plan, in measurements of an entrant.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(scenarios: &[Scenario<'_>], timing: Timing) -> Self {
        let steps = scenarios
            .iter()
            .map(|scenario| scenario.entrants.len() * scenario.rounds.unwrap_or(timing.rounds));
        let template = "{bar:30} {percent:>3} %  {elapsed}, about {eta} left  {wide_msg}";
        let style = ProgressStyle::with_template(template);
        let bar = ProgressBar::new(steps.sum::<usize>() as u64)
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self(bar)
    }

    pub(super) fn show(&self, scenario: &str, entrant: &str) {
        self.0.set_message(format!("{scenario}, {entrant}"));
    }

    pub(super) fn advance(&self) {
        self.0.inc(1);
    }

    /// Expects one more round if the scenario has had all that it was to have.
    pub(super) fn expect_rounds(&self, scenario: &Scenario<'_>, had: usize, wanted: usize) {
        if had >= wanted {
            self.0.inc_length(scenario.entrants.len() as u64);
        }
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
