//! A packet of Socket.IO that parses is written and parses to the same, and its data means what
//! `serde_json` and a simple model of placeholders say.
//!
//! Input: the text of a packet.

mod model;

use eventwire::Bytes;
use eventwire::socketio::packet::{InvalidPacket, Kind, MAX_ATTACHMENTS, Packet};
use eventwire::socketio::{Arguments, Binary, Written, arguments};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use model::{Placeholder, placeholder, placeholders};

pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let packet = match Packet::parse(&text) {
        Ok(packet) => packet,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    check_parts(&packet);
    let checked = match packet.kind {
        Kind::Event | Kind::BinaryEvent => check_event(&packet),
        Kind::Ack | Kind::BinaryAck => check_acknowledgement(&packet),
        Kind::Connect => check_connect(packet.data),
        Kind::Disconnect | Kind::ConnectError => Ok(()),
    };
    if let Err(error) = checked {
        check_refusal(&packet, error);
    }
}

fn check_parts(packet: &Packet<'_>) {
    assert!(packet.namespace.starts_with('/') && !packet.namespace.contains([',', '?']));
    let most = if packet.kind.is_binary() { MAX_ATTACHMENTS } else { 0 };
    assert!(packet.attachments <= most);
    // A slash begins no JSON, but a namespace.
    if !packet.data.starts_with('/') {
        let mut written = String::new();
        packet.write(&mut written);
        assert_eq!(Packet::parse(&written).as_ref(), Ok(packet));
    }
}

fn check_event(packet: &Packet<'_>) -> Result<(), InvalidPacket> {
    let (name, json) = arguments::event(packet.data, packet.attachments)?;
    let elements = elements(packet.data).expect("an array");
    let (first, others) = elements.split_first().expect("a name");
    match serde_json::from_str::<String>(first.get()) {
        Ok(first) => assert_eq!(first, name),
        Err(_) => assert_eq!(first.get(), name, "a number"),
    }
    check_arguments(json, packet.attachments, others);

    let quoted = serde_json::to_string(&name).expect("a text");
    let data = if json.is_empty() { format!("[{quoted}]") } else { format!("[{quoted},{json}]") };
    let again = arguments::event(&data, packet.attachments).expect("the same event");
    assert_eq!(again, (name, json));
    Ok(())
}

fn check_acknowledgement(packet: &Packet<'_>) -> Result<(), InvalidPacket> {
    let json = arguments::acknowledgement(packet.data, packet.attachments)?;
    check_arguments(json, packet.attachments, &elements(packet.data).expect("an array"));
    Ok(())
}

fn check_connect(data: &str) -> Result<(), InvalidPacket> {
    match arguments::connect(data)? {
        Some(object) => assert!(object.trim_start().starts_with('{') && is_json(object)),
        None => assert!(data.is_empty()),
    }
    Ok(())
}

/// The arguments are these elements, are sent as they came, and each placeholder is its attachment.
fn check_arguments(json: &str, attachments: usize, elements: &[&RawValue]) {
    let attachments: Vec<Bytes> = (0..attachments).map(|number| content(number as u64)).collect();
    let arguments = Arguments::new(json, &attachments);
    let texts: Vec<&str> = elements.iter().map(|element| element.get()).collect();
    let read: Vec<&RawValue> = arguments.read().expect("any JSON");
    assert_eq!(read.into_iter().map(RawValue::get).collect::<Vec<_>>(), texts);
    assert_eq!((arguments.len(), arguments.is_empty()), (texts.len(), texts.is_empty()));
    assert!(arguments.get::<IgnoredAny>(texts.len()).is_err());

    let written = Written::of(&arguments).expect("it was accepted");
    assert_eq!(Arguments::new(&written.json, &written.attachments), arguments);

    for (index, text) in texts.iter().enumerate() {
        assert!(arguments.get::<IgnoredAny>(index).is_ok());
        if !text.starts_with('{') {
            continue;
        }
        let read = arguments.get::<Binary>(index).ok();
        match placeholder(text) {
            Some(Placeholder::Numbered(number)) if !attachments.is_empty() => {
                let is_plain = text.matches(':').count() == 2;
                assert!(read.is_some() || !is_plain, "{text}");
                assert!(read.is_none_or(|bytes| bytes.0 == content(number)), "{text}");
            }
            Some(_) => assert_eq!(read, None, "{text}"),
            // A key is no text.
            None => {}
        }
    }
}

/// What the attachment with this number holds.
fn content(number: u64) -> Bytes {
    number.to_string().into()
}

/// Data is refused for a reason.
fn check_refusal(packet: &Packet<'_>, error: InvalidPacket) {
    let data = packet.data;
    let elements = || elements(data).expect("an array");
    match error {
        InvalidPacket::InvalidJson => assert!(!is_json(data)),
        InvalidPacket::TooDeep => {
            assert!(data.matches(['[', '{']).count() > arguments::MAX_DEPTH);
        }
        InvalidPacket::NotAnArray => assert!(is_json(data) && !data.trim_start().starts_with('[')),
        InvalidPacket::NotAnObject => assert!(is_json(data) && !data.trim_start().starts_with('{')),
        InvalidPacket::InvalidEventName => {
            let name = elements().first().map(|element| element.get());
            let is_name = |name| serde_json::from_str::<String>(name).is_ok();
            assert!(!name.is_some_and(is_name));
        }
        InvalidPacket::ReservedEventName => assert!(!elements()[0].get().is_empty()),
        InvalidPacket::InvalidPlaceholder => {
            assert!(packet.attachments > 0);
            let is_valid = |placeholder: &Placeholder| match placeholder {
                Placeholder::Numbered(number) => *number < packet.attachments as u64,
                Placeholder::Malformed => false,
                Placeholder::Not => true,
            };
            assert!(!placeholders(data).is_some_and(|all| all.iter().all(is_valid)));
        }
        other => panic!("{other:?} is not said of data"),
    }
}

fn elements(data: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(data).ok()
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
