//! The application: topics, what was broadcast to them, and everybody's subscriptions.

use std::time::Instant;

use eventwire::{
    Connection, ConnectionId, ConnectionMap, Context, Disconnect, Gap, Message, OverflowPolicy,
    Position, Resumption, SendStatus, TopicId, WebSocketHandler,
};

use super::judge::{Outcomes, State, Subscription};
use super::past::{Broadcast, Keeping, Life};

/// The names of the topics.
pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a client asks for. It is sent as text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    From(usize, OverflowPolicy, Position),
    Last(usize, OverflowPolicy, u64),
    Subscribe(usize, OverflowPolicy),
    Leave(usize),
    /// Broadcasts to all but itself.
    Say(usize, usize),
    /// Asks for the newest positions.
    Ask,
    Remove(usize),
}

/// A connection, as the application knows it.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) is_open: bool,
    pub(super) subscriptions: Vec<Subscription>,
    /// What it has asked for and what was not handled.
    pub(super) commands: Vec<Command>,
}

/// Broadcasts to a topic: for each, its key and length.
pub(super) struct Update(pub(super) usize, pub(super) Vec<(usize, usize)>);

#[derive(Debug)]
pub(super) struct App {
    pub(super) lives: Vec<Life>,
    /// The present life of each name.
    pub(super) present: [usize; NAMES.len()],
    pub(super) keeping: [Option<Keeping>; NAMES.len()],
    pub(super) clients: Vec<Client>,
    pub(super) numbers: ConnectionMap<usize>,
    /// No history gives up anything for memory.
    pub(super) has_memory: bool,
    /// No outbox is full either.
    pub(super) has_room: bool,
    pub(super) outcomes: Outcomes,
}

impl App {
    pub(super) fn new(
        keeping: [Option<Keeping>; NAMES.len()],
        (has_memory, has_room): (bool, bool),
    ) -> Self {
        Self {
            lives: Vec::new(),
            present: [0; NAMES.len()],
            keeping,
            clients: Vec::new(),
            numbers: ConnectionMap::new(),
            has_memory,
            has_room: has_memory && has_room,
            outcomes: Outcomes::default(),
        }
    }

    /// Makes a topic.
    pub(super) fn make(&mut self, name: usize, cx: &mut Context<'_>) {
        let id = cx.topic(NAMES[name]).expect("room for a topic");
        let position = cx.position(id).expect("a topic");
        assert_eq!(position.offset(), 0);
        assert!(self.lives.iter().all(|life| life.epoch != position.epoch()));
        self.present[name] = self.lives.len();
        self.lives.push(Life::new(id, position.epoch(), self.keeping[name]));
    }

    fn life(&self, name: usize) -> &Life {
        &self.lives[self.present[name]]
    }

    /// The newest subscription of a client to the present life of a topic, unless it has ended.
    fn subscription(&mut self, client: usize, name: usize) -> Option<&mut Subscription> {
        let life = self.present[name];
        let mut all = self.clients[client].subscriptions.iter_mut().rev();
        all.find(|it| it.life == life).filter(|it| it.end.is_none())
    }

    /// The client's subscription to a topic ends.
    fn finish(&mut self, client: usize, name: usize) {
        let newest = self.life(name).newest();
        if let Some(subscription) = self.subscription(client, name) {
            subscription.finish(newest);
        }
    }

    fn broadcast(&mut self, name: usize, (key, len): (usize, usize), cx: &mut Context<'_>) {
        let (text, life) = (self.text(name, len), self.life(name));
        let status = match key {
            0 => cx.broadcast(life.id, &*text),
            key => cx.broadcast_keyed(life.id, ["x", "y", "z"][key - 1], &*text),
        };
        self.note(name, status, Broadcast::new(text, key, cx.now()));
    }

    fn text(&self, name: usize, len: usize) -> String {
        let life = self.life(name);
        format!("{} {}", Position::new(life.epoch, life.newest() + 1), "x".repeat(len))
    }

