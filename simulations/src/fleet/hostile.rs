//! Hostile sites of a simulation and what they send instead of their honest updates.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::Attack;
use synod_common::random::{Purpose, run_stream, stream};
use synod_common::update::Update;

/// Who attacks, and how.
#[derive(Clone, Debug, Default)]
pub struct Hostile {
    attack: Option<Attack>,
    sites: BTreeSet<usize>,
    seed: u64,
}

impl Hostile {
    /// Draws the hostile ones of `sites` sites; `trusted` is never one of them.
    #[must_use]
    pub fn draw(attack: &Attack, sites: usize, trusted: Option<usize>, seed: u64) -> Self {
        let count = (attack.fraction() * sites as f64 + 1e-9).floor() as usize;
        let mut order: Vec<usize> = (0..sites).filter(|site| Some(*site) != trusted).collect();
        order.shuffle(&mut run_stream(seed, Purpose::Attack));
        Self { attack: Some(attack.clone()), sites: order.into_iter().take(count).collect(), seed }
    }

    /// The positions of hostile sites, in order.
    pub fn sites(&self) -> impl Iterator<Item = usize> {
        self.sites.iter().copied()
    }

    /// Whether the site at this position trains on flipped labels.
    #[must_use]
    pub fn flips_labels(&self, site: usize) -> bool {
        matches!(self.attack, Some(Attack::LabelFlip { .. })) && self.sites.contains(&site)
    }

    /// Whether the site at this position waits for the other hostile ones before it sends.
    #[must_use]
    pub fn colludes(&self, site: usize) -> bool {
        matches!(self.attack, Some(Attack::InnerProduct { .. } | Attack::LittleIsEnough { .. }))
            && self.sites.contains(&site)
    }

    /// Changes the honest update of a site that attacks by itself.
    pub fn change(&self, site: usize, client: ClientId, round: RoundId, update: &mut Update) {
        if !self.sites.contains(&site) {
            return;
        }
        let delta = &mut update.delta;
        match &self.attack {
            Some(Attack::SignFlip { scale, .. }) => multiply(delta, -scale),
            Some(Attack::LargeNorm { scale, .. }) => multiply(delta, *scale),
            Some(Attack::Noise { scale, .. }) => {
                let square: f64 = delta.iter().map(|value| f64::from(*value).powi(2)).sum();
                let deviation = scale * (square / delta.len().max(1) as f64).sqrt();
                let mut rng = stream(self.seed, round, client, Purpose::Attack);
                for value in delta.iter_mut() {
                    let drawn: f64 = rng.sample(StandardNormal);
                    *value = (drawn * deviation) as f32;
                }
            }
            // Flipped labels do their work in training; the others wait for each other.
            Some(Attack::LabelFlip { .. } | Attack::InnerProduct { .. } | Attack::LittleIsEnough { .. }) | None => {}
        }
    }

    /// Replaces the honest updates of hostile sites by what they agree on; `cohort` is the number of members of the
    /// round, hostile ones included. The order of `updates` decides nothing but rounding, so it must not depend on who
    /// was faster.
    pub fn conspire(&self, updates: &mut [Update], cohort: usize) {
        let Some(len) = updates.first().map(|update| update.delta.len()) else { return };
        let hostile = updates.len();
        let factors = match &self.attack {
            Some(Attack::InnerProduct { scale, .. }) => (-scale, 0.0),
            Some(Attack::LittleIsEnough { z, .. }) => (1.0, z.unwrap_or_else(|| little(cohort, hostile))),
            _ => return,
        };
        for i in 0..len {
            let values = || updates.iter().filter_map(|update| update.delta.get(i)).map(|value| f64::from(*value));
            let mean = values().sum::<f64>() / hostile as f64;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / hostile as f64;
            let agreed = (factors.0 * mean - factors.1 * variance.sqrt()) as f32;
            for update in updates.iter_mut() {
                if let Some(value) = update.delta.get_mut(i) {
                    *value = agreed;
                }
            }
        }
    }
}

fn multiply(delta: &mut [f32], factor: f64) {
    for value in delta {
        *value = (f64::from(*value) * factor) as f32;
    }
}

/// The largest `z` with which `hostile` of `cohort` members still have a majority behind them: the quantile at
/// `(n - f - s) / (n - f)` with `s = floor(n / 2 + 1) - f` (Baruch et al., algorithm 3, line 2). Where no honest member
/// is needed, or none is there, one standard deviation.
fn little(cohort: usize, hostile: usize) -> f64 {
    let (members, hostile) = (cohort as f64, hostile as f64);
    let supporters = (members / 2.0 + 1.0).floor() - hostile;
    let share = (members - hostile - supporters) / (members - hostile);
    if share > 0.0 && share < 1.0 { normal_quantile(share) } else { 1.0 }
}

