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
        let (input, unsent) = (Vec::new(), Unsent::default());
        Ok(Self { stream, input, unsent, awaited: Awaited::Nothing })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.unsent.send(&mut self.stream, bytes).map_err(text)
    }

    /// Sends a request.
    pub(super) fn request(&mut self, bytes: &[u8], awaited: Awaited) -> Result<(), String> {
        self.awaited = awaited;
        self.send(bytes)
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        self.unsent.flush(&mut self.stream).map(drop).map_err(text)
    }

    /// Reads what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Input, String> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(Input::End),
            Ok(len) => Ok(Input::Bytes(len)),
            Err(error) if would_block(&error) || error.kind() == ErrorKind::NotConnected => {
                Ok(Input::Nothing)
            }
            Err(error) => Err(text(error)),
        }
    }
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
