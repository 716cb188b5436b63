//! Every action from every method of a handler: what it returns, and what its peer and another
//! peer receive.

mod tags;

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::proto::handshake::{Acceptance, UpgradeRequest, UpgradeResponse};
use eventwire::proto::http::HeadLimits;
use eventwire::proto::{OpCode, Role};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{PeerId, SimConfig};
use eventwire::{
    Backoff, ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId, Context,
    Disconnect, EndpointId, Error, EventHandler, EventLoop, Gap, ListenerId, Message,
    OverflowPolicy, Rate, RateLimits, SendStatus, ServerConfig, StreamConfig, StreamHandler,
    SubscribeError, TagError, TopicId, Upgrade, WebSocketHandler, on_message,
};

use super::rig::Rig;
use super::script::SERVERS;
use crate::shared::{Arrived, request, take_frame};
use tags::TagAction;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Upgrade,
    Response,
    Open,
    Message,
    Ping,
    Pong,
    Drained,
    Gap,
    Close,
    ConnectError,
    Event,
    BatchEnd,
    Timer,
}

impl At {
    const ALL: [Self; 13] = [
        Self::Upgrade,
        Self::Response,
        Self::Open,
        Self::Message,
        Self::Ping,
        Self::Pong,
        Self::Drained,
        Self::Gap,
        Self::Close,
        Self::ConnectError,
        Self::Event,
        Self::BatchEnd,
        Self::Timer,
    ];

    /// Whether the connection that this is about is open then.
    fn is_open(self) -> bool {
        !matches!(self, Self::Upgrade | Self::Response | Self::Close | Self::ConnectError)
    }

    /// Whether it is subscribed already.
    fn is_subscribed(self) -> bool {
        self.is_open() && self != Self::Open
    }

    /// Whether it is tagged already.
    fn is_tagged(self) -> bool {
        self.is_subscribed()
    }
}

/// What the connection at hand speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    WebSocket,
    /// A raw stream, whose data is its messages.
    Stream,
}

impl Kind {
    const ALL: [Self; 2] = [Self::WebSocket, Self::Stream];

    /// Whether its handler has this method.
    fn has(self, at: At) -> bool {
        self == Self::WebSocket || !matches!(at, At::Upgrade | At::Response | At::Ping | At::Pong)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Subscribe,
    SubscribeBehindBroadcast,
    Unsubscribe,
    UnsubscribeBehindBroadcast,
    ResubscribeBehindBroadcast,
    CloseMe,
    CloseMeBehindBroadcast,
    CloseOther,
    Broadcast,
    BroadcastExceptMe,
    BroadcastExceptOther,
    SendMe,
    SendMeBehindBroadcast,
    SendOther,
    PingMe,
    TagMeWithLimits,
    RemoveTopic,
    EmptyAndRemoveTopic,
    Publish,
    Connect,
    ConnectAndStopLink,
    ConnectWithWrongEndpoint,
    ConnectStream,
    ListenAndClose,
    ListenOnPortInUse,
    MakePublisher,
    HoldAndRelease,
    StopListening,
    StopReading,
    Stop,
    Drain,
    Tag(TagAction),
}

impl Action {
    const ALL: [Self; 37] = [
        Self::Subscribe,
        Self::SubscribeBehindBroadcast,
        Self::Unsubscribe,
        Self::UnsubscribeBehindBroadcast,
        Self::ResubscribeBehindBroadcast,
        Self::CloseMe,
        Self::CloseMeBehindBroadcast,
        Self::CloseOther,
        Self::Broadcast,
        Self::BroadcastExceptMe,
        Self::BroadcastExceptOther,
        Self::SendMe,
        Self::SendMeBehindBroadcast,
        Self::SendOther,
        Self::PingMe,
        Self::TagMeWithLimits,
        Self::RemoveTopic,
        Self::EmptyAndRemoveTopic,
        Self::Publish,
        Self::Connect,
        Self::ConnectAndStopLink,
        Self::ConnectWithWrongEndpoint,
        Self::ConnectStream,
        Self::ListenAndClose,
        Self::ListenOnPortInUse,
        Self::MakePublisher,
        Self::HoldAndRelease,
        Self::StopListening,
        Self::StopReading,
        Self::Stop,
        Self::Drain,
        Self::Tag(TagAction::TagMe),
        Self::Tag(TagAction::UntagMe),
        Self::Tag(TagAction::UntagAll),
        Self::Tag(TagAction::SendTagged),
        Self::Tag(TagAction::CloseTagged),
        Self::Tag(TagAction::CloseMyTag),
    ];

