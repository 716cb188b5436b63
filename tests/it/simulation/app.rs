//! The application under simulation: what its handlers do, and what they must then see.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use eventwire::{
    CloseCode, ConnectError, ConnectionId, ConnectionMap, Context, Disconnect, Gap, Message,
    OverflowPolicy, PreparedMessage, SendStatus, SubscribeError, TopicChanged, TopicId,
};

use super::alarms::Alarms;
use super::flow::Flow;
use super::invariants::Counts;
use super::news::NewsDesk;
use super::panicking::INJECTED;
use super::tags::Tagged;
use crate::shared::Random;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The state that handlers are lent.
pub(super) struct App {
    pub(super) random: Random,
    pub(super) links: Vec<Link>,
    /// Every connection, by [`ConnectionId::to_bits`].
    pub(super) conns: BTreeMap<u64, Conn>,
    /// Those that random actions choose from.
    pub(super) crowd: Vec<ConnectionId>,
    pub(super) topics: Vec<Topic>,
    /// Ids of connections that ended, to be used wrongly.
    pub(super) stale: Vec<ConnectionId>,
    /// Random actions that are left. Every message may lead to several, so they must end.
    pub(super) budget: usize,
    /// How many of a hundred random actions close a connection.
    pub(super) closing: usize,
    /// How many of a hundred random actions pause a connection, or resume one.
    pub(super) pausing: usize,
    /// The longest message of a random action, in bytes.
    pub(super) longest: usize,
    /// How many subscriptions one connection may have.
    pub(super) subscriptions: usize,
    pub(super) callbacks: u64,
    /// Those whose `on_close` is still to come, by slot.
    pub(super) live: ConnectionMap<()>,
    pub(super) counts: Counts,
    /// Events of all types that were handled.
    pub(super) handled: u64,
    pub(super) alarms: Alarms,
    pub(super) news: NewsDesk,
    /// Whether random actions publish events and set timers.
    pub(super) publishes: bool,
    /// How many of a thousand calls of handlers panic.
    pub(super) panicking: usize,
    /// The turn in which a handler last looked at everybody.
    pub(super) turn_looked_at: usize,
    pub(super) turn: usize,
    /// Connections found ended before their `on_close`, and in which turn.
    pub(super) due_ends: Vec<(ConnectionId, usize)>,
    /// What the next handler is to end the loop with.
    pub(super) ends_by: Option<LoopEnd>,
    /// How handlers have asked the loop to end in this turn, and when.
    pub(super) asked: Vec<(LoopEnd, Instant)>,
    /// Clients that began to connect, and of those the ones that opened.
    pub(super) connecting: u64,
    pub(super) opened_clients: u64,
    /// Requests to resume that arrived.
    pub(super) resumes: u64,
    /// The loop is shutting down: it reads no more messages.
    pub(super) is_shutting_down: bool,
    /// Only orderly ends are expected.
    pub(super) lossless: bool,
    /// Queued output may be too much for its limit.
    pub(super) overflows: bool,
    pub(super) stopping: bool,
    /// Deadlines are long past when they come up.
    pub(super) time_jumps: bool,
    /// Every connection subscribes at once, and nothing else is done before this many have.
    pub(super) quorum: usize,
    /// Subscriptions are of any policy.
    pub(super) policies: bool,
    /// Topics may be too full for a broadcast.
    pub(super) refuses: bool,
    pub(super) tagged: Tagged,
}

/// One connection with both of its ends.
pub(super) struct Link {
    pub(super) job: Job,
    /// From the client to the server.
    pub(super) up: Flow,
    pub(super) down: Flow,
    pub(super) server: Option<ConnectionId>,
    pub(super) client: Option<ConnectionId>,
    /// One end is a scripted peer without manners: it may end in any way.
    pub(super) rude: bool,
    /// An end was paused: the other may have waited in vain for an answer to its close frame.
    pub(super) paused: bool,
}

/// What a link is for.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// The client sends messages and gets each of them back.
    Echo(Asks),
    /// The client sends lengths and gets messages of those lengths.
    Fetch(Asks),
    /// Random actions.
    Chaos,
    /// The client may have the server close all connections.
    Control,
}

/// What a client asks for, in order.
#[derive(Clone, Debug)]
pub(super) struct Asks {
    pub(super) lens: Vec<usize>,
    /// How many questions may be open at once.
    pub(super) depth: usize,
    pub(super) asked: usize,
    pub(super) answered: usize,
}

pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) subscribers: BTreeMap<u64, OverflowPolicy>,
    /// How often something was broadcast.
    pub(super) casts: u64,
    /// How many gaps were reported.
    pub(super) gaps: u64,
    /// Whether the last `TopicChanged` said that it has subscribers.
    pub(super) occupied: bool,
}

impl Topic {
    pub(super) const fn new(id: TopicId) -> Self {
        Self { id, subscribers: BTreeMap::new(), casts: 0, gaps: 0, occupied: false }
    }
}

pub(super) struct Conn {
    pub(super) id: ConnectionId,
    pub(super) is_client: bool,
    pub(super) link: usize,
    pub(super) phase: Phase,
    /// When it began to connect, or to close.
    pub(super) since: Instant,
    /// A message had to wait, and `on_drained` was not called since.
    pub(super) waiting: bool,
    pub(super) paused: bool,
    /// Output waited when it was closed: its time counts from when the peer last took some of it.
    pub(super) closes_late: bool,
}

impl Conn {
    pub(super) const fn client(id: ConnectionId, link: usize, since: Instant) -> Self {
        Self {
            id,
            is_client: true,
            link,
            phase: Phase::Connecting,
            since,
            waiting: false,
            paused: false,
            closes_late: false,
        }
    }
}

/// How a loop is ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum LoopEnd {
    Stop,
    Shutdown(Duration),
}

/// What the application knows of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    /// Its request was shown to the application.
    Upgrading,
    Open,
    /// The application closed it, with this code.
    Closing(u16),
    /// A message to it was dropped.
    Overflowed,
    /// Its handler panicked.
    Panicked,
    /// `on_close` was called.
    Closed,
    /// `on_connect_error` was called.
    Failed,
}

impl Link {
    pub(super) fn progress(&self) -> String {
        let Self { up, down, .. } = self;
        format!(
            "{} up and {} down arrived of {} and {}",
            up.settled(),
            down.settled(),
            up.accepted(),
            down.accepted()
        )
    }
}

