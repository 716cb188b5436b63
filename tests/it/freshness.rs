//! How much the system holds for subscribers that do not read, of which only the latest matters.

use std::time::Duration;

use eventwire::{
    Config, Connection, Context, EventLoop, Idle, OverflowPolicy, ServerConfig, TopicId,
    WebSocketHandler,
};

use crate::util::{Peer, Target, drive};

const LEN: usize = 1000;

/// Updates that are broadcast in one turn, and turns.
const BURST: usize = 10;
const BURSTS: usize = 1_000;

/// More bytes than what may be unsent, a segment that is being filled, and the receive buffer of a
/// peer that has read nothing: far less than the system's send buffer.
const LITTLE: u64 = 400_000;

struct Feed {
    topic: TopicId,
    policy: OverflowPolicy,
}

impl WebSocketHandler<()> for Feed {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        assert_eq!(conn.subscribe_with(self.topic, self.policy), Ok(true));
    }
}

struct Burst;

/// How many bytes the system, or the session, took for a peer that reads nothing.
fn taken(config: ServerConfig, policy: OverflowPolicy, secure: bool) -> u64 {
    let mut event_loop = EventLoop::new(Config::default().idle(Idle::Block)).expect("a loop");
    let topic = event_loop.topic("updates").expect("a topic");
    let listener = event_loop.listen("127.0.0.1:0", config, Feed { topic, policy });
    let address = listener.ok().and_then(|it| event_loop.local_addr(it)).expect("a listener");
    event_loop.on(move |cx: &mut Context<'_>, _: &Burst, (): &mut ()| {
        for _ in 0..BURST {
            cx.broadcast(topic, [7; LEN]);
        }
    });
    let target = Target { address, secure };
    let _peer = drive(&mut event_loop, &mut (), || Peer::connect(target));
    let bursts = event_loop.publisher();
    for _ in 0..BURSTS {
        assert!(bursts.publish(Burst).is_ok());
        event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
    }
    assert_eq!(event_loop.connections(), 1);
    event_loop.stats().bytes_sent
}

#[test]
fn little_is_unsent_for_a_conflating_subscriber() {
    let taken = taken(ServerConfig::default(), OverflowPolicy::KeepLatest, false);
    assert!(taken < LITTLE, "{taken} bytes are on their way");
}

#[cfg(feature = "tls")]
#[test]
fn little_is_unsent_for_a_conflating_subscriber_over_tls() {
    let config = ServerConfig::default().tls(crate::util::Identity::ONE.server());
    let taken = taken(config, OverflowPolicy::KeepLatest, true);
    assert!(taken < LITTLE, "{taken} bytes are on their way");
}

#[test]
fn unsent_limit_applies_to_other_subscribers() {
    let policy = OverflowPolicy::DropNewest;
    let most = taken(ServerConfig::default(), policy, false);
    let few = taken(ServerConfig::default().unsent_limit(16 * 1024), policy, false);
    assert!(few < LITTLE && 2 * few < most, "{few} bytes, and {most} without a limit");
}
