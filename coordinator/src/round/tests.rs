//! The machine as a story: events in, actions out.

use std::sync::Arc;

use proptest::prelude::*;
use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::{RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::state::State;
use synod_common::update::{BufferPool, Update, UpdateHeader};
use synod_common::wire::{Answer, TaskKind};

use super::{Action, Event, Machine, Measured, Millis, Received, Setup};

type Spoil = Box<dyn Fn(&mut Update)>;

fn plan(extra: &str) -> Arc<Plan> {
    let text = format!(
        "rounds = 2\nmodel = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n{extra}"
    );
    Arc::new(Plan::read(&text, &AnyLoss).unwrap())
}

fn layout() -> Layout {
    Layout::new(vec![BlockSpec { name: "w".into(), shape: vec![2], kind: BlockKind::Parameter }]).unwrap()
}

pub(super) fn site(name: &str) -> SiteName {
    SiteName::new(name).unwrap()
}

pub(super) struct Rig {
    pub(super) machine: Machine,
    plan: Arc<Plan>,
    layout: Layout,
    pub(super) now: Millis,
    pub(super) events: Vec<RunEvent>,
}

impl Rig {
    pub(super) fn new(extra: &str, sites: &[&str]) -> Self {
        Self::of(plan(extra), layout(), vec![0.0, 10.0], sites)
    }

    pub(super) fn of(plan: Arc<Plan>, layout: Layout, initial: Vec<f32>, sites: &[&str]) -> Self {
        let pool = BufferPool::new(initial.len(), 4);
        let setup = Setup { plan: Arc::clone(&plan), layout: layout.clone(), initial, state: State::default(), pool };
        let mut rig = Self { machine: Machine::new(setup), plan, layout, now: Millis(0), events: Vec::new() };
        rig.step(Event::Start);
        for name in sites {
            rig.arrive(name);
        }
        rig
    }

    pub(super) fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.machine.step(self.now, event, &mut actions);
        // A journal that is as fast as memory.
        while let Some(at) = actions.iter().position(|action| matches!(action, Action::Journal(_))) {
            let Action::Journal(record) = actions.remove(at) else { unreachable!("it was found there") };
            self.machine.step(self.now, Event::Journalled(record), &mut actions);
        }
        for action in &actions {
            if let Action::Publish(event) = action {
                self.events.push(event.clone());
            }
        }
        actions
    }

    pub(super) fn arrive(&mut self, name: &str) -> Vec<Action> {
        self.step(Event::Arrived { site: site(name), samples: 5, class_counts: vec![] })
    }

    pub(super) fn update_of(&self, round: u64, samples: u64, delta: Vec<f32>) -> Update {
        let header = UpdateHeader {
            round: RoundId(round),
            plan: self.plan.digest(),
            layout: self.layout.digest(),
            samples,
            steps: 1,
            loss_before: None,
            before: None,
            train: Metrics::default(),
            after: None,
            train_ms: 1,
        };
        Update { header, delta: delta.into(), extra: None }
    }

    pub(super) fn update(&mut self, name: &str, round: u64, samples: u64, delta: &[f32]) -> Vec<Action> {
        let update = self.update_of(round, samples, delta.to_vec());
        self.step(Event::Update { site: site(name), received: Received::screen(update) })
    }

    pub(super) fn commit(&mut self, actions: &[Action]) -> Vec<Action> {
        let round = actions
            .iter()
            .find_map(|a| if let Action::Commit { model, .. } = a { Some(model.round) } else { None })
            .expect("the round was closed");
        self.step(Event::Committed { round })
    }
}

#[test]
fn an_expelled_site_is_named_with_the_reason_and_is_not_waited_for() {
    let mut rig = Rig::new("[round]\nupdates.count.min = 1\nupdates.grace = \"10s\"\n", &["a", "b"]);
    rig.update("a", 1, 5, &[1.0, 1.0]);
    let expelled = Event::Expelled { site: site("b"), reason: "revoked by the operator".to_owned() };
    let actions = rig.step(expelled);
    rig.commit(&actions);
    let RunEvent::RoundCommitted { took_part, left_out, .. } =
        rig.events.iter().find(|event| matches!(event, RunEvent::RoundCommitted { .. })).expect("the round closed")
    else {
        unreachable!()
    };
    assert_eq!(took_part, &[site("a")]);
    assert_eq!((left_out[0].site.as_str(), left_out[0].reason.as_str()), ("b", "revoked by the operator"));
    // What it sent just before is not counted any more.
    let late = rig.update("b", 2, 5, &[1.0, 1.0]);
    assert!(refusal(&late).contains("not in the cohort"), "{late:?}");
}

