//! What a batch stores, and what it deletes.

use std::time::Duration;

use bytes::Bytes;

use super::{COMMIT, DELIVER, Directory, append, number, record, settings, text, texts};
use crate::journal::TopicStorage;
use crate::journal::storage::{Change, Record, Storage, StorageError, StoredMessage, StoredTopic};
use crate::topics::History;

/// What the next start finds after an orderly end.
fn reload(directory: &Directory, mut journal: crate::journal::Sqlite) -> Vec<StoredTopic> {
    journal.close().expect("it closes");
    drop(journal);
    directory.load(settings(COMMIT)).1
}

fn numbered(topic: &str, offset: u64, settings: TopicStorage) -> Record {
    let message = text(&offset.to_string());
    record(topic, Change::Append { offset: Some(offset), message }, settings)
}

#[test]
fn messages_of_many_topics_are_stored_in_their_order() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(DELIVER));
    let mut batch: Vec<Record> = (0..30)
        .map(|index| append(["a", "b", "c"][index % 3], &index.to_string(), settings(DELIVER)))
        .collect();
    journal.commit(&mut batch[..20]).expect("it commits");
    journal.commit(&mut batch[20..]).expect("it commits");
    journal.commit(&mut []).expect("it commits nothing");
    let loaded = reload(&directory, journal);
    assert_eq!(loaded.len(), 3);
    for (topic, remainder) in loaded.iter().zip(0..) {
        let expected: Vec<String> =
            (0..30).filter(|index| index % 3 == remainder).map(|index| index.to_string()).collect();
        assert_eq!(texts(topic), expected);
        assert!(topic.has_survived);
    }
}

#[test]
fn a_topic_begins_with_the_offset_of_its_first_message() {
    for offset in [None, Some(40)] {
        let directory = Directory::new();
        let (mut journal, _) = directory.load(settings(COMMIT));
        let change = Change::Append { offset, message: text("first") };
        let mut batch = [Record { inherited: 40..40, ..record("a", change, settings(COMMIT)) }];
        journal.commit(&mut batch).expect("it commits");
        journal.commit(&mut [numbered("a", 41, settings(COMMIT))]).expect("it commits");
        let loaded = reload(&directory, journal);
        assert_eq!((loaded[0].newest, texts(&loaded[0])), (41, vec!["first", "41"]));
    }
}

#[test]
fn an_offset_that_does_not_follow_fails_the_batch() {
    for offset in [0, 1, 2, 4, u64::MAX] {
        let directory = Directory::new();
        let (mut journal, _) = directory.load(settings(COMMIT));
        let mut batch = [1, 2].map(|offset| numbered("a", offset, settings(COMMIT)));
        journal.commit(&mut batch).expect("it commits");
        let mut batch =
            [append("b", "1", settings(COMMIT)), numbered("a", offset, settings(COMMIT))];
        let error = journal.commit(&mut batch);
        assert!(matches!(error, Err(StorageError::Failed(_))), "{offset}: {error:?}");
        let loaded = reload(&directory, journal);
        assert_eq!((loaded.len(), loaded[0].newest), (1, 2), "{offset}");
    }
}

#[test]
fn removed_topics_go_with_their_messages() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    let remove = |topic| record(topic, Change::Remove, settings(COMMIT));
    let mut batch = [
        append("a", "1", settings(COMMIT)),
        append("b", "1", settings(COMMIT)),
        remove("unknown"),
        append("c", "1", settings(COMMIT)),
        remove("c"),
        append("c", "2", settings(COMMIT)),
    ];
    journal.commit(&mut batch).expect("it commits");
    journal.commit(&mut [remove("a")]).expect("it commits");
    let loaded = reload(&directory, journal);
    let names: Vec<&str> = loaded.iter().map(|topic| &*topic.name).collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!((loaded[1].newest, texts(&loaded[1])), (1, vec!["2"]));
    assert_eq!(number(&directory.file(), "SELECT count(*) FROM eventwire_messages"), 2);
}

#[test]
fn a_topic_is_kept_within_its_messages_and_bytes() {
    let directory = Directory::new();
    let kept = |kept: History| TopicStorage { kept: kept.age(Duration::MAX), ..settings(COMMIT) };
    let (mut journal, _) = directory.load(settings(COMMIT));
    let mut batch: Vec<Record> = (0..50)
        .flat_map(|index| {
            let body = index.to_string();
            [
                append("bytes", &body, kept(History::of(1000).bytes(11))),
                append("latest", &body, kept(History::latest())),
                append("messages", &body, kept(History::of(3))),
                append("nothing", &body, kept(History::of(0))),
            ]
        })
        .collect();
    for part in batch.chunks_mut(7) {
        journal.commit(part).expect("it commits");
    }
    let loaded = reload(&directory, journal);
    let found: Vec<Vec<&str>> = loaded.iter().map(texts).collect();
    assert_eq!(found[0], ["45", "46", "47", "48", "49"]);
    assert_eq!(found[1], ["49"]);
    assert_eq!(found[2], ["47", "48", "49"]);
    assert!(found[3].is_empty());
    assert!(loaded.iter().all(|topic| topic.newest == 50));
}

#[test]
fn ages_are_checked_once_a_second() {
    let directory = Directory::new();
    let kept = History::of(1000).age(Duration::from_secs(10));
    let aged = TopicStorage { kept, ..settings(COMMIT) };
    let (mut journal, _) = directory.load(settings(COMMIT));
    let mut at = |now| {
        journal.commit_at(&mut [append("a", "x", aged)], now).expect("it commits");
        number(&directory.file(), "SELECT count(*) FROM eventwire_messages")
    };
    assert_eq!(at(100_000), 1);
    assert_eq!(at(100_900), 2);
    assert_eq!(at(109_950), 3);
    // The first is too old, and was looked at a moment ago.
    assert_eq!(at(110_000), 4);
    assert_eq!(at(110_949), 5);
    assert_eq!(at(110_950), 4);
    // The clock is set back.
    assert_eq!(at(50_000), 5);
    assert_eq!(at(60_000), 6);
}

#[test]
fn batches_of_both_durabilities_are_stored() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    for durability in [DELIVER, COMMIT, COMMIT, DELIVER] {
        let mut batch = [append("a", "x", settings(durability))];
        journal.commit(&mut batch).expect("it commits");
        let connection = journal.database.as_ref().expect("it is open").connection();
        let level: i64 =
            connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).expect("a level");
        assert_eq!(level, if durability == COMMIT { 2 } else { 1 });
    }
    assert_eq!(reload(&directory, journal)[0].newest, 4);
}

#[test]
fn the_write_ahead_log_stays_short() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(DELIVER));
    let message = StoredMessage::Binary(Bytes::from(vec![7; 100_000]));
    for _ in 0..250 {
        let change = Change::Append { offset: None, message: message.clone() };
        journal.commit(&mut [record("a", change, settings(DELIVER))]).expect("it commits");
    }
    let log = directory.0.join("journal.db-wal");
    let bytes = log.metadata().expect("a log").len();
    assert!(bytes < 18 << 20, "{bytes} bytes");
}
