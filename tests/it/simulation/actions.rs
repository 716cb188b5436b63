//! What the application under simulation does, and what it must be answered.

use std::collections::BTreeSet;

use eventwire::{
    CloseCode, ConnectionId, Context, Message, OverflowPolicy, PreparedMessage, SendStatus,
    SubscribeError,
};

use super::app::{App, Job, Phase, Topic};
use super::payload::Payload;

/// Bytes of the close frame that an application sends here, at most.
const CLOSE_FRAME: usize = 16;

impl App {
    pub(super) fn send(
        &mut self,
        conn: ConnectionId,
        message: Message<'_>,
        cx: &mut Context<'_>,
    ) -> SendStatus {
        let was_open = cx.connection(conn).is_open();
        let status = if self.random.percent(10) {
            cx.send_to(conn, PreparedMessage::new(message))
        } else {
            cx.send_to(conn, message)
        };
        match status {
            SendStatus::Sent | SendStatus::Queued => {
                assert!(
                    was_open && cx.connection(conn).is_open(),
                    "{status:?}, but {conn:?} is not open"
                );
                assert_eq!(self.known(conn).phase, Phase::Open);
                self.sends(conn).accept(message);
                self.counts.sent += 1;
                self.known(conn).waiting |= status == SendStatus::Queued;
            }
            SendStatus::Dropped => assert!(was_open),
            SendStatus::Gone => {
                assert!(!cx.connection(conn).is_open(), "{conn:?} is open and gone");
            }
        }
        self.check_dropped(conn, status, cx);
        status
    }

    fn check_dropped(&mut self, conn: ConnectionId, status: SendStatus, cx: &mut Context<'_>) {
        if status == SendStatus::Dropped {
            assert!(self.overflows, "dropped for {conn:?}");
            assert!(!cx.connection(conn).is_open(), "{conn:?} overflowed and is open");
            self.known(conn).phase = Phase::Overflowed;
        }
    }

    pub(super) fn close(&mut self, conn: ConnectionId, code: u16, cx: &mut Context<'_>) {
        let is_connecting = matches!(self.known(conn).phase, Phase::Connecting | Phase::Upgrading);
        let was_open = cx.connection(conn).is_open();
        let closes = cx.connection(conn).close(CloseCode::new(code), "because");
        if is_connecting {
            return;
        }
        assert_eq!(closes, was_open, "close of {conn:?}");
        assert!(!cx.connection(conn).is_open(), "{conn:?} is open behind its close");
        if closes {
            self.known(conn).phase = Phase::Closing(code);
            self.known(conn).since = cx.now();
            self.known(conn).paused = false;
            self.known(conn).closes_late = cx.connection(conn).buffered_bytes() > CLOSE_FRAME;
            self.sends(conn).close(code);
            self.leave_topics(conn);
        }
    }

    /// Every connection that is not closing yet is closed, that of `last` behind the others.
    pub(super) fn close_all(&mut self, last: ConnectionId, cx: &mut Context<'_>) {
        let ids: Vec<_> = self.links.iter().flat_map(|link| [link.server, link.client]).collect();
        for conn in ids.into_iter().flatten().filter(|conn| *conn != last).chain([last]) {
            if matches!(self.phase(conn), Some(Phase::Open | Phase::Connecting)) {
                let code = self.private_code();
                self.close(conn, code, cx);
            }
        }
    }

    /// Asks on until as many questions are open as may be, or closes behind the last answer.
    pub(super) fn ask(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        loop {
            let (Job::Echo(asks) | Job::Fetch(asks)) = &mut self.link_of(conn).job else {
                return;
            };
            let Some(&len) = asks.lens.get(asks.asked) else {
                if asks.answered == asks.lens.len() {
                    self.close(conn, 1000, cx);
                }
                return;
            };
            if asks.asked - asks.answered >= asks.depth {
                return;
            }
            asks.asked += 1;
            let status = if matches!(self.link_of(conn).job, Job::Echo(_)) {
                let payload = Payload::random(&mut self.random, len);
                self.send(conn, payload.message(), cx)
            } else {
                self.send(conn, (&len.to_string()).into(), cx)
            };
            if matches!(status, SendStatus::Gone | SendStatus::Dropped) {
                return;
            }
        }
    }

