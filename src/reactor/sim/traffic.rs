//! Bytes between the two ends of a connection: sent, under way, arrived, received, reset.

use std::io::{self, ErrorKind};
use std::mem;
use std::time::Duration;

use super::super::Readiness;
use super::config::Fault;
use super::endpoint::{Content, Endpoint, take_front};
use super::network::{Network, Planned, Source};

/// The longest time for which [`Fault::ShortSend`] and [`Fault::WouldBlock`] block sending.
const CHOKE_MAX: Duration = Duration::from_millis(2);

impl Network {
    /// Receives into `buffer`.
    pub(super) fn recv(&mut self, id: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.interruptible()?;
        self.reset_live(id);
        let (available, final_known) = {
            let end = self.end(id)?;
            (end.received.len(), end.finished || end.dead)
        };
        if buffer.is_empty() {
            return Ok(0);
        }
        // Not after a hang-up: a kernel then never returns `WouldBlock`.
        if available > 0 && !final_known && self.hits(Fault::WouldBlock) {
            self.arrive_again(id);
            return Err(ErrorKind::WouldBlock.into());
        }
        let whole = buffer.len().min(available);
        let short = whole > 1 && self.hits(Fault::ShortRecv);
        let wanted = if short { 1 + self.choices.index(whole - 1) } else { buffer.len() };
        let outcome = self.end(id)?.read(&mut buffer[..wanted]);
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
        if let Some(other) = self.end(id)?.other {
            self.room_appeared(other);
        }
        Ok(count)
    }

