//! A model of the topics' promises, which has no batches.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::batch::Batch;
use super::super::topic::{BatchMemory, Counted};
use super::*;
use crate::proto::{FrameHeader, OpCode, Role};

/// The topics and a slow, obvious implementation of their promises: each connection has a list of
/// its pending broadcasts, in order.
pub(super) struct Model {
    pub(super) topics: Topics,
    keys: Slots<()>,
    connections: Vec<Connection>,
    /// By the index of the name.
    made: [Option<Key>; NAMES.len()],
    broadcasts: BTreeMap<Key, u64>,
    /// All broadcasts to each topic.
    past: BTreeMap<Key, Vec<Frame>>,
    /// Topics that were last reported with subscribers.
    occupied: BTreeSet<Key>,
    serial: u64,
    /// The most subscribers that the next delivery serves together.
    rows: usize,
    /// The limit of memory is low: any logged broadcast may be given up.
    tight: bool,
}

struct Connection {
    key: Key,
    subscribed: BTreeMap<usize, OverflowPolicy>,
    /// Topics whose subscriptions are about to be resumed.
    awaiting: BTreeMap<usize, ResumeRequest>,
    pending: VecDeque<Frame>,
    /// Frames that it missed without a report so far, by topic and number.
    missed: BTreeSet<(Key, u64)>,
    /// Frames that were pending when the subscription ended. They are reported if they were missed
    /// before that.
    given_up: BTreeSet<(Key, u64)>,
    room: SendCapacity,
    /// Bytes that may be appended before output waits.
    patience: Option<usize>,
    /// Bytes that may wait up to the soft limit.
    soft: usize,
    /// Output has waited since everything was reported: it may miss broadcasts.
    slow: bool,
    /// It was left out, or something was sent after the log began.
    disturbed: bool,
    overflowed: bool,
}

/// A message that is pending for a connection.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    topic: usize,
    key: Key,
    number: u64,
    /// Orders the broadcasts to all topics.
    serial: u64,
    /// The connection that it leaves out.
    except: Option<Key>,
    policy: OverflowPolicy,
    opcode: OpCode,
    payload: Vec<u8>,
}

impl Connection {
    fn new(key: Key) -> Self {
        Self {
            key,
            subscribed: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            pending: VecDeque::new(),
            missed: BTreeSet::new(),
            given_up: BTreeSet::new(),
            room: SendCapacity::Unlimited,
            patience: None,
            soft: 0,
            slow: false,
            disturbed: false,
            overflowed: false,
        }
    }

    /// Receives `bytes`, which must be the next pending frames. Frames that may be missed may be
    /// skipped.
    fn take(&mut self, mut bytes: &[u8]) {
        assert!(!bytes.is_empty(), "a run of nothing");
        while !bytes.is_empty() {
            let (header, len) = FrameHeader::parse(bytes, Role::Client).unwrap().unwrap();
            let end = len + header.len as usize;
            assert!(header.fin);
            let frame = (header.opcode, &bytes[len..end]);
            loop {
                let pending = self.pending.pop_front().expect("no frame is pending");
                if (pending.opcode, &pending.payload[..]) == frame {
                    break;
                }
                self.miss(&pending);
            }
            bytes = &bytes[end..];
        }
    }

    fn miss(&mut self, pending: &Frame) {
        assert!(pending.policy != OverflowPolicy::Close && self.slow, "{pending:?} is missing");
        assert!(self.missed.insert((pending.key, pending.number)));
    }

    /// Everything was delivered: frames that are still pending were missed.
    fn miss_rest(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            self.miss(&pending);
        }
    }
}

impl Output for Connection {
    fn capacity(&self, conn: Key) -> SendCapacity {
        assert_eq!(conn, self.key);
        self.room
    }

