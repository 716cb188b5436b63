//! A peer that means harm, and notes how it is dealt with.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use eventwire::proto::{FrameHeader, OpCode, Role, apply_mask};
#[cfg(feature = "tls")]
use rustls::ClientConnection;
use socket2::{Domain, Socket, Type};

use super::service::Target;
#[cfg(feature = "tls")]
use crate::util::Secure;
use crate::util::{PATIENCE, Wire, request};

/// The other end of a connection, of which nothing is taken for granted.
#[derive(Debug)]
pub(super) struct Foe {
    wire: Wire,
    /// Bytes that came behind the head of the answer.
    input: Vec<u8>,
}

/// All that a foe was told until its stream ended.
#[derive(Debug)]
pub(super) struct Heard {
    bytes: Vec<u8>,
    /// The stream ended with a reset.
    pub(super) reset: bool,
}

impl Foe {
    /// Connects, over TLS with its handshake, and does nothing else.
    pub(super) fn open(target: Target) -> Self {
        let mut foe = Self::begin(target);
        foe.wire.shake_hands().expect("the handshake of TLS");
        foe
    }

    /// Connects, and does not even make the handshake of TLS.
    pub(super) fn begin(target: Target) -> Self {
        let stream = TcpStream::connect_timeout(&target.address, PATIENCE).expect("connect");
        Self::new(target.wire(stream))
    }

    /// Connects and asks for a WebSocket, and does not wait for the server to notice.
    pub(super) fn dial(target: Target) -> Self {
        let mut foe = Self::begin(target);
        foe.wire.say_when_possible(&request("/", "")).expect("write");
        foe
    }

    /// Connects and opens a WebSocket.
    pub(super) fn upgraded(target: Target) -> Self {
        Self::open(target).upgrade()
    }

    /// The same, with little room in the system for what arrives, and for what is sent.
    pub(super) fn narrow(target: Target) -> Self {
        let domain = Domain::for_address(target.address);
        let socket = Socket::new(domain, Type::STREAM, None).expect("socket");
        socket.set_recv_buffer_size(4096).expect("set the receive buffer");
        socket.set_send_buffer_size(4096).expect("set the send buffer");
        // The server's system makes room for so many segments; those of a loopback are huge.
        socket.set_tcp_mss(1024).expect("set the size of segments");
        socket.connect_timeout(&target.address.into(), PATIENCE).expect("connect");
        Self::new(target.wire(socket.into())).upgrade()
    }

    fn new(wire: Wire) -> Self {
        wire.be_patient();
        Self { wire, input: Vec::new() }
    }

    /// Opens a WebSocket.
    pub(super) fn upgrade(self) -> Self {
        self.upgrade_with("")
    }

    /// Opens a WebSocket with these headers, too.
    pub(super) fn upgrade_with(mut self, headers: &str) -> Self {
        assert!(self.write(&request("/", headers)));
        let mut head = Vec::new();
        let end = loop {
            if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            let mut piece = [0; 1024];
            let len = self.wire.read(&mut piece).expect("read");
            assert_ne!(len, 0, "the stream ended inside a head");
            head.extend_from_slice(&piece[..len]);
        };
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
        self.input = head.split_off(end);
        self
    }

