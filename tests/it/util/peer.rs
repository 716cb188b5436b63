use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use eventwire::Message;
use eventwire::proto::handshake::{Acceptance, Key, UpgradeRequest};
use eventwire::proto::http::HeadLimits;
use eventwire::proto::{CloseCode, CloseFrame, FrameHeader, OpCode, Role, apply_mask};
use socket2::{Domain, SockRef, Socket, Type};

#[cfg(feature = "tls")]
use super::Secure;
use super::{PATIENCE, Received, Target, Wire};
use crate::shared::frames::encode;

/// A scripted peer over a real socket: it sends what a test wants, right or wrong. Every wait has
/// a limit.
///
/// Methods without a result fail their test if the stream was cut; [`Peer::try_write`],
/// [`Peer::pour`] and [`Peer::until_end`] report a cut instead.
#[derive(Debug)]
pub(crate) struct Peer {
    wire: Wire,
    role: Role,
    /// Received, and not taken by the test.
    input: Vec<u8>,
    /// Counts frames, so that each has another mask key.
    sent: u8,
}

/// One frame as it arrived, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) opcode: OpCode,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Peer {
    /// Connects, with the TLS handshake if there is one, and sends nothing else.
    pub(crate) fn open(target: impl Into<Target>) -> Self {
        let mut peer = Self::begin(target);
        peer.wire.shake_hands().expect("the TLS handshake");
        peer
    }

    /// Connects, without the TLS handshake.
    pub(crate) fn begin(target: impl Into<Target>) -> Self {
        let target = target.into();
        let stream = TcpStream::connect_timeout(&target.address, PATIENCE).expect("connect");
        Self::over(target.wire(stream), Role::Client)
    }

    /// Connects from this address of the machine, with the TLS handshake if there is one.
    pub(crate) fn open_from(address: [u8; 4], target: impl Into<Target>) -> Self {
        let target = target.into();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        // The port is chosen when it connects, so that addresses do not run out of them.
        socket.set_reuse_address(true).expect("set SO_REUSEADDR");
        let from = SocketAddr::from((address, 0));
        socket.bind(&from.into()).expect("every address that begins with 127 is this machine's");
        socket.connect_timeout(&target.address.into(), PATIENCE).expect("connect");
        let mut peer = Self::over(target.wire(socket.into()), Role::Client);
        peer.wire.shake_hands().expect("the TLS handshake");
        peer
    }

    /// Connects and requests a WebSocket without waiting for the server.
    pub(crate) fn dial(target: impl Into<Target>) -> Self {
        let mut peer = Self::begin(target);
        peer.wire.write_when_possible(&request("/", "")).expect("write");
        peer
    }

    /// Connects with small system buffers, so that unread output soon backs up, and opens a
    /// WebSocket.
    pub(crate) fn narrow(target: impl Into<Target>) -> Self {
        Self::begin_narrow(target).upgrade()
    }

    /// The same, without a WebSocket.
    pub(crate) fn begin_narrow(target: impl Into<Target>) -> Self {
        let target = target.into();
        let domain = Domain::for_address(target.address);
        let socket = Socket::new(domain, Type::STREAM, None).expect("socket");
        socket.set_recv_buffer_size(4096).expect("set the receive buffer");
        socket.set_send_buffer_size(4096).expect("set the send buffer");
        // The server's system makes room for a number of segments; those of a loopback are huge.
        socket.set_tcp_mss(1024).expect("set the size of segments");
        socket.connect_timeout(&target.address.into(), PATIENCE).expect("connect");
        Self::over(target.wire(socket.into()), Role::Client)
    }

    /// Connects and opens a WebSocket.
    pub(crate) fn connect(target: impl Into<Target>) -> Self {
        Self::open(target).upgrade()
    }

    /// Connects, asks with these further headers, and returns the head of the answer.
    pub(crate) fn ask(target: impl Into<Target>, headers: &str) -> (Self, String) {
        let mut peer = Self::open(target);
        peer.write(&request("/", headers));
        let head = peer.head();
        (peer, head)
    }

    /// Accepts a connection and its WebSocket: the server's side.
    pub(crate) fn accept(listener: &TcpListener) -> Self {
        let (mut peer, request) = Self::accept_request(listener);
        peer.answer(&request, "");
        peer
    }

    /// Accepts a connection and returns the request, which is still to be answered.
    pub(crate) fn accept_request(listener: &TcpListener) -> (Self, String) {
        // On Linux it holds for accept(2) too (socket(7)).
        SockRef::from(listener).set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        let (stream, _) = listener.accept().expect("accept");
        let mut peer = Self::new(stream, Role::Server);
        let request = peer.head();
        (peer, request)
    }

    /// Accepts `request`, with these further headers.
    pub(crate) fn answer(&mut self, request: &str, headers: &str) {
        self.write(&Self::acceptance(request, headers));
    }

    /// The answer that accepts `request`, with these further headers.
    pub(crate) fn acceptance(request: &str, headers: &str) -> Vec<u8> {
        let request =
            UpgradeRequest::parse(request.as_bytes(), &HeadLimits::default()).expect("request");
        let mut answer = Vec::new();
        Acceptance::new().write(&request.key(), &mut answer);
        answer.truncate(answer.len() - b"\r\n".len());
        [&answer, headers.as_bytes(), b"\r\n"].concat()
    }

    /// The client's end of a stream that was connected elsewhere.
    pub(crate) fn client(stream: TcpStream) -> Self {
        Self::new(stream, Role::Client)
    }

    fn new(stream: TcpStream, role: Role) -> Self {
        Self::over(Wire::Plain(stream), role)
    }

    fn over(wire: Wire, role: Role) -> Self {
        wire.be_patient();
        Self { wire, role, input: Vec::new(), sent: 0 }
    }

    /// Opens a WebSocket.
    pub(crate) fn upgrade(self) -> Self {
        self.upgrade_with("")
    }

    /// Opens a WebSocket with these further headers.
    pub(crate) fn upgrade_with(mut self, headers: &str) -> Self {
        self.write(&request("/", headers));
        let head = self.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    /// The socket beneath, for another thread.
    pub(crate) fn stream(&self) -> TcpStream {
        self.wire.socket().try_clone().expect("clone the stream")
    }

    // Sending.

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).and_then(|()| self.wire.flush()).expect("write");
    }

    /// Sends bytes as they are; `false` if the stream was cut.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> bool {
        match self.wire.write_all(bytes).and_then(|()| self.wire.flush()) {
            Ok(()) => true,
            Err(error) => {
                assert!(is_cut(&error), "{error}");
                false
            }
        }
    }

    /// Sends bytes until all are sent or the system takes no more for now, and returns how many it
    /// took; `None` if the stream was cut. Over TLS a part of the last record may still wait, and
    /// leaves with the next write.
    pub(crate) fn pour(&mut self, bytes: &[u8]) -> Option<usize> {
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

    /// Sends a message.
    pub(crate) fn send<'m>(&mut self, message: impl Into<Message<'m>>) {
        let frame = self.encode_message(message);
        self.write(&frame);
    }

    /// Sends one frame.
    pub(crate) fn send_frame(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) {
        let frame = self.encode(fin, opcode, payload);
        self.write(&frame);
    }

    /// Sends a close frame.
    pub(crate) fn send_close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.send_frame(true, OpCode::Close, &payload);
    }

    /// A message as this peer would send it.
    pub(crate) fn encode_message<'m>(&mut self, message: impl Into<Message<'m>>) -> Vec<u8> {
        let message = message.into();
        let opcode = match message {
            Message::Text(_) => OpCode::Text,
            Message::Binary(_) => OpCode::Binary,
        };
        self.encode(true, opcode, message.as_bytes())
    }

    /// A frame as this peer would send it.
    pub(crate) fn encode(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        self.sent = self.sent.wrapping_add(1);
        let mask = (self.role == Role::Client).then_some([self.sent, 0x5A, 0x33, 0xC4]);
        encode(fin, opcode, mask, payload)
    }

    /// Ends the sending half of the stream, unless the stream was cut.
    pub(crate) fn finish(&mut self) {
        let _ = self.wire.finish();
    }

    /// Ends the stream with a reset.
    pub(crate) fn reset(self) {
        self.wire.reset();
    }

    // Receiving.

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Frame {
        self.next_frame().expect("a frame instead of the end of the stream")
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            if self.fill() == 0 {
                assert_eq!(self.input, b"", "the stream ended inside a frame");
                return None;
            }
        }
    }

    /// The next frame; `None` once the stream is cut, even inside a frame.
    #[cfg(feature = "sqlite")]
    pub(crate) fn frame_unless_cut(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            match self.try_fill() {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    assert!(is_cut(&error), "{error}");
                    return None;
                }
            }
        }
    }

    /// A frame that has arrived whole.
    fn take_frame(&mut self) -> Option<Frame> {
        let parsed = FrameHeader::parse(&self.input, self.role).expect("a valid header");
        let (header, at) = parsed?;
        let end = at + header.len as usize;
        if self.input.len() < end {
            return None;
        }
        let mut payload = self.input[at..end].to_vec();
        apply_mask(&mut payload, header.mask.unwrap_or_default(), 0);
        self.input.drain(..end);
        let FrameHeader { fin, opcode, mask, .. } = header;
        Some(Frame { fin, opcode, mask, payload })
    }

    /// Expects this message next, in one frame.
    #[track_caller]
    pub(crate) fn expect<'m>(&mut self, message: impl Into<Message<'m>>) {
        let message = message.into();
        let opcode = match message {
            Message::Text(_) => OpCode::Text,
            Message::Binary(_) => OpCode::Binary,
        };
        self.expect_frame(opcode, message.as_bytes());
    }

    /// Expects this frame next.
    #[track_caller]
    pub(crate) fn expect_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let frame = self.frame();
        assert_eq!((frame.fin, frame.opcode), (true, opcode), "{frame:?}");
        assert_eq!(frame.payload.len(), payload.len());
        assert!(frame.payload == payload, "{frame:?}");
    }

    /// Expects a close frame with this code next; returns its reason.
    #[track_caller]
    pub(crate) fn expect_close(&mut self, code: CloseCode) -> String {
        let frame = self.frame();
        assert_eq!(frame.opcode, OpCode::Close, "{frame:?}");
        let close = CloseFrame::parse(&frame.payload).expect("a valid close frame");
        assert_eq!(close.map(|close| close.code), Some(code));
        close.map_or_else(String::new, |close| close.reason.to_owned())
    }

    /// Expects the stream to end, in order, before anything else arrives.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let read = self.fill();
        assert_eq!((read, &self.input[..]), (0, &b""[..]));
    }

    /// Whether nothing has arrived that was not looked at, on a stream without TLS.
    pub(crate) fn is_silent(&self) -> bool {
        let socket = self.wire.socket();
        socket.set_nonblocking(true).expect("set O_NONBLOCK");
        let peeked = socket.peek(&mut [0]);
        socket.set_nonblocking(false).expect("clear O_NONBLOCK");
        self.input.is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether nothing arrives for this long.
    pub(crate) fn stays_silent_for(&mut self, time: Duration) -> bool {
        let socket = self.wire.socket();
        socket.set_read_timeout(Some(time)).expect("set the read timeout");
        let peeked = socket.peek(&mut [0]);
        socket.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        self.input.is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// The next HTTP head, up to its empty line.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = self.input.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head of UTF-8");
            }
            assert_ne!(self.fill(), 0, "the stream ended inside a head");
        }
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count {
            assert_ne!(self.fill(), 0, "the stream ended too soon");
        }
        self.input.drain(..count).collect()
    }

    /// Everything until the stream ends or is cut.
    pub(crate) fn until_end(&mut self) -> Received {
        let mut bytes = std::mem::take(&mut self.input);
        let reset = match self.wire.read_to_end(&mut bytes) {
            Ok(_) => false,
            Err(error) => {
                assert!(is_cut(&error), "{error}");
                true
            }
        };
        Received { bytes, reset }
    }

    /// Everything until the stream ends, as text.
    pub(crate) fn rest(&mut self) -> String {
        while self.fill() > 0 {}
        String::from_utf8(std::mem::take(&mut self.input)).expect("UTF-8")
    }

    fn fill(&mut self) -> usize {
        self.try_fill().expect("read")
    }

    fn try_fill(&mut self) -> io::Result<usize> {
        let start = self.input.len();
        self.input.resize(start + 64 * 1024, 0);
        let read = self.wire.read(&mut self.input[start..]);
        self.input.truncate(start + read.as_ref().map_or(0, |read| *read));
        read
    }
}

