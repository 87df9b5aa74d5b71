//! The machine itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_common::blocks::{Head, Layout};
use synod_common::event::{EVENT_VERSION, Outcome, RunEvent};
use synod_common::extra::Extras;
use synod_common::ids::{ClientId, Digest, RoundId, SiteName};
use synod_common::plan::Plan;
use synod_common::state::State;
use synod_common::update::{Buffer, BufferPool};
use synod_common::wire::TaskKind;

use super::actions::{Action, Event, Measured, Millis, ModelVersion, OutTask, Received};
use super::aggregator::{CONTROL, guide, personal_head};
use super::closing::journal;
use super::phase::{Assembling, Member, Phase};
use super::resume::Begin;
use super::screening::Expected;
use crate::journal::Entry;

/// What a run begins with.
#[derive(Debug)]
pub struct Setup {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The model's layout.
    pub layout: Layout,
    /// The initial model, `[layout.len()]`.
    pub initial: Vec<f32>,
    /// What the strategy remembers of earlier rounds: empty for a run that begins.
    pub state: State,
    /// Where next models come from; its buffers have `layout.len()` values.
    pub pool: BufferPool,
}

/// A run: see the [module](super).
#[derive(Debug)]
pub struct Machine {
    pub(super) run: Run,
    phase: Phase,
}

/// What outlives phases.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) plan: Arc<Plan>,
    pub(super) plan_digest: Digest,
    pub(super) layout: Layout,
    pub(super) layout_digest: Digest,
    /// What travels beside models and deltas.
    pub(super) extras: Extras,
    pub(super) pool: BufferPool,
    pub(super) started: Millis,
    pub(super) sites: BTreeMap<ClientId, SiteName>,
    pub(super) model: Arc<ModelVersion>,
    /// What the strategy remembers of committed rounds.
    pub(super) state: Arc<State>,
    pub(super) central_pending: u64,
    /// Every site that was there at some time: what a share of the sites is a share of.
    pub(super) known: BTreeSet<ClientId>,
    /// The last committed round in which each site's update counted; kept where sites keep something of it.
    pub(super) last_counted: BTreeMap<ClientId, RoundId>,
    /// SCAFFOLD's control variate as committed, where the plan has it.
    pub(super) control: Option<Arc<[f32]>>,
    /// The head that each site has one of, where the plan has FedPAC.
    pub(super) head: Option<Head>,
    /// Sites that work on between rounds, where their updates count later.
    pub(super) carried: BTreeMap<ClientId, Member>,
    /// Updates that wait for the next round to open; at most one a site.
    pub(super) held: Vec<(SiteName, Box<Received>)>,
    /// The round of the last task of each site whose update was acknowledged, where older updates count.
    pub(super) acknowledged: BTreeMap<ClientId, RoundId>,
    pub(super) bytes_down: u64,
    pub(super) bytes_up: u64,
    /// Milliseconds that the run took in earlier lives of the coordinator.
    pub(super) run_ms_before: u64,
    /// Sites that were there when the coordinator ended and have not come back, and until when they are counted on.
    pub(super) returning: BTreeMap<ClientId, SiteName>,
    pub(super) returning_until: Millis,
    /// How it begins.
    pub(super) begin: Begin,
}

