//! Measures resuming: clients that are dropped at random come back to topics that go on, or all
//! resume a long history at once.

mod args;
mod client;
mod crowd;
mod measures;
mod plan;

pub(crate) use args::ResumeArgs;
