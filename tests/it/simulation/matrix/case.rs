//! A loop with the connection at hand and others.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::OpCode;
use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::proto::http::HeadLimits;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{
    Backoff, ClientConfig, Config, Connection, EventLoop, History, HttpResponse, ListenerId,
    RespondError, ServerConfig, StreamConfig, StreamHandler, TopicConfig, on_message,
};

use super::super::rig::Rig;
use super::super::script::SERVERS;
use super::actions::Action;
use super::expected::{Concerned, Outcome};
use super::methods::{At, Call, Kind};
use super::others::{OtherPeers, Server};
use super::probe::{Act, Due, Fill, Probe, Reach, Say, State};
use super::received::Received;
use super::storing::{store, with_durable_topics};
use super::tags;
use crate::shared::request;

/// How long anything takes, with time to spare.
const MILLIS: u64 = 5;

/// A rig with a peer that is open already.
pub(super) struct Case {
    call: Call,
    rig: Rig<State>,
    other: PeerId,
    me: Option<PeerId>,
    server: Server,
    /// Others whose requests an action concerns.
    others: Option<OtherPeers>,
    /// All peers that may be open.
    peers: Vec<PeerId>,
    /// Where a raw stream is made to.
    streams: SocketAddr,
}

/// Registers what handlers connect and listen with.
fn reach(event_loop: &mut EventLoop<State, SimReactor>, listener: ListenerId) -> Reach {
    let config = ClientConfig::default().reconnect(Backoff::default());
    let ignore = || on_message(|_, _, _: &mut State| {});
    Reach {
        server: event_loop.server_endpoint(ServerConfig::default(), ignore()).expect("valid"),
        client: event_loop.client_endpoint(config, ignore()).expect("valid"),
        stream: event_loop.stream_endpoint(StreamConfig::default(), Ignore).expect("valid"),
        used: event_loop.local_addr(listener).expect("it listens"),
    }
}

/// A raw stream that nobody looks at.
struct Ignore;

impl StreamHandler<State> for Ignore {
    fn on_data(&mut self, _: &mut Connection<'_>, data: &[u8], _: &mut State) -> usize {
        data.len()
    }
}

