//! The WebSocket floor: a minimal WebSocket server on the bare loop.
//!
//! Replies are written in place of the frames and leave in one `send`. There are no limits and no
//! checks of UTF-8, fragmentation or masks; a fragment is treated as a frame.

mod frames;
mod opening;

use std::io;

use super::bare::{self, Peer, Peers, Rest, send_to_all};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};

use frames::{Frames, Step};

/// A longer frame ends its connection: its length is invalid.
const FRAME_MAX: usize = 1 << 30;

/// Serves until it is stopped. Runs on the server's own thread.
pub(super) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    bare::run(config, ready, WsFloor { service: config.service })
}

struct WsFloor {
    service: Service,
}

impl bare::Floor for WsFloor {
    /// One `recv` takes sixteen messages of 16 KiB.
    const BUFFER: usize = 256 * 1024 + 4096;

    fn subscribes(&self) -> bool {
        false
    }

    fn serve(
        &mut self,
        peers: &mut Peers,
        key: usize,
        buffer: &mut [u8],
        mut filled: usize,
    ) -> io::Result<Rest> {
        let peer = &mut peers[key];
        if !peer.is_open {
            filled = open(peer, buffer, filled)?;
            if !peer.is_open {
                return Ok(Rest { filled, need: opening::HEAD_MAX });
            }
            peer.is_subscribed = self.service == Service::Broadcast;
        }
        let mut frames = Frames::new(buffer, filled);
        let last = if peer.is_subscribed {
            broadcast(peers, key, &mut frames)?
        } else {
            let last = frames.step_all();
            if !frames.replies().is_empty() {
                peer.send(frames.replies())?;
            }
            last
        };
        match last {
            Step::Partial { need } if need <= FRAME_MAX => {
                Ok(Rest { filled: frames.move_rest(), need })
            }
            Step::Partial { .. } => Err(invalid()),
            Step::Reply { .. } | Step::Closing => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// Answers the opening handshake once it is whole. Returns how many bytes follow it in the buffer.
fn open(peer: &mut Peer, buffer: &mut [u8], filled: usize) -> io::Result<usize> {
    let Some(head) = opening::end_of_head(&buffer[..filled]) else {
        return if filled < opening::HEAD_MAX { Ok(filled) } else { Err(invalid()) };
    };
    let key = opening::key(&buffer[..head]).ok_or_else(invalid)?;
    peer.send(&opening::response(key))?;
    peer.is_open = true;
    buffer.copy_within(head..filled, 0);
    Ok(filled - head)
}

/// Broadcasts the whole frames in one send for each connection, up to one that requests an echo:
/// from there on they are echoed. Returns the last step.
fn broadcast(peers: &mut Peers, key: usize, frames: &mut Frames<'_>) -> io::Result<Step> {
    loop {
        match frames.step() {
            Step::Reply { frame, payload } => {
                let payload = payload.map(|at| &frames.replies()[at..]);
                if payload.is_some_and(asks_for_echo) {
                    send_to_all(peers, &frames.replies()[..frame]);
                    let last = frames.step_all();
                    let peer = &mut peers[key];
                    peer.is_subscribed = false;
                    peer.send(&frames.replies()[frame..])?;
                    return Ok(last);
                }
            }
            last => {
                send_to_all(peers, frames.replies());
                return Ok(last);
            }
        }
    }
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
