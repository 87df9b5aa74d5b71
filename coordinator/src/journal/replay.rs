//! What a run is after its entries, one after the other. The journal applies each entry as it is written, and all of them when it is
//! opened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use synod_common::event::Outcome;
use synod_common::ids::{Digest, RoundId, SiteName};

use super::entry::{Accepted, Committed, Entry, Opened};
use super::keep::{Keep, KeepModels, KeepUpdates};
use super::line::{BlobRef, Line};

/// A run as its entries tell it.
#[derive(Debug)]
pub(super) struct Replay {
    keep: Keep,
    pub(super) started: Option<Started>,
    pub(super) known: BTreeSet<SiteName>,
    /// Sites that were there at the last commit, and those that were named since.
    pub(super) present: BTreeSet<SiteName>,
    pub(super) last_counted: BTreeMap<SiteName, RoundId>,
    /// The last commit.
    pub(super) committed: Option<Committed>,
    /// Models that are kept, the newest last.
    pub(super) models: VecDeque<Model>,
    pub(super) open: Option<Open>,
    pub(super) ended: Option<Outcome>,
    /// Updates of closed rounds, where they are kept.
    old_updates: Vec<BlobRef>,
}

/// The identity of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Started {
    pub(super) plan: Digest,
    pub(super) layout: Digest,
    pub(super) model: Digest,
}

/// A model that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) round: RoundId,
    pub(super) digest: Digest,
    pub(super) blobs: Vec<BlobRef>,
}

/// A round that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) opened: Opened,
    pub(super) out: BTreeMap<SiteName, String>,
    /// By site and by the round of its task.
    pub(super) accepted: BTreeMap<(SiteName, RoundId), (Accepted, Vec<BlobRef>)>,
}

impl Open {
    fn has_member(&self, site: &SiteName) -> Result<(), String> {
        if self.opened.cohort.contains(site) {
            Ok(())
        } else {
            Err(format!("{site} is not in the cohort of round {}", self.opened.round))
        }
    }
}

