//! What the machine gives out to be made durable, and gets back.

use synod_common::update::Buffer;

use super::screening::Passed;
use crate::journal::Entry;

/// One entry of the journal, with the values that belong to it. Whoever makes it durable gives it back as it was.
#[derive(Debug)]
pub struct Record {
    pub(super) entry: Entry,
    pub(super) pending: Option<Box<Pending>>,
}

/// An update that passed and counts once it is durable. It owns its values, which are large: they move to the journal and
/// back, and are not copied.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) passed: Passed,
    pub(super) delta: Buffer,
    pub(super) extra: Option<Buffer>,
}

impl Record {
    /// What happened.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The values that must be durable before the entry: for an update its delta, `[layout.len()]`, and where the plan
    /// has one the [vector beside it](synod_common::extra); for all else none.
    pub fn values(&self) -> impl Iterator<Item = &[f32]> {
        let pending = self.pending.as_deref();
        pending.into_iter().flat_map(|p| std::iter::once(&p.delta[..]).chain(p.extra.as_deref()))
    }
}

impl From<Entry> for Record {
    fn from(entry: Entry) -> Self {
        Self { entry, pending: None }
    }
}