    /// Does something at random, now and then several things, to anybody.
    pub(super) fn act(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        for _ in 0..self.random.below(4) {
            if self.budget == 0 || self.crowd.len() < self.quorum {
                return;
            }
            self.budget -= 1;
            let someone = match self.crowd.len() {
                0 => conn,
                _ if self.random.percent(40) => conn,
                count => self.crowd[self.random.below(count)],
            };
            if !matches!(self.link_of(someone).job, Job::Chaos) {
                return;
            }
            self.act_on(someone, cx);
        }
    }

    /// Does something at random to others: the connection at hand has ended.
    pub(super) fn act_for_others(&mut self, cx: &mut Context<'_>) {
        if !self.crowd.is_empty() {
            let other = self.crowd[self.random.below(self.crowd.len())];
            self.act(other, cx);
        }
    }

    fn act_on(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        if self.random.percent(self.closing) {
            let code = self.private_code();
            return self.close(conn, code, cx);
        }
        if self.publishes && self.random.percent(30) {
            return if self.random.percent(60) { self.publish(cx) } else { self.use_timers(cx) };
        }
        if self.pausing > 0 && self.random.percent(self.pausing) {
            return self.toggle(conn, cx);
        }
        match self.random.below(10) {
            0..=3 => {
                let len = self.random.len(self.longest);
                let payload = Payload::random(&mut self.random, len);
                self.send(conn, payload.message(), cx);
            }
            4 | 5 => self.broadcast(cx),
            6 => self.subscribe(conn, cx),
            7 if self.random.percent(60) => self.unsubscribe(conn, cx),
            7 => self.use_stale(cx),
            8 => {
                let was_open = cx.connection(conn).is_open();
                let status = cx.connection(conn).ping(b"are you there?");
                assert!(was_open || status == SendStatus::Gone);
                assert!(status != SendStatus::Gone || !cx.connection(conn).is_open());
                self.check_dropped(conn, status, cx);
            }
            _ => self.subscribe(conn, cx),
        }
    }

    /// Pauses a connection, or resumes it.
    fn toggle(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        let was_open = cx.connection(conn).is_open();
        let was_paused = was_open && self.known(conn).paused;
        assert_eq!(cx.connection(conn).is_paused(), was_paused, "{conn:?}");
        if was_paused {
            assert!(
                !cx.connection(conn).pause() && cx.connection(conn).resume(),
                "{conn:?} was paused"
            );
        } else {
            assert!(!cx.connection(conn).resume(), "{conn:?} was not paused");
            assert_eq!(cx.connection(conn).pause(), was_open, "pause of {conn:?}");
        }
        self.known(conn).paused = was_open && !was_paused;
        self.link_of(conn).paused |= was_open;
    }

    /// Resumes paused connections, each with this chance in percent.
    pub(super) fn resume_paused(&mut self, chance: usize, cx: &mut Context<'_>) {
        for conn in self.crowd.clone() {
            if self.known(conn).paused && self.random.percent(chance) {
                self.known(conn).paused = false;
                // It may have ended, with its `on_close` still to come.
                assert_eq!(
                    cx.connection(conn).resume(),
                    cx.connection(conn).is_open(),
                    "{conn:?} was paused"
                );
            }
        }
    }

    fn private_code(&mut self) -> u16 {
        self.random.between(4000, 4999) as u16
    }

