//! What the machine waits for, said of each phase.

use synod_common::ids::SiteName;
use synod_common::plan::OnTooFew;
use synod_common::status::{RunPhase, STATUS_VERSION, SiteStatus, Status, Wait};

use super::actions::Millis;
use super::machine::{Machine, Run};
use super::phase::{Assembling, FinalEvaluation, Gathering, Member, MemberState, Phase};

impl Machine {
    /// Where the run is and what it waits for. In every phase but the last there is something with a time limit, or something
    /// that the coordinator itself is doing.
    #[must_use]
    pub fn status(&self, now: Millis) -> Status<Millis> {
        let (run, model) = (self.run(), self.model());
        let mut doing = Vec::new();
        let (waits, round) = match self.phase() {
            Phase::Idle => (Vec::new(), model.round),
            Phase::Assembling(assembling) => (vec![run.wait_for_sites(assembling)], model.round),
            Phase::Gathering(gathering) => {
                if gathering.is_writing() {
                    doing.push("saving updates".to_owned());
                }
                (vec![run.wait_for_updates(gathering)], gathering.round)
            }
            Phase::Committing(committing) => {
                doing.push(format!("saving the model of round {}", committing.model.round));
                (Vec::new(), committing.model.round)
            }
            Phase::FinalEvaluation(evaluation) => (vec![run.wait_for_measures(evaluation)], model.round),
            Phase::Ending(_) => {
                doing.push("saving how the run ended".to_owned());
                (Vec::new(), model.round)
            }
            Phase::Done(_) => (Vec::new(), model.round),
        };
        if run.central_pending > 0 {
            doing.push("measuring a model on the central test set".to_owned());
        }
        Status {
            version: STATUS_VERSION,
            at: now,
            name: run.plan.name.clone(),
            plan: run.plan_digest,
            phase: self.run_phase(),
            round: round.0,
            rounds: u64::from(run.plan.rounds),
            model: model.digest,
            waits,
            doing,
            sites: self.site_states(),
        }
    }

    /// The phase alone.
    #[must_use]
    pub fn run_phase(&self) -> RunPhase {
        match self.phase() {
            Phase::Idle => RunPhase::Idle,
            Phase::Assembling(_) => RunPhase::Assembling,
            Phase::Gathering(_) => RunPhase::Gathering,
            Phase::Committing(_) => RunPhase::Committing,
            Phase::FinalEvaluation(_) => RunPhase::FinalEvaluation,
            Phase::Ending(_) => RunPhase::Ending,
            Phase::Done(_) => RunPhase::Done,
        }
    }

    fn site_states(&self) -> Vec<SiteStatus> {
        let connected = |site: &SiteName| SiteStatus { site: site.clone(), state: "is there, has no task".to_owned() };
        let mut all: std::collections::BTreeMap<_, _> =
            self.run().sites.values().map(|site| (site.clone(), connected(site))).collect();
        if let Phase::Gathering(gathering) = self.phase() {
            for member in gathering.members.values().chain(gathering.late.values()) {
                all.insert(member.name.clone(), SiteStatus { site: member.name.clone(), state: words(member) });
            }
        }
        all.into_values().collect()
    }
}

fn words(member: &Member) -> String {
    let round = member.task;
    match &member.state {
        MemberState::Working => format!("trains for round {round}"),
        MemberState::Away { reason } => format!("is not connected: {reason}"),
        MemberState::Out { reason } => format!("is out of round {round}: {reason}"),
        MemberState::Writing => format!("its update of round {round} is being saved"),
        MemberState::Counted => format!("its update of round {round} counts"),
    }
}

impl Run {
    fn wait_for_sites(&self, assembling: &Assembling) -> Wait<Millis> {
        let (there, rules) = (self.sites.len(), &self.plan.round.arrival);
        let needed = rules.count.min;
        let is_enough = there >= needed as usize;
        let (until, then) = match is_enough {
            true => (assembling.not_before, "the first round begins with who is there"),
            false => (assembling.until, "the run stops, unless enough sites have come"),
        };
        let what = format!("sites: {there} of the {needed} that are needed are there");
        Wait { what, who: Vec::new(), since: self.started, until, then: then.to_owned() }
    }

    fn wait_for_updates(&self, gathering: &Gathering) -> Wait<Millis> {
        let Gathering { round, opened, not_before, deadline, enough_at, updates_min, .. } = gathering;
        let updates = gathering.updates();
        let may_come = |m: &&Member| matches!(m.state, MemberState::Working | MemberState::Away { .. });
        let mut who: Vec<SiteName> = gathering.members.values().filter(may_come).map(|m| m.name.clone()).collect();
        who.sort();
        let grace = self.plan.round.updates.grace.as_millis();
        let (until, then) = match (enough_at, self.plan.round.updates.on_too_few) {
            (Some(at), _) => {
                let until = at.plus(grace).min(*deadline).max(*not_before);
                (until, "the round closes with the updates it has".to_owned())
            }
            (None, OnTooFew::Wait { longer }) if !gathering.extended => {
                (*deadline, format!("with too few updates the round stays open for {longer} more"))
            }
            (None, OnTooFew::Retry { times }) if gathering.attempt < times => {
                (*deadline, "with too few updates the round begins again".to_owned())
            }
            (None, OnTooFew::Shrink { floor }) => {
                (*deadline, format!("the round closes with at least {floor} updates, with fewer the run stops"))
            }
            (None, OnTooFew::Stop | OnTooFew::Retry { .. } | OnTooFew::Wait { .. }) => {
                (*deadline, "with too few updates the run stops".to_owned())
            }
        };
        let what = format!("updates of round {round}: {updates} of the {updates_min} that are needed count");
        Wait { what, who, since: *opened, until, then }
    }

    fn wait_for_measures(&self, evaluation: &FinalEvaluation) -> Wait<Millis> {
        let mut who: Vec<SiteName> = evaluation.awaited.iter().filter_map(|id| self.sites.get(id).cloned()).collect();
        who.sort();
        let since = Millis(evaluation.until.0.saturating_sub(self.plan.round.evaluation.time.max.as_millis()));
        let what = format!("what sites measure on the last model: {} are awaited", evaluation.awaited.len());
        Wait { what, who, since, until: evaluation.until, then: "the run is done without them".to_owned() }
    }
}
