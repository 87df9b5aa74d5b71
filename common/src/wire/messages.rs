//! The messages. Field order is the wire format: a change means a new protocol version and a line in the changelog.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::enrolment;
use super::frame::PROTOCOL_VERSION;
use crate::ids::{Digest, RoundId, SiteName};
use crate::metrics::Metrics;
use crate::plan::PLAN_BYTES_MAX;
use crate::update::UpdateHeader;

/// Longest reason in a message, in bytes.
pub const REASON_BYTES_MAX: usize = 2000;
/// Longest version text, in bytes.
pub(super) const VERSION_BYTES_MAX: usize = 64;
/// Most classes whose counts a site reports.
const CLASS_COUNTS_MAX: usize = 1024;
/// Room for the fixed fields of a message.
const FIXED_BYTES: usize = 512;
/// Room for one set of metrics at its limit: count, then name length, name and value of each.
const METRICS_BYTES: usize = 16 + crate::metrics::METRICS_MAX * (16 + crate::metrics::METRIC_NAME_BYTES_MAX);

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Hello`]
    Hello,
    /// [`Welcome`]
    Welcome,
    /// [`Ready`]
    Ready,
    /// [`Task`]
    Task,
    /// [`Progress`]
    Progress,
    /// [`UpdateHeader`]
    Update,
    /// [`Answer`]
    Answer,
    /// [`Evaluated`]
    Evaluated,
    /// [`Declined`]
    Declined,
    /// [`Finished`]
    Finished,
    /// [`Offer`](super::Offer)
    Offer,
    /// [`Grant`](super::Grant)
    Grant,
    /// [`Probe`](super::Probe)
    Probe,
    /// [`Presence`](super::Presence)
    Presence,
    /// [`Join`](super::Join)
    Join,
    /// [`Renew`](super::Renew)
    Renew,
    /// [`Enrolled`](super::Enrolled)
    Enrolled,
    /// [`AdminRequest`](super::AdminRequest)
    AdminRequest,
    /// [`AdminAnswer`](super::AdminAnswer)
    AdminAnswer,
}

const KINDS: [Kind; 19] = [
    Kind::Hello,
    Kind::Welcome,
    Kind::Ready,
    Kind::Task,
    Kind::Progress,
    Kind::Update,
    Kind::Answer,
    Kind::Evaluated,
    Kind::Declined,
    Kind::Finished,
    Kind::Offer,
    Kind::Grant,
    Kind::Probe,
    Kind::Presence,
    Kind::Join,
    Kind::Renew,
    Kind::Enrolled,
    Kind::AdminRequest,
    Kind::AdminAnswer,
];

impl Kind {
    /// The kind's byte on the wire: from 1 for runs, from 64 for enrolment, from 96 for administration.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Welcome => 2,
            Self::Ready => 3,
            Self::Task => 4,
            Self::Progress => 5,
            Self::Update => 6,
            Self::Answer => 7,
            Self::Evaluated => 8,
            Self::Declined => 9,
            Self::Finished => 10,
            Self::Offer => 11,
            Self::Grant => 12,
            Self::Probe => 64,
            Self::Presence => 65,
            Self::Join => 66,
            Self::Renew => 67,
            Self::Enrolled => 68,
            Self::AdminRequest => 96,
            Self::AdminAnswer => 97,
        }
    }

    /// The version of frames of this kind. Enrolment and administration have their own and outlive those of runs.
    #[must_use]
    pub fn version(self) -> u8 {
        match self {
            Self::Hello
            | Self::Welcome
            | Self::Ready
            | Self::Task
            | Self::Progress
            | Self::Update
            | Self::Answer
            | Self::Evaluated
            | Self::Declined
            | Self::Finished
            | Self::Offer
            | Self::Grant => PROTOCOL_VERSION,
            Self::Probe | Self::Presence | Self::Join | Self::Renew | Self::Enrolled => enrolment::JOIN_VERSION,
            Self::AdminRequest | Self::AdminAnswer => enrolment::ADMIN_VERSION,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        KINDS.into_iter().find(|k| k.to_byte() == byte)
    }

    /// Most bytes a body of this kind may have.
    #[must_use]
    pub fn body_bytes_max(self) -> usize {
        match self {
            Self::Hello | Self::Task | Self::Progress | Self::Offer => FIXED_BYTES,
            Self::Welcome => FIXED_BYTES + PLAN_BYTES_MAX,
            Self::Ready => FIXED_BYTES + CLASS_COUNTS_MAX * 8,
            Self::Update => FIXED_BYTES + 3 * METRICS_BYTES,
            Self::Evaluated => FIXED_BYTES + METRICS_BYTES,
            Self::Answer | Self::Grant | Self::Declined | Self::Finished => FIXED_BYTES + REASON_BYTES_MAX,
            Self::Probe | Self::Presence => FIXED_BYTES,
            Self::Join | Self::Renew => enrolment::JOIN_BYTES_MAX,
            Self::Enrolled => enrolment::ENROLLED_BYTES_MAX,
            Self::AdminRequest => enrolment::ADMIN_BYTES_MAX,
            Self::AdminAnswer => enrolment::ADMIN_ANSWER_BYTES_MAX,
        }
    }
}

/// A message with its kind and its rules.
pub trait Message: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;

    /// Checks what the encoding cannot: lengths of texts, finite numbers.
    ///
    /// # Errors
    /// The rule that is broken.
    fn check(&self) -> Result<(), String>;
}

pub(super) fn short(what: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() <= bytes_max { Ok(()) } else { Err(format!("{what} has {} bytes, at most {bytes_max}", text.len())) }
}

fn sound(what: &str, metrics: Option<&Metrics>) -> Result<(), String> {
    if metrics.is_none_or(Metrics::is_sound) {
        Ok(())
    } else {
        Err(format!("the {what} metrics are not sound (too many, a bad name, or not finite)"))
    }
}

/// `text` cut to what a message may carry.
#[must_use]
pub fn shorten(text: &str) -> String {
    if text.len() <= REASON_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = REASON_BYTES_MAX - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The client's first word. Who it is, its certificate has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's release, for the operator's eyes.
    pub release: String,
}

impl Message for Hello {
    const KIND: Kind = Kind::Hello;
    fn check(&self) -> Result<(), String> {
        short("the release", &self.release, VERSION_BYTES_MAX)
    }
}

/// The coordinator's answer: the plan of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The coordinator's release.
    pub release: String,
    /// The site's name, as the coordinator reads its certificate.
    pub site: SiteName,
    /// The plan's canonical text.
    pub plan: String,
    /// Its digest.
    pub plan_digest: Digest,
    /// The digest of the model's layout.
    pub layout: Digest,
}

impl Message for Welcome {
    const KIND: Kind = Kind::Welcome;
    fn check(&self) -> Result<(), String> {
        short("the release", &self.release, VERSION_BYTES_MAX)?;
        short("the plan", &self.plan, PLAN_BYTES_MAX)
    }
}

/// The client has loaded its data and can take tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The digest of the plan it is ready for.
    pub plan: Digest,
    /// Training samples it has.
    pub samples: u64,
    /// Training samples per class; empty when the site does not say.
    pub class_counts: Vec<u64>,
}

impl Message for Ready {
    const KIND: Kind = Kind::Ready;
    fn check(&self) -> Result<(), String> {
        if self.class_counts.len() > CLASS_COUNTS_MAX {
            return Err(format!("{} class counts, at most {CLASS_COUNTS_MAX}", self.class_counts.len()));
        }
        Ok(())
    }
}

/// What a task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskKind {
    /// Train and send an update.
    Train,
    /// Measure the model and send the metrics.
    Evaluate,
}

/// A task; the model follows as a block stream, and in training with SCAFFOLD the control variate as another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The round it belongs to.
    pub round: RoundId,
    /// What to do.
    pub kind: TaskKind,
    /// The plan to do it by.
    pub plan: Digest,
    /// The digest of the model that follows.
    pub model: Digest,
    /// The last committed round in which the site's update counted, 0 for none. What the site kept of that round, and
    /// nothing else, is what it goes on with.
    pub last_counted: RoundId,
    /// Milliseconds until the answer must be there.
    pub time_left_ms: u64,
}

impl Message for Task {
    const KIND: Kind = Kind::Task;
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// How far local training is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The round.
    pub round: RoundId,
    /// Steps done.
    pub step: u64,
    /// Steps to do.
    pub steps: u64,
    /// Mean training loss so far.
    pub loss: f64,
}

impl Message for Progress {
    const KIND: Kind = Kind::Progress;
    fn check(&self) -> Result<(), String> {
        if self.loss.is_finite() { Ok(()) } else { Err("the loss is not finite".to_owned()) }
    }
}

impl Message for UpdateHeader {
    const KIND: Kind = Kind::Update;
    fn check(&self) -> Result<(), String> {
        if self.loss_before.is_some_and(|loss| !loss.is_finite()) {
            return Err("the loss before training is not finite".to_owned());
        }
        sound("before", self.before.as_ref())?;
        sound("train", Some(&self.train))?;
        sound("after", self.after.as_ref())
    }
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It counts.
    Accepted,
    /// It does not count, and why.
    Refused {
        /// What, why, what to do.
        reason: String,
    },
    /// It was damaged on the way and may be sent again.
    Damaged {
        /// What was found.
        reason: String,
    },
}

impl Message for Answer {
    const KIND: Kind = Kind::Answer;
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Accepted => Ok(()),
            Self::Refused { reason } | Self::Damaged { reason } => short("the reason", reason, REASON_BYTES_MAX),
        }
    }
}

/// The answer to an evaluation task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The round of the task.
    pub round: RoundId,
    /// The metrics; none where the site holds nothing out.
    pub metrics: Option<Metrics>,
}

impl Message for Evaluated {
    const KIND: Kind = Kind::Evaluated;
    fn check(&self) -> Result<(), String> {
        sound("evaluation", self.metrics.as_ref())
    }
}

/// The client cannot do a task (or take part at all, with round 0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The round of the task; 0 when it concerns the whole run.
    pub round: RoundId,
    /// What, why, what to do.
    pub reason: String,
}

impl Message for Declined {
    const KIND: Kind = Kind::Declined;
    fn check(&self) -> Result<(), String> {
        short("the reason", &self.reason, REASON_BYTES_MAX)
    }
}

/// The run is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Whether it reached its goal.
    pub completed: bool,
    /// How it ended, for people.
    pub reason: String,
    /// The digest of the final model.
    pub model: Digest,
}

impl Message for Finished {
    const KIND: Kind = Kind::Finished;
    fn check(&self) -> Result<(), String> {
        short("the reason", &self.reason, REASON_BYTES_MAX)
    }
}
