//! All clients, on one thread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::client::{Client, Server, Tally};
use super::dialect::Dialect;
use crate::error::Error;
use crate::load::Target;

/// The most clients that dial at once.
const DIALS_MAX: usize = 100;

/// Clients that wait for so long for their server have failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a client whose connection has failed dials again.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Clients {
    poll: Poll,
    events: Events,
    server: Server,
    clients: Vec<Client>,
    /// When clients that are away come back.
    away: BinaryHeap<Reverse<(Instant, usize)>>,
    current: usize,
    pub(super) tally: Tally,
    buffer: Vec<u8>,
    random: u64,
}

impl Clients {
    /// Connects so many clients of so many topics, which begin with a command.
    pub(super) fn connect(
        (count, topics): (usize, usize),
        target: &Target,
        dialect: Dialect,
        first_command: &'static str,
    ) -> Result<Self, Error> {
        let address = format!("{}:{}", target.host, target.port);
        let address = address.parse().map_err(|_| {
            Error::Settings(format!("{address} is no address: the URL needs one and a port"))
        })?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            dialect.path(target),
            target.authority(),
        );
        let server = Server { address, dialect, request: request.into_bytes(), first_command };
        let poll = Poll::new().map_err(Error::system("cannot poll"))?;
        let mut clients = Self {
            poll,
            events: Events::with_capacity(4096),
            server,
            clients: (0..count).map(|it| Client::new(it % topics)).collect(),
            away: BinaryHeap::new(),
            current: 0,
            tally: Tally::new(),
            buffer: vec![0; 256 * 1024],
            random: 1,
        };
        clients.dial_all()?;
        clients.tally = Tally::new();
        Ok(clients)
    }

    fn dial_all(&mut self) -> Result<(), Error> {
        for index in 0..self.clients.len() {
            self.dial(index);
            while index + 1 - self.current.min(index + 1) >= DIALS_MAX {
                self.turn(Duration::from_millis(10))?;
                self.check(index)?;
            }
        }
        self.turn_until(Self::are_current).map(drop)
    }

    fn check(&self, index: usize) -> Result<(), Error> {
        if self.tally.failed > index as u64 + 100 {
            return Err(Error::Events("connections fail again and again".to_owned()));
        }
        Ok(())
    }

    pub(super) fn are_current(&self) -> bool {
        self.current == self.clients.len()
    }

    fn dial(&mut self, index: usize) {
        let registry = self.poll.registry();
        if self.clients[index].dial(Token(index), &self.server, registry).is_err() {
            self.fail(index);
        }
    }

    fn fail(&mut self, index: usize) {
        self.tally.failed += 1;
        self.leave(index, AGAIN);
    }

    fn leave(&mut self, index: usize, away: Duration) {
        let was_current = self.clients[index].is_current();
        self.clients[index].drop_connection();
        self.current -= usize::from(was_current);
        self.away.push(Reverse((Instant::now() + away, index)));
    }

    /// Drops a client that is current, and lets it be away for a while.
    pub(super) fn drop_one(&mut self, away_max: Duration) {
        let index = self.below(self.clients.len());
        if self.clients[index].is_current() {
            let away = Duration::from_nanos(self.below(away_max.as_nanos() as usize) as u64);
            self.tally.drops += 1;
            self.leave(index, away);
        }
    }

    fn below(&mut self, count: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % count.max(1) as u64) as usize
    }

    /// Waits for input, and handles it.
    pub(super) fn turn(&mut self, timeout: Duration) -> Result<(), Error> {
        let now = Instant::now();
        while let Some(&Reverse((at, index))) = self.away.peek().filter(|it| it.0.0 <= now) {
            debug_assert!(at <= now);
            self.away.pop();
            self.dial(index);
        }
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Error::system("cannot poll")(error));
            }
            _ => {}
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let index = event.token().0;
            let was_current = self.clients[index].is_current();
            let client = &mut self.clients[index];
            let outcome = client
                .write(&self.server)
                .and_then(|()| client.read(&self.server, &mut self.tally, &mut self.buffer));
            let is_current = client.is_current();
            self.current += usize::from(is_current);
            self.current -= usize::from(was_current);
            if outcome.is_err() {
                self.fail(index);
            }
        }
        self.events = events;
        Ok(())
    }

    /// Returns how long it took.
    pub(super) fn turn_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<Duration, Error> {
        let start = Instant::now();
        while !done(self) {
            if start.elapsed() > PATIENCE {
                let outstanding = (self.clients.len() - self.current) as u64;
                return Err(Error::Stalled { outstanding, seconds: PATIENCE.as_secs() });
            }
            self.turn(Duration::from_millis(1))?;
        }
        Ok(start.elapsed())
    }

    /// Has the first client say something.
    pub(super) fn command(&mut self, name: &str, arguments: &[u64]) -> Result<(), Error> {
        let said = self.clients[0].command(name, arguments, &self.server);
        said.map_err(Error::system("cannot reach the server"))
    }

    /// Has all clients resume on the connections that they have.
    pub(super) fn resume_all(&mut self) -> Result<(), Error> {
        self.current = 0;
        for client in &mut self.clients {
            client.resume(&self.server).map_err(Error::system("cannot reach the server"))?;
        }
        Ok(())
    }

    /// Compares what all clients have got with what the server has broadcast.
    pub(super) fn conclude(&mut self) -> Result<(), Error> {
        for client in &mut self.clients {
            client.conclude(&self.server).map_err(Error::system("cannot reach the server"))?;
        }
        self.turn_until(|this| this.clients.iter().all(Client::is_concluded)).map(drop)
    }
}
