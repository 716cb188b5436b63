//! Tasks beside the loop, which take their steps on its thread, at times that the seed decides.

use std::fmt;

use super::super::{Task, TaskStep};
use super::network::{Network, Planned};

/// A task with its number.
pub(super) struct SimTask {
    number: u64,
    task: Box<dyn Task>,
}

impl fmt::Debug for SimTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimTask({})", self.number)
    }
}

impl Network {
    /// Adds a task. Returns its number.
    pub(super) fn add_task(&mut self, task: Box<dyn Task>) -> u64 {
        let number = self.env.number();
        self.resting.push(SimTask { number, task });
        number
    }

    /// Plans a step of every task that has found nothing to do: there may be something now.
    pub(super) fn plan_steps(&mut self) {
        for task in std::mem::take(&mut self.resting) {
            self.plan_step(task);
        }
    }

    fn plan_step(&mut self, task: SimTask) {
        let due = self.env.arrival();
        self.plan(due, Planned::Step(task));
    }

    pub(super) fn step(&mut self, mut task: SimTask) {
        let step = task.task.step(false);
        self.env.note(format_args!("step of task {} -> {step:?}", task.number));
        match step {
            TaskStep::Worked => self.plan_step(task),
            TaskStep::Idle => self.resting.push(task),
            TaskStep::Ended => {}
        }
    }
}