    fn append(&mut self, conn: Key, run: &Run<'_>) -> bool {
        assert_eq!(conn, self.key);
        let len = run.as_slice().len();
        if self.overflowed {
            return true;
        }
        self.take(run.as_slice());
        match (&mut self.room, &mut self.patience) {
            (SendCapacity::Waiting { bytes, .. }, _) if *bytes < len => {
                self.overflowed = true;
                self.room = SendCapacity::Unlimited;
            }
            (SendCapacity::Waiting { backed_up, bytes }, _) => {
                *bytes -= len;
                self.soft = self.soft.saturating_sub(len);
                *backed_up = self.soft == 0;
            }
            (SendCapacity::Unlimited, Some(patience)) => {
                *patience = patience.saturating_sub(len);
                if *patience == 0 {
                    (self.patience, self.soft, self.slow) = (None, 20, true);
                    self.room = SendCapacity::Waiting { backed_up: false, bytes: 100 };
                }
            }
            (SendCapacity::Unlimited, None) => {}
        }
        !self.overflowed
    }
}

impl Model {
    pub(super) fn new(limits: TopicLimits) -> Self {
        let mut keys = Slots::with_capacity(CONNECTIONS);
        let connections = (0..CONNECTIONS).map(|_| Connection::new(keys.insert(()))).collect();
        Self {
            topics: Topics::new(limits, configs(), 7),
            keys,
            connections,
            made: [None; NAMES.len()],
            broadcasts: BTreeMap::new(),
            past: BTreeMap::new(),
            occupied: BTreeSet::new(),
            serial: 0,
            rows: 0,
            tight: limits.bytes < LIMITS.bytes,
        }
    }

    /// The key of a topic, or a key without a topic if it does not exist.
    fn key(&self, topic: usize) -> Key {
        self.made[topic].unwrap_or(Key::from_bits(u64::MAX))
    }

    pub(super) fn run(&mut self, command: &Command) {
        match command {
            Command::MakeTopic(topic) => self.make_topic(*topic),
            Command::RemoveTopic(topic) => self.remove_topic(*topic),
            Command::Subscribe(conn, topic, policy) => self.subscribe(*conn, *topic, *policy),
            Command::Unsubscribe(conn, topic) => {
                self.deliver_pending(*conn);
                self.unsubscribe(*conn, *topic);
            }
            Command::UnsubscribeAtOnce(conn, topic) => {
                let key = self.key(*topic);
                let connection = &mut self.connections[*conn];
                let given_up = connection.pending.iter().filter(|pending| pending.key == key);
                connection.given_up.extend(given_up.map(|pending| (pending.key, pending.number)));
                self.unsubscribe(*conn, *topic);
            }
            Command::Replace(conn) => self.replace(*conn),
            Command::AwaitResume(conn, topic, policy) => self.await_resume(*conn, *topic, *policy),
            Command::Resume(conn, topic, from) => self.resume(*conn, *topic, *from),
            Command::Broadcast(topic, payload, except) => {
                self.serial += 1;
                let payload = payload.numbered(self.serial);
                self.broadcast(*topic, payload.message(), *except);
            }
            Command::Deliver => {
                self.deliver();
            }
            Command::DeliverPending(conn) => self.deliver_pending(*conn),
            Command::Slow(conn, soft, bytes) => {
                let connection = &mut self.connections[*conn];
                (connection.soft, connection.slow) = (*soft, true);
                connection.room = SendCapacity::Waiting { backed_up: *soft == 0, bytes: *bytes };
            }
            Command::Drain(conn, patience) => self.drain(*conn, *patience),
            Command::ReportGaps => self.report_gaps(),
            Command::ReportChanges(count) => self.report_changes(*count),
        }
        for conn in 0..CONNECTIONS {
            if self.connections[conn].overflowed {
                self.replace(conn);
            }
        }
        self.check();
    }

    fn replace(&mut self, conn: usize) {
        let key = self.connections[conn].key;
        self.topics.remove_connection(key);
        self.keys.remove(key);
        self.connections[conn] = Connection::new(self.keys.insert(()));
    }

    pub(super) fn make_topic(&mut self, topic: usize) {
        let made = self.made.iter().flatten().count();
        match self.topics.topic(NAMES[topic]) {
            Ok(key) => {
                assert!(self.made[topic].is_none_or(|before| before == key));
                assert!(self.made[topic].is_some() || made < LIMITS.topics);
                assert_eq!(self.topics.name(key), Some(NAMES[topic]));
                self.made[topic] = Some(key);
            }
            Err(refused) => {
                assert_eq!(
                    (refused, self.made[topic], made),
                    (TopicError::Limit, None, LIMITS.topics)
                );
            }
        }
    }

