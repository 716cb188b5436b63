//! The handlers of the application under simulation.

use eventwire::proto::handshake::UpgradeRequest;
use eventwire::{
    ConnectError, ConnectionId, Context, Disconnect, Gap, Message, Upgrade, WebSocketHandler,
};

use super::app::{App, Job};

/// The handler of the listener and of every connection that the application makes.
pub(super) struct Actor;

impl WebSocketHandler<App> for Actor {
    fn on_upgrade(
        &mut self,
        conn: ConnectionId,
        request: &UpgradeRequest<'_>,
        cx: &mut Context<'_>,
        app: &mut App,
    ) -> Upgrade {
        app.enter(cx);
        let link = request.path().trim_start_matches('/').parse().expect("a link's number");
        app.upgrading(conn, link, cx);
        assert!(!cx.is_open(conn));
        if matches!(app.links[link].job, Job::Chaos) && app.random.percent(app.closing) {
            if app.random.percent(50) {
                app.close(conn, 4000, cx);
            } else {
                return Upgrade::refuse(403);
            }
        }
        app.may_panic(Some(conn), cx);
        Upgrade::accept()
    }

    fn on_open(&mut self, conn: ConnectionId, cx: &mut Context<'_>, app: &mut App) {
        app.opened(conn, cx);
        app.enter(cx);
        if app.known(conn).is_client {
            app.ask(conn, cx);
        }
        if app.quorum > 0 && matches!(app.link_of(conn).job, Job::Chaos) {
            app.subscribe(conn, cx);
        }
        app.act(conn, cx);
        app.may_panic(Some(conn), cx);
    }

    fn on_message(
        &mut self,
        conn: ConnectionId,
        message: Message<'_>,
        cx: &mut Context<'_>,
        app: &mut App,
    ) {
        app.enter(cx);
        app.received(conn, message);
        let is_client = app.known(conn).is_client;
        match &mut app.link_of(conn).job {
            Job::Echo(asks) | Job::Fetch(asks) if is_client => {
                asks.answered += 1;
                app.ask(conn, cx);
            }
            Job::Echo(_) => {
                app.send(conn, message, cx);
            }
            Job::Fetch(_) => {
                let len = message.as_text().and_then(|text| text.parse().ok()).expect("a length");
                let payload = app.random.payload(len);
                app.send(conn, payload.message(), cx);
            }
            Job::Control => app.close_all(conn, cx),
            Job::Chaos => app.act(conn, cx),
        }
        app.may_panic(Some(conn), cx);
    }

    fn on_ping(&mut self, conn: ConnectionId, _: &[u8], cx: &mut Context<'_>, app: &mut App) {
        app.enter(cx);
        app.heard(conn);
        app.act(conn, cx);
        app.may_panic(Some(conn), cx);
    }

    fn on_pong(&mut self, conn: ConnectionId, _: &[u8], cx: &mut Context<'_>, app: &mut App) {
        app.enter(cx);
        app.heard(conn);
        app.act(conn, cx);
        app.may_panic(Some(conn), cx);
    }

    fn on_drained(&mut self, conn: ConnectionId, cx: &mut Context<'_>, app: &mut App) {
        app.enter(cx);
        app.drained(conn);
        app.act(conn, cx);
        app.may_panic(Some(conn), cx);
    }

    fn on_gap(&mut self, conn: ConnectionId, gap: Gap, cx: &mut Context<'_>, app: &mut App) {
        app.enter(cx);
        app.missed(conn, gap);
        app.act(conn, cx);
        app.may_panic(Some(conn), cx);
    }

    fn on_close(
        &mut self,
        conn: ConnectionId,
        disconnect: &Disconnect,
        cx: &mut Context<'_>,
        app: &mut App,
    ) {
        app.enter(cx);
        app.closed(conn, disconnect, cx);
        app.act_for_others(cx);
        app.may_panic(Some(conn), cx);
    }

    fn on_connect_error(
        &mut self,
        conn: ConnectionId,
        error: &ConnectError,
        cx: &mut Context<'_>,
        app: &mut App,
    ) {
        app.enter(cx);
        app.failed(conn, error, cx);
        app.act_for_others(cx);
        app.may_panic(Some(conn), cx);
    }
}