impl Case {
    fn new(call: Call, action: Action) -> Self {
        let reactor = SimReactor::new(0, SimConfig::calm());
        let history = TopicConfig::default().history(History::of(10));
        let config = Config::default().topics("topic", history.clone());
        let config = with_durable_topics(config, &history);
        let mut rig = Rig::with_setup(reactor, config, |event_loop| {
            event_loop.on_handler::<Act>(Probe);
            event_loop.on_handler::<Due>(Probe);
            event_loop.on_handler::<Fill>(Probe);
            event_loop.on_handler::<Say>(Probe);
            store(event_loop);
            let topic = event_loop.topic("topic").expect("a topic");
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Probe);
            let listener = listener.expect("a port");
            let reach = reach(event_loop, listener);
            (listener, State::new(call, action, topic, reach))
        });
        let server = Server::listen(&mut rig.event_loop);
        let config = StreamConfig::default();
        let streams = rig.event_loop.listen_stream("127.0.0.1:0", config, Probe);
        let streams = rig.event_loop.local_addr(streams.expect("a port")).expect("a listener");
        let address = rig.address;
        let other = rig.sim().peer_connect(address);
        rig.sim().peer_send(other, &request(0));
        rig.run(MILLIS);
        let is_http = matches!(action, Action::Http(_));
        let others = is_http.then(|| OtherPeers::ask(&server, &mut rig));
        let peers = std::iter::once(other).chain(others.iter().flat_map(OtherPeers::all));
        let peers = peers.collect();
        Self { call, rig, other, me: None, server, others, peers, streams }
    }

    /// The connection at hand.
    fn open(&mut self) -> PeerId {
        let me = match self.call.kind {
            Kind::WebSocket => {
                let address = self.rig.address;
                let me = self.rig.sim().peer_connect(address);
                self.rig.sim().peer_send(me, &request(0));
                me
            }
            Kind::Stream => self.rig.sim().peer_connect(self.streams),
            kind => self.server.ask(kind, &mut self.rig),
        };
        self.peers.push(me);
        self.me = Some(me);
        self.run();
        me
    }

    fn run(&mut self) {
        self.rig.run(MILLIS);
    }

    fn send(&mut self, peer: PeerId, opcode: OpCode, payload: &[u8]) {
        match self.call.kind {
            Kind::WebSocket => self.rig.send(peer, opcode, payload),
            Kind::Stream if opcode != OpCode::Close => self.rig.sim().peer_send(peer, payload),
            _ => self.rig.sim().peer_close(peer),
        }
        self.run();
    }

    fn publish<E: Send + 'static>(&mut self, event: E) {
        assert!(self.rig.event_loop.publisher().publish(event).is_ok());
        self.run();
    }

    /// Provokes the call of the method that the test is about.
    fn provoke(&mut self) {
        let Call { kind, at } = self.call;
        if at == At::ConnectError {
            return self.fail_to_connect();
        }
        if at == At::Response {
            return self.accept_connection();
        }
        let me = self.open();
        match at {
            At::Open if kind == Kind::Undecided => {
                assert_eq!(self.answer(), Some(Ok(())));
                self.run();
            }
            At::Upgrade | At::Response | At::Request | At::ConnectError => {}
            At::Open | At::Resumed => {}
            At::Message => self.send(me, OpCode::Text, b"go"),
            At::Ping => self.send(me, OpCode::Ping, b""),
            At::Pong => self.send(me, OpCode::Pong, b""),
            At::Close => self.send(me, OpCode::Close, &1000_u16.to_be_bytes()),
            At::Event | At::BatchEnd => self.publish(Act),
            At::Timer => {
                assert!(self.rig.event_loop.set_timer(Duration::from_millis(1), Due).is_ok());
                self.run();
            }
            At::Drained | At::Gap => {
                self.rig.sim().peer_stop_reading(me);
                self.publish(Fill);
                assert_eq!(self.rig.state.result, None);
                self.rig.sim().peer_resume(me);
                self.run();
            }
        }
    }

    /// Answers the request at hand, if it waits until the action is done.
    fn answer(&mut self) -> Option<Result<(), RespondError>> {
        let request = self.rig.state.request?;
        let mut context = self.rig.event_loop.context();
        match self.call.kind {
            Kind::Later => Some(context.respond(request, HttpResponse::text("late"))),
            Kind::Undecided => Some(context.respond(request, Acceptance::new())),
            _ => None,
        }
    }

    fn fail_to_connect(&mut self) {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 7));
        let event_loop = &mut self.rig.event_loop;
        let begun = match self.call.kind {
            Kind::Stream => event_loop.connect_stream(nobody, StreamConfig::default(), Probe),
            _ => {
                let config = ClientConfig::default().address(nobody);
                event_loop.connect("ws://sim/0", config, Probe)
            }
        };
        begun.expect("a connection");
        self.run();
    }

    /// Makes a connection to a server that accepts it.
    fn accept_connection(&mut self) {
        let servers = self.rig.sim().peer_listen(SERVERS).expect("nobody else listens there");
        let config = ClientConfig::default().address(servers);
        self.rig.event_loop.connect("ws://sim/0", config, Probe).expect("a connection");
        self.run();
        let server = self.rig.sim().peer_accept(servers).expect("a connection");
        let head = self.rig.sim().peer_received(server);
        let request = UpgradeRequest::parse(&head, &HeadLimits::default()).expect("a request");
        let mut response = Vec::new();
        Acceptance::new().write(&request.key(), &mut response);
        self.rig.sim().peer_send(server, &response);
        self.peers.push(server);
        self.run();
    }

    /// What a peer received.
    fn received(&mut self, peer: PeerId) -> Received {
        let is_closed = self.rig.sim().peer_is_closed(peer);
        let bytes = self.rig.sim().peer_received(peer);
        match self.call.kind {
            Kind::Stream if self.me == Some(peer) => Received::raw(bytes, is_closed),
            _ => Received::of(bytes, is_closed),
        }
    }

    /// Lets everything end.
    fn finish(&mut self) {
        let rig = &mut self.rig;
        if rig.state.action.ends() {
            rig.event_loop.run(&mut rig.state).expect("a poll");
            assert_eq!(rig.event_loop.connections(), 0);
            let after = rig.sim().elapsed() + Duration::from_millis(10);
            while rig.sim().elapsed() < after {
                rig.event_loop
                    .turn(Some(Duration::from_millis(1)), &mut rig.state)
                    .expect("a poll");
            }
        } else {
            self.run();
            self.publish(Say("."));
        }
    }

    /// Does what is to be done in a method; returns what came of it.
    pub(super) fn outcome(call: Call, action: Action) -> Outcome {
        let mut case = Self::new(call, action);
        case.provoke();
        let http = match action {
            Action::Http(action) => Some(action),
            _ => None,
        };
        let late = case.answer();
        let concerned = http.map(|action| OtherPeers::answer(action, &mut case.rig));
        case.finish();
        let mine = case.me.map(|me| case.received(me)).unwrap_or_default();
        let others = case.received(case.other);
        let concerned = concerned.and_then(|late| {
            let peer = case.others.as_ref().zip(http);
            let peer = peer.and_then(|(others, action)| others.concerned(action))?;
            let Received { responses, texts, closed } = case.received(peer);
            Some(Concerned { responses: responses.join(", "), texts, closed, late })
        });
        let result = case.rig.state.result.take().expect("the method was called");
        case.leave();
        Outcome {
            result,
            late,
            responses: mine.responses.join(", "),
            me: mine.texts,
            me_closed: mine.closed,
            other: others.texts,
            other_closed: others.closed,
            concerned,
        }
    }

    /// All peers leave, and nothing stays.
    fn leave(mut self) {
        for peer in self.peers.drain(..) {
            self.rig.sim().peer_drop(peer);
        }
        let reads_nothing = match self.rig.state.action {
            Action::StopReading => true,
            // It is not applied to what comes behind the request of a streamed response.
            Action::TagMeWithLimits => !matches!(self.call.kind, Kind::Pieces | Kind::Events),
            _ => false,
        };
        if reads_nothing {
            // Nobody would notice that the peers have left.
            self.rig.event_loop.context().stop();
            self.rig.event_loop.run(&mut self.rig.state).expect("a poll");
        }
        for _ in 0..100 {
            if self.rig.event_loop.connections() > 0 {
                self.rig
                    .event_loop
                    .turn(Some(Duration::from_secs(1)), &mut self.rig.state)
                    .expect("a poll");
            }
        }
        assert_eq!(self.rig.event_loop.connections(), 0);
        let State { topic, others, opened, mut ended, .. } = self.rig.state;
        let context = self.rig.event_loop.context();
        assert_eq!(context.subscriber_count(topic), 0);
        for tag in [tags::ALL, tags::MINE, "new", "unread"] {
            assert_eq!(context.tagged(tag).len(), 0);
        }
        assert!(others.is_none_or(|others| !others.watched.is_wanted()), "a request is kept");
        ended.retain(|conn| opened.contains(conn));
        ended.sort();
        assert!(opened.iter().all(|conn| ended.contains(conn)), "a connection has no on_close");
        assert_eq!(opened.len(), ended.len(), "on_close is called twice");
    }
}
