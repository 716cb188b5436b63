//! Messages in their envelopes, however they are broadcast.

use super::policies::Sink;
use super::*;
use crate::proto::{FrameHeader, Outgoing, Role};

/// One topic with an envelope, and a subscriber to it.
struct Enveloping {
    topics: Topics,
    topic: Key,
    conn: Key,
    sink: Sink,
}

impl Enveloping {
    fn new(config: TopicConfig, policy: OverflowPolicy) -> Self {
        let mut configs = TopicConfigs::default();
        configs.add("a", config).unwrap();
        let mut topics = Topics::new(TopicLimits { backlog: 200, ..LIMITS }, configs, 0);
        let topic = topics.topic("a").unwrap();
        let conn = Slots::with_capacity(1).insert(());
        assert_eq!(topics.subscribe(conn, topic, policy), Ok(true));
        Self { topics, topic, conn, sink: Sink::new(SendCapacity::Unlimited) }
    }

    fn drain(&mut self) {
        self.sink.room = SendCapacity::Unlimited;
        self.topics.catch_up(self.conn, &mut self.sink);
        while self.topics.conflation().catch_up(self.conn, &mut self.sink).has_more {}
    }

    /// Takes the messages that have arrived.
    fn taken(&mut self) -> Vec<String> {
        self.topics.deliver_pending(self.conn, &mut self.sink);
        let bytes = std::mem::take(&mut self.sink.bytes);
        let (mut texts, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let (header, len) = FrameHeader::parse(rest, Role::Client).unwrap().unwrap();
            let end = len + header.len as usize;
            let message = Message::of_frame(&rest[..end]).unwrap();
            texts.push(message.as_text().expect("an envelope is a text").to_owned());
            rest = &rest[end..];
        }
        texts
    }
}

/// Writes the topic, the offset and the message.
fn envelope() -> Envelope {
    Envelope::new(|enclosed, out| {
        assert_eq!(*out, "");
        let Enclosed { topic, position, message, .. } = enclosed;
        *out = format!("{topic}{} {}", position.offset(), message.as_bytes().escape_ascii());
    })
}

#[test]
fn every_way_to_broadcast_goes_through_the_envelope() {
    let config = TopicConfig::default().envelope(envelope());
    let mut bench = Enveloping::new(config, OverflowPolicy::Close);
    let Enveloping { topics, topic, conn, .. } = &mut bench;
    let prepared = crate::proto::PreparedMessage::new("prepared");
    for (outgoing, key, except) in [
        (Outgoing::from("text"), "", None),
        (Outgoing::from(&b"\0"[..]), "", None),
        (crate::proto::AsOutgoing::as_outgoing(&prepared), "", None),
        (Outgoing::from("keyed"), "k", None),
        (Outgoing::from("not for you"), "", Some(*conn)),
        (Outgoing::from("last"), "", None),
    ] {
        assert_eq!(topics.broadcast_keyed(*topic, key, outgoing, except), Ok(()));
    }
    assert_eq!(bench.taken(), ["a1 text", "a2 \\x00", "a3 prepared", "a4 keyed", "a6 last"]);
}

#[test]
fn the_latest_message_of_a_key_is_kept_in_its_envelope() {
    let config = TopicConfig::default().envelope(envelope());
    let mut bench = Enveloping::new(config, OverflowPolicy::KeepLatest);
    bench.sink.room = SendCapacity::Waiting { backed_up: true, bytes: 1000 };
    for (key, text) in [("x", "1"), ("y", "2"), ("x", "3")] {
        let outgoing = Outgoing::from(text);
        assert_eq!(bench.topics.broadcast_keyed(bench.topic, key, outgoing, None), Ok(()));
        while bench.topics.deliver(Time::BEGINNING, |_| bench.sink.room).is_some() {}
    }
    bench.drain();
    assert_eq!(bench.taken(), ["a2 2", "a3 3"]);
}

