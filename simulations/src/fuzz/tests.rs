//! Every target for a moment.

use super::{TARGETS, fuzz};

#[test]
fn every_target_takes_its_corpus_and_thousands_of_changed_inputs() {
    for target in TARGETS {
        (target.corpus)().iter().for_each(|input| (target.run)(input));
        fuzz(target, 2_000, 1);
    }
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let target = &TARGETS[0];
    assert_eq!(fuzz(target, 500, 7), fuzz(target, 500, 7));
    assert_ne!(fuzz(target, 500, 7), fuzz(target, 500, 8));
}