/// The standard normal's quantile by bisection of its distribution function; enough for a number of two digits.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0_f64, 8.0_f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_share(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The standard normal's distribution function (Abramowitz and Stegun 7.1.26, error below 1.5e-7).
fn normal_share(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let above = 0.5 * series * (-z * z).exp();
    if x >= 0.0 { 1.0 - above } else { above }
}

#[cfg(test)]
mod tests {
    use synod_common::ids::Digest;
    use synod_common::metrics::Metrics;
    use synod_common::update::UpdateHeader;

    use super::*;

    fn update(delta: &[f32]) -> Update {
        let header = UpdateHeader {
            round: RoundId(1),
            plan: Digest([0; 32]),
            layout: Digest([0; 32]),
            samples: 1,
            before: None,
            train: Metrics::default(),
            after: None,
            train_ms: 0,
            steps: 1,
            loss_before: None,
        };
        Update { header, delta: delta.to_vec().into(), extra: None }
    }

    fn changed(attack: Attack, delta: &[f32]) -> Vec<f32> {
        let hostile = Hostile { attack: Some(attack), sites: BTreeSet::from([0]), seed: 1 };
        let (mut own, mut other) = (update(delta), update(delta));
        hostile.change(0, ClientId([1; 16]), RoundId(1), &mut own);
        hostile.change(1, ClientId([2; 16]), RoundId(1), &mut other);
        assert_eq!(&*other.delta, delta, "an honest site's update stays as it is");
        own.delta.to_vec()
    }

    #[test]
    fn lone_attackers_change_their_own_delta() {
        let fraction = 0.2;
        assert_eq!(changed(Attack::SignFlip { fraction, scale: 2.0 }, &[1.0, -3.0]), [-2.0, 6.0]);
        assert_eq!(changed(Attack::LargeNorm { fraction, scale: 10.0 }, &[1.0, -3.0]), [10.0, -30.0]);
        assert_eq!(changed(Attack::LabelFlip { fraction }, &[1.0, -3.0]), [1.0, -3.0]);
        let honest = vec![0.5_f32; 4000];
        let noise = changed(Attack::Noise { fraction, scale: 3.0 }, &honest);
        let norm = |delta: &[f32]| delta.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert!((norm(&noise) / norm(&honest) / 3.0 - 1.0).abs() < 0.05);
        assert!(noise.iter().any(|v| *v < 0.0));
        assert_eq!(noise, changed(Attack::Noise { fraction, scale: 3.0 }, &honest), "drawn from the seed");
    }

    #[test]
    fn conspirators_send_one_delta() {
        let agreed = |attack: Attack| {
            let hostile = Hostile { attack: Some(attack), sites: BTreeSet::from([0, 1]), seed: 1 };
            let mut updates = [update(&[1.0, 4.0]), update(&[3.0, 4.0])];
            hostile.conspire(&mut updates, 10);
            assert_eq!(*updates[0].delta, *updates[1].delta);
            updates[0].delta.to_vec()
        };
        assert_eq!(agreed(Attack::InnerProduct { fraction: 0.2, scale: 0.5 }), [-1.0, -2.0]);
        // Mean 2 and 4, population deviation 1 and 0.
        assert_eq!(agreed(Attack::LittleIsEnough { fraction: 0.2, z: Some(1.5) }), [0.5, 4.0]);
    }

    /// The paper's example: 50 workers, 24 of them corrupted, gives 2 supporters and z = 1.43.
    #[test]
    fn little_is_what_the_paper_computes() {
        assert!((little(50, 24) - 1.4261).abs() < 1e-3, "{}", little(50, 24));
        assert_eq!(little(3, 3), 1.0);
    }

    #[test]
    fn as_many_as_the_fraction_says_are_drawn_from_the_seed() {
        let attack = Attack::LabelFlip { fraction: 0.3 };
        let drawn = |seed| Hostile::draw(&attack, 10, None, seed).sites().collect::<Vec<_>>();
        assert_eq!(drawn(1).len(), 3);
        assert_eq!(drawn(1), drawn(1));
        assert!((0..20).any(|seed| drawn(seed) != drawn(1)));
        assert!(Hostile::draw(&attack, 3, None, 1).sites().next().is_none());
        let all = Attack::LabelFlip { fraction: 1.0 };
        assert_eq!(Hostile::draw(&all, 3, Some(1), 1).sites().collect::<Vec<_>>(), [0, 2]);
    }
}
