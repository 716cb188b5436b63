use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::batch::Batch;
use super::frame::{CLOSE, PONG, control_frame};
use super::handshake;
use super::payload::Stamp;
use super::scanner::{Arrival, Expectation, Fault, Scanner};
use crate::error::Error;
use crate::target::{Target, Wire};
use crate::unsent::{Unsent, would_block};

/// All connections of a load on one mio poll. Each one is identified by its index.
#[derive(Debug)]
pub(crate) struct Links {
    wire: Wire,
    poll: Poll,
    links: Vec<Link>,
    expectation: Expectation,
    batch: Batch,
    mask: [u8; 4],
    buffer: Vec<u8>,
    /// Pings of the current read, to be answered after it.
    pings: Vec<Vec<u8>>,
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
/// The receive buffer of a connection that is not read from, in bytes.
const NARROW: usize = 4096;
/// The status of a close frame that ends an orderly connection (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;

impl Links {
    /// Makes `count` connections one after the other, for messages of `size` bytes. Up to `frames`
    /// of them leave in one write.
    pub(crate) fn open(
        target: &Target,
        count: usize,
        size: usize,
        frames: usize,
    ) -> Result<Self, Error> {
        let no_poll = "cannot wait for sockets";
        let poll = Poll::new().map_err(Error::system(no_poll))?;
        let mut entropy =
            File::open("/dev/urandom").map_err(Error::system("cannot open /dev/urandom"))?;
        let mut random = [0; 16];
        let mut links = Vec::with_capacity(count);
        for index in 0..count {
            entropy.read_exact(&mut random).map_err(Error::system("cannot read /dev/urandom"))?;
            let (stream, early) = handshake::open(target, None, random)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(Error::system(no_poll))?;
            let scanner = Scanner::default();
            links.push(Link { stream, scanner, early, unsent: Unsent::default() });
        }
        // The server knows the nonces, but mask keys need not be secret from it.
        let mask = [random[0], random[1], random[2], random[3]];
        Ok(Self {
            wire: target.wire,
            poll,
            links,
            expectation: Expectation::new(target.wire, size),
            batch: Batch::new(target.wire, size, frames, mask),
            mask,
            buffer: vec![0; BUFFER],
            pings: Vec::new(),
        })
    }

    /// Waits for readiness.
    pub(crate) fn wait(&mut self, events: &mut Events, timeout: Duration) -> Result<(), Error> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            result => result.map_err(Error::system("cannot wait for sockets")),
        }
    }

    /// Reads once, and passes on the stamps of the messages that became whole.
    pub(crate) fn read<F>(&mut self, index: usize, mut arrived: F) -> Result<ReadOutcome, Error>
    where
        F: FnMut(Stamp) -> Result<(), Fault>,
    {
        let length = match self.links[index].stream.read(&mut self.buffer) {
            Ok(0) => {
                return Err(Error::Connection { index, fault: Fault::Closed.to_string() });
            }
            Ok(length) => length,
            Err(error) if would_block(&error) => return Ok(ReadOutcome::Empty),
            Err(error) => return Err(failed(index, &error)),
        };
        self.scan(index, length, &mut arrived)?;
        let full = length == self.buffer.len();
        Ok(if full { ReadOutcome::Full } else { ReadOutcome::Short })
    }

    /// Handles the bytes that arrived right after the opening handshake.
    pub(crate) fn read_early<F>(&mut self, index: usize, mut arrived: F) -> Result<(), Error>
    where
        F: FnMut(Stamp) -> Result<(), Fault>,
    {
        let early = std::mem::take(&mut self.links[index].early);
        self.buffer[..early.len()].copy_from_slice(&early);
        self.scan(index, early.len(), &mut arrived)
    }

    fn scan<F>(&mut self, index: usize, length: usize, arrived: &mut F) -> Result<(), Error>
    where
        F: FnMut(Stamp) -> Result<(), Fault>,
    {
        let bytes = &self.buffer[..length];
        let pings = &mut self.pings;
        self.expectation
            .scan(&mut self.links[index].scanner, bytes, |arrival| match arrival {
                Arrival::Message(stamp) => arrived(stamp),
                Arrival::Ping(payload) => {
                    pings.push(payload.to_vec());
                    Ok(())
                }
            })
            .map_err(|fault| Error::Connection { index, fault: fault.to_string() })?;
        while let Some(payload) = self.pings.pop() {
            let pong = control_frame(PONG, &payload, self.mask);
            self.links[index].send(&pong).map_err(|error| failed(index, &error))?;
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
        let mut stamp = first;
        let mut taken = 0;
        while taken < messages && link.unsent.is_empty() {
            let frames = (messages - taken).min(self.batch.capacity());
            let bytes = self.batch.fill(stamp, frames);
            link.send(bytes).map_err(|error| failed(index, &error))?;
            stamp = stamp.plus(frames);
            taken += frames;
        }
        Ok(taken)
    }

    /// Sends unsent output. Returns whether all of it was sent.
    pub(crate) fn flush(&mut self, index: usize) -> Result<bool, Error> {
        let link = &mut self.links[index];
        link.unsent.flush(&mut link.stream).map_err(|error| failed(index, &error))
    }

    /// Shrinks the receive buffer of a connection that is not read from.
    pub(crate) fn narrow(&mut self, index: usize) -> Result<(), Error> {
        SockRef::from(&self.links[index].stream)
            .set_recv_buffer_size(NARROW)
            .map_err(Error::system("cannot set the size of a socket's buffer"))
    }

    /// Sends a close frame on every connection, without waiting for an answer.
    pub(crate) fn close(self) {
        if self.wire == Wire::Tcp {
            return;
        }
        let frame = control_frame(CLOSE, &NORMAL.to_be_bytes(), self.mask);
        for mut link in self.links {
            if link.unsent.is_empty() {
                // The measurement is complete, so failures no longer matter.
                let _ = link.stream.write(&frame);
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
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Fault::Closed,
        _ => Fault::Failed(error.to_string()),
    };
    Error::Connection { index, fault: fault.to_string() }
}
