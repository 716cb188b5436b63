use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::fault::Fault;
use super::format::Format;
use super::opening::{Open, Openings, wait};
use super::scanner::Scanner;
use super::stamp::Stamp;
use crate::error::Error;
use crate::target::Target;
use crate::unsent::{Unsent, would_block};

/// All connections of a load on one mio poll. Each one is identified by its index.
#[derive(Debug)]
pub(crate) struct Links {
    poll: Poll,
    links: Vec<Link>,
    format: Format,
    buffer: Vec<u8>,
    /// What the current read is to be replied with.
    replies: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    scanner: Scanner,
    /// Bytes that arrived right after the opening handshake.
    early: Vec<u8>,
    unsent: Unsent,
}

/// The result of one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// The buffer is full: there may be more.
    Full,
    /// The read was short: nothing is left to read, except possibly the end of the stream.
    Short,
    /// The read would block.
    Empty,
}

/// The maximum length of one read, in bytes.
const BUFFER: usize = 256 * 1024;

impl Links {
    /// Makes `count` connections one after the other, for messages of `size` bytes. Up to `batch`
    /// of them leave in one write.
    pub(crate) fn open(
        target: &Target,
        count: usize,
        size: usize,
        batch: usize,
    ) -> Result<Self, Error> {
        let no_poll = "cannot wait for sockets";
        let poll = Poll::new().map_err(Error::system(no_poll))?;
        let mut openings = Openings::new(target)?;
        let mut links = Vec::with_capacity(count);
        for index in 0..count {
            let Open { mut stream, early } = openings.open(index)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            let registered = poll.registry().register(&mut stream, Token(index), both);
            registered.map_err(Error::system(no_poll))?;
            let (scanner, unsent) = (Scanner::default(), Unsent::default());
            links.push(Link { stream, scanner, early, unsent });
        }
        let format = Format::new(target.wire, size, batch);
        Ok(Self { poll, links, format, buffer: vec![0; BUFFER], replies: Vec::new() })
    }

    /// The bits of a stamp that messages have room for.
    pub(super) fn carried(&self) -> u64 {
        self.format.carried()
    }

    /// Waits for readiness.
    pub(crate) fn wait(&mut self, events: &mut Events, timeout: Duration) -> Result<(), Error> {
        wait(&mut self.poll, events, timeout)
    }

    /// Reads once, and passes on the stamps of the messages that became whole.
    pub(crate) fn read<F>(&mut self, index: usize, arrived: F) -> Result<ReadOutcome, Error>
    where
        F: FnMut(Stamp) -> Result<(), Fault>,
    {
        let length = match self.links[index].stream.read(&mut self.buffer) {
            Ok(0) => return Err(faulty(index, &Fault::closed())),
            Ok(length) => length,
            Err(error) if would_block(&error) => return Ok(ReadOutcome::Empty),
            Err(error) => return Err(failed(index, &error)),
        };
        self.scan(index, length, arrived)?;
        let full = length == self.buffer.len();
        Ok(if full { ReadOutcome::Full } else { ReadOutcome::Short })
    }

    /// Handles what arrived right after the opening handshakes: no message was sent.
    pub(super) fn read_early(&mut self) -> Result<(), Error> {
        for index in 0..self.links.len() {
            let early = std::mem::take(&mut self.links[index].early);
            self.buffer[..early.len()].copy_from_slice(&early);
            self.scan(index, early.len(), |_| Err(Fault::Unasked))?;
        }
        Ok(())
    }

    fn scan<F>(&mut self, index: usize, length: usize, arrived: F) -> Result<(), Error>
    where
        F: FnMut(Stamp) -> Result<(), Fault>,
    {
        let (link, bytes) = (&mut self.links[index], &self.buffer[..length]);
        link.scanner
            .scan(&self.format, bytes, &mut self.replies, arrived)
            .map_err(|fault| faulty(index, &fault))?;
        if !self.replies.is_empty() {
            link.send(&self.replies).map_err(|error| failed(index, &error))?;
            self.replies.clear();
        }
        Ok(())
    }

    /// Sends up to `messages` messages numbered from `first` on. Returns how many of them were sent
    /// or queued until the socket is writable: fewer than `messages` only if the socket is full.
    pub(crate) fn send(
        &mut self,
        index: usize,
        first: Stamp,
        messages: usize,
    ) -> Result<usize, Error> {
        let link = &mut self.links[index];
        let mut taken = 0;
        while taken < messages && link.unsent.is_empty() {
            let (more, bytes) = self.format.encode(first.plus(taken), messages - taken);
            link.send(bytes).map_err(|error| failed(index, &error))?;
            taken += more;
        }
        Ok(taken)
    }

    /// Sends unsent output. Returns whether all of it was sent.
    pub(crate) fn flush(&mut self, index: usize) -> Result<bool, Error> {
        let link = &mut self.links[index];
        link.unsent.flush(&mut link.stream).map_err(|error| failed(index, &error))
    }

    /// Shrinks the receive buffer of a connection that is not read from.
    pub(super) fn narrow(&mut self, index: usize) -> Result<(), Error> {
        const NARROW: usize = 4096;
        SockRef::from(&self.links[index].stream)
            .set_recv_buffer_size(NARROW)
            .map_err(Error::system("cannot set the size of a socket's buffer"))
    }

    /// Ends every connection in an orderly way, without waiting for an answer.
    pub(crate) fn close(self) {
        let goodbye = self.format.goodbye();
        for mut link in self.links {
            if link.unsent.is_empty() {
                // The measurement is complete, so failures no longer matter.
                let _ = link.stream.write(&goodbye);
            }
        }
    }
}

impl Link {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.send(&mut self.stream, bytes)
    }
}

fn failed(index: usize, error: &io::Error) -> Error {
    let fault = match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Fault::closed(),
        _ => Fault::Other(format!("the connection failed: {error}")),
    };
    faulty(index, &fault)
}

fn faulty(index: usize, fault: &Fault) -> Error {
    Error::Connection { index, fault: fault.to_string() }
}
