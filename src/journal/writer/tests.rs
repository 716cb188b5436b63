//! What is stored after a failure, and how a writer ends.

use super::*;
use crate::journal::{StoredMessage, StoredTopic, TableChange, TopicStorage};
use crate::topics::{Durability, History};

/// What a storage was asked for, and how its commits end.
#[derive(Default)]
struct Script {
    commits: Vec<Vec<(String, u64)>>,
    ends: Vec<Result<(), StorageError>>,
    closed: bool,
}

struct Scripted(Arc<Mutex<Script>>);

impl Storage for Scripted {
    fn load(
        &mut self,
        _: &dyn Fn(&str) -> Option<TopicStorage>,
    ) -> Result<Vec<StoredTopic>, StorageError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, batch: &mut [Record]) -> Result<(), StorageError> {
        let records = batch.iter().map(|record| (record.topic.to_string(), record.epoch));
        let mut script = self.0.lock().unwrap();
        script.commits.push(records.collect());
        for record in &mut *batch {
            record.refused = record.tables.take().and_then(|change| change.make(&mut ()).err());
        }
        script.ends.pop().unwrap_or(Ok(()))
    }

    fn close(&mut self) -> Result<(), StorageError> {
        self.0.lock().unwrap().closed = true;
        Ok(())
    }
}

fn record(topic: &str, epoch: u64) -> Record {
    let history = History::of(1);
    let durability = Durability::DeliverFirst;
    Record {
        topic: topic.into(),
        epoch,
        inherited: 1..1,
        storage: TopicStorage { durability, kept: history, loaded: history },
        change: Change::Append { offset: None, message: StoredMessage::Text("a".into()) },
        tables: None,
        refused: None,
    }
}

fn removal(topic: &str, epoch: u64) -> Record {
    Record { change: Change::Remove, ..record(topic, epoch) }
}

fn writer() -> (Writer<Scripted>, Arc<Mutex<Script>>, Arc<Shared>) {
    let (script, shared) = (Arc::default(), Arc::<Shared>::default());
    let writer = Writer::new(Scripted(Arc::clone(&script)), Arc::clone(&shared));
    (writer, script, shared)
}

fn names(records: &[(&str, u64)]) -> Vec<(String, u64)> {
    records.iter().map(|(topic, epoch)| ((*topic).to_owned(), *epoch)).collect()
}

#[test]
fn nothing_of_a_broken_epoch_is_stored_and_another_epoch_is() {
    let (mut writer, script, _) = writer();
    script.lock().unwrap().ends = vec![Err(StorageError::Full)];
    let settled = writer.write(vec![record("a", 1)]);
    assert_eq!(
        (settled.outcomes, settled.error),
        (vec![Outcome::Failed], Some(StorageError::Full))
    );
    // These were handed over before the loop knew.
    let settled = writer.write(vec![record("a", 1), record("b", 1), record("a", 2)]);
    assert_eq!(settled.outcomes, [Outcome::Failed, Outcome::Stored, Outcome::Stored]);
    assert!(matches!(settled.error, Some(StorageError::Failed(_))));
    let settled = writer.write(vec![record("a", 2), record("b", 1)]);
    assert_eq!((settled.outcomes, settled.error), (vec![Outcome::Stored; 2], None));
    let commits = [&[("a", 1)][..], &[("b", 1), ("a", 2)], &[("a", 2), ("b", 1)]].map(names);
    assert_eq!(script.lock().unwrap().commits, commits);
}

#[test]
fn a_topic_is_removed_even_if_its_epoch_is_broken() {
    let (mut writer, script, _) = writer();
    script.lock().unwrap().ends = vec![Err(StorageError::Full)];
    writer.write(vec![record("a", 1)]);
    let settled = writer.write(vec![record("a", 1), removal("a", 1)]);
    assert_eq!(settled.outcomes, [Outcome::Failed, Outcome::Stored]);
    assert_eq!(script.lock().unwrap().commits[1], names(&[("a", 1)]));
}

#[test]
fn a_refused_change_costs_its_record_alone() {
    let (mut writer, ..) = writer();
    let tables = Some(TableChange::new(|_| Err("no".to_owned())));
    let settled = writer.write(vec![Record { tables, ..record("a", 1) }, record("a", 1)]);
    let refused = Outcome::Refused("no".to_owned());
    assert_eq!((settled.outcomes, settled.error), (vec![refused, Outcome::Stored], None));
}

#[test]
fn only_an_end_with_everything_stored_is_orderly() {
    for (accepted, fails, is_orderly) in [(2, false, true), (3, false, false), (2, true, false)] {
        let (mut writer, script, shared) = writer();
        if fails {
            script.lock().unwrap().ends = vec![Err(StorageError::Full)];
        }
        shared.accepted.store(accepted, Ordering::Relaxed);
        writer.write(vec![record("a", 1), record("b", 1)]);
        assert_eq!(shared.wait(Duration::ZERO), None);
        drop(writer);
        assert_eq!(shared.wait(Duration::ZERO).map(|end| end.is_ok()), Some(is_orderly));
        assert_eq!(script.lock().unwrap().closed, is_orderly);
    }
}

/// Notes whether the end was reported before this is dropped.
struct Witness {
    shared: Arc<Shared>,
    reported_before: Arc<Mutex<Option<bool>>>,
}

impl Storage for Witness {
    fn load(
        &mut self,
        _: &dyn Fn(&str) -> Option<TopicStorage>,
    ) -> Result<Vec<StoredTopic>, StorageError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _: &mut [Record]) -> Result<(), StorageError> {
        Ok(())
    }

    fn close(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let is_reported = self.shared.wait(Duration::ZERO).is_some();
        *self.reported_before.lock().unwrap() = Some(is_reported);
    }
}

#[test]
fn the_end_is_reported_once_the_storage_is_free() {
    let (shared, reported_before) = (Arc::new(Shared::default()), Arc::default());
    let storage =
        Witness { shared: Arc::clone(&shared), reported_before: Arc::clone(&reported_before) };
    drop(Writer::new(storage, Arc::clone(&shared)));
    assert_eq!(*reported_before.lock().unwrap(), Some(false));
    assert_eq!(shared.wait(Duration::ZERO), Some(Ok(())));
}
