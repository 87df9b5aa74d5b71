use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::super::screen::screen;
use super::super::GramBlocks;
use super::super::kernel::{LANES, add_lanes};
use super::*;

fn random(seed: u64, updates: usize, parameters: usize) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let value = |rng: &mut ChaCha8Rng| rng.random_range(-1.0f32..1.0) * 2f32.powi(rng.random_range(-12..4));
    (0..updates).map(|_| (0..parameters).map(|_| value(&mut rng)).collect()).collect()
}

fn slices(updates: &[Vec<f32>]) -> Vec<&[f32]> {
    updates.iter().map(Vec::as_slice).collect()
}

/// The definition of the module's docs, written down without any blocking.
fn defined(a: &[f32], b: &[f32]) -> f64 {
    let chunk = |(a, b): (&[f32], &[f32])| {
        let mut lanes = [0.0; LANES];
        a.iter().zip(b).enumerate().for_each(|(i, (a, b))| lanes[i % LANES] += f64::from(*a) * f64::from(*b));
        add_lanes(lanes)
    };
    a.chunks(CHUNK).zip(b.chunks(CHUNK)).map(chunk).reduce(|sum, c| sum + c).unwrap()
}

#[test]
fn every_entry_has_the_bits_of_the_definition() {
    for (updates, parameters) in [(1, 1), (2, 7), (3, 8), (5, 513), (37, 1030), (70, 90), (4, 2 * CHUNK + 519)] {
        let updates = random(updates as u64, updates, parameters);
        let matrix = gram(&slices(&updates), 0..parameters).unwrap();
        for (i, a) in updates.iter().enumerate() {
            for (j, b) in updates.iter().enumerate() {
                assert_eq!(matrix.at(i, j).to_bits(), defined(a, b).to_bits(), "{i} {j} of {}", updates.len());
            }
            assert_eq!(matrix.at(i, i).to_bits(), screen(a).unwrap().norm_squared.to_bits());
        }
    }
}

#[test]
fn the_definition_is_accurate() {
    // Against twice the precision (error-free transformations), on a sum that nearly cancels.
    let updates = random(9, 2, CHUNK + 100);
    let (mut high, mut low, mut size) = (0.0f64, 0.0f64, 0.0f64);
    for (a, b) in updates[0].iter().zip(&updates[1]) {
        let term = f64::from(*a) * f64::from(*b);
        let sum = high + term;
        let kept = sum - high;
        low += (high - (sum - kept)) + (term - kept);
        (high, size) = (sum, size + term.abs());
    }
    let found = gram(&slices(&updates), 0..CHUNK + 100).unwrap().at(0, 1);
    assert!((found - (high + low)).abs() < 1e-14 * size);
}

#[test]
fn the_number_of_threads_and_the_blocks_beside_leave_no_trace() {
    let updates = random(4, 6, 3 * CHUNK + 11);
    let layout = Layout::new([CHUNK + 5, 1, 2 * CHUNK + 5]).unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| gram_blocks(&slices(&updates), &layout).unwrap())
    };
    let reference = on(1);
    assert!(on(2) == reference && on(7) == reference);
    for (block, range) in layout.ranges().iter().enumerate() {
        assert_eq!(gram(&slices(&updates), range.clone()).unwrap(), reference[block]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn arrival_in_any_order_gives_the_bits_of_the_sorted_batch(
        seed in any::<u64>(), updates in 1usize..40, lengths in prop::collection::vec(1usize..600, 1..4),
    ) {
        let layout = Layout::new(lengths).unwrap();
        let updates = random(seed, updates, layout.parameters());
        let expected = gram_blocks(&slices(&updates), &layout).unwrap();
        let mut order: Vec<usize> = (0..updates.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut arriving = GramBlocks::new(layout, updates.len());
        for key in &order {
            arriving.push(*key, &updates[*key]).unwrap();
        }
        // One goes and comes back.
        arriving.remove(&order[0]).unwrap();
        arriving.push(order[0], &updates[order[0]]).unwrap();
        let sorted = arriving.finish();
        prop_assert!(sorted.keys.is_sorted());
        prop_assert_eq!(sorted.grams, expected);
        prop_assert!(sorted.updates.into_iter().eq(&updates));
    }
}

#[test]
fn what_does_not_belong_is_refused_and_leaves_no_trace() {
    let mut updates = random(1, 3, 10);
    updates[2][7] = f32::NAN;
    updates[1][9] = f32::INFINITY;
    let refused = gram(&slices(&updates), 0..10).unwrap_err();
    assert!(matches!(refused, AggregateError::NonFinite { update: 1, at: 9, .. }));
    assert!(gram(&slices(&updates), 0..7).is_ok());
    assert_eq!(gram(&slices(&updates), 3..3).unwrap().at(1, 2), 0.0);
    assert!(matches!(gram(&slices(&updates), 3..11), Err(AggregateError::Length { found: 10, expected: 11, .. })));
    assert!(matches!(gram(&[], 0..0), Err(AggregateError::Empty)));
    assert!(matches!(gram(&[&[1.0], &[]], 0..1), Err(AggregateError::Length { update: 1, .. })));

    let mut arriving = GramBlocks::new(Layout::new([4, 6]).unwrap(), 2);
    arriving.push("b", updates[0].clone()).unwrap();
    let refused = arriving.push("a", updates[2].clone());
    assert!(matches!(refused, Err(AggregateError::NonFinite { update: 0, at: 7, .. })));
    assert_eq!(arriving.push("b", vec![0.0; 10]), Err(AggregateError::Duplicate));
    assert!(matches!(arriving.push("c", vec![0.0; 9]), Err(AggregateError::Length { .. })));
    arriving.push("a", vec![1.0; 10]).unwrap();
    assert_eq!(arriving.push("c", vec![0.0; 10]), Err(AggregateError::TooMany(2)));
    assert_eq!((arriving.updates(), arriving.remove(&"x")), (2, None));
    let sorted = arriving.finish();
    assert_eq!((sorted.keys, sorted.grams[1].at(0, 0)), (vec!["a", "b"], 6.0));
}