impl Machine {
    /// A run that has not begun. [`Event::Start`] begins it.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { plan, layout, initial, state, pool } = setup;
        let digest = layout.model_digest(&initial);
        let model = Arc::new(ModelVersion { round: RoundId(0), digest, values: Buffer::from(initial) });
        let head = personal_head(&plan, &layout);
        let mut run = Run {
            plan_digest: plan.digest(),
            layout_digest: layout.digest(),
            extras: Extras::new(&plan, &layout),
            plan,
            layout,
            pool,
            started: Millis::default(),
            sites: BTreeMap::new(),
            model,
            state: Arc::new(state),
            central_pending: 0,
            known: BTreeSet::new(),
            last_counted: BTreeMap::new(),
            control: None,
            head,
            carried: BTreeMap::new(),
            held: Vec::new(),
            acknowledged: BTreeMap::new(),
            bytes_down: 0,
            bytes_up: 0,
            run_ms_before: 0,
            returning: BTreeMap::new(),
            returning_until: Millis::default(),
            begin: Begin::New,
        };
        run.read_control();
        Self { run, phase: Phase::Idle }
    }

    /// Takes one event and says what should be done. Never fails: a site that breaks the rules is an ordinary case.
    pub fn step(&mut self, now: Millis, event: Event, actions: &mut Vec<Action>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Idle);
        let phase = self.run.step(phase, now, event, actions);
        self.phase = self.run.take_held(phase, now, actions);
    }

    /// How the run ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Done(outcome) => Some(outcome),
            Phase::Idle
            | Phase::Assembling(_)
            | Phase::Gathering(_)
            | Phase::Committing(_)
            | Phase::FinalEvaluation(_)
            | Phase::Ending(_) => None,
        }
    }

    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What the strategy remembers of committed rounds. A round that was not committed leaves it as it was.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.run.state
    }

    /// Sites that the run counts on: those that are there, those that were before a restart, and members of the open round
    /// who may still answer.
    #[must_use]
    pub fn counted_on(&self) -> BTreeSet<SiteName> {
        let members = match &self.phase {
            Phase::Gathering(gathering) => gathering.awaited(),
            Phase::Idle
            | Phase::Assembling(_)
            | Phase::Committing(_)
            | Phase::FinalEvaluation(_)
            | Phase::Ending(_)
            | Phase::Done(_) => Vec::new(),
        };
        self.run.sites.values().chain(self.run.returning.values()).cloned().chain(members).collect()
    }

    /// The last committed model.
    #[must_use]
    pub fn model(&self) -> &Arc<ModelVersion> {
        &self.run.model
    }
}

impl Run {
    fn step(&mut self, phase: Phase, now: Millis, event: Event, out: &mut Vec<Action>) -> Phase {
        match event {
            Event::Start => self.on_start(phase, now, out),
            Event::Tick => self.on_tick(phase, now, out),
            Event::Arrived { site, samples, class_counts } => {
                self.on_arrived(phase, now, &site, samples, class_counts, out)
            }
            Event::Left { site, reason } => self.on_left(phase, now, &site, &reason, out),
            Event::Expelled { site, reason } => self.on_expelled(phase, now, &site, &reason, out),
            Event::Progress { site, round, step, steps, loss } => {
                if matches!(&phase, Phase::Gathering(g) if g.members.get(&site.client_id()).is_some_and(|m| m.task == round))
                {
                    out.push(Action::Publish(RunEvent::Progress { round, site, step, steps, loss }));
                }
                phase
            }
            Event::Update { site, received } => {
                self.bytes_up = self.bytes_up.saturating_add(self.bytes_of(self.extras.update));
                self.on_update(phase, now, site, received, out)
            }
            Event::Declined { site, round, reason } => self.on_declined(phase, now, &site, round, &reason, out),
            Event::Faulted { site, reason } => {
                let round = open_round(&phase);
                out.push(Action::Publish(RunEvent::UpdateRefused { round, site, reason }));
                phase
            }
            Event::Evaluated { site, round, metrics } => self.on_evaluated(phase, now, site, round, metrics, out),
            Event::CentralEvaluation { round, result } => self.on_central(phase, now, round, result, out),
            Event::Committed { round } => self.on_committed(phase, now, round, out),
            Event::CommitFailed { round, reason } => match phase {
                Phase::Committing(c) if c.model.round == round => {
                    let reason = format!(
                        "the model of round {round} could not be saved: {reason}; the model of round {} is kept",
                        self.model.round
                    );
                    self.conclude(now, Outcome::Stopped { reason }, out)
                }
                other => other,
            },
            Event::Journalled(record) => self.on_journalled(phase, now, *record, out),
            Event::JournalFailed { record, reason } => self.on_journal_failed(phase, now, *record, &reason, out),
            Event::Interrupt => match phase {
                // What is decided is being written, which does not take long.
                Phase::Ending(_) | Phase::Done(_) => phase,
                Phase::Idle
                | Phase::Assembling(_)
                | Phase::Gathering(_)
                | Phase::Committing(_)
                | Phase::FinalEvaluation(_) => self.conclude(now, Outcome::Interrupted, out),
            },
        }
    }

