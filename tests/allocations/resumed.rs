//! Clients that come back: a message that is replayed costs no memory.

use allocation_counter::{AllocationInfo, measure};
use eventwire::proto::{Limits, OpCode, write_frame};
use eventwire::{
    Config, Connection, History, Message, OverflowPolicy, TopicConfig, WebSocketHandler,
};

use super::{App, Bench, MEASURED, WARM_UP, assert_nothing};

const TEXT: &[u8] = b"an earlier message";

/// Has its client resume with this many messages, again and again.
struct Back(u64);

impl WebSocketHandler<App> for Back {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.opened.push(conn.id());
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, _: Message<'_>, app: &mut App) {
        let topic = app.topic.expect("a topic");
        let position = conn.position_before(topic, self.0).expect("a topic");
        conn.subscribe_from(topic, OverflowPolicy::Close, position).expect("it subscribes");
    }
}

fn replay(count: usize) -> AllocationInfo {
    let history = TopicConfig::default().history(History::of(1000));
    let config = Config::default().topics("all", history);
    let limits = Limits::default().ping_interval(None);
    let mut bench = Bench::with_limits(config, Back(count as u64), limits, 1);
    bench.connect();
    let topic = bench.app.topic.expect("a topic");
    // Half of them share a batch.
    for number in 0..100 {
        bench.event_loop.context().broadcast(topic, TEXT);
        if number % 2 == 0 || number > 50 {
            bench.turn();
        }
    }
    let (mut ask, mut replayed) = (Vec::new(), Vec::new());
    write_frame(OpCode::Text, b"back", Some([1, 2, 3, 4]), &mut ask);
    write_frame(OpCode::Binary, TEXT, None, &mut replayed);
    let mut once = || {
        bench.write(0, &ask);
        bench.read(0, count * replayed.len(), &replayed);
    };
    (0..WARM_UP).for_each(|_| once());
    measure(|| (0..MEASURED).for_each(|_| once()))
}

#[test]
fn a_replay_allocates_nothing() {
    assert_nothing(replay(1));
    assert_nothing(replay(100));
}
