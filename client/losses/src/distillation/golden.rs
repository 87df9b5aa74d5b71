//! The family's objectives in golden files.

use burn::tensor::Tensor;

use super::*;
use crate::error::LossError;
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::info::Objective;

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("", "knowledge_distillation", |inputs| {
        let student = inputs.tensor::<2>("student_logits")?;
        let labels = inputs.labels("labels", student.dims()[1])?;
        let teacher = inputs.tensor("teacher_logits")?;
        let values = knowledge_distillation(student, teacher, labels, &inputs.config()?);
        Ok(Outcome::loss(inputs.at(values)?.mean()))
    }),
    Evaluator::new("dual-head-kd", "binary_kl", |inputs| of_logits(inputs, binary_kl)),
    Evaluator::new("dual-head-kd", "binary_kl_norm", |inputs| of_logits(inputs, binary_kl_norm)),
    Evaluator::new("dual-head-kd", "dhkd_total", |inputs| {
        let main_logits = inputs.tensor::<2>("main_logits")?;
        let targets = inputs.labels("labels", main_logits.dims()[1])?;
        let (aux_logits, teacher_logits) = (inputs.tensor("aux_logits")?, inputs.tensor("teacher_logits")?);
        let given = dual_head::Inputs { main_logits, aux_logits, teacher_logits, targets };
        let values = inputs.at(dual_head(given, &inputs.config()?))?;
        Outcome::loss(values.total.mean()).with(inputs, "cross_entropy", values.cross_entropy.mean())?.with(
            inputs,
            "binary_kl_norm",
            values.distillation.mean(),
        )
    }),
    Evaluator::new("dual-head-kd", "align_gradients", |inputs| {
        let aligned = inputs.at(align_gradients(inputs.tensor("ce_grad")?, inputs.tensor("kd_grad")?))?;
        Outcome::loss(aligned.inner_product).with(inputs, "aligned_grad", aligned.gradient)
    }),
    Evaluator::new("landmark-kd", "kd_loss", |inputs| {
        let given = landmark::Inputs {
            pred: inputs.tensor("pred")?,
            target: inputs.tensor("target")?,
            tough: inputs.tensor("tough")?,
            tolerant: inputs.tensor("tolerant")?,
        };
        let values = inputs.at(landmark(given, &inputs.config()?))?;
        Outcome::loss(values.clone().total().mean())
            .with(inputs, "main", values.main.mean())?
            .with(inputs, "tough_assist", values.tough.mean())?
            .with(inputs, "tolerant_assist", values.tolerant.mean())
    }),
    Evaluator::new("landmark-kd", "aloss", |inputs| {
        let (pred, target, teacher) = (inputs.tensor("pred")?, inputs.tensor("target")?, inputs.tensor("teacher")?);
        Ok(Outcome::loss(inputs.at(landmark_assist(pred, target, teacher, &inputs.config()?))?.mean()))
    }),
    Evaluator::new("landmark-kd", "soft_landmarks", |inputs| {
        let shapes = soft_landmarks::Shapes {
            mean: inputs.tensor("mean_shape")?,
            components: inputs.tensor("components")?,
            variances: inputs.tensor("variances")?,
        };
        let soft = inputs.at(soft_landmarks(inputs.tensor("target")?, shapes, &inputs.config()?))?;
        let loss = (soft.clone() * inputs.tensor("upstream")?).sum();
        Outcome::loss(loss).with(inputs, "soft_landmarks", soft)
    }),
    Evaluator::new("ostquant", "kl_top", |inputs| of_logits(inputs, kl_top)),
    Evaluator::new("f-distill", "f_divergence", |inputs| of_logits(inputs, f_divergence)),
    Evaluator::new("f-distill", "discriminator_loss", |inputs| {
        let loss = f_distill_discriminator(inputs.flat("fake_logits")?, inputs.flat("real_logits")?);
        Ok(Outcome::loss(inputs.at(loss)?))
    }),
    Evaluator::new("f-distill", "generator_loss", |inputs| {
        let times = inputs.finite("t")?;
        let rows = |name| -> Result<Tensor<2>, GoldenError> {
            let flat = inputs.flat(name)?;
            let [len] = flat.dims();
            if times.is_empty() || len % times.len() != 0 {
                return Err(inputs.error(name, "does not have one row for each entry of `t`"));
            }
            Ok(flat.reshape([times.len(), len / times.len()]))
        };
        let given = f_distill::Inputs {
            generated: rows("generated")?,
            teacher_x0: rows("teacher_x0")?,
            fake_x0: rows("fake_x0")?,
            disc_logits: rows("disc_logits")?,
            times: &times,
        };
        let values = inputs.at(f_distill(given, inputs.tensor("bins")?, &inputs.config()?))?;
        Outcome::loss(values.loss)
            .with(inputs, "vsd", values.vsd)?
            .with(inputs, "gan", values.gan)?
            .with(inputs, "h", values.h)?
            .with(inputs, "bins", values.bins)
    }),
    Evaluator::new("eq-net", "gpg", |inputs| {
        let logits = inputs.tensor::<3>("logits")?;
        let labels = inputs.labels("labels", logits.dims()[2])?;
        let parts = inputs.at(group_guidance(logits, labels, &inputs.config()?))?.mean_dim(1);
        Outcome::loss(parts.clone().sum()).with(inputs, "per_subnet", parts)
    }),
];

/// The mean of a loss of a student's and a teacher's logits.
fn of_logits<C: Objective>(
    inputs: &Inputs<'_>,
    loss: fn(Tensor<2>, Tensor<2>, &C) -> Result<Tensor<1>, LossError>,
) -> Result<Outcome, GoldenError> {
    let values = loss(inputs.tensor("student_logits")?, inputs.tensor("teacher_logits")?, &inputs.config()?);
    Ok(Outcome::loss(inputs.at(values)?.mean()))
}
