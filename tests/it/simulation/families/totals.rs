//! What many seeds came to.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use eventwire::reactor::sim::Fault;

use super::FAMILIES;
use crate::simulation::world::Report;

/// Seeds that were run, once each, and what happened in them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) seeds: u64,
    turns: u64,
    faults: [u64; Fault::ALL.len()],
}

/// How many families have run all of their seeds, and what these came to.
static ALL: Mutex<(usize, Totals)> =
    Mutex::new((0, Totals { seeds: 0, turns: 0, faults: [0; Fault::ALL.len()] }));

impl Totals {
    pub(super) fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.turns += report.turns as u64;
        for (sum, (_, count)) in self.faults.iter_mut().zip(report.faults.iter()) {
            *sum += count;
        }
    }

    /// Every kind of fault with its count.
    pub(super) fn faults(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.faults)
    }

    /// One family is done. The last of them prints what all came to.
    pub(super) fn conclude(&self) {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let (families, sum) = &mut *all;
        *families += 1;
        sum.seeds += self.seeds;
        sum.turns += self.turns;
        for (sum, count) in sum.faults.iter_mut().zip(self.faults) {
            *sum += count;
        }
        if *families == FAMILIES.len() {
            println!("all families: {sum}");
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.iter().sum();
        write!(f, "{} seeds, {} turns, {faults} faults:", self.seeds, self.turns)?;
        self.faults().try_for_each(|(fault, count)| write!(f, " {fault:?} {count}"))
    }
}
