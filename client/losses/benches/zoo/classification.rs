//! Losses on logits and labels, losses with more than these, and heads.

use burn::tensor::Tensor;
use synod_losses::classification::hyp_oc::{self, Hyperplanes, hyp_pc, pseudo_negative, to_poincare};
use synod_losses::classification::{ensloss, linear_step, naive_bayes, smooth_adv_comp_sum, softmax_objective};
use synod_losses::{LossConfig, TaskKind};

use crate::{Case, LOGITS, labels, normal};

/// Samples and values of an embedding.
const EMBEDDINGS: [[usize; 2]; 2] = [[32, 128], [512, 128]];

pub(crate) fn cases() -> Vec<Case> {
    let losses = LossConfig::defaults().into_iter().filter(|loss| loss.fits(TaskKind::Classification));
    let mut cases: Vec<Case> = losses.flat_map(|loss| LOGITS.map(|size| plan_loss(loss.clone(), size))).collect();
    cases.extend(LOGITS.map(smooth_adversarial));
    cases.extend([32, 512].map(random_derivatives));
    cases.extend(EMBEDDINGS.into_iter().flat_map(on_embeddings));
    cases
}

/// A loss as training computes it.
fn plan_loss(loss: LossConfig, [batch, classes]: [usize; 2]) -> Case {
    let labels = labels(batch, classes);
    Case::new(loss.name(), [batch, classes], normal([batch, classes]), move |logits| {
        softmax_objective(logits, labels.clone(), &loss, None)
    })
}

fn smooth_adversarial([batch, classes]: [usize; 2]) -> Case {
    let (labels, attacked) = (labels(batch, classes), normal([batch, classes]));
    let config = smooth_adv_comp_sum::Config::default();
    Case::new("smooth_adv_comp_sum", [batch, classes], normal([batch, classes]), move |logits| {
        let parts = smooth_adv_comp_sum(logits, labels.clone(), attacked.clone(), &config)?;
        Ok(parts.total(&config).mean())
    })
}

fn random_derivatives(batch: usize) -> Case {
    let (labels, normals) = (labels(batch, 2), normal([batch]));
    Case::new("ensloss", [batch, 1], normal([batch]), move |scores| {
        Ok(ensloss(scores, &labels, &normals, &ensloss::Config::default())?.mean())
    })
}

fn on_embeddings([batch, width]: [usize; 2]) -> Vec<Case> {
    let size = [batch, width];
    let planes = Hyperplanes { a_vals: normal([2, width]), p_vals: normal([2, width]) };
    let base = move || Tensor::zeros([width], &crate::device());
    let (origin, map) = (base(), to_poincare::Config::default());
    let total = Case::new("hyp_oc", size, normal(size), move |features| {
        Ok(hyp_oc::hyp_oc(features, base(), planes.clone(), &hyp_oc::total::Config::default())?.total())
    });
    let points = Case::new("to_poincare", size, normal(size), move |features| {
        Ok(to_poincare(features, origin.clone(), &map)?.sum())
    });
    let pairs = Case::new("hyp_pc", size, normal(size), move |points| {
        Ok(hyp_pc(points * 0.01, &hyp_oc::hyp_pc::Config::default())?.mean())
    });
    let (batch_of, mean, gauss) = (normal(size), normal([width]), normal(size));
    let draw = Case::forward("pseudo_negative", size, move || {
        let config = hyp_oc::pseudo_negative::Config::default();
        pseudo_negative(batch_of.clone(), mean.clone(), gauss.clone(), &config).expect("the inputs are valid");
    });
    let (features, classes) = (normal(size), labels(batch, 10));
    let head = Case::forward("naive_bayes", size, move || {
        let statistics = naive_bayes::Statistics::new(&features, &classes, 10).expect("the inputs are valid");
        statistics.head(&naive_bayes::Config::default()).expect("there are rows");
    });
    let (features, signs) = (normal(size), labels(batch, 2) * 2 - 1);
    let step = Case::forward("linear_step", size, move || {
        let config = linear_step::Config::default();
        linear_step::sums(&features, &signs, &vec![0.1; width], 0, &config).expect("the inputs are valid");
    });
    vec![total, points, pairs, draw, head, step]
}
