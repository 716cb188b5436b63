//! What peers received.

use eventwire::proto::Role;

use super::expected::NO_CODE;
use crate::shared::{Arrived, take_frame};

/// The code of a response in pieces that is whole.
const WHOLE: u16 = 1000;

/// What a client received.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// The responses with their bodies. A body in pieces is in the texts.
    pub(super) responses: Vec<String>,
    /// The texts of messages, pieces and events.
    pub(super) texts: String,
    /// The code that the connection was closed with.
    pub(super) closed: Option<u16>,
}

impl Received {
    /// What a client received as these bytes.
    pub(super) fn of(mut bytes: Vec<u8>, is_closed: bool) -> Self {
        let mut received = Self::default();
        while let Some(at) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = bytes.drain(..at + 4).collect();
            let head = String::from_utf8(head).expect("text");
            let status = &head[9..12];
            if status == "101" {
                received.responses.push(status.to_owned());
                received.read_frames(&mut bytes);
                return received;
            }
            if head.contains("Transfer-Encoding: chunked") {
                received.responses.push(status.to_owned());
                received.read_chunks(&mut bytes);
            } else if head.contains("text/event-stream") {
                received.responses.push(status.to_owned());
                received.read_events(&mut bytes);
            } else {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length = length.map_or(0, |length| length.parse().expect("a length"));
                let body: Vec<u8> = bytes.drain(..length).collect();
                let body = String::from_utf8(body).expect("text");
                received.responses.push(format!("{status} {body}").trim_end().to_owned());
            }
        }
        assert_eq!(bytes, [0; 0], "behind the responses {:?}", received.responses);
        if is_closed && received.closed.is_none() {
            received.closed = Some(NO_CODE);
        }
        received
    }

    /// What the peer of a raw stream received.
    pub(super) fn raw(bytes: Vec<u8>, is_closed: bool) -> Self {
        // Bytes that are none of the text fill the outbox.
        let texts = bytes.into_iter().filter(|byte| *byte != 0).map(char::from).collect();
        Self { responses: Vec::new(), texts, closed: is_closed.then_some(NO_CODE) }
    }

    fn read_frames(&mut self, bytes: &mut Vec<u8>) {
        while let Some(frame) = take_frame(bytes, Role::Client) {
            assert_eq!(self.closed, None, "something follows the close frame");
            match frame {
                Arrived::Message(true, text) => {
                    self.texts.push_str(std::str::from_utf8(&text).expect("text"));
                }
                Arrived::Close(code) => self.closed = code,
                _ => {}
            }
        }
    }

    fn read_chunks(&mut self, bytes: &mut Vec<u8>) {
        while let Some(at) = bytes.windows(2).position(|bytes| bytes == b"\r\n") {
            assert_eq!(self.closed, None, "something follows the last chunk");
            let line: Vec<u8> = bytes.drain(..at + 2).collect();
            let size = std::str::from_utf8(&line[..at]).expect("text");
            let size = usize::from_str_radix(size, 16).expect("a size");
            let chunk: Vec<u8> = bytes.drain(..size + 2).collect();
            if size == 0 {
                self.closed = Some(WHOLE);
            }
            let text = chunk[..size].iter().filter(|byte| **byte != 0);
            self.texts.extend(text.copied().map(char::from));
        }
    }

    /// Events that have names fill the outbox, or report gaps.
    fn read_events(&mut self, bytes: &mut Vec<u8>) {
        let text = String::from_utf8(std::mem::take(bytes)).expect("text");
        for event in text.split_terminator("\n\n") {
            if !event.contains("event: ") {
                let data = event.lines().filter_map(|line| line.strip_prefix("data: "));
                self.texts.extend(data);
            }
        }
        assert!(text.is_empty() || text.ends_with("\n\n"), "half an event");
    }
}
