//! yawc, set up as in its authors' benchmark: no compression, a read buffer of 128 KiB,
//! backpressure from 64 KiB of unsent output on, and one flush for the replies to up to 32
//! available messages.

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::broadcast::Sender;
use yawc::{Frame, OpCode, Options, WebSocket, WebSocketError};

use super::hub::{self, Data};
use super::runtime::{self, LAG};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig};

/// The message limit, and the buffer limit of twice that. No load sends longer messages.
const LIMITS: (usize, usize) = (64 * 1024 * 1024, 128 * 1024 * 1024);
const READ_BUFFER: usize = 128 * 1024;
const BACKPRESSURE: usize = 64 * 1024;
const BATCH: usize = 32;

/// Serves until it is stopped.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let service = config.service;
    let hub = Sender::new(LAG);
    runtime::serve_upgrades(config, ready, move |mut request| {
        let options = Options::default()
            .without_compression()
            .with_limits(LIMITS.0, LIMITS.1)
            .with_read_buffer_capacity(READ_BUFFER)
            .with_backpressure_boundary(BACKPRESSURE);
        let (response, upgrading) = WebSocket::upgrade_with_options(&mut request, options)?;
        let hub = hub.clone();
        let connection = async move {
            let ws = upgrading.await?;
            match service {
                // Its stream ends where other libraries return an error.
                Service::Broadcast => {
                    hub::take_part(ws.map(Ok::<_, WebSocketError>), hub).await;
                    Ok(())
                }
                _ => echo(ws).await,
            }
        };
        Ok::<_, WebSocketError>((response, connection))
    })
}

async fn echo<S>(mut ws: WebSocket<S>) -> Result<(), WebSocketError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let mut next = Some(ws.next_frame().await?);
        let mut batch = 0;
        while let Some(frame) = next {
            if frame.data().is_some() {
                ws.feed(frame).await?;
            }
            batch += 1;
            next = match batch {
                BATCH => None,
                _ => ws.next_frame().now_or_never().transpose()?,
            };
        }
        ws.flush().await?;
    }
}

impl Data for Frame {
    fn data(&self) -> Option<&[u8]> {
        matches!(self.opcode(), OpCode::Text | OpCode::Binary).then(|| &**self.payload())
    }
}
