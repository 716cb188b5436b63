//! Which epochs survive, and what a new one keeps.

use std::fs;

use super::{COMMIT, DELIVER, Directory, append, settings, texts};
use crate::journal::storage::{Record, Storage, StoredTopic};
use crate::topics::Durability;

/// Stores two messages of the epoch 9, and ends in order or by a crash.
fn run(directory: &Directory, durability: Durability, is_orderly: bool) {
    let (mut journal, loaded) = directory.load(settings(durability));
    let newest = loaded.first().map_or(0, |topic| topic.newest);
    let mut batch = ["1", "2"].map(|body| Record {
        epoch: 9,
        inherited: 1..newest + 1,
        ..append("a", body, settings(durability))
    });
    journal.commit(&mut batch).expect("it commits");
    if is_orderly {
        journal.close().expect("it closes");
    }
}

/// Starts without a message, and ends in order or by a crash.
fn idle(directory: &Directory, durability: Durability, is_orderly: bool) -> StoredTopic {
    let (mut journal, mut loaded) = directory.load(settings(durability));
    if is_orderly {
        journal.close().expect("it closes");
    }
    loaded.remove(0)
}

#[test]
fn epochs_survive_an_orderly_end_and_those_that_commit_first_a_crash() {
    for (durability, is_orderly, survives) in [
        (COMMIT, true, true),
        (COMMIT, false, true),
        (DELIVER, true, true),
        (DELIVER, false, false),
    ] {
        let directory = Directory::new();
        run(&directory, durability, is_orderly);
        let topic = idle(&directory, durability, true);
        assert_eq!(topic.has_survived, survives, "{durability:?} {is_orderly}");
        assert_eq!(topic.newest, 2);
        if survives {
            assert_eq!(topic.epoch, 9);
        }
    }
}

#[test]
fn the_durability_that_was_stored_counts_and_not_the_one_of_the_settings() {
    for (before, now) in [(COMMIT, DELIVER), (DELIVER, COMMIT)] {
        let directory = Directory::new();
        run(&directory, before, false);
        assert_eq!(idle(&directory, now, false).has_survived, before == COMMIT, "{before:?}");
        // From now on its messages are delivered as `now` says.
        let survives = before == COMMIT && now == COMMIT;
        assert_eq!(idle(&directory, now, false).has_survived, survives, "{before:?}");
    }
}

#[test]
fn an_epoch_that_has_ended_does_not_come_back() {
    let directory = Directory::new();
    run(&directory, DELIVER, false);
    assert!(!idle(&directory, COMMIT, false).has_survived);
    assert!(!idle(&directory, COMMIT, true).has_survived);
    assert!(!idle(&directory, DELIVER, true).has_survived);
    run(&directory, DELIVER, true);
    let topic = idle(&directory, DELIVER, true);
    assert_eq!((topic.has_survived, topic.epoch, topic.newest), (true, 9, 4));
}

#[test]
fn a_crash_ends_the_epochs_of_topics_that_are_not_wanted_then() {
    let directory = Directory::new();
    run(&directory, DELIVER, false);
    let mut journal = directory.open();
    journal.load(&|_| None).expect("it loads");
    journal.close().expect("it closes");
    drop(journal);
    assert!(!idle(&directory, DELIVER, true).has_survived);
}

#[test]
fn what_is_committed_first_is_in_the_files_once_the_commit_has_returned() {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    for number in 1..=20 {
        journal.commit(&mut [append("a", "x", settings(COMMIT))]).expect("it commits");
        // What a crash would leave behind.
        let copy = Directory::new();
        for end in ["", "-wal"] {
            let name = format!("journal.db{end}");
            fs::copy(directory.0.join(&name), copy.0.join(&name)).expect("a copy");
        }
        let (_, loaded) = copy.load(settings(COMMIT));
        assert_eq!((loaded[0].newest, loaded[0].has_survived), (number, true));
    }
}

#[test]
fn a_new_epoch_keeps_the_messages_that_belong_to_it() {
    // Of the messages 1 to 5, and which are left with the new one.
    for (inherited, expected) in [
        (1..6, &["1", "2", "3", "4", "5", "new"][..]),
        (4..6, &["4", "5", "new"]),
        (6..6, &["new"]),
        (2..4, &["2", "3", "new"]),
        (4..4, &["new"]),
        (1..1, &["new"]),
        // Messages between were lost.
        (1..9, &["new"]),
        (9..9, &["new"]),
    ] {
        let directory = Directory::new();
        let (mut journal, _) = directory.load(settings(COMMIT));
        let mut batch = ["1", "2", "3", "4", "5"].map(|body| append("a", body, settings(COMMIT)));
        journal.commit(&mut batch).expect("it commits");
        let range = inherited.clone();
        let mut batch =
            [Record { epoch: 8, inherited: range, ..append("a", "new", settings(COMMIT)) }];
        journal.commit(&mut batch).expect("it commits");
        drop(journal);
        let (_, loaded) = directory.load(settings(COMMIT));
        assert_eq!(texts(&loaded[0]), expected, "{inherited:?}");
        assert_eq!((loaded[0].epoch, loaded[0].has_survived), (8, true));
        assert_eq!(loaded[0].newest, inherited.end);
    }
}

#[test]
fn every_epoch_is_stored() {
    for epoch in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
        let directory = Directory::new();
        let (mut journal, _) = directory.load(settings(COMMIT));
        let mut batch = [Record { epoch, ..append("a", "1", settings(COMMIT)) }];
        journal.commit(&mut batch).expect("it commits");
        drop(journal);
        let sql = "SELECT epoch FROM eventwire_topics";
        let stored: String =
            directory.shell().query_row(sql, [], |row| row.get(0)).expect("an epoch");
        assert_eq!(stored, format!("{epoch:016x}"));
        assert_eq!(directory.load(settings(COMMIT)).1[0].epoch, epoch);
    }
}
