use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::super::screen::screen;
use super::super::BufferedSum;
use super::*;

fn weight(w: u32) -> NonZeroU32 {
    NonZeroU32::new(w).unwrap()
}

/// Floats of every size inside the window, exactly representable ones among them, with weights of every size.
fn random_updates(seed: u64, updates: usize, parameters: usize) -> Vec<(NonZeroU32, Vec<f32>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..updates)
        .map(|_| {
            let bits = rng.random_range(1..=29);
            let w = rng.random_range(1..=(1u32 << bits));
            let value = |rng: &mut ChaCha8Rng| {
                let exponent = rng.random_range(-40..=10);
                rng.random_range(-1.0f32..1.0) * 2f32.powi(exponent)
            };
            (weight(w), (0..parameters).map(|_| value(&mut rng)).collect())
        })
        .collect()
}

fn sum_of<'a>(updates: impl IntoIterator<Item = &'a (NonZeroU32, Vec<f32>)>, parameters: usize) -> ExactSum {
    let mut sum = ExactSum::new(parameters);
    updates.into_iter().for_each(|(w, x)| sum.add(*w, x).unwrap());
    sum
}

fn mean_bits(sum: &ExactSum) -> Vec<u32> {
    let mut out = vec![0.0; sum.parameters()];
    sum.mean(&mut out).unwrap();
    out.into_iter().map(f32::to_bits).collect()
}

#[test]
fn the_total_is_the_sum_of_weighted_updates_in_any_order() {
    let updates =
        [(weight(1), vec![0.5, 3e7, -1.0]), (weight(2), vec![0.25, -1.0, 0.5]), (weight(1), vec![4.0, 1.0, 0.0])];
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut out = [0.0; 3];
        sum_of(order.map(|i| &updates[i]), 3).total(&mut out).unwrap();
        assert_eq!(out, [5.0, 29_999_999.0f32, 0.0]);
    }
    assert_eq!(ExactSum::new(1).total(&mut [0.0]), Err(AggregateError::Empty));
}

