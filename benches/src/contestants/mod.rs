//! Who takes part in comparisons: each is a server that echoes and broadcasts, behind one face.
//!
//! A contestant serves from one thread, on any address, until it is told to stop. What only some
//! of them have, such as idle modes, is refused where it is asked of others, so that no figure
//! stands under a setting that had no effect.

mod bare;
mod engine;
mod floor;
mod ws_floor;

use clap::ValueEnum;

use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::Wire;
use crate::service::{ReadyLine, Service, ServiceConfig};

pub(crate) use engine::{Broadcast, Echo};

/// A server by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    /// The engine
    Eventwire,
    /// Raw TCP on a plain loop: it passes on whatever one recv brings (tcp:// URL)
    Floor,
    /// WebSocket on the same loop, without an engine: no limits, no checks
    WsFloor,
}

/// What serves, on the thread that calls it, until it is stopped.
pub(crate) type Body = fn(&ServiceConfig, ReadyLine) -> Result<(), Error>;

impl Contestant {
    /// The name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Eventwire => "eventwire",
            Self::Floor => "floor",
            Self::WsFloor => "ws-floor",
        }
    }

    /// How messages lie on its wire.
    pub(crate) const fn wire(self) -> Wire {
        match self {
            Self::Floor => Wire::Tcp,
            _ => Wire::WebSocket,
        }
    }

    /// What it serves.
    pub(crate) const fn services(self) -> &'static [Service] {
        match self {
            Self::Eventwire | Self::Floor | Self::WsFloor => &[Service::Echo, Service::Broadcast],
        }
    }

    /// The version of its package.
    pub(crate) const fn version(self) -> &'static str {
        match self {
            // One version for the workspace.
            Self::Eventwire | Self::Floor | Self::WsFloor => env!("CARGO_PKG_VERSION"),
        }
    }

    /// Serves.
    pub(crate) const fn run(self) -> Body {
        match self {
            Self::Eventwire => engine::run,
            Self::Floor => floor::run,
            Self::WsFloor => ws_floor::run,
        }
    }

    /// Whether it can do other than sleep at once while nothing is ready.
    const fn has_idle_modes(self) -> bool {
        match self {
            Self::Eventwire | Self::Floor | Self::WsFloor => true,
        }
    }

    /// How it waits unless told otherwise.
    pub(crate) const fn default_idle(self) -> IdleMode {
        if self.has_idle_modes() { IdleMode::Adaptive } else { IdleMode::Block }
    }

    /// Refuses settings that it does not have.
    pub(crate) fn check(self, config: &ServiceConfig) -> Result<(), Error> {
        let (name, version) = (self.name(), self.version());
        let refuse = |what| Err(Error::Settings(format!("{name} {version} has no {what}")));
        if !self.services().contains(&config.service) {
            return refuse("such service");
        }
        if self != Self::Eventwire && config.max_message.is_some() {
            return refuse("limit of messages to set");
        }
        if self != Self::Eventwire && config.deflate {
            return refuse("compression");
        }
        if !self.has_idle_modes() && config.idle != IdleMode::Block {
            return refuse("idle mode but block");
        }
        Ok(())
    }
}
