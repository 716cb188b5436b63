//! The handler whose methods do something.

use std::net::SocketAddr;

use eventwire::proto::handshake::{UpgradeRequest, UpgradeResponse};
use eventwire::{
    ConnectError, Connection, ConnectionId, Context, Disconnect, EndpointId, EventHandler, Gap,
    Message, OverflowPolicy, SendStatus, StreamHandler, TopicId, Upgrade, WebSocketHandler,
};

use super::actions::Action;
use super::methods::At;
use super::tags;

/// An event: broadcast this.
pub(super) struct Say(pub(super) &'static str);

/// An event: do what is to be done.
pub(super) struct Act;

/// The event of a timer: the same.
pub(super) struct Due;

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
    pub(super) at: At,
    pub(super) action: Action,
    pub(super) topic: TopicId,
    pub(super) reach: Reach,
    /// The connection that opened first, and only receives.
    pub(super) other: Option<ConnectionId>,
    pub(super) me: Option<ConnectionId>,
    pub(super) result: Option<String>,
    /// A method runs.
    pub(super) inside: bool,
    /// Connections that ended.
    pub(super) ended: Vec<ConnectionId>,
}

impl State {
    pub(super) const fn new(at: At, action: Action, topic: TopicId, reach: Reach) -> Self {
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
    pub(super) fn reach(&mut self, at: At, conn: ConnectionId, cx: &mut Context<'_>) {
        assert!(!self.inside, "a method is called from inside another");
        assert!(!self.ended.contains(&conn), "{at:?} of a connection that has ended");
        if self.at == at && self.other != Some(conn) && self.result.is_none() {
            self.inside = true;
            self.result = Some(self.action.run(conn, self, cx));
            self.inside = false;
        }
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
