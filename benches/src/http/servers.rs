//! The servers of the HTTP benchmark: each answers every request with the same page.

use clap::ValueEnum;
use eventwire::proto::http::ContentType;
use eventwire::{Config, EventLoop, HttpResponse, Routes, ServerConfig};

#[cfg(feature = "peers")]
use super::peers;
use crate::contestants::{Body, connections_max, serve};
use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

/// The page.
pub(super) const PAGE: &str = "Hello, world!";

/// A server by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HttpServer {
    /// The engine, which calls a handler for each request
    Eventwire,
    /// The engine, which serves a page without a handler
    EventwirePage,
    /// hyper on a runtime of one thread
    #[cfg(feature = "peers")]
    Hyper,
    /// `may_minihttp` with one worker
    #[cfg(feature = "peers")]
    MayMinihttp,
}

impl HttpServer {
    /// The name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Eventwire => "eventwire",
            Self::EventwirePage => "eventwire-page",
            #[cfg(feature = "peers")]
            Self::Hyper => "hyper",
            #[cfg(feature = "peers")]
            Self::MayMinihttp => "may-minihttp",
        }
    }

    /// Whether it is the engine.
    pub(crate) const fn is_own(self) -> bool {
        matches!(self, Self::Eventwire | Self::EventwirePage)
    }

    /// Serves until it is stopped.
    pub(crate) fn body(self) -> Body {
        match self {
            Self::Eventwire => |config, ready| {
                run(Routes::new().get("/", |_, _, (): &mut ()| page()), config, ready)
            },
            Self::EventwirePage => {
                |config, ready| run(Routes::new().page("/", page()), config, ready)
            }
            #[cfg(feature = "peers")]
            Self::Hyper => peers::hyper,
            #[cfg(feature = "peers")]
            Self::MayMinihttp => peers::may_minihttp,
        }
    }
}

fn page() -> HttpResponse {
    HttpResponse::new(200).content_type(ContentType::TEXT).body(PAGE)
}

fn run(routes: Routes<()>, config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let engine = Config::default().idle(config.idle.engine()).max_connections(connections_max());
    let mut event_loop = EventLoop::new(engine)?;
    let address = config.address.as_str();
    let listener = event_loop.listen(address, ServerConfig::default(), routes);
    serve(event_loop, listener, address, ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for server in HttpServer::value_variants() {
            let value = server.to_possible_value().unwrap();
            assert_eq!(server.name(), value.get_name());
        }
    }
}
