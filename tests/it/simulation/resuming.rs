//! Many clients that come back at once: each turn serves a part of them.

use std::time::Duration;

use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    Config, Connection, ConnectionId, Context, EventLoop, History, OverflowPolicy, Position,
    Resumption, ServerConfig, TopicConfig, TopicId, WebSocketHandler,
};

use crate::shared::{Arrived, SimPeer, request};

#[derive(Default)]
struct App {
    clients: Vec<ConnectionId>,
    resumed: usize,
}

struct Server;

impl WebSocketHandler<App> for Server {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.clients.push(conn.id());
    }

    fn on_resumed(
        &mut self,
        _: &mut Connection<'_>,
        _: TopicId,
        resumption: Resumption,
        app: &mut App,
    ) {
        assert_eq!(resumption, Resumption::Recovered { replayed: 1 });
        app.resumed += 1;
    }
}

/// Has all clients resume.
struct Resume(TopicId, Position);

/// So many clients resume with a message of that length. Returns how many do so in each turn.
fn resumed_in_turns(count: usize, len: usize) -> Vec<usize> {
    let history = TopicConfig::default().history(History::of(1));
    let config = Config::default().max_connections(count).topics("topic", history);
    let reactor = SimReactor::new(0, SimConfig::calm().window(1 << 20));
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Server);
    let address = event_loop.local_addr(listener.expect("a port")).expect("a listener");
    event_loop.on(|cx: &mut Context<'_>, resume: &Resume, app: &mut App| {
        for client in &app.clients {
            let mut conn = cx.connection(*client);
            conn.subscribe_from(resume.0, OverflowPolicy::Close, resume.1).expect("subscribed");
        }
    });
    let mut app = App::default();
    let mut turn = |event_loop: &mut EventLoop<App, SimReactor>| {
        let before = app.resumed;
        event_loop.turn(Some(Duration::from_millis(1)), &mut app).expect("a poll");
        (app.clients.len(), app.resumed - before)
    };
    let mut peers: Vec<_> =
        (0..count).map(|_| SimPeer::connect(event_loop.reactor_mut(), address)).collect();
    peers.iter().for_each(|peer| peer.send(&request(0), event_loop.reactor_mut()));
    while turn(&mut event_loop).0 < count {}
    let topic = event_loop.topic("topic").expect("a topic");
    let begin = event_loop.context().position(topic).expect("a topic");
    event_loop.context().broadcast(topic, vec![7; len]);
    turn(&mut event_loop);
    assert!(event_loop.publisher().publish(Resume(topic, begin)).is_ok());
    let mut resumed = Vec::new();
    while resumed.iter().sum::<usize>() < count {
        resumed.push(turn(&mut event_loop).1);
    }
    for _ in 0..1000 {
        turn(&mut event_loop);
    }
    for peer in &mut peers {
        peer.receive(event_loop.reactor_mut());
        peer.take_head().expect("a head");
        assert_eq!(peer.take_frame(), Some(Arrived::Message(false, vec![7; len])));
    }
    resumed
}

#[test]
fn a_turn_resumes_some_clients_and_begins_to_send_about_a_mebibyte() {
    assert_eq!(resumed_in_turns(600, 10), [256, 256, 88]);
    assert_eq!(resumed_in_turns(10, 300_000), [4, 4, 2]);
}