    fn remove_topic(&mut self, topic: usize) {
        let unused = self.made[topic].is_some() && self.subscribers(topic) == 0;
        assert_eq!(self.topics.remove_topic(self.key(topic)), unused);
        if unused {
            assert_eq!(self.topics.name(self.key(topic)), None);
            self.made[topic] = None;
        }
    }

    fn subscribe(&mut self, conn: usize, topic: usize, policy: OverflowPolicy) {
        let key = self.key(topic);
        let former = self.connections[conn].subscribed.get(&topic).copied();
        assert_eq!(self.topics.policy(self.connections[conn].key, key), former);
        if former.is_some_and(|former| former != policy) {
            self.deliver_pending(conn);
        }
        let connection = &mut self.connections[conn];
        if connection.overflowed {
            return;
        }
        let expected = if self.made[topic].is_none() {
            Err(TopicError::Gone)
        } else if former.is_none() && connection.subscribed.len() == LIMITS.subscriptions {
            Err(TopicError::Limit)
        } else {
            Ok(connection.subscribed.insert(topic, policy).is_none())
        };
        assert_eq!(self.topics.subscribe(connection.key, key, policy), expected);
    }

    fn unsubscribe(&mut self, conn: usize, topic: usize) {
        let key = self.key(topic);
        let connection = &mut self.connections[conn];
        connection.awaiting.remove(&topic);
        let held = connection.subscribed.remove(&topic).is_some();
        assert_eq!(self.topics.unsubscribe(connection.key, key), held);
        connection.pending.retain(|frame| frame.topic != topic);
        connection.disturbed = true;
    }

    fn broadcast(&mut self, topic: usize, message: Message<'_>, except: Option<usize>) {
        let key = self.key(topic);
        let waiting = self.topics.registry.topics.get(key).map(|topic| topic.open.frames.len());
        let left_out = except.map(|conn| self.connections[conn].key);
        match (self.topics.broadcast(key, message.into(), left_out), waiting) {
            (Ok(()), Some(waiting)) => {
                let is_delivered = self.subscribers(topic) > 0;
                assert!(!is_delivered || waiting == 0 || waiting + message.len() <= LIMITS.backlog);
            }
            (Err(TopicError::Limit), Some(waiting)) => {
                let is_much = waiting > 0 && waiting + message.len() > LIMITS.backlog;
                assert!(is_much || self.tight);
                return;
            }
            (outcome, _) => {
                assert_eq!((outcome, self.made[topic]), (Err(TopicError::Gone), None));
                return;
            }
        }
        let number = self.broadcasts.entry(key).or_default();
        *number += 1;
        let frame = Frame {
            topic,
            key,
            number: *number,
            serial: self.serial,
            except: left_out,
            policy: OverflowPolicy::Close,
            opcode: message.opcode(),
            payload: message.as_bytes().to_vec(),
        };
        self.past.entry(key).or_default().push(frame.clone());
        for conn in 0..CONNECTIONS {
            let Some(policy) = self.present_policy(conn, topic) else { continue };
            let connection = &mut self.connections[conn];
            if Some(connection.key) == left_out {
                connection.disturbed = true;
                continue;
            }
            if !connection.awaiting.contains_key(&topic) {
                connection.pending.push_back(Frame { policy, ..frame.clone() });
            }
        }
    }

    /// The policy of a subscription, which is another while it gets the history.
    fn present_policy(&self, conn: usize, topic: usize) -> Option<OverflowPolicy> {
        let (conn, key) = (self.connections[conn].key, self.key(topic));
        let position = self.topics.registry.position(conn, key)?;
        Some(self.topics.registry.topics.get(key)?.subscribers[position].policy)
    }

    fn await_resume(&mut self, conn: usize, topic: usize, policy: OverflowPolicy) {
        self.deliver_pending(conn);
        let connection = &mut self.connections[conn];
        if connection.overflowed {
            return;
        }
        // The subscription that it has ends.
        connection.subscribed.remove(&topic);
        connection.awaiting.remove(&topic);
        connection.disturbed = true;
        let expected = if self.made[topic].is_none() {
            Err(TopicError::Gone)
        } else if connection.subscribed.len() == LIMITS.subscriptions {
            Err(TopicError::Limit)
        } else {
            connection.subscribed.insert(topic, policy);
            Ok(())
        };
        let (key, slot) = (connection.key, self.key(topic));
        let awaited = Resuming(&mut self.topics).await_resume(key, slot, policy);
        assert_eq!(awaited.map(drop), expected);
        if let Ok(request) = awaited {
            self.connections[conn].awaiting.insert(topic, request);
        }
    }

