//! What a call leaves behind: reports to the handler, polls to answer, and what is due.

use super::Server;
use crate::Context;
use crate::socketio::asks::NoAnswer;
use crate::socketio::handler::SocketIoHandler;
use crate::socketio::hub::{Call, Endings, Kind, Members, Recoveries, Report, Session, Sessions};
use crate::socketio::reason::DisconnectReason;

/// How many deadlines one call serves.
const DUE_AT_ONCE: usize = 1024;

impl<H> Server<H> {
    /// Serves an event that was published for this server.
    pub(super) fn answer_call<S>(&self, cx: &mut Context<'_>, call: &Call, state: &mut S)
    where
        H: SocketIoHandler<S>,
    {
        if self.hub(|hub| hub.id()) != call.hub() {
            return;
        }
        self.serve(cx, None, state, |server, cx, state| match call {
            Call::Settle(_) => {}
            Call::Due(_) => server.serve_due(cx),
            Call::AskExpired(_, socket, ask) => {
                if server.hub(|hub| Members(hub).take_ask(cx, *socket, ask.0)) {
                    server.call(cx, *socket, |handler, socket| {
                        handler.on_answer(socket, *ask, Err(NoAnswer::TimedOut), state);
                    });
                }
            }
        });
    }

    fn serve_due(&self, cx: &mut Context<'_>) {
        let hub = &mut *self.hub.borrow_mut();
        hub.deadlines.note_expired();
        let now = cx.now();
        for _ in 0..DUE_AT_ONCE {
            let Some(due) = hub.deadlines.next(now) else {
                break;
            };
            match due.kind {
                Kind::Ping | Kind::Pong => Sessions(hub).beat(cx, due),
                Kind::Upgrade => Sessions(hub).expire_upgrade(cx, due),
                Kind::Connect => {
                    if hub.sessions.get(due.key).is_some_and(|session| !session.has_joined) {
                        Sessions(hub).close_session(cx, due.key, DisconnectReason::Closed);
                    }
                }
                Kind::Close => Sessions(hub).abort_session(cx, due.key, DisconnectReason::Closed),
                Kind::Away => Endings(hub).expire_away(cx, due),
            }
        }
        hub.deadlines.arm(cx);
    }

    /// The loop ends: so do the sessions by polling, whose requests would hold it. The loop itself
    /// closes WebSockets.
    pub(super) fn end_polling<S>(&self, cx: &mut Context<'_>, state: &mut S)
    where
        H: SocketIoHandler<S>,
    {
        self.serve(cx, None, state, |server, cx, _| {
            let hub = &mut *server.hub.borrow_mut();
            let is_polling = |session: &Session| session.engine.socket().is_none();
            let sessions = hub.sessions.iter().filter(|(_, session)| is_polling(session));
            let keys: Vec<_> = sessions.map(|(key, _)| key).collect();
            for key in keys {
                Sessions(hub).close_session(cx, key, DisconnectReason::ServerEnds);
            }
        });
    }

    /// Ends the sessions whose handler panicked.
    pub(super) fn end_panicked(&self, cx: &mut Context<'_>) {
        let hub = &mut *self.hub.borrow_mut();
        for session in std::mem::take(&mut hub.panicked) {
            Sessions(hub).close_session(cx, session, DisconnectReason::Panicked);
        }
    }

    /// Makes the reports that wait, sends what sockets recover, and answers polls.
    pub(super) fn settle<S>(&self, cx: &mut Context<'_>, state: &mut S)
    where
        H: SocketIoHandler<S>,
    {
        self.hub(|hub| Recoveries(hub).catch_up_all(cx));
        while let Some(report) = self.hub(|hub| hub.reports.pop_front()) {
            match report {
                Report::Unanswered(socket, ask, reason) => {
                    self.call(cx, socket, |handler, socket| {
                        handler.on_answer(socket, ask, Err(reason), state);
                    });
                }
                Report::Disconnected(socket, reason) => {
                    // First, so that it is decided even if the handler panics.
                    self.hub(|hub| hub.reports.push_front(Report::Decided(socket)));
                    self.call(cx, socket, |handler, socket| {
                        handler.on_disconnect(socket, reason, state);
                    });
                }
                Report::Decided(socket) => self.hub(|hub| Endings(hub).settle_ended(cx, socket)),
            }
        }
        self.hub(|hub| Sessions(hub).flush_sessions(cx));
    }
}
