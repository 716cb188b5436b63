//! What clients write and read: packets of both protocols, requests and responses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::PeerId;
use eventwire::socketio::packet::{Kind, Packet};
use serde_json::Value;
use std::net::SocketAddr;

/// A packet of Engine.IO.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// With the digit of its type.
    Text(String),
    Binary(Vec<u8>),
}

/// A connection of a client's.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: PeerId,
    pub(super) input: Vec<u8>,
}

impl Stream {
    pub(super) fn connect(reactor: &mut SimReactor, address: SocketAddr) -> Self {
        Self { id: reactor.peer_connect(address), input: Vec::new() }
    }

    pub(super) fn receive(&mut self, reactor: &mut SimReactor) {
        self.input.extend(reactor.peer_received(self.id));
    }

    /// Takes a head, once it is whole.
    pub(super) fn take_head(&mut self) -> Option<String> {
        let end = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let head = self.input.drain(..end + 4).collect();
        Some(String::from_utf8(head).expect("text"))
    }

    /// Takes a response with its body, once it is whole.
    pub(super) fn take_response(&mut self) -> Option<Response> {
        let end = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.input[..end].to_vec()).expect("text").to_lowercase();
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
        let len = head.split("content-length: ").nth(1).expect("a length");
        let len: usize = len.split("\r\n").next().and_then(|it| it.parse().ok()).expect("a number");
        if self.input.len() < end + len {
            return None;
        }
        let body = self.input[end..end + len].to_vec();
        self.input.drain(..end + len);
        Some(Response { status, body: String::from_utf8(body).expect("text") })
    }
}

#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: String,
}

/// The body of a POST request.
pub(super) fn payload(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Binary(bytes) => format!("b{}", STANDARD.encode(bytes)),
    };
    parts.iter().map(text).collect::<Vec<_>>().join("\x1e")
}

/// The packets of a response.
pub(super) fn parts(body: &str) -> impl Iterator<Item = Part> {
    body.split('\x1e').map(|packet| match packet.strip_prefix('b') {
        Some(encoded) => Part::Binary(STANDARD.decode(encoded).expect("base64")),
        None => Part::Text(packet.to_owned()),
    })
}

/// An event of a client's: its number, and a text or an attachment.
pub(super) fn event(
    (namespace, name): (&str, &str),
    (number, ack): (u64, Option<u64>),
    attachment: Option<Vec<u8>>,
) -> Vec<Part> {
    let (kind, data) = match &attachment {
        Some(_) => {
            let placeholder = r#"{"_placeholder":true,"num":0}"#;
            (Kind::BinaryEvent, format!("[\"{name}\",{number},{placeholder}]"))
        }
        None => (Kind::Event, format!("[\"{name}\",{number}]")),
    };
    let attachments = usize::from(attachment.is_some());
    let text = packet(Packet { kind, namespace, id: ack, attachments, data: &data });
    [text].into_iter().chain(attachment.map(Part::Binary)).collect()
}

pub(super) fn packet(packet: Packet<'_>) -> Part {
    let mut text = "4".to_owned();
    packet.write(&mut text);
    Part::Text(text)
}

/// The arguments of an event or an acknowledgement.
pub(super) fn values(data: &str) -> Vec<Value> {
    serde_json::from_str(data).expect("a JSON array")
}