    fn resume(&mut self, conn: usize, topic: usize, from: From) {
        // What a former subscription has missed may come now.
        self.report_gaps();
        let key = self.key(topic);
        let newest = Past::of(&self.topics, key).map_or(Position::new(0, 0), Past::newest);
        let behind = match from {
            From::Behind(count) => newest.offset().checked_sub(count),
            From::Ahead(count) => Some(newest.offset() + 1 + count),
            From::AnotherEpoch => Some(newest.offset()),
        };
        let Some(offset) = behind else { return };
        let epoch = newest.epoch() ^ u64::from(from == From::AnotherEpoch);
        let Some(request) = self.connections[conn].awaiting.remove(&topic) else {
            return;
        };
        let position = Position::new(epoch, offset);
        let resumed = Resuming(&mut self.topics).resume(request, position, Time::BEGINNING);
        let resumed = resumed.expect("it awaits that");
        Resuming(&mut self.topics).replay(request, &resumed);
        let start = self.history_start(topic);
        let (connection, newest) = (&mut self.connections[conn], newest.offset());
        let is_right = matches!(from, From::Behind(_));
        match resumed.resumption {
            Resumption::Recovered { replayed } => {
                assert!(is_right && offset + 1 >= start);
                assert_eq!(replayed, newest - offset);
                let past = self.past.get(&key).map_or(&[][..], |past| past);
                let missed = past.iter().filter(|it| it.number > offset);
                let mut pending: Vec<_> = connection.pending.drain(..).collect();
                let missed = missed.filter(|it| it.except != Some(connection.key)).cloned();
                let position = self.topics.registry.position(connection.key, key).unwrap();
                let subscriber =
                    self.topics.registry.topics.get(key).unwrap().subscribers[position];
                pending.extend(missed.map(|it| Frame { policy: subscriber.policy, ..it }));
                pending.sort_by_key(|frame| frame.serial);
                connection.pending = pending.into();
            }
            Resumption::Lost { oldest, newest: last } => {
                assert!(!is_right || offset + 1 < start || self.tight);
                assert_eq!(last.offset(), newest);
                assert!(oldest.offset() == start || self.tight);
            }
        }
        self.catch_up(conn);
    }

    /// The number of the oldest message that a topic's history has, if it has all the memory that
    /// it needs.
    fn history_start(&self, topic: usize) -> u64 {
        let key = self.key(topic);
        let next = self.broadcasts.get(&key).map_or(0, |it| *it) + 1;
        if configs().of(NAMES[topic]).history.is_none() {
            return next;
        }
        let past = self.past.get(&key).map_or(&[][..], |past| past);
        let (mut bytes, mut start) = (0, next);
        for frame in past.iter().rev().take(HISTORY_MESSAGES as usize) {
            bytes += frame.payload.len() + if frame.payload.len() < 126 { 2 } else { 4 };
            if bytes > HISTORY_BYTES {
                break;
            }
            start = frame.number;
        }
        start
    }

    /// Serves the next connection. Returns `false` if there is none.
    pub(super) fn deliver(&mut self) -> bool {
        let rooms: Vec<_> = self.connections.iter().map(|conn| (conn.key, conn.room)).collect();
        let by_key = |connections: &[Connection], key| {
            connections.iter().position(|connection| connection.key == key).expect("a live one")
        };
        let room = |conn| rooms.iter().find(|(key, _)| *key == conn).expect("a live one").1;
        // As the loop does; now and then none, or few.
        self.rows = (self.rows + 1) % 4;
        let connections = &mut self.connections;
        let served = self.topics.deliver_sealed(self.rows, |key, run| {
            let conn = by_key(connections, key);
            connections[conn].append(key, run)
        });
        if served > 0 {
            return true;
        }
        match self.topics.deliver(Time::BEGINNING, room) {
            None => {
                assert!(!self.topics.is_delivering());
                for connection in &self.connections {
                    let late = connection.pending.iter().find(|_| !connection.slow);
                    assert!(late.is_none(), "{late:?} is pending after all");
                }
                false
            }
            Some(Delivery::Run { conn: key, topic, run }) => {
                assert!(self.made.contains(&Some(topic)));
                let conn = by_key(&self.connections, key);
                self.connections[conn].append(key, &run);
                true
            }
            Some(Delivery::CatchUp(key)) => {
                let conn = by_key(&self.connections, key);
                self.catch_up(conn);
                true
            }
            Some(Delivery::Skipped) => true,
        }
    }

