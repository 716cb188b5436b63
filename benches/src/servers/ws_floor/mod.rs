//! The WebSocket floor: a minimal WebSocket server on the bare loop.
//!
//! One `recv` for each readiness, into the one buffer of the loop. Replies are written in place of
//! the frames and leave in one `send`. There are no limits and no checks of UTF-8, fragmentation or
//! masks; a fragment is treated as a frame. A connection keeps only the bytes of an incomplete
//! frame.

mod frames;
mod opening;

use std::io::{self, Read};
use std::mem;

use mio::event::Event;

use super::bare::{self, Peer, Peers};
use crate::error::Error;
use crate::service::{ReadyLine, Service, ServiceConfig, asks_for_echo};
use crate::unsent::would_block;

use frames::{Frames, SLACK, Step};

/// The minimum buffer length: one `recv` takes sixteen messages of 16 KiB.
const BUFFER: usize = 256 * 1024 + 4096;
/// A longer frame ends its connection: its length is invalid.
const FRAME_MAX: usize = 1 << 30;

/// Serves until it is stopped. Runs on the server's own thread.
pub(crate) fn run(config: &ServiceConfig, ready: ReadyLine) -> Result<(), Error> {
    let floor =
        WsFloor { service: config.service, buffer: vec![0; BUFFER], spare: Vec::new(), need: 0 };
    bare::run(config, ready, floor)
}

struct WsFloor {
    service: Service,
    /// The receive buffer of all connections. Grows beyond `BUFFER` for longer frames.
    buffer: Vec<u8>,
    /// Buffers that are not in use.
    spare: Vec<Vec<u8>>,
    /// The length of the incomplete frame at the buffer's end, as far as it is known.
    need: usize,
}

/// The state of a connection.
#[derive(Debug, Default)]
struct State {
    /// The opening handshake is over.
    open: bool,
    /// It requested an echo, and gets no broadcasts.
    apart: bool,
    rest: Option<Box<Rest>>,
}

/// The beginning of a frame, or of an opening handshake.
#[derive(Debug)]
struct Rest {
    /// A copy, or for a long frame the buffer itself.
    bytes: Vec<u8>,
    filled: usize,
    /// The frame's length, as far as it is known.
    need: usize,
}

impl Rest {
    fn is_long(need: usize) -> bool {
        need > BUFFER - SLACK
    }
}

impl bare::Floor for WsFloor {
    type State = State;

    fn turn(&mut self, peers: &mut Peers<State>, key: usize, event: &Event) -> io::Result<()> {
        let Some(peer) = peers.get_mut(key) else {
            return Ok(());
        };
        let paused = !peer.unsent.is_empty();
        if !peer.flush()? || !(event.is_readable() || paused) {
            return Ok(());
        }
        let mut filled = match peer.state.rest.take() {
            None => 0,
            Some(rest) => self.resume(*rest),
        };
        match self.service {
            Service::Broadcast => filled = self.receive_broadcasts(peers, key, filled, event)?,
            _ => {
                while let Some(all) = self.receive(peer, filled)? {
                    filled = self.echo(peer, all)?;
                    if !self.goes_on(peer, all, event) {
                        break;
                    }
                }
            }
        }
        if filled > 0 {
            self.keep(peers, key, filled);
        }
        Ok(())
    }
}

