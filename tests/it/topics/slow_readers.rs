//! What slow subscribers receive, and which gaps are reported, by policy.

use super::*;

/// Subscribes every connection with a policy, broadcasts each message, and notes gaps.
struct Slow(OverflowPolicy);

#[derive(Default)]
struct Seen {
    gaps: Vec<Gap>,
    waiting: Option<ConnectionId>,
    stats: Option<TopicStats>,
}

impl WebSocketHandler<Seen> for Slow {
    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Seen) {
        let topic = conn.topic("a").expect("a topic");
        if seen.waiting.is_none() {
            seen.waiting = Some(conn.id());
            assert_eq!(conn.subscribe_with(topic, self.0), Ok(true));
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, seen: &mut Seen) {
        let topic = conn.topic("a").expect("a topic");
        let slow = seen.waiting.expect("it was first");
        if message.as_text() == Some("fill") {
            while conn.connection(slow).buffered_bytes() <= 100_000 {
                conn.send_to(slow, [0; 50_000]);
            }
        } else {
            assert_eq!(conn.broadcast(topic, message), SendStatus::Sent);
        }
        conn.send("done");
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, seen: &mut Seen) {
        assert_eq!(conn.send("snapshot"), SendStatus::Sent);
        seen.gaps.push(gap);
        seen.stats = conn.topic_stats(gap.topic);
    }
}

/// What a slow reader with this policy receives of ten broadcasts, and the gaps reported.
fn read_slowly(policy: OverflowPolicy) -> (Vec<String>, Seen) {
    let (mut event_loop, address) = looping(Config::default(), Slow(policy));
    let mut seen = Seen::default();
    let texts = drive(&mut event_loop, &mut seen, || {
        let mut slow = Peer::narrow(address);
        let mut speaker = Peer::connect(address);
        speaker.send("fill");
        speaker.expect("done");
        for number in 1..=10 {
            speaker.send(&format!("{number}"));
            speaker.expect("done");
        }
        let mut texts = Vec::new();
        while texts.last().is_none_or(|text| text != "snapshot") {
            let frame = slow.frame();
            if frame.opcode == OpCode::Text {
                texts.push(String::from_utf8(frame.payload).expect("text"));
            }
        }
        texts
    });
    (texts, seen)
}

#[test]
fn a_slow_reader_gets_the_latest_and_then_a_snapshot() {
    let (texts, seen) = read_slowly(OverflowPolicy::KeepLatest);
    assert_eq!(texts, ["10", "snapshot"]);
    let [gap] = seen.gaps[..] else { panic!("{:?}", seen.gaps) };
    assert_eq!((gap.first, gap.last, gap.missed()), (1, 9, 9));
    let stats = seen.stats.expect("a topic");
    assert_eq!((stats.conflated, stats.gaps, stats.broadcasts), (9, 1, 10));
    assert_eq!((stats.subscribers, stats.waiting, stats.refused), (1, 0, 0));
}

#[test]
fn a_slow_reader_misses_what_comes_above_the_soft_limit() {
    let (texts, seen) = read_slowly(OverflowPolicy::DropNewest);
    assert_eq!(texts, ["snapshot"]);
    let [gap] = seen.gaps[..] else { panic!("{:?}", seen.gaps) };
    assert_eq!((gap.first, gap.last), (1, 10));
    assert_eq!(seen.stats.map(|stats| stats.dropped_newest), Some(10));
}