    fn deliver_pending(&mut self, conn: usize) {
        let connection = &mut self.connections[conn];
        connection.disturbed |= connection.room.is_waiting();
        self.topics.deliver_pending(connection.key, connection);
        if !connection.overflowed {
            assert!(!self.topics.has_pending(connection.key) || self.topics.is_delivering());
            connection.miss_rest();
        }
    }

    fn catch_up(&mut self, conn: usize) {
        let connection = &mut self.connections[conn];
        let mixed = connection.subscribed.values().any(|policy| !policy.allows_lag());
        connection.disturbed |= mixed;
        self.topics.catch_up(connection.key, connection);
        if !connection.room.is_waiting() && !connection.overflowed {
            connection.miss_rest();
        }
    }

    pub(super) fn drain(&mut self, conn: usize, patience: Option<usize>) {
        let connection = &mut self.connections[conn];
        (connection.room, connection.patience) = (SendCapacity::Unlimited, patience);
        let last: BTreeMap<_, _> = connection
            .pending
            .iter()
            .map(|pending| (pending.topic, (pending.key, pending.number)))
            .collect();
        self.catch_up(conn);
        if self.connections[conn].room.is_waiting() || self.connections[conn].overflowed {
            return;
        }
        self.topics.end_gaps(self.connections[conn].key);
        let connection = &self.connections[conn];
        for (topic, policy) in &connection.subscribed {
            if let Some(last) = last.get(topic).filter(|_| policy.allows_lag()) {
                let missed = connection.missed.contains(last);
                assert!(
                    !missed || connection.disturbed || self.tight,
                    "the last broadcast is missing"
                );
            }
        }
        self.report_gaps();
        let connection = &mut self.connections[conn];
        assert!(connection.missed.is_empty(), "{:?} was not reported", connection.missed);
        connection.slow = patience.is_some();
        connection.disturbed = patience.is_some();
    }

    fn report_gaps(&mut self) {
        while let Some((key, gap)) = self.topics.next_gap() {
            let mut connections = self.connections.iter_mut();
            let Some(connection) = connections.find(|connection| connection.key == key) else {
                continue;
            };
            let unreported = |connection: &Connection| {
                connection.missed.len() + connection.pending.len() + connection.given_up.len()
            };
            let before = unreported(connection);
            let is_reported =
                |topic, number| topic == gap.topic && (gap.first..=gap.last).contains(&number);
            connection.missed.retain(|(topic, number)| !is_reported(*topic, *number));
            connection.pending.retain(|pending| {
                let reported = is_reported(pending.key, pending.number);
                assert!(
                    !reported || pending.policy != OverflowPolicy::Close,
                    "{pending:?} is missing"
                );
                !reported
            });
            connection.given_up.retain(|(topic, number)| !is_reported(*topic, *number));
            let reported = before - unreported(connection);
            assert_eq!(reported as u64, gap.count(), "{gap:?}");
            assert!(gap.count() > 0);
        }
    }

    pub(super) fn report_changes(&mut self, mut count: usize) {
        let occupied = &mut self.occupied;
        self.topics.report_changes(|topic, has_subscribers| {
            count = count.wrapping_sub(1);
            if count == usize::MAX {
                return false;
            }
            let news =
                if has_subscribers { occupied.insert(topic) } else { occupied.remove(&topic) };
            assert!(news, "{topic:?} has not changed");
            true
        });
        if count != usize::MAX {
            let made = self.made.iter().flatten().copied();
            let held = made.filter(|topic| self.topics.members(*topic).len() > 0);
            assert_eq!(self.occupied, held.collect());
        }
    }

