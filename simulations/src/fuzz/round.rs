//! The round machine under any sequence of events, also those that no driver gives.

use std::sync::{Arc, LazyLock};

use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::state::State;
use synod_common::time::Millis;
use synod_common::update::{BufferPool, Update, UpdateHeader};
use synod_common::wire::Answer;
use synod_coordinator::journal::Entry;
use synod_coordinator::round::{Action, Event, Machine, Measured, Received, Record, Setup};

use super::input::Input;

const PARAMETERS: usize = 3;

/// Plans whose machines differ: closing rules, strategies, control variates.
static PLANS: LazyLock<Vec<Arc<Plan>>> = LazyLock::new(|| {
    let head = "rounds = 3\nmodel = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n";
    let tails = [
        "",
        "[round]\nupdates.count.min = 1\nupdates.time.max = \"1s\"\nupdates.on_too_few = { wait = { longer = \"2s\" } }\n",
        "[round]\nupdates.count.min = 2\ncohort = 2\nupdates.time.max = \"2s\"\nupdates.grace = \"1s\"\nupdates.on_too_few = { retry = { times = 2 } }\n",
        "[aggregate.strategy]\nmedian = {}\n[round]\nupdates.count = { min = 1, max = 2 }\n",
        "[round]\nupdates.count.min = 1\nupdates.late = { fold = {} }\n",
        "[aggregate.strategy.principal_gradient]\nwarmup_rounds = 0\n[round]\nupdates.count.min = 2\nupdates.on_too_few = { shrink = { floor = 1 } }\n",
        "[train.algorithm]\nscaffold = {}\n[round]\nupdates.count.min = 1\n",
        "[aggregate]\nclip_norm = 1.0\nstrategy = { fedadam = {} }\n[round.async]\nbuffer = 2\n",
    ];
    let read = |tail: &str| Plan::read(&format!("{head}{tail}"), &AnyLoss).unwrap_or_else(|error| panic!("{error}"));
    tails.into_iter().map(read).map(Arc::new).collect()
});

/// The first byte chooses the plan; then each event is a few bytes.
pub(super) fn round_machine(bytes: &[u8]) {
    let mut input = Input(bytes);
    let plan = &PLANS[usize::from(input.byte()) % PLANS.len()];
    let layout = Layout::new(vec![BlockSpec { name: "w".into(), shape: vec![PARAMETERS], kind: BlockKind::Parameter }]);
    let layout = layout.expect("one block is a layout");
    let setup = Setup {
        plan: Arc::clone(plan),
        layout: layout.clone(),
        initial: vec![0.0; PARAMETERS],
        state: State::default(),
        pool: BufferPool::new(PARAMETERS, 4),
    };
    let mut driver = Driver { plan, layout, machine: Machine::new(setup), now: 0, given: Vec::new(), journalled: 0 };
    while !input.is_over() {
        let event = driver.event(&mut input);
        driver.step(event);
    }
    assert!(driver.machine.model().values.iter().all(|value| value.is_finite()), "models are finite");
}

struct Driver<'a> {
    plan: &'a Plan,
    layout: Layout,
    machine: Machine,
    now: u64,
    /// Records that the machine gave out.
    given: Vec<Record>,
    /// Updates that were said to be durable: so many may be acknowledged for the first time.
    journalled: usize,
}

impl Driver<'_> {
    fn event(&mut self, input: &mut Input<'_>) -> Event {
        self.now = match input.below(16) {
            0 => u64::MAX - 1_000,
            1 => self.now.saturating_add(600_000),
            ms => self.now.saturating_add(u64::from(ms) * 50),
        };
        let round = RoundId(u64::from(input.below(5)));
        match input.below(18) {
            0 => Event::Start,
            1 => Event::Tick,
            2 | 3 => Event::Arrived { site: site(input), samples: input.long(), class_counts: vec![input.long()] },
            4 => Event::Left { site: site(input), reason: "gone".to_owned() },
            5 => Event::Expelled { site: site(input), reason: "revoked".to_owned() },
            6 => Event::Progress { site: site(input), round, step: input.long(), steps: input.long(), loss: f64::NAN },
            7 => Event::Declined { site: site(input), round, reason: "no".to_owned() },
            8 => Event::Faulted { site: site(input), reason: "junk".to_owned() },
            9 => Event::Evaluated { site: site(input), round, metrics: Some(Metrics::default()) },
            10 => Event::CentralEvaluation { round, result: Ok(Measured::default()) },
            11 => Event::Committed { round },
            12 if input.byte() == 0 => Event::CommitFailed { round, reason: "full".to_owned() },
            13 if input.byte() == 0 => Event::Interrupt,
            14 | 15 if !self.given.is_empty() => {
                let at = usize::from(input.byte()) % self.given.len();
                let record = Box::new(self.given.swap_remove(at));
                if input.byte() == 0 {
                    return Event::JournalFailed { record, reason: "full".to_owned() };
                }
                self.journalled += usize::from(matches!(record.entry(), Entry::UpdateAccepted(_)));
                Event::Journalled(record)
            }
            _ => Event::Update { site: site(input), received: Received::screen(self.update(input, round)) },
        }
    }

    fn update(&self, input: &mut Input<'_>, round: RoundId) -> Update {
        let odd = input.byte();
        let header = UpdateHeader {
            round,
            plan: if odd == 1 { Digest([1; 32]) } else { self.plan.digest() },
            layout: if odd == 2 { Digest([1; 32]) } else { self.layout.digest() },
            samples: if odd == 3 { input.long() } else { 5 },
            steps: if odd == 4 { input.long() } else { 1 },
            loss_before: None,
            before: None,
            train: Metrics::default(),
            after: None,
            train_ms: input.long(),
        };
        let mut values = || (0..PARAMETERS + usize::from(odd == 5)).map(|_| input.float()).collect::<Vec<_>>().into();
        let delta = values();
        Update { header, delta, extra: (self.plan.train.algorithm.scaffold.is_some() && odd != 6).then(values) }
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        let (before, is_over) = (self.machine.model().round, self.machine.outcome().is_some());
        self.machine.step(Millis(self.now), event, &mut actions);
        let after = self.machine.model().round;
        assert!(after == before || after == before.next(), "versions grow by one");
        let mut accepted = 0;
        for action in actions {
            match action {
                Action::Journal(record) => self.given.push(*record),
                Action::Answer { answer: Answer::Accepted, .. } => accepted += 1,
                Action::Finish { .. } => assert!(!is_over, "a run ends once"),
                Action::Send { .. } | Action::Commit { .. } => assert!(!is_over, "nothing is asked for after the end"),
                Action::Answer { .. } | Action::EvaluateCentrally { .. } | Action::WakeAt(_) | Action::Publish(_) => {}
            }
        }
        assert!(accepted == 0 || self.journalled > 0, "nothing is acknowledged before anything is durable");
    }
}

fn site(input: &mut Input<'_>) -> SiteName {
    SiteName::new(["a", "b", "c", "d"][usize::from(input.below(4))]).expect("a letter is a name")
}