fn answers(actions: &[Action]) -> Vec<&Answer> {
    actions.iter().filter_map(|a| if let Action::Answer { answer, .. } = a { Some(answer) } else { None }).collect()
}

pub(super) fn refusal(actions: &[Action]) -> &str {
    match answers(actions).as_slice() {
        [Answer::Refused { reason }] => reason,
        other => panic!("one refusal was expected, not {other:?}"),
    }
}

pub(super) fn tasks(actions: &[Action]) -> Vec<(String, TaskKind)> {
    let task =
        |a: &Action| if let Action::Send { site, task } = a { Some((site.to_string(), task.kind)) } else { None };
    actions.iter().filter_map(task).collect()
}

pub(super) fn closed(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Commit { .. }))
}

const MIN_ONE: &str = "[round]\nupdates.count.min = 1\nupdates.time.max = \"10s\"\n";

#[test]
fn a_run_goes_through_its_rounds_to_the_final_evaluation() {
    let mut rig = Rig::new("[data.normalise]\ndivide = { by = 16.0 }\n", &["a"]);
    let actions = rig.arrive("b");
    assert_eq!(tasks(&actions).len(), 2, "the round begins when sites_min sites are there");
    assert!(!closed(&rig.update("a", 1, 1, &[1.0, 0.0])));
    let actions = rig.update("b", 1, 3, &[5.0, 4.0]);
    assert_eq!(answers(&actions), vec![&Answer::Accepted]);
    rig.commit(&actions);
    assert_eq!(&rig.machine.model().values[..], &[4.0, 13.0], "weighted by samples: (1*1 + 3*5)/4 and (0 + 3*4)/4");
    rig.update("a", 2, 1, &[0.0, 0.0]);
    let actions = rig.update("b", 2, 1, &[0.0, 0.0]);
    let actions = rig.commit(&actions);
    assert!(tasks(&actions).iter().all(|t| t.1 == TaskKind::Evaluate), "sites measure the final model");
    for name in ["a", "b"] {
        rig.step(Event::Evaluated { site: site(name), round: RoundId(2), metrics: Some(Metrics::default()) });
    }
    assert!(rig.machine.outcome().is_none(), "central evaluations are still running");
    for round in [0, 1, 2] {
        rig.step(Event::CentralEvaluation { round: RoundId(round), result: Ok(Measured::default()) });
    }
    assert_eq!(rig.machine.outcome(), Some(&Outcome::Completed));
}

#[test]
fn late_update_is_answered_and_not_counted() {
    let mut rig = Rig::new(MIN_ONE, &["a", "b"]);
    let actions = rig.update("a", 1, 1, &[1.0, 1.0]);
    rig.commit(&actions);
    let before = rig.machine.model().digest;
    assert!(refusal(&rig.update("b", 1, 1, &[9.0, 9.0])).contains("too late"));
    assert_eq!(rig.machine.model().digest, before);
    // b is still in the cohort of round 2.
    assert_eq!(answers(&rig.update("b", 2, 1, &[0.0, 0.0])), vec![&Answer::Accepted]);
}

#[test]
fn an_update_sent_twice_counts_once_and_is_acknowledged_again() {
    let mut rig = Rig::new("", &["a", "b"]);
    rig.update("a", 1, 1, &[2.0, 0.0]);
    assert_eq!(answers(&rig.update("a", 1, 1, &[2.0, 0.0])), vec![&Answer::Accepted]);
    let actions = rig.update("b", 1, 1, &[0.0, 0.0]);
    rig.commit(&actions);
    assert_eq!(rig.machine.model().values[0], 1.0);
}

