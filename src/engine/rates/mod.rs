//! Limits of addresses and tags: what the loop does about them.
//!
//! | file | when |
//! | --- | --- |
//! | `admission` | a connection is accepted, or a proxy names its client |
//! | `reading` | an open connection is read from |
//! | `tags` | a handler tags a connection |

mod admission;
pub(crate) mod limiter;
pub(crate) mod limiting;
mod reading;
mod tags;
