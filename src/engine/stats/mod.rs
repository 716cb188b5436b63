//! What a loop did, in numbers.

pub(crate) mod count;
pub(crate) mod prometheus;
pub(crate) mod snapshot;
