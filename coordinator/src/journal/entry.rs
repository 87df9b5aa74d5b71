//! What the journal says happened: one entry for each decision that must outlive a crash, as metadata. Values (updates, models,
//! states) are blobs beside it.

use serde::{Deserialize, Serialize};
use synod_common::event::{LeftOut, Outcome};
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::update::UpdateHeader;

/// One entry. Entries are durable in the order in which the machine gave them: if one is, all before it are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The run began.
    RunStarted {
        /// The plan's digest: the identity of the run.
        plan: Digest,
        /// The digest of the model's layout.
        layout: Digest,
        /// The model hash of the initial model.
        model: Digest,
    },
    /// A site is there for the first time in this run.
    SiteJoined {
        /// Who.
        site: SiteName,
    },
    /// A round opened. It replaces an open round of the same number and a lower attempt; with the same attempt it is the
    /// open round, which stays open longer or has more members now, and what it has still counts.
    RoundOpened(Opened),
    /// An update passed and counts. Its values are durable before this entry.
    UpdateAccepted(Box<Accepted>),
    /// A member of the cohort will send nothing that counts in this round.
    MemberOut {
        /// The round.
        round: RoundId,
        /// The attempt.
        attempt: u32,
        /// Who.
        site: SiteName,
        /// Why.
        reason: String,
        /// Milliseconds that the round had left.
        time_left_ms: u64,
    },
    /// A round closed and its model is the run's. Model and state are durable before this entry.
    RoundCommitted(Box<Committed>),
    /// The run came to an end by itself. One that was interrupted did not.
    RunEnded {
        /// How.
        outcome: Outcome,
    },
}

/// A round that opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The round.
    pub round: RoundId,
    /// How often it was begun before.
    pub attempt: u32,
    /// Its members.
    pub cohort: Vec<SiteName>,
    /// Updates it needs.
    pub updates_min: u64,
    /// Sites that the run knew: what a share of the sites is a share of.
    pub sites: u64,
    /// Milliseconds until it closes at the latest.
    pub time_left_ms: u64,
    /// Whether it has too few updates and stays open longer; its cohort then has those who came meanwhile.
    pub extended: bool,
}

/// An update that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The round it counts in; its header names the round of its task, which may be earlier.
    pub round: RoundId,
    /// The attempt of its round.
    pub attempt: u32,
    /// Who sent it.
    pub site: SiteName,
    /// What came with its values.
    pub header: UpdateHeader,
    /// Milliseconds that the round had left.
    pub time_left_ms: u64,
}

/// A round that was committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Committed {
    /// The round.
    pub round: RoundId,
    /// The model hash of its model.
    pub model: Digest,
    /// Whose updates are in it.
    pub took_part: Vec<SiteName>,
    /// Who was in the cohort and is not in the model, and why.
    pub left_out: Vec<LeftOut>,
    /// L2 norm of the change of the model.
    pub step_norm: f64,
    /// Sites that were there when it closed: those the next round is opened with after a crash.
    pub present: Vec<SiteName>,
    /// Model and update bytes sent to sites since the run began.
    pub bytes_down: u64,
    /// Model and update bytes received from sites since the run began.
    pub bytes_up: u64,
    /// Milliseconds that the run took so far, without the time in which no coordinator ran.
    pub run_ms: u64,
}

impl Entry {
    /// Its kind, as the byte form names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::SiteJoined { .. } => "site_joined",
            Self::RoundOpened(_) => "round_opened",
            Self::UpdateAccepted(_) => "update_accepted",
            Self::MemberOut { .. } => "member_out",
            Self::RoundCommitted(_) => "round_committed",
            Self::RunEnded { .. } => "run_ended",
        }
    }
}
