//! Calibration, terms on weights and graphs, and unlearning.

use burn::tensor::{Int, Tensor};
use synod_losses::calibration::{calibration_error, correctness_aware, correctness_calibrator, temperature_scaling};
use synod_losses::regulariser::{signed_measure, weight_distribution, wgsef};
use synod_losses::unlearning::flat::{self, Answers};

use crate::{Case, LOGITS, device, labels, normal};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = LOGITS.into_iter().flat_map(on_logits).collect();
    cases.extend([[32, 128], [512, 128]].into_iter().flat_map(on_weights));
    cases.extend([8, 24].map(on_grid));
    cases
}

fn on_logits([batch, classes]: [usize; 2]) -> Vec<Case> {
    let size = [batch, classes];
    let truth = labels(batch, classes);
    let warm = Tensor::<1>::ones([batch], &device());
    let aware = Case::new("correctness_aware", size, normal(size), {
        let truth = truth.clone();
        move |logits| {
            let config = correctness_aware::Config::default();
            Ok(correctness_aware::correctness_aware(logits, truth.clone(), warm.clone(), &config)?.loss)
        }
    });
    let (logits, views) = (normal(size), normal([3, batch, classes]));
    let features = Case::forward("correctness_calibrator", size, move || {
        let config = correctness_calibrator::Config::default();
        correctness_calibrator::features(&logits, views.clone(), &config).expect("the inputs are valid");
    });
    let (logits, classes_of) = (normal(size), truth.clone());
    let error = Case::forward("calibration_error", size, move || {
        let config = calibration_error::Config::default();
        calibration_error::calibration_error(&logits, &classes_of, &config).expect("the inputs are valid");
    });
    let (logits, classes_of) = (normal(size), truth.clone());
    let temperature = Case::forward("temperature_scaling", size, move || {
        let config = temperature_scaling::Config::default();
        temperature_scaling::fit_temperature(&logits, &classes_of, &config).expect("the inputs are valid");
    });
    let template: Tensor<2, Int> = truth.clone().zeros_like().reshape([batch, 1]);
    let forget: Tensor<2, Int> = truth.reshape([batch, 1]);
    let forgetting = Case::new("flat", size, normal([batch, 1, classes]), move |logits| {
        let of = |labels: &Tensor<2, Int>| Answers { logits: logits.clone(), labels: labels.clone() };
        Ok(flat::flat(of(&template), of(&forget), &flat::Config::default())?.loss)
    });
    vec![aware, features, error, temperature, forgetting]
}

/// A layer of weights in groups of a row each.
fn on_weights([rows, width]: [usize; 2]) -> Vec<Case> {
    let size = [rows, width];
    let group_of = (0..rows * width).map(|entry| entry / width).collect();
    let groups = wgsef::Groups::new(group_of, vec![1.0; rows]).expect("every group has entries");
    let sparse = Case::new("wgsef", size, normal([rows * width]), move |weights| {
        wgsef::wgsef(weights, &groups, &wgsef::Config::default())
    });
    let shape = Case::new("weight_distribution", size, normal([rows * width]), move |weights| {
        let config = weight_distribution::Config::default().with_skip_first(false);
        Ok(weight_distribution::weight_distribution(&[weights], &config)?.total(&config))
    });
    vec![sparse, shape]
}

/// Two fields on a square of pixels, each joined to its neighbours, and 16 bumps.
fn on_grid(side: usize) -> Case {
    let pixel = move |row: usize, column: usize| row * side + column;
    let inner = (0..side).flat_map(|line| (1..side).map(move |step| (line, step)));
    let edges: Vec<[usize; 2]> = inner
        .flat_map(|(line, step)| {
            [[pixel(line, step - 1), pixel(line, step)], [pixel(step - 1, line), pixel(step, line)]]
        })
        .collect();
    let (centres, target) = (normal([16, 2]), normal([16]));
    Case::new("signed_measure", [side * side, 2], normal([side * side, 2]), move |values| {
        let config = signed_measure::Config::default();
        Ok(signed_measure::signed_measure_loss(&values, &edges, &centres, target.clone(), &config)?.loss)
    })
}
