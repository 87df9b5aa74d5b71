//! Losses and scores of densities; `apre` is measured with the losses for real numbers.

use synod_losses::density::mean_shift::{Config, Rows};
use synod_losses::density::{exact_nll, mean_shift, meco, momentum_update, nce, reconstruction_score};

use crate::{Case, EMBEDDINGS, constant, normal};

pub(crate) fn cases() -> Vec<Case> {
    EMBEDDINGS.into_iter().flat_map(of_size).collect()
}

fn of_size(size: [usize; 2]) -> Vec<Case> {
    let [batch, features] = size;
    let (p, q, other) = (constant([batch]), constant([batch]), constant([batch]));
    let numbers = (0..batch * features).map(|index| ((index * 37 + 11) as f64).sin()).collect();
    let rows = Rows::new(numbers, features).expect("complete rows of finite numbers");
    vec![
        Case::new("reconstruction_score", size, normal(size), {
            let target = constant(size);
            move |recon| Ok(reconstruction_score(recon, target.clone())?.mean())
        }),
        Case::new("exact_nll", size, normal([batch]), {
            let (p, q) = (p.clone(), q.clone());
            move |noise| exact_nll(p.clone(), noise, q.clone())
        }),
        Case::new("meco", size, normal([batch]), {
            let (p, q, log_u) = (p.clone(), q.clone(), constant([1]));
            move |noise| Ok(meco(p.clone(), noise, q.clone(), Some(log_u.clone()), &Default::default())?.loss)
        }),
        Case::new("nce", size, normal([batch]), move |log_p_noise| {
            let (log_p_data, log_q_data, log_q_noise) = (p.clone(), other.clone(), q.clone());
            nce(nce::Inputs { log_p_data, log_q_data, log_p_noise, log_q_noise, log_z: constant([1]) })
        }),
        Case::forward("momentum_update", size, {
            let vector = constant([features]).inner();
            move || drop(momentum_update(vector.clone(), vector.clone(), vector.clone(), &Default::default()))
        }),
        Case::forward("mean_shift", size, move || drop(mean_shift(&rows, &Config::default()))),
    ]
}