    /// Sends bytes; `false` if the stream was cut.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        match self.wire.write_all(bytes).and_then(|()| self.wire.flush()) {
            Ok(()) => true,
            Err(error) => {
                assert!(is_cut(&error), "{error}");
                false
            }
        }
    }

    /// Sends bytes until they have gone, or the system takes no more for now; tells how many it
    /// took. `None`: the stream was cut. Over TLS the last record may have gone in part, and the
    /// rest of it goes with what is sent next.
    pub(super) fn pour(&mut self, bytes: &[u8]) -> Option<usize> {
        self.wire.socket().set_nonblocking(true).expect("set O_NONBLOCK");
        let mut at = 0;
        let mut alive = true;
        while at < bytes.len() {
            match self.wire.write(&bytes[at..]) {
                Ok(count) => at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    assert!(is_cut(&error), "{error}");
                    alive = false;
                    break;
                }
            }
        }
        self.wire.socket().set_nonblocking(false).expect("clear O_NONBLOCK");
        alive.then_some(at)
    }

    /// Ends the sending half of the stream, if it is still there.
    pub(super) fn finish(&mut self) {
        let _ = self.wire.finish();
    }

    /// Ends the stream with a reset.
    pub(super) fn reset(self) {
        self.wire.reset();
    }

    /// The socket beneath, for another thread.
    pub(super) fn socket(&self) -> TcpStream {
        self.wire.socket().try_clone().expect("clone the stream")
    }

    /// What the client begins the handshake of TLS with, for the test to send.
    #[cfg(feature = "tls")]
    pub(super) fn hello(&mut self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.secure().session.write_tls(&mut hello).expect("into memory");
        hello
    }

    /// Has TLS go on with other keys, and asks the server to do the same.
    #[cfg(feature = "tls")]
    pub(super) fn update_keys(&mut self) {
        self.secure().session.refresh_traffic_keys().expect("a version that has it");
        // It may be cut by now.
        let _ = self.wire.flush();
    }

    #[cfg(feature = "tls")]
    fn secure(&mut self) -> &mut Secure {
        match &mut self.wire {
            Wire::Secure(secure) => secure,
            Wire::Plain(_) => panic!("there is no TLS"),
        }
    }

    /// The session, and the stream beneath. Nothing that came is left behind.
    #[cfg(feature = "tls")]
    pub(super) fn into_session(self) -> (ClientConnection, TcpStream) {
        assert!(self.input.is_empty());
        match self.wire {
            Wire::Secure(secure) => (secure.session, secure.socket),
            Wire::Plain(_) => panic!("there is no TLS"),
        }
    }

    /// Reads until TLS ends with an alert.
    #[cfg(feature = "tls")]
    pub(super) fn hear_alert_or_end(&mut self) {
        let error = self.wire.read_to_end(&mut Vec::new()).expect_err("an end in order");
        assert!(is_cut(&error) || error.kind() == ErrorKind::InvalidData, "{error}");
    }

    /// Reads until the stream ends.
    pub(super) fn hear(&mut self) -> Heard {
        let mut bytes = std::mem::take(&mut self.input);
        let reset = match self.wire.read_to_end(&mut bytes) {
            Ok(_) => false,
            Err(error) => {
                assert!(is_cut(&error), "{error}");
                true
            }
        };
        Heard { bytes, reset }
    }

    /// Reads so many bytes.
    pub(super) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let kept = self.input.len().min(count);
        bytes[..kept].copy_from_slice(&self.input[..kept]);
        self.input.drain(..kept);
        self.wire.read_exact(&mut bytes[kept..]).expect("read");
        bytes
    }
}

impl Heard {
    /// The status of the one answer of HTTP that came.
    #[track_caller]
    pub(super) fn status(&self) -> u16 {
        let text = self.text();
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer of HTTP: {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
        let length = format!("\r\nContent-Length: {}", body.len());
        assert!(head.contains(&length), "more or less than one answer: {text:?}");
        assert!(head.contains("\r\nConnection: close"), "{text:?}");
        status
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The same without the head of the answer that came first.
    #[track_caller]
    pub(super) fn after_head(&self) -> Self {
        let end = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        Self { bytes: self.bytes[end + 4..].to_vec(), reset: self.reset }
    }

    /// The frames that came, whole, with their payloads.
    #[track_caller]
    pub(super) fn frames(&self) -> Vec<(OpCode, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            let parsed = FrameHeader::parse(rest, Role::Client).expect("a valid header");
            let (header, start) = parsed.expect("a whole header");
            let end = start + header.len as usize;
            assert!(end <= rest.len(), "half a frame");
            frames.push((header.opcode, rest[start..end].to_vec()));
            rest = &rest[end..];
        }
        frames
    }

    /// The code of the close frame, behind which nothing came.
    #[track_caller]
    pub(super) fn close_code(&self) -> u16 {
        let frames = self.frames();
        let closes = frames.iter().filter(|(opcode, _)| *opcode == OpCode::Close).count();
        match frames.last() {
            Some((OpCode::Close, payload)) if closes == 1 => {
                u16::from_be_bytes(*payload.first_chunk().expect("a code"))
            }
            _ => panic!("not one close frame at the end: {frames:?}"),
        }
    }
}

/// Whether the other end has ended the stream: over TLS without a word of it, too.
fn is_cut(error: &std::io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | BrokenPipe | UnexpectedEof)
}

/// Lets every foe send garbage until its stream is cut.
#[track_caller]
pub(super) fn feed_until_cut(mut foes: Vec<Foe>) {
    // As text, a control byte; as a frame, reserved bits.
    let garbage = [0xFF; 256];
    let start = Instant::now();
    while !foes.is_empty() {
        assert!(start.elapsed() < PATIENCE, "{} streams are still fed", foes.len());
        foes.retain_mut(|foe| foe.pour(&garbage).is_some());
        // The others need the processor, too.
        std::thread::yield_now();
    }
}

/// A frame as a client sends it.
pub(super) fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x5A, 0x33, 0xC4];
    let header =
        FrameHeader { fin, compressed: false, opcode, mask: Some(mask), len: payload.len() as u64 };
    let mut bytes = [0; FrameHeader::MAX_LEN];
    let len = header.encode(&mut bytes);
    let mut frame = [&bytes[..len], payload].concat();
    apply_mask(&mut frame[len..], mask, 0);
    frame
}
