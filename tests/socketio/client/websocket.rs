//! A session over a WebSocket.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventwire::proto::{FrameHeader, OpCode, Role};
use serde_json::Value;
use sha1::{Digest, Sha1};
use socket2::SockRef;

use super::http::{HttpConnection, Response};
use super::packets::Packet;
use super::{Target, open_packet};
use crate::frames::encode;

/// The key of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x11, 0x5A, 0x33, 0xC4];

#[derive(Debug)]
pub(crate) struct WebSocket {
    connection: HttpConnection,
}

/// The opening request for `target`, with these further lines.
pub(crate) fn opening(target: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\
        {headers}\r\n"
    )
    .into_bytes()
}

/// A frame with a mask.
pub(crate) fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    encode(fin, opcode, Some(MASK), payload)
}

impl WebSocket {
    /// Opens a session, and returns the payload of its open packet, too.
    pub(crate) fn open(target: &Target) -> (Self, Value) {
        Self::open_with(target, "", "")
    }

    /// Opens a session with further parameters and headers.
    pub(crate) fn open_with(target: &Target, query: &str, headers: &str) -> (Self, Value) {
        let query = format!("EIO=4&transport=websocket{query}");
        let mut socket = Self::dial_with(target, &query, headers)
            .unwrap_or_else(|refusal| panic!("refused: {refusal:?}"));
        let open = open_packet(socket.next());
        (socket, open)
    }

    /// Opens a WebSocket for the session `sid`.
    #[track_caller]
    pub(crate) fn for_session(target: &Target, sid: &str) -> Self {
        Self::dial(target, &format!("EIO=4&transport=websocket&sid={sid}"))
            .unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
    }

    /// Opens a WebSocket, or gets the refusal, `None` if the connection is closed without one.
    pub(crate) fn dial(target: &Target, query: &str) -> Result<Self, Option<Response>> {
        Self::dial_with(target, query, "")
    }

    pub(crate) fn dial_with(
        target: &Target,
        query: &str,
        headers: &str,
    ) -> Result<Self, Option<Response>> {
        let mut connection = HttpConnection::open(target.address);
        connection.write(&opening(&format!("/socket.io/?{query}"), headers));
        Self::over(connection)
    }

    /// Takes the response to the opening request.
    pub(crate) fn over(mut connection: HttpConnection) -> Result<Self, Option<Response>> {
        match connection.try_response() {
            Some(response) if response.status == 101 => {
                let hash = Sha1::digest(format!("{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
                let expected = STANDARD.encode(hash);
                assert_eq!(response.header("Sec-WebSocket-Accept"), Some(expected.as_str()));
                assert_eq!(response.header("Sec-WebSocket-Extensions"), None);
                Ok(Self { connection })
            }
            refusal => Err(refusal),
        }
    }

    /// Sends packets, each in a frame, in one write.
    #[track_caller]
    pub(crate) fn send(&mut self, packets: &[Packet]) {
        let frames = packets.iter().map(|packet| match packet {
            Packet::Text(text) => frame(true, OpCode::Text, text.as_bytes()),
            Packet::Binary(bytes) => frame(true, OpCode::Binary, bytes),
        });
        let bytes = frames.collect::<Vec<_>>().concat();
        self.write(&bytes);
    }

    #[track_caller]
    pub(crate) fn send_text(&mut self, text: &str) {
        self.send(&[Packet::text(text)]);
    }

    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.connection.write(bytes);
    }

    /// Sends bytes as they are; `false` if the stream was cut.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.connection.try_write(bytes)
    }

    /// Ends the stream with a reset.
    pub(crate) fn reset(self) {
        let socket = SockRef::from(&self.connection.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("set SO_LINGER");
    }

    /// The next frame; `None` at the end of the stream.
    #[track_caller]
    pub(crate) fn next_frame(&mut self) -> Option<(OpCode, Vec<u8>)> {
        let mut message: Option<(OpCode, Vec<u8>)> = None;
        loop {
            let input = &mut self.connection.input;
            let header = FrameHeader::parse(input, Role::Client).expect("a valid header");
            let whole = header.filter(|(head, at)| input.len() >= at + head.len as usize);
            let Some((header, at)) = whole else {
                if !self.connection.fill() {
                    return None;
                }
                continue;
            };
            let end = at + header.len as usize;
            let payload = input[at..end].to_vec();
            input.drain(..end);
            match &mut message {
                _ if header.opcode.is_control() => return Some((header.opcode, payload)),
                Some((_, begun)) => begun.extend(payload),
                None => message = Some((header.opcode, payload)),
            }
            if header.fin {
                return message;
            }
        }
    }

    /// The next packet, `None` once the WebSocket is closed. Answers pings.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Packet> {
        loop {
            let packet = self.next_unanswered()?;
            match &packet {
                // The WebSocket may be closed meanwhile.
                Packet::Text(text) if text == "2" => {
                    self.try_write(&frame(true, OpCode::Text, b"3"));
                }
                Packet::Text(text) if text == "6" => {}
                _ => return Some(packet),
            }
        }
    }

    /// The next packet, `None` once the WebSocket is closed. Leaves pings to the test.
    #[track_caller]
    pub(crate) fn next_unanswered(&mut self) -> Option<Packet> {
        loop {
            match self.next_frame()? {
                (OpCode::Text, payload) => {
                    let text = String::from_utf8(payload).expect("text of UTF-8");
                    return if text == "1" { None } else { Some(Packet::Text(text)) };
                }
                (OpCode::Binary, payload) => return Some(Packet::Binary(payload)),
                (OpCode::Close, _) => return None,
                (OpCode::Ping, payload) => {
                    self.try_write(&frame(true, OpCode::Pong, &payload));
                }
                _ => {}
            }
        }
    }

    /// Whether the WebSocket is closed before it gets a message. Some servers end it with an HTTP
    /// response, which is no frame.
    #[track_caller]
    pub(crate) fn ends_at_once(&mut self) -> bool {
        loop {
            match FrameHeader::parse(&self.connection.input, Role::Client) {
                Ok(Some((header, _))) => return header.opcode == OpCode::Close,
                Err(_) => return true,
                Ok(None) if self.connection.fill() => {}
                Ok(None) => return true,
            }
        }
    }

    /// The next packet is this one.
    #[track_caller]
    pub(crate) fn expect_text(&mut self, text: &str) {
        assert_eq!(self.next(), Some(Packet::text(text)));
    }

    /// The WebSocket is closed. What arrives before is skipped.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        while self.next().is_some() {}
    }
}
