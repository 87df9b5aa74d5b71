//! What iSogCLR remembers of a site's samples.

use std::collections::BTreeMap;

use synod_losses::contrastive::{isogclr, isogclr_bimodal};
use synod_losses::{LossError, Memory};

use super::{unit_matrix, vector};
use crate::support::{assert_close, numbers};

#[test]
fn samples_seen_for_the_first_time_follow_the_rule_of_the_first_epoch() {
    let config = isogclr::Config::default().with_eta(0.01);
    let (z1, z2) = (unit_matrix([3, 4], 1), unit_matrix([3, 4], 2));
    let mut state = config.initial(6);
    let values = isogclr::isogclr(z1.clone(), z2.clone(), &mut Memory::new(&mut state, &[5, 0, 3]), &config).unwrap();

    let fresh = || isogclr::State { log_s: vector(&[-1e30; 3]), tau: vector(&[0.1; 3]), u: vector(&[0.0; 3]) };
    let first = isogclr::step(z1.clone(), z2.clone(), fresh(), &config.clone().with_first_epoch(true)).unwrap();
    assert_close("first values", &numbers(values), &numbers(first.values), 1e-6);
    let columns: BTreeMap<&str, Vec<f32>> = state.columns().map(|(name, values)| (name, values.to_vec())).collect();
    let tau = numbers(first.state.tau.clone());
    let of_batch: Vec<f64> = [5, 0, 3].map(|position| f64::from(columns["tau"][position])).to_vec();
    assert_close("tau", &of_batch, &tau, 1e-6);
    assert_eq!(columns["tau"][1], 0.1, "a sample that was not in the batch");

    // The second time the moving average goes on from there.
    let values = isogclr::isogclr(z1.clone(), z2.clone(), &mut Memory::new(&mut state, &[5, 0, 3]), &config).unwrap();
    let second = isogclr::step(z1, z2, first.state, &config).unwrap();
    assert_close("second values", &numbers(values), &numbers(second.values), 1e-5);
}

#[test]
fn a_stored_state_goes_on_as_if_nothing_happened() {
    let config = isogclr_bimodal::Config::default();
    let (image, text) = (unit_matrix([2, 4], 1), unit_matrix([2, 4], 2));
    let mut state = config.initial(3);
    let step = |state: &mut synod_losses::LossState| {
        numbers(
            isogclr_bimodal::isogclr_bimodal(image.clone(), text.clone(), &mut Memory::new(state, &[2, 1]), &config)
                .unwrap(),
        )
    };
    step(&mut state);
    let stored: BTreeMap<&str, Vec<f32>> = state.columns().map(|(name, values)| (name, values.to_vec())).collect();
    assert_eq!(stored.len(), 8);
    let mut restored = config.initial(3);
    restored.restore(|name| stored.get(name).map(Vec::as_slice)).unwrap();
    assert_eq!(step(&mut restored), step(&mut state));
    assert_eq!(restored, state);
}

#[test]
fn the_memory_of_another_loss_is_refused() {
    let (z1, z2) = (unit_matrix([2, 4], 1), unit_matrix([2, 4], 2));
    let mut other = isogclr_bimodal::Config::default().initial(2);
    let result = isogclr::isogclr(z1, z2, &mut Memory::new(&mut other, &[0, 1]), &isogclr::Config::default());
    assert!(matches!(result, Err(LossError::Memory { .. })));
}