impl Replay {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            started: None,
            known: BTreeSet::new(),
            present: BTreeSet::new(),
            last_counted: BTreeMap::new(),
            committed: None,
            models: VecDeque::new(),
            open: None,
            ended: None,
            old_updates: Vec::new(),
        }
    }

    /// The round of the last commit; 0 before the first.
    pub(super) fn round(&self) -> RoundId {
        self.committed.as_ref().map_or(RoundId(0), |c| c.round)
    }

    /// Takes the next entry, and returns the blobs that it lets go of. Another entry may still refer to the same bytes.
    ///
    /// # Errors
    /// What is wrong, where it cannot have been written by a run.
    pub(super) fn apply(&mut self, line: Line) -> Result<Vec<BlobRef>, String> {
        let Line { entry, blobs } = line;
        let expected = match &entry {
            Entry::UpdateAccepted(_) | Entry::RoundCommitted(_) => 1..=2,
            Entry::RunStarted { .. }
            | Entry::SiteJoined { .. }
            | Entry::RoundOpened(_)
            | Entry::MemberOut { .. }
            | Entry::RunEnded { .. } => 0..=0,
        };
        if !expected.contains(&blobs.len()) {
            return Err(format!("{} has {} blobs", entry.kind(), blobs.len()));
        }
        let mut released = Vec::new();
        match entry {
            Entry::RunStarted { plan, layout, model } => {
                if self.started.replace(Started { plan, layout, model }).is_some() {
                    return Err("the run begins twice".to_owned());
                }
            }
            Entry::SiteJoined { site } => {
                self.present.insert(site.clone());
                self.known.insert(site);
            }
            Entry::RoundOpened(opened) if self.is_open(opened.round, opened.attempt) => {
                self.present.extend(opened.cohort.iter().cloned());
                self.open.iter_mut().for_each(|open| open.opened = opened.clone());
            }
            Entry::RoundOpened(opened) => {
                self.follows(opened.round)?;
                released = self.close_round();
                self.ended = None;
                self.present.extend(opened.cohort.iter().cloned());
                self.open = Some(Open { opened, out: BTreeMap::new(), accepted: BTreeMap::new() });
            }
            Entry::UpdateAccepted(accepted) => {
                let (site, task) = (accepted.site.clone(), accepted.header.round);
                let open = self.open_round(accepted.round, accepted.attempt)?;
                if task == accepted.round {
                    open.has_member(&site)?;
                }
                open.opened.time_left_ms = accepted.time_left_ms;
                open.out.remove(&site);
                if open.accepted.insert((site.clone(), task), (*accepted, blobs)).is_some() {
                    return Err(format!("the update of {site} counts twice"));
                }
            }
            Entry::MemberOut { round, attempt, site, reason, time_left_ms } => {
                let open = self.open_round(round, attempt)?;
                open.has_member(&site)?;
                open.opened.time_left_ms = time_left_ms;
                released.extend(open.accepted.remove(&(site.clone(), round)).into_iter().flat_map(|(_, blobs)| blobs));
                open.out.insert(site, reason);
            }
            Entry::RoundCommitted(committed) => {
                self.follows(committed.round)?;
                let open = self.open.as_ref().ok_or("a round closes that was not open")?;
                if let Some(stranger) =
                    committed.took_part.iter().find(|site| !open.accepted.keys().any(|(of, _)| of == *site))
                {
                    return Err(format!("{stranger} took part in round {} without an update", committed.round));
                }
                released = self.close_round();
                self.last_counted.extend(committed.took_part.iter().map(|site| (site.clone(), committed.round)));
                self.models.push_back(Model { round: committed.round, digest: committed.model, blobs });
                if let KeepModels::Last(number) = self.keep.models {
                    while self.models.len() > number.get() as usize {
                        released.extend(self.models.pop_front().into_iter().flat_map(|model| model.blobs));
                    }
                }
                self.present = committed.present.iter().cloned().collect();
                self.committed = Some(*committed);
            }
            Entry::RunEnded { outcome } => {
                // When a run that was stopped is begun again its round opens anew, as the same attempt perhaps.
                released = self.close_round();
                self.ended = Some(outcome);
            }
        }
        Ok(released)
    }

    fn follows(&self, round: RoundId) -> Result<(), String> {
        let last = self.round();
        if round == last.next() { Ok(()) } else { Err(format!("round {round} follows round {last}")) }
    }

    fn is_open(&self, round: RoundId, attempt: u32) -> bool {
        self.ended.is_none()
            && self.open.as_ref().is_some_and(|open| (open.opened.round, open.opened.attempt) == (round, attempt))
    }

    fn open_round(&mut self, round: RoundId, attempt: u32) -> Result<&mut Open, String> {
        let open = self.open.as_mut().filter(|open| (open.opened.round, open.opened.attempt) == (round, attempt));
        open.ok_or_else(|| format!("attempt {attempt} of round {round} is not open"))
    }

    /// The open round is over: its updates are of no more use, unless they are kept.
    fn close_round(&mut self) -> Vec<BlobRef> {
        let updates =
            self.open.take().into_iter().flat_map(|open| open.accepted.into_values()).flat_map(|(_, blobs)| blobs);
        match self.keep.updates {
            KeepUpdates::Open => updates.collect(),
            KeepUpdates::All => {
                self.old_updates.extend(updates);
                Vec::new()
            }
        }
    }

    /// Every blob that must be there, with what it is.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (BlobRef, String)> + '_ {
        let models = self.models.iter().flat_map(|model| {
            let names = [format!("model of round {}", model.round), format!("state of round {}", model.round)];
            model.blobs.iter().copied().zip(names)
        });
        let open = self.open.iter().flat_map(|open| {
            open.accepted.values().flat_map(|(accepted, blobs)| {
                let of = format!("update of {} for round {}", accepted.site, accepted.header.round);
                blobs.iter().map(move |blob| (*blob, of.clone()))
            })
        });
        let old = self.old_updates.iter().map(|blob| (*blob, "update of a closed round".to_owned()));
        models.chain(open).chain(old)
    }

    /// The digests of every blob that must be there.
    pub(super) fn live(&self) -> BTreeSet<Digest> {
        let models = self.models.iter().flat_map(|model| &model.blobs);
        let open = self.open.iter().flat_map(|open| open.accepted.values()).flat_map(|(_, blobs)| blobs);
        models.chain(open).chain(&self.old_updates).map(|blob| blob.digest).collect()
    }
}

impl Replay {
    /// Forgets old models and updates of which not all is `there` any more: they were let go under another way to keep. The
    /// newest model and the updates of the open round are never let go.
    pub(super) fn forget_missing(&mut self, there: &BTreeSet<Digest>) {
        let newest = self.models.pop_back();
        self.models.retain(|model| model.blobs.iter().all(|blob| there.contains(&blob.digest)));
        self.models.extend(newest);
        self.old_updates.retain(|blob| there.contains(&blob.digest));
    }
}
