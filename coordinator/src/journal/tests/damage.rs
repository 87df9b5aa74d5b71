//! Damaged, foreign and full disks.

use proptest::prelude::*;
use redb::{Builder, TableDefinition};
use synod_common::event::Outcome;

use super::super::{JournalError, Keep, KeepModels, KeepUpdates};
use super::double::Disk;
use super::script::{Promises, Script};

const ALL: Keep = Keep { models: KeepModels::All, updates: KeepUpdates::All };

fn script() -> Script {
    Script::new("[round]\narrival.count.min = 2\n", &["a", "b"])
}

/// A disk whose run stopped with one update of the second round acknowledged.
fn half_done() -> (Disk, Promises) {
    for stop in 1.. {
        let (disk, mut promises) = (Disk::default(), Promises::default());
        script().run(&disk, stop, &mut promises);
        if promises.acknowledged.len() == 3 {
            return (disk, promises);
        }
    }
    unreachable!("a run has three updates at some time")
}

#[test]
fn no_changed_byte_is_believed_and_none_breaks_the_reader() {
    let (disk, _) = half_done();
    let before = disk.open(ALL).unwrap();
    let (entries, report) = (before.entries(), before.check());
    drop(before);
    let mut refused = 0;
    let length = disk.len_of_tables();
    // Pages in use are in the beginning; the rest of the file is free space.
    for at in (0..length).step_by(if length > 400_000 { 997 } else { 499 }).chain(0..400) {
        let copy = disk.copy();
        copy.flip(at);
        match copy.open(ALL) {
            Ok(journal) => assert_eq!((journal.entries(), journal.check()), (entries, report.clone()), "byte {at}"),
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains("journal"), "byte {at}: {text}");
            }
        }
    }
    assert!(refused > 10, "bytes that count were among them: {refused}");
}

#[test]
fn a_damaged_update_that_was_acknowledged_is_named() {
    let (disk, promises) = half_done();
    let (round, site) = promises.acknowledged.last().unwrap().clone();
    let journal = disk.open(ALL).unwrap();
    let mut digests = Vec::new();
    journal
        .for_each_line(|_, line| {
            if line.entry.kind() == "update_accepted" {
                digests.push(line.blobs[0].digest);
            }
            Ok(())
        })
        .unwrap();
    disk.change_blob(digests[2], |bytes| bytes[0] ^= 1);
    let error = journal.machine(script().setup()).unwrap_err().to_string();
    let expected = format!("the update of site {site} for round {round} was acknowledged and cannot be read any more");
    assert!(error.contains(&expected), "{error}");
    assert_eq!(journal.check().problems.len(), 1);
    for length in [0, 11, 13] {
        disk.change_blob(digests[2], |bytes| bytes.resize(length, 0));
        assert!(journal.machine(script().setup()).is_err(), "{length} bytes instead of 12");
        assert_eq!(journal.check().problems.len(), 1);
    }
}

#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let whole = script().run(&Disk::default(), usize::MAX, &mut Promises::default());
    let (disk, mut promises) = half_done();
    let acknowledged = promises.acknowledged.clone();
    disk.fill(true);
    let failed = disk.copy();
    failed.fill(false);
    let opened = disk.open(ALL);
    // Opening may write, and then says what is the matter.
    if let Err(error) = opened {
        assert!(error.to_string().contains("free some space"), "{error}");
    }
    disk.fill(false);
    let journal = disk.open(ALL).unwrap();
    disk.fill(true);
    let machine = journal.machine(script().setup()).unwrap();
    let end = script().drive(machine, journal, usize::MAX, &mut promises);
    let Some(Outcome::Stopped { reason }) = end.outcome else { panic!("the run must stop") };
    assert!(reason.contains("free some space") && reason.contains("kept"), "{reason}");
    assert_eq!(promises.acknowledged, acknowledged, "nothing was acknowledged that is not durable");
    disk.fill(false);
    let end = script().run(&disk, usize::MAX, &mut promises);
    assert_eq!((end.outcome, end.model), (Some(Outcome::Completed), whole.model));
}

#[test]
fn another_version_is_refused_and_left_as_it_is() {
    let (disk, _) = half_done();
    let db = Builder::new().create_with_backend(disk.clone()).unwrap();
    let write = db.begin_write().unwrap();
    write.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("version", 9).unwrap();
    write.commit().unwrap();
    drop(db);
    let error = disk.open(ALL).unwrap_err();
    assert!(matches!(error, JournalError::Version { found: 9, expected: 1 }), "{error}");
    assert!(error.to_string().contains("use the release that wrote it"));
}

#[test]
fn storage_that_was_left_while_it_was_prepared_is_prepared_again() {
    let disk = Disk::default();
    redb::StorageBackend::set_len(&disk, 5000).unwrap();
    assert_eq!(disk.open(ALL).unwrap().entries(), 0);
    // With values beside it, it is damaged, not new.
    let (disk, _) = half_done();
    (0..9).for_each(|at| disk.overwrite(at, 0));
    assert!(disk.open(ALL).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_as_tables_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let disk = Disk::default();
        redb::StorageBackend::write(&disk, 0, &bytes).unwrap();
        let _ = disk.open(ALL);
    }
}
