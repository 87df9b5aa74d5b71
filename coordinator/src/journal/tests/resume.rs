//! Runs that are stopped anywhere end like one that was not.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use synod_common::event::Outcome;

use super::double::Disk;
use super::script::{End, Promises, Script};

/// Plans whose strategies remember something, whose cohorts are drawn, whose members decline.
fn scripts() -> Vec<Script> {
    let four = "[round]\narrival.count.min = 4\n";
    let all = ["a", "b", "c", "d"];
    vec![
        Script::new(four, &all),
        Script::new(&format!("[aggregate]\nstrategy = {{ fedavgm = {{ momentum = 0.5 }} }}\n{four}"), &all),
        Script::new(&format!("[train.algorithm]\nscaffold = {{}}\n{four}cohort = 2\n"), &all),
        Script::new(&format!("[aggregate.strategy.principal_gradient]\nwarmup_rounds = 1\n{four}"), &all),
        Script::new("[round]\narrival.count.min = 4\nupdates.count.min = 3\n", &["a", "b", "c", "no"]),
    ]
}

/// Runs to the end, however often the run was stopped.
fn finish(script: &Script, disk: &Disk, promises: &mut Promises) -> End {
    script.run(disk, usize::MAX, promises)
}

#[test]
fn a_run_stopped_after_any_action_ends_with_the_same_model() {
    for script in scripts() {
        let whole = finish(&script, &Disk::default(), &mut Promises::default());
        assert_eq!(whole.outcome, Some(Outcome::Completed));
        for stop in 0..whole.actions {
            let (disk, mut promises) = (Disk::default(), Promises::default());
            script.run(&disk, stop, &mut promises);
            disk.crash(&mut ChaCha8Rng::seed_from_u64(stop as u64));
            let journal = disk.open(script.keep).unwrap();
            if journal.is_completed() {
                assert_eq!(journal.last_commit().unwrap().model, whole.model);
                continue;
            }
            drop(journal);
            let end = finish(&script, &disk, &mut promises);
            assert_eq!(
                (end.outcome, end.model),
                (Some(Outcome::Completed), whole.model),
                "stopped after {stop} actions"
            );
        }
    }
}

#[test]
fn a_run_that_is_stopped_again_and_again_ends_with_the_same_model() {
    let scripts = scripts();
    let wholes: Vec<End> =
        scripts.iter().map(|script| finish(script, &Disk::default(), &mut Promises::default())).collect();
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let which = rng.random_range(0..scripts.len());
        let (script, whole) = (&scripts[which], &wholes[which]);
        let (disk, mut promises) = (Disk::default(), Promises::default());
        // Each part gets far enough that the run moves on.
        while !disk.open(script.keep).unwrap().is_completed() {
            let end = script.run(&disk, rng.random_range(1..25), &mut promises);
            if end.outcome.is_some() {
                assert_eq!(end.model, whole.model, "seed {seed}");
            }
            disk.crash(&mut rng);
        }
        assert_eq!(disk.open(script.keep).unwrap().last_commit().unwrap().model, whole.model, "seed {seed}");
    }
}

/// What would lose an update must not be what passes: without the sync of the tables the promise is broken.
#[test]
fn the_check_notices_an_update_that_was_acknowledged_too_early() {
    let script = &scripts()[0];
    let (disk, mut promises) = (Disk::default(), Promises::default());
    let early = disk.copy();
    script.run(&disk, 60, &mut promises);
    assert!(!promises.acknowledged.is_empty(), "something was acknowledged");
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| finish(script, &early, &mut promises)));
    assert!(asked.is_err(), "a disk that lost it lets the site be asked again, and the script says so");
}

#[test]
fn a_stopped_run_is_gone_on_with_and_a_completed_one_is_not() {
    let script = Script::new("[round]\narrival.count.min = 2\nupdates.count.min = 2\n", &["a", "no"]);
    let disk = Disk::default();
    let end = finish(&script, &disk, &mut Promises::default());
    assert!(matches!(end.outcome, Some(Outcome::Stopped { .. })));
    // Tomorrow the other site is there again.
    let script = Script { plan: script.plan, ..Script::new("", &["a", "b"]) };
    let end = finish(&script, &disk, &mut Promises::default());
    assert_eq!(end.outcome, Some(Outcome::Completed));
    let journal = disk.open(script.keep).unwrap();
    assert!(journal.is_completed());
    assert!(journal.machine(script.setup()).unwrap_err().to_string().contains("the run is over"));
}

#[test]
fn another_plan_and_another_initial_model_are_refused() {
    let (script, disk) = (&scripts()[0], Disk::default());
    script.run(&disk, 15, &mut Promises::default());
    let journal = disk.open(script.keep).unwrap();
    let other = Script::new("[round]\narrival.count.min = 3\n", &["a"]);
    assert!(journal.machine(other.setup()).unwrap_err().to_string().contains("the journal is of plan"));
    let mut setup = script.setup();
    setup.initial[0] = 1.0;
    assert!(journal.machine(setup).unwrap_err().to_string().contains("the run began with the model"));
}
