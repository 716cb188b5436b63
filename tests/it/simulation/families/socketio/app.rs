//! The application: what it sends to its clients, and what it knows of them.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use eventwire::socketio::{
    Ack, Arguments, AskId, Binary, DisconnectReason, Emitted, Event, JoinRefused, JoinRequest,
    NoAnswer, Socket, SocketId, SocketIo, SocketIoHandler,
};
use eventwire::{Context, TopicId};

use super::truth::{Emission, Life, Outcomes, State};
use crate::shared::Random;

/// The namespaces that clients join. The last one is refused.
pub(super) const NAMESPACES: [&str; 4] = ["/", "/b", "/x-1", "/x-no"];

/// The rooms of each namespace.
pub(super) const ROOMS: [&str; 3] = ["r0", "r1", "r2"];

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// For how long clients may recover.
    pub(super) window: Option<Duration>,
    /// The history has everything that a client can miss.
    pub(super) has_memory: bool,
    /// The network loses nothing, and the clock goes on evenly.
    pub(super) is_lossless: bool,
    /// No client is disconnected because it reads slowly.
    pub(super) has_room: bool,
}

/// A visit of a client's: its session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VisitNote {
    /// It does not answer pings, or has left without a word.
    pub(super) is_silent: bool,
    /// It stopped reading for some time, and may have missed a ping.
    pub(super) stopped_reading: bool,
    /// It ended in its application's view.
    pub(super) has_ended: bool,
}

pub(super) struct App {
    pub(super) rules: Rules,
    pub(super) random: Random,
    pub(super) lives: Vec<Life>,
    by_id: HashMap<SocketId, usize>,
    /// What was sent, by its number.
    pub(super) emissions: Vec<Emission>,
    pub(super) visits: Vec<VisitNote>,
    /// Acknowledgements that come later.
    acks: VecDeque<(Ack, u64)>,
    /// Topics of rooms.
    pub(super) topics: HashSet<TopicId>,
    /// Nothing new is sent any more.
    pub(super) is_quiet: bool,
    pub(super) outcomes: Outcomes,
}

/// An acknowledgement is due.
pub(super) struct AckDue;

/// Something is to be sent from elsewhere.
pub(super) struct Say;

pub(super) struct Handler {
    pub(super) io: SocketIo,
}

