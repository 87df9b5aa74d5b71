//! The family's objectives in golden files.

use burn::tensor::{Int, Tensor};

use super::flat::{self, Answers, IGNORED, flat};
use crate::check;
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[Evaluator::new("flat_unlearning", "flat", |inputs| {
    let config = inputs.config::<flat::Config>()?;
    let template = answers(inputs, "template_logits", "template_labels")?;
    let forget = answers(inputs, "forget_logits", "forget_labels")?;
    let parts = inputs.at(flat(template, forget, &config))?;
    let outcome = Outcome::loss(parts.loss).with(inputs, "p_template", parts.p_template)?;
    outcome.with(inputs, "p_forget", parts.p_forget)
})];

fn answers(inputs: &Inputs<'_>, logits: &str, labels: &str) -> Result<Answers, GoldenError> {
    let logits = inputs.tensor::<3>(logits)?;
    let labelled: Vec<i64> = inputs.whole(labels)?.into_iter().filter(|label| *label != IGNORED).collect();
    inputs.at(check::labels(&labelled, logits.dims()[2]))?;
    if labelled.is_empty() {
        return Err(inputs.error(labels, "labels no position"));
    }
    let labels: Tensor<2, Int> = inputs.ints(labels)?;
    Ok(Answers { logits, labels })
}
