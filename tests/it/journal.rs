//! Durable topics: what a restart keeps, and what a failure costs.

use std::time::Duration;

use eventwire::journal::{StorageError, TableChange};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::SimConfig;
use eventwire::{
    CommitError, Config, Durability, DurableMessage, Error, EventLoop, History, InvalidTopicConfig,
    Journal, JournalConfig, JournalFailed, NotStored, Position, RunEnd, SendStatus, TopicConfig,
    TopicId,
};

use crate::util::disk::{Disk, Fault};

/// What the application noted.
type Log = Vec<String>;

type Loop = EventLoop<Log, SimReactor>;

/// What became of a message.
struct NoTopic(Result<Position, NotStored>);

fn kept() -> TopicConfig {
    TopicConfig::default().history(History::of(10))
}

/// Durable topics: `c*` commit first, and `d*` deliver first.
fn config() -> Config {
    Config::default()
        .topics("c*", kept().durable(Durability::CommitFirst))
        .topics("d*", kept().durable(Durability::DeliverFirst))
}

fn start_with(disk: &Disk, config: Config, limits: JournalConfig) -> (Loop, Journal) {
    // Each start has other random bits.
    let reactor = SimReactor::new(disk.users(), SimConfig::calm());
    let mut event_loop = EventLoop::with_reactor(reactor, config).expect("a loop");
    event_loop.on(|_, failed: &JournalFailed, log: &mut Log| {
        log.push(format!("{}: {} of {}", failed.error, failed.messages, failed.topics.len()));
    });
    let journal = event_loop.journal(disk.storage(), limits).expect("a journal");
    (event_loop, journal)
}

fn start(disk: &Disk) -> (Loop, Journal) {
    start_with(disk, config(), JournalConfig::default())
}

/// Turns until nothing waits for the journal.
fn settle(event_loop: &mut Loop, log: &mut Log) {
    for _ in 0..1_000 {
        event_loop.turn(Some(Duration::from_millis(10)), log).expect("a turn");
        if event_loop.stats().journal_waiting == 0 {
            event_loop.turn(Some(Duration::ZERO), log).expect("a turn");
            return;
        }
    }
    panic!("the journal does not settle");
}

fn say(event_loop: &mut Loop, topic: &str, texts: &[&str]) -> TopicId {
    let topic = event_loop.topic(topic).expect("a topic");
    for text in texts {
        assert_eq!(event_loop.context().broadcast(topic, *text), SendStatus::Sent, "{text}");
    }
    topic
}

fn texts(event_loop: &mut Loop, topic: TopicId) -> Vec<String> {
    let cx = event_loop.context();
    let history = cx.history(topic, ..);
    history.map(|it| it.message.as_text().expect("text").to_owned()).collect()
}

fn position(event_loop: &mut Loop, topic: TopicId) -> Position {
    event_loop.context().position(topic).expect("a topic")
}

fn shut_down(mut event_loop: Loop, journal: Journal) -> Result<(), StorageError> {
    event_loop.context().shutdown(Duration::from_secs(10));
    let summary = event_loop.run(&mut Log::new()).expect("a run");
    assert_eq!((summary.end, summary.unfinished_jobs), (RunEnd::ShutDown, 0));
    drop(event_loop);
    journal.close(Duration::ZERO)
}

#[test]
fn positions_and_histories_survive_a_restart() {
    let disk = Disk::default();
    let (mut event_loop, journal) = start(&disk);
    let first = say(&mut event_loop, "c", &["a", "b"]);
    let second = say(&mut event_loop, "d", &["x", "y"]);
    assert!(texts(&mut event_loop, first).is_empty(), "delivered before it is stored");
    settle(&mut event_loop, &mut Log::new());
    assert_eq!(texts(&mut event_loop, first), ["a", "b"]);
    let positions = [first, second].map(|topic| position(&mut event_loop, topic));
    assert_eq!(shut_down(event_loop, journal), Ok(()));

    let (mut event_loop, _journal) = start(&disk);
    let first = event_loop.topic("c").expect("a topic");
    let second = event_loop.topic("d").expect("a topic");
    assert_eq!([first, second].map(|topic| position(&mut event_loop, topic)), positions);
    assert_eq!(texts(&mut event_loop, first), ["a", "b"]);
    assert_eq!(texts(&mut event_loop, second), ["x", "y"]);
    say(&mut event_loop, "c", &["c"]);
    settle(&mut event_loop, &mut Log::new());
    assert_eq!(position(&mut event_loop, first).offset(), 3);
    assert_eq!(disk.texts("c"), ["a", "b", "c"]);
}

