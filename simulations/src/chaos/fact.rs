//! What an observer who sees everything notes down.

use std::sync::Arc;

use synod_common::event::RunEvent;
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_coordinator::journal::Entry;

/// Something that happened, as invariants are told of it.
#[derive(Debug)]
pub(super) enum Fact {
    /// The coordinator gave something to its journal.
    Given {
        entry: Entry,
        /// The values with it: an update's delta, a round's model.
        values: Arc<[f32]>,
    },
    /// What was given is durable, says the journal.
    Durable { entry: Entry },
    /// The coordinator was started and its journal has these entries.
    Recovered { entries: Vec<Entry> },
    /// An update was acknowledged.
    Acknowledged { site: SiteName, round: RoundId },
    /// Something went out to a site.
    Sent { site: SiteName, what: &'static str },
    /// The operator revoked a site.
    Revoked { site: SiteName },
    /// The run's listeners were told.
    Published(Box<RunEvent>),
    /// What the coordinator holds.
    Holds(Holdings),
}

/// What the coordinator holds besides its machine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holdings {
    /// Updates on their way to the journal.
    pub(super) updates: usize,
    /// Everything on its way to the journal.
    pub(super) writes: usize,
    /// Values on disk.
    pub(super) blobs: usize,
    /// Their bytes.
    pub(super) blob_bytes: u64,
    /// Connections that are ready.
    pub(super) connections: usize,
    /// Updates that wait for their answer.
    pub(super) answers: usize,
}

/// What an honest site makes of a model in a round: multiples of 1/64 below 2, so that sums over sites are exact in f64.
pub(super) fn trained(site: &SiteName, round: RoundId, model: Digest, parameters: usize) -> Vec<f32> {
    let mut bytes = blake3::Hasher::new_derive_key("synod 2026 chaos training");
    bytes.update(&site.client_id().0).update(&round.0.to_le_bytes()).update(&model.0);
    let mut stream = bytes.finalize_xof();
    let mut drawn = vec![0; parameters];
    stream.fill(&mut drawn);
    drawn.into_iter().map(|byte| (f32::from(byte) - 127.0) / 64.0).collect()
}
