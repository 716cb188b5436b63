use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use crate::config::Config;
use crate::engine::attachments::Attachments;
use crate::engine::broadcast::order::serve_ticks;
use crate::engine::broadcast::refusal::topic_error;
use crate::engine::bus::events::{Events, GROUP_BUDGET, TURN_BUDGET};
use crate::engine::bus::inboxes::Inboxes;
use crate::engine::client::dialer::Dialer;
use crate::engine::client::links::Links;
use crate::engine::configured_handler::ConfiguredHandler;
use crate::engine::connection_map::ConnectionMap;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::endpoints::Endpoints;
use crate::engine::handle::{LoopHandle, News, Shared};
use crate::engine::http::pending::PendingRequests;
use crate::engine::http::router::Routers;
use crate::engine::ids::TopicId;
use crate::engine::journal::waiting::Journaling;
use crate::engine::rates::limiter::Limiter;
use crate::engine::rates::limiting::Limiting;
use crate::engine::server::open_listeners::OpenListeners;
use crate::engine::stats::snapshot::{Meters, Tally};
use crate::engine::turn::backlog::Backlog;
use crate::engine::turn::calls::Calls;
use crate::engine::turn::ending::{Ending, RunSummary};
use crate::engine::turn::idle::IdleStrategy;
use crate::engine::turn::requests::Requests;
use crate::engine::turn::room::Room;
use crate::error::Error;
use crate::net::limits::{MemoryCaps, SocketLimits};
use crate::net::named::Named;
use crate::net::places::PlaceLimits;
use crate::net::receive_buffer::ReceiveBuffer;
use crate::net::sockets::Sockets;
use crate::net::streams::Streams;
use crate::proto::MaskKeys;
use crate::queue::LocalEvents;
use crate::reactor::{MioReactor, Reactor, Readiness};
use crate::tags::Tags;
use crate::time::Time;
use crate::timers::Ages;
use crate::topics::{TopicConfigs, Topics};

/// How many ready sockets are served between two flushes of other connections' output.
const SERVED_AT_ONCE: usize = 32;

/// How many connections memory is reserved for at the start, at most.
const RESERVED_CONNECTIONS: usize = 65_536;

/// One thread's loop: it owns listeners, connections and topics, and calls the application's
/// handlers.
///
/// `S` is the application's own state. The caller passes it to [`run`](Self::run), and every
/// handler borrows it. `R` is the reactor: the operating system by default, or a simulation.
///
/// A loop stays on the thread that made it. Neither the loop nor its handlers are [`Send`], so
/// handlers may hold values of any type. To run a loop on another thread, make it there, and send
/// its [handle](Self::handle) and [publishers](Self::publisher) to other threads.
///
/// ```no_run
/// use eventwire::{Config, Connection, EventLoop, Message, ServerConfig, WebSocketHandler};
///
/// struct Echo;
///
/// impl WebSocketHandler<()> for Echo {
///     fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
///         conn.send(message);
///     }
/// }
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.listen("127.0.0.1:9001", ServerConfig::default(), Echo)?;
/// event_loop.run(&mut ())?;
/// # Ok::<(), eventwire::Error>(())
/// ```
pub struct EventLoop<S, R: Reactor = MioReactor> {
    /// What handlers act on.
    pub(crate) core: Core<Streams<R>>,
    pub(crate) handlers: Slab<ConfiguredHandler<S>>,
    pub(crate) routers: Routers,
    pub(crate) events: Events<S>,
    pub(crate) dialer: Dialer<R>,
    /// Moved out while input is handled, so that handlers can borrow the rest.
    pub(crate) buffer: ReceiveBuffer,
    pub(crate) ready: Vec<Readiness>,
    pub(crate) backlog: Backlog,
    pub(crate) idle: IdleStrategy,
    pub(crate) shared: Arc<Shared>,
    pub(crate) calls: Calls,
    /// How many handler calls had been made when the turn began.
    calls_before: u64,
    pub(crate) tally: Tally,
    pub(crate) meters: Arc<Meters>,
    /// When time brings work, as the last wait saw it.
    pub(crate) due: Time,
    /// When another thread requested the wake that began this turn. Taken by the first event.
    pub(crate) woken_at: Option<Time>,
}