    fn subscribers(&self, topic: usize) -> usize {
        let subscribed = |connection: &&Connection| connection.subscribed.contains_key(&topic);
        self.connections.iter().filter(subscribed).count()
    }

    /// Checks what must hold after every command.
    pub(super) fn check(&self) {
        for (topic, name) in NAMES.iter().enumerate() {
            assert_eq!(self.topics.members(self.key(topic)).len(), self.subscribers(topic));
            assert_eq!(self.topics.name(self.key(topic)), self.made[topic].map(|_| *name));
            let number = self.made[topic].map(|key| self.broadcasts.get(&key).map_or(0, |it| *it));
            assert_eq!(self.topics.last_number(self.key(topic)), number);
        }
        if !self.topics.is_delivering() {
            let quick = self.connections.iter().filter(|connection| !connection.slow);
            assert!(quick.into_iter().all(|connection| connection.pending.is_empty()));
        }
        self.check_memory();
        self.check_members();
        let mut lagging_in_all = 0;
        for (key, topic) in self.topics.registry.topics.iter() {
            for (position, subscriber) in topic.subscribers.iter().enumerate() {
                let member = &self.topics.registry.members[subscriber.conn.index()];
                let held = member.subscriptions[subscriber.position as usize];
                assert_eq!((held.topic, held.position as usize), (key, position));
                let (after, mut left_out) = (subscriber.since.max(member.served), 0);
                topic.visit(after + 1..=u64::MAX, subscriber.is_lagging(), |_, _, mark| {
                    left_out += u32::from(mark.except == subscriber.conn);
                });
                assert_eq!(subscriber.left_out, left_out);
            }
            let lagging =
                topic.subscribers.iter().filter(|subscriber| subscriber.is_lagging()).count();
            let is_empty = !topic.keeps_log() || topic.log.is_empty();
            assert_eq!((topic.lagging, topic.log.is_empty()), (lagging, is_empty));
            let logged: usize = topic.log.iter().map(|batch| batch.frames.len()).sum();
            let oldest = topic.log.front().map_or(0, |batch| batch.frames.len());
            let kept = if topic.history.is_some() { HISTORY_BYTES + oldest } else { 0 };
            assert!(
                logged <= LIMITS.backlog.max(kept) || topic.log.len() == 1,
                "{logged} bytes are logged"
            );
            lagging_in_all += lagging;
        }
        assert_eq!(self.topics.registry.lagging, lagging_in_all);
        let members = self.topics.registry.members.iter().map(|member| member.lagging);
        assert_eq!(members.sum::<u32>() as usize, lagging_in_all);
    }

    /// Checks that topics and members name each other.
    fn check_members(&self) {
        for connection in &self.connections {
            let topics: BTreeSet<Key> = self.topics.topics_of(connection.key).collect();
            let subscribed = connection.subscribed.keys().map(|topic| self.key(*topic));
            assert_eq!(topics, subscribed.collect());
            assert!(topics.iter().all(|topic| {
                self.topics.members(*topic).any(|member| member == connection.key)
            }));
        }
    }

    /// Checks that the counted memory is right and within the limit.
    fn check_memory(&self) {
        let (mut held, mut logs) = (BatchMemory::default(), 0);
        for (key, topic) in self.topics.registry.topics.iter() {
            let counted = Counted { memory: topic.memory(), oldest: topic.oldest_logged() };
            assert_eq!(topic.counted, counted);
            held.total += topic.memory().total;
            held.logged += topic.memory().logged;
            held.unused += topic.memory().unused;
            let logged = topic.log.iter().map(Batch::<bytes::Bytes>::memory_bytes).sum::<usize>();
            let list = topic.log.capacity() * size_of::<Batch<bytes::Bytes>>();
            assert_eq!(topic.memory().logged, logged + list);
            let counted = self.topics.memory.logs.get(&topic.oldest_logged());
            assert_eq!(counted.copied(), (!topic.log.is_empty()).then_some(key));
            logs += usize::from(!topic.log.is_empty());
        }
        assert_eq!((self.topics.memory.used, self.topics.memory.logs.len()), (held, logs));
        assert!(self.topics.memory_bytes() <= self.topics.limits.bytes);
    }
}
