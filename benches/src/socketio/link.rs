//! A connection of a session.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::unsent::{Unsent, would_block};

/// The response that a connection awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    Nothing,
    /// The server takes what was posted.
    Receipt,
    /// Packets.
    Payload,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Bytes(usize),
    Nothing,
    End,
}

#[derive(Debug)]
pub(super) struct Link {
    stream: TcpStream,
    /// The beginning of what has not come in whole.
    pub(super) input: Vec<u8>,
    unsent: Unsent,
    pub(super) awaited: Awaited,
    /// The last request.
    request: Vec<u8>,
}

impl Link {
    /// Begins to connect. What is sent meanwhile waits.
    pub(super) fn dial(
        address: SocketAddr,
        token: Token,
        registry: &Registry,
    ) -> Result<Self, String> {
        let mut stream = TcpStream::connect(address).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, token, both).map_err(text)?;
        Ok(Self {
            stream,
            input: Vec::new(),
            unsent: Unsent::default(),
            awaited: Awaited::Nothing,
            request: Vec::new(),
        })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.unsent.send(&mut self.stream, bytes).or_else(unless_ended)
    }

    /// Sends a request.
    pub(super) fn request(&mut self, bytes: Vec<u8>, awaited: Awaited) -> Result<(), String> {
        (self.request, self.awaited) = (bytes, awaited);
        self.unsent.send(&mut self.stream, &self.request).or_else(unless_ended)
    }

    /// Whether the server has ended the connection without a response, as it may end one that is
    /// kept alive. Then the request is sent again on another connection (RFC 9112 §9.3.1).
    pub(super) fn is_unanswered(&self) -> bool {
        self.awaited != Awaited::Nothing && self.input.is_empty()
    }

    /// Sends the request of another connection.
    pub(super) fn take_over(&mut self, other: &mut Self) -> Result<(), String> {
        self.request(std::mem::take(&mut other.request), other.awaited)
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        self.unsent.flush(&mut self.stream).map(drop).or_else(unless_ended)
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Input, String> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(Input::End),
            Ok(len) => Ok(Input::Bytes(len)),
            Err(error) if would_block(&error) || error.kind() == ErrorKind::NotConnected => {
                Ok(Input::Nothing)
            }
            Err(error) if is_end(&error) => Ok(Input::End),
            Err(error) => Err(text(error)),
        }
    }
}

fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Reading tells the end of a connection.
fn unless_ended(error: std::io::Error) -> Result<(), String> {
    if is_end(&error) { Ok(()) } else { Err(text(error)) }
}

impl Drop for Link {
    fn drop(&mut self) {
        // No port waits for late packets. If this fails, one does.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
