//! Bytes between the two ends of a connection: sent, under way, arrived, received, reset.

use std::io::{self, ErrorKind};
use std::mem;
use std::time::Duration;

use super::config::Fault;
use super::endpoint::{Content, Endpoint, take_front};
use super::network::{Network, Planned};
use super::sockets::Source;

/// The longest time for which [`Fault::ShortSend`] and [`Fault::WouldBlock`] block sending.
const CHOKE_MAX: Duration = Duration::from_millis(2);

impl Network {
    /// Receives into `buffer`.
    pub(super) fn recv(&mut self, id: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.env.interruptible()?;
        self.reset_live(id);
        let (available, final_known) = {
            let end = self.sockets.endpoints.end(id)?;
            (end.received.len(), end.is_finished() || end.is_dead())
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        // Not after a hang-up: a kernel then never returns `WouldBlock`.
        if available > 0 && !final_known && self.env.hits(Fault::WouldBlock) {
            self.arrive_again(id);
            return Err(ErrorKind::WouldBlock.into());
        }
        let whole = buffer.len().min(available);
        let short = whole > 1 && self.env.hits(Fault::ShortRecv);
        let wanted = if short { 1 + self.env.choices.index(whole - 1) } else { buffer.len() };
        let outcome = self.sockets.endpoints.end(id)?.read(&mut buffer[..wanted]);
        let count = match outcome {
            None => return Err(ErrorKind::WouldBlock.into()),
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(count)) => count,
        };
        // A receive that does not fill its buffer has emptied the stream, unless the readiness had
        // a hang-up. So the rest must arrive later if no hang-up is known.
        if short && !final_known {
            self.arrive_again(id);
        }
        if let Some(other) = self.sockets.endpoints.end(id)?.other {
            self.room_appeared(other);
        }
        Ok(count)
    }

