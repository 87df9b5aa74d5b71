//! What is in a journal, and whether it is what was written.

use std::collections::BTreeSet;

use serde::Serialize;
use synod_common::event::Outcome;
use synod_common::ids::{Digest, RoundId, SiteName};

use super::store::{JOURNAL_VERSION, Journal};

/// What [`Journal::check`] found. Pages and entries were verified when the journal was opened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// [`JOURNAL_VERSION`].
    pub version: u64,
    /// The plan of the run, if it has begun.
    pub plan: Option<Digest>,
    /// Entries.
    pub entries: u64,
    /// Rounds that are committed.
    pub rounds: u64,
    /// Rounds whose models are kept.
    pub models: Vec<RoundId>,
    /// The model hash of the last one.
    pub model: Option<Digest>,
    /// The round that is open.
    pub open: Option<OpenReport>,
    /// How the run ended, if it did.
    pub ended: Option<Outcome>,
    /// Blobs that were read and verified, and their bytes.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that are damaged or gone; each with what it is and what is wrong.
    pub problems: Vec<String>,
}

/// A round that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenReport {
    /// The round.
    pub round: RoundId,
    /// How often it was begun before.
    pub attempt: u32,
    /// Whose updates count.
    pub accepted: Vec<SiteName>,
    /// Milliseconds that it had left at its last entry.
    pub time_left_ms: u64,
}

impl Journal {
    /// Reads and verifies every blob that the run needs or keeps, and says what there is.
    #[must_use]
    pub fn check(&self) -> Report {
        let replay = &self.replay;
        let mut report = Report {
            version: JOURNAL_VERSION,
            plan: replay.started.map(|started| started.plan),
            entries: self.entries(),
            rounds: replay.round().0,
            models: replay.models.iter().map(|model| model.round).collect(),
            model: replay.committed.as_ref().map(|committed| committed.model),
            open: replay.open.as_ref().map(|open| OpenReport {
                round: open.opened.round,
                attempt: open.opened.attempt,
                accepted: open.accepted.keys().map(|(site, _)| site.clone()).collect(),
                time_left_ms: open.opened.time_left_ms,
            }),
            ended: replay.ended.clone(),
            blobs: 0,
            bytes: 0,
            problems: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for (blob, of) in replay.blobs().filter(|(blob, _)| seen.insert(blob.digest)) {
            match self.read(blob, &of, &mut |_| ()) {
                Ok(()) => (report.blobs, report.bytes) = (report.blobs + 1, report.bytes.saturating_add(blob.bytes)),
                Err(error) => report.problems.push(error.to_string()),
            }
        }
        report
    }
}
