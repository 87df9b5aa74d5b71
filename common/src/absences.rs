//! Who was left out of a run's rounds, so that no run is called done without saying on whom it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::RunEvent;
use crate::ids::SiteName;

/// Sites named in the sentence.
const NAMES_MAX: usize = 8;

/// What a run's events say of absent sites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absences {
    /// Rounds that were committed.
    pub rounds: u64,
    /// Those without everyone in their cohort.
    pub rounds_without_all: u64,
    /// Rounds that closed with fewer updates than they need.
    pub shrunk: BTreeSet<u64>,
    /// Late updates that did not count.
    pub late_dropped: u64,
    /// Late updates that counted in a later round.
    pub late_counted: u64,
    /// For each site that was left out: of how many rounds, and the last reason.
    pub sites: BTreeMap<SiteName, (u64, String)>,
}

impl Absences {
    /// Of all `events`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a RunEvent>) -> Self {
        let mut absences = Self::default();
        events.into_iter().for_each(|event| absences.take(event));
        absences
    }

    /// Takes the next event.
    pub fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RoundCommitted { left_out, .. } => {
                self.rounds += 1;
                self.rounds_without_all += u64::from(!left_out.is_empty());
                for absent in left_out {
                    let (rounds, reason) = self.sites.entry(absent.site.clone()).or_default();
                    *rounds += 1;
                    reason.clone_from(&absent.reason);
                }
            }
            RunEvent::RoundShrunk { round, .. } => drop(self.shrunk.insert(round.0)),
            RunEvent::UpdateLate { weight: None, .. } => self.late_dropped += 1,
            RunEvent::UpdateLate { weight: Some(_), .. } => self.late_counted += 1,
            _ => {}
        }
    }

    /// What the end of a run says of it; `None` where every round had everyone.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        if self.rounds_without_all == 0 && self.shrunk.is_empty() {
            return None;
        }
        let mut text = format!("{} of {} rounds closed without everyone", self.rounds_without_all, self.rounds);
        if !self.shrunk.is_empty() {
            text += &format!(", {} of them with fewer updates than a round needs", self.shrunk.len());
        }
        let mut named: Vec<String> = self
            .sites
            .iter()
            .take(NAMES_MAX)
            .map(|(site, (rounds, reason))| format!("{site} left out of {rounds} (last: {reason})"))
            .collect();
        if self.sites.len() > NAMES_MAX {
            named.push(format!("and {} more sites", self.sites.len() - NAMES_MAX));
        }
        Some(format!("{text}: {}", named.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::LeftOut;
    use crate::ids::{Digest, RoundId};

    fn round(round: u64, left_out: &[(&str, &str)]) -> RunEvent {
        let one =
            |(site, reason): &(&str, &str)| LeftOut { site: SiteName::new(site).unwrap(), reason: (*reason).into() };
        RunEvent::RoundCommitted {
            round: RoundId(round),
            took_part: vec![],
            left_out: left_out.iter().map(one).collect(),
            model: Digest([0; 32]),
            step_norm: 0.0,
            ms: 1,
        }
    }

    #[test]
    fn the_end_names_who_was_left_out() {
        assert_eq!(Absences::of(&[round(1, &[])]).sentence(), None);
        let shrunk = RunEvent::RoundShrunk { round: RoundId(3), updates: 1, updates_min: 2, left_out: vec![] };
        let events = [round(1, &[("b", "slow")]), round(2, &[]), shrunk, round(3, &[("b", "gone"), ("c", "declined")])];
        insta::assert_snapshot!(Absences::of(&events).sentence().unwrap(), @"2 of 3 rounds closed without everyone, 1 of them with fewer updates than a round needs: b left out of 2 (last: gone); c left out of 1 (last: declined)");
    }
}
