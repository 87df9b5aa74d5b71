//! The shift of one site.

use rand::seq::{SliceRandom, index};
use rand::{Rng, RngExt};
use synod_client::data::{DataError, Look, Share, SiteData};
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{LabelNoiseKind, Shift, Spread};
use synod_common::random::{ChaCha12Rng, NO_CLIENT, Purpose, stream};

/// The shifts of all sites of a run.
#[derive(Clone, Copy, Debug)]
pub struct Shifts<'a> {
    /// What the plan says.
    pub shift: &'a Shift,
    /// The seed of the run.
    pub seed: u64,
    /// Number of sites.
    pub sites: usize,
    /// Number of classes; 0 in tasks without one class a sample.
    pub classes: u32,
}

/// What is drawn for a site: always all of it, so that one effect does not move another.
struct Drawn {
    noise: f64,
    rotation: f64,
    contrast: f64,
    gain: f64,
    bias: f64,
    label_noise: f64,
    unlabelled: f64,
}

impl Shifts<'_> {
    fn drawn(&self, client: ClientId) -> Drawn {
        let mut rng = stream(self.seed, RoundId(0), client, Purpose::Shift);
        let mut next = || rng.random::<f64>();
        Drawn {
            noise: next(),
            rotation: next(),
            contrast: next(),
            gain: next(),
            bias: next(),
            label_noise: next(),
            unlabelled: next(),
        }
    }

    /// The strength at the site `index`, 0 to 1.
    fn strength(&self, spread: Spread, index: usize, drawn: f64) -> f64 {
        match spread {
            Spread::Same => 1.0,
            Spread::Random => drawn,
            Spread::Linear if self.sites > 1 => index as f64 / (self.sites - 1) as f64,
            Spread::Linear => 1.0,
        }
    }

    /// How inputs look at the site `index`.
    #[must_use]
    pub fn look(&self, index: usize, client: ClientId) -> Look {
        let drawn = self.drawn(client);
        let mut look = Look::plain(self.seed, client);
        if let Some(noise) = &self.shift.noise {
            look.noise = noise.deviation * self.strength(noise.spread, index, drawn.noise);
        }
        if let Some(rotation) = &self.shift.rotation {
            look.degrees = rotation.degrees * self.strength(rotation.spread, index, drawn.rotation);
        }
        if let Some(contrast) = &self.shift.contrast {
            look.contrast =
                1.0 + contrast.strength * (2.0 * self.strength(contrast.spread, index, drawn.contrast) - 1.0);
        }
        if let Some(scanner) = &self.shift.scanner {
            look.gain = 1.0 + scanner.gain * (2.0 * drawn.gain - 1.0);
            look.bias = scanner.bias * (2.0 * drawn.bias - 1.0);
        }
        look
    }

    /// Shifts the samples of the site `index`. Looks and concepts are those of all its samples, wrong and missing labels
    /// those of its training samples.
    ///
    /// # Errors
    /// Only by a fault of the program: labels that do not fit the samples.
    pub fn apply(&self, index: usize, client: ClientId, data: SiteData) -> Result<SiteData, DataError> {
        let look = self.look(index, client);
        let drawn = self.drawn(client);
        let SiteData { mut train, mut holdout } = data;
        if let Some(concept) = &self.shift.concept {
            let meanings = permutation(self.seed, Purpose::Labels, index as u32 % concept.groups, self.classes);
            train = self.relabelled(train, |class| meanings.get(class as usize).copied().unwrap_or(class))?;
            let held = holdout
                .map(|held| self.relabelled(held, |class| meanings.get(class as usize).copied().unwrap_or(class)));
            holdout = held.transpose()?;
        }
        if let Some(noise) = &self.shift.label_noise {
            let rate = noise.rate * self.strength(noise.spread, index, drawn.label_noise);
            let mut rng = stream(self.seed, RoundId(0), client, Purpose::Labels);
            train = self.relabelled(train, |class| wrong(class, self.classes, rate, noise.kind, &mut rng))?;
        }
        if let Some(unlabelled) = &self.shift.unlabelled {
            let fraction = unlabelled.fraction * self.strength(unlabelled.spread, index, drawn.unlabelled);
            let mut rng = stream(self.seed, RoundId(1), client, Purpose::Labels);
            train = train.select(&labelled(train.len(), fraction, &mut rng));
        }
        Ok(SiteData { train: train.with_look(look.clone()), holdout: holdout.map(|held| held.with_look(look)) })
    }

    fn relabelled(&self, share: Share, change: impl FnMut(u32) -> u32) -> Result<Share, DataError> {
        let positions = 0..share.len() as u32;
        let labels = positions.map(|position| share.group(position)).map(change).collect();
        share.with_labels(labels)
    }
}

