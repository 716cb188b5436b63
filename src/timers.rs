//! Timers: the coarse deadlines of connections, their ages, and the precise timers of the
//! application.

mod ages;
mod heap;
mod wheel;

pub(crate) use ages::Ages;
pub(crate) use heap::TimerHeap;
pub(crate) use wheel::{DeadlineWheel, Tick};