/// `weight * value` in units of `2^-58` as a big integer, rounded half to even: the definition, computed without floats.
fn term_as_integer(w: NonZeroU32, value: f32) -> i128 {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 23 & 0xff) as i32, i128::from(bits & 0x7f_ffff));
    let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 23 };
    let shift = exponent.max(1) - 150 + 58;
    let magnitude = mantissa * i128::from(w.get());
    let rounded = if shift >= 0 {
        magnitude << shift
    } else if shift < -100 {
        0
    } else {
        let (floor, rest, half) = (magnitude >> -shift, magnitude & ((1 << -shift) - 1), 1i128 << (-shift - 1));
        floor + i128::from(rest > half || (rest == half && floor & 1 == 1))
    };
    if value.is_sign_negative() { -rounded } else { rounded }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn order_grouping_and_merging_leave_no_trace(seed in any::<u64>(), updates in 1usize..24, parameters in 1usize..40) {
        let contributions = random_updates(seed, updates, parameters);
        let reference = sum_of(&contributions, parameters);
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 1);

        let mut shuffled = contributions.clone();
        shuffled.shuffle(&mut rng);
        prop_assert_eq!(&sum_of(&shuffled, parameters), &reference);
        prop_assert_eq!(mean_bits(&sum_of(&shuffled, parameters)), mean_bits(&reference));

        let mut grouped = ExactSum::new(parameters);
        let group: Vec<_> = shuffled.iter().map(|(w, x)| Weighted { weight: *w, values: x }).collect();
        grouped.add_group(&group).unwrap();
        prop_assert_eq!(&grouped, &reference);

        let mut parts: Vec<ExactSum> = (0..3).map(|_| ExactSum::new(parameters)).collect();
        for (w, x) in &shuffled {
            parts[rng.random_range(0..3)].add(*w, x).unwrap();
        }
        parts.shuffle(&mut rng);
        // A carry changes the limbs and not the sum.
        parts[1].carry();
        let mut merged = parts.pop().unwrap();
        parts.iter().for_each(|part| merged.merge(part).unwrap());
        prop_assert_eq!(&merged, &reference);
        prop_assert_eq!(mean_bits(&merged), mean_bits(&reference));

        let mut buffered = BufferedSum::new(parameters);
        let mut spent = Vec::new();
        for (i, (w, x)) in shuffled.iter().enumerate() {
            if i % 2 == 0 {
                buffered.push(*w, x.clone(), &mut spent).unwrap();
            } else {
                buffered.push_screened(*w, x.clone(), screen(x).unwrap(), &mut spent).unwrap();
            }
        }
        prop_assert_eq!(buffered.updates(), updates as u64);
        prop_assert_eq!(&buffered.finish(&mut spent).unwrap(), &reference);
        prop_assert_eq!(spent.len(), updates);
    }

    #[test]
    fn limbs_equal_a_big_integer_sum(seed in any::<u64>(), updates in 1usize..20) {
        let contributions = random_updates(seed, updates, 17);
        let sum = sum_of(&contributions, 17);
        let total: i128 = contributions.iter().map(|(w, _)| i128::from(w.get())).sum();
        for i in 0..17 {
            let expected: i128 = contributions.iter().map(|(w, x)| term_as_integer(*w, x[i])).sum();
            prop_assert_eq!((i128::from(sum.high[i]) << LOW_BITS) + i128::from(sum.low[i]), expected);
            let mut out = [0.0; 17];
            sum.mean(&mut out).unwrap();
            let mean = (expected as f64 * 2f64.powi(-58) / total as f64) as f32;
            prop_assert_eq!(out[i], mean);
        }
    }

    #[test]
    fn equal_updates_come_back_bit_for_bit(
        x in prop::collection::vec(prop_oneof![Just(0.0f32), 1e-10f32..1e3, -1e3f32..-1e-10], 1..20),
        weights in prop::collection::vec(1u32..1 << 28, 1..10),
    ) {
        let mut sum = ExactSum::new(x.len());
        weights.iter().for_each(|w| sum.add(weight(*w), &x).unwrap());
        prop_assert_eq!(mean_bits(&sum), x.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }

    #[test]
    fn a_common_factor_in_the_weights_scales_out(seed in any::<u64>(), shift in 0u32..8) {
        let mut contributions = random_updates(seed, 6, 9);
        contributions.iter_mut().for_each(|(w, x)| {
            *w = weight(w.get() >> 10 | 1);
            x.iter_mut().for_each(|v| *v = if v.abs() < 1e-10 { 0.0 } else { *v });
        });
        let plain = mean_bits(&sum_of(&contributions, 9));
        contributions.iter_mut().for_each(|(w, _)| *w = weight(w.get() << shift));
        prop_assert_eq!(mean_bits(&sum_of(&contributions, 9)), plain);
    }
}

#[test]
fn the_number_of_threads_leaves_no_trace() {
    let contributions = random_updates(3, 9, 10 * CHUNK + 77);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let sum = sum_of(&contributions, 10 * CHUNK + 77);
            (mean_bits(&sum), sum)
        })
    };
    let reference = on(1);
    assert!(on(2) == reference && on(5) == reference);
}

#[test]
fn a_refused_update_leaves_the_sum_as_it_was() {
    let parameters = 9 * CHUNK + 5;
    let good = random_updates(5, 3, parameters);
    let before = sum_of(&good, parameters);
    let mut sum = before.clone();
    for (bad, w) in [(f32::NAN, 1), (f32::INFINITY, 7), (-f32::INFINITY, 7), (f32::MAX, 1), (-5000.0, u32::MAX)] {
        for at in [0, 3 * CHUNK, parameters - 1] {
            let mut values = good[0].1.clone();
            values[at] = bad;
            values[parameters - 1] = bad;
            let group = [&good[1].1, &values, &good[2].1].map(|x| Weighted { weight: weight(w), values: x });
            let group = if w == u32::MAX { &group[1..2] } else { &group[..] };
            let error = sum.add_group(group).unwrap_err();
            let found = match error {
                AggregateError::NonFinite { update, at, value } => {
                    assert!(!value.is_finite());
                    (update, at)
                }
                AggregateError::TooLarge { update, at, value, weight, .. } => {
                    assert_eq!((value, weight), (bad, w));
                    (update, at)
                }
                other => panic!("{other}"),
            };
            assert_eq!(found, (group.len() / 2, at), "{bad} at {at}");
            assert_eq!(sum, before);
            let mut spent = Vec::new();
            let mut buffered = BufferedSum::new(parameters);
            assert!(buffered.push(weight(w), values, &mut spent).is_err());
            assert_eq!((buffered.updates(), spent.len()), (0, 1));
        }
    }
    assert!(matches!(sum.add(weight(1), &[1.0]), Err(AggregateError::Length { found: 1, .. })));
    assert!(matches!(sum.merge(&ExactSum::new(1)), Err(AggregateError::Length { found: 1, .. })));
    assert_eq!(sum, before);
}

