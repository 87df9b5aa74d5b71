//! The formulas of the docs, one pair at a time.

use std::f64::consts::PI;

use burn::tensor::Tensor;
use synod_losses::contrastive::{
    TemperatureNetwork, amcl_barlow, amcl_simclr, barlow_twins, groco, hard_patches, hydra, info_nce,
    mixed_barlow_twins, nt_xent, scaled_negatives, simple_contrastive, soft_sort, tolerance, uniformity,
};

use super::{Rows, dot, ints, log_sum_exp, matrix, mean, others, rows, stack, unit_rows, vector};
use crate::support::{assert_close, numbers};

/// Similarities of all rows of the two, each of length 1.
fn cosines(left: &Rows, right: &Rows) -> Rows {
    let (left, right) = (unit_rows(left), unit_rows(right));
    left.iter().map(|left| right.iter().map(|right| dot(left, right)).collect()).collect()
}

/// The `count` largest of these numbers.
fn largest(mut values: Vec<f64>, count: usize) -> Vec<f64> {
    values.sort_by(|left, right| right.total_cmp(left));
    values.truncate(count);
    values
}

#[test]
fn nt_xent_equals_a_naive_loop() {
    for batch in [1, 2, 5] {
        let (z1, z2) = (matrix([batch, 3], 1), matrix([batch, 3], 2));
        let all: Rows = rows(z1.clone()).into_iter().chain(rows(z2.clone())).collect();
        let s = cosines(&all, &all);
        let value = |i: usize| {
            let partner = (i + batch) % (2 * batch);
            log_sum_exp(others(2 * batch, i).map(|j| s[i][j] / 0.3)) - s[i][partner] / 0.3
        };
        let expected: Vec<f64> = (0..2 * batch).map(value).collect();
        let config = nt_xent::Config::default().with_temperature(0.3);
        assert_close("nt_xent", &numbers(nt_xent::nt_xent(z1, z2, &config).unwrap()), &expected, 1e-12);
    }
}

#[test]
fn contrastive_losses_of_anchors_and_keys_equal_naive_loops() {
    for (n, alpha, kept) in [(2, 0.1, 1), (6, 0.4, 2), (6, 0.41, 3), (6, 1.0, 5)] {
        let (anchors, keys) = (matrix([n, 4], 1), matrix([n, 4], 2));
        let s = cosines(&rows(anchors.clone()), &rows(keys.clone()));
        let negatives = |i: usize| largest(others(n, i).map(|k| s[i][k]).collect(), kept);
        let plain = |i: usize| {
            let exponents = negatives(i).into_iter().chain([s[i][i]]).map(|value| value / 0.2);
            log_sum_exp(exponents) - s[i][i] / 0.2
        };
        let expected: Vec<f64> = (0..n).map(plain).collect();
        let config = info_nce::Config::default().with_alpha(alpha);
        let found = info_nce::info_nce(anchors.clone(), keys.clone(), &config).unwrap();
        assert_close("info_nce", &numbers(found), &expected, 1e-12);

        let expected: Vec<f64> = (0..n).map(|i| 0.7 * negatives(i).iter().sum::<f64>() - s[i][i]).collect();
        let config = simple_contrastive::Config::default().with_alpha(alpha).with_lambda(0.7);
        let found = simple_contrastive::simple_contrastive(anchors.clone(), keys.clone(), &config).unwrap();
        assert_close("simple_contrastive", &numbers(found), &expected, 1e-12);

        let shares = |i: usize| {
            let total = log_sum_exp(others(n, i).map(|k| s[i][k] / 0.2));
            others(n, i).map(|k| (s[i][k] / 0.2 - total).exp()).collect::<Vec<f64>>()
        };
        let expected: Vec<f64> = (0..n).flat_map(shares).collect();
        let found = info_nce::relative_penalty(anchors, keys, &info_nce::Config::default()).unwrap();
        assert_close("relative_penalty", &numbers(found), &expected, 1e-12);
    }
}