impl<S> EventLoop<S> {
    /// A loop on the operating system's sockets and clock.
    ///
    /// # Errors
    ///
    /// If the system has no free file descriptors or no entropy.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_reactor(MioReactor::new().map_err(Error::io("make a reactor"))?, config)
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// A loop on the given reactor, a simulation for instance.
    ///
    /// # Errors
    ///
    /// If the reactor has no entropy.
    pub fn with_reactor(mut reactor: R, config: Config) -> Result<Self, Error> {
        let mut entropy = reactor.entropy().map_err(Error::io("read the system's entropy"))?;
        let mut seed = [0; 8];
        entropy(&mut seed);
        let configs = TopicConfigs::new(&config.topic_configs)?;
        let now = reactor.now();
        let max_connections = config.max_connections.unwrap_or_else(|| reactor.max_connections());
        let reserved = max_connections.min(RESERVED_CONNECTIONS);
        let limits = SocketLimits {
            outbox: config.outbox,
            memory: MemoryCaps { connections: max_connections.max(1), ..config.memory },
            places: PlaceLimits { asking: config.max_pending, idle: config.max_kept_alive },
        };
        let shared = Arc::new(Shared::default());
        let meters = Arc::new(Meters::new(reactor.beginning()));
        let handle = LoopHandle::new(Arc::clone(&shared), Arc::clone(&meters), reactor.waker());
        let core = Core {
            sockets: Sockets::new(reserved, MaskKeys::new(entropy), now, limits),
            topics: Topics::new(config.topics, configs, u64::from_ne_bytes(seed)),
            tags: Tags::new(config.tags),
            ages: Ages::new(),
            journal: Journaling::default(),
            events: LocalEvents::new(config.inbox, config.timers),
            ending: Ending::new(),
            subprotocols: ConnectionMap::new(),
            endpoints: Endpoints::new(),
            listeners: OpenListeners::new(),
            links: Links::new(),
            requests: Requests::default(),
            pending: PendingRequests::default(),
            room: Room::new(max_connections),
            limiter: Limiter::new(config.address_limits, config.max_limited_tags),
            inboxes: Inboxes::default(),
            handle,
            attachments: Attachments::new(),
            routes: ConnectionMap::new(),
            streams: Streams::new(reactor, reserved),
        };
        Ok(Self {
            core,
            handlers: Slab::new(),
            routers: Routers::new(),
            events: Events::new(config.inbox),
            dialer: Dialer::new(),
            buffer: ReceiveBuffer::new(config.receive_buffer),
            ready: Vec::new(),
            backlog: Backlog::new(now),
            idle: IdleStrategy::new(config.idle),
            shared,
            calls_before: 0,
            calls: Calls::new(config.on_panic, config.slow_handler, Arc::clone(&meters)),
            tally: Tally::default(),
            meters,
            due: now,
            woken_at: None,
        })
    }

    /// The reactor, for control of a simulation.
    pub fn reactor_mut(&mut self) -> &mut R {
        &mut self.core.streams.reactor
    }

    /// The topic of that name. Makes the topic if it does not exist. A name has at most 256 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TopicLimit`] if the name is longer, or there are
    /// [`Config::max_topics`] topics.
    pub fn topic(&mut self, name: &str) -> Result<TopicId, Error> {
        self.core.topics.topic(name).map(TopicId).map_err(topic_error)
    }

