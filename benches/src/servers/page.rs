//! The engine as a server that answers every request with the same page.

use eventwire::proto::http::ContentType;
use eventwire::{EventLoop, HttpResponse, Routes, ServerConfig};

use super::engine_loop::{engine_config, serve};
use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

/// The page.
pub(crate) const PAGE: &str = "Hello, world!";

/// A handler is called for each request.
pub(super) fn handled(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    run(Routes::new().get("/", |_, _, (): &mut ()| page()), config, ready)
}

/// The page is served without a handler.
pub(super) fn kept(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    run(Routes::new().page("/", page()), config, ready)
}

fn page() -> HttpResponse {
    HttpResponse::new(200).content_type(ContentType::TEXT).body(PAGE)
}

fn run(routes: Routes<()>, config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let mut event_loop = EventLoop::new(engine_config(config))?;
    let listener = event_loop.listen(&*config.address, ServerConfig::default(), routes);
    serve(event_loop, listener, &config.address, ready)
}
