//! The application: what a message asks for it does, and it notes what has to come of it.

use std::time::{Duration, Instant};

use eventwire::proto::handshake::UpgradeRequest;
use eventwire::{
    CloseCode, ConnectError, Connection, ConnectionId, ConnectionMap, Context, Disconnect, Gap,
    Message, OverflowPolicy, SendStatus, TimerId, TopicId, Upgrade, WebSocketHandler,
};

use super::link::{Down, Link, Phase, TOPICS};

/// How many topics the application has.
const USED: usize = 2;

/// Events of every kind of publisher.
pub(super) struct FromThread(pub(super) u32);
pub(super) struct FromHandler(pub(super) u32);
pub(super) struct Due(Instant);
#[derive(Clone)]
pub(super) struct Beat;
pub(super) struct Resume(usize);
/// The script is over: nothing is held back any more.
pub(super) struct Calm;
/// Nothing is under way any more.
pub(super) struct Check;

pub(super) struct App {
    pub(super) links: Vec<Link>,
    pub(super) topics: [TopicId; USED],
    pub(super) calls: u64,
    pub(super) handled: u32,
    pub(super) published: u32,
    pub(super) handled_own: u32,
    pub(super) checked: bool,
    /// Of the server's ends and of the clients'.
    conns: ConnectionMap<usize>,
    count: u32,
    /// There are no more beats, which would go on for ever.
    is_calm: bool,
    beat: Option<TimerId>,
    last_due: Option<Instant>,
}

impl App {
    pub(super) fn new(topics: [TopicId; USED]) -> Self {
        Self {
            links: Vec::new(),
            topics,
            calls: 0,
            handled: 0,
            published: 0,
            handled_own: 0,
            checked: false,
            conns: ConnectionMap::new(),
            count: 0,
            is_calm: false,
            beat: None,
            last_due: None,
        }
    }

    pub(super) fn add_client(&mut self, conn: ConnectionId) {
        self.conns.insert(conn, self.links.len());
        self.links.push(Link::new(Some(conn)));
    }

    fn link(&mut self, conn: ConnectionId) -> &mut Link {
        let link = *self.conns.get(conn).expect("a known connection");
        &mut self.links[link]
    }

    fn obey(&mut self, conn: ConnectionId, asks: u8, with: u8, cx: &mut Context<'_>) {
        let link = *self.conns.get(conn).expect("a known connection");
        let millis = Duration::from_millis(with.into());
        let topic = usize::from(with) % USED;
        match asks % 12 {
            0 => self.send(link, with.into(), cx),
            1 => self.send(link, usize::from(with) * 32, cx),
            2 => self.subscribe(link, topic, with >> 1, cx),
            3 => {
                let was = cx.connection(conn).unsubscribe(self.topics[topic]);
                assert_eq!(was, self.links[link].subscribed[topic]);
                self.links[link].subscribed[topic] = false;
            }
            4 => self.broadcast(topic, usize::from(with >> 1), cx),
            5 if cx.publish(FromHandler(self.published)).is_ok() => self.published += 1,
            6 => drop(cx.set_timer(millis, Due(cx.now() + millis))),
            7 => self.pause(link, conn, millis, cx),
            8 => {
                assert!(cx.connection(conn).close(CloseCode::new(4000), "asked for"));
                assert!(!cx.connection(conn).is_open());
            }
            9 if with % 2 == 0 && self.beat.is_none() && !self.is_calm => {
                self.beat = cx.set_interval(millis, Beat).ok();
            }
            9 => self.cancel_beat(cx),
            10 => drop(cx.connection(conn).ping(&[with])),
            _ => (0..with % 8).for_each(|_| self.send(link, 0, cx)),
        }
    }

    fn send(&mut self, link: usize, len: usize, cx: &mut Context<'_>) {
        let conn = self.links[link].conn.expect("it upgraded");
        self.count += 1;
        let payload = payload(0, 0, self.count, len);
        match cx.send_to(conn, Message::Binary(&payload)) {
            SendStatus::Sent | SendStatus::Queued => {
                self.links[link].down.push_back(Down::Sent { count: self.count });
            }
            SendStatus::Dropped | SendStatus::Gone => assert!(!cx.connection(conn).is_open()),
        }
    }