    fn run(self, me: ConnectionId, state: &State, cx: &mut Context<'_>) -> String {
        let (other, topic) = (state.other.expect("it came first"), state.topic);
        let text = |outcome: &dyn std::fmt::Debug| format!("{outcome:?}");
        let cast = |cx: &mut Context<'_>| assert_eq!(cx.broadcast(topic, "x"), SendStatus::Sent);
        match self {
            Self::Subscribe => text(&cx.connection(me).subscribe(topic)),
            Self::SubscribeBehindBroadcast => {
                cast(cx);
                text(&cx.connection(me).subscribe(topic))
            }
            Self::Unsubscribe => text(&cx.connection(me).unsubscribe(topic)),
            Self::UnsubscribeBehindBroadcast => {
                cast(cx);
                text(&cx.connection(me).unsubscribe(topic))
            }
            Self::ResubscribeBehindBroadcast => {
                cast(cx);
                cx.connection(me).unsubscribe(topic);
                assert_eq!(cx.broadcast(topic, "y"), SendStatus::Sent);
                text(&cx.connection(me).subscribe_with(topic, OverflowPolicy::KeepLatest))
            }
            Self::CloseMe => text(&cx.connection(me).close(CloseCode::NORMAL, "")),
            Self::CloseMeBehindBroadcast => {
                cast(cx);
                text(&cx.connection(me).close(CloseCode::NORMAL, ""))
            }
            Self::CloseOther => text(&cx.connection(other).close(CloseCode::NORMAL, "")),
            Self::Broadcast => text(&cx.broadcast(topic, "x")),
            Self::BroadcastExceptMe => text(&cx.broadcast_except(topic, me, "x")),
            Self::BroadcastExceptOther => text(&cx.broadcast_except(topic, other, "x")),
            Self::SendMe => text(&cx.send_to(me, "x")),
            Self::SendMeBehindBroadcast => {
                cast(cx);
                text(&cx.send_to(me, "y"))
            }
            Self::SendOther => text(&cx.send_to(other, "x")),
            Self::PingMe => text(&cx.connection(me).ping(b"x")),
            Self::TagMeWithLimits => {
                text(&cx.connection(me).tag_with("unread", &NOTHING.bytes(Rate::per_second(0))))
            }
            Self::RemoveTopic => text(&cx.remove_topic(topic)),
            Self::EmptyAndRemoveTopic => {
                cx.connection(me).unsubscribe(topic);
                assert!(cx.connection(other).unsubscribe(topic));
                assert!(cx.remove_topic(topic));
                text(&cx.broadcast(topic, "x"))
            }
            Self::Publish => text(&cx.publish(Say("x")).is_ok()),
            Self::Tag(action) => action.run(me, cx),
            _ => self.run_on_the_loop(state, cx),
        }
    }

