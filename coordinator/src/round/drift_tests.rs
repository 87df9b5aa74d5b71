//! SCAFFOLD and FedDyn through the machine: what goes out, what comes in, and what is remembered only when it is committed.

use std::sync::Arc;

use synod_common::event::RunEvent;
use synod_common::ids::RoundId;

use super::tests::{Rig, refusal, site};
use super::{Action, Event, Millis, OutTask, Received};

const SCAFFOLD: &str = "[train.algorithm]\nscaffold = {}\n";
const FEDDYN: &str = "[train.algorithm.feddyn]\nalpha = 0.5\n[aggregate.strategy.fedavg]\nweighting = \"uniform\"\n";

impl Rig {
    /// An update with the change of a control variate.
    fn controlled(&mut self, name: &str, round: u64, delta: &[f32], change: Option<&[f32]>) -> Vec<Action> {
        let mut update = self.update_of(round, 5, delta.to_vec());
        update.extra = change.map(|change| change.to_vec().into());
        self.step(Event::Update { site: site(name), received: Received::screen(update) })
    }
}

fn tasks(actions: &[Action]) -> Vec<(String, OutTask)> {
    let task =
        |a: &Action| if let Action::Send { site, task } = a { Some((site.to_string(), task.clone())) } else { None };
    actions.iter().filter_map(task).collect()
}

fn control(task: &OutTask) -> &[f32] {
    task.extra.as_deref().expect("a training task of SCAFFOLD carries the control variate")
}

#[test]
fn scaffolds_control_moves_by_the_share_of_sites_that_took_part() {
    let mut rig = Rig::new(&format!("{SCAFFOLD}[round]\ncohort = 1\n"), &["a"]);
    let sent = tasks(&rig.arrive("b"));
    let [(member, first)] = sent.as_slice() else { panic!("a cohort of one: {sent:?}") };
    assert_eq!((control(first), first.last_counted), ([0.0, 0.0].as_slice(), RoundId(0)));
    let closed = rig.controlled(member, 1, &[1.0, 0.0], Some(&[2.0, 4.0]));
    assert!(rig.machine.state().is_empty(), "nothing is remembered before it is committed");
    let sent = tasks(&rig.commit(&closed));
    let [(next, second)] = sent.as_slice() else { panic!("a cohort of one: {sent:?}") };
    assert_eq!(control(second), [1.0, 2.0], "c + 1/2 * change");
    assert_eq!(second.last_counted, RoundId(u64::from(next == member)), "only what counted is gone on from");
    let RunEvent::UpdateAccepted { bytes_up, bytes_down, .. } =
        rig.events.iter().find(|e| matches!(e, RunEvent::UpdateAccepted { .. })).unwrap()
    else {
        unreachable!()
    };
    assert_eq!((*bytes_up, *bytes_down), (16, 16), "two vectors of two values each way");
}

#[test]
fn the_weights_of_deltas_are_not_those_of_controls() {
    let mut rig = Rig::new(SCAFFOLD, &["a", "b"]);
    let mut heavy = rig.update_of(1, 15, vec![4.0, 0.0]);
    heavy.extra = Some(vec![1.0, 0.0].into());
    rig.step(Event::Update { site: site("a"), received: Received::screen(heavy) });
    let closed = rig.controlled("b", 1, &[0.0, 0.0], Some(&[3.0, 0.0]));
    rig.commit(&closed);
    assert_eq!(&rig.machine.model().values[..], [3.0, 10.0], "by samples: (15 * 4 + 5 * 0) / 20");
    assert_eq!(rig.machine.state().vector("scaffold.control"), Some([2.0, 0.0].as_slice()), "(1 + 3) / 2");
}

