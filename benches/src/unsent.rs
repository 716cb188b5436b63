use std::io::{self, Write};

/// The output of a connection that the kernel did not accept, in order.
///
/// While it is not empty, the socket's buffer is full, and a writable edge will follow.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    bytes: Vec<u8>,
    /// How many of `bytes` were sent since. Less than its length unless both are 0.
    sent: usize,
}

impl Unsent {
    /// Whether the connection accepts more output.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes are unsent.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Sends `bytes` after the unsent ones, and keeps what the kernel does not accept.
    pub(crate) fn send(&mut self, stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        let taken = if self.is_empty() { write(stream, bytes)? } else { 0 };
        self.bytes.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends the unsent bytes, and returns whether none are left.
    pub(crate) fn flush(&mut self, stream: &mut impl Write) -> io::Result<bool> {
        if self.is_empty() {
            return Ok(true);
        }
        self.sent += write(stream, &self.bytes[self.sent..])?;
        if self.sent < self.bytes.len() {
            return Ok(false);
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(true)
    }
}

/// Whether the call can be repeated at the next edge. Calls on non-blocking sockets are never
/// interrupted.
pub(crate) fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn write(stream: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if would_block(&error) => Ok(0),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts `room` bytes, then blocks.
    struct Pipe {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let length = bytes.len().min(self.room);
            self.room -= length;
            self.taken.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_leave_in_order_as_room_appears() {
        let mut pipe = Pipe { room: 4, taken: Vec::new() };
        let mut unsent = Unsent::default();
        unsent.send(&mut pipe, b"abcdef").unwrap();
        assert_eq!(unsent.len(), 2);
        pipe.room = 1;
        assert!(!unsent.flush(&mut pipe).unwrap());
        pipe.room = 9;
        unsent.send(&mut pipe, b"gh").unwrap();
        assert_eq!(pipe.taken, b"abcde");
        assert!(unsent.flush(&mut pipe).unwrap());
        assert!(unsent.is_empty());
        assert_eq!(pipe.taken, b"abcdefgh");
    }
}