impl App {
    pub(super) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            random: Random::new(seed ^ 0x50c4_e710),
            lives: Vec::new(),
            by_id: HashMap::new(),
            emissions: Vec::new(),
            visits: Vec::new(),
            acks: VecDeque::new(),
            topics: HashSet::new(),
            is_quiet: false,
            outcomes: Outcomes::default(),
        }
    }

    /// The life of a socket, by its id.
    pub(super) fn life(&self, id: SocketId) -> usize {
        *self.by_id.get(&id).expect("a socket that connected")
    }

    /// Notes what is about to be sent. Returns its number.
    fn note(&mut self, emission: Emission) -> u64 {
        let number = self.emissions.len();
        for (index, life) in self.lives.iter_mut().enumerate() {
            if life.state != State::Over && life.is_meant(index, &emission) {
                match emission.is_volatile {
                    true => life.volatile.push(number as u64),
                    false => life.expected.push(number as u64),
                }
            }
        }
        self.emissions.push(emission);
        number as u64
    }

    /// Sends something to some sockets of a namespace. `from`: the socket whose handler does so.
    fn broadcast(&mut self, cx: &mut Context<'_>, io: &SocketIo, namespace: &str) {
        let random = &mut self.random;
        let mut to = rooms(random, &[0, 0, 1, 1, 2]);
        let own = match random.below(self.lives.len() * 3) {
            index if index < self.lives.len() => Some(self.lives[index].id.to_string()),
            _ => None,
        };
        to.extend(own.as_deref());
        let except = rooms(random, &[0, 0, 0, 1]);
        let is_volatile = random.percent(10);
        let audience = to.iter().fold(io.of(namespace), |audience, room| audience.to(*room));
        let audience = except.iter().fold(audience, |audience, room| audience.except(*room));
        let audience = if is_volatile { audience.volatile() } else { audience };
        let emission = Emission::to_many(namespace, &to, &except, is_volatile);
        let number = self.note(emission);
        self.outcomes.count("broadcasts");
        match self.random.below(4) {
            0 => drop(audience.emit("news", (number, attachment(number), attachment(number)), cx)),
            1 => drop(audience.emit("news", (number, "x".repeat(self.random.below(900))), cx)),
            _ => drop(audience.emit("news", (number,), cx)),
        }
    }

    /// Tells all others in a room, or in the namespace.
    fn tell_others(&mut self, socket: &mut Socket<'_>, life: usize) {
        let namespace = socket.namespace();
        let room = self.random.percent(60).then(|| self.random.pick(&ROOMS));
        let mut emission = Emission::to_many(&namespace, room.as_slice(), &[], false);
        emission.skipped = Some(life);
        let number = self.note(emission);
        let audience = match room {
            Some(room) => socket.to(room),
            None => socket.others(),
        };
        audience.emit("news", (number,), socket);
    }

    /// Sends to one socket.
    fn tell(&mut self, socket: &mut Socket<'_>, life: usize, is_volatile: bool) {
        let namespace = socket.namespace();
        let number = self.note(Emission::to_one(&namespace, life, is_volatile));
        let emitted = match is_volatile {
            true => socket.emit_volatile("news", (number,)),
            false if self.random.percent(30) => socket.emit("news", (number, attachment(number))),
            false => socket.emit("news", (number, "x".repeat(self.random.below(300)))),
        };
        if matches!(emitted, Emitted::Gone) {
            // It has lost its connection since its handler was called. It may recover the event.
            let life = &mut self.lives[life];
            let taken = if is_volatile { &mut life.volatile } else { &mut life.expected };
            assert_eq!(taken.pop(), Some(number));
            life.doubtful.extend((!is_volatile).then_some(number));
        }
    }

    fn change_rooms(&mut self, socket: &mut Socket<'_>, life: usize) {
        if !socket.is_connected() {
            return;
        }
        let room = self.random.pick(&ROOMS);
        let rooms = &mut self.lives[life].rooms;
        if self.random.percent(60) {
            assert_eq!(socket.join(room), rooms.insert(room.to_owned()));
            let name = format!("/socket.io{}#{room}", socket.namespace());
            self.topics.insert(socket.topic(&name).expect("it exists"));
        } else {
            assert_eq!(socket.leave(room), rooms.remove(room));
        }
    }

    fn ask(&mut self, socket: &mut Socket<'_>, life: usize) {
        let timeout = Duration::from_millis(self.random.below(100) as u64);
        if let Ok(ask) = socket.ask("ask", (life,), timeout) {
            assert!(self.lives[life].asks.insert(ask), "a number was used twice");
            self.outcomes.count("asked");
        }
    }

    /// Does something at random.
    fn act(&mut self, io: &SocketIo, socket: &mut Socket<'_>, life: usize) {
        if self.is_quiet {
            return;
        }
        let namespace = socket.namespace();
        match self.random.below(12) {
            0 | 1 => self.tell(socket, life, false),
            2 => self.tell(socket, life, true),
            3 | 4 => self.tell_others(socket, life),
            5 | 6 => self.broadcast(socket, io, &namespace),
            7 | 8 => self.change_rooms(socket, life),
            9 => self.ask(socket, life),
            10 if self.random.percent(20) => (0..40).for_each(|_| self.tell(socket, life, false)),
            _ => {}
        }
    }

    fn acknowledge(&mut self, socket: &mut Socket<'_>, ack: Ack, number: u64) {
        if self.random.percent(70) || self.is_quiet {
            socket.acknowledge(ack, (number,));
            return;
        }
        let wait = Duration::from_millis(self.random.below(20) as u64);
        socket.set_timer(wait, AckDue).expect("room for a timer");
        self.acks.push_back((ack, number));
    }
}

