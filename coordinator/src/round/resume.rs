//! A run that goes on where a coordinator ended without finishing it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use synod_common::event::{EVENT_VERSION, RunEvent};
use synod_common::ids::{ClientId, Digest, RoundId, SiteName};
use synod_common::state::State;
use synod_common::update::Update;

use super::actions::{Action, Millis, ModelVersion, Received};
use super::aggregator::Aggregator;
use super::machine::{Machine, Run, Setup};
use super::phase::{FinalEvaluation, Gathering, Member, MemberState, Phase};
use crate::journal::{Accepted, Opened};

/// What the journal knows of a run that has not ended.
#[derive(Debug)]
pub struct Recovered {
    /// The model hash of the initial model.
    pub initial: Digest,
    /// The last committed model; `None` before the first.
    pub model: Option<ModelVersion>,
    /// What the strategy remembers with that model.
    pub state: State,
    /// Every site that was there at some time.
    pub known: BTreeSet<SiteName>,
    /// The last committed round in which each site's update counted.
    pub last_counted: BTreeMap<SiteName, RoundId>,
    /// Sites that were there when the coordinator ended, as far as known.
    pub present: BTreeSet<SiteName>,
    /// Where the run was.
    pub position: Position,
    /// Model and update bytes sent to sites until the last commit.
    pub bytes_down: u64,
    /// Model and update bytes received from sites until the last commit.
    pub bytes_up: u64,
    /// Milliseconds that the run took until the last commit.
    pub run_ms: u64,
}

/// Where a run was when its coordinator ended.
#[derive(Debug, Default)]
pub enum Position {
    /// No round was open and nobody was there: it waits for sites, as at its beginning.
    #[default]
    Assembling,
    /// A round was committed, and the next had not opened.
    Committed,
    /// A round was open.
    Open(OpenRound),
}

/// A round that was open.
#[derive(Debug)]
pub struct OpenRound {
    /// As it was opened; the time left is that of its last entry.
    pub opened: Opened,
    /// Members that are out, and why.
    pub out: BTreeMap<SiteName, String>,
    /// Updates that count.
    pub accepted: Vec<Accepted>,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError<E: std::error::Error + 'static> {
    /// The plan gives another initial model here.
    #[error(
        "the run began with the model {}, here the plan gives {}; go on with the release and on the kind of machine that began it",
        recorded.short(),
        now.short()
    )]
    Initial {
        /// What was recorded.
        recorded: Digest,
        /// What the plan gives here.
        now: Digest,
    },
    /// The journal cannot be gone on with.
    #[error(transparent)]
    Journal(E),
    /// An update that was acknowledged cannot be read.
    #[error(
        "the update of site {site} for round {round} was acknowledged and cannot be read any more: {source}; restore the run's folder from a copy, or begin anew with another"
    )]
    Update {
        /// Who sent it.
        site: SiteName,
        /// Its round.
        round: RoundId,
        /// Why.
        source: E,
    },
    /// What was recorded does not go with this plan.
    #[error(
        "round {round} cannot go on as it was recorded: {reason}; use the release that began the run, or begin anew in another folder"
    )]
    Round {
        /// The open round.
        round: RoundId,
        /// What does not fit.
        reason: String,
    },
}

/// How long sites that were there are counted on after a restart: until the old connection is given up (20 s), the longest pause (30 s)
/// and a handshake are over.
const RETURN_MS_MAX: u64 = 60_000;

/// How a run begins.
#[derive(Debug, Default)]
pub(super) enum Begin {
    /// For the first time.
    #[default]
    New,
    /// Again, waiting for sites.
    Assembling,
    /// Again, with the next round.
    Committed,
    /// Again, with an open round. Its deadline is the time left.
    Open(Box<Gathering>),
}

impl Machine {
    /// A run that goes on. `load` reads the update of a site that counts in the open round; one after the other, so that no
    /// more of them are in memory than the strategy holds. [`Event::Start`](super::Event::Start) lets it go on.
    ///
    /// # Errors
    /// When an update cannot be read, or what was recorded does not go with the plan.
    pub fn resume<E: std::error::Error + 'static>(
        setup: Setup,
        recovered: Recovered,
        mut load: impl FnMut(&Accepted) -> Result<Update, E>,
    ) -> Result<Self, ResumeError<E>> {
        let mut machine = Self::new(setup);
        let run = &mut machine.run;
        if run.model.digest != recovered.initial {
            let (recorded, now) = (recovered.initial, run.model.digest);
            return Err(ResumeError::Initial { recorded, now });
        }
        if let Some(model) = recovered.model {
            run.model = Arc::new(model);
        }
        run.state = Arc::new(recovered.state);
        run.read_control();
        run.known = recovered.known.iter().map(SiteName::client_id).collect();
        run.last_counted = recovered.last_counted.iter().map(|(site, round)| (site.client_id(), *round)).collect();
        (run.bytes_down, run.bytes_up, run.run_ms_before) =
            (recovered.bytes_down, recovered.bytes_up, recovered.run_ms);
        run.returning = recovered.present.into_iter().map(|site| (site.client_id(), site)).collect();
        run.begin = match recovered.position {
            Position::Assembling => Begin::Assembling,
            Position::Committed if run.returning.is_empty() => Begin::Assembling,
            Position::Committed => Begin::Committed,
            Position::Open(open) if run.plan.round.takes_old() => {
                let accepted = open.accepted.iter();
                run.acknowledged = accepted.map(|a| (a.site.client_id(), a.header.round)).collect();
                Begin::Open(Box::new(run.rebuild(open, &mut load)?))
            }
            Position::Open(open) => Begin::Open(Box::new(run.rebuild(open, &mut load)?)),
        };
        Ok(machine)
    }
}