#[test]
fn a_shutdown_stores_what_was_taken() {
    let disk = Disk::default();
    let (mut event_loop, journal) = start(&disk);
    say(&mut event_loop, "c", &["a", "b"]);
    say(&mut event_loop, "d", &["x"]);
    assert_eq!(shut_down(event_loop, journal), Ok(()));
    assert_eq!(
        (disk.texts("c"), disk.texts("d")),
        (vec!["a".into(), "b".into()], vec!["x".into()])
    );
}

#[test]
fn after_a_crash_what_was_committed_first_has_its_epoch_and_what_was_delivered_first_has_not() {
    let disk = Disk::default();
    let (mut event_loop, _journal) = start(&disk);
    let first = say(&mut event_loop, "c", &["a"]);
    let second = say(&mut event_loop, "d", &["x"]);
    settle(&mut event_loop, &mut Log::new());
    let positions = [first, second].map(|topic| position(&mut event_loop, topic));
    say(&mut event_loop, "d", &["y"]);
    disk.kill();
    drop(event_loop);

    let (mut event_loop, _journal) = start(&disk);
    let first = event_loop.topic("c").expect("a topic");
    let second = event_loop.topic("d").expect("a topic");
    assert_eq!(position(&mut event_loop, first), positions[0]);
    assert_ne!(position(&mut event_loop, second).epoch(), positions[1].epoch());
    // What is left of it is there for clients that come late.
    assert_eq!(texts(&mut event_loop, second), ["x"]);
    say(&mut event_loop, "d", &["z"]);
    settle(&mut event_loop, &mut Log::new());
    assert_eq!(disk.texts("d"), ["x", "z"]);
}

/// What a client that has a position gets of a topic when it comes back.
fn resumption(event_loop: &mut Loop, topic: TopicId, behind: Position) -> &'static str {
    let newest = position(event_loop, topic);
    match behind.epoch() == newest.epoch() && behind.offset() <= newest.offset() {
        true => "recovered",
        false => "lost",
    }
}

#[test]
fn a_loss_of_power_costs_what_was_not_committed_first() {
    for lies in [false, true] {
        let disk = Disk::default();
        let (mut event_loop, _journal) = start(&disk);
        say(&mut event_loop, "c", &["a"]);
        settle(&mut event_loop, &mut Log::new());
        if lies {
            disk.lie();
        }
        let first = say(&mut event_loop, "c", &["b"]);
        settle(&mut event_loop, &mut Log::new());
        let second = say(&mut event_loop, "d", &["x"]);
        settle(&mut event_loop, &mut Log::new());
        let seen = [first, second].map(|topic| position(&mut event_loop, topic));
        disk.lose_power(0);
        drop(event_loop);
        let (mut event_loop, _journal) = start(&disk);
        let topics = ["c", "d"].map(|name| event_loop.topic(name).expect("a topic"));
        // What the disk has not really stored is missed, and the client learns so.
        let expected = if lies { "lost" } else { "recovered" };
        assert_eq!(resumption(&mut event_loop, topics[0], seen[0]), expected);
        assert_eq!(resumption(&mut event_loop, topics[1], seen[1]), "lost");
        assert_eq!(disk.texts("d"), [""; 0]);
    }
}

