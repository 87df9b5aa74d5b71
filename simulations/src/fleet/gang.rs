//! Hostile sites that send together.

use std::collections::BTreeMap;

use synod_common::ids::{RoundId, SiteName};
use synod_common::update::Update;
use synod_coordinator::round::{Event, Received};

use super::hostile::Hostile;

/// Hostile sites that wait for each other: what they send depends on all their honest updates.
#[derive(Default)]
pub(super) struct Gang {
    round: RoundId,
    /// Members of the round, honest ones included.
    members: usize,
    /// How many of the hostile ones still train.
    at_work: usize,
    held: BTreeMap<SiteName, Update>,
}

impl Gang {
    /// A task of `round` goes to a member.
    pub(super) fn sent(&mut self, round: RoundId, hostile: bool) {
        if round != self.round {
            *self = Self { round, ..Self::default() };
        }
        self.members += 1;
        self.at_work += usize::from(hostile);
    }

    /// A hostile member has trained, or failed to, which is known at once. When it was the last one all of them send.
    pub(super) fn done(&mut self, site: SiteName, result: Result<Update, Event>, hostile: &Hostile) -> Vec<Event> {
        self.at_work = self.at_work.saturating_sub(1);
        let mut events = Vec::new();
        match result {
            Ok(update) => drop(self.held.insert(site, update)),
            Err(event) => events.push(event),
        }
        if self.at_work == 0 {
            let (sites, mut updates): (Vec<_>, Vec<_>) = std::mem::take(&mut self.held).into_iter().unzip();
            hostile.conspire(&mut updates, self.members);
            let send = |(site, update)| Event::Update { site, received: Received::screen(update) };
            events.extend(sites.into_iter().zip(updates).map(send));
        }
        events
    }
}
