//! The floor: the cost of the same traffic with the kernel and a plain mio loop, without WebSocket.
//!
//! One `recv` and one `send` for each readiness of a connection, without parsing and without
//! allocation: no server over TCP needs less. TCP has no message boundaries, so the floor forwards
//! the bytes of one `recv` at a time.

use std::io;

use super::bare::{self, Peers, Rest, send_to_all};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};

/// Serves until it is stopped. Runs on the server's own thread.
pub(super) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    bare::run(config, ready, Floor { service: config.service })
}

struct Floor {
    service: Service,
}

impl bare::Floor for Floor {
    /// The length of the engine's receive buffer.
    const BUFFER: usize = 64 * 1024 + bare::SLACK;

    fn subscribes(&self) -> bool {
        self.service == Service::Broadcast
    }

    fn serve(
        &mut self,
        peers: &mut Peers,
        key: usize,
        buffer: &mut [u8],
        filled: usize,
    ) -> io::Result<Rest> {
        let (peer, bytes) = (&mut peers[key], &buffer[..filled]);
        if !peer.is_open {
            // The first message decides what it gets: later ones have no known boundaries.
            peer.is_open = true;
            peer.is_subscribed &= !asks_for_echo(bytes);
        }
        if peer.is_subscribed {
            send_to_all(peers, bytes);
        } else {
            peer.send(bytes)?;
        }
        Ok(Rest::default())
    }
}
