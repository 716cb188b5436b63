//! What is known of topics: every message of each of their lives, and which of them their histories
//! have.

use std::time::{Duration, Instant};

use eventwire::{History, Position, TopicId};

use crate::shared::Random;

/// How the topics of one name are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    messages: u64,
    bytes: usize,
    age: Duration,
    pub(super) is_latest: bool,
}

/// A message that was broadcast.
#[derive(Clone, Debug)]
pub(super) struct Broadcast {
    pub(super) text: String,
    pub(super) message_key: usize,
    /// The number of the client that it excludes.
    except: Option<usize>,
    at: Instant,
}

/// A topic from when it is made until it is removed.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: TopicId,
    pub(super) epoch: u64,
    pub(super) keeping: Option<Keeping>,
    /// Its broadcasts, by their offsets less 1.
    pub(super) broadcasts: Vec<Broadcast>,
}

impl Keeping {
    pub(super) fn random(random: &mut Random) -> Self {
        let ages = [5, 20, 60, 100_000].map(Duration::from_millis);
        let (bytes, age) = (random.pick(&[700, 5_000, 1 << 20]), random.pick(&ages));
        if random.percent(25) {
            let age = random.pick(&[Duration::from_millis(20), Duration::MAX]);
            return Self { messages: 1, bytes: 1 << 20, age, is_latest: true };
        }
        let messages = random.pick(&[1, 3, 20, 100, 1000]);
        Self { messages, bytes, age, is_latest: false }
    }

    pub(super) const fn history(self) -> History {
        match self.is_latest {
            true => History::latest().age(self.age),
            false => History::of(self.messages).bytes(self.bytes).age(self.age),
        }
    }
}

impl Broadcast {
    pub(super) const fn new(text: String, message_key: usize, at: Instant) -> Self {
        Self { text, message_key, except: None, at }
    }

    pub(super) fn except(self, client: usize) -> Self {
        Self { except: Some(client), ..self }
    }

    /// Bytes of its frame.
    fn frame_len(&self) -> usize {
        self.text.len() + if self.text.len() < 126 { 2 } else { 4 }
    }
}

impl Life {
    pub(super) const fn new(id: TopicId, epoch: u64, keeping: Option<Keeping>) -> Self {
        Self { id, epoch, keeping, broadcasts: Vec::new() }
    }

    pub(super) fn newest(&self) -> u64 {
        self.broadcasts.len() as u64
    }

    pub(super) fn broadcast(&self, offset: u64) -> &Broadcast {
        &self.broadcasts[offset as usize - 1]
    }

    /// Whether a message is meant for a client.
    pub(super) fn is_meant(&self, offset: u64, client: usize) -> bool {
        self.broadcast(offset).except != Some(client)
    }

    /// The offset of the oldest message that the history has, if it has all the memory that it
    /// needs, or that of the next one.
    pub(super) fn start(&self, now: Instant) -> u64 {
        let mut start = self.newest() + 1;
        let Some(keeping) = self.keeping else {
            return start;
        };
        let mut bytes = 0;
        for broadcast in self.broadcasts.iter().rev() {
            bytes += broadcast.frame_len();
            let count = self.newest() + 2 - start;
            let is_young = now - broadcast.at < keeping.age;
            if count > keeping.messages || bytes > keeping.bytes || !is_young {
                break;
            }
            start -= 1;
        }
        start
    }

    /// The offset of the first message that a client with that position gets from the history that
    /// begins with `start`. `None` if it does not reach the position.
    pub(super) fn first_behind(&self, behind: Position, start: u64) -> Option<u64> {
        let newest = self.newest();
        let is_latest = self.keeping.is_some_and(|keeping| keeping.is_latest);
        if is_latest && start == newest && behind != Position::new(self.epoch, newest) {
            return Some(newest);
        }
        let is_here = behind.epoch() == self.epoch && behind.offset() <= newest;
        (is_here && behind.offset() + 1 >= start).then(|| behind.offset() + 1)
    }
}