#[test]
fn a_round_that_is_not_committed_advances_nobody() {
    let extra = format!("{SCAFFOLD}[round]\nupdates.time.max = \"1s\"\nupdates.on_too_few = \"retry\"\n");
    let mut rig = Rig::new(&extra, &["a", "b"]);
    rig.controlled("a", 1, &[1.0, 1.0], Some(&[9.0, 9.0]));
    rig.now = Millis(1000);
    let again = tasks(&rig.step(Event::Tick));
    assert_eq!(again.len(), 2, "the round begins again");
    for (_, task) in &again {
        assert_eq!((control(task), task.last_counted, task.round), ([0.0, 0.0].as_slice(), RoundId(0), RoundId(1)));
    }
    // The second try counts, and b comes too late for it: a goes on from round 1, b from its beginning.
    rig.controlled("a", 1, &[1.0, 1.0], Some(&[2.0, 0.0]));
    let closed = rig.controlled("b", 1, &[1.0, 1.0], Some(&[2.0, 0.0]));
    rig.step(Event::Left { site: site("b"), reason: "gone".into() });
    let sent = tasks(&rig.commit(&closed));
    assert_eq!(sent[0].1.last_counted, RoundId(1));
    assert_eq!(control(&sent[0].1), [2.0, 0.0]);
    // Back again in round 2, it goes on from what was committed.
    let back = tasks(&rig.arrive("b"));
    assert!(back.iter().all(|(_, task)| task.last_counted == RoundId(1)));
}

#[test]
fn a_control_that_is_missing_uninvited_or_not_sound_is_refused() {
    let cases: [(&str, Option<&[f32]>, &str); 5] = [
        (SCAFFOLD, None, "has no values beside its delta, the plan asks for 2"),
        ("", Some(&[0.0, 0.0]), "has 2 values beside its delta, the plan asks for no"),
        (SCAFFOLD, Some(&[0.0]), "has 1 values"),
        (SCAFFOLD, Some(&[0.0, f32::NAN]), "not finite in block `w` (value 1)"),
        (SCAFFOLD, Some(&[1e9, 0.0]), "the change of the control variate has the norm"),
    ];
    for (extra, change, expected) in cases {
        let mut rig = Rig::new(extra, &["a", "b"]);
        let actions = rig.controlled("a", 1, &[0.0, 0.0], change);
        assert!(refusal(&actions).contains(expected), "{} should contain {expected}", refusal(&actions));
    }
}

#[test]
fn feddyns_server_by_hand() {
    let mut rig = Rig::new(FEDDYN, &["a", "b"]);
    rig.update("a", 1, 1, &[1.0, 0.0]);
    let closed = rig.update("b", 1, 9, &[3.0, 0.0]);
    let sent = tasks(&rig.commit(&closed));
    assert!(sent.iter().all(|(_, task)| task.extra.is_none() && task.last_counted == RoundId(1)));
    // Mean 2, h = 0 - 0.5 * 2 = -1, the step 2 - h / 0.5 = 4. What is kept is -h / alpha.
    assert_eq!(&rig.machine.model().values[..], [4.0, 10.0]);
    assert_eq!(rig.machine.state().vector("movement"), Some([2.0, 0.0].as_slice()));
    rig.update("a", 2, 1, &[0.0, 2.0]);
    let closed = rig.update("b", 2, 1, &[2.0, 0.0]);
    rig.commit(&closed);
    // Mean (1, 1), h = (-1.5, -0.5), the step (1 + 3, 1 + 1).
    assert_eq!(&rig.machine.model().values[..], [8.0, 12.0]);
    assert_eq!(rig.machine.state().vector("movement"), Some([3.0, 1.0].as_slice()));
}

#[test]
fn feddyn_weighs_a_cohort_by_its_share() {
    let mut rig = Rig::new(&format!("{FEDDYN}[round]\nupdates.count.min = 1\n"), &["a", "b"]);
    let closed = rig.update("a", 1, 1, &[2.0, 0.0]);
    rig.commit(&closed);
    // h = -0.5 * 1/2 * 2 = -0.5, the step 2 + 1.
    assert_eq!(&rig.machine.model().values[..], [3.0, 10.0]);
    assert_eq!(Arc::clone(rig.machine.state()).vector("movement"), Some([1.0, 0.0].as_slice()));
}