    fn subscribe(&mut self, link: usize, topic: usize, policy: u8, cx: &mut Context<'_>) {
        let conn = self.links[link].conn.expect("it upgraded");
        let policy = [
            OverflowPolicy::Close,
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
            OverflowPolicy::KeepLatest,
        ][usize::from(policy % 4)];
        if let Ok(new) = cx.connection(conn).subscribe_with(self.topics[topic], policy) {
            assert_eq!(new, !self.links[link].subscribed[topic]);
            self.links[link].subscribed[topic] = true;
        }
    }

    fn broadcast(&mut self, topic: usize, len: usize, cx: &mut Context<'_>) {
        let id = self.topics[topic];
        let number = cx.topic_sequence(id).expect("a topic") + 1;
        self.count += 1;
        let payload = payload(1, topic as u8, self.count, len);
        let status = cx.broadcast(id, Message::Binary(&payload));
        if status == SendStatus::Dropped {
            return;
        }
        assert_eq!(status, SendStatus::Sent);
        assert_eq!(cx.topic_sequence(id), Some(number));
        // One whose on_close is still to come is subscribed; it may get the broadcast or not.
        for link in self.links.iter_mut().filter(|link| link.subscribed[topic]) {
            link.broadcast(self.count, topic, number);
        }
    }

    fn pause(&mut self, link: usize, conn: ConnectionId, time: Duration, cx: &mut Context<'_>) {
        if !cx.connection(conn).is_open() {
            return;
        }
        assert!(cx.connection(conn).pause() && cx.connection(conn).is_paused());
        self.links[link].paused = true;
        if cx.set_timer(time, Resume(link)).is_err() {
            self.resume(link, cx);
        }
    }

    pub(super) fn resume(&mut self, link: usize, cx: &mut Context<'_>) {
        let Some(conn) = self.links[link].conn.filter(|_| self.links[link].paused) else {
            return;
        };
        assert_eq!(cx.connection(conn).resume(), cx.connection(conn).is_open());
        self.links[link].paused = false;
    }

    fn cancel_beat(&mut self, cx: &mut Context<'_>) {
        if let Some(beat) = self.beat.take() {
            assert!(cx.cancel_timer(beat), "a beat goes on until it is cancelled");
            assert!(!cx.cancel_timer(beat));
        }
    }

    pub(super) fn due(&mut self, due: &Due, cx: &mut Context<'_>) {
        assert!(cx.now() >= due.0, "a timer is early");
        assert!(self.last_due <= Some(due.0), "timers are out of order");
        self.last_due = Some(due.0);
    }

    pub(super) fn beat(&self) {
        assert!(self.beat.is_some(), "a beat after it was cancelled");
    }

    pub(super) fn resumed(&mut self, resume: &Resume, cx: &mut Context<'_>) {
        self.resume(resume.0, cx);
    }

    pub(super) fn calm(&mut self, cx: &mut Context<'_>) {
        self.is_calm = true;
        self.cancel_beat(cx);
        (0..self.links.len()).for_each(|link| self.resume(link, cx));
    }

    /// Nothing is under way and nothing was lost: what was sent has arrived, and connections that
    /// ended are gone.
    pub(super) fn check(&mut self, cx: &mut Context<'_>) {
        self.checked = true;
        for link in &mut self.links {
            let is_open = link.conn.is_some_and(|conn| cx.connection(conn).is_open());
            let receives = link.client.is_none_or(|(client, _)| cx.connection(client).is_open());
            if link.server == Phase::Open && is_open && receives && !link.rude {
                assert!(!link.ended, "a connection does not end");
                link.check_complete();
            }
        }
    }
}

