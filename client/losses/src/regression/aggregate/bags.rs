//! Which sample is in which bag.

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};

use crate::error::LossError;
use crate::option::constants;

/// Bags that have at least one sample each; no sample is in two.
#[derive(Debug, Clone, PartialEq)]
pub struct Bags {
    of_sample: Vec<i64>,
    sizes: Vec<f64>,
}

impl Bags {
    /// `bags` bags; sample `i` is in the bag `of_sample[i]`.
    ///
    /// # Errors
    /// [`LossError::Value`] if a sample is in no bag of `0..bags`, or a bag has no sample.
    pub fn new(of_sample: Vec<i64>, bags: usize) -> Result<Self, LossError> {
        let refused = |problem: String| Err(LossError::Value { loss: "a set of bags", input: "bags", problem });
        // A bag has at least one sample, so that a forged number of bags costs nothing.
        if bags > of_sample.len() {
            return refused(format!("{bags} bags for {} samples leave one empty; number them from 0", of_sample.len()));
        }
        let mut sizes = vec![0.0; bags];
        for (sample, &bag) in of_sample.iter().enumerate() {
            match usize::try_from(bag).ok().and_then(|bag| sizes.get_mut(bag)) {
                Some(size) => *size += 1.0,
                None => return refused(format!("sample {sample} is in bag {bag}, not in 0..{bags}")),
            }
        }
        match sizes.iter().position(|&size| size == 0.0) {
            Some(bag) => refused(format!("bag {bag} has no sample; leave it out")),
            None => Ok(Self { of_sample, sizes }),
        }
    }

    /// How many samples there are.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.of_sample.len()
    }

    /// How many samples each bag has.
    #[must_use]
    pub fn sizes(&self) -> &[f64] {
        &self.sizes
    }

    /// The bag of each sample.
    pub(super) fn of_sample(&self) -> impl Iterator<Item = usize> {
        self.of_sample.iter().map(|&bag| bag as usize)
    }

    /// Mean over the samples of each bag, `[bags]`, of `values: [samples]`.
    pub(super) fn means(&self, values: Tensor<1>) -> Tensor<1> {
        let sums = Tensor::zeros([self.sizes.len()], (&values.device(), values.dtype()));
        let index = self.index(&values);
        let sizes = constants(&values, &self.sizes);
        sums.scatter(0, index, values, IndexingUpdateOp::Add) / sizes
    }

    /// The value of each sample's bag, `[samples]`, of `values: [bags]`.
    pub(super) fn spread(&self, values: Tensor<1>) -> Tensor<1> {
        let index = self.index(&values);
        values.gather(0, index)
    }

    fn index(&self, like: &Tensor<1>) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(self.of_sample.clone(), [self.samples()]), &like.device())
    }
}
