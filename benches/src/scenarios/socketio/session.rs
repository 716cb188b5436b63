//! One session as a state machine: bytes in, packets and bytes out.
//!
//! Over polling it posts on the connection of its GETs until it has joined, and on another one
//! afterwards, because a GET waits on the first. So do stock clients.

use super::response::Response;
use crate::target::Target;

/// Path and query of a Socket.IO server without its transport.
const PATH: &str = "/socket.io/?EIO=4&transport=";
/// How the packets begin with which a session joins: Engine.IO's and Socket.IO's, and the event
/// that the server emits to every session once.
const JOINING: [&[u8]; 3] = [b"0{", b"40{", b"42[\"auth\","];
/// Separates the packets of one payload.
const SEPARATOR: u8 = 0x1e;
/// How often a session sends requests again.
const REPEATED_MAX: usize = 100;
/// The first bytes of frames.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    WebSocket,
    Polling,
    /// As messages of a WebSocket without Socket.IO.
    Plain,
}

/// The connection of the WebSocket, or of the GETs.
pub(super) const MAIN: usize = 0;
/// The connection of the POSTs.
pub(super) const POSTS: usize = 1;

#[derive(Debug)]
pub(super) struct Session {
    transport: Transport,
    /// Whether frames follow instead of HTTP.
    is_upgraded: bool,
    /// How many of the packets of [`JOINING`] were received.
    step: usize,
    host: String,
    path: String,
    connections: [Connection; 2],
    /// The payload of the next POST.
    payload: Vec<u8>,
    /// What was received since it has joined, and is still to be checked.
    pub(super) packets: Vec<Vec<u8>>,
    /// How many requests were sent again on other connections.
    pub(super) repeated: usize,
}

#[derive(Debug, Default)]
struct Connection {
    /// The beginning of a response or a frame that is not whole.
    input: Vec<u8>,
    output: Vec<u8>,
    /// The request that has no response, or empty.
    request: Vec<u8>,
}

impl Session {
    pub(super) fn new(transport: Transport, target: &Target) -> Self {
        let path = match transport {
            Transport::WebSocket => format!("{PATH}websocket"),
            Transport::Polling => format!("{PATH}polling"),
            Transport::Plain => target.path.clone(),
        };
        let mut session = Self {
            transport,
            is_upgraded: false,
            step: if transport == Transport::Plain { JOINING.len() } else { 0 },
            host: target.authority(),
            path,
            connections: Default::default(),
            payload: Vec::new(),
            packets: Vec::new(),
            repeated: 0,
        };
        session.request();
        session
    }

    pub(super) fn has_joined(&self) -> bool {
        self.step == JOINING.len() && (self.is_polling() || self.is_upgraded)
    }

    fn is_polling(&self) -> bool {
        self.transport == Transport::Polling
    }

    /// The bytes to send on a connection, which is opened for them if necessary.
    pub(super) fn output(&mut self, connection: usize) -> &mut Vec<u8> {
        &mut self.connections[connection].output
    }

    pub(super) fn send(&mut self, packet: &[u8]) {
        self.queue(packet);
        self.request();
    }

    /// Handles what was received on a connection.
    pub(super) fn receive(&mut self, connection: usize, bytes: &[u8]) -> Result<(), String> {
        let mut input = std::mem::take(&mut self.connections[connection].input);
        input.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(len) = self.take(connection, &input[at..])? {
            at += len;
        }
        input.drain(..at);
        self.connections[connection].input = input;
        self.request();
        Ok(())
    }

    /// Handles the end of a connection and its reason. A server may end one that is kept alive
    /// instead of responding. Then the request is sent again on another one (RFC 9112 §9.3.1).
    pub(super) fn disconnected(&mut self, connection: usize, reason: String) -> Result<(), String> {
        let may_repeat = self.is_polling() && self.repeated < REPEATED_MAX;
        let Connection { input, output, request } = &mut self.connections[connection];
        if connection == POSTS && request.is_empty() {
            return Ok(());
        }
        if !may_repeat || request.is_empty() || !input.is_empty() {
            return Err(reason);
        }
        output.clone_from(request);
        self.repeated += 1;
        Ok(())
    }

