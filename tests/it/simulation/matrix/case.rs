//! A loop with the connection at hand and another one.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::proto::http::HeadLimits;
use eventwire::proto::{OpCode, Role};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{
    Backoff, ClientConfig, Config, Connection, EventLoop, ListenerId, ServerConfig, StreamConfig,
    StreamHandler, on_message,
};

use super::super::rig::Rig;
use super::super::script::SERVERS;
use super::actions::Action;
use super::expected::NO_CODE;
use super::methods::{At, Kind};
use super::probe::{Act, Due, Probe, Reach, Say, State};
use crate::shared::{Arrived, request, take_frame};

/// How long anything takes, with time to spare.
pub(super) const MILLIS: u64 = 5;

/// A rig with a peer that is open already.
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) rig: Rig<State>,
    pub(super) other: PeerId,
    /// Where the connection at hand is made to.
    pub(super) address: SocketAddr,
}

/// Registers what handlers connect and listen with.
pub(super) fn reach(event_loop: &mut EventLoop<State, SimReactor>, listener: ListenerId) -> Reach {
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
pub(super) struct Ignore;

impl StreamHandler<State> for Ignore {
    fn on_data(&mut self, _: &mut Connection<'_>, data: &[u8], _: &mut State) -> usize {
        data.len()
    }
}

impl Case {
    pub(super) fn new(kind: Kind, at: At, action: Action) -> Self {
        let reactor = SimReactor::new(0, SimConfig::calm());
        let mut rig = Rig::with_setup(reactor, Config::default(), |event_loop| {
            event_loop.on_handler::<Act>(Probe);
            event_loop.on_handler::<Due>(Probe);
            event_loop.on_handler::<Say>(Probe);
            let topic = event_loop.topic("topic").expect("a topic");
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Probe);
            let listener = listener.expect("a port");
            let reach = reach(event_loop, listener);
            (listener, State::new(at, action, topic, reach))
        });
        let other = rig.address;
        let address = match kind {
            Kind::WebSocket => other,
            Kind::Stream => {
                let config = StreamConfig::default();
                let listener = rig.event_loop.listen_stream("127.0.0.1:0", config, Probe);
                rig.event_loop.local_addr(listener.expect("a port")).expect("a listener")
            }
        };
        let other = rig.sim().peer_connect(other);
        let mut case = Self { kind, rig, other, address };
        case.rig.sim().peer_send(other, &request(0));
        case.run();
        case
    }

    /// The connection at hand.
    pub(super) fn open(&mut self) -> PeerId {
        let me = self.rig.sim().peer_connect(self.address);
        if self.kind == Kind::WebSocket {
            self.rig.sim().peer_send(me, &request(0));
        }
        self.run();
        me
    }

    pub(super) fn run(&mut self) {
        self.rig.run(MILLIS);
    }

    pub(super) fn send(&mut self, peer: PeerId, opcode: OpCode, payload: &[u8]) {
        match self.kind {
            Kind::WebSocket => self.rig.send(peer, opcode, payload),
            Kind::Stream if opcode == OpCode::Close => self.rig.sim().peer_close(peer),
            Kind::Stream => self.rig.sim().peer_send(peer, payload),
        }
        self.run();
    }

    /// Provokes the call of the method that the test is about; returns the peer, if there is one.
    pub(super) fn provoke(&mut self) -> Option<PeerId> {
        if self.rig.state.at == At::ConnectError {
            let nobody = SocketAddr::from(([127, 0, 0, 1], 7));
            let event_loop = &mut self.rig.event_loop;
            let begun = match self.kind {
                Kind::WebSocket => {
                    let config = ClientConfig::default().address(nobody);
                    event_loop.connect("ws://sim/0", config, Probe)
                }
                Kind::Stream => event_loop.connect_stream(nobody, StreamConfig::default(), Probe),
            };
            begun.expect("a connection");
            self.run();
            return None;
        }
        if self.rig.state.at == At::Response {
            self.accept_connection();
            return None;
        }
        let me = self.open();
        match self.rig.state.at {
            At::Upgrade | At::Response | At::Open | At::ConnectError => {}
            At::Message => self.send(me, OpCode::Text, b"go"),
            At::Ping => self.send(me, OpCode::Ping, b""),
            At::Pong => self.send(me, OpCode::Pong, b""),
            At::Close => self.send(me, OpCode::Close, &1000_u16.to_be_bytes()),
            At::Event | At::BatchEnd => {
                assert!(self.rig.event_loop.publisher().publish(Act).is_ok());
                self.run();
            }
            At::Timer => {
                assert!(self.rig.event_loop.set_timer(Duration::from_millis(1), Due).is_ok());
                self.run();
            }
            At::Drained | At::Gap => {
                self.rig.sim().peer_stop_reading(me);
                self.send(me, OpCode::Text, b"fill");
                assert_eq!(self.rig.state.result, None);
                self.rig.sim().peer_resume(me);
                self.run();
            }
        }
        Some(me)
    }

    /// Makes a connection to a server that accepts it.
    pub(super) fn accept_connection(&mut self) {
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
        self.run();
    }

    /// The text that the raw stream at hand received, and whether it has ended.
    pub(super) fn received_raw(&mut self, peer: PeerId) -> (String, Option<u16>) {
        // Bytes that are none of the text fill the outbox.
        let bytes = self.rig.sim().peer_received(peer);
        let text = bytes.into_iter().filter(|byte| *byte != 0).map(char::from).collect();
        (text, self.rig.sim().peer_is_closed(peer).then_some(NO_CODE))
    }

    /// The texts that a peer received, and the code that its connection was closed with.
    pub(super) fn received(&mut self, peer: PeerId) -> (String, Option<u16>) {
        let mut bytes = self.rig.sim().peer_received(peer);
        let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let response: Vec<u8> = bytes.drain(..head.map_or(bytes.len(), |at| at + 4)).collect();
        let (mut texts, mut closed) = (String::new(), None);
        if response.starts_with(b"HTTP/1.1 101") {
            while let Some(frame) = take_frame(&mut bytes, Role::Client) {
                assert_eq!(closed, None, "something follows the close frame");
                match frame {
                    Arrived::Message(true, text) => {
                        texts.push_str(std::str::from_utf8(&text).expect("text"));
                    }
                    Arrived::Close(code) => closed = code,
                    _ => {}
                }
            }
        }
        (texts, closed)
    }
}
