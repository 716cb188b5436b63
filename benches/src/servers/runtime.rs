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

use super::bare;
use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

/// How many messages a receiver of broadcasts may lag behind before it is closed.
pub(super) const LAG: usize = 1024;

/// Serves each connection in a task of its own, until it is stopped.
pub(crate) fn serve<C, F>(
    config: &ServiceConfig,
    ready: ReadyLine,
    connection: C,
) -> Result<(), Error>
where
    C: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
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
                    Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
                    // One connection failed, or no file descriptor is free.
                    Err(_) => tokio::task::yield_now().await,
                },
            }
        }
    })
}

/// Serves the HTTP request of a WebSocket. `upgrade` answers it and spawns a task for the
/// connection.
pub(super) async fn upgrade<U, E>(stream: TcpStream, upgrade: U)
where
    U: Fn(Request<Incoming>) -> Result<Response<Empty<Bytes>>, E>,
{
    let service = service_fn(|request| {
        let response = upgrade(request).unwrap_or_else(|_| {
            let mut refusal = Response::new(Empty::new());
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            refusal
        });
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // The client reports how the request ended.
    let _ = connection.with_upgrades().await;
}
