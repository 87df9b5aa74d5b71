//! From the parameters of a module to one flat buffer.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Copies the parameters of `module` to `out`, block after block in the order of its blueprint. Waits for the device.
///
/// # Errors
/// What the device says when a tensor cannot be read.
pub(crate) fn write_flat<M: Module>(module: &M, out: &mut [f32]) -> Result<(), String> {
    let mut writer = Writer { rest: out, failure: None };
    module.visit(&mut writer);
    match writer.failure {
        Some(failure) => Err(failure),
        None if writer.rest.is_empty() => Ok(()),
        None => Err(format!("the module ends {} values before its layout", writer.rest.len())),
    }
}

struct Writer<'a> {
    rest: &'a mut [f32],
    failure: Option<String>,
}

impl ModuleVisitor for Writer<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.failure.is_none()
            && let Err(failure) = self.write(param.val())
        {
            self.failure = Some(failure);
        }
    }
}

impl Writer<'_> {
    fn write<const D: usize>(&mut self, tensor: Tensor<D>) -> Result<(), String> {
        let data = tensor.try_into_data().map_err(|error| error.to_string())?;
        let values = data.as_slice::<f32>().map_err(|error| format!("{error:?}"))?;
        let (block, rest) = std::mem::take(&mut self.rest)
            .split_at_mut_checked(values.len())
            .ok_or("the module has more values than its layout")?;
        block.copy_from_slice(values);
        self.rest = rest;
        Ok(())
    }
}