impl Run {
    fn rebuild<E: std::error::Error + 'static>(
        &self,
        open: OpenRound,
        load: &mut impl FnMut(&Accepted) -> Result<Update, E>,
    ) -> Result<Gathering, ResumeError<E>> {
        let Opened { round, attempt, cohort, updates_min, sites, time_left_ms, extended } = open.opened;
        let failed = |reason: String| ResumeError::Round { round, reason };
        let sites = usize::try_from(sites).unwrap_or(usize::MAX);
        let mut aggregator = Aggregator::new(&self.plan, round, &self.layout, self.updates_max(cohort.len()), sites)
            .map_err(|error| failed(error.to_string()))?;
        let away =
            || MemberState::Away { reason: "it has not come back since the coordinator was started again".into() };
        let mut members: BTreeMap<_, _> =
            cohort.into_iter().map(|name| (name.client_id(), Member { name, task: round, state: away() })).collect();
        for (site, reason) in open.out {
            if let Some(member) = members.get_mut(&site.client_id()) {
                member.state = MemberState::Out { reason };
            }
        }
        let (mut late, mut counted) = (BTreeMap::new(), BTreeSet::new());
        for accepted in open.accepted {
            let (site, task) = (accepted.site.clone(), accepted.header.round);
            let id = site.client_id();
            let is_open = |m: &Member| matches!(m.state, MemberState::Away { .. });
            let is_old = task < round;
            if !is_old && !members.get(&id).is_some_and(is_open) {
                continue;
            }
            let update = load(&accepted).map_err(|source| ResumeError::Update { site: site.clone(), round, source })?;
            let received = Received::screen(update);
            let passed = self.expected(task, round.0.saturating_sub(task.0)).check(&received);
            let passed = passed.map_err(|reason| failed(format!("{site}: {reason}")))?;
            let Update { delta, extra, .. } = received.update;
            let extra = extra.zip(passed.extra);
            let state = match aggregator.push(id, passed.contribution, delta, passed.screened, extra) {
                Ok(()) => MemberState::Counted,
                Err(error) => MemberState::Out { reason: error.to_string() },
            };
            if matches!(state, MemberState::Counted) {
                counted.insert(site.clone());
            }
            let member = Member { name: site, task, state };
            match is_old {
                // In asynchronous rounds old updates are like the others.
                true if self.plan.round.asynchronous.is_some() => {}
                true => drop(late.insert(id, member)),
                false => drop(members.insert(id, member)),
            }
        }
        let updates_min = usize::try_from(updates_min).unwrap_or(usize::MAX);
        let (time, left) = (self.plan.round.updates.time, time_left_ms);
        // What is left of the time that it stays open at least.
        let not_before = Millis(time.min.as_millis().saturating_add(left).saturating_sub(time.max.as_millis()));
        Ok(Gathering {
            round,
            attempt,
            opened: Millis::default(),
            not_before,
            deadline: Millis(left),
            extended,
            enough_at: None,
            updates_min,
            members,
            late,
            counted,
            aggregator,
        })
    }

    /// Sites that are there, and after a restart those that were and will be back: a coordinator's death must not change who takes
    /// part.
    pub(super) fn present(&self, now: Millis) -> BTreeMap<ClientId, SiteName> {
        let mut present = self.sites.clone();
        if now < self.returning_until {
            present.extend(self.returning.iter().map(|(id, site)| (*id, site.clone())));
        }
        present
    }

    /// Goes on with what [`Machine::resume`] rebuilt.
    pub(super) fn go_on(&mut self, begin: Begin, now: Millis, out: &mut Vec<Action>) -> Phase {
        let (round, accepted) = match &begin {
            Begin::Open(gathering) => (gathering.round, gathering.took_part()),
            Begin::New | Begin::Assembling | Begin::Committed => (self.model.round.next(), Vec::new()),
        };
        out.push(Action::Publish(RunEvent::RunResumed {
            version: EVENT_VERSION,
            name: self.plan.name.clone(),
            plan: self.plan_digest,
            rounds: u64::from(self.plan.rounds),
            round,
            accepted,
            model: self.model.digest,
        }));
        let rounds = u64::from(self.plan.rounds);
        // It may have been lost with the coordinator; a model that is measured twice gets the same numbers.
        if self.plan.evaluate.central_in(self.model.round.0, rounds) {
            self.evaluate_centrally(out);
        }
        self.returning.retain(|id, _| !self.sites.contains_key(id));
        self.returning_until = now.plus(RETURN_MS_MAX);
        match begin {
            Begin::Open(mut gathering) => {
                gathering.deadline = now.plus(gathering.deadline.0);
                gathering.not_before = now.plus(gathering.not_before.0);
                gathering.opened = now;
                if gathering.updates() >= gathering.updates_min {
                    gathering.enough_at = Some(now);
                }
                for site in self.sites.clone().values() {
                    self.task_again(&mut gathering, site, out);
                    self.join(&mut gathering, now, site, out);
                }
                self.try_close(gathering, now, out)
            }
            Begin::Committed if self.model.round.0 >= rounds => self.begin_final_evaluation(now, out),
            Begin::Committed => self.open(self.model.round.next(), 0, now, out),
            Begin::New | Begin::Assembling if self.model.round.0 >= rounds => {
                self.try_end(FinalEvaluation { awaited: BTreeSet::new(), until: now }, now, out)
            }
            Begin::New | Begin::Assembling => {
                // Who comes is waited for here.
                self.returning.clear();
                self.assemble(now, out)
            }
        }
    }
}
