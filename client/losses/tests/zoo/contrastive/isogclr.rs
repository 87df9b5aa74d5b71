//! iSogCLR, one pair at a time.

use synod_losses::contrastive::{isogclr, isogclr_bimodal, robust_contrastive};

use super::{Rows, dot, mean, others, rows, unit_matrix, vector};
use crate::support::{assert_close, numbers};

#[test]
fn isogclr_equals_a_naive_loop() {
    let batch = 4;
    let (z1, z2) = (unit_matrix([batch, 3], 1), unit_matrix([batch, 3], 2));
    let z: Rows = rows(z1.clone()).into_iter().chain(rows(z2.clone())).collect();
    let (s, tau, u) = ([0.0, 1.5, 20.0, 300.0], [0.05, 0.2, 0.5, 1.0], [0.1, -0.3, 0.0, 2.0]);
    let (n, m) = (2 * batch, (2 * batch - 2) as f64);
    for first_epoch in [false, true] {
        let config = isogclr::Config::default().with_rho(1.5).with_first_epoch(first_epoch);
        let (mut value, mut log_s, mut q) = (vec![0.0; batch], vec![0.0; batch], vec![0.0; batch]);
        for i in 0..n {
            let (k, partner) = (i % batch, (i + batch) % n);
            let negatives: Vec<usize> = others(n, i).filter(|&j| j != partner).collect();
            let similarity = |j: usize| dot(&z[i], &z[j]);
            let g = negatives.iter().map(|&j| (similarity(j) / tau[k]).exp()).sum::<f64>() / m;
            let s_i = if first_epoch { g } else { 0.2 * s[k] + 0.8 * g };
            let weighted = |factor: &dyn Fn(usize) -> f64| {
                negatives.iter().map(|&j| (similarity(j) / tau[k]).exp() / s_i * factor(j)).sum::<f64>() / m
            };
            value[k] += weighted(&similarity) - similarity(partner);
            q[k] += (s_i.ln() + 1.5 - weighted(&|j| similarity(j) / tau[k])) / 2.0;
            log_s[k] += s_i / 2.0;
        }
        let q: Vec<f64> = q.iter().map(|q| q.clamp(-3.0, 3.0)).collect();
        let u_new: Vec<f64> = u.iter().zip(&q).map(|(u, q)| 0.5 * u + 0.5 * q).collect();
        let tau_new: Vec<f64> = tau.iter().zip(&u_new).map(|(tau, u)| (tau - 0.03 * u).clamp(0.05, 1.0)).collect();
        let state =
            isogclr::State { log_s: vector(&s.map(|s: f64| s.ln().max(-1e30))), tau: vector(&tau), u: vector(&u) };
        let found = isogclr::step(z1.clone(), z2.clone(), state, &config).unwrap();
        assert_close("values", &numbers(found.values), &value, 1e-10);
        assert_close("s", &numbers(found.state.log_s.exp()), &log_s, 1e-10);
        assert_close("q", &numbers(found.tau_gradient), &q, 1e-10);
        assert_close("u", &numbers(found.state.u), &u_new, 1e-10);
        assert_close("tau", &numbers(found.state.tau), &tau_new, 1e-10);
    }
}

#[test]
fn isogclr_bimodal_equals_a_naive_loop() {
    let batch = 3;
    let (image, text) = (unit_matrix([batch, 4], 1), unit_matrix([batch, 4], 2));
    let d = {
        let (image, text) = (rows(image.clone()), rows(text.clone()));
        move |i: usize, j: usize| dot(&image[i], &text[j])
    };
    let (s, b, u, tau) = ([0.0, 0.5, 2.0], [0.0, 3.0, -1.0], [0.1, 0.0, -2.0], [0.01, 0.1, 0.5]);
    let config = isogclr_bimodal::Config::default().with_rho(0.5);
    let side = || isogclr_bimodal::Side { s: vector(&s), b: vector(&b), u: vector(&u), tau: vector(&tau) };
    let found = isogclr_bimodal::step(image, text, side(), side(), &config).unwrap();
    let mut values = vec![0.0; batch];
    for (name, of_image, state) in [("image", true, found.image), ("text", false, found.text)] {
        let mut columns = [const { Vec::new() }; 4];
        for anchor in 0..batch {
            let difference = |other: usize| {
                let own = d(anchor, anchor);
                if of_image { d(anchor, other) - own } else { d(other, anchor) - own }
            };
            let a = |other: usize| difference(other) / tau[anchor];
            let largest = (0..batch).map(a).fold(b[anchor], f64::max);
            let e = |other: usize| (a(other) - largest).exp();
            let g = (0..batch).map(e).sum::<f64>() / 2.0;
            let s_new = 0.2 * s[anchor] * (b[anchor] - largest).exp() + 0.8 * g;
            let w = |other: usize| e(other) / (s_new + 1e-10);
            values[anchor] += (0..batch).map(|other| w(other) * difference(other)).sum::<f64>() / 2.0;
            let q = s_new.ln() + largest + 0.5 - (0..batch).map(|other| w(other) * a(other)).sum::<f64>() / 2.0;
            let u_new = 0.1 * u[anchor] + 0.9 * q.clamp(-5.0, 5.0);
            let tau_new = (tau[anchor] - 0.03 * u_new).clamp(0.005, 1.0);
            [s_new, largest, u_new, tau_new].into_iter().zip(&mut columns).for_each(|(new, column)| column.push(new));
        }
        for (column, expected) in [state.s, state.b, state.u, state.tau].into_iter().zip(columns) {
            assert_close(name, &numbers(column), &expected, 1e-10);
        }
    }
    assert_close("values", &numbers(found.values), &values, 1e-10);
}

#[test]
fn the_robust_objective_equals_a_naive_loop() {
    let (z1, z2, tau) = (unit_matrix([3, 4], 1), unit_matrix([3, 4], 2), [0.2, 0.5, 1.0]);
    let z: Rows = rows(z1.clone()).into_iter().chain(rows(z2.clone())).collect();
    let value = |i: usize| {
        let partner = (i + 3) % 6;
        let negatives = others(6, i).filter(|&j| j != partner);
        let gaps: Vec<f64> = negatives.map(|j| (dot(&z[i], &z[j]) - dot(&z[i], &z[partner])) / tau[i % 3]).collect();
        tau[i % 3] * (mean(&gaps.into_iter().map(f64::exp).collect::<Vec<_>>()).ln() + 0.7)
    };
    let expected: Vec<f64> = (0..6).map(value).collect();
    let config = robust_contrastive::Config::default().with_rho(0.7);
    let found = robust_contrastive::robust_contrastive(z1, z2, vector(&tau), &config).unwrap();
    assert_close("robust_contrastive", &numbers(found), &expected, 1e-12);
}
