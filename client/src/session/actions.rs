//! What goes into the machine and what comes out of it.

use std::time::Duration;

use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::time::Millis;
use synod_common::wire::{Answer, Progress, TaskKind};

/// What a task is about: a result is good for exactly this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobKey {
    /// The round.
    pub round: RoundId,
    /// The model to work with, by its digest.
    pub model: Digest,
}

/// A finished update, as far as decisions need it. The driver holds its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product {
    /// What it answers.
    pub key: JobKey,
    /// Mean training loss, if it was trained in steps.
    pub loss: Option<f64>,
}

/// What earlier lives of the client left on disk for a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Kept {
    /// Nothing of use.
    #[default]
    Nothing,
    /// A training that had begun.
    Begun(JobKey),
    /// A finished update.
    Update(Product),
}

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It may be there in a while: the network, a restart, a name that is not found.
    Passing,
    /// It will not get better by itself: a certificate or role that is not accepted, another client with this identity, a
    /// peer that speaks something else.
    Lasting,
}

/// Something that happened outside of the machine.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// The client begins.
    Start,
    /// Time passed; the machine asked for it by [`SessionAction::WakeAt`].
    Tick,
    /// There is a line: the coordinator named its plan, and the site's samples are loaded for it.
    Greeted {
        /// The plan's digest.
        plan: Digest,
        /// What is on disk for this plan. It counts where the plan is new to this life of the client.
        kept: Kept,
    },
    /// There was no line, or there is none any more.
    Disconnected {
        /// Of which kind the trouble is.
        fault: Fault,
        /// What happened, with what to do.
        reason: String,
    },
    /// The site's data or this program does not fit the plan; the coordinator was told.
    Unfit {
        /// Why, with what to do.
        reason: String,
    },
    /// A task came, whole and with the model it names.
    Task {
        /// What it is about.
        key: JobKey,
        /// What is to be done.
        kind: TaskKind,
        /// When the answer must be there.
        due: Millis,
    },
    /// A task came whose model is not the one it names, or that is of another plan.
    BadTask {
        /// Its round.
        round: RoundId,
        /// What is wrong.
        reason: String,
    },
    /// A training moved on.
    Progress {
        /// Which.
        key: JobKey,
        /// How far it is.
        progress: Progress,
    },
    /// A training is done, and its update is there.
    Trained(Product),
    /// A measurement is done.
    Measured(JobKey),
    /// A job failed.
    Failed {
        /// Which.
        key: JobKey,
        /// Why.
        reason: String,
    },
    /// An update is durable.
    Stored(JobKey),
    /// An update cannot be made durable.
    NotStored {
        /// Which.
        key: JobKey,
        /// Why.
        reason: String,
    },
    /// The coordinator answered an upload.
    Answered {
        /// Of which update.
        key: JobKey,
        /// What became of it.
        answer: Answer,
    },
    /// An upload broke, though the line may stand.
    UploadBroke {
        /// Of which update.
        key: JobKey,
        /// Why.
        reason: String,
    },
    /// The coordinator says that the run is over.
    Finished(Finish),
    /// A person or a signal ends the session.
    Interrupt,
}

/// How the run ended, in the coordinator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// Whether it reached its goal.
    pub completed: bool,
    /// How.
    pub reason: String,
    /// The digest of the final model.
    pub model: Digest,
}

/// How a job begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// From the task's model.
    Anew,
    /// From the progress that an earlier life of the client kept of it.
    Continued,
}

