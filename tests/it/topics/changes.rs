//! Topics that gain their first subscriber and lose their last.

use super::*;

/// Notes changes.
#[derive(Default)]
struct Changes(Vec<(String, bool)>);

struct Flock;

impl WebSocketHandler<Changes> for Flock {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut Changes) {
        for line in message.as_text().expect("commands are text").lines() {
            Interpreter::obey(line, conn.id(), conn);
        }
    }
}

#[test]
fn gaining_and_losing_subscribers_publishes_topic_changed() {
    // One change at a time finds room.
    for inbox in [1, 1000] {
        let (mut event_loop, address) = looping(Config::default().inbox(inbox), Flock);
        event_loop.on(|cx: &mut Context<'_>, change: &TopicChanged, changes: &mut Changes| {
            let name = cx.topic_name(change.topic).unwrap_or("removed").to_owned();
            changes.0.push((name, change.occupied));
        });
        let mut changes = Changes::default();
        let mut peers = drive(&mut event_loop, &mut changes, || {
            let mut peers = [(); 2].map(|()| Peer::connect(address));
            tell(&mut peers[0], "sub a\nsub b\nsub c\nunsub c\nsub d\nunsub d\nsub d");
            tell(&mut peers[1], "sub a");
            peers
        });
        drive_until(&mut event_loop, &mut changes, |_, changes| changes.0.len() == 3);
        let take = |changes: &mut Changes| std::mem::take(&mut changes.0);
        let expected = ["a", "b", "d"].map(|name| (name.to_owned(), true));
        assert_eq!(take(&mut changes), expected);
        drive(&mut event_loop, &mut changes, || {
            peers[0].send("unsub b\nremove? b");
            peers[0].expect("true");
        });
        drive_until(&mut event_loop, &mut changes, |_, changes| !changes.0.is_empty());
        assert_eq!(take(&mut changes), [("removed".to_owned(), false)]);
        let [first, second] = peers;
        first.reset();
        drive_until(&mut event_loop, &mut changes, |_, changes| !changes.0.is_empty());
        drop(second);
        drive_until(&mut event_loop, &mut changes, |_, changes| changes.0.len() == 2);
        assert_eq!(take(&mut changes), ["d", "a"].map(|name| (name.to_owned(), false)));
    }
}

#[test]
fn topic_changed_of_the_last_connection_is_handled_during_a_shutdown() {
    let (mut event_loop, address) = looping(Config::default(), Flock);
    event_loop.on(|_: &mut Context<'_>, change: &TopicChanged, changes: &mut Changes| {
        changes.0.push((String::new(), change.occupied));
    });
    let mut changes = Changes::default();
    let mut peer = drive(&mut event_loop, &mut changes, || {
        let mut peer = Peer::connect(address);
        tell(&mut peer, "sub a");
        peer
    });
    event_loop.handle().shutdown(crate::util::PATIENCE);
    drive(&mut event_loop, &mut changes, || {
        peer.expect_close(CloseCode::GOING_AWAY);
        peer.send_close(1001, "");
        peer.expect_end();
    });
    event_loop.run(&mut changes).expect("run");
    assert_eq!(changes.0, [(String::new(), true), (String::new(), false)]);
}
