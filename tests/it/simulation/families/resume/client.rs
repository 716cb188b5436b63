//! A client that subscribes to topics, reads now and then, leaves, and comes back.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use eventwire::proto::OpCode;
use eventwire::reactor::SimReactor;
use eventwire::{OverflowPolicy, Position};

use super::app::{App, Client, Command, NAMES};
use crate::shared::{Arrived, Random, SimPeer, frame, request};

const POLICIES: [OverflowPolicy; 4] = [
    OverflowPolicy::Close,
    OverflowPolicy::DropNewest,
    OverflowPolicy::DropOldest,
    OverflowPolicy::KeepLatest,
];

/// A client, and what it remembers while it is away.
#[derive(Debug, Default)]
pub(super) struct Visitor {
    /// The positions of the last messages that it has, by their epochs.
    seen: BTreeMap<u64, u64>,
    visit: Option<Visit>,
}

/// A connection of a client's.
#[derive(Debug)]
struct Visit {
    stream: SimPeer,
    number: usize,
    is_open: bool,
    /// The subscription that the messages of each epoch belong to.
    current: BTreeMap<u64, usize>,
    /// Everything up to there has come, in each epoch.
    floors: BTreeMap<u64, u64>,
}

impl Visitor {
    pub(super) fn step(
        &mut self,
        address: SocketAddr,
        app: &mut App,
        random: &mut Random,
        reactor: &mut SimReactor,
    ) {
        let Some(visit) = &mut self.visit else {
            if random.percent(15) {
                self.visit = Some(Visit::begin(address, app, reactor));
            }
            return;
        };
        let was_open = visit.is_open;
        if !visit.receive(app, &mut self.seen, reactor) {
            visit.stream.finish(reactor);
            self.visit = None;
            return;
        }
        if !visit.is_open {
            return;
        }
        let count = if was_open { usize::from(random.percent(12)) } else { random.between(1, 5) };
        let commands: Vec<_> = (0..count).map(|_| command(&self.seen, app, random)).collect();
        visit.send(&commands, app, reactor);
        if random.percent(6) {
            visit.toggle(reactor);
        }
        if random.percent(3) {
            visit.leave(random, reactor);
            self.visit = None;
        }
    }

    /// Reads on; whether it has left before.
    pub(super) fn rest(&mut self, app: &mut App, reactor: &mut SimReactor) {
        if let Some(visit) = &mut self.visit {
            visit.stream.resume(reactor);
            if !visit.receive(app, &mut self.seen, reactor) {
                visit.stream.finish(reactor);
                self.visit = None;
            }
        }
    }

    /// The number of its connection, if it has one that is open.
    pub(super) fn number(&self) -> Option<usize> {
        self.visit.as_ref().map(|visit| visit.number)
    }
}

/// A position of the last message that a client has, or one that is wrong.
fn position(seen: &BTreeMap<u64, u64>, app: &App, name: usize, random: &mut Random) -> Position {
    let life = &app.lives[app.present[name]];
    let right = Position::new(life.epoch, seen.get(&life.epoch).copied().unwrap_or(0));
    let other = app.lives[random.below(app.lives.len())].epoch;
    match random.below(12) {
        0 => Position::new(right.epoch() ^ 1, right.offset()),
        1 => Position::new(right.epoch(), random.pick(&[life.newest() + 1, u64::MAX])),
        2 => Position::new(other, seen.get(&other).copied().unwrap_or(1)),
        3 => Position::new(right.epoch(), random.below(life.newest() as usize + 1) as u64),
        _ => right,
    }
}

fn command(seen: &BTreeMap<u64, u64>, app: &App, random: &mut Random) -> Command {
    let (name, policy) = (random.below(NAMES.len()), random.pick(&POLICIES));
    match random.below(100) {
        0..50 => Command::From(name, policy, position(seen, app, name, random)),
        50..60 => Command::Last(name, policy, random.pick(&[0, 1, 5, 1000])),
        60..70 => Command::Subscribe(name, policy),
        70..75 => Command::Leave(name),
        75..90 => Command::Say(name, random.below(300)),
        90..98 => Command::Ask,
        _ => Command::Remove(name),
    }
}