#[test]
fn a_failed_commit_ends_the_epoch_and_the_journal_goes_on() {
    for fault in [Fault::Failure, Fault::Full, Fault::FailureAfterwards, Fault::Panic] {
        let disk = Disk::default();
        let (mut event_loop, journal) = start(&disk);
        let topics = ["c", "d", "c/other"].map(|name| say(&mut event_loop, name, &["a"]));
        settle(&mut event_loop, &mut Log::new());
        let before = topics.map(|topic| position(&mut event_loop, topic));
        disk.fail([fault]);
        say(&mut event_loop, "c", &["b"]);
        say(&mut event_loop, "d", &["b"]);
        let mut log = Log::new();
        settle(&mut event_loop, &mut log);
        assert_eq!(log.len(), 1, "{fault:?}");
        assert!(log[0].ends_with(": 2 of 2"), "{log:?}");
        let after = topics.map(|topic| position(&mut event_loop, topic));
        assert_ne!(before[0].epoch(), after[0].epoch(), "{fault:?}");
        assert_ne!(before[1].epoch(), after[1].epoch(), "{fault:?}");
        assert_eq!(before[2], after[2], "{fault:?}");
        assert_eq!(texts(&mut event_loop, topics[0]), ["a"], "{fault:?}");
        assert!(texts(&mut event_loop, topics[1]).is_empty(), "{fault:?}");
        for name in ["c", "d"] {
            say(&mut event_loop, name, &["c"]);
        }
        settle(&mut event_loop, &mut log);
        assert_eq!(log.len(), 1, "{fault:?}");
        assert_eq!(
            (disk.texts("c"), disk.texts("d")),
            (vec!["a".into(), "c".into()], vec!["c".into()])
        );
        let after = topics.map(|topic| position(&mut event_loop, topic));
        assert_eq!(after.map(Position::offset), [2, 3, 1]);
        let stats = event_loop.stats();
        assert_eq!((stats.journal_failed, stats.journal_messages), (2, 5));
        assert_eq!(shut_down(event_loop, journal), Ok(()));
        let (mut event_loop, _journal) = start(&disk);
        let again = ["c", "d", "c/other"].map(|name| event_loop.topic(name).expect("a topic"));
        assert_eq!(again.map(|topic| position(&mut event_loop, topic)), after, "{fault:?}");
    }
}

#[test]
fn an_end_with_something_not_stored_ends_the_epochs_of_what_was_delivered_first() {
    let disk = Disk::default();
    let (mut event_loop, journal) = start(&disk);
    let topic = say(&mut event_loop, "d", &["a"]);
    let before = position(&mut event_loop, topic);
    event_loop.context().stop();
    let summary = event_loop.run(&mut Log::new()).expect("a run");
    assert_eq!(summary.unfinished_jobs, 1);
    assert_eq!(event_loop.context().broadcast(topic, "late"), SendStatus::Gone);
    drop(event_loop);
    assert!(journal.close(Duration::ZERO).is_err());
    let (mut event_loop, _journal) = start(&disk);
    let topic = event_loop.topic("d").expect("a topic");
    assert_ne!(position(&mut event_loop, topic).epoch(), before.epoch());
}

#[test]
fn a_message_and_a_change_of_tables_are_stored_together_or_not_at_all() {
    let disk = Disk::default();
    let (mut event_loop, _journal) = start(&disk);
    let topic = event_loop.topic("c").expect("a topic");
    let insert = |value: u64| {
        TableChange::new(move |tables| {
            let table = tables.downcast_mut::<Vec<u64>>().ok_or("not that table")?;
            if table.contains(&value) {
                return Err(format!("there is {value}"));
            }
            table.push(value);
            Ok(())
        })
    };
    event_loop.on(|_, noted: &String, log: &mut Log| log.push(noted.clone()));
    for (value, text) in [(1, "one"), (1, "one again"), (2, "two")] {
        let message =
            DurableMessage::new(text).with(insert(value)).then(move |stored| match stored {
                Ok(position) => format!("{text} at {}", position.offset()),
                Err(error) => format!("{text}: {error}"),
            });
        assert_eq!(event_loop.context().commit(topic, message), Ok(()));
    }
    let mut log = Log::new();
    settle(&mut event_loop, &mut log);
    assert_eq!(log, ["one at 1", "one again: refused: there is 1", "two at 2"]);
    assert_eq!(
        (disk.image().table, disk.texts("c")),
        (vec![1, 2], vec!["one".into(), "two".into()])
    );
    assert_eq!(event_loop.stats().journal_refused, 1);
}

