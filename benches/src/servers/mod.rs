//! The servers that this program can be, with one interface.
//!
//! An implementation serves from one thread, on any address, until it is stopped. It refuses settings
//! that it does not support, such as an idle mode, so that no figure is reported for a setting
//! without effect.

mod bare;
mod engine;
mod engine_loop;
mod floor;
pub(crate) mod page;
#[cfg(feature = "peers")]
mod peers;
mod resume;
mod socket_io;
mod streams;
mod ws_floor;

use clap::ValueEnum;

use crate::error::Error;
use crate::idle::IdleMode;
use crate::service::{ReadyLine, Service, ServiceConfig};
use crate::target::Wire;

pub(crate) use engine_loop::connections_max;

/// A server by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Implementation {
    /// The engine
    Eventwire,
    /// The engine, which serves a page without a handler
    EventwirePage,
    /// The engine's raw streams, without WebSocket (tcp:// URL)
    Streams,
    /// Raw TCP on a plain loop: forwards the bytes of each recv (tcp:// URL)
    Floor,
    /// WebSocket on the same loop, without limits and checks
    WsFloor,
    /// fastwebsockets, as its authors set it up
    #[cfg(feature = "peers")]
    Fastwebsockets,
    /// tokio-tungstenite, as its authors set it up
    #[cfg(feature = "peers")]
    TokioTungstenite,
    /// tokio-tungstenite with a read buffer of 8 KiB
    #[cfg(feature = "peers")]
    #[value(name = "tokio-tungstenite-8k")]
    TokioTungstenite8k,
    /// sockudo-ws, as its authors set it up
    #[cfg(feature = "peers")]
    SockudoWs,
    /// yawc, as its authors set it up
    #[cfg(feature = "peers")]
    Yawc,
    /// wtx, as its authors set it up: echo only
    #[cfg(feature = "peers")]
    Wtx,
    /// hyper on a runtime of one thread: a page only
    #[cfg(feature = "peers")]
    Hyper,
    /// `may_minihttp` with one worker: a page only
    #[cfg(feature = "peers")]
    MayMinihttp,
    /// socketioxide, as its authors set it up: Socket.IO only
    #[cfg(feature = "peers")]
    Socketioxide,
}

/// A function that serves on the calling thread until it is stopped.
pub(crate) type Body = fn(&ServiceConfig, ReadyLine) -> Result<(), Error>;

/// The properties of an implementation.
struct Profile {
    name: &'static str,
    /// The version of its package.
    version: &'static str,
    wire: Wire,
    services: &'static [Service],
    /// Whether it supports other idle modes than sleeping at once.
    idle_modes: bool,
    run: Body,
}

#[cfg(feature = "peers")]
const ECHO: &[Service] = &[Service::Echo];
#[cfg(feature = "peers")]
const SOCKET_IO: &[Service] = &[Service::SocketIo];
const BOTH: &[Service] = &[Service::Echo, Service::Broadcast];
const PAGE: &[Service] = &[Service::Page];
const ALL: &[Service] =
    &[Service::Echo, Service::Broadcast, Service::Page, Service::SocketIo, Service::Resume];

/// An implementation of this program. Its version is the workspace's.
const fn own(name: &'static str, wire: Wire, run: Body) -> Profile {
    let version = env!("CARGO_PKG_VERSION");
    Profile { name, version, wire, services: BOTH, idle_modes: true, run }
}

/// A library on tokio, which always sleeps at once.
#[cfg(feature = "peers")]
const fn peer(
    name: &'static str,
    version: &'static str,
    services: &'static [Service],
    run: Body,
) -> Profile {
    Profile { name, version, wire: Wire::WebSocket, services, idle_modes: false, run }
}

