//! Broadcasts for peers whose connections are a stream and a sink of cheaply cloneable messages:
//! tokio's broadcast channel between tasks.

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

use crate::service::asks_for_echo;

/// A message of one of the peers.
pub(super) trait Data: Clone {
    /// The payload of a text or binary message. `None` for others.
    fn data(&self) -> Option<&[u8]>;
}

/// Broadcasts the connection's messages, and sends it those of others, until it ends or lags.
pub(super) async fn take_part<M, E, W>(mut ws: W, hub: Sender<M>)
where
    M: Data,
    W: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
{
    // Until it requests an echo.
    let mut messages = Some(hub.subscribe());
    loop {
        let sent = tokio::select! {
            incoming = ws.next() => match incoming {
                Some(Ok(message)) => match message.data().map(asks_for_echo) {
                    Some(true) => {
                        messages = None;
                        ws.send(message).await
                    }
                    Some(false) => {
                        // This fails without receivers, which is not an error.
                        let _ = hub.send(message);
                        Ok(())
                    }
                    None => Ok(()),
                },
                Some(Err(_)) | None => return,
            },
            Some(message) = next(&mut messages) => {
                let Ok(message) = message else { return };
                let mut sent = ws.feed(message).await;
                // All queued messages leave in the same write.
                while let (Ok(()), Some(message)) = (&sent, at_once(&mut messages)) {
                    sent = ws.feed(message).await;
                }
                match sent {
                    Ok(()) => ws.flush().await,
                    failed => failed,
                }
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The next broadcast, for a connection that receives broadcasts.
pub(super) async fn next<M: Clone>(
    messages: &mut Option<Receiver<M>>,
) -> Option<Result<M, RecvError>> {
    Some(messages.as_mut()?.recv().await)
}

fn at_once<M: Clone>(messages: &mut Option<Receiver<M>>) -> Option<M> {
    messages.as_mut()?.try_recv().ok()
}
