//! What happened in a run. Progress display, `--json`, the run's event file, plots and reports are consumers of
//! [`RunEvent`]; no algorithm prints, draws or counts by itself.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, RoundId, SiteName};
use crate::metrics::Metrics;

/// Version of the event format. It grows when a field changes its meaning or goes away; new fields do not count.
pub const EVENT_VERSION: u32 = 1;

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Milliseconds since the run started, on a monotonic clock; where a simulation has a virtual clock, on that.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// The run began.
    RunStarted {
        /// [`EVENT_VERSION`].
        version: u32,
        /// The plan's name.
        name: String,
        /// The plan's digest: the identity of the run.
        plan: Digest,
        /// Rounds planned.
        rounds: u64,
        /// The strategy's name.
        strategy: String,
        /// Parameters of the model.
        parameters: u64,
        /// The digest of the initial model.
        model: Digest,
    },
    /// The coordinator was started again and the run goes on.
    RunResumed {
        /// [`EVENT_VERSION`].
        version: u32,
        /// The plan's name.
        name: String,
        /// The plan's digest.
        plan: Digest,
        /// Rounds planned.
        rounds: u64,
        /// The round that goes on or comes next.
        round: RoundId,
        /// Whose updates count in it already.
        accepted: Vec<SiteName>,
        /// The digest of the last committed model.
        model: Digest,
    },
    /// A site connected.
    SiteArrived {
        /// Who.
        site: SiteName,
        /// Samples it says it has for training, if it said so.
        samples: Option<u64>,
        /// Its training samples per class, where the task has classes and the site says so.
        class_counts: Option<Vec<u64>>,
    },
    /// A site's connection ended.
    SiteLeft {
        /// Who.
        site: SiteName,
        /// Why, as far as known.
        reason: String,
    },
    /// A round began: the model goes to the cohort.
    RoundStarted {
        /// The round.
        round: RoundId,
        /// Who was chosen.
        cohort: Vec<SiteName>,
        /// Digest of the model sent out.
        model: Digest,
        /// Milliseconds until the round closes at the latest.
        deadline_ms: u64,
    },
    /// A site's local training moved on.
    Progress {
        /// The round.
        round: RoundId,
        /// Who.
        site: SiteName,
        /// Local steps done.
        step: u64,
        /// Local steps to do.
        steps: u64,
        /// Mean training loss so far.
        loss: f64,
    },
    /// An update passed screening and counts.
    UpdateAccepted {
        /// The round.
        round: RoundId,
        /// Who.
        site: SiteName,
        /// Training samples.
        samples: u64,
        /// L2 norm of the delta.
        norm: f64,
        /// Bytes the site received and sent for it.
        bytes_down: u64,
        /// Bytes of the update.
        bytes_up: u64,
        /// Milliseconds of local training, as the site measured it.
        train_ms: u64,
        /// Local training metrics.
        train: Metrics,
        /// The global model on the site's held-out samples.
        before: Option<Metrics>,
        /// The local model on the site's held-out samples.
        after: Option<Metrics>,
    },
    /// An update came after its round had closed. With [`UpdateAccepted`](Self::UpdateAccepted) it counts in the round named
    /// there.
    UpdateLate {
        /// The round it answers.
        round: RoundId,
        /// Who.
        site: SiteName,
        /// How many rounds later it came.
        rounds_late: u64,
        /// What its delta is taken times; absent where it does not count.
        weight: Option<f64>,
    },
    /// An update, or a site's turn, was refused.
    UpdateRefused {
        /// The round the sender named.
        round: RoundId,
        /// Who.
        site: SiteName,
        /// Why, with what to do.
        reason: String,
    },
    /// The next model is decided.
    RoundCommitted {
        /// The round.
        round: RoundId,
        /// Whose updates are in it.
        took_part: Vec<SiteName>,
        /// Who was in the cohort and is not in the model, and why.
        left_out: Vec<LeftOut>,
        /// Digest of the new model.
        model: Digest,
        /// L2 norm of the global step.
        step_norm: f64,
        /// Milliseconds the round took.
        ms: u64,
    },
    /// A round closed without enough updates and is tried again.
    RoundRetried {
        /// The round.
        round: RoundId,
        /// Updates it had.
        updates: u64,
        /// Updates it needs.
        updates_min: u64,
        /// Who is missing, and why.
        left_out: Vec<LeftOut>,
    },
    /// A round has too few updates in time and stays open longer.
    RoundExtended {
        /// The round.
        round: RoundId,
        /// Updates it has.
        updates: u64,
        /// Updates it needs.
        updates_min: u64,
        /// Milliseconds until the round closes at the latest.
        deadline_ms: u64,
        /// Who is missing, and why.
        left_out: Vec<LeftOut>,
    },
    /// A round has too few updates in time and closes with those it has, as the plan allows.
    RoundShrunk {
        /// The round.
        round: RoundId,
        /// Updates it has.
        updates: u64,
        /// Updates it should have had.
        updates_min: u64,
        /// Who is missing, and why.
        left_out: Vec<LeftOut>,
    },
    /// The global model was evaluated on the central test set.
    Evaluated {
        /// The round whose model it is; 0 is the initial model.
        round: RoundId,
        /// Metrics.
        metrics: Metrics,
        /// Confusion matrix, rows are true classes, where the task has classes and they are few.
        confusion: Option<Vec<Vec<u64>>>,
    },
    /// The final model on one site's held-out samples.
    SiteEvaluated {
        /// The round whose model it is.
        round: RoundId,
        /// Who.
        site: SiteName,
        /// Metrics.
        metrics: Metrics,
    },
    /// The run ended.
    RunFinished {
        /// How.
        outcome: Outcome,
        /// Rounds committed.
        rounds: u64,
        /// Digest of the final model.
        model: Digest,
        /// Milliseconds the run took.
        ms: u64,
        /// Model and update bytes sent to sites.
        bytes_down: u64,
        /// Model and update bytes received from sites.
        bytes_up: u64,
    },
}

/// A site that was in the cohort and is not in the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Who.
    pub site: SiteName,
    /// Why.
    pub reason: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// All rounds were committed.
    Completed,
    /// It ended without its goal.
    Stopped {
        /// Why, with what to do.
        reason: String,
    },
    /// A person or a signal ended it.
    Interrupted,
}

/// Where events go. Consumers never fail and never block for long.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn publish(&self, event: &RunEvent);

    /// Takes one event that happened so many milliseconds after the run began on a virtual clock; those who do not care take
    /// it like any other.
    fn publish_at(&self, at_ms: u64, event: &RunEvent) {
        let _ = at_ms;
        self.publish(event);
    }
}

impl EventSink for () {
    fn publish(&self, _event: &RunEvent) {}
}

impl<F: Fn(&RunEvent) + Send + Sync> EventSink for F {
    fn publish(&self, event: &RunEvent) {
        self(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_flat_json_lines() {
        let event = Stamped {
            at_ms: 12,
            event: RunEvent::RunFinished {
                outcome: Outcome::Stopped { reason: "too few sites".into() },
                rounds: 3,
                model: Digest([0xab; 32]),
                ms: 5,
                bytes_down: 1,
                bytes_up: 2,
            },
        };
        let line = serde_json::to_string(&event).unwrap();
        insta::assert_snapshot!(line, @r#"{"at_ms":12,"event":"run_finished","outcome":{"kind":"stopped","reason":"too few sites"},"rounds":3,"model":"abababababababababababababababababababababababababababababababab","ms":5,"bytes_down":1,"bytes_up":2}"#);
        assert_eq!(serde_json::from_str::<Stamped>(&line).unwrap(), event);
    }
}
