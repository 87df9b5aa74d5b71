//! Some of a model's blocks: to take out, to put back, to keep from moving.

use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::models::Blueprint;
use synod_common::plan::BlockRule;

/// Some blocks of a layout.
#[derive(Clone, Debug, Default)]
pub(in crate::train) struct BlockSet {
    /// For each block of the layout whether it is one of them.
    members: Vec<bool>,
    /// Where they are in the flat model.
    ranges: Vec<Range<usize>>,
}

impl BlockSet {
    /// The blocks of `blueprint` that `rule` names.
    pub(in crate::train) fn new(blueprint: &Blueprint, rule: &BlockRule) -> Self {
        let members = blueprint.members(rule);
        let all = blueprint.layout().ranges().map(|(_, range)| range);
        let ranges = all.zip(&members).filter_map(|(range, member)| member.then_some(range)).collect();
        Self { members, ranges }
    }

    /// For each block of the layout whether it is one of them.
    pub(in crate::train) fn members(&self) -> &[bool] {
        &self.members
    }

    /// For each block of the layout whether it is none of them.
    pub(in crate::train) fn others(&self) -> Vec<bool> {
        self.members.iter().map(|member| !member).collect()
    }

    pub(in crate::train) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Values in them.
    pub(in crate::train) fn len(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Their values in `model`, one block after the other.
    pub(in crate::train) fn pack(&self, model: &[f32]) -> Vec<f32> {
        self.ranges.iter().flat_map(|range| &model[range.clone()]).copied().collect()
    }

    /// Puts `packed` values, `[len()]`, in their place in `model`.
    pub(in crate::train) fn unpack(&self, mut packed: &[f32], model: &mut [f32]) {
        for range in &self.ranges {
            let (block, rest) = packed.split_at(range.len());
            model[range.clone()].copy_from_slice(block);
            packed = rest;
        }
    }

    /// Sets their values to 0.
    pub(in crate::train) fn clear(&self, model: &mut [f32]) {
        for range in &self.ranges {
            model[range.clone()].fill(0.0);
        }
    }
}

/// Drops the gradients of the parameters of `module` that `frozen` names by their place. Without a gradient an optimiser
/// leaves a parameter as it is, whatever its momentum and weight decay.
pub(in crate::train) fn freeze<M: Module>(module: &M, gradients: &mut GradientsParams, frozen: &[bool]) {
    if frozen.contains(&true) {
        module.visit(&mut Freeze { gradients, frozen: frozen.iter() });
    }
}

struct Freeze<'a> {
    gradients: &'a mut GradientsParams,
    frozen: std::slice::Iter<'a, bool>,
}

impl ModuleVisitor for Freeze<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.frozen.next() == Some(&true) {
            let _ = self.gradients.remove::<D>(param.id);
        }
    }
}
