//! The whole engine in a simulated world.

mod flow;
mod random;
mod regressions;
mod script;