    pub(super) fn on_start(&mut self, phase: Phase, now: Millis, out: &mut Vec<Action>) -> Phase {
        let Phase::Idle = phase else { return phase };
        self.started = now;
        match std::mem::take(&mut self.begin) {
            Begin::New => {}
            begin @ (Begin::Assembling | Begin::Committed | Begin::Open(_)) => return self.go_on(begin, now, out),
        }
        let (plan, layout, model) = (self.plan_digest, self.layout_digest, self.model.digest);
        journal(Entry::RunStarted { plan, layout, model }, out);
        out.push(Action::Publish(RunEvent::RunStarted {
            version: EVENT_VERSION,
            name: self.plan.name.clone(),
            plan: self.plan_digest,
            rounds: u64::from(self.plan.rounds),
            strategy: self.plan.aggregate.name(),
            parameters: self.layout.len() as u64,
            model: self.model.digest,
        }));
        if self.plan.evaluate.central_every > 0 {
            self.evaluate_centrally(out);
        }
        self.assemble(now, out)
    }

    pub(super) fn on_tick(&mut self, phase: Phase, now: Millis, out: &mut Vec<Action>) -> Phase {
        match phase {
            Phase::Assembling(assembling) => self.try_begin(assembling, now, out),
            Phase::Gathering(gathering) => self.try_close(gathering, now, out),
            Phase::FinalEvaluation(evaluation) => self.try_end(evaluation, now, out),
            Phase::Idle | Phase::Committing(_) | Phase::Ending(_) | Phase::Done(_) => phase,
        }
    }

    pub(super) fn on_central(
        &mut self,
        phase: Phase,
        now: Millis,
        round: RoundId,
        result: Result<Measured, String>,
        out: &mut Vec<Action>,
    ) -> Phase {
        self.central_pending = self.central_pending.saturating_sub(1);
        if let Ok(Measured { metrics, confusion }) = result {
            out.push(Action::Publish(RunEvent::Evaluated { round, metrics, confusion }));
        }
        match phase {
            Phase::FinalEvaluation(evaluation) => self.try_end(evaluation, now, out),
            Phase::Idle
            | Phase::Assembling(_)
            | Phase::Gathering(_)
            | Phase::Committing(_)
            | Phase::Ending(_)
            | Phase::Done(_) => phase,
        }
    }

    pub(super) fn on_committed(&mut self, phase: Phase, now: Millis, round: RoundId, out: &mut Vec<Action>) -> Phase {
        let committing = match phase {
            Phase::Committing(c) if c.model.round == round => c,
            other => return other,
        };
        self.model = committing.model;
        self.state = committing.state;
        self.read_control();
        self.last_counted.extend(committing.took_part.iter().map(|site| (site.client_id(), round)));
        out.push(Action::Publish(RunEvent::RoundCommitted {
            round,
            took_part: committing.took_part,
            left_out: committing.left_out,
            model: self.model.digest,
            step_norm: committing.step_norm,
            ms: now.since(committing.opened),
        }));
        let rounds = u64::from(self.plan.rounds);
        if self.plan.evaluate.central_in(round.0, rounds) {
            self.evaluate_centrally(out);
        }
        if round.0 < rounds { self.open(round.next(), 0, now, out) } else { self.begin_final_evaluation(now, out) }
    }

