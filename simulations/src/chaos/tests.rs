//! Seeds hold, the same seed is the same run, and mistakes made on purpose are found.

use super::{Campaign, Sabotage, play};

#[test]
fn hundreds_of_seeds_hold_and_faults_do_happen() {
    let campaign = Campaign::run(0, 300, None);
    if let Some(failure) = campaign.failures.first() {
        panic!("{} seeds failed; {failure}", campaign.failed);
    }
    let Campaign { rounds, deaths, .. } = campaign;
    assert!(rounds > 600 && deaths > 300, "{rounds} rounds, {deaths} deaths of the coordinator");
}

#[test]
fn the_same_seed_twice_is_the_same_run_to_the_last_line() {
    for seed in 0..20 {
        assert_eq!(play(seed, None).unwrap(), play(seed, None).unwrap(), "seed {seed}");
    }
    assert_ne!(play(0, None).unwrap().log, play(1, None).unwrap().log);
}

/// Which seed finds which mistake, and by which words. docs/durability.md has the same list.
const FOUND: &[(Sabotage, u64, &str)] = &[
    (Sabotage::AcknowledgeEarly, 0, "the journal does not have it"),
    (Sabotage::CountTwice, 0, "counts twice"),
    (Sabotage::ForgetRevoked, 0, "was revoked and gets"),
];

#[test]
fn mistakes_made_on_purpose_are_found_by_these_seeds() {
    for (sabotage, seed, words) in FOUND {
        let failure = play(*seed, Some(*sabotage)).expect_err("a mistake that nobody finds");
        assert!(failure.what.contains(words), "{sabotage:?}: {failure}");
        assert!(failure.to_string().contains(&format!("synod chaos --replay {seed}")), "it says how to see it again");
    }
}
