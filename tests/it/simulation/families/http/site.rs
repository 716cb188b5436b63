//! The application: how it answers.

use std::collections::HashMap;
use std::time::Duration;

use eventwire::proto::TimedOut;
use eventwire::proto::handshake::{Acceptance, Refusal, UpgradeRequest};
use eventwire::{
    Answer, CloseCode, Connection, ConnectionId, Context, Disconnect, EventStream, Gap,
    HttpHandler, HttpRequest, HttpResponse, Later, Message, OverflowPolicy, RequestId,
    RespondError, SendStatus, StreamedResponse, TopicId, Upgrade, WebSocketHandler,
};

use super::client::{Client, Kind, byte, bytes};
use super::events::{Missed, TOPICS};
use crate::shared::Random;

/// The longest stream.
const STREAM: usize = 40_000;

/// The most broadcasts at once, the longest, and how often there are some for a stream of events.
const BURST: usize = 8;
const BROADCAST: usize = 400;
const TICKS: usize = 20;

/// The tag of all streams.
const OPEN: &str = "open";

const POLICIES: [OverflowPolicy; 4] = [
    OverflowPolicy::Close,
    OverflowPolicy::DropNewest,
    OverflowPolicy::DropOldest,
    OverflowPolicy::KeepLatest,
];

/// What a handler is to do later.
pub(super) struct Due(usize, RequestId, Kind, String);

/// An event: end a client's stream of events.
pub(super) struct EndEvents(ConnectionId, usize);

/// An event: broadcast something, so many times more.
pub(super) struct Tick(usize);

/// An event: no stream is open any more.
pub(super) struct AllClosed;

/// A stream. A client has at most one.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) client: usize,
    pub(super) number: usize,
    pub(super) kind: Kind,
    /// Bytes of the body that were sent, and all of them.
    pub(super) sent: usize,
    len: usize,
    is_named: bool,
    /// The numbers of the last broadcasts before it began.
    pub(super) starts: [u64; 2],
    pub(super) gaps: Vec<Missed>,
    /// Events for it alone.
    pub(super) direct: usize,
    pub(super) end: Option<End>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    ByApplication(CloseCode),
    Silent,
    Overflow,
    Other,
}

impl Sending {
    fn new(client: usize, number: usize, kind: Kind, len: usize) -> Self {
        Self {
            client,
            number,
            kind,
            sent: 0,
            len,
            is_named: false,
            starts: [0; 2],
            gaps: Vec::new(),
            direct: 0,
            end: None,
        }
    }

    pub(super) const fn is_named(&self) -> bool {
        self.is_named
    }
}

pub(super) struct App {
    pub(super) random: Random,
    pub(super) clients: Vec<Client>,
    pub(super) topics: [TopicId; 2],
    pub(super) is_lossless: bool,
    /// Some requests are denied.
    pub(super) is_limited: bool,
    /// Streams that are to open.
    pub(super) begun: HashMap<ConnectionId, Sending>,
    pub(super) open: HashMap<ConnectionId, Sending>,
    pub(super) closed: Vec<Sending>,
    pub(super) sockets: usize,
}

impl App {
    /// Notes that a handler sees a request.
    fn see(&mut self, query: &str, body: &[u8]) -> (usize, usize, Kind) {
        let (client, number) = query.split_once('-').expect("two numbers");
        let (client, number): (usize, usize) =
            (client.parse().expect("a number"), number.parse().expect("a number"));
        let requests = &mut self.clients[client].requests;
        let (before, rest) = requests.split_at_mut(number);
        assert!(self.is_limited || before.iter().all(|before| before.is_seen), "out of order");
        assert!(rest.iter().all(|request| !request.is_seen), "seen twice, or out of order");
        rest[0].is_seen = true;
        assert!(body == bytes(client, number, rest[0].body), "another body");
        (client, number, rest[0].kind)
    }

    fn put_off(&mut self, client: usize, kind: Kind, conn: &mut Connection<'_>, text: &str) {
        let due = Due(client, conn.request_id(), kind, text.to_owned());
        let after = Duration::from_micros(self.random.below(50_000) as u64);
        conn.set_timer(after, due).expect("room for a timer");
    }

    fn broadcast(&mut self, cx: &mut Context<'_>) {
        for _ in 0..self.random.between(1, BURST) {
            let topic = self.random.below(TOPICS.len());
            let number = cx.topic_sequence(self.topics[topic]).expect("the topic stays") + 1;
            let rest = "x".repeat(self.random.below(BROADCAST));
            cx.broadcast(self.topics[topic], format!("{} {number} {rest}", TOPICS[topic]));
        }
    }

