//! Packets as they are on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Stands between the packets of a payload.
const SEPARATOR: &str = "\x1e";

/// A packet of Engine.IO, with its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packet {
    Text(String),
    Binary(Vec<u8>),
}

impl Packet {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The body of a request or response that has these packets.
pub(super) fn encode_payload(packets: &[Packet]) -> String {
    let encoded: Vec<String> = packets
        .iter()
        .map(|packet| match packet {
            Packet::Text(text) => text.clone(),
            Packet::Binary(bytes) => format!("b{}", STANDARD.encode(bytes)),
        })
        .collect();
    encoded.join(SEPARATOR)
}

/// The packets of a body.
pub(crate) fn decode_payload(payload: &str) -> Vec<Packet> {
    let decode = |packet: &str| match packet.strip_prefix('b') {
        Some(bytes) => Packet::Binary(STANDARD.decode(bytes).expect("base64")),
        None => Packet::text(packet),
    };
    payload.split(SEPARATOR).map(decode).collect()
}

/// A packet of Socket.IO with its attachments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// All before the payload but the count of attachments: `42`, `43/custom,7`.
    pub(crate) header: String,
    /// The payload, with [`binary`] instead of placeholders.
    pub(crate) data: Value,
}

/// Binary within a payload.
pub(crate) fn binary(bytes: &[u8]) -> Value {
    json!({"binary": STANDARD.encode(bytes)})
}

/// The placeholder of an attachment.
pub(crate) fn placeholder(num: impl Into<Value>) -> Value {
    json!({"_placeholder": true, "num": num.into()})
}

/// How many attachments follow `text`, a packet of Socket.IO.
pub(super) fn attachments(text: &str) -> usize {
    split_count(text).1
}

impl Message {
    pub(super) fn new(text: &str, attachments: &[Vec<u8>]) -> Self {
        let (text, count) = split_count(text);
        assert_eq!(count, attachments.len());
        let at = text.find(['[', '{', '"']).unwrap_or(text.len());
        let (header, payload) = text.split_at(at);
        let mut data = Value::Null;
        if !payload.is_empty() {
            data = serde_json::from_str(payload).unwrap_or_else(|_| panic!("no JSON: {text}"));
        }
        fill_placeholders(&mut data, attachments);
        Self { header: header.to_owned(), data }
    }
}

/// Removes the count of attachments.
fn split_count(text: &str) -> (String, usize) {
    if !text.starts_with("45") && !text.starts_with("46") {
        return (text.to_owned(), 0);
    }
    let (count, rest) = text[2..].split_once('-').expect("a count of attachments");
    let count = count.parse().unwrap_or_else(|_| panic!("no count of attachments: {text}"));
    (format!("{}{rest}", &text[..2]), count)
}

fn fill_placeholders(data: &mut Value, attachments: &[Vec<u8>]) {
    if attachments.is_empty() {
        return;
    }
    match data {
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            let num = fields["num"].as_u64().expect("the number of an attachment");
            *data = binary(&attachments[num as usize]);
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| fill_placeholders(value, attachments));
        }
        Value::Array(values) => {
            values.iter_mut().for_each(|value| fill_placeholders(value, attachments));
        }
        _ => {}
    }
}