#[test]
fn what_cannot_be_committed_is_refused() {
    let disk = Disk::default();
    let (mut event_loop, _journal) = start(&disk);
    let first = say(&mut event_loop, "c", &[]);
    let second = say(&mut event_loop, "d", &[]);
    let plain = say(&mut event_loop, "plain", &[]);
    let gone = say(&mut event_loop, "c/gone", &[]);
    assert!(event_loop.context().remove_topic(gone));
    let mut cx = event_loop.context();
    assert_eq!(cx.commit(plain, DurableMessage::new("a")), Err(CommitError::NotDurable));
    assert_eq!(cx.commit(gone, DurableMessage::new("a")), Err(CommitError::TopicGone));
    let tables = TableChange::new(|_| Ok(()));
    let refused = cx.commit(second, DurableMessage::new("a").with(tables));
    assert_eq!(refused, Err(CommitError::NotCommitFirst));
    assert_eq!(cx.commit(second, DurableMessage::new("a")), Ok(()));
    assert_eq!(cx.commit(first, DurableMessage::new("a")), Ok(()));
}

#[test]
fn a_full_journal_refuses_messages_and_delivers_none_of_them() {
    for (limits, len) in
        [(JournalConfig::default().messages(2), 1), (JournalConfig::default().bytes(2 * 356), 100)]
    {
        let disk = Disk::default();
        let (mut event_loop, _journal) = start_with(&disk, config(), limits);
        let topic = event_loop.topic("d").expect("a topic");
        let text = "x".repeat(len);
        let sent = [0; 3].map(|_| event_loop.context().broadcast(topic, &text));
        assert_eq!(sent, [SendStatus::Sent, SendStatus::Sent, SendStatus::Dropped]);
        assert!(!event_loop.context().remove_topic(topic), "there is no room for it");
        let full = event_loop.context().commit(topic, DurableMessage::new(&text));
        assert_eq!(full, Err(CommitError::Full));
        settle(&mut event_loop, &mut Log::new());
        assert_eq!(position(&mut event_loop, topic).offset(), 2);
        assert_eq!(event_loop.context().broadcast(topic, &text), SendStatus::Sent);
        assert_eq!(event_loop.stats().broadcasts_dropped, 2);
    }
}

#[test]
fn a_message_that_is_longer_than_the_limit_waits_alone() {
    let disk = Disk::default();
    let limits = JournalConfig::default().bytes(10);
    let (mut event_loop, _journal) = start_with(&disk, config(), limits);
    say(&mut event_loop, "c", &["longer than the limit"]);
    settle(&mut event_loop, &mut Log::new());
    assert_eq!(disk.texts("c").len(), 1);
}

#[test]
fn a_topic_that_is_removed_is_removed_from_the_disk_and_has_another_epoch_when_it_is_made_again() {
    let disk = Disk::default();
    let (mut event_loop, journal) = start(&disk);
    let topic = say(&mut event_loop, "c", &["a"]);
    let other = say(&mut event_loop, "d", &["x"]);
    let before = position(&mut event_loop, topic);
    event_loop.on(|_, NoTopic(stored), log: &mut Log| log.push(format!("{stored:?}")));
    let message = DurableMessage::new("b").then(NoTopic);
    assert_eq!(event_loop.context().commit(topic, message), Ok(()));
    assert!(event_loop.context().remove_topic(topic));
    assert!(event_loop.context().remove_topic(other));
    let mut log = Log::new();
    settle(&mut event_loop, &mut log);
    assert_eq!(log, ["Err(TopicGone)"]);
    assert!(disk.image().topics.is_empty());
    let topic = say(&mut event_loop, "c", &["c"]);
    settle(&mut event_loop, &mut Log::new());
    let after = position(&mut event_loop, topic);
    assert_eq!((after.offset(), after.epoch() == before.epoch()), (1, false));
    assert_eq!(shut_down(event_loop, journal), Ok(()));
    let (mut event_loop, _journal) = start(&disk);
    let topic = event_loop.topic("c").expect("a topic");
    assert_eq!(
        (position(&mut event_loop, topic), texts(&mut event_loop, topic)),
        (after, vec!["c".into()])
    );
}