    fn send_some(&mut self, conn: &mut Connection<'_>) {
        let Some(sending) = self.open.get_mut(&conn.id()).filter(|it| it.kind != Kind::Events)
        else {
            return;
        };
        loop {
            let len = self.random.len(5_000).min(sending.len - sending.sent);
            let places = sending.sent..sending.sent + len;
            let piece: Vec<u8> =
                places.map(|place| byte(sending.client, sending.number, place)).collect();
            let status = conn.send(piece);
            if matches!(status, SendStatus::Sent | SendStatus::Queued) {
                sending.sent += len;
            }
            let is_whole = sending.sent == sending.len;
            let code = match sending.kind {
                Kind::Stream => Some(CloseCode::NORMAL),
                Kind::Cut => Some(CloseCode::GOING_AWAY),
                _ => None,
            };
            if let Some(code) = code.filter(|_| is_whole) {
                assert!(conn.close(code, ""));
            }
            if status != SendStatus::Sent || is_whole {
                return;
            }
        }
    }

    /// Sends an event to one stream, by the tag of its client.
    fn send_direct(&mut self, cx: &mut Context<'_>) {
        let count = self.open.len();
        let chosen = self.random.below(count);
        let mut streams: Vec<_> = self.open.values_mut().collect();
        streams.sort_unstable_by_key(|sending| sending.client);
        if let Some(sending) = streams.into_iter().nth(chosen).filter(|it| it.kind == Kind::Events)
        {
            let text = format!("direct {}", sending.direct);
            sending.direct += cx.send_tagged(sending.client as u64, text);
        }
    }
}

/// Gives the answer that was put off, and then another.
pub(super) fn answer(cx: &mut Context<'_>, due: &Due, app: &mut App) {
    let Due(client, request, kind, text) = due;
    let is_there = app.is_lossless && !app.clients[*client].has_left;
    let answer = match kind {
        Kind::Accepted => Answer::from(Acceptance::new()),
        Kind::Refused => Refusal::new(403).into(),
        _ => HttpResponse::text(text.clone()).into(),
    };
    let (unfit, error) = match kind.is_upgrade() {
        true => (EventStream::new().into(), RespondError::NoStream),
        false => (Answer::from(Acceptance::new()), RespondError::NoUpgrade),
    };
    let refused = cx.respond(*request, unfit);
    // Where the clock jumps, its time may be over, and the client has got 504.
    let is_late = refused == Err(RespondError::Answered) && !app.is_lossless;
    let is_gone = refused == Err(RespondError::Gone) && !is_there;
    assert!(refused == Err(error) || is_gone || is_late, "{refused:?}");
    let first = cx.respond(*request, answer);
    assert!(first == Ok(()) || !is_there, "{kind:?}: {first:?}");
    let again = cx.respond(*request, HttpResponse::text("again"));
    assert!(matches!(again, Err(RespondError::Answered | RespondError::Gone)), "{again:?}");
    app.broadcast(cx);
}

pub(super) fn end_events(cx: &mut Context<'_>, end: &EndEvents, app: &mut App) {
    let EndEvents(conn, client) = *end;
    if app.random.percent(50) {
        cx.connection(conn).close(CloseCode::NORMAL, "");
        return;
    }
    let closed = cx.close_tagged(client as u64, CloseCode::NORMAL, "");
    assert!(closed <= 1 && !cx.connection(conn).is_open());
}

pub(super) fn tick(cx: &mut Context<'_>, tick: &Tick, app: &mut App) {
    app.broadcast(cx);
    app.send_direct(cx);
    assert!(cx.tagged(OPEN).all(|conn| app.open.contains_key(&conn)), "a tag stays");
    if tick.0 > 0 {
        let after = Duration::from_micros(app.random.below(5_000) as u64);
        cx.set_timer(after, Tick(tick.0 - 1)).expect("room for a timer");
    }
}

pub(super) fn check_tags(cx: &mut Context<'_>, _: &AllClosed, app: &mut App) {
    assert_eq!(cx.tagged(OPEN).len(), 0);
    for client in 0..app.clients.len() {
        assert_eq!(cx.tagged(client as u64).len(), 0);
    }
}

pub(super) struct Site;

