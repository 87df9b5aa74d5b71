//! What is kept, and how much that is.

use std::num::NonZeroU32;

use super::super::{Keep, KeepModels, KeepUpdates};
use super::double::Disk;
use super::script::{Promises, Script};

const MOMENTUM: &str = "[aggregate]\nstrategy = { fedavgm = { momentum = 0.5 } }\n[round]\narrival.count.min = 3\n";
const SITES: [&str; 3] = ["a", "b", "c"];

fn script(keep: Keep) -> Script {
    Script { keep, ..Script::new(MOMENTUM, &SITES) }
}

#[test]
fn the_disk_bound_holds_after_every_action() {
    for models in [1, 2] {
        let keep = Keep { models: KeepModels::Last(NonZeroU32::new(models).unwrap()), updates: KeepUpdates::Open };
        let whole = script(keep).run(&Disk::default(), usize::MAX, &mut Promises::default());
        for stop in 0..whole.actions {
            let disk = Disk::default();
            script(keep).run(&disk, stop, &mut Promises::default());
            // Models with their states, one more of each while a round closes, and the updates of the open round.
            let bound = 2 * (models as usize + 1) + SITES.len();
            assert!(disk.blobs().len() <= bound, "{} values after {stop} actions", disk.blobs().len());
            // Started again, nothing is left that nothing refers to.
            let journal = disk.open(keep).unwrap();
            journal.collect_garbage().unwrap();
            assert_eq!(journal.check().blobs as usize, disk.blobs().len());
            assert!(disk.blobs().len() <= 2 * models as usize + SITES.len());
        }
    }
}

#[test]
fn everything_can_be_kept_and_let_go_later() {
    let all = Keep { models: KeepModels::All, updates: KeepUpdates::All };
    let disk = Disk::default();
    script(all).run(&disk, usize::MAX, &mut Promises::default());
    assert_eq!(disk.blobs().len(), 3 * (2 + SITES.len()), "three rounds: model, state and three updates each");
    let journal = disk.open(all).unwrap();
    assert_eq!(journal.check().models.len(), 3);
    drop(journal);
    let journal = disk.open(Keep::default()).unwrap();
    assert_eq!(journal.collect_garbage().unwrap(), 3 * 3 + 2);
    assert_eq!(journal.check().models.len(), 2);
    // What was let go is not missed by those who would keep all.
    drop(journal);
    let report = disk.open(all).unwrap().check();
    assert_eq!((report.models.len(), report.problems), (2, vec![]));
}

#[test]
fn equal_values_are_one_blob_and_stay_as_long_as_one_entry_names_them() {
    // Two sites of the same name stem send different numbers; equal ones come from a model that does not move.
    let script = Script::new("[aggregate]\nserver_lr = 1e-30\n[round]\narrival.count.min = 3\n", &SITES);
    let disk = Disk::default();
    script.run(&disk, usize::MAX, &mut Promises::default());
    let report = disk.open(script.keep).unwrap().check();
    assert_eq!((report.models.len(), report.problems), (2, vec![]), "both rounds have their model");
}