#[test]
fn bad_updates_are_refused_with_the_reason_and_named_in_the_report() {
    let bad: Vec<(&str, Spoil)> = vec![
        ("not finite in block `w` (value 1)", Box::new(|u| u.delta[1] = f32::NAN)),
        ("the norm", Box::new(|u| u.delta[0] = 1e9)),
        ("the model has 2", Box::new(|u| u.delta = vec![0.0; 3].into())),
        ("in layout", Box::new(|u| u.header.layout.0[0] ^= 1)),
        ("trained by plan", Box::new(|u| u.header.plan.0[0] ^= 1)),
        ("claims 0 training samples", Box::new(|u| u.header.samples = 0)),
        ("training samples", Box::new(|u| u.header.samples = u64::MAX)),
    ];
    for (expected, spoil) in bad {
        let mut rig = Rig::new(MIN_ONE, &["a", "b"]);
        let mut update = rig.update_of(1, 1, vec![0.0, 0.0]);
        spoil(&mut update);
        let actions = rig.step(Event::Update { site: site("a"), received: Received::screen(update) });
        assert!(refusal(&actions).contains(expected), "{} should contain {expected}", refusal(&actions));
        let actions = rig.update("b", 1, 1, &[1.0, 1.0]);
        rig.commit(&actions);
        assert_eq!(&rig.machine.model().values[..], &[1.0, 11.0], "the bad update changed nothing");
        let left_out = rig.events.iter().find_map(|e| match e {
            RunEvent::RoundCommitted { left_out, .. } => Some(left_out.clone()),
            _ => None,
        });
        assert_eq!(left_out.unwrap()[0].site, site("a"));
    }
}

#[test]
fn strangers_to_the_cohort_and_wrong_rounds_are_refused() {
    let mut rig = Rig::new("[round]\ncohort = 1\n", &["a", "b"]);
    let cohort = rig
        .events
        .iter()
        .find_map(|e| if let RunEvent::RoundStarted { cohort, .. } = e { Some(cohort.clone()) } else { None });
    let (member, stranger) = if cohort.unwrap()[0] == site("a") { ("a", "b") } else { ("b", "a") };
    assert!(refusal(&rig.update(stranger, 1, 1, &[1.0, 1.0])).contains("not in the cohort"));
    assert!(refusal(&rig.update(member, 7, 1, &[1.0, 1.0])).contains("answers round 7"));
    assert_eq!(answers(&rig.update(member, 1, 1, &[1.0, 1.0])), vec![&Answer::Accepted], "the member may still send");
}

#[test]
fn a_site_that_comes_back_gets_its_task_again_in_the_same_round() {
    let mut rig = Rig::new("", &["a", "b"]);
    rig.step(Event::Left { site: site("a"), reason: "timed out".into() });
    assert_eq!(tasks(&rig.arrive("a")), vec![("a".to_owned(), TaskKind::Train)]);
    rig.update("a", 1, 1, &[1.0, 1.0]);
    assert!(tasks(&rig.arrive("a")).is_empty(), "its update counts already");
}

#[test]
fn nothing_waits_without_a_deadline_and_the_culprit_is_named() {
    let mut rig = Rig::new("[round]\nupdates.time.max = \"10s\"\n", &["a", "b"]);
    rig.update("a", 1, 1, &[1.0, 1.0]);
    rig.step(Event::Left { site: site("b"), reason: "timed out".into() });
    rig.now = Millis(9_999);
    rig.step(Event::Tick);
    assert!(rig.machine.outcome().is_none());
    rig.now = Millis(10_000);
    rig.step(Event::Tick);
    let Some(Outcome::Stopped { reason }) = rig.machine.outcome() else { panic!("the run must stop") };
    insta::assert_snapshot!(reason, @"round 1 has 1 of the 2 updates it needs (b: not connected: timed out); the model of round 0 is kept");
}

#[test]
fn too_few_sites_end_the_run_at_the_arrival_deadline() {
    let mut rig = Rig::new("[round]\narrival.count.min = 3\narrival.time.max = \"5s\"\n", &["a", "b"]);
    rig.now = Millis(5_000);
    rig.step(Event::Tick);
    let Some(Outcome::Stopped { reason }) = rig.machine.outcome() else { panic!("the run must stop") };
    insta::assert_snapshot!(reason, @"2 of 3 sites arrived within 5s (there: b, a); start the missing clients and run again, or lower round.arrival.count.min");
}

#[test]
fn grace_keeps_the_round_open_after_the_minimum() {
    let mut rig = Rig::new("[round]\nupdates.count.min = 1\nupdates.grace = \"2s\"\n", &["a", "b"]);
    assert!(!closed(&rig.update("a", 1, 1, &[1.0, 1.0])));
    rig.now = Millis(1_999);
    assert!(!closed(&rig.step(Event::Tick)));
    rig.now = Millis(2_000);
    assert!(closed(&rig.step(Event::Tick)));
}