impl Visit {
    fn begin(address: SocketAddr, app: &mut App, reactor: &mut SimReactor) -> Self {
        let (stream, number) = (SimPeer::connect(reactor, address), app.clients.len());
        app.clients.push(Client::default());
        stream.send(&request(number), reactor);
        let (current, floors) = (BTreeMap::new(), BTreeMap::new());
        Self { stream, number, is_open: false, current, floors }
    }

    fn send(&self, commands: &[Command], app: &mut App, reactor: &mut SimReactor) {
        let mut bytes = Vec::new();
        for command in commands {
            let sent = &mut app.clients[self.number].commands;
            let text = format!("{} {}", self.number, sent.len());
            bytes.extend(frame(OpCode::Text, text.as_bytes()));
            sent.push(*command);
        }
        self.stream.send(&bytes, reactor);
    }

    /// Stops reading, or goes on.
    fn toggle(&mut self, reactor: &mut SimReactor) {
        match self.stream.is_paused() {
            true => self.stream.resume(reactor),
            false => self.stream.stop_reading(reactor),
        }
    }

    fn leave(&self, random: &mut Random, reactor: &mut SimReactor) {
        match random.below(3) {
            0 => self.stream.reset(reactor),
            1 => self.stream.finish(reactor),
            _ => self.stream.send(&frame(OpCode::Close, &1000_u16.to_be_bytes()), reactor),
        }
    }

    /// Takes what has come. Returns whether the connection goes on.
    fn receive(
        &mut self,
        app: &mut App,
        seen: &mut BTreeMap<u64, u64>,
        reactor: &mut SimReactor,
    ) -> bool {
        self.stream.receive(reactor);
        if !self.is_open {
            let Some(head) = self.stream.take_head() else {
                return !self.stream.is_closed(reactor);
            };
            assert!(head.starts_with(b"HTTP/1.1 101"));
            self.is_open = true;
        }
        while let Some(arrived) = self.stream.take_frame() {
            match arrived {
                Arrived::Message(_, text) => {
                    self.take(std::str::from_utf8(&text).expect("text"), app, seen);
                }
                Arrived::Close(code) => {
                    assert!(matches!(code, Some(1013 | 1000) | None), "{code:?}");
                    return false;
                }
                Arrived::Ping(_) | Arrived::Pong => {}
            }
        }
        !self.stream.is_closed(reactor)
    }

    fn take(&mut self, text: &str, app: &mut App, seen: &mut BTreeMap<u64, u64>) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "resumed" => {
                let index: usize = rest.parse().expect("a subscription");
                let subscription = &app.clients[self.number].subscriptions[index];
                let epoch = app.lives[subscription.life].epoch;
                let before = self.current.insert(epoch, index);
                assert!(before < Some(index), "{before:?} before {index}");
                // A later subscription may begin earlier.
                self.floors.remove(&epoch);
            }
            "newest" => {
                for position in rest.split(' ').filter(|it| !it.is_empty()) {
                    let position: Position = position.parse().expect("a position");
                    self.floors.insert(position.epoch(), position.offset());
                }
            }
            position => {
                let position: Position = position.parse().expect("a position");
                self.take_broadcast(position, text, app);
                seen.insert(position.epoch(), position.offset());
            }
        }
    }

    fn take_broadcast(&mut self, position: Position, text: &str, app: &mut App) {
        let (epoch, offset) = (position.epoch(), position.offset());
        let App { lives, clients, .. } = app;
        let number = lives.iter().position(|life| life.epoch == epoch).expect("a topic");
        let (life, own) = (&lives[number], &mut clients[self.number].subscriptions);
        assert_eq!(life.broadcast(offset).text, text);
        let index = *self.current.entry(epoch).or_insert_with(|| {
            let first = own.iter().position(|it| it.life == number && it.is_live());
            let first = first.expect("it is subscribed");
            assert!(!own[first].is_announced, "a message before the announcement");
            first
        });
        own[index].get(offset, self.number, life);
        if !own[index].conflates {
            let floor = self.floors.get(&epoch).copied().unwrap_or(0);
            assert!(offset > floor, "{offset} comes after what was sent behind {floor}");
        }
    }
}
