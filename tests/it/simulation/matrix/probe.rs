//! The handler whose methods do something.

use std::net::SocketAddr;

use eventwire::proto::handshake::{UpgradeRequest, UpgradeResponse};
use eventwire::{
    Answer, ConnectError, Connection, ConnectionId, Context, Disconnect, EndpointId, EventHandler,
    EventStream, Gap, HttpHandler, HttpRequest, HttpResponse, Later, Message, OverflowPolicy,
    RequestId, Responder, Resumption, SendStatus, StreamHandler, StreamedResponse, TopicId,
    Upgrade, WebSocketHandler,
};

use super::actions::Action;
use super::methods::{At, Call, Kind};
use super::resuming;
use super::tags;

/// An event: broadcast this.
pub(super) struct Say(pub(super) &'static str);

/// An event: do what is to be done.
pub(super) struct Act;

/// An event: fill the outbox of the connection at hand.
pub(super) struct Fill;

/// The event of a timer: the same.
pub(super) struct Due;

/// Requests and streamed responses of other clients.
pub(super) struct Others {
    pub(super) waiting: RequestId,
    /// It waits, and asks for a WebSocket.
    pub(super) undecided: RequestId,
    pub(super) answered: RequestId,
    /// Its client has left.
    pub(super) left: RequestId,
    /// Its answer is wanted until its client leaves.
    pub(super) watched: Responder,
    pub(super) pieces: ConnectionId,
    pub(super) events: ConnectionId,
}

/// What handlers connect and listen with.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub(super) server: EndpointId,
    pub(super) client: EndpointId,
    pub(super) stream: EndpointId,
    /// An address that is listened on.
    pub(super) used: SocketAddr,
}

pub(super) struct State {
    pub(super) call: Call,
    pub(super) action: Action,
    pub(super) topic: TopicId,
    pub(super) reach: Reach,
    /// The connection that opened first, and only receives.
    pub(super) other: Option<ConnectionId>,
    /// Clients that have sent requests.
    pub(super) others: Option<Others>,
    pub(super) me: Option<ConnectionId>,
    /// The request at hand.
    pub(super) request: Option<RequestId>,
    pub(super) result: Option<String>,
    /// A method runs.
    pub(super) inside: bool,
    /// Connections that opened.
    pub(super) opened: Vec<ConnectionId>,
    /// Connections that ended.
    pub(super) ended: Vec<ConnectionId>,
}