#[test]
fn retry_opens_the_same_round_again_a_limited_number_of_times() {
    let extra = "[round]\nupdates.time.max = \"1s\"\nupdates.on_too_few = { retry = { times = 2 } }\n";
    let mut rig = Rig::new(extra, &["a", "b"]);
    for second in 1..=3 {
        rig.now = Millis(second * 1000);
        rig.step(Event::Tick);
    }
    let retried = rig.events.iter().filter(|e| matches!(e, RunEvent::RoundRetried { .. })).count();
    assert_eq!(retried, 2);
    assert!(matches!(rig.machine.outcome(), Some(Outcome::Stopped { .. })));
}

#[test]
fn a_model_that_cannot_be_saved_stops_the_run_with_the_old_one() {
    let mut rig = Rig::new(MIN_ONE, &["a", "b"]);
    rig.update("a", 1, 1, &[1.0, 1.0]);
    rig.step(Event::CommitFailed { round: RoundId(1), reason: "no space left".into() });
    assert!(matches!(rig.machine.outcome(), Some(Outcome::Stopped { reason }) if reason.contains("no space left")));
    assert_eq!(rig.machine.model().round, RoundId(0));
}

#[test]
fn what_a_strategy_remembers_changes_only_when_a_round_is_committed() {
    let extra = "[aggregate]\nstrategy = { fedavgm = { momentum = 0.5 } }\n[round]\nupdates.count.min = 2\nupdates.on_too_few = \"retry\"\nupdates.time.max = \"10s\"";
    let mut rig = Rig::new(extra, &["a", "b"]);
    rig.update("a", 1, 5, &[1.0, 0.0]);
    let closed = rig.update("b", 1, 5, &[3.0, 0.0]);
    assert!(rig.machine.state().is_empty(), "the model is not durable yet");
    let state =
        closed.iter().find_map(|a| if let Action::Commit { state, .. } = a { Some(Arc::clone(state)) } else { None });
    rig.commit(&closed);
    assert_eq!(rig.machine.state().vector("momentum"), Some([2.0, 0.0].as_slice()));
    assert_eq!(state.as_deref(), Some(rig.machine.state().as_ref()), "it is saved with the model");
    // Round 2 does not get its updates and begins again: as if the first try had never been.
    rig.update("a", 2, 5, &[100.0, 0.0]);
    rig.now = Millis(20_000);
    rig.step(Event::Tick);
    rig.update("a", 2, 5, &[1.0, 0.0]);
    let closed = rig.update("b", 2, 5, &[1.0, 0.0]);
    assert_eq!(rig.machine.state().vector("momentum"), Some([2.0, 0.0].as_slice()));
    rig.commit(&closed);
    assert_eq!(rig.machine.state().vector("momentum"), Some([2.0, 0.0].as_slice()), "0.5 * 2 + 1");
    assert_eq!(&rig.machine.model().values[..], [4.0, 10.0]);
}

#[test]
fn an_update_must_say_what_its_strategy_asks_for() {
    let mut rig = Rig::new(
        "[train]\nloss_before = true\n[aggregate]\nstrategy = \"qfedavg\"\n[round]\narrival.count.min = 3",
        &["a", "b", "c"],
    );
    let refused = |rig: &mut Rig, name: &str, spoil: Spoil| {
        let mut update = rig.update_of(1, 5, vec![1.0, 0.0]);
        spoil(&mut update);
        refusal(&rig.step(Event::Update { site: site(name), received: Received::screen(update) })).to_owned()
    };
    let nothing = refused(&mut rig, "a", Box::new(|u| u.header.loss_before = None));
    assert!(nothing.contains("gives nothing as loss"), "{nothing}");
    let negative = refused(&mut rig, "b", Box::new(|u| u.header.loss_before = Some(-1.0)));
    assert!(negative.contains("gives -1 as loss"), "{negative}");
    // Five samples in batches of 32 are one step.
    let steps = refused(&mut rig, "c", Box::new(|u| (u.header.steps, u.header.loss_before) = (2, Some(1.0))));
    assert!(steps.contains("claims 2 steps of training, its 5 samples make at most 1"), "{steps}");
}