/// What each class means to the sites of `group`; the first group takes classes for what they are.
pub(super) fn permutation(seed: u64, purpose: Purpose, group: u32, classes: u32) -> Vec<u32> {
    let mut meanings: Vec<u32> = (0..classes).collect();
    if group > 0 {
        meanings.shuffle(&mut stream(seed, RoundId(u64::from(group)), NO_CLIENT, purpose));
    }
    meanings
}

/// The label that stands for `class`. Two numbers are drawn whatever comes of it.
fn wrong(class: u32, classes: u32, rate: f64, kind: LabelNoiseKind, rng: &mut impl Rng) -> u32 {
    let (at, other) = (rng.random::<f64>(), rng.random_range(0..classes.max(2) - 1));
    if at >= rate || classes < 2 {
        return class;
    }
    match kind {
        LabelNoiseKind::Symmetric if other >= class => other + 1,
        LabelNoiseKind::Symmetric => other,
        LabelNoiseKind::Pairs => (class + 1) % classes,
    }
}

/// The positions that keep their label, ascending; one at least.
fn labelled(samples: usize, unlabelled: f64, rng: &mut ChaCha12Rng) -> Vec<u32> {
    let without = (samples as f64 * unlabelled).round() as usize;
    let mut kept: Vec<u32> = index::sample(rng, samples, samples.saturating_sub(without).max(1).min(samples))
        .into_iter()
        .map(|position| position as u32)
        .collect();
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use synod_client::data::{Dataset, Inputs, Normaliser};
    use synod_common::plan::{AnyLoss, Plan};

    use super::*;

    const ROWS: u32 = 2000;

    fn plan(shift: &str) -> Plan {
        let text = format!(
            "model = \"logistic\"\n[task.classification]\nclasses = 4\n[data]\n[data.source.npz]\nfile = \"x\"\nshape = [1, 1, 1]\n\
             [simulation]\nclients = 3\n{shift}"
        );
        Plan::read(&text, &AnyLoss).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The shifted samples of the site `index` of three, with the labels and inputs of all of its training samples.
    fn shifted(shift: &str, index: usize) -> (SiteData, Vec<f32>, Vec<i64>) {
        let plan = plan(shift);
        let labels = (0..ROWS).map(|row| row % 4).collect::<Vec<_>>();
        let data = Arc::new(Dataset::new(Inputs::F32(vec![1.0; ROWS as usize]), labels, vec![1, 1, 1]).unwrap());
        let normaliser = Arc::new(Normaliser::fit(&plan, &data, &[]).unwrap());
        let share = Share::whole(data, normaliser);
        let site = SiteData { train: share.clone(), holdout: Some(share) };
        let shift = plan.simulation.as_ref().unwrap().shift.as_ref().unwrap();
        let shifts = Shifts { shift, seed: plan.seed, sites: 3, classes: 4 };
        let site = shifts.apply(index, ClientId([index as u8; 16]), site).unwrap();
        let (mut inputs, mut labels) = (Vec::new(), Vec::new());
        site.train.gather(&(0..site.train.len() as u32).collect::<Vec<_>>(), &mut inputs, &mut labels);
        (site, inputs, labels)
    }

    fn deviation(inputs: &[f32]) -> f64 {
        let square: f64 = inputs.iter().map(|v| f64::from(v - 1.0).powi(2)).sum();
        (square / inputs.len() as f64).sqrt()
    }

    #[test]
    fn noise_grows_from_the_first_site_to_the_last() {
        let found = [0, 1, 2].map(|index| deviation(&shifted("[simulation.shift.noise]\ndeviation = 0.6\n", index).1));
        assert!(found[0] == 0.0 && (found[1] - 0.3).abs() < 0.02 && (found[2] - 0.6).abs() < 0.04, "{found:?}");
    }

    #[test]
    fn a_scanner_is_a_site_s_own_for_all_its_samples() {
        let shift = "[simulation.shift.scanner]\ngain = 0.5\nbias = 0.5\n";
        let values = [0, 1, 2].map(|index| shifted(shift, index).1);
        assert!(values.iter().all(|inputs| inputs.iter().all(|v| *v == inputs[0] && (0.0..=2.0).contains(v))));
        assert!(values[0][0] != values[1][0] && values[1][0] != values[2][0]);
        assert_eq!(values[1], shifted(shift, 1).1, "drawn from the seed");
    }

    #[test]
    fn label_noise_has_its_rate_and_held_out_labels_stay_right() {
        let wrong = |text: &str, index: usize| {
            let (site, _, labels) = shifted(&format!("[simulation.shift.label_noise]\nrate = 0.4\n{text}"), index);
            assert_eq!(site.holdout.unwrap().class_counts(4), [500; 4]);
            let wrong: Vec<(i64, i64)> = labels
                .iter()
                .enumerate()
                .map(|(row, label)| (row as i64 % 4, *label))
                .filter(|(a, b)| a != b)
                .collect();
            (wrong.len() as f64 / labels.len() as f64, wrong)
        };
        let (rate, all) = wrong("", 1);
        assert!((rate - 0.4).abs() < 0.04, "{rate}");
        for (from, to) in [(0, 1), (0, 3), (2, 1), (3, 0)] {
            assert!(all.contains(&(from, to)));
        }
        let (rate, pairs) = wrong("kind = \"pairs\"\nspread = \"linear\"", 1);
        assert!((rate - 0.2).abs() < 0.04 && pairs.iter().all(|(from, to)| *to == (from + 1) % 4), "{rate}");
        assert_eq!(wrong("spread = \"linear\"", 0).0, 0.0);
    }

    #[test]
    fn groups_of_sites_share_a_concept_for_all_their_samples() {
        let [a, b, c] = [0, 1, 2].map(|index| shifted("[simulation.shift.concept]\ngroups = 2\n", index));
        assert_eq!(a.2, c.2, "sites 0 and 2 are in the first group");
        assert_ne!(a.2, b.2);
        assert!(b.2.chunks(4).all(|four| four == &b.2[..4]), "one meaning a class");
        let held = b.0.holdout.unwrap();
        assert!((0..4).all(|position| i64::from(held.group(position)) == b.2[position as usize]));
    }

    #[test]
    fn unlabelled_samples_are_not_trained_on_and_one_stays() {
        let rows = |fraction: f64| {
            let (site, ..) = shifted(&format!("[simulation.shift.unlabelled]\nfraction = {fraction:?}\n"), 1);
            assert_eq!(site.holdout.unwrap().len(), ROWS as usize);
            site.train.rows().to_vec()
        };
        assert_eq!((rows(0.25).len(), rows(1.0).len(), rows(0.0).len()), (1500, 1, 2000));
        assert!(rows(0.25).is_sorted() && rows(0.25) != (0..1500).collect::<Vec<_>>());
    }

    #[test]
    fn what_needs_classes_or_images_is_refused_elsewhere() {
        let text = "task.regression.outputs = 1\nmodel = \"logistic\"\n[data]\nsource = \"digits\"\n[simulation]\nclients = 2\n\
                    [simulation.shift.label_noise]\n";
        let error = Plan::read(text, &AnyLoss).unwrap_err();
        assert!(error.to_string().contains("one class per sample"), "{error}");
    }
}