/// Something the machine wants done. It never asks for what is under way already.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionAction {
    /// Try to get a line, then say [`SessionEvent::Greeted`], [`SessionEvent::Disconnected`] or [`SessionEvent::Unfit`].
    Connect,
    /// Say [`SessionEvent::Tick`] at this time, unless a later `WakeAt` replaced it.
    WakeAt(Millis),
    /// Begin a job with the model that the task brought.
    Start {
        /// Which.
        key: JobKey,
        /// What is to be done.
        kind: TaskKind,
        /// Whether some of it is done.
        begin: Begin,
    },
    /// Stop a job. What it kept on disk stays.
    Cancel(JobKey),
    /// Make an update durable, then say [`SessionEvent::Stored`] or [`SessionEvent::NotStored`].
    Store(JobKey),
    /// Send an update from where the coordinator has it to, then say [`SessionEvent::Answered`] or
    /// [`SessionEvent::UploadBroke`]. The line's end ends it.
    Upload(JobKey),
    /// Tell the coordinator how far a training is.
    Report(Progress),
    /// Send the metrics of a measurement.
    SendMetrics(JobKey),
    /// Tell the coordinator that a task is not done.
    Decline {
        /// Its round.
        round: RoundId,
        /// Why.
        reason: String,
    },
    /// Remove what is on disk of a task, an update as well as progress, and end its upload if there is one.
    Forget(JobKey),
    /// Tell the session's listeners.
    Tell(SiteEvent),
    /// The session is over.
    End(SessionEnd),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// With the run.
    Finished(Finish),
    /// One side does not accept the other.
    Refused {
        /// Why, with what to do.
        reason: String,
    },
    /// The site cannot take part in this plan.
    Unfit {
        /// Why, with what to do.
        reason: String,
    },
    /// Nobody answered for too long.
    Unreachable {
        /// For how long, in milliseconds.
        after_ms: u64,
        /// The last reason.
        reason: String,
    },
    /// A person or a signal ended it.
    Interrupted,
}

/// What happens in a session, for whoever shows or logs it.
#[derive(Debug, Clone, PartialEq)]
pub enum SiteEvent {
    /// Connected, and the plan is known.
    Joined {
        /// The site's name, as the coordinator reads it.
        site: SiteName,
        /// The plan's name.
        plan: String,
        /// Its digest.
        digest: Digest,
        /// Training samples.
        samples: u64,
    },
    /// The line broke, or the coordinator is not there; another attempt follows.
    Retrying {
        /// Why.
        reason: String,
        /// After how long.
        pause: Duration,
    },
    /// A task begins.
    TaskStarted {
        /// Its round.
        round: RoundId,
        /// Whether it trains, rather than measures.
        trains: bool,
    },
    /// What the site kept of the round it should go on from is not there any more. It goes on as in its first round.
    StateLost {
        /// The round that begins anew.
        round: RoundId,
        /// What is wrong with the state.
        reason: String,
    },
    /// A training goes on from what was kept of it.
    Resumed {
        /// Its round.
        round: RoundId,
        /// Passes over the site's samples that are done.
        epoch: u64,
        /// Steps done.
        step: u64,
        /// Steps to do.
        steps: u64,
    },
    /// Something that was kept for this plan is of no use.
    KeptUnusable {
        /// Why.
        reason: String,
    },
    /// The coordinator has some of the update already; the rest follows.
    UploadContinued {
        /// Its round.
        round: RoundId,
        /// Bytes that it has.
        offset: u64,
        /// Bytes in all.
        bytes: u64,
    },
    /// The task is answered with an update that was finished before it came again.
    AnsweredFromKept {
        /// Its round.
        round: RoundId,
    },
    /// A finished update cannot be kept on disk; it is sent all the same.
    NotKept {
        /// Its round.
        round: RoundId,
        /// Why.
        reason: String,
    },
    /// A finished update, or training that had begun, is of no use any more.
    Dropped {
        /// Its round.
        round: RoundId,
        /// Why.
        reason: String,
    },
    /// An update did not get through; the rest of it follows.
    UploadBroke {
        /// Its round.
        round: RoundId,
        /// Why.
        reason: String,
        /// After how long it goes on.
        pause: Duration,
    },
    /// An update was accepted.
    Accepted {
        /// Its round.
        round: RoundId,
        /// Mean training loss.
        loss: Option<f64>,
    },
    /// An update was refused, or a task failed here.
    Refused {
        /// Its round.
        round: RoundId,
        /// Why.
        reason: String,
    },
}