    /// Handles the response or the frame at the beginning of the input, and returns its length.
    /// `None` if it is not whole.
    fn take(&mut self, connection: usize, input: &[u8]) -> Result<Option<usize>, String> {
        if !self.is_upgraded {
            let Some(response) = Response::parse(input)? else { return Ok(None) };
            self.handle_response(connection, response)?;
            return Ok(Some(response.len));
        }
        let Some((payload, len)) = frame(input) else { return Ok(None) };
        match input[0] {
            TEXT => self.handle_packet(payload)?,
            PING => self.connections[MAIN].output.extend(masked_frame(PONG, payload)),
            first => return Err(format!("the server sent a frame that begins with {first:#x}")),
        }
        Ok(Some(len))
    }

    fn handle_response(&mut self, connection: usize, response: Response<'_>) -> Result<(), String> {
        let request = std::mem::take(&mut self.connections[connection].request);
        let expected = if self.is_polling() { 200 } else { 101 };
        if response.status != expected || request.is_empty() {
            let body = String::from_utf8_lossy(response.body);
            return Err(format!("the server answered {}: {body}", response.status));
        }
        self.is_upgraded = !self.is_polling();
        if self.is_upgraded || request.starts_with(b"POST") {
            return Ok(());
        }
        let mut packets = response.body.split(|byte| *byte == SEPARATOR);
        packets.try_for_each(|packet| self.handle_packet(packet))
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), String> {
        let is_event = self.transport == Transport::Plain || packet.starts_with(b"4");
        match JOINING.get(self.step) {
            None if is_event => self.packets.push(packet.to_vec()),
            Some(expected) if packet.starts_with(expected) => {
                if self.step == 0 {
                    self.open(&packet[1..])?;
                }
                self.step += 1;
            }
            _ if packet == b"2" => self.queue(b"3"),
            _ if packet == b"6" => {}
            _ => return Err(complaint(packet)),
        }
        Ok(())
    }

    /// Handles Engine.IO's open packet.
    fn open(&mut self, json: &[u8]) -> Result<(), String> {
        let open: serde_json::Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let id = open.get("sid").and_then(|id| id.as_str()).ok_or("the session has no id")?;
        self.path = format!("{PATH}polling&sid={id}");
        self.queue(b"40");
        Ok(())
    }

    /// Sends a packet over the WebSocket, or adds it to the next POST.
    fn queue(&mut self, packet: &[u8]) {
        if !self.is_polling() {
            return self.connections[MAIN].output.extend(masked_frame(TEXT, packet));
        }
        if !self.payload.is_empty() {
            self.payload.push(SEPARATOR);
        }
        self.payload.extend_from_slice(packet);
    }

    /// Sends the requests that are due.
    fn request(&mut self) {
        let posts = if self.has_joined() { POSTS } else { MAIN };
        if self.is_free(MAIN) && !self.is_upgraded && (posts == POSTS || self.payload.is_empty()) {
            let headers = match self.transport {
                Transport::Polling => "",
                Transport::WebSocket | Transport::Plain => {
                    "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                }
            };
            self.send_request(MAIN, "GET", headers, b"");
        }
        if self.is_free(posts) && !self.payload.is_empty() {
            let payload = std::mem::take(&mut self.payload);
            let len = payload.len();
            let headers =
                format!("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {len}\r\n");
            self.send_request(posts, "POST", &headers, &payload);
        }
    }

    fn is_free(&self, connection: usize) -> bool {
        self.connections[connection].request.is_empty()
    }

    fn send_request(&mut self, connection: usize, method: &str, headers: &str, body: &[u8]) {
        let Self { path, host, .. } = self;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        let connection = &mut self.connections[connection];
        connection.request = [head.as_bytes(), body].concat();
        connection.output.extend_from_slice(&connection.request);
    }
}

/// The payload of the server's frame at the beginning of the input, and the frame's length, if it
/// is whole. It has less than 64 KiB.
fn frame(input: &[u8]) -> Option<(&[u8], usize)> {
    let (header, len) = match *input.get(1)? {
        126 => (4, u16::from_be_bytes([*input.get(2)?, *input.get(3)?]).into()),
        len => (2, usize::from(len)),
    };
    Some((input.get(header..header + len)?, header + len))
}

/// A masked frame. The mask is zero: the payload is unchanged.
fn masked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let header = match payload.len() {
        len @ 0..126 => vec![first, 0x80 | len as u8],
        len => vec![first, 0x80 | 126, (len >> 8) as u8, len as u8],
    };
    [header.as_slice(), &[0; 4], payload].concat()
}

