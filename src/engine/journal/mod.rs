//! The loop's end of its journal: what durable topics' messages wait for.

pub(crate) mod attach;
pub(crate) mod commit;
pub(crate) mod message;
pub(crate) mod outcome;
pub(crate) mod settle;
pub(crate) mod waiting;