    pub(super) fn evaluate_centrally(&mut self, out: &mut Vec<Action>) {
        self.central_pending += 1;
        out.push(Action::EvaluateCentrally { model: Arc::clone(&self.model) });
    }

    pub(super) fn send(
        &mut self,
        site: &SiteName,
        round: RoundId,
        kind: TaskKind,
        deadline: Millis,
        out: &mut Vec<Action>,
    ) {
        let extra = match (kind, &self.head) {
            (_, Some(head)) => Some(guide(head, &self.state, &self.model.values, site.client_id()).into()),
            (TaskKind::Train, None) => self.control.clone(),
            (TaskKind::Evaluate, None) => None,
        };
        let bytes = self.bytes_of(self.extras.of_task(kind));
        let last_counted = self.last_counted.get(&site.client_id()).copied().unwrap_or(RoundId(0));
        self.bytes_down = self.bytes_down.saturating_add(bytes);
        let task = OutTask { round, kind, model: Arc::clone(&self.model), extra, last_counted, deadline };
        out.push(Action::Send { site: site.clone(), task });
    }

    /// What an update of `round` must satisfy.
    pub(super) fn expected(&self, round: RoundId, age: u64) -> Expected<'_> {
        Expected {
            round,
            age,
            plan: &self.plan,
            plan_digest: self.plan_digest,
            layout: &self.layout,
            layout_digest: self.layout_digest,
        }
    }

    /// Milliseconds that the run took so far, in all lives of the coordinator.
    pub(super) fn run_ms(&self, now: Millis) -> u64 {
        self.run_ms_before.saturating_add(now.since(self.started))
    }

    /// Bytes of a task or an update: the model's, and those of an extra vector.
    pub(super) fn bytes_of(&self, extra: Option<usize>) -> u64 {
        self.layout.bytes().saturating_add(Extras::bytes(extra))
    }

    /// Takes SCAFFOLD's control variate from the committed state; it begins at 0.
    pub(super) fn read_control(&mut self) {
        if self.plan.train.algorithm.scaffold.is_some() {
            let control = self.state.vector(CONTROL);
            self.control = Some(control.map_or_else(|| vec![0.0; self.layout.len()].into(), Arc::from));
        }
    }

    /// Waits for sites.
    pub(super) fn assemble(&mut self, now: Millis, out: &mut Vec<Action>) -> Phase {
        let time = self.plan.round.arrival.time;
        let (not_before, until) = (now.plus(time.min.as_millis()), now.plus(time.max.as_millis()));
        self.try_begin(Assembling { not_before, until }, now, out)
    }

    /// Begins with the first round if it is time; otherwise asks to be woken when it will be.
    pub(super) fn try_begin(&mut self, assembling: Assembling, now: Millis, out: &mut Vec<Action>) -> Phase {
        let rules = &self.plan.round.arrival;
        let (there, needed) = (self.sites.len(), rules.count.min);
        let enough = there >= needed as usize;
        if enough && (now >= assembling.not_before || rules.count.is_full(there)) {
            return self.open(self.model.round.next(), 0, now, out);
        }
        if now < assembling.until {
            out.push(Action::WakeAt(if enough { assembling.not_before } else { assembling.until }));
            return Phase::Assembling(assembling);
        }
        let names: Vec<_> = self.sites.values().map(ToString::to_string).collect();
        let reason = format!(
            "{there} of {needed} sites arrived within {} (there: {}); start the missing clients and run again, or lower round.arrival.count.min",
            rules.time.max,
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        );
        self.finish(Outcome::Stopped { reason }, out)
    }
}

fn open_round(phase: &Phase) -> RoundId {
    match phase {
        Phase::Gathering(g) => g.round,
        Phase::Committing(c) => c.model.round,
        Phase::Idle | Phase::Assembling(_) | Phase::FinalEvaluation(_) | Phase::Ending(_) | Phase::Done(_) => {
            RoundId(0)
        }
    }
}
