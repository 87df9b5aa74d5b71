//! What is durable, as an observer knows it: what was durable stays, in its order, and nothing else appears.

use std::collections::VecDeque;
use std::sync::Arc;

use synod_common::ids::RoundId;
use synod_coordinator::journal::Entry;

use super::super::fact::Fact;

type Row = (Entry, Arc<[f32]>);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    durable: Vec<Entry>,
    /// Given to the journal since.
    given: VecDeque<Row>,
    /// The attempt that is open.
    open: Option<(RoundId, u32)>,
}

impl Ledger {
    /// What `fact` makes durable.
    pub(super) fn observe(&mut self, fact: &Fact) -> Result<Vec<Row>, String> {
        match fact {
            Fact::Given { entry, values } => {
                self.given.push_back((entry.clone(), Arc::clone(values)));
                Ok(Vec::new())
            }
            Fact::Durable { entry } => Ok(vec![self.settle(entry)?]),
            Fact::Recovered { entries } => self.recover(entries),
            Fact::Acknowledged { .. }
            | Fact::Sent { .. }
            | Fact::Revoked { .. }
            | Fact::Published(_)
            | Fact::Holds(_) => Ok(Vec::new()),
        }
    }

    /// Whether an attempt begins with `entry`, the next that is durable. One that is open may be opened again, to wait longer.
    pub(super) fn begins(&mut self, entry: &Entry) -> bool {
        let before = self.open;
        match entry {
            Entry::RoundOpened(opened) => self.open = Some((opened.round, opened.attempt)),
            Entry::RoundCommitted(_) | Entry::RunEnded { .. } => self.open = None,
            Entry::RunStarted { .. }
            | Entry::SiteJoined { .. }
            | Entry::UpdateAccepted(_)
            | Entry::MemberOut { .. } => {}
        }
        self.open.is_some() && self.open != before
    }

    pub(super) fn rounds(&self) -> u64 {
        let round = |entry: &Entry| if let Entry::RoundCommitted(c) = entry { Some(c.round.0) } else { None };
        self.durable.iter().rev().find_map(round).unwrap_or(0)
    }

    fn settle(&mut self, entry: &Entry) -> Result<Row, String> {
        match self.given.pop_front() {
            Some(row) if row.0 == *entry => {
                self.durable.push(row.0.clone());
                Ok(row)
            }
            next => {
                Err(format!("the journal made {} durable out of turn: {:?} was next", entry.kind(), next.map(|r| r.0)))
            }
        }
    }

    /// A crash may have lost what was not durable, from some entry on.
    fn recover(&mut self, entries: &[Entry]) -> Result<Vec<Row>, String> {
        let Some((before, new)) = entries.split_at_checked(self.durable.len()) else {
            return Err(format!("a crash lost what was durable: {} of {} entries", entries.len(), self.durable.len()));
        };
        if before != self.durable {
            return Err("a crash changed what was durable".to_owned());
        }
        let rows = new.iter().map(|entry| self.settle(entry)).collect();
        self.given.clear();
        rows
    }
}
