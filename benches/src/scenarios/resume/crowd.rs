//! All clients, on one thread.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::client::{Client, Tally};
use crate::error::Error;
use crate::target::Target;

/// The most clients that dial at once.
const DIALS_MAX: usize = 100;
/// Clients that wait for so long for their server have failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// When a client whose connection has failed dials again.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) tally: Tally,
    clients: Vec<Client>,
    server: SocketAddr,
    /// When clients that are away come back.
    away: BTreeSet<(Instant, usize)>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    random: u64,
    /// More failures end the run.
    failures_max: u64,
}

impl Crowd {
    /// Connects `count` clients of `topics` topics, which begin with a command.
    pub(super) fn connect(
        server: &Target,
        count: u32,
        topics: u32,
        first_command: &'static str,
    ) -> Result<Self, Error> {
        let address = format!("{}:{}", server.host, server.port).parse();
        let mut crowd = Self {
            tally: Tally::default(),
            clients: Vec::new(),
            server: address.map_err(|_| Error::Settings(format!("{server} has no IP address")))?,
            away: BTreeSet::new(),
            poll: Poll::new().map_err(Error::system("cannot poll"))?,
            events: Events::with_capacity(4096),
            buffer: vec![0; 256 * 1024],
            random: 1,
            failures_max: 100,
        };
        for index in 0..count as usize {
            let topic = u64::from(index as u32 % topics);
            crowd.clients.push(Client::new(topic, first_command));
            crowd.away.insert((Instant::now(), index));
            crowd.turn_until(|it| index + 1 - it.tally.current < DIALS_MAX)?;
        }
        crowd.turn_until(Self::is_current)?;
        (crowd.tally, crowd.failures_max) = (Tally::default(), u64::MAX);
        crowd.tally.current = crowd.clients.len();
        Ok(crowd)
    }

    pub(super) fn is_current(&self) -> bool {
        self.tally.current == self.clients.len()
    }

    /// Drops a client that is current, and lets it be away for a while.
    pub(super) fn drop_one(&mut self, away_max: Duration) {
        let index = self.random_below(self.clients.len() as u64) as usize;
        if self.clients[index].is_current() {
            let away = Duration::from_nanos(self.random_below(away_max.as_nanos() as u64));
            self.tally.drops += 1;
            self.clients[index].cut(&mut self.tally);
            self.away.insert((Instant::now() + away, index));
        }
    }

    fn random_below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    /// Lets clients come back, waits for input, and handles it.
    pub(super) fn turn(&mut self) -> Result<(), Error> {
        const PAUSE: Duration = Duration::from_millis(1);
        let Self { tally, clients, away, poll, events, buffer, .. } = self;
        let now = Instant::now();
        let later = away.split_off(&(now, usize::MAX));
        for (_, index) in std::mem::replace(away, later) {
            let dialled = clients[index].dial(self.server, Token(index), poll.registry());
            dialled.map_err(Error::system("cannot connect"))?;
        }
        match poll.poll(events, Some(PAUSE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
            result => result.map_err(Error::system("cannot poll"))?,
        }
        for event in events.iter() {
            let Token(index) = event.token();
            if clients[index].ready(event.is_read_closed(), tally, buffer).is_err() {
                tally.failed += 1;
                clients[index].cut(tally);
                away.insert((now + AGAIN, index));
            }
        }
        Ok(())
    }

    /// Returns how long it took.
    pub(super) fn turn_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<Duration, Error> {
        let start = Instant::now();
        while !done(self) {
            if start.elapsed() > PATIENCE {
                let outstanding = (self.clients.len() - self.tally.current) as u64;
                return Err(Error::Stalled { outstanding, seconds: PATIENCE.as_secs() });
            }
            if self.tally.failed > self.failures_max {
                return Err(Error::Events("connections fail again and again".to_owned()));
            }
            self.turn()?;
        }
        Ok(start.elapsed())
    }

    /// Has the first client say something.
    pub(super) fn say(&mut self, name: &str, arguments: &[u64]) {
        self.clients[0].command(name, arguments);
    }

    /// Has the first client say something, and returns the answer.
    pub(super) fn ask(&mut self, name: &str, arguments: &[u64]) -> Result<String, Error> {
        self.clients[0].answer = None;
        self.say(name, arguments);
        self.turn_until(|it| it.clients[0].answer.is_some())?;
        Ok(self.clients[0].answer.take().unwrap_or_default())
    }

    /// Has all clients resume on the connections that they have, as if they lacked the last `back`
    /// messages. Returns how long it took.
    pub(super) fn resume(&mut self, back: u64) -> Result<Duration, Error> {
        let start = Instant::now();
        self.clients.iter_mut().for_each(|client| client.resume(back, &mut self.tally));
        self.turn_until(Self::is_current)?;
        Ok(start.elapsed())
    }

    /// Compares what all clients have got with what the server has broadcast.
    pub(super) fn conclude(&mut self) -> Result<(), Error> {
        self.clients.iter_mut().for_each(|client| client.command("where", &[client.topic]));
        self.turn_until(|it| it.tally.concluded == it.clients.len()).map(drop)
    }
}