#[test]
fn the_history_has_messages_in_their_envelopes() {
    let config = TopicConfig::default().history(History::of(2)).envelope(envelope());
    let mut bench = Enveloping::new(config, OverflowPolicy::Close);
    for text in ["x", "y", "z"] {
        assert_eq!(bench.topics.broadcast(bench.topic, text.into(), None), Ok(()));
    }
    let past = Past::of(&bench.topics, bench.topic).unwrap();
    let texts: Vec<_> = past
        .messages(0..u64::MAX, Time::BEGINNING)
        .map(|(position, message)| (position.offset(), message.as_text().unwrap()))
        .collect();
    assert_eq!(texts, [(2, "a2 y"), (3, "a3 z")]);
}

#[test]
fn a_message_in_its_envelope_is_as_little_compressed_as_without() {
    for (outgoing, is_verbatim) in
        [(Outgoing::from("x"), false), (Outgoing::uncompressed("x"), true)]
    {
        let config = TopicConfig::default().envelope(Envelope::json());
        let mut bench = Enveloping::new(config, OverflowPolicy::Close);
        assert_eq!(bench.topics.broadcast(bench.topic, outgoing, None), Ok(()));
        let topic = bench.topics.registry.topics.get(bench.topic).unwrap();
        assert_eq!(topic.open.forms.memory_bytes() > 0, is_verbatim);
    }
}

#[test]
fn limits_apply_to_the_envelope_before_anything_is_queued() {
    let long = Envelope::new(|_, out| out.push_str(&"x".repeat(150)));
    let config = TopicConfig::default().envelope(long);
    let mut bench = Enveloping::new(config, OverflowPolicy::Close);
    assert_eq!(bench.topics.broadcast(bench.topic, "a".into(), None), Ok(()));
    let refused = bench.topics.broadcast(bench.topic, "b".into(), None);
    assert_eq!(refused, Err(TopicError::Limit), "two are more than the backlog");
    assert_eq!(bench.topics.last_number(bench.topic), Some(1));
    assert_eq!(bench.topics.counters(bench.topic).unwrap().0.refused, 1);
    assert_eq!(bench.taken().len(), 1);
}

#[test]
fn an_envelope_is_not_written_for_nobody_and_its_memory_is_kept_while_it_is_short() {
    let mut configs = TopicConfigs::default();
    let long = Envelope::new(|enclosed, out| {
        assert_ne!(enclosed.message, Message::Text("for nobody"));
        out.push_str(&"x".repeat(enclosed.message.len() * 1000));
    });
    configs.add("a", TopicConfig::default().envelope(long)).unwrap();
    let limits = TopicLimits { backlog: 1 << 20, ..LIMITS };
    let mut topics = Topics::new(limits, configs, 0);
    let topic = topics.topic("a").unwrap();
    assert_eq!(topics.broadcast(topic, "for nobody".into(), None), Ok(()));
    let conn = Slots::with_capacity(1).insert(());
    assert_eq!(topics.subscribe(conn, topic, OverflowPolicy::Close), Ok(true));
    for (text, is_kept) in [("x", true), (&*"y".repeat(100), false)] {
        assert_eq!(topics.broadcast(topic, text.into(), None), Ok(()));
        assert_eq!(topics.enveloped.capacity() > 0, is_kept);
    }
}

#[test]
fn a_message_whose_envelope_panics_was_not_broadcast() {
    let picky = Envelope::new(|enclosed, out| {
        assert_ne!(enclosed.message, Message::Text("bad"));
        out.push_str(enclosed.message.as_text().unwrap());
    });
    let config = TopicConfig::default().envelope(picky);
    let mut bench = Enveloping::new(config, OverflowPolicy::Close);
    let broadcast =
        std::panic::AssertUnwindSafe(|| bench.topics.broadcast(bench.topic, "bad".into(), None));
    assert!(std::panic::catch_unwind(broadcast).is_err());
    assert_eq!(bench.topics.broadcast(bench.topic, "good".into(), None), Ok(()));
    assert_eq!(bench.topics.last_number(bench.topic), Some(1));
    assert_eq!(bench.taken(), ["good"]);
}
