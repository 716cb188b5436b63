//! A single-threaded event-loop engine for real-time applications.

pub mod proto;
pub mod reactor;
