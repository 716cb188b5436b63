//! `bus`: events from threads to a handler, to a subscriber's thread, and to a client.

mod engine;
mod floor;
mod plan;
mod publishers;
mod route;
mod tally;

pub(crate) use plan::{BusArgs, Row, cost, delivery};
pub(crate) use route::{Setting, Way};
