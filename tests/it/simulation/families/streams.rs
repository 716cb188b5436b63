//! Raw streams with both ends in the loop: units of bytes in both directions, cut anywhere, kept
//! until they are whole, paused in their midst, mixed with broadcasts, and closed by either end.

use std::collections::HashMap;
use std::time::Duration;

use eventwire::reactor::sim::{Fault, SimConfig};
use eventwire::reactor::{Reactor, SimReactor};
use eventwire::{
    CloseCode, Config, ConnectError, Connection, ConnectionId, Context, Disconnect, EventLoop, Gap,
    OnPanic, OverflowPolicy, Publisher, SendStatus, StreamConfig, StreamHandler, TopicId,
};

use super::{Family, LOSSES, Simulated, UNLIMITED, config, network};
use crate::shared::Random;
use crate::simulation::world::{Report, print_trace};

/// How long a turn may wait: twice as long each time while nothing happens.
const SHORTEST_TURN: Duration = Duration::from_millis(1);
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// More turns than any run takes.
const MOST_TURNS: usize = 300_000;

/// The longest payload of a unit, and the length of what is in front of it: its kind and length.
const PAYLOAD: usize = 2_000;
const HEADER: usize = 3;

/// Invariant: what one end sent arrives at the other in order, and whole if nothing was lost. Each
/// call brings what the last one has left unused, and more.
#[test]
fn streams_bring_their_bytes_in_order() {
    let invariant = everything_arrived;
    Family { name: "streams", absent: Vec::new(), world, invariant }.run();
}

/// What a unit brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// The number of the stream, from the client to the server.
    Hello = 1,
    /// Bytes that depend on the stream, the direction and their place.
    Bytes,
    /// The number of a broadcast.
    News,
}

fn unit(kind: Unit, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    [&[kind as u8], &len[..], payload].concat()
}

/// The byte at a place of what one end sends.
const fn byte(stream: usize, is_client: bool, place: usize) -> u8 {
    (stream * 7 + place * 31 + place / 256 + is_client as usize * 101) as u8
}

/// What one end of a stream has done and seen.
#[derive(Debug, Default)]
struct End {
    conn: Option<ConnectionId>,
    /// Bytes of units that were sent, and received.
    sent: usize,
    received: usize,
    /// Bytes that are still to be sent.
    to_send: usize,
    /// The units that the last call has left unused, and whether they come again by themselves.
    left: Vec<u8>,
    is_paused: bool,
    /// The number of the last broadcast that came: the other end is subscribed.
    last_news: u64,
    /// It closes when it has sent all.
    closes: bool,
    /// It ended like this.
    end: Option<String>,
}

/// The state that handlers are lent.
struct App {
    random: Random,
    topic: TopicId,
    policy: OverflowPolicy,
    /// Client and server of each stream.
    streams: Vec<[End; 2]>,
    /// Which end of which stream a connection is.
    ends: HashMap<ConnectionId, (usize, bool)>,
    /// Servers that do not know their stream: what they have left unused, and whether they paused.
    strangers: HashMap<ConnectionId, (Vec<u8>, bool)>,
    open: usize,
    is_mistaken: bool,
}

/// Reading goes on.
struct Resume(ConnectionId);

/// The stream of that number is connected.
struct Arrive(usize);

/// Handles one end of every stream: the client's, or the server's.
struct Side {
    is_client: bool,
}

impl App {
    fn end(&mut self, conn: ConnectionId) -> Option<&mut End> {
        let (stream, is_client) = *self.ends.get(&conn)?;
        Some(&mut self.streams[stream][usize::from(!is_client)])
    }

