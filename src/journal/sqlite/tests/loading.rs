//! What a loop starts with.

use std::time::Duration;

use bytes::Bytes;

use super::{COMMIT, DELIVER, Directory, append, number, record, settings, text, texts};
use crate::journal::TopicStorage;
use crate::journal::storage::{Change, Storage, StorageError, StoredMessage};
use crate::topics::History;

/// A journal with a topic of five messages, closed.
fn five(directory: &Directory) {
    let (mut journal, _) = directory.load(settings(COMMIT));
    let mut batch =
        ["1", "22", "333", "4444", "55555"].map(|body| append("a", body, settings(COMMIT)));
    journal.commit(&mut batch).expect("it commits");
    journal.close().expect("it closes");
}

#[test]
fn messages_come_back_as_they_were() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    let bodies = [
        text(""),
        text("grüße\0\u{1F600}"),
        StoredMessage::Binary(Bytes::new()),
        StoredMessage::Binary(Bytes::from_static(b"\xff\0\xfe")),
        StoredMessage::Text(Bytes::from("x".repeat(100_000))),
    ];
    let appended = |message| Change::Append { offset: None, message };
    let mut batch = bodies.clone().map(|body| record("a/ü", appended(body), settings(COMMIT)));
    journal.commit(&mut batch).expect("it commits");
    drop(journal);
    let (_, loaded) = directory.load(settings(COMMIT));
    let [topic] = &loaded[..] else { panic!("one topic") };
    assert_eq!((&*topic.name, topic.epoch, topic.has_survived), ("a/ü", 7, true));
    assert_eq!(topic.newest, 5);
    assert_eq!(topic.messages, bodies);
}

#[test]
fn the_newest_messages_within_the_limits_are_loaded() {
    for (loaded, expected) in [
        (History::of(2), &["4444", "55555"][..]),
        (History::of(9).bytes(9), &["4444", "55555"]),
        (History::of(9).bytes(11), &["4444", "55555"]),
        (History::of(9).bytes(12), &["333", "4444", "55555"]),
        (History::of(9).bytes(4), &[]),
        (History::of(0), &[]),
        (History::of(9), &["1", "22", "333", "4444", "55555"]),
    ] {
        let directory = Directory::new();
        five(&directory);
        let (_, topics) = directory.load(TopicStorage { loaded, ..settings(COMMIT) });
        assert_eq!(texts(&topics[0]), expected, "{loaded:?}");
        assert_eq!(topics[0].newest, 5);
        assert_eq!(number(&directory.file(), "SELECT count(*) FROM eventwire_messages"), 5);
    }
}

#[test]
fn what_is_not_kept_is_deleted() {
    let by_age = History::of(9).age(Duration::from_secs(50));
    for (kept, expected) in [
        (History::of(2).age(Duration::MAX), &["4444", "55555"][..]),
        (History::of(9).bytes(12).age(Duration::MAX), &["333", "4444", "55555"]),
        (by_age, &["333", "4444", "55555"]),
        (History::of(0), &[]),
    ] {
        let directory = Directory::new();
        five(&directory);
        let sql = "UPDATE eventwire_messages SET time = time - 60000 WHERE offset < 3";
        directory.shell().execute_batch(sql).expect("a change");
        let (mut journal, topics) = directory.load(TopicStorage { kept, ..settings(COMMIT) });
        assert_eq!(texts(&topics[0]), expected, "{kept:?}");
        assert_eq!((topics[0].newest, topics[0].has_survived), (5, true));
        journal.commit(&mut [append("a", "next", settings(COMMIT))]).expect("it commits");
        drop(journal);
        let (_, topics) = directory.load(settings(COMMIT));
        assert_eq!(topics[0].newest, 6);
        assert_eq!(topics[0].messages.len(), expected.len() + 1);
    }
}

#[test]
fn topics_that_are_not_wanted_stay_as_they_are() {
    let directory = Directory::new();
    five(&directory);
    let mut journal = directory.open();
    assert_eq!(journal.load(&|name| (name != "a").then(|| settings(DELIVER))), Ok(Vec::new()));
    journal.close().expect("it closes");
    drop(journal);
    let (_, loaded) = directory.load(settings(COMMIT));
    assert_eq!(loaded[0].messages.len(), 5);
    assert!(loaded[0].has_survived);
}

#[test]
fn a_hole_is_damage() {
    for sql in [
        "DELETE FROM eventwire_messages WHERE offset = 3",
        "DELETE FROM eventwire_messages WHERE offset = 5",
        "UPDATE eventwire_topics SET newest = 4",
        "UPDATE eventwire_topics SET first = 0",
        "UPDATE eventwire_topics SET newest = 9223372036854775807",
        "UPDATE eventwire_topics SET epoch = 'seven'",
        "UPDATE eventwire_topics SET durability = 'none'",
        "UPDATE eventwire_messages SET body = 1 WHERE offset = 4",
        "UPDATE eventwire_messages SET body = CAST(x'ff' AS TEXT) WHERE offset = 4",
    ] {
        let directory = Directory::new();
        five(&directory);
        directory.shell().execute_batch(sql).expect("a change");
        let loaded = directory.open().load(&|_| Some(settings(COMMIT)));
        assert!(matches!(loaded, Err(StorageError::Damaged(_))), "{sql}: {loaded:?}");
    }
}

#[test]
fn nothing_is_committed_or_closed_before_it_was_loaded_or_after_it_was_closed() {
    let directory = Directory::new();
    let mut journal = directory.open();
    let commit = |journal: &mut crate::journal::Sqlite| {
        journal.commit(&mut [append("a", "1", settings(COMMIT))])
    };
    assert!(matches!(commit(&mut journal), Err(StorageError::Failed(_))));
    assert!(matches!(journal.close(), Err(StorageError::Failed(_))));
    assert!(journal.load(&|_| Some(settings(COMMIT))).is_ok());
    assert_eq!(commit(&mut journal), Ok(()));
    assert_eq!(journal.close(), Ok(()));
    assert!(matches!(commit(&mut journal), Err(StorageError::Failed(_))));
}