/// The complaint about a packet that should not have come.
pub(super) fn complaint(packet: &[u8]) -> String {
    const SHOWN: usize = 100;
    let shown = String::from_utf8_lossy(&packet[..packet.len().min(SHOWN)]);
    format!("the server sent {shown:?}, which was not expected")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "0{\"sid\":\"a\"}";

    fn session(transport: Transport) -> Session {
        Session::new(transport, &"ws://127.0.0.1:1".parse().unwrap())
    }

    /// What the session sends on a connection.
    fn sent(session: &mut Session, connection: usize) -> String {
        String::from_utf8(std::mem::take(session.output(connection))).unwrap()
    }

    fn ok(body: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    /// The server's frame of a short packet.
    fn server_frame(packet: &str) -> Vec<u8> {
        [&[TEXT, packet.len() as u8], packet.as_bytes()].concat()
    }

    #[test]
    fn a_session_joins_over_websocket_and_receives_packets_in_any_pieces() {
        let mut session = session(Transport::WebSocket);
        assert!(sent(&mut session, MAIN).contains("transport=websocket HTTP/1.1\r\n"));
        let packets = [OPEN, "2", "40{}", "42[\"auth\",{}]", "42[\"x\"]"];
        let mut input = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
        input.extend(packets.iter().flat_map(|packet| server_frame(packet)));
        input.iter().for_each(|byte| session.receive(MAIN, &[*byte]).unwrap());
        assert!(session.has_joined());
        assert_eq!(session.packets, [b"42[\"x\"]"]);
        let replies = [masked_frame(TEXT, b"40"), masked_frame(TEXT, b"3")].concat();
        assert_eq!(*session.output(MAIN), replies);
        assert!(session.receive(MAIN, &server_frame("9")).is_err());
        assert!(session.disconnected(MAIN, "ended".to_owned()).is_err());
    }

    #[test]
    fn over_polling_it_posts_on_another_connection_once_it_has_joined() {
        let mut session = session(Transport::Polling);
        assert!(sent(&mut session, MAIN).starts_with("GET /socket.io/?EIO=4&transport=polling "));
        session.receive(MAIN, &ok(OPEN)).unwrap();
        assert!(sent(&mut session, MAIN).starts_with("POST /socket.io/?EIO=4&transport=polling&s"));
        session.receive(MAIN, &ok("ok")).unwrap();
        session.receive(MAIN, &ok("40{}\u{1e}42[\"auth\",{}]\u{1e}41")).unwrap();
        assert!(session.has_joined() && session.packets == [b"41"]);
        session.send(b"42[1]");
        session.send(b"42[2]");
        assert!(sent(&mut session, POSTS).ends_with("\r\n\r\n42[1]"));
        session.receive(POSTS, &ok("ok")).unwrap();
        assert!(sent(&mut session, POSTS).ends_with("\r\n\r\n42[2]"));
    }

    #[test]
    fn a_request_without_a_response_is_sent_again() {
        let mut session = session(Transport::Polling);
        let request = sent(&mut session, MAIN);
        for _ in 0..REPEATED_MAX {
            session.disconnected(MAIN, "ended".to_owned()).unwrap();
            assert_eq!(sent(&mut session, MAIN), request);
        }
        assert_eq!(session.disconnected(MAIN, "ended".to_owned()), Err("ended".to_owned()));
        assert!(session.receive(POSTS, &ok("ok")).is_err());
    }

    #[test]
    fn frames_of_both_lengths_are_written_and_read() {
        assert_eq!(masked_frame(TEXT, b"40"), b"\x81\x82\0\0\0\x0040");
        let long = masked_frame(TEXT, &[b'x'; 300]);
        assert_eq!((&long[..8], long.len()), (&b"\x81\xfe\x01\x2c\0\0\0\0"[..], 308));
        let long = [&b"\x81\x7e\x01\x2c"[..], &[b'x'; 300]].concat();
        assert_eq!(frame(&long), Some((&long[4..], 304)));
        assert_eq!(frame(&long[..303]), None);
    }
}