impl HttpHandler<App> for Site {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        app: &mut App,
    ) -> Answer {
        assert!(!conn.is_open() && conn.send("no body yet") == SendStatus::Gone);
        assert!(conn.tag(OPEN).is_err());
        let text = request.query().expect("numbers");
        let (client, number, kind) = app.see(text, request.body());
        let respond = HttpResponse::text(text.to_owned());
        match kind {
            Kind::Now => respond.into(),
            Kind::Later => {
                app.put_off(client, kind, conn, text);
                Later::default().into()
            }
            Kind::Twice => {
                let id = conn.request_id();
                assert_eq!(conn.respond(id, respond), Ok(()));
                let again = conn.respond(id, HttpResponse::text("again"));
                assert_eq!(again, Err(RespondError::Answered));
                HttpResponse::text("a third time").into()
            }
            Kind::Responder | Kind::Dropped => {
                let responder = conn.responder();
                assert!(responder.is_wanted());
                if kind == Kind::Responder {
                    assert_eq!(responder.respond(respond), Ok(()));
                }
                Later::default().into()
            }
            Kind::Never => Later::within(Duration::from_millis(app.random.below(30) as u64)).into(),
            Kind::Stream | Kind::Cut | Kind::Silent => {
                let len = app.random.len(STREAM);
                app.begun.insert(conn.id(), Sending::new(client, number, kind, len));
                let silence = match kind {
                    Kind::Silent => Duration::from_millis(app.random.between(1, 40) as u64),
                    _ => Duration::MAX,
                };
                StreamedResponse::new(HttpResponse::text("")).silence(silence).into()
            }
            Kind::Events => {
                let mut sending = Sending::new(client, number, kind, 0);
                sending.is_named = app.random.percent(30);
                let heartbeats = [None, Some(Duration::from_millis(3)), Some(Duration::MAX)];
                let mut stream = EventStream::new().heartbeat(app.random.pick(&heartbeats));
                if sending.is_named {
                    stream = stream.named();
                }
                app.begun.insert(conn.id(), sending);
                let policies = [app.random.pick(&POLICIES), app.random.pick(&POLICIES)];
                TOPICS
                    .into_iter()
                    .zip(policies)
                    .fold(stream, |stream, (topic, policy)| stream.topic_with(topic, policy))
                    .into()
            }
            Kind::Unfinished => panic!("its body has no end"),
            Kind::Accepted | Kind::Refused => unreachable!("it asks for a WebSocket"),
        }
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        assert!(conn.is_open());
        let mut sending = app.begun.remove(&conn.id()).expect("it opens once");
        assert_eq!(conn.tag(OPEN), Ok(true));
        assert_eq!(conn.tag(sending.client as u64), Ok(true));
        if sending.kind == Kind::Events {
            sending.starts = app.topics.map(|topic| conn.topic_sequence(topic).expect("a topic"));
            let after = Duration::from_micros(app.random.below(100_000) as u64);
            conn.set_timer(after, EndEvents(conn.id(), sending.client)).expect("room for a timer");
            conn.set_timer(Duration::ZERO, Tick(TICKS)).expect("room for a timer");
        }
        app.open.insert(conn.id(), sending);
        app.send_some(conn);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.send_some(conn);
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, app: &mut App) {
        let topic = app.topics.iter().position(|topic| *topic == gap.topic).expect("a topic");
        assert_eq!(gap.missed(), gap.last - gap.first + 1);
        let sending = app.open.get_mut(&conn.id()).expect("it is open");
        sending.gaps.push((topic, gap.first, gap.last));
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, end: &Disconnect, app: &mut App) {
        let mut sending = app.open.remove(&conn.id()).expect("it was open, and closes once");
        sending.end = Some(match end {
            Disconnect::ClosedByApplication { code } => End::ByApplication(*code),
            Disconnect::TimedOut(TimedOut::Response) => End::Silent,
            Disconnect::Overflow => End::Overflow,
            _ => End::Other,
        });
        app.closed.push(sending);
        assert!(!conn.is_open() && conn.send("late") == SendStatus::Gone);
    }
}

/// Upgrades that are decided later.
pub(super) struct Socket;

impl WebSocketHandler<App> for Socket {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        app: &mut App,
    ) -> Upgrade {
        let text = request.query().expect("numbers");
        let (client, _, kind) = app.see(text, &[]);
        app.put_off(client, kind, conn, text);
        Later::default().into()
    }

    fn on_open(&mut self, _: &mut Connection<'_>, app: &mut App) {
        app.sockets += 1;
    }

    fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, _: &mut App) {}

    fn on_close(&mut self, _: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
        app.sockets -= 1;
    }
}
