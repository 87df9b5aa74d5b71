//! Forward and backward pass of the objectives of a training step on the CPU, next to burn's own cross-entropy.

use std::hint::black_box;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Distribution, Int, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use synod_losses::classification::{cross_entropy, focal, softmax_objective};
use synod_losses::regulariser::margin_control;
use synod_losses::{LossConfig, LossError, Reduction, reduce};

const BATCH: usize = 32;

fn forward_backward(criterion: &mut Criterion) {
    for classes in [10, 1000] {
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::random([BATCH, classes], Distribution::Normal(0.0, 2.0), &device).require_grad();
        let labels: Vec<i64> = (0..BATCH).map(|row| (row * 7 % classes) as i64).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &device);
        let mut group = criterion.benchmark_group(format!("{BATCH}x{classes}"));
        let mut bench = |name: &str, loss: &dyn Fn(Tensor<2>, Tensor<1, Int>) -> Result<Tensor<1>, LossError>| {
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let value = loss(logits.clone(), labels.clone()).expect("the inputs of the benchmark are valid");
                    black_box(logits.grad(&value.backward()))
                });
            });
        };

        let burn_loss = CrossEntropyLossConfig::new().init(&device);
        bench("burn cross-entropy", &|logits, labels| Ok(burn_loss.forward(logits, labels)));
        let plain = cross_entropy::Config::default();
        bench("cross-entropy, composed", &|logits, labels| {
            reduce(cross_entropy::cross_entropy(logits, labels, &plain)?, None, Reduction::Mean)
        });
        let loss = LossConfig::CrossEntropy(plain.clone());
        bench("cross-entropy, fused", &|logits, labels| softmax_objective(logits, labels, &loss, None));
        let margin = margin_control::Config::default();
        bench("cross-entropy + margin control, composed", &|logits, labels| {
            let values = cross_entropy::cross_entropy(logits.clone(), labels, &plain)?;
            Ok(reduce(values, None, Reduction::Mean)? + margin_control::margin_control(logits, &margin)?)
        });
        bench("cross-entropy + margin control, fused", &|logits, labels| {
            softmax_objective(logits, labels, &loss, Some(&margin))
        });
        let focal_config = focal::Config::default();
        bench("focal, composed", &|logits, labels| {
            reduce(focal::focal(logits, labels, &focal_config)?, None, Reduction::Mean)
        });
        let loss = LossConfig::Focal(focal_config.clone());
        bench("focal, fused", &|logits, labels| softmax_objective(logits, labels, &loss, None));
        group.finish();
    }
}

criterion_group!(benches, forward_backward);
criterion_main!(benches);
