//! Durable topics: how fast a journal stores, and how long messages wait for it.

mod args;
#[cfg(feature = "sqlite")]
mod durable;
#[cfg(feature = "sqlite")]
mod plain;
#[cfg(feature = "sqlite")]
mod plan;
#[cfg(feature = "sqlite")]
mod setting;

pub(crate) use args::JournalArgs;