#[test]
fn an_interrupt_ends_the_run_in_every_phase() {
    let mut phases: Vec<Rig> = vec![Rig::new("", &[]), Rig::new("", &["a", "b"]), Rig::new(MIN_ONE, &["a", "b"])];
    phases[2].update("a", 1, 1, &[0.0, 0.0]);
    for rig in &mut phases {
        let actions = rig.step(Event::Interrupt);
        assert_eq!(rig.machine.outcome(), Some(&Outcome::Interrupted));
        assert!(actions.iter().any(|a| matches!(a, Action::Finish { .. })));
        assert!(refusal(&rig.update("a", 1, 1, &[0.0, 0.0])).contains("no round is open"));
    }
}

/// One thing a hostile or unlucky world may do to the machine.
fn any_event() -> impl Strategy<Value = (u8, u8, u64, f32)> {
    (0..9_u8, 0..4_u8, 0..4_u64, prop_oneof![Just(f32::NAN), Just(f32::MAX), -10.0_f32..10.0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever comes in whatever order: no panic, models stay finite, rounds grow by one, and after the chaos the run
    /// ends.
    #[test]
    fn no_sequence_of_events_breaks_the_machine(sequence in prop::collection::vec(any_event(), 0..60), principal: bool) {
        let strategy = if principal { "[aggregate.strategy.principal_gradient]\nwarmup_rounds = 0\n" } else { "" };
        let mut rig = Rig::new(&format!("{strategy}[round]\nupdates.count.min = 1\nupdates.time.max = \"1s\"\n"), &["s0", "s1"]);
        let mut committed = 0;
        let mut pending = None;
        for (kind, who, round, value) in sequence {
            let name = format!("s{who}");
            rig.now = rig.now.plus(u64::from(kind) * 20);
            let actions = match kind {
                0 => rig.arrive(&name),
                1 => rig.step(Event::Left { site: site(&name), reason: "gone".into() }),
                2 | 3 => rig.update(&name, round, round, &[value, 1.0]),
                4 => rig.step(Event::Declined { site: site(&name), round: RoundId(round), reason: "no".into() }),
                5 => rig.step(Event::Tick),
                6 => rig.step(Event::Evaluated { site: site(&name), round: RoundId(round), metrics: None }),
                7 => rig.step(Event::CentralEvaluation { round: RoundId(round), result: Err("no".into()) }),
                _ => match pending.take() {
                    Some(round) => rig.step(Event::Committed { round }),
                    None => rig.step(Event::Committed { round: RoundId(round) }),
                },
            };
            for action in &actions {
                if let Action::Commit { model, .. } = action {
                    prop_assert_eq!(model.round.0, committed + 1);
                    committed += 1;
                    pending = Some(model.round);
                }
            }
            prop_assert!(rig.machine.model().values.iter().all(|v| v.is_finite()));
        }
        // The chaos stops: saving works, time passes.
        for _ in 0..20 {
            if let Some(round) = pending.take() {
                for action in rig.step(Event::Committed { round }) {
                    if let Action::Commit { model, .. } = action { pending = Some(model.round); }
                }
            }
            rig.now = rig.now.plus(700_000);
            for action in rig.step(Event::Tick) {
                if let Action::Commit { model, .. } = action { pending = Some(model.round); }
            }
        }
        prop_assert!(rig.machine.outcome().is_some(), "the run must end");
    }

    /// The model does not depend on the order in which updates arrive, to the last bit.
    #[test]
    fn arrival_order_changes_nothing(deltas in prop::collection::vec((1_u64..50, -2.0_f32..2.0, -2.0_f32..2.0), 5), order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle(), principal: bool) {
        let strategy = if principal { "[aggregate.strategy.principal_gradient]\nwarmup_rounds = 0\n" } else { "" };
        let names = ["a", "b", "c", "d", "e"];
        let run = |order: &[usize]| {
            let mut rig = Rig::new(&format!("{strategy}[round]\narrival.count.min = 5\n"), &names);
            let mut actions = Vec::new();
            for i in order {
                let (samples, x, y) = deltas[*i];
                actions = rig.update(names[*i], 1, samples, &[x, y]);
            }
            rig.commit(&actions);
            rig.machine.model().digest
        };
        prop_assert_eq!(run(&[0, 1, 2, 3, 4]), run(&order));
    }
}
