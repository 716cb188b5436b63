//! The latest message of every key, for slow subscribers and at intervals.

use std::time::Duration;

use super::*;

/// Obeys a message's lines:
///
/// ```text
/// sub POLICY · every MILLISECONDS · unsub · cast KEY TEXT · fill · send TEXT · stats · close
/// ```
struct Keyed(Vec<Gap>);

impl Keyed {
    fn obey(&mut self, line: &str, conn: &mut Connection<'_>) {
        let topic = conn.topic("values").expect("a topic");
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "sub" => {
                let latest = rest == "latest";
                let policy =
                    if latest { OverflowPolicy::KeepLatest } else { OverflowPolicy::Close };
                conn.subscribe_with(topic, policy).expect("it is open");
            }
            "every" => {
                let interval = rest.parse().map_or(Duration::MAX, Duration::from_millis);
                conn.subscribe_every(topic, interval).expect("it is open");
            }
            "unsub" => assert!(conn.unsubscribe(topic)),
            "cast" => {
                let (key, text) = rest.split_once(' ').expect("a key and a text");
                let status = conn.broadcast_keyed(topic, key, text);
                assert_eq!(status == SendStatus::Sent, key.len() <= 256);
            }
            "others" => {
                let (key, text) = rest.split_once(' ').expect("a key and a text");
                let id = conn.id();
                assert_eq!(conn.broadcast_keyed_except(topic, key, id, text), SendStatus::Sent);
            }
            "fill" => while conn.send([0; 50_000]) != SendStatus::Queued {},
            "send" => drop(conn.send(rest)),
            "stats" => {
                let stats = conn.topic_stats(topic).expect("the topic");
                let missed: u64 = self.0.iter().map(Gap::missed).sum();
                conn.send(format!("{} {} {missed}", stats.broadcasts, stats.conflated));
            }
            "close" => assert!(conn.close(CloseCode::NORMAL, "")),
            other => panic!("no command: {other}"),
        }
    }
}

impl WebSocketHandler<()> for Keyed {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, (): &mut ()) {
        message.as_text().expect("text").lines().for_each(|line| self.obey(line, conn));
    }

    fn on_gap(&mut self, _: &mut Connection<'_>, gap: Gap, (): &mut ()) {
        self.0.push(gap);
    }
}

/// The next text, past what filled the output.
fn text(peer: &mut Peer) -> String {
    loop {
        let frame = peer.frame();
        match frame.opcode {
            OpCode::Text => return String::from_utf8(frame.payload).expect("text"),
            OpCode::Close => return "closed".to_owned(),
            _ => {}
        }
    }
}

fn texts(peer: &mut Peer, count: usize) -> Vec<String> {
    (0..count).map(|_| text(peer)).collect()
}

fn with_loop<V: Send>(config: Config, act: impl FnOnce(std::net::SocketAddr) -> V + Send) -> V {
    let (mut event_loop, address) = looping(config, Keyed(Vec::new()));
    drive(&mut event_loop, &mut (), || act(address))
}

#[test]
fn a_slow_subscriber_gets_the_latest_message_of_every_key_in_the_order_of_their_change() {
    with_loop(Config::default(), |address| {
        let mut slow = Peer::narrow(address);
        slow.send("fill\nsub latest\ncast a 1\ncast b 2\ncast a 3\nsend direct");
        let mut fast = Peer::connect(address);
        fast.send("sub all\ncast c 4\ncast b 5\ncast d 6\ncast d 7");
        assert_eq!(texts(&mut fast, 4), ["4", "5", "6", "7"]);
        let mut got = texts(&mut slow, 5);
        // Direct messages do not wait for the values of keys.
        let direct = got.iter().position(|text| text == "direct").expect("it was sent");
        got.remove(direct);
        assert_eq!(got, ["3", "4", "5", "7"]);
        slow.send("cast a 8\nstats");
        assert_eq!(texts(&mut slow, 2), ["8", "8 3 3"]);
    });
}

#[test]
fn messages_without_a_key_share_the_empty_one() {
    with_loop(Config::default(), |address| {
        let mut slow = Peer::narrow(address);
        slow.send("fill\nsub latest\ncast  1\ncast a 2\ncast  3");
        assert_eq!(texts(&mut slow, 2), ["2", "3"]);
    });
}

#[test]
fn a_sender_that_is_slow_gets_nothing_of_a_key_that_it_changed_for_others() {
    with_loop(Config::default(), |address| {
        let mut slow = Peer::narrow(address);
        slow.send("fill\nsub latest\ncast a 1\ncast b 2\nothers a 3");
        assert_eq!(text(&mut slow), "2");
        slow.send("stats");
        assert_eq!(text(&mut slow), "3 1 1");
    });
}

#[test]
fn at_intervals_a_subscriber_gets_the_latest_message_of_every_key() {
    with_loop(Config::default(), |address| {
        let mut peer = Peer::connect(address);
        peer.send("every 50\ncast a 1\ncast b 2\ncast a 3");
        assert_eq!(texts(&mut peer, 2), ["2", "3"]);
        // What was replaced is no gap.
        peer.send("cast a 4\ncast a 5\nstats");
        assert_eq!(texts(&mut peer, 2), ["5 1 0", "5"]);
    });
}

#[test]
fn a_subscription_that_ends_or_changes_gets_what_is_pending_at_once() {
    with_loop(Config::default(), |address| {
        let mut peer = Peer::connect(address);
        peer.send("every never\ncast a 1\ncast b 2\nunsub\ncast b 3");
        assert_eq!(texts(&mut peer, 2), ["1", "2"]);
        peer.send("every never\ncast a 4\nsub all\ncast a 5\nevery never\ncast a 6\nclose");
        assert_eq!(texts(&mut peer, 4), ["4", "5", "6", "closed"]);
    });
}

#[test]
fn an_interval_of_zero_is_none_and_long_keys_are_refused() {
    with_loop(Config::default(), |address| {
        let mut peer = Peer::connect(address);
        let (longest, longer) = ("k".repeat(256), "k".repeat(257));
        peer.send(format!("every 0\ncast {longest} 1\ncast {longer} 2\ncast a 3").as_str());
        assert_eq!(texts(&mut peer, 2), ["1", "3"]);
    });
}

#[test]
fn beyond_the_most_keys_the_value_that_has_not_changed_for_the_longest_is_missed() {
    with_loop(Config::default().max_topic_keys(2), |address| {
        let mut slow = Peer::narrow(address);
        slow.send("fill\nsub latest\ncast a 1\ncast b 2\ncast a 3\ncast c 4");
        assert_eq!(texts(&mut slow, 2), ["3", "4"]);
        slow.send("stats");
        assert_eq!(text(&mut slow), "4 2 2");
    });
}

#[test]
fn large_values_are_sent_by_themselves_in_the_same_order() {
    with_loop(Config::default(), |address| {
        let mut slow = Peer::narrow(address);
        let large = "x".repeat(20_000);
        slow.send("fill\nsub latest\ncast a 1");
        slow.send(format!("cast b {large}\ncast c 2\ncast a {large}y").as_str());
        let got = texts(&mut slow, 3);
        assert_eq!(got, [large.clone(), "2".to_owned(), large + "y"]);
    });
}