    /// How many connections there are, including those that are being opened or closed.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.sockets.len()
    }

    /// How many bytes each connection takes in the loop's own tables. Unfinished messages and
    /// queued output take more while they last. The system's socket buffers are not included.
    ///
    /// ```
    /// use eventwire::EventLoop;
    ///
    /// let mebibytes = 100_000 * EventLoop::<()>::connection_size() >> 20;
    /// assert!(mebibytes < 20, "{mebibytes} MiB for a hundred thousand idle connections");
    /// ```
    #[must_use]
    pub const fn connection_size() -> usize {
        Sockets::SIZE + Streams::<R>::SIZE
    }

    /// A handle to this loop for other threads.
    #[must_use]
    pub fn handle(&self) -> LoopHandle {
        self.core.handle.clone()
    }

    /// What handlers can do with this loop, for use outside of them.
    ///
    /// ```
    /// use eventwire::{ClientConfig, Config, EventLoop, on_message};
    ///
    /// let mut event_loop = EventLoop::new(Config::default())?;
    /// let print = on_message(|_, message, _: &mut ()| println!("{message:?}"));
    /// let feed = event_loop.client_endpoint(ClientConfig::default(), print)?;
    /// for room in ["news", "sport"] {
    ///     event_loop.context().connect(feed, &format!("ws://127.0.0.1:9001/{room}"))?;
    /// }
    /// # Ok::<(), eventwire::Error>(())
    /// ```
    pub fn context(&mut self) -> Context<'_> {
        self.core.read_clock();
        self.core.erased().context()
    }

    /// Runs the loop until it is stopped or shut down, and returns a summary. Before it returns, it
    /// closes every listener, closes every connection with code 1001 and calls its `on_close`. The
    /// loop cannot run again.
    ///
    /// # Errors
    ///
    /// If waiting for readiness fails. Publishers and subscribers then learn that the loop has
    /// ended. Connections end when the loop is dropped.
    pub fn run(&mut self, state: &mut S) -> Result<RunSummary, Error> {
        self.core.read_clock();
        let mut has_work = true;
        while !self.is_stopping() {
            has_work = self.step(Time::NEVER, has_work, state).inspect_err(|_| {
                self.end_events();
            })?;
        }
        Ok(self.finish(state))
    }

    /// Runs one turn of the loop, for callers with a loop of their own: waits at most `timeout` for
    /// work (`None`: without limit), and then does one turn's share of it.
    ///
    /// # Errors
    ///
    /// If waiting for readiness fails.
    pub fn turn(&mut self, timeout: Option<Duration>, state: &mut S) -> Result<(), Error> {
        // The caller's own work since the last turn took time.
        self.core.read_clock();
        let until = timeout.map_or(Time::NEVER, |timeout| self.core.now() + timeout);
        self.step(until, true, state).map(drop)
    }

    /// One turn, which waits until `until` at most. The caller has just read the clock.
    /// `may_have_work` is false if only readiness, time and other threads can bring work. Returns
    /// the same for the next turn.
    ///
    /// Input is read before deadlines are checked: no deadline of a peer expires while readiness
    /// that came before it is unread, however the wait ended and however long the loop was delayed
    /// ([`Backlog`]). The application's timers do not wait for that.
    fn step(&mut self, until: Time, may_have_work: bool, state: &mut S) -> Result<bool, Error> {
        let begun = self.core.now();
        let polled = self.wait(until, may_have_work).map_err(Error::io("wait for readiness"))?;
        self.begin_turn();
        self.calls_before = self.calls.count();
        self.core.events.expire(self.core.now());
        let is_ready = !self.ready.is_empty();
        // A connection that uses up its share of this turn is resumed again in the next one.
        let resumed = self.core.sockets.registry.resumed_len();
        self.serve_ready(state);
        let (core, attempts) = (&self.core, &self.dialer);
        let registered = || core.sockets.len() + core.streams.listeners.len() + attempts.len();
        self.backlog.served(polled, begun, self.ready.len(), registered);
        // Most turns have nothing else to do.
        let has_work = self.has_work();
        let has_more = has_work || self.has_end_of_turn_work();
        if has_more {
            self.serve_rest(resumed, state);
        }
        debug_assert!(self.core.sockets.totals_are_right());
        self.end_turn(is_ready || has_work, has_more);
        Ok(has_more)
    }

    /// The part of a turn that no readiness asks for. Most turns skip it. It and its steps are
    /// functions of their own, because the processor has to fetch a turn's code again after every
    /// sleep.
    #[inline(never)]
    fn serve_rest(&mut self, resumed: usize, state: &mut S) {
        if resumed > 0 {
            self.serve_resumed(resumed, state);
        }
        let by = self.backlog.served_until();
        if self.core.sockets.registry.deadlines.is_due(by) {
            // Deadlines that are set here begin at the present time.
            self.at_present(|this| this.core.sender().expire(by));
        }
        if !self.shared.news.is_empty() {
            self.serve_news();
        }
        if self.dialer.is_due(self.core.now()) {
            self.dialer.serve_due(&mut self.core);
        }
        self.serve_events(TURN_BUDGET, state);
        self.begin_shutdown();
        if self.core.ages.next_due() <= self.core.now() {
            self.close_aged();
        }
        if self.may_accept(self.core.now()) {
            // The same for the deadlines of new connections.
            self.at_present(Self::accept);
        }
        if self.core.requests.resumes() > 0 {
            self.resume_subscriptions(state);
        }
        if self.core.topics.is_delivering() {
            self.broadcast();
        } else {
            self.core.sockets.output.clear_batch_cache();
        }
        if self.core.topics.ticks.next() <= self.core.now() {
            serve_ticks(self.core.erased());
        }
        if self.core.topics.expiry.next() <= self.core.now() {
            self.core.topics.expire(self.core.sockets.now());
        }
        self.core.sender().flush_dirty();
        if self.core.sockets.output.has_drained() {
            self.call_on_drained(state);
        }
        if self.core.topics.gaps_due() > 0 {
            self.call_on_gap(state);
        }
        if self.core.sockets.registry.reapable_len() > 0 {
            self.reap(state);
        }
        if self.core.topics.has_changes() {
            self.publish_topic_changes();
        }
        if self.core.limiter.rates.next_due() <= self.core.now() {
            Limiting::new(self.core.erased()).end_pauses();
        }
        if self.core.links.next_due() <= self.core.now() {
            self.core.erased().serve_links();
        }
        if self.core.requests.is_pending() {
            self.send_answers(state);
            self.serve_requests();
        }
        if self.core.ending.has_begun() {
            self.end_shutdown();
        }
    }

    /// Whether the loop was stopped, by a handler or by another thread, or its shutdown is over. It
    /// then serves no connection any more, and [`run`](Self::run) ends the remaining ones.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.core.ending.is_over() || self.shared.is_stopped()
    }

    fn serve_ready(&mut self, state: &mut S) {
        for index in 0..self.ready.len() {
            let readiness = self.ready[index];
            match Named::connection(readiness.key) {
                Some(conn) => self.serve(conn, &readiness, state),
                None => self.serve_other(readiness.key),
            }
            if (index + 1) % SERVED_AT_ONCE == 0 || index + 1 == self.ready.len() {
                self.serve_events(GROUP_BUDGET, state);
                self.core.sender().flush_dirty();
            }
        }
    }

    /// Serves readiness of listeners and connection attempts.
    #[inline(never)]
    fn serve_other(&mut self, key: u64) {
        match Named::of(key) {
            Named::Listener(key) => self.core.streams.listeners.note_ready(key),
            Named::Attempt(key) => self.dialer.serve_attempt(&mut self.core, key),
            Named::Connection(_) => {}
        }
    }

    /// Handles what other threads left.
    #[inline(never)]
    fn serve_news(&mut self) {
        while let Some(news) = self.shared.news.pop() {
            match news {
                News::Resolved(resolved) => self.dialer.resolved(&mut self.core, resolved),
                // The turn's end looks at the holds.
                News::Released => {}
                News::Answered(request, answer) => {
                    // A client that has left meanwhile gets no answer.
                    let _ = self.core.erased().context().respond(request, answer);
                }
                News::StopListening => self.core.erased().close_listeners(),
                News::StopReading => self.core.erased().stop_reading(),
                News::ShutDown(mut shutdown) => {
                    // The connections get a turn to be closed in, however short the deadline.
                    shutdown.deadline = shutdown.deadline.max(Duration::from_nanos(1));
                    self.core.ending.shut_down(self.core.now(), shutdown);
                }
            }
        }
    }

    #[inline(never)]
    fn serve_resumed(&mut self, count: usize, state: &mut S) {
        for _ in 0..count {
            if let Some(conn) = self.core.sockets.registry.next_resumed() {
                // Readiness may have announced the end of the stream. That is not kept, so read
                // until the stream would block or ends.
                self.read(conn, true, state);
            }
        }
    }

    /// Calls `act` with the present time, not the turn's beginning: handlers may have delayed the
    /// turn since then.
    fn at_present(&mut self, act: impl FnOnce(&mut Self)) {
        let turn = self.core.now();
        if self.calls.count() != self.calls_before {
            self.core.read_clock();
        }
        act(self);
        self.core.turn_back_clock(turn);
    }
}

impl<S, R: Reactor> fmt::Debug for EventLoop<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("listeners", &self.core.listeners.len())
            .field("connections", &self.core.sockets.len())
            .finish_non_exhaustive()
    }
}
