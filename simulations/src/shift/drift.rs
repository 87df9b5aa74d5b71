//! Samples of a site that change while a run goes on.

use rand::RngExt;
use synod_client::data::{DataError, Share, SiteData};
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{Drift, DriftKind};
use synod_common::random::{ChaCha12Rng, Purpose, stream};

use super::sites::permutation;

/// The samples of a site in `round`, of all that it has over the run.
///
/// Each sample has its own moment, drawn from the seed, at which it changes, so that the change goes evenly from the
/// sample with the first moment to that with the last. One sample at least is there in every round.
///
/// # Errors
/// Only by a fault of the program: labels that do not fit the samples.
pub fn drifted(
    drift: &Drift,
    seed: u64,
    client: ClientId,
    classes: u32,
    round: u64,
    data: &SiteData,
) -> Result<SiteData, DataError> {
    let share = drift.share(round);
    let change = |own: &Share, part: u64| match drift.what {
        DriftKind::Inputs => Ok(match own.look() {
            Some(look) => own.clone().with_look(look.scaled(share)),
            None => own.clone(),
        }),
        DriftKind::Concept => {
            let meanings = permutation(seed, Purpose::Drift, 1, classes);
            let mut rng = stream(seed, RoundId(part), client, Purpose::Drift);
            let labels = (0..own.len() as u32).map(|position| {
                let label = own.group(position);
                let changed = rng.random::<f64>() < share;
                meanings.get(label as usize).copied().filter(|_| changed).unwrap_or(label)
            });
            own.clone().with_labels(labels.collect())
        }
        DriftKind::Labels => Ok(own.select(&there(own, classes, share, seed, client, part))),
    };
    Ok(SiteData {
        train: change(&data.train, 1)?,
        holdout: data.holdout.as_ref().map(|held| change(held, 2)).transpose()?,
    })
}

/// The positions that are there where `share` of the change is done: of the classes that the site has at first those
/// whose moment has not come, of the others those whose moment has.
fn there(own: &Share, classes: u32, share: f64, seed: u64, client: ClientId, part: u64) -> Vec<u32> {
    let first = first_classes(classes, &mut stream(seed, RoundId(0), client, Purpose::Drift));
    let mut rng = stream(seed, RoundId(part), client, Purpose::Drift);
    let all = 0..own.len() as u32;
    let moments: Vec<f64> = all.clone().map(|_| rng.random()).collect();
    let is_there = |position: &u32| {
        let at_first = first.get(own.group(*position) as usize).copied().unwrap_or(true);
        (moments[*position as usize] < share) != at_first
    };
    let positions: Vec<u32> = all.clone().filter(is_there).collect();
    if positions.is_empty() { all.take(1).collect() } else { positions }
}

/// For each class whether the site has it at first: half of them, rounded up.
fn first_classes(classes: u32, rng: &mut ChaCha12Rng) -> Vec<bool> {
    let mut first = vec![false; classes as usize];
    for class in rand::seq::index::sample(rng, first.len(), first.len().div_ceil(2)) {
        first[class] = true;
    }
    first
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use synod_client::data::{Dataset, Inputs, Look, Normaliser};
    use synod_common::plan::{AnyLoss, Plan};

    use super::*;

    const CLIENT: ClientId = ClientId([4; 16]);

    fn data() -> SiteData {
        let text = "model = \"logistic\"\n[task.classification]\nclasses = 4\n[data]\n[data.source.npz]\nfile = \"x\"\nshape = [1]\n";
        let plan = Plan::read(text, &AnyLoss).unwrap();
        let data = Dataset::new(Inputs::F32(vec![0.0; 400]), (0..400).map(|row| row % 4).collect::<Vec<_>>(), vec![1]);
        let data = Arc::new(data.unwrap());
        let normaliser = Arc::new(Normaliser::fit(&plan, &data, &[]).unwrap());
        let share = Share::whole(data, normaliser);
        SiteData { train: share.clone().with_look(Look { bias: 2.0, ..Look::plain(1, CLIENT) }), holdout: Some(share) }
    }

    fn at(what: DriftKind, round: u64) -> SiteData {
        drifted(&Drift { what, from: 2, until: 6 }, 1, CLIENT, 4, round, &data()).unwrap()
    }

    #[test]
    fn classes_go_from_one_half_to_the_other() {
        let counts = [1, 2, 4, 6, 60].map(|round| at(DriftKind::Labels, round).train.class_counts(4));
        assert_eq!(counts[0], counts[1]);
        let first: Vec<usize> = (0..4).filter(|class| counts[0][*class] > 0).collect();
        assert_eq!(first.len(), 2);
        assert!(counts[2].iter().all(|count| (30..70).contains(count)), "{counts:?}");
        let last: Vec<usize> = (0..4).filter(|class| counts[3][*class] > 0).collect();
        assert!(last.len() == 2 && last.iter().all(|class| !first.contains(class)));
        assert_eq!(counts[3], counts[4]);
        assert_eq!(at(DriftKind::Labels, 4).train.rows(), at(DriftKind::Labels, 4).train.rows());
    }

    #[test]
    fn inputs_move_towards_the_shift() {
        let bias = |round| at(DriftKind::Inputs, round).train.look().map_or(0.0, |look| look.bias);
        assert_eq!([1, 2, 3, 4, 6, 9].map(bias), [0.0, 0.0, 0.5, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn a_concept_changes_sample_by_sample_for_held_out_ones_too() {
        let changed = |share: &Share| (0..400).filter(|position| share.group(*position) != position % 4).count();
        let all = changed(&at(DriftKind::Concept, 6).train);
        assert!(all >= 200, "a permutation leaves few classes where they are: {all}");
        let half = changed(&at(DriftKind::Concept, 4).train);
        assert!(half * 3 > all && half * 3 < all * 2, "{half} of {all}");
        assert_eq!(
            (changed(&at(DriftKind::Concept, 1).train), changed(&at(DriftKind::Concept, 6).holdout.unwrap())),
            (0, all)
        );
    }
}
