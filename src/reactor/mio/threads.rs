//! Tasks beside the loop, each on a thread of its own.

use std::io;
use std::thread;

use super::super::{Task, TaskStep};

/// Runs a task until it has ended. Nothing waits for its thread.
pub(super) fn run(name: &str, mut task: Box<dyn Task>) -> io::Result<()> {
    let steps = move || while task.step(true) != TaskStep::Ended {};
    thread::Builder::new().name(name.to_owned()).spawn(steps).map(drop)
}
