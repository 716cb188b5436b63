//! A client that subscribes to all topics, leaves, and comes back.

use eventwire::Position;
use eventwire::proto::OpCode;

use super::NAMES;
use super::process::Process;
use super::truth::Truth;
use crate::shared::{Arrived, Random, SimPeer, frame, request};

/// A client, and what it remembers while it is away.
#[derive(Debug, Default)]
pub(super) struct Visitor {
    /// The position of the last message of each topic that it has.
    seen: [Option<Position>; NAMES.len()],
    /// It has not resumed since the process began.
    is_first: bool,
    visit: Option<Visit>,
}

#[derive(Debug)]
struct Visit {
    stream: SimPeer,
    is_open: bool,
    /// The topics whose messages come.
    is_live: [bool; NAMES.len()],
}

impl Visitor {
    pub(super) fn step(&mut self, process: &mut Process, truth: &mut Truth, random: &mut Random) {
        if self.visit.is_none() && random.percent(20) {
            let stream = SimPeer::connect(process.event_loop.reactor_mut(), process.address);
            stream.send(&request("feed"), process.event_loop.reactor_mut());
            self.visit = Some(Visit { stream, is_open: false, is_live: [false; NAMES.len()] });
        }
        self.rest(process, truth);
        let Some(visit) = &mut self.visit else { return };
        let reactor = process.event_loop.reactor_mut();
        if random.percent(10) {
            match visit.stream.is_paused() {
                true => visit.stream.resume(reactor),
                false => visit.stream.stop_reading(reactor),
            }
        }
        if random.percent(3) {
            match random.below(2) {
                0 => visit.stream.reset(reactor),
                _ => visit.stream.finish(reactor),
            }
            self.visit = None;
        }
    }

    /// Takes what has come.
    pub(super) fn rest(&mut self, process: &mut Process, truth: &mut Truth) {
        let Some(mut visit) = self.visit.take() else { return };
        let is_settling = process.is_settling();
        let reactor = process.event_loop.reactor_mut();
        if is_settling {
            visit.stream.resume(reactor);
        }
        visit.stream.receive(reactor);
        if let Some(head) = (!visit.is_open).then(|| visit.stream.take_head()).flatten() {
            if !head.starts_with(b"HTTP/1.1 101") {
                // A clock that jumps times it out.
                return;
            }
            visit.is_open = true;
            for (topic, seen) in self.seen.iter().enumerate() {
                let behind = seen.map_or("-".to_owned(), |seen| seen.to_string());
                let text = format!("{topic} {behind}");
                visit.stream.send(&frame(OpCode::Text, text.as_bytes()), reactor);
            }
        }
        while visit.is_open {
            match visit.stream.take_frame() {
                Some(Arrived::Message(_, text)) => {
                    let text = String::from_utf8(text).expect("text");
                    self.take(&mut visit, &text, truth);
                }
                Some(Arrived::Close(_)) => return,
                Some(_) => {}
                None => break,
            }
        }
        if !visit.stream.is_closed(process.event_loop.reactor_mut()) {
            self.visit = Some(visit);
        }
    }

    fn take(&mut self, visit: &mut Visit, text: &str, truth: &mut Truth) {
        let mut words = text.split(' ');
        let mut next = || words.next().expect("a word");
        match next() {
            word @ ("recovered" | "lost" | "subscribed") => {
                let topic: usize = next().parse().expect("a topic");
                assert!(!std::mem::replace(&mut visit.is_live[topic], true));
                match word {
                    "recovered" => truth.note_recovery(self.is_first),
                    "lost" => {
                        truth.outcomes.lost += 1;
                        self.seen[topic] = Some(next().parse().expect("a position"));
                    }
                    _ => self.seen[topic] = Some(next().parse().expect("a position")),
                }
                self.is_first &= topic + 1 < NAMES.len();
            }
            position => {
                let position: Position = position.parse().expect("a position");
                let topic: usize = next().parse().expect("a topic");
                let number = next().parse().expect("a number");
                assert!(visit.is_live[topic], "a message before the answer");
                // An epoch that ends by a failure goes on with the next offset.
                let before = self.seen[topic].expect("it has begun");
                assert_eq!(position.offset(), before.offset() + 1, "{position} after {before}");
                truth.note_message(topic, position, number);
                self.seen[topic] = Some(position);
            }
        }
    }

    /// Everything that was delivered has come, if it is connected.
    pub(super) fn check_all_came(&self, process: &mut Process) {
        let Some(visit) = self.visit.as_ref().filter(|visit| visit.is_open) else { return };
        for (topic, is_live) in visit.is_live.into_iter().enumerate() {
            assert!(is_live, "{}", NAMES[topic]);
            let seen = self.seen[topic].expect("it has begun");
            assert_eq!(seen.offset(), process.position(topic).offset(), "{}", NAMES[topic]);
        }
    }

    pub(super) fn lose_connection(&mut self) {
        self.visit = None;
        self.is_first = true;
    }
}