    /// Sends some of what is still to be sent, and closes when that was all.
    fn send_some(&mut self, conn: &mut Connection<'_>) {
        let Some(&(stream, is_client)) = self.ends.get(&conn.id()) else {
            return;
        };
        for _ in 0..self.random.between(1, 4) {
            let len = self.random.len(PAYLOAD);
            let end = &mut self.streams[stream][usize::from(!is_client)];
            let len = len.min(end.to_send);
            let payload: Vec<u8> =
                (end.sent..end.sent + len).map(|place| byte(stream, is_client, place)).collect();
            match conn.send(unit(Unit::Bytes, &payload)) {
                SendStatus::Sent | SendStatus::Queued => end.sent += len,
                SendStatus::Dropped | SendStatus::Gone => return,
            }
            end.to_send -= len;
            if end.to_send == 0 {
                if end.closes {
                    conn.close(CloseCode::NORMAL, "");
                }
                return;
            }
        }
    }

    fn handle(&mut self, conn: &mut Connection<'_>, kind: u8, payload: &[u8]) {
        if kind == Unit::Hello as u8 {
            let stream = usize::from(payload[0]);
            self.strangers.remove(&conn.id()).expect("it said hello once");
            self.ends.insert(conn.id(), (stream, false));
            self.streams[stream][1].conn = Some(conn.id());
            return;
        }
        let (stream, is_client) = self.ends[&conn.id()];
        let end = &mut self.streams[stream][usize::from(!is_client)];
        if kind == Unit::News as u8 {
            let number = u64::from_be_bytes(payload.try_into().expect("a number"));
            assert!(number > end.last_news, "{number} after {}", end.last_news);
            end.last_news = number;
            return;
        }
        assert_eq!(kind, Unit::Bytes as u8);
        for (place, got) in (end.received..).zip(payload) {
            assert_eq!(*got, byte(stream, !is_client, place), "byte {place} of stream {stream}");
        }
        end.received += payload.len();
    }

    fn news(&mut self, cx: &mut Context<'_>) {
        let number = cx.topic_sequence(self.topic).expect("the topic stays") + 1;
        cx.broadcast(self.topic, unit(Unit::News, &number.to_be_bytes()));
    }
}

/// The first unit, if it is whole: its kind and payload.
fn first(data: &[u8]) -> Option<(u8, &[u8])> {
    let [kind, high, low, rest @ ..] = data else {
        return None;
    };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    rest.get(..len).map(|payload| (*kind, payload))
}

impl StreamHandler<App> for Side {
    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.open += 1;
        if self.is_client {
            let (stream, _) = app.ends[&conn.id()];
            app.streams[stream][0].conn = Some(conn.id());
            conn.send(unit(Unit::Hello, &[stream as u8]));
        } else {
            assert!(
                app.strangers.insert(conn.id(), (Vec::new(), false)).is_none(),
                "it opens twice"
            );
        }
        if app.random.percent(40) {
            assert_eq!(conn.subscribe_with(app.topic, app.policy), Ok(true));
        }
        app.send_some(conn);
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], app: &mut App) -> usize {
        let id = conn.id();
        let stranger = app.strangers.get_mut(&id).map(std::mem::take);
        let (left, was_paused) = match stranger {
            Some(left) => left,
            None => {
                let end = app.end(id).expect("it is known");
                (std::mem::take(&mut end.left), std::mem::take(&mut end.is_paused))
            }
        };
        assert!(data.starts_with(&left), "what was left unused does not come again");
        assert!(was_paused || data.len() > left.len(), "nothing more has come");
        let (mut used, most) = (0, app.random.pick(&[1, 3, usize::MAX]));
        for _ in 0..most {
            let Some((kind, payload)) = first(&data[used..]) else {
                break;
            };
            app.handle(conn, kind, payload);
            used += HEADER + payload.len();
        }
        let is_more = first(&data[used..]).is_some();
        // Whole units that are left come again only if reading is paused.
        if (is_more || app.random.percent(5)) && conn.pause() {
            let after = Duration::from_micros(app.random.below(3_000) as u64);
            conn.set_timer(after, Resume(id)).expect("room for a timer");
        }
        let (left, is_paused) = (data[used..].to_vec(), conn.is_paused());
        match app.end(id) {
            Some(end) => (end.left, end.is_paused) = (left, is_paused),
            None => drop(app.strangers.insert(id, (left, is_paused))),
        }
        if app.random.percent(10) {
            app.news(conn);
        }
        app.send_some(conn);
        if app.is_mistaken && app.random.percent(3) { data.len() + 1 } else { used }
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.send_some(conn);
    }

    fn on_gap(&mut self, _: &mut Connection<'_>, gap: Gap, app: &mut App) {
        assert!(gap.missed() > 0 && app.policy != OverflowPolicy::Close);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, app: &mut App) {
        app.open -= 1;
        assert!(!conn.is_open() && conn.send("late") == SendStatus::Gone);
        app.strangers.remove(&conn.id());
        if let Some(end) = app.end(conn.id()) {
            assert!(end.end.is_none(), "it ends twice");
            if let Disconnect::EndOfStream { unused } = disconnect {
                assert_eq!(*unused, end.left.len());
            }
            end.end = Some(format!("{disconnect:?}"));
        }
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, error: &ConnectError, app: &mut App) {
        let end = app.end(conn.id()).expect("it is known");
        assert!(end.conn.is_none() && end.end.is_none(), "it was open");
        end.end = Some(error.to_string());
    }
}

