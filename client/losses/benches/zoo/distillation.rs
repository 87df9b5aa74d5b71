//! Losses that learn from another model. Only the student records gradients.

use burn::tensor::Tensor;
use synod_losses::distillation::{
    align_gradients, binary_kl, binary_kl_norm, dual_head, f_distill, f_distill_discriminator, f_divergence,
    group_guidance, kl_top, knowledge_distillation, landmark, landmark_assist, soft_landmarks,
};
use synod_losses::{LossError, Objective};

use crate::{Case, LOGITS, constant, labels, normal};

type OfLogits<C> = fn(Tensor<2>, Tensor<2>, &C) -> Result<Tensor<1>, LossError>;

pub(crate) fn cases() -> Vec<Case> {
    LOGITS.into_iter().flat_map(of_size).collect()
}

fn of_size(size: [usize; 2]) -> Vec<Case> {
    let [batch, width] = size;
    let targets = labels(batch, width);
    let (teacher, other) = (constant(size), constant(size));
    let times: Vec<f64> = (0..batch).map(|row| row as f64 / batch as f64).collect();
    vec![
        of_logits(size, binary_kl as OfLogits<binary_kl::Config>),
        of_logits(size, binary_kl_norm as OfLogits<binary_kl_norm::Config>),
        of_logits(size, kl_top as OfLogits<kl_top::Config>),
        of_logits(size, f_divergence as OfLogits<f_divergence::Config>),
        Case::new("knowledge_distillation", size, normal(size), {
            let (teacher, targets) = (teacher.clone(), targets.clone());
            move |logits| {
                let (teacher, targets) = (teacher.clone(), targets.clone());
                Ok(knowledge_distillation(logits, teacher, targets, &Default::default())?.mean())
            }
        }),
        Case::new("dual_head", size, normal(size), {
            let (teacher_logits, targets) = (teacher.clone(), targets.clone());
            move |logits| {
                let (teacher_logits, targets) = (teacher_logits.clone(), targets.clone());
                let inputs =
                    dual_head::Inputs { main_logits: logits.clone(), aux_logits: logits, teacher_logits, targets };
                Ok(dual_head(inputs, &Default::default())?.total.mean())
            }
        }),
        Case::new("group_guidance", size, normal([3, batch, width]), move |logits| {
            Ok(group_guidance(logits, targets.clone(), &Default::default())?.mean())
        }),
        Case::new("landmark_kd", size, normal(size), {
            let (target, tough, tolerant) = (constant(size), teacher.clone(), other.clone());
            move |pred| {
                let (target, tough, tolerant) = (target.clone(), tough.clone(), tolerant.clone());
                let inputs = landmark::Inputs { pred, target, tough, tolerant };
                Ok(landmark(inputs, &Default::default())?.total().mean())
            }
        }),
        Case::new("landmark_assist", size, normal(size), {
            let (target, teacher) = (other.clone(), teacher.clone());
            move |pred| Ok(landmark_assist(pred, target.clone(), teacher.clone(), &Default::default())?.mean())
        }),
        Case::new("f_distill", size, normal(size), {
            let (teacher, fake, disc_logits) = (teacher.clone(), other.clone(), constant([batch, 4]));
            move |generated| {
                let (teacher_x0, fake_x0, disc_logits) = (teacher.clone(), fake.clone(), disc_logits.clone());
                let bins = Tensor::ones([10], &generated.device());
                let inputs = f_distill::Inputs { generated, teacher_x0, fake_x0, disc_logits, times: &times };
                Ok(f_distill(inputs, bins, &Default::default())?.loss)
            }
        }),
        Case::new("f_distill_discriminator", size, normal(size), {
            let real = other.clone();
            move |fake| f_distill_discriminator(fake.flatten(0, 1), real.clone().flatten(0, 1))
        }),
        Case::forward("align_gradients", size, {
            let (first, second) = (teacher.clone().inner().flatten(0, 1), other.inner().flatten(0, 1));
            move || drop(align_gradients(first.clone(), second.clone()))
        }),
        Case::forward("soft_landmarks", size, {
            let components = constant([4, width]).inner();
            let target = teacher.inner();
            move || {
                let device = target.device();
                let (mean, variances) = (Tensor::zeros([width], &device), Tensor::ones([4], &device));
                let shapes = soft_landmarks::Shapes { mean, components: components.clone(), variances };
                drop(soft_landmarks(target.clone(), shapes, &Default::default()));
            }
        }),
    ]
}

fn of_logits<C: Objective + 'static>(size: [usize; 2], loss: OfLogits<C>) -> Case {
    let (teacher, config) = (constant(size), C::default());
    Case::new(C::INFO.name, size, normal(size), move |logits| Ok(loss(logits, teacher.clone(), &config)?.mean()))
}
