//! What comes up at a time: connections' coarse deadlines, and the application's precise timers.

mod heap;
mod wheel;

pub(crate) use heap::TimerHeap;
pub(crate) use wheel::{DeadlineWheel, Tick};