    /// Actions that concern no connection at hand.
    fn run_on_the_loop(self, state: &State, cx: &mut Context<'_>) -> String {
        let text = |outcome: &dyn std::fmt::Debug| format!("{outcome:?}");
        match self {
            Self::Connect => text(&cx.connect(state.reach.client, NOWHERE).is_ok()),
            Self::ConnectAndStopLink => {
                let conn = cx.connect(state.reach.client, NOWHERE).expect("it is begun");
                let link = cx.connection(conn).link().expect("it reconnects");
                assert!(cx.stop_reconnecting(link));
                text(&cx.stop_reconnecting(link))
            }
            Self::ConnectWithWrongEndpoint => text(&cx.connect(state.reach.server, NOWHERE)),
            Self::ConnectStream => text(&cx.connect_stream(state.reach.stream, "sim:7").is_ok()),
            Self::ListenAndClose => {
                let listener = cx.listen(state.reach.server, "127.0.0.1:0").expect("a port");
                assert!(cx.close_listener(listener));
                text(&cx.close_listener(listener))
            }
            Self::ListenOnPortInUse => {
                let Err(Error::Io { source, .. }) = cx.listen(state.reach.server, state.reach.used)
                else {
                    panic!("the port is in use");
                };
                text(&source.kind())
            }
            Self::MakePublisher => text(&cx.publisher::<Say>().is_ok()),
            Self::HoldAndRelease => {
                drop(cx.hold());
                String::new()
            }
            Self::StopListening => {
                cx.stop_listening();
                String::new()
            }
            Self::StopReading => {
                cx.stop_reading();
                String::new()
            }
            Self::Stop => {
                cx.stop();
                String::new()
            }
            Self::Drain => {
                cx.shutdown(Duration::from_millis(100));
                String::new()
            }
            _ => unreachable!("it concerns a connection"),
        }
    }
}

/// What is to come of an action.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: String,
    /// The texts that arrived.
    me: String,
    other: String,
    /// The codes that were closed with.
    me_closed: Option<u16>,
    other_closed: Option<u16>,
}

/// The definition.
fn expected(kind: Kind, at: At, action: Action) -> Outcome {
    let outcome = expected_of_web_socket(at, action);
    match kind {
        Kind::WebSocket => outcome,
        Kind::Stream => Outcome {
            // There is no close frame, and no ping.
            me_closed: outcome.me_closed.map(|_| NO_CODE),
            result: match action {
                Action::PingMe => "Gone".to_owned(),
                _ => outcome.result,
            },
            ..outcome
        },
    }
}

