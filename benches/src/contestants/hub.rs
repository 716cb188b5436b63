//! Broadcasts of the peers whose connections are a stream and a sink of messages that are cheap to
//! clone: tokio's broadcast channel between tasks.

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

use crate::service::asks_for_echo;

/// A message of one of the peers.
pub(super) trait Data: Clone {
    /// The payload of a text or binary message; of others nothing.
    fn data(&self) -> Option<&[u8]>;
}

/// Hands on what the connection sends, and sends what others hand on, until it ends or lags.
pub(super) async fn take_part<M, E, W>(mut ws: W, hub: Sender<M>)
where
    M: Data,
    W: Stream<Item = Result<M, E>> + Sink<M> + Unpin,
{
    // Until it asks for an echo.
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
                        // That nobody receives is no failure.
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
                // What else is there leaves in the same write.
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

/// The next broadcast, of a connection that is broadcast to.
pub(super) async fn next<M: Clone>(
    messages: &mut Option<Receiver<M>>,
) -> Option<Result<M, RecvError>> {
    Some(messages.as_mut()?.recv().await)
}

fn at_once<M: Clone>(messages: &mut Option<Receiver<M>>) -> Option<M> {
    messages.as_mut()?.try_recv().ok()
}
