//! Reduction: denominators, masks, and what NaN must not do.

use burn::tensor::{Device, Tensor};
use synod_losses::{LossError, Reduction, reduce, reduce_weighted};

use crate::support::numbers;

fn tensor<const N: usize>(values: [f32; N]) -> Tensor<1> {
    Tensor::from_data(values, &Device::flex().autodiff())
}

#[test]
fn denominator_counts_only_unmasked_entries() {
    let reduced =
        |reduction| numbers(reduce(tensor([1.0, 2.0, 6.0]), Some(tensor([1.0, 0.0, 1.0])), reduction).unwrap());
    assert_eq!(reduced(Reduction::Mean), [3.5]);
    assert_eq!(reduced(Reduction::Sum), [7.0]);
    assert_eq!(reduced(Reduction::None), [1.0, 0.0, 6.0]);
    assert_eq!(numbers(reduce(tensor([1.0, 2.0, 6.0]), None, Reduction::Mean).unwrap()), [3.0]);
}

#[test]
fn weighted_mean_divides_by_the_weights_of_unmasked_entries() {
    let (values, weights) = (tensor([2.0, 9.0, 3.0]), tensor([2.0, 3.0, 0.5]));
    let mean = reduce_weighted(values.clone(), Some(weights.clone()), None, Reduction::Mean).unwrap();
    assert!((numbers(mean)[0] - 14.0 / 5.5).abs() < 1e-6);
    let mask = Some(tensor([1.0, 0.0, 1.0]));
    let mean = reduce_weighted(values, Some(weights), mask, Reduction::Mean).unwrap();
    assert!((numbers(mean)[0] - 2.0).abs() < 1e-6);
}

/// A padded entry may hold anything; it must change neither the value nor a gradient.
#[test]
fn masked_nan_does_not_leak() {
    let values = tensor([1.0, f32::NAN, 3.0]).require_grad();
    let mean = reduce(values.clone(), Some(tensor([1.0, 0.0, 1.0])), Reduction::Mean).unwrap();
    let gradient = values.grad(&mean.backward()).unwrap();
    assert_eq!(numbers(mean), [2.0]);
    assert_eq!(numbers(gradient), [0.5, 0.0, 0.5]);
}

#[test]
fn all_masked_gives_zero_and_no_gradient() {
    for reduction in [Reduction::Mean, Reduction::Sum] {
        for weights in [None, Some(tensor([2.0, 3.0]))] {
            let values = tensor([1.0, f32::INFINITY]).require_grad();
            let mask = Some(tensor([0.0, 0.0]));
            let reduced = reduce_weighted(values.clone(), weights, mask, reduction).unwrap();
            let gradient = values.grad(&reduced.backward()).unwrap();
            assert_eq!((numbers(reduced), numbers(gradient)), (vec![0.0], vec![0.0, 0.0]));
        }
    }
}

#[test]
fn empty_values_and_other_lengths_are_refused() {
    let empty = Tensor::<1>::zeros([0], &Device::flex());
    assert!(matches!(reduce(empty, None, Reduction::Sum), Err(LossError::EmptyBatch { .. })));
    let error = reduce(tensor([1.0, 2.0]), Some(tensor([1.0])), Reduction::Mean).unwrap_err();
    assert!(matches!(error, LossError::Shape { tensor: "mask", .. }));
}
