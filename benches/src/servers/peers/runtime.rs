//! The common part of the peers: a tokio runtime on the calling thread, its listener, its end.
//!
//! The runtime has one thread, as all contestants, and no time driver. Sockets inherit
//! `TCP_NODELAY` from their listener.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::error::Error;
use crate::servers::bare;
use crate::service::{ReadyLine, ServiceConfig};

/// How many messages a receiver of broadcasts may lag behind before it is closed.
pub(super) const LAG: usize = 1024;

/// Serves each connection in a task of its own, until it is stopped.
pub(super) fn serve<C, F>(
    config: &ServiceConfig,
    ready: ReadyLine,
    connection: C,
) -> Result<(), Error>
where
    C: Fn(TcpStream) -> F,
    F: Future + Send + 'static,
{
    let cannot_listen = || Error::system(format!("cannot listen on {}", config.address));
    let (listener, address) = bare::listen(&config.address).map_err(cannot_listen())?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot_listen())?;
    let stop = Arc::new(Notify::new());
    let stopping = Arc::clone(&stop);
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener).map_err(cannot_listen())?;
        ready.listening(address, Box::new(move || stop.notify_one()));
        loop {
            tokio::select! {
                () = stopping.notified() => return Ok(()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => spawn(connection(stream)),
                    // One connection failed, or no file descriptor is free.
                    Err(_) => tokio::task::yield_now().await,
                },
            }
        }
    })
}

/// Serves each WebSocket in a task of its own. `upgrade` answers its request.
pub(super) fn serve_upgrades<U, F, E>(
    config: &ServiceConfig,
    ready: ReadyLine,
    upgrade: U,
) -> Result<(), Error>
where
    U: Fn(Request<Incoming>) -> Result<(Response<Empty<Bytes>>, F), E> + Send + Sync + 'static,
    F: Future + Send + 'static,
{
    let upgrade = Arc::new(upgrade);
    serve(config, ready, move |stream| {
        let upgrade = Arc::clone(&upgrade);
        let service = service_fn(move |request| {
            let response = match upgrade(request) {
                Ok((response, connection)) => {
                    spawn(connection);
                    response
                }
                Err(_) => {
                    let mut refusal = Response::new(Empty::new());
                    *refusal.status_mut() = StatusCode::BAD_REQUEST;
                    refusal
                }
            };
            async { Ok::<_, Infallible>(response) }
        });
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades()
    })
}

/// Runs a connection to its end. The client reports how it ended.
fn spawn(connection: impl Future + Send + 'static) {
    drop(tokio::spawn(async { drop(connection.await) }));
}
