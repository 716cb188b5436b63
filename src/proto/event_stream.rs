//! Server-sent events, as the HTML Standard defines their format (§9.2.5).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::http::write_number;
use super::{OpCode, Payload};

/// The name of events whose data is binary, in base64.
pub(crate) const BINARY: &str = "binary";

/// A comment, which keeps proxies from taking the stream for dead.
pub(crate) const HEARTBEAT: &[u8] = b":\n\n";

/// The `id:` of an event, by which a client says from where it resumes: `EPOCH:OFFSET`, as the text
/// of a [`Position`](crate::Position).
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventId {
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
}

impl EventId {
    fn write(self, out: &mut Vec<u8>) {
        let mut epoch = [b':'; 17];
        for (at, digit) in epoch[..16].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(self.epoch >> (60 - 4 * at)) as usize & 15];
        }
        out.extend_from_slice(&epoch);
        write_number(out, self.offset);
    }
}

/// Appends a message as an event without a name. A text is sent line by line. Bytes are sent in
/// base64, as an event named `binary`.
pub(crate) fn write_message(payload: &Payload<'_>, out: &mut Vec<u8>) {
    write_event(None, None, payload, out);
}

/// Appends a message as an event with this name and this id.
pub(crate) fn write_event(
    name: Option<&str>,
    id: Option<EventId>,
    payload: &Payload<'_>,
    out: &mut Vec<u8>,
) {
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        id.write(out);
        out.push(b'\n');
    }
    let is_binary = payload.opcode == OpCode::Binary;
    if let Some(name) = if is_binary { Some(BINARY) } else { name } {
        write_field("event", name.as_bytes(), out);
    }
    if is_binary {
        write_field("data", STANDARD.encode(payload.bytes).as_bytes(), out);
    } else {
        lines(payload.bytes).for_each(|line| write_field("data", line, out));
    }
    out.push(b'\n');
}

/// Appends how long a client waits before it connects again.
pub(crate) fn write_retry(milliseconds: u128, out: &mut Vec<u8>) {
    write_field("retry", milliseconds.to_string().as_bytes(), out);
    out.push(b'\n');
}

/// Appends a field. The value has no line break.
fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    for part in [name.as_bytes(), b": ", value, b"\n"] {
        out.extend_from_slice(part);
    }
}

/// The lines of a text. CR LF, LF and CR end a line. A text that ends with a line break has an
/// empty last line, so that the client gets the break.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            rest = None;
            return Some(text);
        };
        let len = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&text[end + len..]);
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::Message;

    fn written(message: Message<'_>) -> String {
        let mut out = Vec::new();
        write_message(&message.into(), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What a client makes of an event: its name and its data.
    fn parsed(event: &str) -> (Option<String>, String) {
        let (mut name, mut data) = (None, Vec::new());
        for line in event.strip_suffix("\n\n").unwrap().split('\n') {
            match line.split_once(": ").unwrap() {
                ("event", value) => name = Some(value.to_owned()),
                ("data", value) => data.push(value.to_owned()),
                other => panic!("{other:?}"),
            }
        }
        (name, data.join("\n"))
    }

    #[test]
    fn every_line_of_a_message_is_a_field() {
        for (text, event) in [
            ("", "data: \n\n"),
            ("a", "data: a\n\n"),
            (" a: b", "data:  a: b\n\n"),
            ("a\nb", "data: a\ndata: b\n\n"),
            ("a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n"),
            ("\n", "data: \ndata: \n\n"),
            ("data: x\n\nevent: y", "data: data: x\ndata: \ndata: event: y\n\n"),
        ] {
            assert_eq!(written(Message::Text(text)), event, "{text:?}");
        }
    }

    #[test]
    fn bytes_are_sent_in_base64() {
        let event = "event: binary\ndata: AP8=\n\n";
        assert_eq!(written(Message::Binary(&[0, 255])), event);
    }

    #[test]
    fn names_and_ids_come_before_the_data() {
        let (mut out, id) = (Vec::new(), EventId { epoch: 0xc0ff_ee00, offset: 7 });
        write_event(Some("price"), Some(id), &Message::Text("1").into(), &mut out);
        write_retry(1_500, &mut out);
        assert_eq!(out, b"id: 00000000c0ffee00:7\nevent: price\ndata: 1\n\nretry: 1500\n\n");
    }

    proptest! {
        #[test]
        fn a_client_gets_the_text_with_its_line_breaks_made_the_same(text: String) {
            let expected = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(parsed(&written(Message::Text(&text))), (None, expected));
        }
    }
}
