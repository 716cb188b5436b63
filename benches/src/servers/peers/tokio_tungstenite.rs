//! tokio-tungstenite, set up as in its echo server example: it forwards messages, so the replies to
//! all messages of one read leave in one write.
//!
//! Its buffers have their default sizes. A second contestant reads into 8 KiB, because the
//! documentation says that the default of 128 KiB is for high read loads, and that smaller buffers
//! suit many connections.

use std::future::ready;

use futures_util::{StreamExt, TryStreamExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Sender;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::hub::{self, Data};
use super::runtime::{self, LAG};
use crate::error;
use crate::service::{ReadyLine, Service, ServiceConfig};

/// Serves until it is stopped.
pub(crate) fn run(config: &ServiceConfig, line: ReadyLine) -> Result<(), error::Error> {
    serve(config, line, WebSocketConfig::default())
}

/// The same with the small buffer.
pub(crate) fn run_8k(config: &ServiceConfig, line: ReadyLine) -> Result<(), error::Error> {
    serve(config, line, WebSocketConfig::default().read_buffer_size(8 * 1024))
}

fn serve(
    config: &ServiceConfig,
    line: ReadyLine,
    websocket: WebSocketConfig,
) -> Result<(), error::Error> {
    let hub = Sender::new(LAG);
    let service = config.service;
    runtime::serve(config, line, |stream| converse(stream, service, websocket, hub.clone()))
}

async fn converse(
    stream: TcpStream,
    service: Service,
    websocket: WebSocketConfig,
    hub: Sender<Message>,
) -> Result<(), Error> {
    let ws = accept_async_with_config(stream, Some(websocket)).await?;
    if service == Service::Broadcast {
        hub::take_part(ws, hub).await;
        return Ok(());
    }
    let (sink, stream) = ws.split();
    stream.try_filter(|message| ready(message.data().is_some())).forward(sink).await
}

impl Data for Message {
    fn data(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }
}