    fn broadcast(&mut self, cx: &mut Context<'_>) {
        if self.topics.is_empty() {
            return;
        }
        let place = self.random.below(self.topics.len());
        let len = self.random.len(self.longest);
        let mut payload = Payload::random(&mut self.random, len);
        let except = self.random.percent(20) && !self.crowd.is_empty();
        let except = except.then(|| self.crowd[self.random.below(self.crowd.len())]);
        let open: Vec<u64> = self.topics[place].subscribers.keys().copied().collect();
        let open: BTreeSet<u64> =
            open.into_iter().filter(|bits| cx.connection(self.conns[bits].id).is_open()).collect();
        let topic = &mut self.topics[place];
        if self.policies {
            payload.make_unique(topic.id, topic.casts);
        }
        let status = match except {
            Some(conn) => cx.broadcast_except(topic.id, conn, payload.message()),
            None => cx.broadcast(topic.id, payload.message()),
        };
        if status == SendStatus::Dropped {
            assert!(self.overflows || self.refuses, "a topic's backlog is full");
            self.counts.refused_casts += 1;
            return;
        }
        assert_eq!(status, SendStatus::Sent);
        topic.casts += 1;
        assert_eq!(cx.topic_sequence(topic.id), Some(topic.casts));
        let left_out = except.map(ConnectionId::to_bits);
        for (bits, policy) in &topic.subscribers {
            if left_out == Some(*bits) {
                continue;
            }
            let known = &self.conns[bits];
            self.counts.cast += 1;
            // It has ended, with its `on_close` still to come.
            if !open.contains(bits) {
                continue;
            }
            let (is_client, link) = (known.is_client, &mut self.links[known.link]);
            let flow = if is_client { &mut link.up } else { &mut link.down };
            let may_be_missed = *policy != OverflowPolicy::Close;
            let cast = may_be_missed.then_some((topic.id, topic.casts));
            flow.accept_cast(payload.message(), cast);
        }
    }

    pub(super) fn subscribe(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        if self.topics.is_empty() {
            return;
        }
        let place = self.random.below(self.topics.len());
        let policy = match self.random.below(4) {
            0 if self.policies => OverflowPolicy::DropNewest,
            1 if self.policies => OverflowPolicy::DropOldest,
            2 if self.policies => OverflowPolicy::KeepLatest,
            _ => OverflowPolicy::Close,
        };
        let held = |topic: &Topic| topic.subscribers.contains_key(&conn.to_bits());
        let count = self.topics.iter().filter(|topic| held(topic)).count();
        let topic = &mut self.topics[place];
        let outcome = cx.connection(conn).subscribe_with(topic.id, policy);
        match outcome {
            Ok(is_new) => {
                assert!(cx.connection(conn).is_open() && (!is_new || count < self.subscriptions));
                let former = topic.subscribers.insert(conn.to_bits(), policy);
                assert_eq!(former.is_none(), is_new, "{conn:?} was subscribed or not");
            }
            Err(SubscribeError::ConnectionGone) => assert!(!cx.connection(conn).is_open()),
            Err(SubscribeError::TooMany) => assert_eq!(count, self.subscriptions),
            Err(error) => panic!("{conn:?} was not subscribed: {error}"),
        }
        let topic = &self.topics[place];
        self.check_count(topic, cx);
    }

    fn unsubscribe(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        if self.topics.is_empty() {
            return;
        }
        let topic = self.random.below(self.topics.len());
        let was_open = cx.connection(conn).is_open();
        let ended = cx.connection(conn).unsubscribe(self.topics[topic].id);
        if was_open {
            let held = self.topics[topic].subscribers.contains_key(&conn.to_bits());
            assert_eq!(ended, held, "unsubscribe of {conn:?}");
        }
        if ended {
            self.topics[topic].subscribers.remove(&conn.to_bits());
        }
    }

    fn use_stale(&mut self, cx: &mut Context<'_>) {
        if !self.stale.is_empty() {
            let stale = self.stale[self.random.below(self.stale.len())];
            self.check_gone(stale, cx);
        }
    }
}