#[test]
fn uniformity_and_tolerance_equal_naive_loops() {
    let (features, labels) = (matrix([6, 3], 1), [4, 7, 4, 7, 4, 9]);
    let f = unit_rows(&rows(features.clone()));
    let pairs: Vec<(usize, usize)> = (0..6).flat_map(|j| (0..j).map(move |i| (i, j))).collect();
    let distance = |(i, j): (usize, usize)| f[i].iter().zip(&f[j]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let spread = mean(&pairs.iter().map(|&pair| (-3.0 * distance(pair)).exp()).collect::<Vec<_>>()).ln();
    let found = uniformity::uniformity(features.clone(), &uniformity::Config::default().with_t(3.0)).unwrap();
    assert_close("uniformity", &numbers(found), &[spread], 1e-12);

    let same: Vec<f64> =
        pairs.iter().filter(|(i, j)| labels[*i] == labels[*j]).map(|&(i, j)| dot(&f[i], &f[j])).collect();
    let found = tolerance::tolerance(features, ints(&labels)).unwrap();
    assert_close("tolerance", &numbers(found.value), &[same.iter().sum::<f64>() / 15.0], 1e-12);
    assert_close("within a class", &numbers(found.within_class_mean), &[mean(&same)], 1e-12);
    assert_eq!(numbers(found.same_pairs), [4.0]);
}

#[test]
fn scaled_negatives_equal_naive_loops() {
    let (reference, text, bank) = (matrix([3, 4], 1), matrix([3, 4], 2), matrix([6, 4], 3));
    let (targets, negatives) = ([5, 0, 2], [[0, 1], [3, 4], [5, 0]]);
    let queries = rows(reference.clone() + text.clone());
    let s = cosines(&queries, &rows(bank.clone()));
    let against = |b: usize, candidates: &[usize]| {
        log_sum_exp(candidates.iter().map(|&m| s[b][m] / 0.3)) - s[b][targets[b] as usize] / 0.3
    };
    let config = scaled_negatives::Config::default().with_temperature(0.3);
    let expected: Vec<f64> = (0..3).map(|b| against(b, &[0, 1, 2, 3, 4, 5])).collect();
    let found = scaled_negatives::bank(reference.clone(), text.clone(), bank.clone(), ints(&targets), &config);
    assert_close("bank", &numbers(found.unwrap()), &expected, 1e-12);

    let sampled = |b: usize| against(b, &[targets[b] as usize, negatives[b][0] as usize, negatives[b][1] as usize]);
    let expected: Vec<f64> = (0..3).map(sampled).collect();
    let index = ints(&negatives.concat()).reshape([3, 2]);
    let found = scaled_negatives::bank_sampled(reference, text, bank, ints(&targets), index, &config);
    assert_close("bank_sampled", &numbers(found.unwrap()), &expected, 1e-12);
}

/// Columns less their mean and over their deviation.
fn standardised(z: &Rows, divisor: f64, eps: f64) -> Rows {
    let column = |d: usize| {
        let values: Vec<f64> = z.iter().map(|row| row[d]).collect();
        let centre = mean(&values);
        let variance = values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / divisor;
        (centre, (variance + eps).sqrt())
    };
    let columns: Vec<(f64, f64)> = (0..z[0].len()).map(column).collect();
    z.iter()
        .map(|row| row.iter().zip(&columns).map(|(value, (centre, scale))| (value - centre) / scale).collect())
        .collect()
}

/// `left^T right / B`.
fn correlation(left: &Rows, right: &Rows) -> Rows {
    let entry = |i: usize, j: usize| mean(&left.iter().zip(right).map(|(l, r)| l[i] * r[j]).collect::<Vec<_>>());
    (0..left[0].len()).map(|i| (0..right[0].len()).map(|j| entry(i, j)).collect()).collect()
}

fn redundancy(c: &Rows, lambda: f64) -> f64 {
    let entry = |i: usize, j: usize| if i == j { (c[i][j] - 1.0).powi(2) } else { lambda * c[i][j].powi(2) };
    (0..c.len()).flat_map(|i| (0..c.len()).map(move |j| (i, j))).map(|(i, j)| entry(i, j)).sum()
}

#[test]
fn correlation_losses_equal_naive_loops() {
    let (z1, z2, mixed) = (matrix([5, 3], 1), matrix([5, 3], 2), matrix([5, 3], 3));
    let c = correlation(&standardised(&rows(z1.clone()), 5.0, 1e-3), &standardised(&rows(z2.clone()), 5.0, 1e-3));
    let config = barlow_twins::Config::default().with_lambda(0.2).with_eps(1e-3);
    let found = barlow_twins::barlow_twins(z1.clone(), z2.clone(), &config).unwrap();
    assert_close("barlow_twins", &numbers(found), &[redundancy(&c, 0.2)], 1e-12);

    // As the paper writes it: the correlations of the mix and their targets.
    let (permutation, a) = ([3, 0, 4, 1, 2], 0.3);
    let [n1, n2, nm] = [&z1, &z2, &mixed].map(|z| standardised(&rows(z.clone()), 4.0, 0.0));
    let n2p: Rows = permutation.iter().map(|&row: &usize| n2[row].clone()).collect();
    for (variant, factor) in [(mixed_barlow_twins::Variant::Cifar, 1.0), (mixed_barlow_twins::Variant::Imagenet, 0.5)] {
        let source = if factor == 1.0 { &n1 } else { &n2 };
        let part = |n: &Rows, source: &Rows| {
            let (m, own, other) = (correlation(&nm, n), correlation(source, n), correlation(&n2p, n));
            let entries = m.concat().into_iter().zip(own.concat()).zip(other.concat());
            entries.map(|((m, own), other)| (m - a * own - (1.0 - a) * other).powi(2)).sum::<f64>()
        };
        let mixing = factor * 2.0 * 0.2 * (part(&n1, &n1) + part(&n2, source));
        let config = mixed_barlow_twins::Config::default().with_lambda(0.2).with_mix_scale(2.0).with_variant(variant);
        let (z1, z2, mixed) = (z1.clone(), z2.clone(), mixed.clone());
        let inputs = mixed_barlow_twins::Inputs { z1, z2, mixed, permutation: &permutation, mix_coef: a };
        let found = mixed_barlow_twins::mixed_barlow_twins(inputs, &config).unwrap();
        assert_close("mixing", &numbers(found.mixing), &[mixing], 1e-12);
        let plain = redundancy(&correlation(&n1, &n2), 0.2);
        assert_close("barlow twins", &numbers(found.barlow_twins), &[plain], 1e-12);
    }

    let (z1, z2, t) = (stack([2, 5, 3], 4), stack([2, 5, 3], 5), stack([2, 3, 3], 6));
    let config = amcl_barlow::Config::default().with_lambda(0.2).with_tau_min(0.3).with_tau_max(2.0).with_omega_dim(5);
    let head = |head: usize| {
        let of = |z: &Tensor<3>| rows(z.clone().narrow(0, head, 1).squeeze_dim(0));
        let c = correlation(&standardised(&of(&z1), 4.0, 0.0), &standardised(&of(&z2), 4.0, 0.0));
        let t = of(&t);
        let mut sum = 0.0;
        for (l, row) in c.iter().enumerate() {
            for (m, c) in row.iter().enumerate() {
                let tau = 0.3 + 1.7 / (1.0 + (-t[l][m]).exp());
                let omega = 2.5 * tau.ln() + 1.0 / tau;
                let on = (1.0 - c / tau).powi(2) + 0.1 * omega;
                sum += if l == m { on } else { 0.2 * c * c / tau - 0.1 * omega };
            }
        }
        sum
    };
    let expected = head(0) + head(1);
    let found = amcl_barlow::amcl_barlow(z1, z2, t, &config).unwrap().loss(&config);
    assert_close("amcl_barlow", &numbers(found), &[expected], 1e-12);
}

#[test]
fn amcl_simclr_equals_a_naive_loop() {
    let (batch, dim, hidden) = (3, 4, 5);
    let (z1, z2, w1) = (stack([1, batch, dim], 1), stack([1, batch, dim], 2), stack([1, hidden, 2 * dim], 3));
    let (b1, w2) = (matrix([1, hidden], 4), matrix([1, hidden], 5));
    let z: Rows = [&z1, &z2].into_iter().flat_map(|z| rows(z.clone().squeeze_dim(0))).collect();
    let (w, b, v) = (rows(w1.clone().squeeze_dim(0)), numbers(b1.clone()), numbers(w2.clone()));
    let tau = |i: usize, j: usize| {
        let pair = [z[i].clone(), z[j].clone()].concat();
        let logit: f64 = (0..hidden).map(|h| v[h] * (dot(&w[h], &pair) + b[h]).max(0.0)).sum();
        0.3 + 1.7 / (1.0 + (-(logit + 0.4)).exp())
    };
    let omega = |tau: f64| 2.0 * tau.ln() + 1.0 / tau;
    let s = cosines(&z, &z);
    for positive_in_max in [false, true] {
        let mut hardest = Vec::new();
        let mut expected = Vec::new();
        for (i, s) in s.iter().enumerate() {
            let candidates = others(2 * batch, i).filter(|j| positive_in_max || j % batch != i % batch);
            let n = candidates.max_by(|&left, &right| s[left].total_cmp(&s[right])).unwrap();
            let p = (i + batch) % (2 * batch);
            hardest.push(n as f64);
            let (tau_p, tau_n) = (tau(i, p), tau(i, n));
            expected.push(-s[p] / tau_p + s[n] / tau_n + 0.1 * (omega(tau_p) - omega(tau_n)));
        }
        let network = TemperatureNetwork { w1: w1.clone(), b1: b1.clone(), w2: w2.clone(), b2: vector(&[0.4]) };
        let config =
            amcl_simclr::Config::default().with_tau_min(0.3).with_tau_max(2.0).with_positive_in_max(positive_in_max);
        let found = amcl_simclr::amcl_simclr(z1.clone(), z2.clone(), &network, &config).unwrap();
        assert_close("amcl_simclr", &numbers(found.values), &expected, 1e-12);
        assert_eq!(found.hardest.try_to_vec_as::<f64>().unwrap(), hardest);
    }
}

/// The network of the docs for one row of scores: sorted scores and the soft permutation.
fn naive_sort(scores: &[f64], steepness: f64) -> (Vec<f64>, Rows) {
    let n = scores.len();
    let mut x = scores.to_vec();
    let mut p: Rows = (0..n).map(|r| (0..n).map(|c| f64::from(u8::from(r == c))).collect()).collect();
    for layer in 0..n {
        for i in (layer % 2..n.saturating_sub(1)).step_by(2) {
            let a = (steepness * (x[i + 1] - x[i])).atan() / PI + 0.5;
            let combine = |row: &mut Vec<f64>| {
                (row[i], row[i + 1]) = (a * row[i] + (1.0 - a) * row[i + 1], (1.0 - a) * row[i] + a * row[i + 1]);
            };
            combine(&mut x);
            p.iter_mut().for_each(combine);
        }
    }
    (x, p)
}

#[test]
fn soft_sort_and_groco_equal_naive_loops() {
    for n in [1, 2, 5, 6] {
        let scores = matrix([2, n], 3);
        let sorted = soft_sort(scores.clone(), 4.0).unwrap();
        let expected: Vec<(Vec<f64>, Rows)> = rows(scores).iter().map(|scores| naive_sort(scores, 4.0)).collect();
        let permutations: Vec<f64> = expected.iter().flat_map(|(_, permutation)| permutation.concat()).collect();
        assert_close("permutation", &numbers(sorted.permutation()), &permutations, 1e-12);
        let values: Vec<f64> = expected.into_iter().flat_map(|(values, _)| values).collect();
        assert_close("sorted", &numbers(sorted.values), &values, 1e-12);
    }

    let (views, batch, k) = (3, 5, 2);
    let tensor = stack([views, batch, 4], 1);
    let embeddings: Vec<Rows> =
        (0..views).map(|v| unit_rows(&rows(tensor.clone().narrow(0, v, 1).squeeze_dim(0)))).collect();
    for positive_views in [0, 2] {
        let value = |v: usize, i: usize| {
            let positives = if positive_views == 0 { views } else { positive_views };
            let anchor = &embeddings[v][i];
            let mut negatives: Vec<f64> = others(batch, i).map(|j| dot(anchor, &embeddings[v][j])).collect();
            negatives = largest(negatives, k);
            negatives.reverse();
            let mut positives: Vec<f64> = others(positives, v).map(|u| dot(anchor, &embeddings[u][i])).collect();
            positives.sort_by(f64::total_cmp);
            let (_, p) = naive_sort(&[negatives, positives].concat(), 1.5);
            let weight = |(r, row): (usize, &Vec<f64>)| {
                let share: f64 = if r < k { row[..k].iter().sum() } else { row[k..].iter().sum() };
                -share.ln().max(-100.0)
            };
            mean(&p.iter().enumerate().map(weight).collect::<Vec<_>>())
        };
        let expected: Vec<f64> =
            (0..views).flat_map(|v| (0..batch).map(move |i| (v, i))).map(|(v, i)| value(v, i)).collect();
        let config = groco::Config::default().with_topk_neg(k).with_steepness(1.5).with_n_pos_views(positive_views);
        assert_close("groco", &numbers(groco::groco(tensor.clone(), &config).unwrap()), &expected, 1e-12);
    }
}

#[test]
fn hydra_equals_a_naive_loop() {
    let batch = 5;
    let (z1, z2, gate_logits) = (matrix([batch, 3], 1), matrix([batch, 3], 2), matrix([batch, 3], 3));
    let (y1, y2) = ([0, 1, 2, 1, 0], [1, 2, 0, 1, 3]);
    let (a, c) = (rows(z1.clone()), rows(z2.clone()));
    let g: Rows =
        rows(gate_logits.clone()).iter().map(|row| row.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect()).collect();
    let gated = |z: &[f64], gate: &[f64]| unit_rows(&[z.iter().zip(gate).map(|(z, g)| z * g).collect()]).remove(0);
    let (ua, uc) = (unit_rows(&a), unit_rows(&c));
    for filter in [hydra::Filter::SubspaceCosine, hydra::Filter::GatedDot] {
        let logit = |b: usize, n: usize| match filter {
            hydra::Filter::SubspaceCosine => 7.0 * dot(&gated(&a[b], &g[b]), &gated(&c[n], &g[b])),
            hydra::Filter::GatedDot => 7.0 * (0..3).map(|d| ua[b][d] * g[b][d].powi(2) * uc[n][d]).sum::<f64>(),
        };
        let (mut terms, mut of_anchors, mut negatives) = (Vec::new(), Vec::new(), 0);
        for b in 0..batch {
            let is_negative = |n: &usize| y2[b] != y1[*n] && y1[b] != y1[*n];
            negatives += (0..batch).filter(is_negative).count();
            let term = |n: usize| {
                let candidates = (0..batch).filter(is_negative).chain([n]);
                log_sum_exp(candidates.map(|k| logit(b, k))) - logit(b, n)
            };
            let own: Vec<f64> = (0..batch).filter(|&n| y2[b] == y1[n]).map(term).collect();
            of_anchors.push(own.iter().sum::<f64>() / (own.len() as f64 + 1e-6));
            terms.extend(own);
        }
        let undecided = 0.4 * mean(&g.concat().iter().map(|g| g * (1.0 - g)).collect::<Vec<_>>());
        for (reduction, contrast) in [(hydra::Scope::Pairs, mean(&terms)), (hydra::Scope::Anchors, mean(&of_anchors))] {
            let config = hydra::Config::default().with_scale(7.0).with_filter(filter).with_reduction(reduction);
            let (z1, z2, gate_logits) = (z1.clone(), z2.clone(), gate_logits.clone());
            let inputs = hydra::Inputs { z1, z2, gate_logits, y1: ints(&y1), y2: ints(&y2) };
            let numbers_to_look_at = hydra::diagnostics(&inputs).unwrap();
            assert_eq!(numbers(numbers_to_look_at.positives), [terms.len() as f64]);
            assert_eq!(numbers(numbers_to_look_at.negatives), [negatives as f64]);
            let found = hydra::hydra(inputs, &config.with_gate_penalty(0.4)).unwrap();
            assert_close("hydra", &numbers(found), &[contrast + undecided], 1e-12);
        }
    }
}

/// As the paper counts: every ordered pair, the smaller loss first or last.
#[test]
fn hard_patches_equal_a_naive_loop_over_ordered_pairs() {
    let predicted = matrix([2, 4], 1);
    let losses = [[0.3, 0.1, 0.3, 0.9], [0.2, 0.2, 0.2, 0.1]];
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (p, r) in rows(predicted.clone()).iter().zip(&losses) {
        for i in 0..4 {
            for j in 0..4 {
                let s = 1.0 / (1.0 + (p[i] - p[j]).exp());
                if r[j] > r[i] {
                    sum -= (s + 1e-6).ln();
                    pairs += 1.0;
                } else if r[j] < r[i] {
                    sum -= (1.0 - s + 1e-6).ln();
                    pairs += 1.0;
                }
            }
        }
    }
    let losses = crate::support::leaf(&losses.concat(), [2, 4]);
    let found = hard_patches::hard_patches(predicted, losses, &hard_patches::Config::default()).unwrap();
    assert_close("hard_patches", &numbers(found), &[sum / pairs], 1e-12);
}