impl State {
    pub(super) const fn new(call: Call, action: Action, topic: TopicId, reach: Reach) -> Self {
        Self {
            call,
            action,
            topic,
            reach,
            other: None,
            others: None,
            me: None,
            request: None,
            result: None,
            inside: false,
            opened: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Does what is to be done, if it is to be done here.
    pub(super) fn reach(&mut self, at: At, conn: ConnectionId, cx: &mut Context<'_>) {
        assert!(!self.inside, "a method is called from inside another");
        assert!(!self.ended.contains(&conn), "{at:?} of a connection that has ended");
        if matches!(
            at,
            At::Message | At::Ping | At::Pong | At::Drained | At::Gap | At::Resumed | At::Close
        ) {
            assert!(self.opened.contains(&conn), "{at:?} of a connection that is not open");
        }
        if self.call.at == at && self.other != Some(conn) && self.result.is_none() {
            self.inside = true;
            self.result = Some(self.action.run(conn, self, cx));
            self.inside = false;
        }
    }

    /// The policy of the subscription that the connection at hand has.
    fn policy(&self) -> OverflowPolicy {
        match self.call.at {
            At::Gap => OverflowPolicy::DropNewest,
            _ => OverflowPolicy::Close,
        }
    }

    fn note_open(&mut self, conn: &mut Connection<'_>) {
        assert!(!self.inside, "a method is called from inside another");
        assert!(conn.is_open(), "on_open of a connection that is not open");
        assert!(!self.opened.contains(&conn.id()), "a connection opens twice");
        self.opened.push(conn.id());
    }

    fn note_end(&mut self, conn: &mut Connection<'_>) {
        assert!(!conn.is_open(), "a connection that has ended is open");
        self.ended.push(conn.id());
    }
}

/// Fills the outbox of the connection at hand, and has it miss a broadcast if that is wanted.
fn fill(conn: &mut Connection<'_>, state: &State) {
    assert_eq!(conn.send([0; 200_000]), SendStatus::Queued);
    if state.call.at == At::Gap {
        assert_eq!(conn.broadcast(state.topic, [0; 10]), SendStatus::Sent);
    }
}

pub(super) struct Probe;

impl WebSocketHandler<State> for Probe {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        state: &mut State,
    ) -> Upgrade {
        if state.other.is_none() {
            return Upgrade::accept();
        }
        state.me = Some(conn.id());
        state.request = Some(conn.request_id());
        state.reach(At::Upgrade, conn.id(), conn);
        match state.call.kind {
            Kind::Undecided => Later::default().into(),
            _ => Upgrade::accept(),
        }
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
        state.note_open(conn);
        let topic = state.topic;
        if state.other.is_none() {
            state.other = Some(conn.id());
            assert_eq!((conn.subscribe(topic), conn.tag(tags::ALL)), (Ok(true), Ok(true)));
            return;
        }
        state.me = Some(conn.id());
        let Call { kind, at } = state.call;
        let is_first = kind == Kind::Undecided || matches!(at, At::Upgrade | At::Response);
        if !is_first && !matches!(at, At::Open | At::Request) {
            if at == At::Resumed {
                let position = conn.position(topic).expect("a topic");
                assert_eq!(conn.subscribe_from(topic, state.policy(), position), Ok(()));
            } else if kind != Kind::Events {
                assert_eq!(conn.subscribe_with(topic, state.policy()), Ok(true));
            }
            assert_eq!((conn.tag(tags::MINE), conn.tag(tags::ALL)), (Ok(true), Ok(true)));
        }
        state.reach(At::Open, conn.id(), conn);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, state: &mut State) {
        match message.as_text() {
            Some("fill") => fill(conn, state),
            _ => state.reach(At::Message, conn.id(), conn),
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

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        state: &mut State,
    ) {
        assert_eq!(topic, state.topic);
        if state.result.is_some() {
            conn.send(resuming::note(resumption));
        } else {
            assert_eq!(resumption, Resumption::Recovered { replayed: 0 });
            state.reach(At::Resumed, conn.id(), conn);
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, state: &mut State) {
        state.reach(At::Close, conn.id(), conn);
        state.note_end(conn);
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, _: &ConnectError, state: &mut State) {
        state.reach(At::ConnectError, conn.id(), conn);
        state.note_end(conn);
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

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        state: &mut State,
    ) {
        WebSocketHandler::on_resumed(self, conn, topic, resumption, state);
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

impl HttpHandler<State> for Probe {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        _: &HttpRequest<'_>,
        state: &mut State,
    ) -> Answer {
        state.me = Some(conn.id());
        state.request = Some(conn.request_id());
        state.reach(At::Request, conn.id(), conn);
        match state.call.kind {
            Kind::Later => Later::default().into(),
            Kind::Pieces => StreamedResponse::new(HttpResponse::text("")).into(),
            Kind::Events => EventStream::new().topic_with("topic", state.policy()).into(),
            _ => HttpResponse::text("at once").into(),
        }
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut State) {
        WebSocketHandler::on_open(self, conn, state);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut State) {
        WebSocketHandler::on_drained(self, conn, state);
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut State) {
        WebSocketHandler::on_gap(self, conn, gap, state);
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        state: &mut State,
    ) {
        WebSocketHandler::on_resumed(self, conn, topic, resumption, state);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, reason: &Disconnect, state: &mut State) {
        WebSocketHandler::on_close(self, conn, reason, state);
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

impl EventHandler<Fill, State> for Probe {
    fn on_event(&mut self, cx: &mut Context<'_>, _: &Fill, state: &mut State) {
        let me = state.me.expect("it is open");
        fill(&mut cx.connection(me), state);
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