fn expected_of_web_socket(at: At, action: Action) -> Outcome {
    let (open, subscribed) = (at.is_open(), at.is_subscribed());
    // The last thing is a broadcast to all that are still subscribed.
    let end = |texts: &str, stays: bool| format!("{texts}{}", if stays { "." } else { "" });
    let mine = |texts: &str, stays: bool| end(if subscribed { texts } else { "" }, stays);
    let status = |taken: SendStatus| format!("{:?}", if open { taken } else { SendStatus::Gone });
    let gone: Result<bool, _> = Err(SubscribeError::ConnectionGone);
    let new = format!("{:?}", if open { Ok(!subscribed) } else { gone });
    let again = format!("{:?}", if open { Ok(true) } else { gone });
    // A connection that is not open yet can be closed.
    let closes = (open || matches!(at, At::Upgrade | At::Response)).to_string();
    let (result, me, other) = match action {
        Action::Subscribe => (new, end("", open), "."),
        Action::SubscribeBehindBroadcast => (new, mine("x", open), "x."),
        Action::Unsubscribe => (subscribed.to_string(), String::new(), "."),
        Action::UnsubscribeBehindBroadcast => (subscribed.to_string(), mine("x", false), "x."),
        Action::ResubscribeBehindBroadcast => (again, mine("x", open), "xy."),
        Action::CloseMe => (closes, String::new(), "."),
        Action::CloseMeBehindBroadcast => (closes, mine("x", false), "x."),
        Action::CloseOther => ("true".into(), mine("", subscribed), ""),
        Action::Broadcast => ("Sent".into(), mine("x", subscribed), "x."),
        Action::BroadcastExceptMe => ("Sent".into(), mine("", subscribed), "x."),
        Action::BroadcastExceptOther => ("Sent".into(), mine("x", subscribed), "."),
        Action::SendMe => {
            let texts = if open { "x" } else { "" };
            (status(SendStatus::Sent), end(texts, subscribed), ".")
        }
        Action::SendMeBehindBroadcast => {
            let texts = if subscribed { "xy" } else { "y" };
            (status(SendStatus::Sent), end(if open { texts } else { "" }, subscribed), "x.")
        }
        Action::SendOther => ("Sent".into(), mine("", subscribed), "x."),
        Action::PingMe => (status(SendStatus::Sent), mine("", subscribed), "."),
        Action::TagMeWithLimits => {
            let result = if open { Ok(true) } else { Err(TagError::ConnectionGone) };
            (format!("{result:?}"), mine("", subscribed), ".")
        }
        Action::RemoveTopic => ("false".into(), mine("", subscribed), "."),
        Action::EmptyAndRemoveTopic => ("Gone".into(), String::new(), ""),
        Action::Publish => ("true".into(), mine("x", subscribed), "x."),
        Action::Connect | Action::ConnectStream | Action::MakePublisher => {
            ("true".into(), mine("", subscribed), ".")
        }
        Action::ConnectAndStopLink | Action::ListenAndClose => {
            ("false".into(), mine("", subscribed), ".")
        }
        Action::ConnectWithWrongEndpoint => {
            ("Err(WrongEndpoint)".into(), mine("", subscribed), ".")
        }
        Action::ListenOnPortInUse => ("AddrInUse".into(), mine("", subscribed), "."),
        Action::HoldAndRelease | Action::StopListening | Action::StopReading => {
            (String::new(), mine("", subscribed), ".")
        }
        Action::Stop | Action::Drain => (String::new(), String::new(), ""),
        Action::Tag(action) => return tags::expected(at, action),
    };
    let ends = matches!(action, Action::Stop | Action::Drain);
    let me_closes = matches!(action, Action::CloseMe | Action::CloseMeBehindBroadcast);
    let me_closed = match at {
        At::Close => Some(1000),
        _ if ends && (open || at == At::Upgrade) => Some(1001),
        _ if me_closes && open => Some(1000),
        _ => None,
    };
    let other_closed =
        if ends { Some(1001) } else { (action == Action::CloseOther).then_some(1000) };
    Outcome { result, me, other: other.to_owned(), me_closed, other_closed }
}

/// In place of a code: a raw stream has ended.
const NO_CODE: u16 = 0;

