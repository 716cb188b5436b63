//! fastwebsockets, set up as in its echo server example: hyper's upgrade, a fragment collector,
//! tasks outside tokio's budget, and vectored writes, its default.

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use tokio::sync::{broadcast, mpsc};

use super::hub;
use super::runtime::{self, LAG};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};

/// Serves until it is stopped.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let service = config.service;
    let hub = broadcast::Sender::new(LAG);
    runtime::serve_upgrades(config, ready, move |mut request| {
        let (response, upgrading) = upgrade(&mut request)?;
        let hub = hub.clone();
        let connection = tokio::task::unconstrained(async move {
            match service {
                Service::Broadcast => take_part(upgrading, hub).await,
                _ => echo(upgrading).await,
            }
        });
        Ok::<_, WebSocketError>((response, connection))
    })
}

async fn echo(upgrading: UpgradeFut) -> Result<(), WebSocketError> {
    let mut ws = FragmentCollector::new(upgrading.await?);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// Its reads cannot be cancelled, so the two halves of a connection run in separate tasks.
async fn take_part(
    upgrading: UpgradeFut,
    hub: broadcast::Sender<Bytes>,
) -> Result<(), WebSocketError> {
    // Until it requests an echo.
    let mut messages = Some(hub.subscribe());
    let (mut reader, mut writer) = upgrading.await?.split(tokio::io::split);
    // Control frames would have to be sent by the writing half; no load requires any.
    reader.set_auto_pong(false);
    reader.set_auto_close(false);
    let mut reader = FragmentCollectorRead::new(reader);
    let (echoes, mut own) = mpsc::unbounded_channel();
    let reading = async {
        loop {
            let frame = reader.read_frame(&mut |_| async { Ok::<_, WebSocketError>(()) }).await?;
            match frame.opcode {
                OpCode::Close => return Ok::<_, WebSocketError>(()),
                OpCode::Text | OpCode::Binary => {
                    let message = shared(frame.payload);
                    // The other half lasts as long as this one. Without receivers this may fail.
                    let _ = if asks_for_echo(&message) {
                        echoes.send(message).is_ok()
                    } else {
                        hub.send(message).is_ok()
                    };
                }
                _ => {}
            }
        }
    };
    let writing = async {
        loop {
            let message = tokio::select! {
                Some(message) = hub::next(&mut messages) => message.ok(),
                message = own.recv() => {
                    messages = None;
                    message
                }
            };
            let Some(message) = message else { return Ok::<_, WebSocketError>(()) };
            writer.write_frame(Frame::binary(Payload::Borrowed(&message))).await?;
        }
    };
    tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
    }
}

fn shared(payload: Payload<'_>) -> Bytes {
    match payload {
        Payload::Bytes(bytes) => bytes.freeze(),
        Payload::Owned(bytes) => bytes.into(),
        borrowed => Bytes::copy_from_slice(&borrowed),
    }
}