pub(in super::super) fn payload(kind: u8, topic: u8, count: u32, len: usize) -> Vec<u8> {
    let mut payload = vec![0; 6 + len];
    payload[0] = kind;
    payload[1] = topic;
    payload[2..6].copy_from_slice(&count.to_be_bytes());
    payload
}

/// The listener's connections.
pub(super) struct Server;

impl WebSocketHandler<App> for Server {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        app: &mut App,
    ) -> Upgrade {
        app.calls += 1;
        let number = request.path().trim_start_matches('/').parse().ok();
        let Some(number) = number.filter(|&number: &usize| number < app.links.len()) else {
            return Upgrade::refuse(404);
        };
        let link = &mut app.links[number];
        if link.server != Phase::Absent {
            assert!(link.rude, "a request comes twice");
            return Upgrade::refuse(409);
        }
        (link.conn, link.server) = (Some(conn.id()), Phase::Connecting);
        assert!(app.conns.insert(conn.id(), number).is_none(), "an id is in use twice");
        Upgrade::accept()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.calls += 1;
        assert!(conn.is_open());
        let link = app.link(conn.id());
        assert_eq!((link.conn, link.server), (Some(conn.id()), Phase::Connecting));
        link.server = Phase::Open;
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        app.calls += 1;
        let link = app.link(conn.id());
        assert_eq!((link.server, link.paused), (Phase::Open, false));
        let [asks, with, high, low, ..] = *message.as_bytes() else {
            assert!(link.rude, "a message is cut");
            return;
        };
        if !link.rude {
            assert_eq!(u16::from_be_bytes([high, low]), link.received, "out of order, or lost");
        }
        link.received = link.received.wrapping_add(1);
        if conn.is_open() {
            app.obey(conn.id(), asks, with, conn);
        }
    }

    fn on_ping(&mut self, conn: &mut Connection<'_>, _: &[u8], app: &mut App) {
        app.calls += 1;
        let link = app.link(conn.id());
        assert_eq!((link.server, link.paused), (Phase::Open, false));
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, app: &mut App) {
        app.calls += 1;
        let topic = app.topics.iter().position(|topic| *topic == gap.topic).expect("a topic");
        app.link(conn.id()).report(topic, &gap);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
        app.calls += 1;
        assert!(!conn.is_open() && !conn.close(CloseCode::NORMAL, ""));
        let link = app.link(conn.id());
        assert_eq!((link.conn, link.server), (Some(conn.id()), Phase::Open));
        (link.server, link.paused, link.subscribed) = (Phase::Closed, false, [false; TOPICS]);
        app.conns.remove(conn.id());
    }
}

/// A connection of the loop to itself.
pub(super) struct Client;

impl WebSocketHandler<App> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.calls += 1;
        let link = app.link(conn.id());
        assert_eq!(
            link.client.replace((conn.id(), Phase::Open)),
            Some((conn.id(), Phase::Connecting))
        );
        for (asks, with) in [(0, 7), (2, 0), (4, 2)] {
            let message = app.link(conn.id()).next_message(asks, with);
            conn.send(Message::Binary(&message));
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        app.calls += 1;
        let link = app.link(conn.id());
        assert_eq!(link.client, Some((conn.id(), Phase::Open)));
        link.arrived(message.as_bytes());
        if message.as_bytes().len() > 100 && conn.close(CloseCode::NORMAL, "enough") {
            app.link(conn.id()).ended = true;
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
        app.calls += 1;
        let closed = Some((conn.id(), Phase::Closed));
        assert_eq!(
            std::mem::replace(&mut app.link(conn.id()).client, closed),
            Some((conn.id(), Phase::Open))
        );
        app.conns.remove(conn.id());
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, _: &ConnectError, app: &mut App) {
        app.calls += 1;
        let closed = Some((conn.id(), Phase::Closed));
        let before = std::mem::replace(&mut app.link(conn.id()).client, closed);
        assert_eq!(before, Some((conn.id(), Phase::Connecting)));
        app.conns.remove(conn.id());
    }
}