struct StreamsWorld {
    event_loop: EventLoop<App, SimReactor>,
    app: App,
    publisher: Publisher<Arrive>,
    to_come: usize,
    lossless: bool,
    timeout: Duration,
    turns: usize,
    tracing: bool,
}

fn world(seed: u64, tracing: bool) -> StreamsWorld {
    let mut random = Random::new(seed);
    let lossless = random.percent(50);
    let window = random.pick(&[300, 4096, 65_536]);
    let mut sim = network(&mut random, window, lossless);
    // Few are reset here, and what they lose is to be seen.
    sim = sim.chance(Fault::Reset, 5_000).chance(Fault::LostOnReset, 900_000);
    if lossless {
        sim = LOSSES.into_iter().fold(sim, |sim, fault| sim.chance(fault, 0));
    }
    let soft = random.pick(&[500, 5_000, 64 * 1024]);
    let hard = if lossless { UNLIMITED } else { random.pick(&[20_000, UNLIMITED]) };
    let config = config(&mut random).outbox(soft, hard).on_panic(OnPanic::Propagate);
    StreamsWorld::new(seed, random, sim, config, (lossless, tracing))
}

impl StreamsWorld {
    fn new(
        seed: u64,
        mut random: Random,
        sim: SimConfig,
        config: Config,
        (lossless, tracing): (bool, bool),
    ) -> Self {
        let mut reactor = SimReactor::new(seed, sim);
        if tracing {
            reactor.keep_trace_lines();
        }
        let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
        let topic = event_loop.topic("news").expect("room for a topic");
        // A stream that is stuck is not to be ended by its deadline.
        let idle = (!lossless).then_some(Duration::from_secs(60));
        let stream = StreamConfig::default().max_kept(HEADER + PAYLOAD).idle_timeout(idle);
        let server = Side { is_client: false };
        let listener = event_loop.listen_stream("127.0.0.1:0", stream.clone(), server);
        let address = event_loop.local_addr(listener.expect("a port")).expect("a listener");
        let client = Side { is_client: true };
        let clients = event_loop.stream_endpoint(stream, client).expect("an endpoint");
        event_loop.on(|cx, resume: &Resume, _: &mut App| {
            cx.connection(resume.0).resume();
        });
        event_loop.on(move |cx, arrive: &Arrive, app: &mut App| {
            let client = cx.connect_stream(clients, address).expect("room for a stream");
            app.ends.insert(client, (arrive.0, true));
        });
        let publisher = event_loop.publisher();
        let policies = [
            OverflowPolicy::Close,
            OverflowPolicy::DropNewest,
            OverflowPolicy::DropOldest,
            OverflowPolicy::KeepLatest,
        ];
        let to_come = random.between(1, 8);
        let app = App {
            topic,
            policy: random.pick(&policies),
            streams: Vec::new(),
            ends: HashMap::new(),
            strangers: HashMap::new(),
            open: 0,
            is_mistaken: !lossless && random.percent(20),
            random,
        };
        let timeout = SHORTEST_TURN;
        Self { event_loop, app, publisher, to_come, lossless, timeout, turns: 0, tracing }
    }