impl App {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            links: Vec::new(),
            conns: BTreeMap::new(),
            crowd: Vec::new(),
            topics: Vec::new(),
            stale: Vec::new(),
            budget: 0,
            closing: 5,
            pausing: 0,
            longest: 3000,
            subscriptions: 128,
            callbacks: 0,
            live: ConnectionMap::new(),
            counts: Counts::default(),
            handled: 0,
            alarms: Alarms::default(),
            news: NewsDesk::default(),
            publishes: false,
            panicking: 0,
            turn_looked_at: 0,
            turn: 0,
            due_ends: Vec::new(),
            ends_by: None,
            asked: Vec::new(),
            connecting: 0,
            opened_clients: 0,
            resumes: 0,
            is_shutting_down: false,
            lossless: false,
            overflows: false,
            stopping: false,
            time_jumps: false,
            quorum: 0,
            policies: false,
            refuses: false,
            tagged: Tagged::default(),
        }
    }

    pub(super) fn add_link(&mut self, job: Job) -> usize {
        let (up, down) = (Flow::default(), Flow::default());
        self.links.push(Link {
            job,
            up,
            down,
            server: None,
            client: None,
            rude: false,
            paused: false,
        });
        self.links.len() - 1
    }

    pub(super) fn phase(&self, conn: ConnectionId) -> Option<Phase> {
        self.conns.get(&conn.to_bits()).map(|known| known.phase)
    }

    pub(super) fn is_open(&self, conn: Option<ConnectionId>) -> bool {
        conn.and_then(|conn| self.phase(conn)) == Some(Phase::Open)
    }

    pub(super) fn known(&mut self, conn: ConnectionId) -> &mut Conn {
        self.conns.get_mut(&conn.to_bits()).unwrap_or_else(|| panic!("{conn:?} is unknown"))
    }

    pub(super) fn link_of(&mut self, conn: ConnectionId) -> &mut Link {
        let link = self.known(conn).link;
        &mut self.links[link]
    }

    /// The direction that `conn` sends in.
    pub(super) fn sends(&mut self, conn: ConnectionId) -> &mut Flow {
        let is_client = self.known(conn).is_client;
        let link = self.link_of(conn);
        if is_client { &mut link.up } else { &mut link.down }
    }

    fn receives(&mut self, conn: ConnectionId) -> &mut Flow {
        let is_client = self.known(conn).is_client;
        let link = self.link_of(conn);
        if is_client { &mut link.down } else { &mut link.up }
    }

    pub(super) fn upgrading(&mut self, conn: ConnectionId, link: usize, cx: &mut Context<'_>) {
        assert!(!self.is_shutting_down, "{conn:?} upgrades during a shutdown");
        let client = Conn::client(conn, link, cx.now());
        let known = Conn { is_client: false, phase: Phase::Upgrading, ..client };
        assert!(self.conns.insert(conn.to_bits(), known).is_none(), "{conn:?} upgrades again");
        assert!(self.links[link].server.replace(conn).is_none(), "two servers of link {link}");
    }

    pub(super) fn opened(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        let known = self.known(conn);
        let before = if known.is_client { Phase::Connecting } else { Phase::Upgrading };
        assert_eq!(known.phase, before, "on_open of {conn:?}");
        known.phase = Phase::Open;
        let is_client = known.is_client;
        self.counts.opened += 1;
        if is_client {
            self.opened_clients += 1;
        } else {
            self.begin_life(conn);
        }
        assert!(!self.is_shutting_down, "{conn:?} opens during a shutdown");
        assert!(cx.connection(conn).is_open(), "{conn:?} is not open in its on_open");
        self.tag(conn, cx);
        if matches!(self.link_of(conn).job, Job::Chaos) {
            self.crowd.push(conn);
        }
    }

    /// A handler is called with something that the peer sent.
    pub(super) fn check_readable(&mut self, conn: ConnectionId) {
        let known = self.known(conn);
        assert_eq!(known.phase, Phase::Open, "{conn:?} is read");
        assert!(!known.paused, "{conn:?} is paused and read");
        assert!(!self.is_shutting_down, "{conn:?} is read during a shutdown");
    }

    pub(super) fn received(&mut self, conn: ConnectionId, message: Message<'_>) {
        self.check_readable(conn);
        self.counts.messages += 1;
        self.receives(conn).arrive(message);
    }

    pub(super) fn closed(
        &mut self,
        conn: ConnectionId,
        disconnect: &Disconnect,
        cx: &mut Context<'_>,
    ) {
        let phase = self.known(conn).phase;
        let is_expected = match phase {
            Phase::Open => match disconnect {
                Disconnect::ClosedByApplication { code } => {
                    self.stopping && *code == CloseCode::GOING_AWAY
                }
                _ => true,
            },
            // The first reason stands: an outbox may overflow with what the close settles.
            Phase::Closing(code) => match disconnect {
                Disconnect::ClosedByApplication { code: reported } => reported.get() == code,
                Disconnect::Overflow | Disconnect::MemoryPressure(_) => self.overflows,
                _ => false,
            },
            Phase::Overflowed => {
                matches!(disconnect, Disconnect::Overflow | Disconnect::MemoryPressure(_))
            }
            Phase::Panicked => {
                matches!(disconnect, Disconnect::Panicked { message } if message == INJECTED)
            }
            _ => false,
        };
        assert!(is_expected, "{conn:?} was {phase:?}, and then {disconnect:?}");
        self.counts.closed(disconnect);
        let is_closing = matches!(phase, Phase::Closing(_) | Phase::Panicked);
        if is_closing && !self.known(conn).closes_late {
            self.check_time(conn, CLOSE_TIMEOUT, cx);
        }
        if let Disconnect::ClosedByPeer { code, .. } = disconnect {
            self.receives(conn).arrive_close(code.map(CloseCode::get));
        }
        let in_order = match disconnect {
            Disconnect::ClosedByApplication { .. } | Disconnect::ClosedByPeer { .. } => true,
            Disconnect::Overflow | Disconnect::MemoryPressure(_) => self.overflows,
            Disconnect::Panicked { .. } => true,
            _ => false,
        };
        let must_be = self.lossless && !self.stopping && !self.is_left_alone(conn);
        assert!(in_order || !must_be, "{conn:?} ended without a cause: {disconnect:?}");
        self.end(conn, Phase::Closed);
        self.check_gone(conn, cx);
    }

    pub(super) fn failed(
        &mut self,
        conn: ConnectionId,
        error: &ConnectError,
        cx: &mut Context<'_>,
    ) {
        let phase = self.known(conn).phase;
        assert_eq!(phase, Phase::Connecting, "{conn:?} failed: {error:?}");
        self.counts.failed += 1;
        self.check_time(conn, CONNECT_TIMEOUT, cx);
        self.end(conn, Phase::Failed);
        self.check_gone(conn, cx);
    }

    /// Nothing takes longer than its deadline says, which comes up a little late.
    fn check_time(&mut self, conn: ConnectionId, timeout: Duration, cx: &mut Context<'_>) {
        let taken = cx.now() - self.known(conn).since;
        let limit = timeout + Duration::from_millis(110);
        assert!(taken < limit || self.time_jumps, "{conn:?} took {taken:?}, not {timeout:?}");
    }

    /// The other end has no manners, or gave up: before it was open, or for want of an answer.
    fn is_left_alone(&mut self, conn: ConnectionId) -> bool {
        let Link { rude, paused, client, .. } = *self.link_of(conn);
        rude || paused || client.and_then(|client| self.phase(client)) == Some(Phase::Failed)
    }

    fn end(&mut self, conn: ConnectionId, phase: Phase) {
        self.known(conn).phase = phase;
        self.known(conn).paused = false;
        assert!(self.live.remove(conn).is_some(), "{conn:?} has ended twice");
        self.leave_topics(conn);
        self.crowd.retain(|one| *one != conn);
        self.stale.push(conn);
    }

    /// Without its subscriptions and tags.
    pub(super) fn leave_topics(&mut self, conn: ConnectionId) {
        self.tagged.remove(conn);
        for topic in &mut self.topics {
            topic.subscribers.remove(&conn.to_bits());
        }
    }

    /// Whatever is done with the id of a connection that ended is refused.
    pub(super) fn check_gone(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        assert!(!cx.connection(conn).is_open(), "{conn:?} is open");
        assert_eq!(cx.send_to(conn, "nobody"), SendStatus::Gone);
        assert_eq!(cx.send_to(conn, PreparedMessage::new("nobody")), SendStatus::Gone);
        assert_eq!(cx.connection(conn).ping(b"nobody"), SendStatus::Gone);
        assert!(!cx.connection(conn).close(CloseCode::NORMAL, ""), "{conn:?} is closed again");
        assert!(
            !cx.connection(conn).pause() && !cx.connection(conn).resume(),
            "{conn:?} was read from"
        );
        if self.topics.is_empty() {
            return;
        }
        let topic = self.random.below(self.topics.len());
        let topic = &self.topics[topic];
        assert_eq!(cx.connection(conn).subscribe(topic.id), Err(SubscribeError::ConnectionGone));
        assert!(!cx.connection(conn).unsubscribe(topic.id), "{conn:?} was subscribed");
        self.check_count(topic, cx);
    }

    pub(super) fn check_count(&self, topic: &Topic, cx: &mut Context<'_>) {
        // A loop that ends removes all subscribers before it calls on_close.
        if !self.stopping {
            let members: BTreeSet<u64> = cx.members(topic.id).map(ConnectionId::to_bits).collect();
            assert!(members.iter().eq(topic.subscribers.keys()));
            assert_eq!(cx.subscriber_count(topic.id), members.len());
        }
        let stats = cx.topic_stats(topic.id).expect("a topic");
        assert_eq!((stats.broadcasts, stats.gaps), (topic.casts, topic.gaps));
        assert!(stats.waiting <= stats.subscribers);
        let missed = stats.dropped_newest + stats.dropped_oldest + stats.conflated;
        assert!(missed >= stats.gaps, "{stats:?}");
    }

    pub(super) fn missed(&mut self, conn: ConnectionId, gap: Gap) {
        assert_eq!(self.phase(conn), Some(Phase::Open), "on_gap of {conn:?}");
        let topic = self.topics.iter_mut().find(|topic| topic.id == gap.topic).expect("a topic");
        topic.gaps += 1;
        self.counts.gaps += 1;
        self.sends(conn).miss(gap);
    }

    pub(super) fn changed(&mut self, change: TopicChanged) {
        let topic = self.topics.iter_mut().find(|topic| topic.id == change.topic);
        let topic = topic.expect("a topic");
        assert_ne!(topic.occupied, change.occupied, "that is nothing new");
        topic.occupied = change.occupied;
    }

    pub(super) fn drained(&mut self, conn: ConnectionId) {
        let known = self.known(conn);
        let lives = matches!(
            known.phase,
            Phase::Open | Phase::Closing(_) | Phase::Overflowed | Phase::Panicked
        );
        assert!(lives, "{conn:?} was {:?} and drained", known.phase);
        known.waiting = false;
    }

    /// Whether `on_drained` is due although nothing waits any more.
    pub(super) fn waits(&self, conn: Option<ConnectionId>) -> bool {
        conn.and_then(|conn| self.conns.get(&conn.to_bits())).is_some_and(|conn| conn.waiting)
    }

    /// Every connection has ended, but for clients that were not let in.
    pub(super) fn check_ended(&self) {
        for (bits, conn) in &self.conns {
            assert!(
                matches!(conn.phase, Phase::Closed | Phase::Failed | Phase::Upgrading),
                "{bits:#x}, link {}, has not ended: {:?}",
                conn.link,
                conn.phase,
            );
        }
    }
}
