//! The application: it subscribes clients, and notes what becomes of messages.

use eventwire::{
    Connection, JournalFailed, Message, NotStored, OverflowPolicy, Position, Resumption, TopicId,
    WebSocketHandler,
};

use super::NAMES;
use super::truth::Truth;

/// What the application has noted since it was asked.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) topics: Vec<TopicId>,
    pub(super) settled: Vec<Settled>,
    pub(super) failed: Vec<TopicId>,
}

/// What became of a message.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) topic: usize,
    pub(super) number: u64,
    pub(super) has_table: bool,
    pub(super) result: Result<Position, NotStored>,
}

impl Notes {
    pub(super) fn note_failure(&mut self, failed: &JournalFailed) {
        self.failed.extend(&failed.topics);
    }

    /// Tells the truth what has happened.
    pub(super) fn tell(&mut self, truth: &mut Truth) {
        // An acknowledgement that came together with a failure is of an earlier epoch.
        for settled in std::mem::take(&mut self.settled) {
            let Settled { topic, number, has_table, result } = settled;
            match result {
                Ok(position) => {
                    truth.acknowledge(topic, position, number);
                    if has_table {
                        truth.stored.insert(number);
                    }
                }
                Err(NotStored::Refused(_)) => {
                    truth.outcomes.refused += 1;
                    truth.refused.insert(number);
                }
                Err(_) => {}
            }
        }
        for topic in std::mem::take(&mut self.failed) {
            let topic = self.topics.iter().position(|it| *it == topic).expect("a topic");
            truth.note_failure(topic);
        }
    }
}

pub(super) struct Feed;

impl WebSocketHandler<Notes> for Feed {
    /// A topic's number, and a position or `-`.
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, notes: &mut Notes) {
        let text = message.as_text().expect("text");
        let (number, behind) = text.split_once(' ').expect("two words");
        let topic = notes.topics[number.parse::<usize>().expect("a topic")];
        if let Ok(behind) = behind.parse() {
            assert!(conn.subscribe_from(topic, OverflowPolicy::Close, behind).is_ok());
        } else {
            assert_eq!(conn.subscribe(topic), Ok(true));
            let newest = conn.position(topic).expect("a topic");
            conn.send(format!("subscribed {number} {newest}"));
        }
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        notes: &mut Notes,
    ) {
        let number = notes.topics.iter().position(|it| *it == topic).expect("a topic");
        conn.send(match resumption {
            Resumption::Recovered { replayed } => format!("recovered {number} {replayed}"),
            Resumption::Lost { newest, .. } => format!("lost {number} {newest}"),
            other => panic!("{other:?} of {}", NAMES[number]),
        });
    }
}