impl Implementation {
    const fn profile(self) -> Profile {
        match self {
            Self::Eventwire => {
                Profile { services: ALL, ..own("eventwire", Wire::WebSocket, engine::run) }
            }
            Self::EventwirePage => {
                Profile { services: PAGE, ..own("eventwire-page", Wire::WebSocket, page::kept) }
            }
            Self::Streams => own("streams", Wire::Tcp, streams::run),
            Self::Floor => own("floor", Wire::Tcp, floor::run),
            Self::WsFloor => own("ws-floor", Wire::WebSocket, ws_floor::run),
            #[cfg(feature = "peers")]
            Self::Fastwebsockets => peer("fastwebsockets", "0.10.0", BOTH, peers::fastwebsockets),
            #[cfg(feature = "peers")]
            Self::TokioTungstenite => peer("tokio-tungstenite", "0.30.0", BOTH, peers::tungstenite),
            #[cfg(feature = "peers")]
            Self::TokioTungstenite8k => {
                peer("tokio-tungstenite-8k", "0.30.0", BOTH, peers::tungstenite_8k)
            }
            #[cfg(feature = "peers")]
            Self::SockudoWs => peer("sockudo-ws", "3.1.0", BOTH, peers::sockudo_ws),
            #[cfg(feature = "peers")]
            Self::Yawc => peer("yawc", "0.5.0", BOTH, peers::yawc),
            #[cfg(feature = "peers")]
            Self::Wtx => peer("wtx", "0.46.1", ECHO, peers::wtx),
            #[cfg(feature = "peers")]
            Self::Hyper => peer("hyper", "1.12.0", PAGE, peers::hyper),
            #[cfg(feature = "peers")]
            Self::MayMinihttp => peer("may-minihttp", "0.1.11", PAGE, peers::may_minihttp),
            #[cfg(feature = "peers")]
            Self::Socketioxide => peer("socketioxide", "0.18.9", SOCKET_IO, peers::socketioxide),
        }
    }

    /// The name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        self.profile().name
    }

    /// The version of its package.
    pub(crate) const fn version(self) -> &'static str {
        self.profile().version
    }

    /// Its wire format.
    pub(crate) const fn wire(self) -> Wire {
        self.profile().wire
    }

    /// The services that it supports.
    pub(crate) const fn services(self) -> &'static [Service] {
        self.profile().services
    }

    /// Serves until it is stopped.
    pub(crate) const fn run(self) -> Body {
        self.profile().run
    }

    /// Its default idle mode.
    pub(crate) const fn default_idle(self) -> IdleMode {
        if self.profile().idle_modes { IdleMode::Adaptive } else { IdleMode::Block }
    }

    /// Refuses settings that it does not support.
    pub(crate) fn check(self, config: &ServiceConfig) -> Result<(), Error> {
        let is_other = self != Self::Eventwire;
        let sleeps_only = !self.profile().idle_modes;
        let lacks = [
            (!self.services().contains(&config.service), "such service"),
            (is_other && config.max_message.is_some(), "limit of messages to set"),
            (is_other && config.deflate, "compression"),
            (is_other && config.tls, "TLS here"),
            (sleeps_only && config.idle != IdleMode::Block, "idle mode but block"),
        ];
        match lacks.iter().find(|(lacks, _)| *lacks) {
            Some((_, what)) => {
                let (name, version) = (self.name(), self.version());
                Err(Error::Settings(format!("{name} {version} has no {what}")))
            }
            None if config.tls && !cfg!(feature = "tls") => Err(Error::without_tls()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for implementation in Implementation::value_variants() {
            let value = implementation.to_possible_value().unwrap();
            assert_eq!(implementation.name(), value.get_name());
        }
    }

    #[test]
    fn versions_are_those_that_are_built() {
        let lock = include_str!("../../../Cargo.lock");
        for implementation in Implementation::value_variants() {
            let package = match implementation.name().trim_end_matches("-8k") {
                "floor" | "ws-floor" => "eventwire-bench",
                "streams" | "eventwire-page" => "eventwire",
                "may-minihttp" => "may_minihttp",
                name => name,
            };
            let version = implementation.version();
            let entry = format!("name = \"{package}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{entry}");
        }
    }
}
