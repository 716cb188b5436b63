//! Measures durable topics: how fast a journal stores, and how long messages wait for it.

mod args;
#[cfg(feature = "sqlite")]
mod measure;

pub(crate) use args::JournalArgs;
#[cfg(feature = "sqlite")]
pub(crate) use measure::{KEPT, Round, Stored, Storing, Timing, Waiting, file_system, run};
