//! A whole federation in one thread: a machine, a journal on a [`Disk`], and sites that train the same numbers whenever they are
//! asked. It can be stopped after any action.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::event::Outcome;
use synod_common::extra::Extras;
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::state::State;
use synod_common::update::{BufferPool, Update, UpdateHeader};
use synod_common::wire::{Answer, TaskKind};

use super::super::{Journal, Keep, Write};
use super::double::Disk;
use crate::round::{Action, Event, Machine, Measured, Millis, Received, Setup};

pub(super) fn site(name: &str) -> SiteName {
    SiteName::new(name).unwrap()
}

fn layout() -> Layout {
    Layout::new(vec![BlockSpec { name: "w".into(), shape: vec![3], kind: BlockKind::Parameter }]).unwrap()
}

/// What a run of one plan is made of.
pub(super) struct Script {
    pub(super) plan: Arc<Plan>,
    pub(super) keep: Keep,
    pub(super) sites: Vec<SiteName>,
}

/// How a run, or a part of it, ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) outcome: Option<Outcome>,
    pub(super) model: Digest,
    /// Actions that were carried out.
    pub(super) actions: usize,
}

/// What a crash must not undo.
#[derive(Debug, Default)]
pub(super) struct Promises {
    pub(super) acknowledged: BTreeSet<(RoundId, SiteName)>,
}

impl Script {
    pub(super) fn new(extra: &str, sites: &[&str]) -> Self {
        let text = format!(
            "rounds = 3\nmodel = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\nholdout = 0.1\n{extra}"
        );
        let plan = Arc::new(Plan::read(&text, &AnyLoss).unwrap());
        Self { plan, keep: Keep::default(), sites: sites.iter().map(|name| site(name)).collect() }
    }

    pub(super) fn setup(&self) -> Setup {
        Setup {
            plan: Arc::clone(&self.plan),
            layout: layout(),
            initial: vec![0.0, 10.0, -1.0],
            state: State::default(),
            pool: BufferPool::new(3, 4),
        }
    }

    fn update(&self, site: &SiteName, round: RoundId, model: &[f32]) -> Update {
        let seed = f32::from(site.client_id().0[0]) / 64.0 - 2.0;
        let delta: Vec<f32> = model.iter().map(|v| seed + (round.0 as f32) / 8.0 - v / 16.0).collect();
        let extra =
            Extras::new(&self.plan, &layout()).update.map(|_| delta.iter().map(|v| v / 3.0).collect::<Vec<_>>().into());
        let header = UpdateHeader {
            round,
            plan: self.plan.digest(),
            layout: layout().digest(),
            samples: 5 + u64::from(site.client_id().0[1] % 7),
            steps: 1,
            loss_before: None,
            before: None,
            train: Metrics::default(),
            after: None,
            train_ms: 1,
        };
        Update { header, delta: delta.into(), extra }
    }

    /// Runs on `disk` until the run ends or `stop` actions were carried out.
    pub(super) fn run(&self, disk: &Disk, stop: usize, promises: &mut Promises) -> End {
        let journal = disk.open(self.keep).expect("a journal that only crashed can be opened");
        let machine = journal.machine(self.setup()).expect("and gone on with");
        self.drive(machine, journal, stop, promises)
    }

    /// As [`Script::run`], with what was opened.
    pub(super) fn drive(
        &self,
        mut machine: Machine,
        mut journal: Journal,
        stop: usize,
        promises: &mut Promises,
    ) -> End {
        let mut queue = VecDeque::from([Event::Start]);
        let arrived = |site: &SiteName| Event::Arrived { site: site.clone(), samples: 5, class_counts: vec![] };
        // One after the other, each when there is nothing else to do; after a crash those who were first come last, perhaps only
        // when their round is closed.
        let mut late: VecDeque<Event> = if journal.entries() == 0 {
            self.sites.iter().map(arrived).collect()
        } else {
            self.sites.iter().rev().map(arrived).collect()
        };
        let (mut now, mut wake, mut done) = (Millis(0), None, 0);
        loop {
            let event = queue.pop_front().or_else(|| late.pop_front()).unwrap_or_else(|| {
                now = now.max(wake.take().expect("a run that waits has a time to wake up"));
                Event::Tick
            });
            now = now.plus(1);
            let mut actions = Vec::new();
            machine.step(now, event, &mut actions);
            for action in actions {
                if done == stop {
                    return End { outcome: None, model: machine.model().digest, actions: done };
                }
                done += 1;
                match action {
                    Action::Journal(record) => queue.extend(journal.write(vec![Write::Record(record)])),
                    Action::Commit { entry, model, state } => {
                        queue.extend(journal.write(vec![Write::Commit { entry, model, state }]));
                    }
                    Action::Send { site, task } if task.kind == TaskKind::Evaluate => {
                        queue.push_back(Event::Evaluated {
                            site,
                            round: task.round,
                            metrics: Some(Metrics::default()),
                        });
                    }
                    Action::Send { site, task } => {
                        let asked = (task.round, site.clone());
                        assert!(
                            !promises.acknowledged.contains(&asked),
                            "{asked:?} is asked again after its update counted"
                        );
                        // The site called `no` cannot.
                        queue.push_back(if site.as_str() == "no" {
                            Event::Declined { site, round: task.round, reason: "no".into() }
                        } else {
                            let received = Received::screen(self.update(&site, task.round, &task.model.values));
                            Event::Update { site, received }
                        });
                    }
                    Action::Answer { site, round, answer } => {
                        if answer == Answer::Accepted {
                            promises.acknowledged.insert((round, site));
                        }
                    }
                    Action::EvaluateCentrally { model } => {
                        queue.push_back(Event::CentralEvaluation {
                            round: model.round,
                            result: Ok(Measured::default()),
                        });
                    }
                    Action::WakeAt(at) => wake = Some(at),
                    Action::Publish(_) => {}
                    Action::Finish { outcome, model } => {
                        return End { outcome: Some(outcome), model: model.digest, actions: done };
                    }
                }
            }
        }
    }
}