    fn note(&mut self, name: usize, status: SendStatus, broadcast: Broadcast) {
        match status {
            SendStatus::Sent => self.lives[self.present[name]].broadcasts.push(broadcast),
            SendStatus::Dropped => {
                assert!(!self.has_memory, "it was refused");
                self.outcomes.refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }

    fn subscribe_from(
        &mut self,
        conn: &mut Connection<'_>,
        (client, name): (usize, usize),
        policy: OverflowPolicy,
        position: Position,
    ) {
        let life = self.present[name];
        let is_first = self.clients[client].subscriptions.iter().all(|it| it.life != life);
        self.finish(client, name);
        if conn.subscribe_from(self.lives[life].id, policy, position).is_err() {
            // What waited for it exceeded its outbox.
            assert!(!conn.is_open());
            return;
        }
        let mut subscription = Subscription::new(life, policy, State::Awaiting(position));
        subscription.is_announced = !is_first || position.offset() % 2 == 0;
        self.clients[client].subscriptions.push(subscription);
    }

    fn subscribe(
        &mut self,
        conn: &mut Connection<'_>,
        (client, name): (usize, usize),
        policy: OverflowPolicy,
    ) {
        let life = self.present[name];
        // Nothing would distinguish a second subscription from the first.
        let is_second = self.clients[client].subscriptions.iter().any(|it| it.life == life);
        let present = self.subscription(client, name);
        if is_second && present.is_none() {
            return;
        }
        match conn.subscribe_with(self.lives[life].id, policy) {
            Ok(is_new) => assert_eq!(is_new, !is_second),
            Err(_) => assert!(!conn.is_open()),
        }
        if let Some(present) = self.subscription(client, name) {
            present.conflates |= policy == OverflowPolicy::KeepLatest;
        } else if conn.is_open() {
            let first = self.lives[life].newest() + 1;
            let state = State::Live { first, after_history: first };
            self.clients[client].subscriptions.push(Subscription::new(life, policy, state));
        }
    }

    /// Ends all subscriptions to a topic, removes it, and makes it again.
    fn remove(&mut self, name: usize, cx: &mut Context<'_>) {
        let id = self.life(name).id;
        let members: Vec<_> = cx.members(id).collect();
        for member in members {
            let client = *self.numbers.get(member).expect("it is known");
            self.finish(client, name);
            cx.connection(member).unsubscribe(id);
        }
        assert!(cx.remove_topic(id));
        self.make(name, cx);
    }

    /// Compares a topic's history with what it should be.
    fn check_history(&self, name: usize, cx: &Context<'_>) {
        let (life, now) = (self.life(name), cx.now());
        let (start, newest) = (life.start(now), life.newest());
        let kept: Vec<_> = cx.history(life.id, ..).collect();
        let first = newest + 1 - kept.len() as u64;
        assert!(first >= start && (!self.has_memory || first == start), "{first}, not {start}");
        for (offset, found) in (first..).zip(kept) {
            assert_eq!(found.position, Position::new(life.epoch, offset));
            assert_eq!(found.message.as_text(), Some(&*life.broadcast(offset).text));
        }
        let before = cx.position_before(life.id, 2).expect("a topic").offset();
        assert_eq!(before, newest.saturating_sub(2).max(first - 1));
    }

    /// The newest positions of the topics that the client is subscribed to.
    fn newest_of(&mut self, client: usize) -> String {
        let mut text = "newest".to_owned();
        for name in 0..NAMES.len() {
            let (epoch, newest) = (self.life(name).epoch, self.life(name).newest());
            if self.subscription(client, name).is_some_and(|it| it.is_live() && !it.conflates) {
                text = format!("{text} {}", Position::new(epoch, newest));
            }
        }
        text
    }

    fn run(&mut self, conn: &mut Connection<'_>, client: usize, command: Command) {
        match command {
            Command::From(name, policy, position) => {
                self.subscribe_from(conn, (client, name), policy, position);
            }
            Command::Last(name, policy, count) => {
                let position = conn.position_before(self.life(name).id, count);
                let position = position.expect("a topic");
                self.subscribe_from(conn, (client, name), policy, position);
            }
            Command::Subscribe(name, policy) => self.subscribe(conn, (client, name), policy),
            Command::Leave(name) => {
                self.finish(client, name);
                conn.unsubscribe(self.life(name).id);
            }
            Command::Say(name, len) => {
                let (text, id, me) = (self.text(name, len), self.life(name).id, conn.id());
                let status = conn.broadcast_except(id, me, &*text);
                let broadcast = Broadcast::new(text, 0, conn.now());
                self.note(name, status, broadcast.except(client));
            }
            Command::Ask => {
                let text = self.newest_of(client);
                conn.send(text);
            }
            Command::Remove(name) => self.remove(name, conn),
        }
        (0..NAMES.len()).for_each(|name| self.check_history(name, conn));
    }

    /// A client's subscription to a topic for which `is_it` holds, the newest first.
    fn find(
        &mut self,
        conn: ConnectionId,
        topic: TopicId,
        is_it: impl Fn(&Subscription) -> bool,
    ) -> (usize, usize) {
        let client = *self.numbers.get(conn).expect("it is known");
        let lives = &self.lives;
        let mut all = self.clients[client].subscriptions.iter().enumerate().rev();
        let found = all.find(|(_, it)| lives[it.life].id == topic && is_it(it));
        (client, found.expect("a subscription").0)
    }
}

/// Makes broadcasts.
pub(super) fn update(cx: &mut Context<'_>, update: &Update, app: &mut App) {
    update.1.iter().for_each(|it| app.broadcast(update.0, *it, cx));
}

pub(super) struct Feed;

impl WebSocketHandler<App> for Feed {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        let text = message.as_text().expect("text");
        let (client, command) = text.split_once(' ').expect("two numbers");
        let client: usize = client.parse().expect("a client");
        let command = app.clients[client].commands[command.parse::<usize>().expect("a command")];
        app.numbers.insert(conn.id(), client);
        app.clients[client].is_open = true;
        app.run(conn, client, command);
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        app: &mut App,
    ) {
        let awaits = |it: &Subscription| matches!(it.state, State::Awaiting(_));
        let (client, index) = app.find(conn.id(), topic, awaits);
        let now: Instant = conn.now();
        let subscription = &mut app.clients[client].subscriptions[index];
        let life = &app.lives[subscription.life];
        subscription.resume(life, life.start(now), resumption, app.has_memory);
        *match resumption {
            Resumption::Recovered { replayed: 0 } => &mut app.outcomes.current,
            Resumption::Recovered { .. } => &mut app.outcomes.replayed,
            _ => &mut app.outcomes.lost,
        } += 1;
        if subscription.is_announced {
            conn.send(format!("resumed {index}"));
        }
        let name = app.present.iter().position(|life| app.lives[*life].id == topic);
        // It comes after the history.
        if client % 3 == 0 {
            app.broadcast(name.expect("a topic"), (0, 20), conn);
        }
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, app: &mut App) {
        let (client, index) = app.find(conn.id(), gap.topic, |it| it.can_miss(&gap));
        let has_room = app.has_room;
        let in_history = app.clients[client].subscriptions[index].miss(gap, has_room);
        app.outcomes.gaps += 1;
        app.outcomes.gaps_in_history += u64::from(in_history);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, end: &Disconnect, app: &mut App) {
        app.outcomes.closed += u64::from(matches!(end, Disconnect::Overflow));
        if let Some(client) = app.numbers.remove(conn.id()) {
            app.clients[client].is_open = false;
        }
    }
}