/// Some rooms, one of these numbers of them.
fn rooms(random: &mut Random, counts: &[usize]) -> Vec<&'static str> {
    let count = random.pick(counts);
    (0..count).map(|_| random.pick(&ROOMS)).collect()
}

/// An attachment of an event with this number.
fn attachment(number: u64) -> Binary {
    Binary::from(contents(number))
}

pub(super) fn contents(number: u64) -> Vec<u8> {
    vec![number as u8; number as usize % 97]
}

/// What a client says of itself.
#[derive(serde::Deserialize)]
struct Auth {
    /// The life that it wants back.
    life: Option<usize>,
    /// Whether what it says is true.
    #[serde(default)]
    is_right: bool,
}

impl SocketIoHandler<App> for Handler {
    fn on_join(
        &mut self,
        _: &mut Context<'_>,
        request: &JoinRequest<'_>,
        app: &mut App,
    ) -> Result<(), JoinRefused> {
        if request.namespace == "/x-no" {
            app.outcomes.count("denied");
            return Err("no".into());
        }
        Ok(())
    }

    fn on_connect(&mut self, socket: &mut Socket<'_>, app: &mut App) {
        let Some(handshake) = socket.handshake() else {
            return app.note_stillborn(socket);
        };
        let number = |name| handshake.param(name).and_then(|text| text.parse().ok());
        let (client, visit) = (number("client").expect("a number"), number("visit").expect("one"));
        if socket.recovered() {
            let life = app.life(socket.id());
            app.recover(life, client, visit);
            app.check_rooms(life, socket);
            app.outcomes.count("recovered");
        } else {
            let auth: Option<Auth> = socket.auth();
            if let Some((auth, life)) = auth.and_then(|auth| auth.life.map(|life| (auth, life))) {
                app.check_refusal(life, auth.is_right, socket.now());
            }
            let life = Life::new(socket.id(), (client, visit), &socket.namespace());
            let former = app.by_id.insert(life.id, app.lives.len());
            assert_eq!(former, None, "an id was given twice");
            app.lives.push(life);
        }
        app.act(&self.io, socket, app.life(socket.id()));
    }

    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, app: &mut App) {
        let index = app.life(socket.id());
        let life = &mut app.lives[index];
        assert_eq!(life.state, State::Live, "an event of a socket that is not connected");
        let number: u64 = event.arguments.get(0).expect("a number");
        assert_eq!(number, life.events, "an event was lost, came twice or out of order");
        life.events += 1;
        if let Ok(binary) = event.arguments.get::<Binary>(1) {
            assert_eq!(binary.0, contents(number));
            app.outcomes.count("attachments");
        }
        if let Some(ack) = event.ack {
            app.acknowledge(socket, ack, number);
        }
        match event.name {
            "act" => app.act(&self.io, socket, index),
            "leave-me" => socket.disconnect(),
            "close-me" => {
                app.visits[app.lives[index].visit].has_ended = true;
                socket.close();
            }
            other => panic!("{other}"),
        }
    }

    fn on_answer(
        &mut self,
        socket: &mut Socket<'_>,
        ask: AskId,
        answer: Result<Arguments<'_>, NoAnswer>,
        app: &mut App,
    ) {
        let index = app.life(socket.id());
        let life = &mut app.lives[index];
        assert!(life.asks.remove(&ask), "it was not asked, or is answered twice");
        assert_eq!(life.state, State::Live, "it is answered after the end");
        if let Ok(arguments) = answer {
            assert_eq!(arguments.get::<usize>(0).ok(), Some(index), "the answer of another one");
            app.outcomes.count("answered");
        }
    }

    fn on_disconnect(&mut self, socket: &mut Socket<'_>, reason: DisconnectReason, app: &mut App) {
        assert!(!socket.is_connected());
        let index = app.life(socket.id());
        app.check_rooms(index, socket);
        app.check_reason(index, reason);
        let may_recover =
            !matches!(reason, DisconnectReason::ClientLeft | DisconnectReason::Disconnected);
        let window = app.rules.window.filter(|_| may_recover);
        let life = &mut app.lives[index];
        assert_eq!(life.state, State::Live, "it is disconnected twice");
        assert_eq!(life.asks, BTreeSet::new(), "questions without an answer");
        life.state = window.map_or(State::Over, |window| State::Away(socket.now() + window));
        app.outcomes.count("disconnected");
    }
}

