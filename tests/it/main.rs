//! Integration tests.

mod client;
mod closing;
mod examples;
mod listeners;
mod server;
mod tidy;
mod upgrade;
mod util;