impl WsFloor {
    /// Receives after the `filled` bytes of the buffer. Returns how many bytes it then holds, if
    /// any arrived.
    fn receive(&mut self, peer: &mut Peer<State>, filled: usize) -> io::Result<Option<usize>> {
        let end = self.buffer.len() - SLACK;
        match peer.stream.read(&mut self.buffer[filled..end]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => Ok(Some(filled + length)),
            Err(error) if would_block(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether to receive again after the buffer was filled that far. Makes room for it.
    ///
    /// A short read has drained the socket, unless the end of the stream is still unread. A peer
    /// that does not read is not read from.
    fn goes_on(&mut self, peer: &Peer<State>, filled: usize, event: &Event) -> bool {
        let room = self.buffer.len() - SLACK;
        if !peer.unsent.is_empty() || (filled < room && !event.is_read_closed()) {
            return false;
        }
        if self.need > room {
            // Room for the frame, and for some bytes after it.
            self.buffer.resize(self.need + BUFFER, 0);
        }
        true
    }

    fn receive_broadcasts(
        &mut self,
        peers: &mut Peers<State>,
        key: usize,
        mut filled: usize,
        event: &Event,
    ) -> io::Result<usize> {
        while let Some(peer) = peers.get_mut(key) {
            let Some(all) = self.receive(peer, filled)? else {
                break;
            };
            filled = self.broadcast(peers, key, all)?;
            if !peers.get(key).is_some_and(|peer| self.goes_on(peer, all, event)) {
                break;
            }
        }
        Ok(filled)
    }

    /// Echoes the whole frames in the buffer. Returns the length of the rest, which is moved to the
    /// buffer's front.
    fn echo(&mut self, peer: &mut Peer<State>, mut filled: usize) -> io::Result<usize> {
        if !peer.state.open {
            filled = self.open(peer, filled)?;
            if filled == 0 || !peer.state.open {
                return Ok(filled);
            }
        }
        let mut frames = Frames::new(&mut self.buffer, filled);
        let last = loop {
            match frames.step() {
                Step::Reply { .. } => {}
                last => break last,
            }
        };
        let replies = frames.replies();
        if !replies.is_empty() {
            peer.send(replies)?;
        }
        self.need = need(last)?;
        Ok(frames.move_rest())
    }

    /// Broadcasts the whole frames in the buffer to all connections, except those that request an
    /// echo.
    fn broadcast(
        &mut self,
        peers: &mut Peers<State>,
        key: usize,
        mut filled: usize,
    ) -> io::Result<usize> {
        let Some(peer) = peers.get_mut(key) else {
            return Ok(0);
        };
        if !peer.state.open {
            filled = self.open(peer, filled)?;
            if filled == 0 || !peer.state.open {
                return Ok(filled);
            }
        }
        let mut frames = Frames::new(&mut self.buffer, filled);
        let last = loop {
            // Consecutive broadcasts leave in one send for each connection.
            let mut echo = None;
            let last = loop {
                match frames.step() {
                    Step::Reply { frame, payload } => {
                        if payload.is_some_and(|at| asks_for_echo(&frames.replies()[at..])) {
                            echo = Some(frame);
                            break None;
                        }
                    }
                    last => break Some(last),
                }
            };
            let replies = frames.replies();
            let (all, own) = replies.split_at(echo.unwrap_or(replies.len()));
            if !all.is_empty() {
                send_to_all(peers, all);
            }
            if !own.is_empty() {
                peers.get_mut(key).map_or(Ok(()), |peer| {
                    peer.state.apart = true;
                    peer.send(own)
                })?;
            }
            frames.forget_replies();
            if let Some(last) = last {
                break last;
            }
        };
        self.need = need(last)?;
        Ok(frames.move_rest())
    }

    /// Answers the opening handshake once it is whole. Returns how many bytes follow it in the
    /// buffer.
    fn open(&mut self, peer: &mut Peer<State>, filled: usize) -> io::Result<usize> {
        self.need = opening::HEAD_MAX;
        let Some(head) = opening::end_of_head(&self.buffer[..filled]) else {
            return if filled < self.need { Ok(filled) } else { Err(invalid()) };
        };
        let key = opening::key(&self.buffer[..head]).ok_or_else(invalid)?;
        peer.send(&opening::response(key))?;
        peer.state.open = true;
        self.buffer.copy_within(head..filled, 0);
        Ok(filled - head)
    }

    /// Restores a connection's incomplete input. Returns how many bytes the buffer holds.
    fn resume(&mut self, rest: Rest) -> usize {
        let Rest { bytes, filled, need } = rest;
        if Rest::is_long(need) {
            self.spare.push(mem::replace(&mut self.buffer, bytes));
        } else {
            self.buffer[..filled].copy_from_slice(&bytes);
        }
        self.need = need;
        filled
    }

    /// Keeps incomplete input until more arrives.
    fn keep(&mut self, peers: &mut Peers<State>, key: usize, filled: usize) {
        let Some(peer) = peers.get_mut(key) else {
            return;
        };
        let need = self.need;
        let bytes = if Rest::is_long(need) {
            let other = self.spare.pop().unwrap_or_else(|| vec![0; BUFFER]);
            mem::replace(&mut self.buffer, other)
        } else {
            self.buffer[..filled].to_vec()
        };
        peer.state.rest = Some(Box::new(Rest { bytes, filled, need }));
    }
}

/// Sends to every open connection except those that get echoes. A failed connection is noticed at
/// its next read.
fn send_to_all(peers: &mut Peers<State>, bytes: &[u8]) {
    for (_, peer) in peers.iter_mut() {
        if peer.state.open && !peer.state.apart && peer.send(bytes).is_err() {
            let _ = peer.stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// The length of an incomplete frame. An error if the length is invalid, or the client closes.
fn need(last: Step) -> io::Result<usize> {
    match last {
        Step::Partial { need } if need <= FRAME_MAX => Ok(need),
        Step::Partial { .. } => Err(invalid()),
        Step::Reply { .. } | Step::Closing => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