/// An event: broadcast this.
struct Say(&'static str);

/// An event: do what is to be done.
struct Act;

/// The event of a timer: the same.
struct Due;

/// What handlers connect and listen with.
#[derive(Clone, Copy)]
struct Reach {
    server: EndpointId,
    client: EndpointId,
    stream: EndpointId,
    /// An address that is listened on.
    used: SocketAddr,
}

/// Limits with which nothing is read.
const NOTHING: RateLimits = RateLimits::new().messages(Rate::per_second(0));

/// A URL that nobody serves.
const NOWHERE: &str = "ws://127.0.0.1:7";

struct State {
    at: At,
    action: Action,
    topic: TopicId,
    reach: Reach,
    /// The connection that opened first, and only receives.
    other: Option<ConnectionId>,
    me: Option<ConnectionId>,
    result: Option<String>,
    /// A method runs.
    inside: bool,
    /// Connections that ended.
    ended: Vec<ConnectionId>,
}

impl State {
    const fn new(at: At, action: Action, topic: TopicId, reach: Reach) -> Self {
        Self {
            at,
            action,
            topic,
            reach,
            other: None,
            me: None,
            result: None,
            inside: false,
            ended: Vec::new(),
        }
    }

    /// Does what is to be done, if it is to be done here.
    fn reach(&mut self, at: At, conn: ConnectionId, cx: &mut Context<'_>) {
        assert!(!self.inside, "a method is called from inside another");
        assert!(!self.ended.contains(&conn), "{at:?} of a connection that has ended");
        if self.at == at && self.other != Some(conn) && self.result.is_none() {
            self.inside = true;
            self.result = Some(self.action.run(conn, self, cx));
            self.inside = false;
        }
    }
}

struct Probe;

impl WebSocketHandler<State> for Probe {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        state: &mut State,
    ) -> Upgrade {
        if state.other.is_some() {
            state.reach(At::Upgrade, conn.id(), conn);
        }
        Upgrade::accept()
    }

    fn on_response(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeResponse<'_>,
        state: &mut State,
    ) {
        state.reach(At::Response, conn.id(), conn);
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut State) {
        let topic = state.topic;
        let subscribe = |conn: &mut Connection<'_>, policy| {
            assert_eq!(conn.subscribe_with(topic, policy), Ok(true));
        };
        if state.other.is_none() {
            state.other = Some(conn.id());
            subscribe(conn, OverflowPolicy::Close);
            assert_eq!(conn.tag(tags::ALL), Ok(true));
            return;
        }
        state.me = Some(conn.id());
        match state.at {
            At::Upgrade | At::Response | At::Open => {}
            At::Gap => subscribe(conn, OverflowPolicy::DropNewest),
            _ => subscribe(conn, OverflowPolicy::Close),
        }
        if state.at.is_tagged() || state.at == At::Close {
            assert_eq!((conn.tag(tags::MINE), conn.tag(tags::ALL)), (Ok(true), Ok(true)));
        }
        state.reach(At::Open, conn.id(), conn);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut State) {
        if message.as_text() != Some("fill") {
            return state.reach(At::Message, conn.id(), conn);
        }
        assert_eq!(conn.send([0; 200_000]), SendStatus::Queued);
        if state.at == At::Gap {
            assert_eq!(conn.broadcast(state.topic, [0; 10]), SendStatus::Sent);
        }
    }

    fn on_ping(&mut self, conn: &mut Connection<'_>, _: &[u8], state: &mut State) {
        state.reach(At::Ping, conn.id(), conn);
    }

    fn on_pong(&mut self, conn: &mut Connection<'_>, _: &[u8], state: &mut State) {
        state.reach(At::Pong, conn.id(), conn);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut State) {
        state.reach(At::Drained, conn.id(), conn);
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut State) {
        assert_eq!((gap.topic, gap.first, gap.last, gap.missed()), (state.topic, 1, 1, 1));
        state.reach(At::Gap, conn.id(), conn);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, state: &mut State) {
        state.reach(At::Close, conn.id(), conn);
        state.ended.push(conn.id());
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, _: &ConnectError, state: &mut State) {
        state.reach(At::ConnectError, conn.id(), conn);
        state.ended.push(conn.id());
    }
}

impl StreamHandler<State> for Probe {
    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut State) {
        WebSocketHandler::on_open(self, conn, state);
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], state: &mut State) -> usize {
        let text = std::str::from_utf8(data).expect("text");
        self.on_message(conn, Message::Text(text), state);
        data.len()
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut State) {
        WebSocketHandler::on_drained(self, conn, state);
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut State) {
        WebSocketHandler::on_gap(self, conn, gap, state);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, reason: &Disconnect, state: &mut State) {
        WebSocketHandler::on_close(self, conn, reason, state);
    }

    fn on_connect_error(
        &mut self,
        conn: &mut Connection<'_>,
        error: &ConnectError,
        state: &mut State,
    ) {
        WebSocketHandler::on_connect_error(self, conn, error, state);
    }
}

