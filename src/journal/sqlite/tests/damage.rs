//! Damaged files: errors, and never a panic.

use std::fs;

use proptest::prelude::*;

use super::{COMMIT, Directory, append, settings};
use crate::journal::Sqlite;
use crate::journal::storage::{Record, Storage, StorageError};

/// The bytes of a journal with some topics and messages.
fn whole() -> Vec<u8> {
    let directory = Directory::new();
    let (mut journal, _) = directory.load(settings(COMMIT));
    let mut batch: Vec<Record> = (0..300)
        .map(|index| append(["a", "b"][index % 2], &"body ".repeat(index), settings(COMMIT)))
        .collect();
    journal.commit(&mut batch).expect("it commits");
    journal.close().expect("it closes");
    drop(journal);
    fs::read(directory.file()).expect("the file")
}

/// Does with the file what a loop does.
fn visit(directory: &Directory) -> Result<(), StorageError> {
    let mut journal = Sqlite::open(directory.file())?;
    journal.load(&|_| Some(settings(COMMIT)))?;
    journal.commit(&mut [append("a", "more", settings(COMMIT))])?;
    journal.close()
}

#[test]
fn a_file_that_was_cut_short_is_damaged() {
    let bytes = whole();
    for length in [2, 15, 16, 50, 100, 4095, 4096, 5000, 8192, bytes.len() / 2, bytes.len() - 4096]
    {
        let directory = Directory::new();
        fs::write(directory.file(), &bytes[..length]).expect("a file");
        let visited = visit(&directory);
        let is_expected = match &visited {
            Err(StorageError::Damaged(_)) => true,
            // It does not begin as a database does.
            Err(StorageError::Foreign(_)) => length < 512,
            _ => false,
        };
        assert!(is_expected, "{length}: {visited:?}");
    }
}

#[test]
fn pages_of_zeros_are_damage() {
    let bytes = whole();
    for page in 1..5 {
        let directory = Directory::new();
        let mut bytes = bytes.clone();
        bytes[page * 4096..][..4096].fill(0);
        fs::write(directory.file(), &bytes).expect("a file");
        let visited = visit(&directory);
        assert!(matches!(visited, Err(StorageError::Damaged(_))), "{page}: {visited:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn flipped_bytes_are_typed_errors(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..20),
        is_in_head in any::<bool>(),
    ) {
        static WHOLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(whole);
        let mut bytes = WHOLE.clone();
        let reach = if is_in_head { 5 * 4096 } else { bytes.len() };
        for (index, flip) in flips {
            bytes[index.index(reach)] ^= flip;
        }
        let directory = Directory::new();
        fs::write(directory.file(), &bytes).expect("a file");
        match visit(&directory) {
            // The flipped bytes are in a message, or unused.
            Ok(())
            | Err(
                StorageError::Damaged(_)
                | StorageError::Foreign(_)
                | StorageError::Newer(_)
                | StorageError::Unavailable(_)
                | StorageError::Failed(_)
            ) => {}
            Err(error) => prop_assert!(false, "{error:?}"),
        }
    }
}
