//! `rust-socketio-client URL WAY`: events, bytes and acknowledgements by `rust_socketio`. It fails
//! if an answer is another one, or does not come. Without arguments it does nothing.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rust_socketio::{ClientBuilder, Payload, TransportType};
use serde_json::{Value, json};

/// A wait takes this long only if something is broken.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, way] = &arguments[..] else { return };
    let transport = match &**way {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        _ => TransportType::Any,
    };
    let (heard, hearing) = channel();
    let back = heard.clone();
    let client = ClientBuilder::new(url)
        .transport_type(transport)
        .on("message-back", move |payload, _| drop(back.send(payload)))
        .connect()
        .expect("a connection");
    for number in 0..20 {
        client.emit("message", json!(["text", number])).expect("an event is sent");
        assert_eq!(texts(&hearing), [json!(["text", number])]);
    }
    client.emit("message", vec![1, 2, 255]).expect("bytes are sent");
    match hearing.recv_timeout(PATIENCE).expect("an event with bytes") {
        Payload::Binary(bytes) => assert_eq!(bytes[..], [1, 2, 255]),
        other => panic!("{other:?}"),
    }
    let acknowledged = move |payload, _| drop(heard.send(payload));
    client.emit_with_ack("message-with-ack", "ack", PATIENCE, acknowledged).expect("it is sent");
    assert_eq!(texts(&hearing), [json!(["ack"])]);
    client.disconnect().expect("an end");
}

fn texts(hearing: &Receiver<Payload>) -> Vec<Value> {
    match hearing.recv_timeout(PATIENCE).expect("an answer") {
        Payload::Text(values) => values,
        other => panic!("{other:?}"),
    }
}