impl App {
    fn check_rooms(&self, life: usize, socket: &Socket<'_>) {
        let rooms: BTreeSet<String> = socket.rooms().iter().map(ToString::to_string).collect();
        assert_eq!(rooms, self.lives[life].rooms);
    }

    fn check_reason(&mut self, life: usize, reason: DisconnectReason) {
        let visit = self.visits[self.lives[life].visit];
        let is_silent = visit.is_silent || visit.stopped_reading;
        match reason {
            DisconnectReason::PingTimeout => {
                assert!(is_silent || !self.rules.is_lossless, "it answered every ping");
                self.outcomes.count("silent");
            }
            DisconnectReason::Overflow => {
                assert!(!self.rules.has_room, "it has room");
                self.outcomes.count("overflowed");
            }
            DisconnectReason::Protocol | DisconnectReason::Panicked => panic!("{reason:?}"),
            _ => {}
        }
        // Each socket of the session ends with it.
        if !matches!(reason, DisconnectReason::ClientLeft | DisconnectReason::Disconnected) {
            self.visits[self.lives[life].visit].has_ended = true;
        }
    }

    /// The connection has ended with what was sent to welcome a client.
    fn note_stillborn(&mut self, socket: &Socket<'_>) {
        assert!(!self.rules.has_room && !socket.is_connected());
        self.outcomes.count("stillborn");
        if socket.recovered() {
            let life = self.life(socket.id());
            let (client, visit) = (self.lives[life].client, self.lives[life].visit);
            return self.recover(life, client, visit);
        }
        let life = Life::new(socket.id(), (usize::MAX, 0), &socket.namespace());
        self.by_id.insert(life.id, self.lives.len());
        self.lives.push(life);
    }

    /// A socket has recovered: from here on it gets what comes behind that which its client has.
    fn recover(&mut self, index: usize, client: usize, visit: usize) {
        let life = &self.lives[index];
        assert!(matches!(life.state, State::Away(_)), "it was not away");
        assert_eq!(life.client, client, "another one's");
        let has_missed = life.got.len() < life.expected.len();
        let life = &mut self.lives[index];
        (life.state, life.visit, life.events) = (State::Live, visit, 0);
        if has_missed {
            self.outcomes.count("replayed");
        }
    }

    /// A client that wanted to recover begins anew.
    fn check_refusal(&mut self, life: usize, is_right: bool, now: Instant) {
        self.outcomes.count("refused");
        let rules = self.rules;
        let life = &mut self.lives[life];
        // A wrong claim is void, and with it every later one.
        life.is_void |= !is_right;
        if let (State::Away(until), false) = (life.state, life.is_void) {
            let is_late = now >= until;
            let is_certain = rules.has_memory && rules.is_lossless;
            assert!(is_late || !is_certain, "it could recover");
            self.outcomes.count(if is_late { "late" } else { "forgotten" });
        }
    }
}

pub(super) fn say(io: &SocketIo, cx: &mut Context<'_>, app: &mut App) {
    let namespace = app.random.pick(&NAMESPACES);
    app.broadcast(cx, io, namespace);
}

pub(super) fn acknowledge_next(io: &SocketIo, cx: &mut Context<'_>, app: &mut App) {
    if let Some((ack, number)) = app.acks.pop_front() {
        io.acknowledge(ack, (number,), cx);
    }
}
