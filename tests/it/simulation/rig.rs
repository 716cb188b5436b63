//! The rig of tests in the simulated network: one loop that a test drives step by step.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;

use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::proto::http::HeadLimits;
use eventwire::proto::{OpCode, Role};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Choices, PeerId, SimConfig};
use eventwire::{
    ClientConfig, Config, ConnectError, Connection, Context, Disconnect, EventLoop, Idle,
    ListenerId, Message, OnPanic, Publisher, ServerConfig, WebSocketHandler,
};

use super::script::SERVERS;
use crate::shared::{Arrived, frame, request, take_frame};

/// One call of a handler's method.
pub(super) enum Call<'a> {
    Open,
    Message(Message<'a>),
    Ping,
    Pong,
    Close(&'a Disconnect),
    ConnectError(&'a ConnectError),
}

/// A handler that is one closure.
pub(super) struct Calls<F>(pub(super) F);

impl<S, F: FnMut(&mut Connection<'_>, Call<'_>)> WebSocketHandler<S> for Calls<F> {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        (self.0)(conn, Call::Open);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut S) {
        (self.0)(conn, Call::Message(message));
    }

    fn on_ping(&mut self, conn: &mut Connection<'_>, _: &[u8], _: &mut S) {
        (self.0)(conn, Call::Ping);
    }

    fn on_pong(&mut self, conn: &mut Connection<'_>, _: &[u8], _: &mut S) {
        (self.0)(conn, Call::Pong);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, reason: &Disconnect, _: &mut S) {
        (self.0)(conn, Call::Close(reason));
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, error: &ConnectError, _: &mut S) {
        (self.0)(conn, Call::ConnectError(error));
    }
}

/// Something to be done in a handler of events.
struct Act(Box<dyn Fn(&mut Context<'_>) + Send>);

/// A loop that listens, with the state of its handlers.
pub(super) struct Rig<S = ()> {
    pub(super) event_loop: EventLoop<S, SimReactor>,
    pub(super) state: S,
    /// Where peers connect to.
    pub(super) address: SocketAddr,
    acts: Publisher<Act>,
}

impl Rig {
    /// A rig whose handler is a closure.
    pub(super) fn new<F>(sim: SimConfig, config: Config, handler: F) -> Self
    where
        F: FnMut(&mut Connection<'_>, Call<'_>) + 'static,
    {
        Self::with_choices(Choices::from_seed(0), sim, config, handler)
    }

    pub(super) fn with_choices<F>(
        choices: Choices,
        sim: SimConfig,
        config: Config,
        handler: F,
    ) -> Self
    where
        F: FnMut(&mut Connection<'_>, Call<'_>) + 'static,
    {
        let reactor = SimReactor::with_choices(choices, sim);
        Self::with_setup(reactor, config, |event_loop| {
            let server = ServerConfig::default();
            (event_loop.listen("127.0.0.1:0", server, Calls(handler)).expect("a port"), ())
        })
    }
}

impl<S: 'static> Rig<S> {
    /// A rig whose listener and state `setup` makes.
    pub(super) fn with_setup(
        reactor: SimReactor,
        config: Config,
        setup: impl FnOnce(&mut EventLoop<S, SimReactor>) -> (ListenerId, S),
    ) -> Self {
        let config = config.idle(Idle::Block).on_panic(OnPanic::Propagate).inbox(16);
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let (listener, state) = setup(&mut event_loop);
        let address = event_loop.local_addr(listener).expect("a listener");
        event_loop.on(|cx: &mut Context<'_>, act: &Act, _: &mut S| (act.0)(cx));
        let acts = event_loop.publisher();
        Self { event_loop, state, address, acts }
    }

    pub(super) fn sim(&mut self) -> &mut SimReactor {
        self.event_loop.reactor_mut()
    }

    /// Lets time pass, unless the loop stops; returns how many turns it took.
    pub(super) fn run(&mut self, millis: u64) -> usize {
        let end = self.sim().elapsed() + Duration::from_millis(millis);
        let mut turns = 0;
        while self.sim().elapsed() < end && !self.event_loop.is_stopping() {
            let left = end - self.sim().elapsed();
            self.event_loop.turn(Some(left), &mut self.state).expect("a poll");
            turns += 1;
        }
        turns
    }

    /// Does something in a handler of events; returns what came of it.
    pub(super) fn act<T: Send + 'static>(
        &mut self,
        act: impl Fn(&mut Context<'_>) -> T + Send + 'static,
    ) -> T {
        let (sender, result) = channel();
        let act = Act(Box::new(move |cx| sender.send(act(cx)).expect("a receiver")));
        assert!(self.acts.publish(act).is_ok());
        self.event_loop.turn(Some(Duration::ZERO), &mut self.state).expect("a poll");
        result.try_recv().expect("events are handled in the next turn")
    }

    /// A peer whose connection is open.
    pub(super) fn peer(&mut self) -> PeerId {
        let address = self.address;
        let peer = self.sim().peer_connect(address);
        self.sim().peer_send(peer, &request(0));
        self.run(1);
        let response = self.sim().peer_received(peer);
        assert!(response.starts_with(b"HTTP/1.1 101"), "not open");
        peer
    }

    /// A scripted server, to which the loop has opened a connection.
    pub(super) fn server<F>(&mut self, handler: F) -> PeerId
    where
        F: FnMut(&mut Connection<'_>, Call<'_>) + 'static,
    {
        let servers = self.sim().peer_listen(SERVERS).expect("nobody else listens there");
        let config = ClientConfig::default().address(servers);
        self.event_loop.connect("ws://sim/", config, Calls(handler)).expect("connecting");
        self.run(1);
        let peer = self.sim().peer_accept(servers).expect("a connection");
        let head = self.sim().peer_received(peer);
        let request =
            UpgradeRequest::parse(&head, &HeadLimits::default()).expect("a right request");
        let mut response = Vec::new();
        Acceptance::new().write(&request.key(), &mut response);
        self.sim().peer_send(peer, &response);
        self.run(1);
        peer
    }

    pub(super) fn send(&mut self, peer: PeerId, opcode: OpCode, payload: &[u8]) {
        self.sim().peer_send(peer, &frame(opcode, payload));
        self.run(1);
    }

    /// The frames that arrived at a peer.
    pub(super) fn received(&mut self, peer: PeerId) -> Vec<Arrived> {
        let mut bytes = self.sim().peer_received(peer);
        let frames = std::iter::from_fn(|| take_frame(&mut bytes, Role::Client)).collect();
        assert_eq!(bytes, [0; 0], "half a frame");
        frames
    }
}

/// Notes what a handler saw.
pub(super) type Notes<T> = Rc<RefCell<Vec<T>>>;

pub(super) fn text<'a>(call: &Call<'a>) -> Option<&'a str> {
    match call {
        Call::Message(message) => message.as_text(),
        _ => None,
    }
}
