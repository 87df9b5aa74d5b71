//! The coordinator's half of FedPAC: a head of its own for every site, and the centroids of classes.
//!
//! The deltas go through the plan's strategy as ever, so that the shared model has a head too, for sites that are new. Beside
//! that each site that took part gets the mixture of the round's heads that [`collaboration_weights`] finds for it; the
//! others keep the one they had. The centroid of a class is the mean over its samples of the round; a class that nobody has
//! in a round keeps its centroid.
//!
//! Source: Xu, Tong, Huang, "Personalized Federated Learning with Feature Alignment and Classifier Collaboration", ICLR
//! 2023, algorithm 1.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;

use synod_common::blocks::{Head, Layout};
use synod_common::extra::{ClassStatistics, Guide};
use synod_common::ids::ClientId;
use synod_common::plan::{FEDPAC_UPDATES_MAX, Personal, Plan};
use synod_common::state::State;
use synod_common::update::Buffer;

use super::StepError;
use crate::aggregate::{AggregateError, collaboration_weights, gram};

/// Which classes have a centroid, and the centroids: the end of every guide.
const CLASSES: &str = "fedpac.classes";

/// The name in the state of the head of `client`.
fn head_name(client: ClientId) -> String {
    let mut name = "fedpac.head.".to_owned();
    for byte in client.0 {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The head that FedPAC's sites have one each of; `None` where the plan is another.
pub(in crate::round) fn personal_head(plan: &Plan, layout: &Layout) -> Option<Head> {
    matches!(plan.personal, Some(Personal::Fedpac { .. })).then(|| layout.head()).flatten()
}

/// What goes out to `client` beside `model`: its head, or where it has none yet the model's, and the centroids.
pub(in crate::round) fn guide(head: &Head, state: &State, model: &[f32], client: ClientId) -> Vec<f32> {
    let fits = |name: &str, length: usize| state.vector(name).filter(|values| values.len() == length);
    let own = fits(&head_name(client), head.range.len()).unwrap_or(&model[head.range.clone()]);
    let mut guide = own.to_vec();
    match fits(CLASSES, Guide::class_values(head)) {
        Some(classes) => guide.extend_from_slice(classes),
        None => guide.resize(Guide::values(head), 0.0),
    }
    guide
}

/// One round of it.
#[derive(Debug)]
pub(super) struct Collaboration {
    head: Head,
    /// In the order of their ids.
    sites: BTreeMap<ClientId, Member>,
}

#[derive(Debug)]
struct Member {
    samples: NonZeroU32,
    /// Trained head minus the shared model's.
    head: Vec<f32>,
    statistics: Buffer,
}

impl Collaboration {
    pub(super) fn new(plan: &Plan, layout: &Layout) -> Option<Self> {
        personal_head(plan, layout).map(|head| Self { head, sites: BTreeMap::new() })
    }

    /// The part of a delta that is the head's.
    ///
    /// # Errors
    /// When there is no room for another site.
    pub(super) fn head(&self, delta: &[f32]) -> Result<Vec<f32>, AggregateError> {
        match self.sites.len() {
            FEDPAC_UPDATES_MAX => Err(AggregateError::TooMany(FEDPAC_UPDATES_MAX)),
            _ => Ok(delta[self.head.range.clone()].to_vec()),
        }
    }

    pub(super) fn push(&mut self, client: ClientId, samples: NonZeroU32, head: Vec<f32>, statistics: Buffer) {
        self.sites.insert(client, Member { samples, head, statistics });
    }

    /// Makes heads and centroids from those of the round, which began with the shared `model`.
    pub(super) fn finish(self, model: &[f32], state: &mut State) -> Result<(), StepError> {
        let statistics = self.sites.values().map(|site| ClassStatistics::read(&site.statistics, &self.head));
        let statistics = statistics.collect::<Result<Vec<_>, _>>()?;
        self.mix(&statistics, model, state)?;
        self.centre(&statistics, state)
    }

    fn mix(&self, statistics: &[ClassStatistics<'_>], model: &[f32], state: &mut State) -> Result<(), StepError> {
        let means: Vec<&[f32]> = statistics.iter().map(|site| site.means).collect();
        let variances: Vec<f64> = statistics.iter().map(|site| f64::from(site.variance)).collect();
        let weights = collaboration_weights(&gram(&means, 0..self.head.classes * self.head.features)?, &variances)?;
        let shared = &model[self.head.range.clone()];
        for (client, weights) in self.sites.keys().zip(weights) {
            let value = |at: usize| {
                let moved: f64 = self.sites.values().zip(&weights).map(|(site, w)| w * f64::from(site.head[at])).sum();
                (f64::from(shared[at]) + moved) as f32
            };
            let head: Vec<f32> = (0..shared.len()).map(value).collect();
            if let Some(at) = head.iter().position(|value| !value.is_finite()) {
                return Err(StepError::NonFinite(self.head.range.start + at));
            }
            state.set_named_vector(&head_name(*client), head)?;
        }
        Ok(())
    }

    fn centre(&self, statistics: &[ClassStatistics<'_>], state: &mut State) -> Result<(), StepError> {
        let (classes, features) = (self.head.classes, self.head.features);
        let before = state.take_vector(CLASSES, Guide::class_values(&self.head))?;
        let mut after = before.unwrap_or_else(|| vec![0.0; Guide::class_values(&self.head)]);
        let (known, centroids) = after.split_at_mut(classes);
        for (class, centroid) in centroids.chunks_exact_mut(features).enumerate() {
            let samples = |(member, site): (&Member, &ClassStatistics<'_>)| {
                f64::from(member.samples.get()) * f64::from(site.shares[class])
            };
            let samples: Vec<f64> = self.sites.values().zip(statistics).map(samples).collect();
            let all: f64 = samples.iter().sum();
            if all <= 0.0 {
                continue;
            }
            known[class] = 1.0;
            for (feature, value) in centroid.iter_mut().enumerate() {
                let of = |site: &ClassStatistics<'_>| f64::from(site.centroids[class * features + feature]);
                *value = (statistics.iter().zip(&samples).map(|(site, n)| n * of(site)).sum::<f64>() / all) as f32;
            }
        }
        state.set_vector(CLASSES, after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use synod_common::blocks::{BlockKind, BlockSpec};
    use synod_common::ids::RoundId;
    use synod_common::plan::AnyLoss;

    use super::super::{Aggregator, Contribution};
    use super::*;
    use crate::aggregate::screen;

    const A: ClientId = ClientId([1; 16]);
    const B: ClientId = ClientId([2; 16]);
    const C: ClientId = ClientId([3; 16]);
    /// A body of two values, and a head of two features and two classes.
    const MODEL: [f32; 8] = [1.0, -1.0, 0.5, 0.5, 0.25, 0.0, 2.0, -2.0];

    fn plan() -> Arc<Plan> {
        let text = "personal = \"fedpac\"\nmodel = { mlp = { hidden = [2] } }\n[task.classification]\nclasses = 2\n[data]\n\
                    source = \"digits\"\n";
        Arc::new(Plan::read(text, &AnyLoss).unwrap_or_else(|error| panic!("{error}")))
    }

    fn layout() -> Layout {
        let block = |name: &str, shape: &[usize]| BlockSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kind: BlockKind::Parameter,
        };
        let blocks = [("in.bias", vec![2]), ("out.weight", vec![2, 2]), ("out.bias", vec![2])];
        Layout::new(blocks.iter().map(|(name, shape)| block(name, shape)).collect()).unwrap()
    }

    /// An update: who, samples, delta, and its statistics.
    type Sent<'a> = (ClientId, u32, [f32; 8], ClassStatistics<'a>);

    fn round(state: &State, sent: &[Sent<'_>]) -> (Vec<f32>, State) {
        let mut aggregator = Aggregator::new(&plan(), RoundId(1), &layout(), sent.len(), sent.len()).unwrap();
        for (client, samples, delta, statistics) in sent {
            let samples = NonZeroU32::new(*samples).unwrap();
            let contribution = Contribution { samples, steps: 1, loss_before: None, age: 0 };
            let statistics = Buffer::from(statistics.to_values());
            let extra = (statistics, screen(&[]).unwrap());
            let screened = screen(delta).unwrap();
            aggregator.push(*client, contribution, Buffer::from(delta.to_vec()), screened, Some(extra)).unwrap();
        }
        let mut next = vec![f32::NAN; MODEL.len()];
        let step = aggregator.finish(state, &MODEL, &mut next).unwrap();
        (next, step.state)
    }

    fn told(state: &State, client: ClientId) -> Vec<f32> {
        guide(&layout().head().unwrap(), state, &MODEL, client)
    }

    #[test]
    fn heads_and_centroids_by_hand() {
        // |h_a - h_b|^2 = 2: site a takes (V_b + 2) / (V_a + V_b + 2) = 5/6 of its own head, site b one half.
        let a = ClassStatistics {
            shares: &[0.5, 0.5],
            centroids: &[1.0, 2.0, 3.0, 4.0],
            means: &[1.0, 0.0, 0.0, 0.0],
            variance: 1.0,
        };
        let b = ClassStatistics {
            shares: &[1.0, 0.0],
            centroids: &[5.0, 6.0, 0.0, 0.0],
            means: &[0.0, 1.0, 0.0, 0.0],
            variance: 3.0,
        };
        let deltas = [[1.0, 1.0, 6.0, 0.0, 0.0, 0.0, 0.0, 12.0], [3.0, 3.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0]];
        let empty = State::default();
        assert_eq!(
            told(&empty, A),
            [0.5, 0.5, 0.25, 0.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            "as the model has it"
        );
        let (next, state) = round(&empty, &[(A, 10, deltas[0], a), (B, 30, deltas[1], b)]);
        assert_eq!(next, [3.5, 1.5, 2.0, 5.0, 0.25, 0.0, 2.0, 1.0], "the shared model is the mean by samples");
        let near = |found: &[f32], expected: [f32; 6]| {
            assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-5), "{found:?} {expected:?}");
        };
        near(&told(&state, A)[..6], [5.5, 1.5, 0.25, 0.0, 2.0, 8.0]);
        near(&told(&state, B)[..6], [3.5, 3.5, 0.25, 0.0, 2.0, 4.0]);
        assert_eq!(told(&state, C)[..6], MODEL[2..], "a new site begins with the shared head");
        // Class 0: (5 * (1, 2) + 30 * (5, 6)) / 35; class 1 by site a alone.
        let classes = &told(&state, C)[6..];
        assert_eq!((&classes[..2], &classes[4..]), ([1.0, 1.0].as_slice(), [3.0, 4.0].as_slice()));
        assert!((classes[2] - 155.0 / 35.0).abs() < 1e-5 && (classes[3] - 190.0 / 35.0).abs() < 1e-5, "{classes:?}");
        // A round of b alone: a keeps its head, and class 1 its centroid.
        let (_, after) = round(&state, &[(B, 30, deltas[1], b)]);
        assert_eq!(told(&after, A)[..6], told(&state, A)[..6]);
        near(&told(&after, B)[..6], [0.5, 6.5, 0.25, 0.0, 2.0, -2.0]);
        assert_eq!(told(&after, A)[6..], [1.0, 1.0, 5.0, 6.0, 3.0, 4.0]);
        assert_eq!(State::from_bytes(&after.to_bytes(), 100), Ok(after));
    }

    #[test]
    fn sites_that_are_alike_share_the_plain_mean_in_any_order() {
        let alike = ClassStatistics { shares: &[0.5, 0.5], centroids: &[1.0; 4], means: &[2.0; 4], variance: 0.5 };
        let delta = |by: f32| [by; 8];
        let sent = [(A, 4, delta(3.0), alike), (B, 8, delta(0.0), alike), (C, 100, delta(-6.0), alike)];
        let (next, state) = round(&State::default(), &sent);
        for client in [A, B, C] {
            let head = &told(&state, client)[..6];
            assert!(
                head.iter().zip(&MODEL[2..]).all(|(head, shared)| (head - (shared - 1.0)).abs() < 1e-6),
                "{head:?}"
            );
        }
        let [a, b, c] = sent;
        assert_eq!(round(&State::default(), &[c, a, b]), (next, state), "arrival changes no bit");
    }

    #[test]
    fn false_statistics_and_too_many_sites_are_refused() {
        let head = layout().head().unwrap();
        let mut collaboration = Collaboration::new(&plan(), &layout()).unwrap();
        for site in 0..FEDPAC_UPDATES_MAX {
            let room = collaboration.head(&MODEL).unwrap();
            let client = ClientId((site as u128).to_le_bytes());
            collaboration.push(client, NonZeroU32::MIN, room, Buffer::from(vec![0.0; ClassStatistics::values(&head)]));
        }
        assert_eq!(collaboration.head(&MODEL), Err(AggregateError::TooMany(FEDPAC_UPDATES_MAX)));
        let refused = collaboration.finish(&MODEL, &mut State::default());
        assert!(matches!(refused, Err(StepError::Statistics(_))), "no shares: {refused:?}");
    }
}
