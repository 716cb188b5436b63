//! Timers: the coarse deadlines of connections, and the precise timers of the application.

mod heap;
mod wheel;

pub(crate) use heap::TimerHeap;
pub(crate) use wheel::{DeadlineWheel, Tick};
