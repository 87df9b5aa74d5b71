//! FedPAC through the machine: guides go out with every task, statistics come in with every update.

use std::sync::Arc;

use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::event::RunEvent;
use synod_common::extra::ClassStatistics;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::wire::TaskKind;

use super::tests::{Rig, refusal, site};
use super::{Action, Event, OutTask, Received};

/// A body of two values, and a head of two features and two classes.
const INITIAL: [f32; 8] = [1.0, -1.0, 0.5, 0.5, 0.25, 0.0, 2.0, -2.0];
const STATISTICS: ClassStatistics<'_> =
    ClassStatistics { shares: &[0.5, 0.5], centroids: &[1.0, 2.0, 3.0, 4.0], means: &[1.0; 4], variance: 0.5 };

fn rig() -> Rig {
    let text = "rounds = 1\npersonal = \"fedpac\"\nmodel = { mlp = { hidden = [2] } }\n[task.classification]\nclasses = 2\n\
                [data]\nsource = \"digits\"\nholdout = 0.2\n";
    let block = |name: &str, shape: &[usize]| BlockSpec {
        name: name.to_owned(),
        shape: shape.to_vec(),
        kind: BlockKind::Parameter,
    };
    let blocks = vec![block("in.bias", &[2]), block("out.weight", &[2, 2]), block("out.bias", &[2])];
    let plan = Arc::new(Plan::read(text, &AnyLoss).unwrap());
    Rig::of(plan, Layout::new(blocks).unwrap(), INITIAL.to_vec(), &["a"])
}

impl Rig {
    fn told(&mut self, name: &str, delta: [f32; 8], statistics: Option<Vec<f32>>) -> Vec<Action> {
        let mut update = self.update_of(1, 5, delta.to_vec());
        update.extra = statistics.map(Into::into);
        self.step(Event::Update { site: site(name), received: Received::screen(update) })
    }
}

fn guides(actions: &[Action], kind: TaskKind) -> Vec<(String, Vec<f32>)> {
    let guide = |task: &OutTask| task.extra.as_deref().expect("every task of FedPAC carries a guide").to_vec();
    let of = |action: &Action| match action {
        Action::Send { site, task } if task.kind == kind => Some((site.to_string(), guide(task))),
        _ => None,
    };
    actions.iter().filter_map(of).collect()
}

#[test]
fn every_task_carries_a_guide_and_the_last_one_the_mixed_head() {
    let mut rig = rig();
    let sent = guides(&rig.arrive("b"), TaskKind::Train);
    let first = [0.5, 0.5, 0.25, 0.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(
        sent.iter().map(|(_, guide)| guide.as_slice()).collect::<Vec<_>>(),
        [first, first],
        "the model's own head"
    );
    rig.told("a", [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0], Some(STATISTICS.to_values()));
    let closed = rig.told("b", [0.0; 8], Some(STATISTICS.to_values()));
    assert!(rig.machine.state().is_empty(), "nothing is remembered before it is committed");
    let sent = guides(&rig.commit(&closed), TaskKind::Evaluate);
    let last = [1.5, 0.5, 0.25, 0.0, 2.0, -2.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0];
    assert_eq!(sent.len(), 2);
    for (_, guide) in sent {
        assert!(guide.iter().zip(last).all(|(found, expected)| (found - expected).abs() < 1e-6), "{guide:?}");
    }
    let accepted = rig.events.iter().find_map(|event| match event {
        RunEvent::UpdateAccepted { bytes_up, bytes_down, .. } => Some((*bytes_up, *bytes_down)),
        _ => None,
    });
    assert_eq!(accepted, Some((4 * (8 + 11), 4 * (8 + 12))));
}

#[test]
fn statistics_that_are_missing_or_false_are_refused() {
    let mut shares = STATISTICS.to_values();
    shares[0] = 0.75;
    let mut wild = STATISTICS.to_values();
    wild[3] = f32::INFINITY;
    let mut far = STATISTICS.to_values();
    far[3] = 1e9;
    let cases = [
        (None, "has no values beside its delta, the plan asks for 11"),
        (Some(vec![0.0; 8]), "has 8 values beside its delta"),
        (Some(shares), "shares of the classes are negative or sum to 1.25"),
        (Some(wild), "not finite"),
        (Some(far), "the vector of class statistics has the norm"),
    ];
    for (statistics, expected) in cases {
        let mut rig = rig();
        rig.arrive("b");
        let refused = rig.told("a", [0.0; 8], statistics);
        assert!(refusal(&refused).contains(expected), "{} should contain {expected}", refusal(&refused));
    }
}