    /// Decides how many of `len` bytes are accepted: at least 1, unless `len` is 0. The caller
    /// passes that many to [`Network::transmit`].
    pub(super) fn admit(&mut self, id: u64, len: usize) -> io::Result<usize> {
        self.env.interruptible()?;
        self.reset_live(id);
        let end = self.sockets.endpoints.end(id)?;
        if end.is_shut() {
            return Err(end.take_error().unwrap_or(ErrorKind::BrokenPipe).into());
        }
        if len == 0 {
            return Ok(0);
        }
        let room = self.sockets.endpoints.room(id, self.env.config.window);
        if room == 0 {
            self.sockets.endpoints.end(id)?.wants_room = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.env.hits(Fault::WouldBlock) {
            self.choke(id)?;
            return Err(ErrorKind::WouldBlock.into());
        }
        let whole = len.min(room);
        if whole > 1 && self.env.hits(Fault::ShortSend) {
            self.choke(id)?;
            return Ok(1 + self.env.choices.index(whole - 1));
        }
        if whole < len {
            self.sockets.endpoints.end(id)?.wants_room = true;
        }
        Ok(whole)
    }

    /// Sends `bytes` from this end, in pieces or whole.
    pub(super) fn transmit(&mut self, id: u64, mut bytes: Vec<u8>) {
        let Some(to) = self.sockets.endpoints.get(id).and_then(|end| end.other) else {
            return;
        };
        if bytes.len() > 1 && self.env.hits(Fault::Pieces) {
            for _ in 0..=self.env.choices.index(3) {
                if bytes.len() > 1 {
                    let rest = bytes.split_off(1 + self.env.choices.index(bytes.len() - 1));
                    let due = self.env.arrival();
                    let piece = mem::replace(&mut bytes, rest);
                    self.dispatch(to, due, Content::Bytes(piece));
                }
            }
        }
        if !bytes.is_empty() {
            let due = self.env.arrival();
            self.dispatch(to, due, Content::Bytes(bytes));
        }
    }

    /// Ends the sending half.
    pub(super) fn shutdown(&mut self, id: u64) -> io::Result<()> {
        self.env.interruptible()?;
        let end = self.sockets.endpoints.end(id)?;
        if end.is_dead() || end.is_connecting() {
            return Err(ErrorKind::NotConnected.into());
        }
        self.finish(id);
        Ok(())
    }

    /// Sends the FIN of this end, once.
    pub(super) fn finish(&mut self, id: u64) {
        let Some(end) = self.sockets.endpoints.get_mut(id) else {
            return;
        };
        let Some(to) = end.other else { return };
        if end.shut() {
            return;
        }
        let behind_bytes = self.sockets.endpoints.get(to).is_some_and(Endpoint::bytes_come_last);
        if behind_bytes && self.env.hits(Fault::EarlyHangup) {
            self.dispatch(to, self.env.elapsed, Content::Fin);
        } else {
            let due = self.env.arrival();
            self.dispatch(to, due, Content::Fin);
        }
    }

    /// Closes an end that its owner has dropped: with FIN, or with RST if bytes were unread (RFC
    /// 1122 §4.2.2.13).
    pub(super) fn close_stream(&mut self, id: u64) {
        let Some(end) = self.sockets.endpoints.get_mut(id) else {
            return;
        };
        if mem::replace(&mut end.closed, true) {
            return;
        }
        let unread = !end.received.is_empty();
        end.received.clear();
        let (key, dead, other) = (end.key, end.is_dead(), end.other);
        self.edges.retire(key);
        if !dead && unread {
            self.abort(id);
        } else if !dead {
            self.finish(id);
        }
        let other_is_gone = other
            .is_none_or(|other| self.sockets.endpoints.get(other).is_none_or(|end| end.closed));
        if other_is_gone {
            self.sockets.endpoints.remove(id);
            if let Some(other) = other {
                self.sockets.endpoints.remove(other);
            }
        }
    }

    /// Resets the connection from this end.
    pub(super) fn abort(&mut self, id: u64) {
        let Some(end) = self.sockets.endpoints.get_mut(id) else {
            return;
        };
        end.kill(ErrorKind::ConnectionReset);
        if let Some(other) = end.other {
            self.send_reset(other);
        }
    }

    /// Resets the connection from within the network. This end notices first.
    pub(super) fn reset_both(&mut self, id: u64) {
        self.env.note(format_args!("reset #{id}"));
        self.abort(id);
        self.raise(Source::Stream(id));
    }

    /// Delivers everything that is due for `id`, and raises an edge.
    pub(super) fn deliver(&mut self, id: u64) {
        let now = self.env.elapsed;
        let mut arrived = false;
        while let Some(end) = self.sockets.endpoints.get_mut(id) {
            let Some(content) = end.pop_due(now) else {
                break;
            };
            arrived = true;
            match content {
                Content::Bytes(_) if end.closed => return self.abort(id),
                Content::Bytes(bytes) => {
                    end.arrive(&bytes);
                    self.env.note(format_args!("arrived #{id} {}", bytes.len()));
                }
                Content::Fin => {
                    end.finish();
                    self.env.note(format_args!("arrived #{id} FIN"));
                }
                Content::Reset => {
                    end.kill(ErrorKind::ConnectionReset);
                    self.env.note(format_args!("arrived #{id} RST"));
                }
            }
        }
        if arrived {
            self.raise(Source::Stream(id));
            self.made_room(id);
        }
    }

    /// Makes this end accept bytes again.
    pub(super) fn unchoke(&mut self, id: u64) {
        if let Some(end) = self.sockets.endpoints.get_mut(id) {
            end.choked = false;
            self.room_appeared(id);
        }
    }

    /// Called when a raw peer has read: its sender has room.
    pub(super) fn made_room(&mut self, id: u64) {
        let Some(end) = self.sockets.endpoints.get(id) else {
            return;
        };
        if let (Some(_), Some(other)) = (&end.script, end.other) {
            self.room_appeared(other);
        }
    }

    /// Called when the sender `id` may have room, because the other end has received something.
    pub(super) fn room_appeared(&mut self, id: u64) {
        let writable = self.sockets.endpoints.is_writable(id, self.env.config.window);
        let Some(end) = self.sockets.endpoints.get_mut(id) else {
            return;
        };
        if end.script.is_some() {
            self.pump(id);
        } else if writable && mem::replace(&mut end.wants_room, false) {
            self.raise(Source::Stream(id));
        }
    }

    /// Sends what a raw peer has queued, as far as there is room, and then its FIN.
    pub(super) fn pump(&mut self, id: u64) {
        let room = self.sockets.endpoints.room(id, self.env.config.window);
        let Some(end) = self.sockets.endpoints.get_mut(id) else {
            return;
        };
        let live = end.is_live();
        let Some(script) = end.script.as_mut().filter(|_| live) else {
            return;
        };
        let count = room.min(script.outgoing.len());
        let bytes = take_front(&mut script.outgoing, count);
        let finished = script.finishing && script.outgoing.is_empty();
        self.transmit(id, bytes);
        if finished {
            self.finish(id);
        }
    }

    /// Resets a live connection by chance.
    fn reset_live(&mut self, id: u64) {
        if self.sockets.endpoints.get(id).is_some_and(Endpoint::is_live)
            && self.env.hits(Fault::Reset)
        {
            self.reset_both(id);
        }
    }

    /// Makes the bytes that were not received arrive again, a little later, with a new edge.
    fn arrive_again(&mut self, id: u64) {
        let due = self.env.arrival();
        if let Some(end) = self.sockets.endpoints.get_mut(id) {
            end.take_back(due);
            self.plan(due, Planned::Delivery(id));
        }
    }

    /// Sends `content` to an end, where it arrives at `due`.
    fn dispatch(&mut self, to: u64, due: Duration, content: Content) {
        if let Some(end) = self.sockets.endpoints.get_mut(to).filter(|end| !end.is_dead()) {
            end.push(due, content);
            self.plan(due, Planned::Delivery(to));
        }
    }

    fn send_reset(&mut self, to: u64) {
        let on_the_way = self.sockets.endpoints.get(to).is_some_and(Endpoint::bytes_come_last);
        if on_the_way && self.env.hits(Fault::LostOnReset) {
            if let Some(end) = self.sockets.endpoints.get_mut(to) {
                end.clear_coming();
            }
        }
        let due = self.env.arrival();
        self.dispatch(to, due, Content::Reset);
    }

    /// Blocks sending from this end for a while, after which a writable edge follows.
    fn choke(&mut self, id: u64) -> io::Result<()> {
        let end = self.sockets.endpoints.end(id)?;
        end.choked = true;
        end.wants_room = true;
        let due = self.env.elapsed + self.env.choices.span(Duration::from_micros(1), CHOKE_MAX);
        self.plan(due, Planned::Unchoke(id));
        Ok(())
    }
}