#[test]
fn a_changed_configuration_applies_to_what_is_stored() {
    let disk = Disk::default();
    let (mut event_loop, journal) = start(&disk);
    say(&mut event_loop, "c", &["a", "b", "c"]);
    let topic = say(&mut event_loop, "d", &["x"]);
    settle(&mut event_loop, &mut Log::new());
    let before = position(&mut event_loop, topic);
    assert_eq!(shut_down(event_loop, journal), Ok(()));
    // Shorter, no longer durable, and durable in another way.
    let config = Config::default()
        .topics(
            "c",
            TopicConfig::default().history(History::of(2)).durable(Durability::DeliverFirst),
        )
        .topics("d", kept());
    let (mut event_loop, _journal) = start_with(&disk, config, JournalConfig::default());
    let first = event_loop.topic("c").expect("a topic");
    assert_eq!(texts(&mut event_loop, first), ["b", "c"]);
    let kept = position(&mut event_loop, first);
    let second = event_loop.topic("d").expect("a topic");
    assert_ne!(position(&mut event_loop, second).epoch(), before.epoch());
    assert_eq!(disk.texts("d"), ["x"], "nobody wants it, and nobody removed it");
    // Now a crash ends its epoch.
    disk.kill();
    drop(event_loop);
    let (mut event_loop, _journal) = start(&disk);
    let first = event_loop.topic("c").expect("a topic");
    assert_ne!(position(&mut event_loop, first).epoch(), kept.epoch());
}

#[test]
fn a_journal_that_cannot_be_used_is_refused() {
    let disk = Disk::default();
    let storage = disk.storage();
    disk.kill();
    let reactor = SimReactor::new(7, SimConfig::calm());
    let mut event_loop = EventLoop::<Log, _>::with_reactor(reactor, config()).expect("a loop");
    assert!(matches!(event_loop.topic("c"), Err(Error::NoJournal)));
    let refused = event_loop.journal(storage, JournalConfig::default()).map(drop);
    assert!(matches!(refused, Err(Error::Journal(StorageError::Failed(_)))));
    assert!(matches!(event_loop.topic("c"), Err(Error::NoJournal)));
    assert!(event_loop.journal(disk.storage(), JournalConfig::default()).is_ok());
    assert!(event_loop.topic("c").is_ok());
    let second = event_loop.journal(disk.storage(), JournalConfig::default()).map(drop);
    assert!(matches!(second, Err(Error::HasJournal)));
}

#[test]
fn a_journal_with_too_many_topics_leaves_the_loop_and_the_disk_as_they_were() {
    let disk = Disk::default();
    let (mut event_loop, journal) = start(&disk);
    let topics = ["c", "d"].map(|name| say(&mut event_loop, name, &["a"]));
    settle(&mut event_loop, &mut Log::new());
    let before = topics.map(|topic| position(&mut event_loop, topic));
    assert_eq!(shut_down(event_loop, journal), Ok(()));

    let reactor = SimReactor::new(7, SimConfig::calm());
    let narrow = config().max_topics(1);
    let mut event_loop = EventLoop::<Log, _>::with_reactor(reactor, narrow).expect("a loop");
    let refused = event_loop.journal(disk.storage(), JournalConfig::default()).map(drop);
    assert!(matches!(refused, Err(Error::TopicLimit)));
    assert!(matches!(event_loop.topic("c"), Err(Error::NoJournal)));
    assert!(event_loop.topic("plain").is_ok(), "there is no room left");
    drop(event_loop);

    let (mut event_loop, _journal) = start(&disk);
    let topics = ["c", "d"].map(|name| event_loop.topic(name).expect("a topic"));
    assert_eq!(topics.map(|topic| position(&mut event_loop, topic)), before);
}

#[test]
fn durable_topics_need_a_history() {
    let durable = TopicConfig::default().durable(Durability::CommitFirst);
    for (config, error) in [
        (durable, InvalidTopicConfig::NoHistory("a".to_owned())),
        (kept().stored(History::of(5)), InvalidTopicConfig::NotDurable("a".to_owned())),
    ] {
        let config = Config::default().topics("a", config);
        let refused = EventLoop::<()>::new(config).map(drop).expect_err("an error");
        assert!(matches!(refused, Error::TopicConfig(found) if found == error));
    }
}
