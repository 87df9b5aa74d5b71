//! Updates of earlier rounds: answered and told of, folded into the next round, or buffered in asynchronous rounds.

use proptest::prelude::*;
use synod_common::event::RunEvent;
use synod_common::plan::Staleness;

use super::tests::{Rig, closed, refusal, site, tasks};
use super::{Action, Event, Millis};

/// One site late in round 1: with a minimum of 2 the round closes without c.
const FOLD: &str = "[round]\narrival.count.min = 3\nupdates.count.min = 2\nupdates.late = { fold = { staleness = { polynomial = { a = 1 } }, staleness_max = 2 } }\n";
const BUFFER: &str = "[round]\narrival.count.min = 3\nasync = { buffer = 2, staleness = { polynomial = { a = 1 } }, staleness_max = 2 }\n";

impl Rig {
    fn late(&self) -> Vec<(String, u64, u64, Option<f64>)> {
        let late = |e: &RunEvent| match e {
            RunEvent::UpdateLate { round, site, rounds_late, weight } => {
                Some((site.to_string(), round.0, *rounds_late, *weight))
            }
            _ => None,
        };
        self.events.iter().filter_map(late).collect()
    }

    fn last_round(&self) -> (Vec<String>, Vec<String>) {
        let names = |e: &RunEvent| match e {
            RunEvent::RoundCommitted { took_part, left_out, .. } => Some((
                took_part.iter().map(ToString::to_string).collect(),
                left_out.iter().map(|l| l.site.to_string()).collect(),
            )),
            _ => None,
        };
        self.events.iter().rev().find_map(names).expect("a round was committed")
    }
}

fn asked(actions: &[Action]) -> Vec<String> {
    let mut names: Vec<_> = tasks(actions).into_iter().map(|(site, _)| site).collect();
    names.sort();
    names
}

#[test]
fn a_dropped_late_update_is_told_of() {
    let mut rig = Rig::new("[round]\narrival.count.min = 3\nupdates.count.min = 2\n", &["a", "b", "c"]);
    rig.update("a", 1, 1, &[1.0, 0.0]);
    let actions = rig.update("b", 1, 1, &[1.0, 0.0]);
    rig.commit(&actions);
    insta::assert_snapshot!(refusal(&rig.update("c", 1, 1, &[9.0, 9.0])), @"the update answers round 1, which closed; round 2 is open, the update came too late and is not counted, nothing is to be done");
    assert_eq!(rig.late(), [("c".to_owned(), 1, 1, None)]);
}

#[test]
fn a_late_update_is_folded_into_the_next_round_by_its_weight() {
    let mut rig = Rig::new(FOLD, &["a", "b", "c"]);
    rig.update("a", 1, 1, &[2.0, 0.0]);
    let actions = rig.update("b", 1, 1, &[4.0, 0.0]);
    let actions = rig.commit(&actions);
    assert_eq!(asked(&actions), ["a", "b"], "c still works on round 1");
    assert_eq!(rig.last_round().1, ["c"]);
    assert!(!closed(&rig.update("c", 1, 2, &[6.0, 0.0])), "it does not fill the round");
    assert_eq!(rig.late(), [("c".to_owned(), 1, 1, Some(0.5))]);
    // Sent again after a lost answer, it counts once.
    assert!(!closed(&rig.update("c", 1, 2, &[6.0, 0.0])));
    rig.update("a", 2, 1, &[1.0, 0.0]);
    let actions = rig.update("b", 2, 1, &[1.0, 0.0]);
    rig.commit(&actions);
    // 3 of round 1; then (1 * 1 + 1 * 1 + 2 * (6 / 2)) / 4.
    assert_eq!(&rig.machine.model().values[..], [5.0, 10.0]);
    assert_eq!(rig.last_round(), (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], vec![]));
}

#[test]
fn a_folded_update_can_come_while_the_model_is_being_saved() {
    let mut rig = Rig::new(FOLD, &["a", "b", "c"]);
    rig.update("a", 1, 1, &[2.0, 0.0]);
    let saving = rig.update("b", 1, 1, &[4.0, 0.0]);
    assert!(rig.update("c", 1, 2, &[6.0, 0.0]).is_empty(), "it waits");
    rig.commit(&saving);
    assert_eq!(rig.late(), [("c".to_owned(), 1, 1, Some(0.5))]);
}

#[test]
fn a_late_site_that_leaves_owes_nothing() {
    let mut rig = Rig::new(FOLD, &["a", "b", "c"]);
    rig.update("a", 1, 1, &[2.0, 0.0]);
    let actions = rig.update("b", 1, 1, &[4.0, 0.0]);
    rig.commit(&actions);
    rig.step(Event::Left { site: site("c"), reason: "gone".into() });
    rig.arrive("c");
    assert!(refusal(&rig.update("c", 1, 2, &[6.0, 0.0])).contains("too late"));
    rig.update("a", 2, 1, &[0.0, 0.0]);
    let actions = rig.update("b", 2, 1, &[0.0, 0.0]);
    rig.commit(&actions);
    assert_eq!(&rig.machine.model().values[..], [3.0, 10.0]);
}

