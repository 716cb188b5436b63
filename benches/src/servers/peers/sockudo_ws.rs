//! sockudo-ws, set up as in its examples: its own handshake and defaults, replies that leave before
//! the next read, and for broadcasts its own topics, whose channels are unbounded.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
use sockudo_ws::pubsub::PubSub;
use sockudo_ws::{Config, Error as PeerError, Message, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::runtime;
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};

/// The topic that every connection of the broadcast server subscribes to.
const TOPIC: &str = "all";

/// Serves until it is stopped.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let topics = Arc::new(PubSub::new());
    let service = config.service;
    runtime::serve(config, ready, |stream| {
        let topics = Arc::clone(&topics);
        async move {
            match service {
                Service::Broadcast => take_part(stream, &topics).await,
                _ => echo(stream).await,
            }
        }
    })
}

async fn echo(stream: TcpStream) -> sockudo_ws::Result<()> {
    let mut ws = open(stream).await?;
    while let Some(message) = ws.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => ws.feed(message).await?,
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

async fn take_part(stream: TcpStream, topics: &PubSub) -> sockudo_ws::Result<()> {
    let mut ws = open(stream).await?;
    let (sender, mut messages) = mpsc::unbounded_channel();
    let subscriber = topics.create_subscriber(sender);
    topics.subscribe(subscriber, TOPIC);
    let ended = loop {
        tokio::select! {
            incoming = ws.next() => match incoming {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    if asks_for_echo(message.as_bytes()) {
                        topics.unsubscribe(subscriber, TOPIC);
                        if let Err(error) = ws.send(message).await {
                            break Err(error);
                        }
                    } else {
                        topics.publish(TOPIC, message);
                    }
                }
                Some(Ok(Message::Close(_))) | None => break Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error),
            },
            Some(message) = messages.recv() => {
                let mut sent = ws.feed(message).await;
                // All queued messages leave in the same write.
                while let (Ok(()), Ok(message)) = (&sent, messages.try_recv()) {
                    sent = ws.feed(message).await;
                }
                if sent.is_ok() {
                    sent = ws.flush().await;
                }
                if sent.is_err() {
                    break sent;
                }
            }
        }
    };
    topics.remove_subscriber(subscriber);
    ended
}

async fn open(mut stream: TcpStream) -> sockudo_ws::Result<WebSocketStream<TcpStream>> {
    let mut request = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(PeerError::ConnectionClosed);
        }
        if let Some((parsed, _)) = parse_request(&request)? {
            let response = build_response(&generate_accept_key(parsed.key), None, None);
            stream.write_all(&response).await?;
            return Ok(WebSocketStream::server(stream, Config::default()));
        }
    }
}
