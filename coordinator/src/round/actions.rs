//! What goes into the machine and what comes out of it.

use std::sync::Arc;

use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::state::State;
pub use synod_common::time::Millis;
use synod_common::update::{Buffer, Update};
use synod_common::wire::{Answer, TaskKind};

use super::record::Record;
use crate::aggregate::{AggregateError, Screened, screen};
use crate::journal::Committed;

/// A global model.
#[derive(Debug)]
pub struct ModelVersion {
    /// The round that made it; 0 for the initial model.
    pub round: RoundId,
    /// The model hash.
    pub digest: Digest,
    /// Its values, as the layout orders them.
    pub values: Buffer,
}

/// What a central evaluation found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Metrics on the central test set.
    pub metrics: Metrics,
    /// Confusion matrix, rows are true classes, where the task has classes and they are few.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// What a driver has left when a run is over.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// The last committed model.
    pub model: Arc<ModelVersion>,
}

/// A task for one site.
#[derive(Clone, Debug)]
pub struct OutTask {
    /// Its round.
    pub round: RoundId,
    /// What to do.
    pub kind: TaskKind,
    /// The model to do it with.
    pub model: Arc<ModelVersion>,
    /// SCAFFOLD's control variate to train with; there where the plan has SCAFFOLD and the task trains.
    pub control: Option<Arc<[f32]>>,
    /// The last committed round in which the site's update counted, 0 for none: what the site kept of that round is what it
    /// goes on with.
    pub last_counted: RoundId,
    /// When the answer must be there.
    pub deadline: Millis,
}

/// An update with the pass over its values that every update must go through. That pass reads the whole update, so it is
/// made where the update arrived, on whichever thread that is, and not by the machine.
#[derive(Debug)]
pub struct Received {
    pub(super) update: Update,
    pub(super) screening: Result<Screened, AggregateError>,
    /// Of the change of the control variate, where there is one.
    pub(super) control_screening: Option<Result<Screened, AggregateError>>,
}

impl Received {
    /// Screens `update`: one pass over its values.
    #[must_use]
    pub fn screen(update: Update) -> Box<Self> {
        let screening = screen(&update.delta);
        let control_screening = update.control.as_ref().map(|change| screen(change));
        Box::new(Self { update, screening, control_screening })
    }
}

/// Something that happened outside of the machine.
#[derive(Debug)]
pub enum Event {
    /// The run begins.
    Start,
    /// Time passed; the machine asked for it by [`Action::WakeAt`].
    Tick,
    /// A site is connected, has loaded its data and can take tasks.
    Arrived {
        /// Who.
        site: SiteName,
        /// Its training samples.
        samples: u64,
        /// Its training samples per class, where it says so.
        class_counts: Vec<u64>,
    },
    /// A site's connection ended. It may come back.
    Left {
        /// Who.
        site: SiteName,
        /// Why, as far as known.
        reason: String,
    },
    /// A site may not go on: the operator revoked or suspended it. Its update in flight is lost; one that counts already
    /// stays in the sum.
    Expelled {
        /// Who.
        site: SiteName,
        /// Why.
        reason: String,
    },
    /// A site's training moved on.
    Progress {
        /// Who.
        site: SiteName,
        /// The round.
        round: RoundId,
        /// Steps done.
        step: u64,
        /// Steps to do.
        steps: u64,
        /// Mean loss so far.
        loss: f64,
    },
    /// A whole update came in.
    Update {
        /// Who sent it.
        site: SiteName,
        /// What it is.
        received: Box<Received>,
    },
    /// A site cannot do its task.
    Declined {
        /// Who.
        site: SiteName,
        /// The round of the task.
        round: RoundId,
        /// Why.
        reason: String,
    },
    /// A site broke the protocol or its upload was damaged; it may try again.
    Faulted {
        /// Who.
        site: SiteName,
        /// What went wrong.
        reason: String,
    },
    /// A site measured a model.
    Evaluated {
        /// Who.
        site: SiteName,
        /// The round of the task.
        round: RoundId,
        /// The metrics, if it holds samples out.
        metrics: Option<Metrics>,
    },
    /// A central evaluation that the machine asked for is done.
    CentralEvaluation {
        /// The round whose model it was.
        round: RoundId,
        /// The metrics, or why there are none.
        result: Result<Measured, String>,
    },
    /// A record that [`Action::Journal`] gave out is durable, as are all that were given out before it.
    Journalled(Box<Record>),
    /// A record could not be made durable, nor will later ones be.
    JournalFailed {
        /// The record.
        record: Box<Record>,
        /// Why.
        reason: String,
    },
    /// The model of a round is durable.
    Committed {
        /// The round.
        round: RoundId,
    },
    /// The model of a round could not be made durable.
    CommitFailed {
        /// The round.
        round: RoundId,
        /// Why.
        reason: String,
    },
    /// A person or a signal ends the run.
    Interrupt,
}

/// Something the machine wants done.
#[derive(Debug)]
pub enum Action {
    /// Give a site a task.
    Send {
        /// Who.
        site: SiteName,
        /// What.
        task: OutTask,
    },
    /// Answer the update a site just sent.
    Answer {
        /// Who.
        site: SiteName,
        /// The round its update named.
        round: RoundId,
        /// What became of it.
        answer: Answer,
    },
    /// Make a record durable after all that were given out before it, then say [`Event::Journalled`] with it.
    Journal(Box<Record>),
    /// Make a model durable after all records that were given out before it, then say [`Event::Committed`].
    Commit {
        /// What the journal says of it.
        entry: Box<Committed>,
        /// The model.
        model: Arc<ModelVersion>,
        /// What the strategy remembers with it.
        state: Arc<State>,
    },
    /// Measure a model on the central test set, then say [`Event::CentralEvaluation`].
    EvaluateCentrally {
        /// The model.
        model: Arc<ModelVersion>,
    },
    /// Say [`Event::Tick`] at this time, unless a later `WakeAt` replaced it.
    WakeAt(Millis),
    /// Tell the run's listeners.
    Publish(RunEvent),
    /// The run is over: tell the sites, then stop.
    Finish {
        /// How it ended.
        outcome: Outcome,
        /// The last committed model.
        model: Arc<ModelVersion>,
    },
}