    fn arrive(&mut self) {
        self.to_come -= 1;
        let stream = self.app.streams.len();
        let mut end = || End { to_send: self.app.random.len(200_000), ..End::default() };
        let mut ends = [end(), end()];
        // One of them closes; if both do, either may be first.
        let closer = self.app.random.below(3);
        ends[0].closes = closer != 1;
        ends[1].closes = closer != 0;
        self.app.streams.push(ends);
        self.publisher.publish(Arrive(stream)).expect("room for an event");
    }

    fn turn(&mut self) {
        let before = self.event_loop.stats();
        self.event_loop.turn(Some(self.timeout), &mut self.app).expect("a poll");
        let stats = self.event_loop.stats();
        let is_active = (before.bytes_received, before.events, before.bytes_sent)
            != (stats.bytes_received, stats.events, stats.bytes_sent);
        let longer = (self.timeout * 2).min(LONGEST_TURN);
        self.timeout = if is_active || self.to_come > 0 { SHORTEST_TURN } else { longer };
        assert!(self.app.open as u64 <= stats.connections);
        self.turns += 1;
        assert!(self.turns < MOST_TURNS, "no end: {:?}", self.app.streams);
    }
}

/// Each byte was compared with what is due when it arrived.
fn everything_arrived(world: &mut StreamsWorld) {
    assert_eq!(world.app.open, 0, "streams that opened and did not close");
    for (stream, [client, server]) in world.app.streams.iter().enumerate() {
        assert!(server.received <= client.sent && client.received <= server.sent);
        if !world.lossless {
            continue;
        }
        let ends = [(client, server), (server, client)];
        let closed = |end: &End| {
            end.end.as_ref().is_some_and(|reason| reason.starts_with("ClosedByApplication"))
        };
        // Who closed first has sent everything, and the other has received all of it.
        for (one, other) in ends.into_iter().filter(|(one, other)| closed(one) && !closed(other)) {
            let facts = (stream, &one.end, &other.end);
            assert_eq!((one.to_send, other.received), (0, one.sent), "{facts:?}");
            assert_eq!(other.left.len(), 0, "{facts:?}");
        }
        let reasons = [client.end.is_some(), server.end.is_some() || server.conn.is_none()];
        assert_eq!(reasons, [true; 2], "stream {stream} has not ended");
    }
}

impl Simulated for StreamsWorld {
    fn run(mut self, invariant: fn(&mut Self)) -> Report {
        while self.to_come > 0 || self.event_loop.connections() > 0 {
            if self.to_come > 0 && self.app.random.percent(20) {
                self.arrive();
            }
            self.turn();
        }
        invariant(&mut self);
        self.event_loop.handle().stop();
        self.event_loop.run(&mut self.app).expect("a poll");
        let stats = self.event_loop.stats();
        assert_eq!((stats.connections, stats.inbound_bytes, stats.outbound_bytes), (0, 0, 0));
        let turns = self.turns;
        let reactor = self.event_loop.reactor_mut();
        reactor.set_config(SimConfig::calm());
        let mut ready = Vec::new();
        reactor.poll(Some(LONGEST_TURN), &mut ready).expect("a poll");
        assert_eq!(reactor.open_descriptors(), 0, "descriptors are left open");
        Report { trace_hash: reactor.trace_hash(), faults: reactor.fault_counts(), turns }
    }
}

impl Drop for StreamsWorld {
    fn drop(&mut self) {
        if self.tracing {
            print_trace(self.event_loop.reactor_mut());
        }
    }
}