impl EventHandler<Act, State> for Probe {
    fn on_event(&mut self, cx: &mut Context<'_>, _: &Act, state: &mut State) {
        let me = state.me.expect("it is open");
        state.reach(At::Event, me, cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context<'_>, state: &mut State) {
        let me = state.me.expect("it is open");
        state.reach(At::BatchEnd, me, cx);
    }
}

impl EventHandler<Due, State> for Probe {
    fn on_event(&mut self, cx: &mut Context<'_>, _: &Due, state: &mut State) {
        let me = state.me.expect("it is open");
        state.reach(At::Timer, me, cx);
    }
}

impl EventHandler<Say, State> for Probe {
    fn on_event(&mut self, cx: &mut Context<'_>, say: &Say, state: &mut State) {
        assert!(!state.inside, "an event is handled inside a method");
        cx.broadcast(state.topic, say.0);
    }
}

/// How long anything takes, with time to spare.
const MILLIS: u64 = 5;

/// A rig with a peer that is open already.
struct Case {
    kind: Kind,
    rig: Rig<State>,
    other: PeerId,
    /// Where the connection at hand is made to.
    address: SocketAddr,
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
    fn new(kind: Kind, at: At, action: Action) -> Self {
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
    fn open(&mut self) -> PeerId {
        let me = self.rig.sim().peer_connect(self.address);
        if self.kind == Kind::WebSocket {
            self.rig.sim().peer_send(me, &request(0));
        }
        self.run();
        me
    }

    fn run(&mut self) {
        self.rig.run(MILLIS);
    }

    fn send(&mut self, peer: PeerId, opcode: OpCode, payload: &[u8]) {
        match self.kind {
            Kind::WebSocket => self.rig.send(peer, opcode, payload),
            Kind::Stream if opcode == OpCode::Close => self.rig.sim().peer_close(peer),
            Kind::Stream => self.rig.sim().peer_send(peer, payload),
        }
        self.run();
    }

    /// Provokes the call of the method that the test is about; returns the peer, if there is one.
    fn provoke(&mut self) -> Option<PeerId> {
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
        self.run();
    }

    /// The text that the raw stream at hand received, and whether it has ended.
    fn received_raw(&mut self, peer: PeerId) -> (String, Option<u16>) {
        // Bytes that are none of the text fill the outbox.
        let bytes = self.rig.sim().peer_received(peer);
        let text = bytes.into_iter().filter(|byte| *byte != 0).map(char::from).collect();
        (text, self.rig.sim().peer_is_closed(peer).then_some(NO_CODE))
    }

    /// The texts that a peer received, and the code that its connection was closed with.
    fn received(&mut self, peer: PeerId) -> (String, Option<u16>) {
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

fn outcome(kind: Kind, at: At, action: Action) -> Outcome {
    let mut case = Case::new(kind, at, action);
    let me = case.provoke();
    let rig = &mut case.rig;
    if matches!(action, Action::Stop | Action::Drain) {
        rig.event_loop.run(&mut rig.state).expect("a poll");
        assert_eq!(rig.event_loop.connections(), 0);
        let after = rig.sim().elapsed() + Duration::from_millis(10);
        while rig.sim().elapsed() < after {
            rig.event_loop.turn(Some(Duration::from_millis(1)), &mut rig.state).expect("a poll");
        }
    } else {
        assert!(rig.event_loop.publisher().publish(Say(".")).is_ok());
        rig.run(MILLIS);
    }
    let (mine, me_closed) = match kind {
        Kind::WebSocket => me.map(|me| case.received(me)),
        Kind::Stream => me.map(|me| case.received_raw(me)),
    }
    .unwrap_or_default();
    let (others, other_closed) = case.received(case.other);
    let result = case.rig.state.result.expect("the method was called");
    Outcome { result, me: mine, other: others, me_closed, other_closed }
}

#[test]
fn every_action_from_every_method_does_what_is_defined() {
    for kind in Kind::ALL {
        for at in At::ALL.into_iter().filter(|at| kind.has(*at)) {
            for action in Action::ALL {
                let (outcome, expected) = (outcome(kind, at, action), expected(kind, at, action));
                assert_eq!(outcome, expected, "{action:?} in {at:?} of a {kind:?}");
            }
        }
    }
}
