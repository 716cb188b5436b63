//! A life of the process.

use std::net::SocketAddr;
use std::time::Duration;

use eventwire::journal::TableChange;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    CommitError, Config, Durability, DurableMessage, Envelope, EventLoop, History, JournalConfig,
    JournalFailed, OnPanic, Position, RunEnd, SendStatus, ServerConfig, TopicConfig,
};

use super::app::{Feed, Notes, Settled};
use super::client::Visitor;
use super::truth::Truth;
use super::{COMMIT_FIRST, NAMES};
use crate::shared::Random;
use crate::simulation::world::{Report, print_trace};
use crate::util::disk::Disk;

const STEP: Duration = Duration::from_millis(2);

pub(super) struct Process {
    pub(super) event_loop: EventLoop<Notes, SimReactor>,
    notes: Notes,
    pub(super) address: SocketAddr,
    turns: usize,
    is_settling: bool,
}

fn config() -> Config {
    let envelope = Envelope::new(|enclosed, out| {
        let text = enclosed.message.as_text().expect("text");
        out.push_str(&format!("{} {text}", enclosed.position));
    });
    let kept = TopicConfig::default().history(History::of(10_000)).envelope(envelope);
    Config::default()
        .on_panic(OnPanic::Propagate)
        .topics("c/*", kept.clone().durable(Durability::CommitFirst))
        .topics("d/*", kept.durable(Durability::DeliverFirst))
}

impl Process {
    pub(super) fn start(seed: u64, network: SimConfig, disk: &Disk, limit: usize) -> Self {
        let mut reactor = SimReactor::new(seed, network);
        reactor.keep_trace_lines();
        let mut event_loop = EventLoop::with_reactor(reactor, config()).expect("a loop");
        let limits = JournalConfig::default().messages(limit);
        event_loop.journal(disk.storage(), limits).expect("a journal");
        let mut notes = Notes::default();
        notes.topics.extend(NAMES.map(|name| event_loop.topic(name).expect("a topic")));
        event_loop.on(|_, failed: &JournalFailed, notes: &mut Notes| notes.note_failure(failed));
        event_loop
            .on(|_, settled: &Settled, notes: &mut Notes| notes.settled.push(settled.clone()));
        let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Feed);
        let address = listener.ok().and_then(|it| event_loop.local_addr(it)).expect("an address");
        Self { event_loop, notes, address, turns: 0, is_settling: false }
    }

    pub(super) const fn is_settling(&self) -> bool {
        self.is_settling
    }

    pub(super) fn position(&mut self, topic: usize) -> Position {
        self.event_loop.context().position(self.notes.topics[topic]).expect("a topic")
    }

    /// Broadcasts some messages.
    pub(super) fn say(&mut self, truth: &mut Truth, random: &mut Random) {
        for _ in 0..random.pick(&[0, 0, 1, 3, 20]) {
            let topic = random.below(NAMES.len());
            truth.count += 1;
            let (number, id) = (truth.count, self.notes.topics[topic]);
            let text = format!("{topic} {number} {}", "x".repeat(random.below(60)));
            let mut cx = self.event_loop.context();
            if random.percent(40) {
                let status = cx.broadcast(id, &text);
                assert!(matches!(status, SendStatus::Sent | SendStatus::Dropped));
                truth.outcomes.full += u64::from(status == SendStatus::Dropped);
                continue;
            }
            let has_table = topic < COMMIT_FIRST && random.percent(50);
            let mut message = DurableMessage::new(&text);
            if has_table {
                message = message.with(change(number, random.percent(20)));
            }
            let then = move |result| Settled { topic, number, has_table, result };
            match cx.commit(id, message.then(then)) {
                Ok(()) => {}
                Err(CommitError::Full) => truth.outcomes.full += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(super) fn turn(&mut self, truth: &mut Truth) {
        self.event_loop.turn(Some(STEP), &mut self.notes).expect("a poll");
        self.notes.tell(truth);
        self.turns += 1;
    }

    /// Turns until everything has arrived, and checks that nothing is missing.
    pub(super) fn settle(&mut self, truth: &mut Truth, visitors: &mut [Visitor]) {
        self.is_settling = true;
        self.event_loop.reactor_mut().set_config(SimConfig::calm());
        let mut quiet = 0;
        while quiet < 10 {
            self.turn(truth);
            for visitor in &mut *visitors {
                visitor.rest(self, truth);
            }
            let waits = self.event_loop.stats().journal_waiting > 0
                || self.event_loop.context().buffered_total() > 0;
            let is_quiet = !waits && self.event_loop.reactor_mut().is_quiescent();
            quiet = if is_quiet { quiet + 1 } else { 0 };
            assert!(self.turns < 100_000, "no end");
        }
        for visitor in visitors {
            visitor.check_all_came(self);
        }
    }

    pub(super) fn shut_down(&mut self, truth: &mut Truth) {
        self.event_loop.context().shutdown(Duration::from_secs(3600));
        let summary = self.event_loop.run(&mut self.notes).expect("a run");
        self.notes.tell(truth);
        assert_eq!((summary.end, summary.unfinished_jobs), (RunEnd::ShutDown, 0));
    }

    pub(super) fn report(mut self, report: &mut Report, tracing: bool) {
        let reactor = self.event_loop.reactor_mut();
        report.trace_hash = report.trace_hash.rotate_left(5) ^ reactor.trace_hash();
        report.faults += reactor.fault_counts();
        report.turns += self.turns;
        if tracing {
            print_trace(reactor);
        }
    }
}

/// Adds a number to the application's table, or fails.
fn change(number: u64, fails: bool) -> TableChange {
    TableChange::new(move |table| {
        if fails {
            return Err("it fails".to_owned());
        }
        table.downcast_mut::<Vec<u64>>().ok_or("not that table")?.push(number);
        Ok(())
    })
}
