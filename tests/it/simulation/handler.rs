//! The handlers of the application under simulation.

use eventwire::proto::handshake::UpgradeRequest;
use eventwire::{ConnectError, Connection, Disconnect, Gap, Message, Upgrade, WebSocketHandler};

use super::app::{App, Job};
use super::payload::Payload;

/// The handler of the listener and of every connection that the application makes.
pub(super) struct Actor;

impl WebSocketHandler<App> for Actor {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        app: &mut App,
    ) -> Upgrade {
        app.enter(conn);
        let link = request.path().trim_start_matches('/').parse().expect("a link's number");
        app.upgrading(conn.id(), link, conn);
        assert!(!conn.is_open());
        if matches!(app.links[link].job, Job::Chaos) && app.random.percent(app.closing) {
            if app.random.percent(50) {
                app.close(conn.id(), 4000, conn);
            } else {
                return Upgrade::refuse(403);
            }
        }
        app.may_panic(Some(conn.id()), conn);
        Upgrade::accept()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.opened(conn.id(), conn);
        app.enter(conn);
        if app.known(conn.id()).is_client {
            app.ask(conn.id(), conn);
        }
        if app.quorum > 0 && matches!(app.link_of(conn.id()).job, Job::Chaos) {
            app.subscribe(conn.id(), conn);
        }
        app.act(conn.id(), conn);
        app.may_panic(Some(conn.id()), conn);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        app.enter(conn);
        app.received(conn.id(), message);
        let is_client = app.known(conn.id()).is_client;
        match &mut app.link_of(conn.id()).job {
            Job::Echo(asks) | Job::Fetch(asks) if is_client => {
                asks.answered += 1;
                app.ask(conn.id(), conn);
            }
            Job::Echo(_) => {
                app.send(conn.id(), message, conn);
            }
            Job::Fetch(_) => {
                let len = message.as_text().and_then(|text| text.parse().ok()).expect("a length");
                let payload = Payload::random(&mut app.random, len);
                app.send(conn.id(), payload.message(), conn);
            }
            Job::Control => app.close_all(conn.id(), conn),
            Job::Chaos => app.act(conn.id(), conn),
        }
        app.may_panic(Some(conn.id()), conn);
    }

    fn on_ping(&mut self, conn: &mut Connection<'_>, _: &[u8], app: &mut App) {
        app.enter(conn);
        app.check_readable(conn.id());
        app.act(conn.id(), conn);
        app.may_panic(Some(conn.id()), conn);
    }

    fn on_pong(&mut self, conn: &mut Connection<'_>, _: &[u8], app: &mut App) {
        app.enter(conn);
        app.check_readable(conn.id());
        app.act(conn.id(), conn);
        app.may_panic(Some(conn.id()), conn);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.enter(conn);
        app.drained(conn.id());
        app.act(conn.id(), conn);
        app.may_panic(Some(conn.id()), conn);
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, app: &mut App) {
        app.enter(conn);
        app.missed(conn.id(), gap);
        app.act(conn.id(), conn);
        app.may_panic(Some(conn.id()), conn);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, app: &mut App) {
        app.untagged(conn.id(), conn);
        app.enter(conn);
        app.closed(conn.id(), disconnect, conn);
        app.act_for_others(conn);
        app.may_panic(Some(conn.id()), conn);
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, error: &ConnectError, app: &mut App) {
        app.enter(conn);
        app.failed(conn.id(), error, conn);
        app.act_for_others(conn);
        app.may_panic(Some(conn.id()), conn);
    }
}
