//! Which patches of each sample are masked.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::similarity::shape_error;
use crate::error::LossError;

const NAME: &str = "the patch mask";

/// Masked patches of a batch: the same number in each sample, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchMask {
    patches: usize,
    per_sample: usize,
    /// Indices of the masked patches, ascending, sample by sample.
    masked: Vec<usize>,
}

impl PatchMask {
    /// From `mask`, sample by sample, of `patches` patches each; `true` is masked.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`] for no samples; [`LossError::Shape`] if the mask is not a whole number of samples, or
    /// samples have different numbers of masked patches, or none.
    pub fn new(mask: &[bool], patches: usize) -> Result<Self, LossError> {
        let expected = |what: &str| format!("[n, {patches}] with {what}");
        if mask.is_empty() {
            return Err(LossError::EmptyBatch { loss: NAME });
        }
        if patches == 0 || !mask.len().is_multiple_of(patches) {
            return Err(shape_error(NAME, "mask", expected("n whole samples"), &[mask.len()]));
        }
        let count = |sample: &[bool]| sample.iter().filter(|&&masked| masked).count();
        let per_sample = mask.chunks(patches).next().map_or(0, count);
        if per_sample == 0 || mask.chunks(patches).any(|sample| count(sample) != per_sample) {
            let expected = expected("the same number of masked patches in each sample, at least 1");
            return Err(shape_error(NAME, "mask", expected, &[mask.len() / patches, patches]));
        }
        let masked = mask.iter().enumerate().filter(|(_, masked)| **masked).map(|(entry, _)| entry % patches);
        Ok(Self { patches, per_sample, masked: masked.collect() })
    }

    /// Samples.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.masked.len() / self.per_sample
    }

    /// Patches of a sample.
    #[must_use]
    pub fn patches(&self) -> usize {
        self.patches
    }

    /// Masked patches of a sample.
    #[must_use]
    pub fn masked_per_sample(&self) -> usize {
        self.per_sample
    }

    /// Indices of the masked patches of each sample in ascending order, `[batch, masked]`.
    #[must_use]
    pub fn indices(&self, device: &Device) -> Tensor<2, Int> {
        let indices: Vec<i64> = self.masked.iter().map(|&index| index as i64).collect();
        Tensor::from_data(TensorData::new(indices, [self.batch(), self.per_sample]), device)
    }

    /// The mask as it was given, sample by sample.
    #[must_use]
    pub fn to_mask(&self) -> Vec<bool> {
        let mut mask = vec![false; self.batch() * self.patches];
        for (sample, masked) in mask.chunks_mut(self.patches).zip(self.masked.chunks(self.per_sample)) {
            for &patch in masked {
                sample[patch] = true;
            }
        }
        mask
    }
}
