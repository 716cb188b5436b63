//! Rust's socketioxide, standalone on hyper, with the events that the loads need.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef, TryData};

use super::runtime;
use crate::error::Error;
use crate::service::{ReadyLine, ServiceConfig};

const MAX_PAYLOAD: u64 = 3_000_000;

/// Serves until it is stopped.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let (service, io) = SocketIo::builder()
        .ping_interval(Duration::from_secs(25))
        .ping_timeout(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(45))
        .max_payload(MAX_PAYLOAD)
        .build_svc();
    io.ns("/", on_connect);
    runtime::serve(config, ready, move |stream| {
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        connection.with_upgrades()
    })
}

async fn on_connect(socket: SocketRef, TryData(auth): TryData<Value>) {
    socket.on("message-with-ack", async |Data::<Value>(data), ack: AckSender| {
        // The client notices a missing acknowledgement.
        let _ = ack.send(&data);
    });
    socket.on("all", async |io: SocketIo, Data::<Value>(data)| {
        // The same goes for an event.
        let _ = io.emit("all-event", &data).await;
    });
    let auth = auth.unwrap_or_else(|_| Value::Object(serde_json::Map::new()));
    let _ = socket.emit("auth", &auth);
}
