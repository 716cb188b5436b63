//! Servers of other libraries. Each runs on one thread, set up as its authors do it.

mod fastwebsockets;
mod hub;
mod pages;
mod runtime;
mod socketioxide;
mod sockudo_ws;
mod tokio_tungstenite;
mod wtx;
mod yawc;

pub(super) use self::fastwebsockets::run as fastwebsockets;
pub(super) use self::pages::{hyper, may_minihttp};
pub(super) use self::socketioxide::run as socketioxide;
pub(super) use self::sockudo_ws::run as sockudo_ws;
pub(super) use self::tokio_tungstenite::{run as tungstenite, run_8k as tungstenite_8k};
pub(super) use self::wtx::run as wtx;
pub(super) use self::yawc::run as yawc;
