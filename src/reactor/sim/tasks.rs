//! Tasks beside the loop, which take their steps on its thread, at times that the seed decides.

use std::fmt;
use std::time::Duration;

use super::super::{Task, TaskStep};
use super::environment::Environment;

/// The tasks that have found nothing to do. The others are planned.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    resting: Vec<SimTask>,
}

/// A task with its number.
pub(super) struct SimTask {
    number: u64,
    task: Box<dyn Task>,
}

impl Tasks {
    pub(super) fn add(&mut self, task: Box<dyn Task>, env: &mut Environment) {
        let number = env.number();
        self.resting.push(SimTask { number, task });
    }

    /// Has every resting task look again: there may be something to do now. Returns when.
    pub(super) fn wake(&mut self, env: &mut Environment) -> Vec<(Duration, SimTask)> {
        self.resting.drain(..).map(|task| (env.arrival(), task)).collect()
    }

    /// Takes the next step of a task. Returns when a further one follows.
    pub(super) fn step(
        &mut self,
        mut task: SimTask,
        env: &mut Environment,
    ) -> Option<(Duration, SimTask)> {
        let step = task.task.step(false);
        env.note(format_args!("step of task {} -> {step:?}", task.number));
        match step {
            TaskStep::Worked => return Some((env.arrival(), task)),
            TaskStep::Idle => self.resting.push(task),
            TaskStep::Ended => {}
        }
        None
    }
}

impl fmt::Debug for SimTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimTask({})", self.number)
    }
}