#[test]
fn the_window_of_the_whole_sum_is_enforced_for_adding_merging_and_waiting() {
    // 2047 terms just below 2^43 fit under 2^54, the 2048th does not.
    let (w, huge) = (weight(1 << 20), [2f32.powi(23).next_down(); 3]);
    let mut sum = ExactSum::new(3);
    let full = (0..3000).find_map(|n| sum.add(w, &huge).err().map(|e| (n, e)));
    let Some((2048, AggregateError::Full { .. })) = full else { panic!("{full:?}") };
    assert_eq!((sum.updates(), sum.total_weight()), (2048, 2048 << 20));
    assert_eq!(mean_bits(&sum), huge.map(f32::to_bits));
    assert!(matches!(sum.clone().merge(&sum), Err(AggregateError::Full { .. })));
    let mut buffered = BufferedSum::new(3);
    let mut spent = Vec::new();
    let refused = (0..3000).find(|_| buffered.push(w, huge, &mut spent).is_err());
    assert_eq!((refused, buffered.updates()), (Some(2048), 2048));
    assert_eq!(buffered.finish(&mut spent).unwrap(), sum);
}

#[test]
fn low_limbs_never_overflow_however_many_updates_come() {
    // Every term leaves nearly half a high unit in the low limb.
    let almost_half = [2f32.powi(-9).next_down()];
    let many: Vec<_> = (0..70_000).map(|_| Weighted { weight: weight(1), values: &almost_half }).collect();
    let mut at_once = ExactSum::new(1);
    at_once.add_group(&many).unwrap();
    let mut one_by_one = ExactSum::new(1);
    many.iter().for_each(|w| one_by_one.add(w.weight, w.values).unwrap());
    let mut doubled = ExactSum::new(1);
    (0..70).for_each(|_| {
        let mut part = ExactSum::new(1);
        part.add_group(&many[..1000]).unwrap();
        doubled.merge(&part).unwrap();
    });
    assert!(at_once == one_by_one && at_once == doubled);
    assert_eq!(mean_bits(&at_once), almost_half.map(f32::to_bits));
    // A refused long group is undone as well.
    let before = at_once.clone();
    let mut long = vec![many[0]; 20_000];
    long[19_999].values = &[f32::NAN];
    assert!(at_once.add_group(&long).is_err());
    assert_eq!(at_once, before);
}

#[test]
fn values_below_the_grid_are_rounded_each_by_itself() {
    let tiny = 2f32.powi(-60);
    let sum = sum_of(&[(weight(1), vec![tiny]), (weight(1), vec![3.0 * tiny])], 1);
    assert_eq!(mean_bits(&sum), [(2f32.powi(-59)).to_bits()]);
}

#[test]
fn reset_keeps_nothing_and_an_empty_sum_has_no_mean() {
    let contributions = random_updates(8, 2, 5);
    let mut sum = sum_of(&contributions, 5);
    sum.reset();
    assert_eq!(sum, ExactSum::new(5));
    assert_eq!(sum.mean(&mut [0.0; 5]), Err(AggregateError::Empty));
    assert!(sum.add_group(&[]).is_ok());
    sum.add(weight(2), &[1.0; 5]).unwrap();
    assert!(matches!(sum.mean(&mut [0.0; 4]), Err(AggregateError::Length { .. })));
}
