//! Integration tests.

mod examples;
mod server;
mod tidy;
mod upgrade;
mod util;
