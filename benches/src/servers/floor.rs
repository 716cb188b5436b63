//! The floor: the cost of the same traffic with the kernel and a plain mio loop, without WebSocket.
//!
//! One `recv` and one `send` for each readiness of a connection, edge-triggered, without parsing
//! and without allocation: no server over TCP needs less. TCP has no message boundaries, so the
//! floor forwards the bytes of one `recv` at a time.

use std::io::{self, Read};

use mio::event::Event;

use super::bare::{self, Peers};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};
use crate::unsent::would_block;

/// The length of the engine's receive buffer.
const BUFFER: usize = 64 * 1024;

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let (service, buffer) = (config.service, vec![0; BUFFER]);
    bare::run(config, ready, Floor { service, buffer })
}

struct Floor {
    service: Service,
    buffer: Vec<u8>,
}

impl bare::Floor for Floor {
    /// Whether a connection of the broadcast server gets echoes. Its first message decides, because
    /// later messages have no known boundaries.
    type State = Option<bool>;

    fn turn(
        &mut self,
        peers: &mut Peers<Self::State>,
        key: usize,
        event: &Event,
    ) -> io::Result<()> {
        let Some(peer) = peers.get(key) else {
            return Ok(());
        };
        match (self.service, peer.state) {
            (Service::Broadcast, None | Some(false)) => self.broadcast(peers, key, event),
            _ => self.echo(peers, key, event),
        }
    }
}

impl Floor {
    /// Echoes the received bytes.
    fn echo<T>(&mut self, peers: &mut Peers<T>, key: usize, event: &Event) -> io::Result<()> {
        let Some(peer) = peers.get_mut(key) else {
            return Ok(());
        };
        let paused = !peer.unsent.is_empty();
        if !peer.flush()? || !(event.is_readable() || paused) {
            return Ok(());
        }
        loop {
            let length = match peer.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            peer.send(&self.buffer[..length])?;
            // A short read has drained the socket, unless the end of the stream is still unread. A
            // peer that does not read is not read from.
            let drained = length < self.buffer.len() && !event.is_read_closed();
            if drained || !peer.unsent.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends the received bytes to all connections.
    fn broadcast(
        &mut self,
        peers: &mut Peers<Option<bool>>,
        key: usize,
        event: &Event,
    ) -> io::Result<()> {
        let Some(peer) = peers.get_mut(key) else {
            return Ok(());
        };
        peer.flush()?;
        if !event.is_readable() {
            return Ok(());
        }
        loop {
            let Some(peer) = peers.get_mut(key) else {
                return Ok(());
            };
            let length = match peer.stream.read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            let bytes = &self.buffer[..length];
            if *peer.state.get_or_insert_with(|| asks_for_echo(bytes)) {
                peer.send(bytes)?;
            } else {
                peers.retain(|_, peer| peer.state == Some(true) || peer.send(bytes).is_ok());
            }
            if length < self.buffer.len() && !event.is_read_closed() {
                return Ok(());
            }
        }
    }
}
