//! A loop's statistics.

pub(crate) mod count;
pub(crate) mod prometheus;
pub(crate) mod snapshot;