    /// Decides how many of `len` bytes are accepted: at least 1, unless `len` is 0. The caller
    /// passes that many to [`Network::transmit`].
    pub(super) fn admit(&mut self, id: u64, len: usize) -> io::Result<usize> {
        self.interruptible()?;
        self.reset_live(id);
        let end = self.end(id)?;
        if end.dead || end.shut {
            return Err(end.error.take().unwrap_or(ErrorKind::BrokenPipe).into());
        }
        if len == 0 {
            return Ok(0);
        }
        let room = self.room(id);
        if room == 0 {
            self.end(id)?.wants_room = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.hits(Fault::WouldBlock) {
            self.choke(id)?;
            return Err(ErrorKind::WouldBlock.into());
        }
        let whole = len.min(room);
        if whole > 1 && self.hits(Fault::ShortSend) {
            self.choke(id)?;
            return Ok(1 + self.choices.index(whole - 1));
        }
        if whole < len {
            self.end(id)?.wants_room = true;
        }
        Ok(whole)
    }

    /// Sends `bytes` from this end, in pieces or whole.
    pub(super) fn transmit(&mut self, id: u64, mut bytes: Vec<u8>) {
        let Some(to) = self.endpoints.get(id).and_then(|end| end.other) else {
            return;
        };
        if bytes.len() > 1 && self.hits(Fault::Pieces) {
            for _ in 0..=self.choices.index(3) {
                if bytes.len() > 1 {
                    let rest = bytes.split_off(1 + self.choices.index(bytes.len() - 1));
                    self.dispatch(to, Content::Bytes(mem::replace(&mut bytes, rest)));
                }
            }
        }
        if !bytes.is_empty() {
            self.dispatch(to, Content::Bytes(bytes));
        }
    }

    /// Ends the sending half.
    pub(super) fn shutdown(&mut self, id: u64) -> io::Result<()> {
        self.interruptible()?;
        let end = self.end(id)?;
        if end.dead || end.is_connecting() {
            return Err(ErrorKind::NotConnected.into());
        }
        self.finish(id);
        Ok(())
    }

    /// Sends the FIN of this end, once.
    pub(super) fn finish(&mut self, id: u64) {
        let Some(end) = self.endpoints.get_mut(id) else {
            return;
        };
        let Some(to) = end.other else { return };
        if mem::replace(&mut end.shut, true) {
            return;
        }
        let behind_bytes = self.endpoints.get(to).is_some_and(Endpoint::bytes_come_last);
        if behind_bytes && self.hits(Fault::EarlyHangup) {
            self.dispatch_at(to, self.elapsed, Content::Fin);
        } else {
            self.dispatch(to, Content::Fin);
        }
    }

    /// Closes an end that its owner has dropped: with FIN, or with RST if bytes were unread (RFC
    /// 1122 §4.2.2.13).
    pub(super) fn close_stream(&mut self, id: u64) {
        let Some(end) = self.endpoints.get_mut(id) else {
            return;
        };
        if mem::replace(&mut end.closed, true) {
            return;
        }
        let unread = !end.received.is_empty();
        end.received.clear();
        let (key, dead, other) = (end.key, end.dead, end.other);
        self.retire(key);
        if !dead && unread {
            self.abort(id);
        } else if !dead {
            self.finish(id);
        }
        let other_is_gone =
            other.is_none_or(|other| self.endpoints.get(other).is_none_or(|end| end.closed));
        if other_is_gone {
            self.endpoints.remove(id);
            if let Some(other) = other {
                self.endpoints.remove(other);
            }
        }
    }

    /// Resets the connection from this end.
    pub(super) fn abort(&mut self, id: u64) {
        let Some(end) = self.endpoints.get_mut(id) else {
            return;
        };
        end.kill(ErrorKind::ConnectionReset);
        if let Some(other) = end.other {
            self.send_reset(other);
        }
    }

    /// Resets the connection from within the network. This end notices first.
    pub(super) fn reset_both(&mut self, id: u64) {
        self.note(format_args!("reset #{id}"));
        self.abort(id);
        self.raise(Source::Stream(id));
    }

    /// Delivers everything that is due for `id`, and raises an edge.
    pub(super) fn deliver(&mut self, id: u64) {
        let now = self.elapsed;
        let mut arrived = false;
        while let Some(end) = self.endpoints.get_mut(id) {
            let Some(content) = end.pop_due(now) else {
                break;
            };
            arrived = true;
            match content {
                Content::Bytes(_) if end.closed => return self.abort(id),
                Content::Bytes(bytes) => {
                    end.arrive(&bytes);
                    self.note(format_args!("arrived #{id} {}", bytes.len()));
                }
                Content::Fin => {
                    end.finished = true;
                    self.note(format_args!("arrived #{id} FIN"));
                }
                Content::Reset => {
                    end.kill(ErrorKind::ConnectionReset);
                    self.note(format_args!("arrived #{id} RST"));
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
        if let Some(end) = self.endpoints.get_mut(id) {
            end.choked = false;
            self.room_appeared(id);
        }
    }

    /// Called when a raw peer has read: its sender has room.
    pub(super) fn made_room(&mut self, id: u64) {
        let Some(end) = self.endpoints.get(id) else {
            return;
        };
        if let (Some(_), Some(other)) = (&end.script, end.other) {
            self.room_appeared(other);
        }
    }

    /// Called when the sender `id` may have room, because the other end has received something.
    pub(super) fn room_appeared(&mut self, id: u64) {
        let writable = self.is_writable(id);
        let Some(end) = self.endpoints.get_mut(id) else {
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
        let room = self.room(id);
        let Some(end) = self.endpoints.get_mut(id) else {
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

    /// The readiness of a stream, as `epoll` would report it.
    pub(super) fn stream_readiness(&mut self, id: u64) -> Option<Readiness> {
        let writable = self.is_writable(id);
        let end = self.endpoints.get_mut(id)?;
        let key = end.key.filter(|_| !end.closed)?;
        // Without room, a writable edge must follow when there is.
        end.wants_room |= !writable;
        let hangup = end.finished || end.dead;
        let readable = hangup || !end.received.is_empty();
        let readiness = Readiness { key, readable, writable, hangup, urgent: false };
        (readable || writable).then_some(readiness)
    }

    /// # Errors
    ///
    /// `NotConnected` if there is no such end, which happens only with a stream of another reactor.
    pub(super) fn end(&mut self, id: u64) -> io::Result<&mut Endpoint> {
        self.endpoints.get_mut(id).ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// Resets a live connection by chance.
    fn reset_live(&mut self, id: u64) {
        if self.endpoints.get(id).is_some_and(Endpoint::is_live) && self.hits(Fault::Reset) {
            self.reset_both(id);
        }
    }

    /// Makes the bytes that were not received arrive again, a little later, with a new edge.
    fn arrive_again(&mut self, id: u64) {
        let due = self.arrival();
        if let Some(end) = self.endpoints.get_mut(id) {
            end.take_back(due);
            self.plan(due, Planned::Delivery(id));
        }
    }

    fn dispatch(&mut self, to: u64, content: Content) {
        let due = self.arrival();
        self.dispatch_at(to, due, content);
    }

    fn dispatch_at(&mut self, to: u64, due: Duration, content: Content) {
        if let Some(end) = self.endpoints.get_mut(to).filter(|end| !end.dead) {
            end.push(due, content);
            self.plan(due, Planned::Delivery(to));
        }
    }

    fn send_reset(&mut self, to: u64) {
        let on_the_way = self.endpoints.get(to).is_some_and(Endpoint::bytes_come_last);
        if on_the_way && self.hits(Fault::LostOnReset) {
            if let Some(end) = self.endpoints.get_mut(to) {
                end.clear_coming();
            }
        }
        self.dispatch(to, Content::Reset);
    }

    /// Blocks sending from this end for a while, after which a writable edge follows.
    fn choke(&mut self, id: u64) -> io::Result<()> {
        let end = self.end(id)?;
        end.choked = true;
        end.wants_room = true;
        let due = self.elapsed + self.choices.span(Duration::from_micros(1), CHOKE_MAX);
        self.plan(due, Planned::Unchoke(id));
        Ok(())
    }

    /// How many bytes this end may send now.
    fn room(&self, id: u64) -> usize {
        let Some(end) = self.endpoints.get(id).filter(|end| !end.choked) else {
            return 0;
        };
        let other = end.other.and_then(|other| self.endpoints.get(other));
        other.map_or(0, |other| self.config.window.saturating_sub(other.window_bytes()))
    }

    /// As on Linux: there is room for a third of the window, or sending would return an error.
    fn is_writable(&self, id: u64) -> bool {
        let Some(end) = self.endpoints.get(id) else {
            return false;
        };
        end.dead || end.shut || self.room(id).saturating_mul(3) >= self.config.window
    }
}