#[test]
fn a_full_buffer_makes_the_next_model_while_others_train_on() {
    let mut rig = Rig::new(BUFFER, &["a", "b", "c"]);
    assert!(asked(&rig.update("a", 1, 1, &[2.0, 0.0])).is_empty(), "from each model a site trains once");
    let actions = rig.update("b", 1, 3, &[6.0, 4.0]);
    let actions = rig.commit(&actions);
    assert_eq!(&rig.machine.model().values[..], [5.0, 13.0], "fresh updates as FedAvg has them");
    assert_eq!(asked(&actions), ["a", "b"], "c still trains from the first model");
    assert_eq!(rig.last_round().1, Vec::<String>::new(), "and is not left out");
    // c delivers, one model late, and gets the new one at once.
    assert_eq!(asked(&rig.update("c", 1, 1, &[4.0, 0.0])), ["c"]);
    assert_eq!(rig.late(), [("c".to_owned(), 1, 1, Some(0.5))]);
    let actions = rig.update("c", 2, 1, &[2.0, 2.0]);
    rig.commit(&actions);
    // (4 / 2 + 2) / 2 and (0 + 2) / 2: c counts twice, once with each model.
    assert_eq!(&rig.machine.model().values[..], [7.0, 14.0]);
    assert_eq!(rig.last_round().0, ["c"]);
}

#[test]
fn updates_that_are_too_old_are_refused_and_their_site_goes_on() {
    let extra = BUFFER.replace("staleness_max = 2", "staleness_max = 0");
    let mut rig = Rig::new(&extra, &["a", "b", "c"]);
    rig.update("a", 1, 1, &[2.0, 0.0]);
    let actions = rig.update("b", 1, 1, &[2.0, 0.0]);
    let actions = rig.commit(&actions);
    assert_eq!(asked(&actions), ["a", "b", "c"], "what c does would be too old");
    assert!(refusal(&rig.update("c", 1, 1, &[9.0, 0.0])).contains("too late"));
}

#[test]
fn no_more_sites_train_at_once_than_the_plan_says() {
    let extra = BUFFER.replace("buffer = 2", "buffer = 2, concurrency = 2");
    let mut rig = Rig::new(&extra, &["a", "b", "c"]);
    let working = asked(&rig.arrive("d"));
    assert!(working.is_empty(), "two are at work");
    let first: Vec<String> = rig
        .events
        .iter()
        .find_map(|e| match e {
            RunEvent::RoundStarted { cohort, .. } => Some(cohort.iter().map(ToString::to_string).collect()),
            _ => None,
        })
        .unwrap();
    assert_eq!(first.len(), 2);
    let next = asked(&rig.update(&first[0], 1, 1, &[0.0, 0.0]));
    assert_eq!(next.len(), 1);
    assert!(!first.contains(&next[0]), "someone who has not trained from this model");
    // One leaves, and its place is taken.
    let actions = rig.step(Event::Left { site: site(&first[1]), reason: "gone".into() });
    assert_eq!(asked(&actions).len(), 1);
}

#[test]
fn a_buffer_that_does_not_fill_ends_at_its_deadline() {
    let mut rig = Rig::new(&format!("{BUFFER}updates.time.max = \"5s\"\n"), &["a", "b", "c"]);
    rig.update("a", 1, 1, &[2.0, 0.0]);
    rig.now = Millis(5_000);
    rig.step(Event::Tick);
    assert!(rig.machine.outcome().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever comes in whatever order, the models are those of a naive computation of FedBuff over the acknowledged updates.
    #[test]
    fn models_are_those_of_a_naive_fedbuff(steps in prop::collection::vec((0..4_usize, 1..9_u32, -4_i8..5), 0..60), hinge: bool) {
        let staleness = if hinge { Staleness::Hinge { a: 1.0, b: 0 } } else { Staleness::Polynomial { a: 1.0 } };
        let text = if hinge { "{ hinge = { a = 1, b = 0 } }" } else { "{ polynomial = { a = 1 } }" };
        let extra = format!("[round]\narrival.count.min = 4\nasync = {{ buffer = 3, staleness = {text}, staleness_max = 2 }}\n");
        let names = ["a", "b", "c", "d"];
        let mut rig = Rig::new(&extra, &names);
        // The version that each site trains from; None: it waits for the next one.
        let (mut version, mut trains) = (1_u64, [Some(1_u64); 4]);
        let (mut model, mut buffer) = (0.0_f64, Vec::new());
        for (who, samples, value) in steps {
            let Some(from) = trains[who] else { continue };
            let actions = rig.update(names[who], from, u64::from(samples), &[f32::from(value), 0.0]);
            // A site whose work got too old was given the newest model when that was made.
            let weight = staleness.weight(version - from);
            buffer.push((f64::from(samples), f64::from((f64::from(value) * weight) as f32)));
            trains[who] = (from < version).then_some(version);
            if buffer.len() == 3 {
                let total: f64 = buffer.iter().map(|(n, _)| n).sum();
                model += buffer.iter().map(|(n, v)| n * v).sum::<f64>() / total;
                buffer.clear();
                prop_assert!(closed(&actions));
                rig.commit(&actions);
                if version == 2 {
                    break;
                }
                version += 1;
                trains.iter_mut().for_each(|t| *t = (*t).or(Some(version)));
            } else {
                prop_assert!(!closed(&actions));
            }
        }
        let got = f64::from(rig.machine.model().values[0]);
        prop_assert!((got - model).abs() < 1e-5, "{got} and {model}");
    }
}
