//! The protocols of a connection, without I/O: bytes and the time go in, messages and bytes come
//! out.
//!
//! Nothing here knows a socket, reads a clock or draws randomness. The owner of a [`WebSocket`]
//! passes in the received bytes, the time and the mask keys, and sends what was written. The parts
//! ([`FrameHeader`], [`apply_mask`], [`Utf8Validator`], [`handshake`], [`http`]) can be used on
//! their own.
//!
//! This is how to drive a [`WebSocket`] without the event loop, here over a blocking stream:
//!
//! ```
//! use std::io::ErrorKind::{TimedOut, WouldBlock};
//! use std::io::{self, Read, Write};
//! use std::net::TcpStream;
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//!
//! use eventwire::Time;
//! use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
//! use eventwire::proto::{
//!     BufferPool, Event, Handled, Incoming, Limits, MaskKeys, State, WebSocket, Workspace,
//! };
//!
//! /// Sends every message back until the connection ends.
//! fn echo(mut stream: TcpStream) -> io::Result<()> {
//!     let started = Instant::now();
//!     let now = || Time::BEGINNING + started.elapsed();
//!     let mut socket = WebSocket::server(Arc::new(Limits::default()), now());
//!     let mut mask_keys = MaskKeys::new(|_| unreachable!("a server does not mask"));
//!     let (mut out, mut pool) = (Vec::new(), BufferPool::default());
//!     let mut input = vec![0; 16 * 1024];
//!
//!     while socket.state() != State::Closed {
//!         // Wait for bytes until the deadline.
//!         let wait = socket.deadline().map(|deadline| deadline.since(now()));
//!         stream.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
//!         let received = match stream.read(&mut input) {
//!             Ok(0) => break,
//!             Ok(count) => count,
//!             Err(error) if matches!(error.kind(), WouldBlock | TimedOut) => 0,
//!             Err(error) => return Err(error),
//!         };
//!         let mut workspace =
//!             Workspace { out: &mut out, mask_keys: &mut mask_keys, pool: &mut pool, now: now() };
//!         // Either writes what the peer must get, and closes if the peer is at fault.
//!         let _ = socket.handle_timeout(&mut workspace);
//!         let mut at = 0;
//!         while let Ok(Handled { consumed, event: Some(event) }) =
//!             socket.handle_input(&mut input[at..received], &mut workspace)
//!         {
//!             at += consumed;
//!             match event {
//!                 Event::Request(head) => {
//!                     match UpgradeRequest::parse(&head, Limits::default().head_limits()) {
//!                         Ok(request) => {
//!                             socket.accept(&request, &Acceptance::new(), &mut workspace);
//!                         }
//!                         Err(error) => socket.refuse(&error.refusal(), &mut workspace),
//!                     }
//!                 }
//!                 Event::Message(incoming) => {
//!                     socket.send(incoming.message(), &mut workspace);
//!                     if let Incoming::Assembled(_, buffer) = incoming {
//!                         workspace.pool.recycle(buffer);
//!                     }
//!                 }
//!                 _ => {}
//!             }
//!         }
//!         stream.write_all(&out)?;
//!         out.clear();
//!     }
//!     Ok(())
//! }
//! #
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let mut client = TcpStream::connect(listener.local_addr()?)?;
//! # let server = std::thread::spawn(move || echo(listener.accept()?.0));
//! # client.write_all(b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
//! #     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//! #     Sec-WebSocket-Version: 13\r\n\r\n\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0")?;
//! # let mut response = Vec::new();
//! # client.read_to_end(&mut response)?;
//! # assert!(response.ends_with(b"\r\n\r\n\x81\x02hi\x88\0"));
//! # server.join().expect("the server does not panic")?;
//! # Ok::<(), io::Error>(())
//! ```

#[cfg_attr(
    not(feature = "deflate"),
    expect(dead_code, unreachable_pub, reason = "without a codec nothing is ever agreed")
)]
mod deflate;
pub(crate) mod event_stream;
pub mod handshake;
pub mod http;
pub(crate) mod json;
pub(crate) mod proxy_protocol;
pub(crate) mod stream;
mod websocket;

pub use deflate::DeflateAgreement;
#[cfg(feature = "deflate")]
pub use deflate::DeflateConfig;
pub(crate) use deflate::{CompressibleFrames, CompressionCache};
#[cfg(feature = "deflate")]
use websocket::StoragePool;
pub use websocket::{
    AsOutgoing, Buffer, BufferPool, ClientHandshake, CloseCode, CloseFrame, Event, FrameHeader,
    Handled, Incoming, InvalidUtf8, Limits, MaskKeys, Message, OpCode, Outgoing, PeerError,
    PreparedMessage, ProtocolError, Role, State, TimedOut, Utf8Validator, WebSocket, Workspace,
    apply_mask, write_frame,
};
pub(crate) use websocket::{
    HEADROOM_BYTES, Payload, RequestStage, WholeMessages, WorkBudget, extra_headers, write_payload,
};
