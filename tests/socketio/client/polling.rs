//! A session over HTTP long-polling.

use std::collections::VecDeque;

use serde_json::Value;

use super::http::{HttpConnection, Request, Response};
use super::packets::{Packet, decode_payload, encode_payload};
use super::{Target, open_packet};

/// Each request has a connection of its own.
#[derive(Debug)]
pub(crate) struct Polling {
    target: Target,
    pub(crate) sid: String,
    /// The payload of the open packet.
    pub(crate) open: Value,
    arrived: VecDeque<Packet>,
    /// The GET that is waiting.
    waiting: Option<HttpConnection>,
}

impl Polling {
    pub(crate) fn open(target: &Target) -> Self {
        Self::open_with(target, "", "")
    }

    /// Opens a session with further parameters and headers.
    pub(crate) fn open_with(target: &Target, query: &str, headers: &str) -> Self {
        let path = format!("/socket.io/?EIO=4&transport=polling{query}");
        let response = target.request(&path, Request { headers, ..Request::GET });
        assert_eq!(response.status, 200, "{}", response.text());
        let mut packets = VecDeque::from(decode_payload(response.text()));
        let open = open_packet(packets.pop_front());
        let sid = open["sid"].as_str().expect("a session id").to_owned();
        Self { target: *target, sid, open, arrived: packets, waiting: None }
    }

    /// The same session, with nothing of what has arrived.
    pub(crate) fn another(&self) -> Self {
        let (sid, open) = (self.sid.clone(), self.open.clone());
        Self { target: self.target, sid, open, arrived: VecDeque::new(), waiting: None }
    }

    /// The target of this session's requests.
    pub(crate) fn path(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    /// Sends packets in one request.
    #[track_caller]
    pub(crate) fn send(&mut self, packets: &[Packet]) {
        self.wait_in_advance();
        let response = self.post(&encode_payload(packets));
        assert_eq!((response.status, response.text()), (200, "ok"));
    }

    /// Sends a body.
    pub(crate) fn post(&self, body: &str) -> Response {
        let headers = "Content-Type: text/plain;charset=UTF-8\r\n";
        let request = Request { method: "POST", headers, body: Some(body.as_bytes()) };
        self.target.request(&self.path(), request)
    }

    pub(crate) fn get(&self) -> Response {
        self.begin_get().response()
    }

    /// Sends a GET, whose response is still to come.
    pub(crate) fn begin_get(&self) -> HttpConnection {
        let mut connection = HttpConnection::open(self.target.address);
        connection.write(&Request::GET.encode(&self.path()));
        connection
    }

    /// Sends a POST without the last byte of its body.
    pub(crate) fn begin_post(&self, body: &str) -> HttpConnection {
        let request = Request { method: "POST", headers: "", body: Some(body.as_bytes()) };
        let bytes = request.encode(&self.path());
        let mut connection = HttpConnection::open(self.target.address);
        connection.write(&bytes[..bytes.len() - 1]);
        connection
    }

    /// Has a GET waiting, as stock clients have at nearly all times.
    pub(crate) fn wait_in_advance(&mut self) {
        if self.waiting.is_none() && self.arrived.is_empty() {
            self.waiting = Some(self.begin_get());
        }
    }

    /// The next packet, `None` once the session is closed. Answers pings.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Packet> {
        loop {
            let Some(packet) = self.arrived.pop_front() else {
                let mut connection = self.waiting.take().unwrap_or_else(|| self.begin_get());
                let response = connection.try_response()?;
                if response.status != 200 {
                    assert_eq!(response.status, 400, "{}", response.text());
                    return None;
                }
                self.arrived.extend(decode_payload(response.text()));
                continue;
            };
            match &packet {
                Packet::Text(text) if text == "1" => return None,
                Packet::Text(text) if text == "6" => {}
                // The session may be closed meanwhile.
                Packet::Text(text) if text == "2" => drop(self.post("3")),
                _ => return Some(packet),
            }
        }
    }

    /// Takes what has arrived, and ends the GET that waits.
    pub(super) fn cancel(&mut self) {
        self.wait_in_advance();
        self.arrived.clear();
        self.waiting = None;
    }
}
