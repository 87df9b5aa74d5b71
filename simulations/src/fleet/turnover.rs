//! Sites that come later or go before the end.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use synod_common::ids::RoundId;
use synod_common::plan::SiteArrival;
use synod_common::random::{Purpose, run_stream};

/// Who comes for which round and who is gone from which on, by positions.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    sites: usize,
    coming: BTreeMap<u64, Vec<usize>>,
    leaving: BTreeMap<u64, Vec<usize>>,
}

impl Turnover {
    /// Draws who they are, of `sites`.
    pub(super) fn draw(arrival: Option<&SiteArrival>, sites: usize, seed: u64) -> Self {
        let Some(arrival) = arrival else { return Self { sites, ..Self::default() } };
        let mut order: Vec<usize> = (0..sites).collect();
        order.shuffle(&mut run_stream(seed, Purpose::Arrival));
        let count = |share: f64| (share * sites as f64 + 1e-9).floor() as usize;
        let (late, others) = order.split_at(count(arrival.late).min(sites));
        let gone = &others[..count(arrival.leaving).min(others.len())];
        Self {
            sites,
            coming: spread(late, arrival.from, arrival.until),
            leaving: spread(gone, arrival.leave_from, arrival.leave_until),
        }
    }

    /// Those that are there when the run begins.
    pub(super) fn at_start(&self) -> impl Iterator<Item = usize> + '_ {
        let late: std::collections::BTreeSet<usize> = self.coming.values().flatten().copied().collect();
        (0..self.sites).filter(move |site| !late.contains(site))
    }

    /// Those that come for `round`.
    pub(super) fn coming(&self, round: RoundId) -> impl Iterator<Item = usize> + '_ {
        self.coming.get(&round.0).into_iter().flatten().copied()
    }

    /// Those that are gone from `round` on.
    pub(super) fn leaving(&self, round: RoundId) -> impl Iterator<Item = usize> + '_ {
        self.leaving.get(&round.0).into_iter().flatten().copied()
    }
}

/// The sites evenly over the rounds `from` to `until`.
fn spread(sites: &[usize], from: u64, until: u64) -> BTreeMap<u64, Vec<usize>> {
    let rounds = until.saturating_sub(from) + 1;
    let mut by_round: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, site) in (0_u64..).zip(sites) {
        by_round.entry(from + at * rounds / sites.len() as u64).or_default().push(*site);
    }
    by_round.values_mut().for_each(|sites| sites.sort_unstable());
    by_round
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_come_late_others_go_and_all_are_spread_over_their_rounds() {
        let arrival = SiteArrival { late: 0.4, from: 3, until: 6, leaving: 0.3, leave_from: 5, leave_until: 5 };
        let turnover = Turnover::draw(Some(&arrival), 10, 1);
        assert_eq!(turnover.at_start().count(), 6);
        assert_eq!([2, 3, 4, 5, 6, 7].map(|round| turnover.coming(RoundId(round)).count()), [0, 1, 1, 1, 1, 0]);
        let gone: Vec<usize> = turnover.leaving(RoundId(5)).collect();
        assert_eq!(gone.len(), 3);
        assert!(gone.iter().all(|site| turnover.at_start().any(|there| there == *site)));
        let again = Turnover::draw(Some(&arrival), 10, 1);
        assert_eq!(again.leaving(RoundId(5)).collect::<Vec<_>>(), gone);
        assert_eq!(Turnover::draw(None, 4, 1).at_start().count(), 4);
        let all = SiteArrival { late: 1.0, leaving: 1.0, ..arrival };
        assert_eq!(Turnover::draw(Some(&all), 10, 1).at_start().count(), 0);
    }
}
