//! What the coordinator holds stays under its stated bounds, whatever sites send.

use synod_coordinator::journal::Entry;

use super::super::fact::{Fact, Holdings};
use super::super::scenario::Scenario;
use super::Invariant;

/// Models that are kept and one that is being committed, each with what the strategy remembers.
const MODEL_BLOBS_MAX: usize = 2 * 3;
/// What a blob has besides values: names and numbers of a state.
const NAMES_BYTES_MAX: u64 = 256;

#[derive(Debug)]
pub(super) struct Memory {
    sites: usize,
    vector_bytes: u64,
    /// Of the round that is open, as it was given out.
    cohort: usize,
}

impl Memory {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { sites: scenario.sites.len(), vector_bytes: scenario.layout.bytes(), cohort: 0 }
    }
}

impl Invariant for Memory {
    fn observe(&mut self, fact: &Fact) -> Result<(), String> {
        if let Fact::Given { entry: Entry::RoundOpened(opened), .. } = fact {
            self.cohort = opened.cohort.len();
        }
        let Fact::Holds(Holdings { updates, writes, blobs, blob_bytes, connections, answers }) = *fact else {
            return Ok(());
        };
        // Each site is known once and is out once; a round opens and is committed, the run begins and ends.
        let bounds = [
            ("updates on their way to the journal", updates, self.cohort.min(self.sites)),
            ("writes", writes, updates + 2 * self.sites + 4),
            ("values on disk", blobs, MODEL_BLOBS_MAX + self.sites),
            ("connections", connections, self.sites),
            ("updates that wait for an answer", answers, self.sites),
        ];
        if let Some((what, found, most)) = bounds.into_iter().find(|(_, found, most)| found > most) {
            return Err(format!("the coordinator holds {found} {what}, at most {most} are stated"));
        }
        let most = blobs as u64 * (self.vector_bytes + NAMES_BYTES_MAX);
        if blob_bytes > most {
            return Err(format!("the coordinator holds {blob_bytes} bytes of values, at most {most} are stated"));
        }
        Ok(())
    }
}