#[cfg(feature = "tls")]
impl Peer {
    /// The first message of the TLS handshake, for the test to send.
    pub(crate) fn hello(&mut self) -> Vec<u8> {
        let mut hello = Vec::new();
        self.secure().session.write_tls(&mut hello).expect("into memory");
        hello
    }

    /// Updates the TLS keys, and requests the same from the server.
    pub(crate) fn update_keys(&mut self) {
        self.secure().session.refresh_traffic_keys().expect("a version that has it");
        // The stream may have been cut.
        let _ = self.wire.flush();
    }

    /// The session, and the socket beneath. Nothing that arrived is left behind.
    pub(crate) fn into_session(self) -> (rustls::ClientConnection, TcpStream) {
        assert!(self.input.is_empty());
        match self.wire {
            Wire::Secure(secure) => (secure.session, secure.socket),
            Wire::Plain(_) => panic!("there is no TLS"),
        }
    }

    /// Expects TLS to end with an alert, or the stream to be cut.
    pub(crate) fn expect_alert_or_cut(&mut self) {
        let error = self.wire.read_to_end(&mut Vec::new()).expect_err("an end in order");
        assert!(is_cut(&error) || error.kind() == ErrorKind::InvalidData, "{error}");
    }

    fn secure(&mut self) -> &mut Secure {
        match &mut self.wire {
            Wire::Secure(secure) => secure,
            Wire::Plain(_) => panic!("there is no TLS"),
        }
    }
}

/// Whether the other end has ended the stream, over TLS also without an alert.
fn is_cut(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | BrokenPipe | UnexpectedEof)
}

/// A frame as a client sends it.
pub(crate) fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    encode(fin, opcode, Some([0x11, 0x5A, 0x33, 0xC4]), payload)
}

/// An opening request for `target`, with these lines beside what is needed.
pub(crate) fn request(target: &str, headers: &str) -> Vec<u8> {
    let key = Key::from_nonce(*b"sixteen of bytes");
    let key = String::from_utf8_lossy(key.as_bytes());
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\
        {headers}\r\n"
    )
    .into_bytes()
}
