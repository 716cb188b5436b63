use super::*;
use crate::slots::Slots;

const LIMITS: TopicLimits = TopicLimits { topics: 3, subscriptions: 2, backlog: 24 };

#[test]
fn leaving_a_topic_right_after_being_served_keeps_the_other_subscriptions() {
    let mut topics = Topics::new(LIMITS);
    let mut keys = Slots::with_capacity(2);
    let [first, second] = [keys.insert(()), keys.insert(())];
    let [one, other] = ["one", "other"].map(|name| topics.topic(name).unwrap());
    for (conn, topic) in [(first, other), (second, one), (second, other), (first, one)] {
        assert_eq!(topics.subscribe(conn, topic), Ok(true));
    }
    assert_eq!(topics.broadcast(one, Message::Text("hi")), Ok(()));
    assert!(matches!(topics.deliver(), Some(Delivery::Run(conn, _)) if conn == second));
    // The connection is the last that was served, and its other subscription moves up.
    assert!(topics.unsubscribe(second, one));
    topics.remove_connection(second);
    assert_eq!((topics.subscribers(one), topics.subscribers(other)), (1, 1));

    assert_eq!(topics.broadcast(other, Message::Text("hello")), Ok(()));
    let mut owed = Vec::new();
    topics.settle(first, |run| owed.extend_from_slice(run.as_slice()));
    assert_eq!(owed, b"\x81\x02hi\x81\x05hello");
    assert!(topics.deliver().is_none(), "nobody else is subscribed");
}
