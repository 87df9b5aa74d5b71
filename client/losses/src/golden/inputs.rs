//! Tensors and options of a case, for whoever evaluates it.

use std::cell::RefCell;

use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::format::{Array, Case, GoldenError};
use crate::check;
use crate::error::{LossError, to_f64};
use crate::info::Objective;

/// How the gradient of one input is read after the backward pass.
type Leaf = Box<dyn Fn(&Gradients) -> Option<Result<Vec<f64>, LossError>>>;

/// What a case gives to the objective. Float tensors taken from here record gradients.
pub(crate) struct Inputs<'a> {
    case: &'a Case,
    device: Device,
    leaves: RefCell<Vec<(String, Leaf)>>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(case: &'a Case, device: &Device) -> Self {
        Self { case, device: device.clone().autodiff(), leaves: RefCell::new(Vec::new()) }
    }

    /// Where tensors that the objective needs besides its inputs belong.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Whether there is an input of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.case.inputs.contains_key(name)
    }

    /// A float input of `D` dimensions, finite everywhere.
    pub(crate) fn tensor<const D: usize>(&self, name: &str) -> Result<Tensor<D>, GoldenError> {
        let (_, shape) = self.array::<D>(name)?;
        self.leaf(name, shape)
    }

    /// A float input of any number of dimensions, row by row in one dimension.
    pub(crate) fn flat(&self, name: &str) -> Result<Tensor<1>, GoldenError> {
        self.leaf(name, [self.host(name)?.data.len()])
    }

    fn leaf<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, GoldenError> {
        let data = self.finite(name)?;
        let tensor = Tensor::<D>::from_data(TensorData::new(data, shape), (&self.device, DType::F32)).require_grad();
        let leaf = tensor.clone();
        let read = move |gradients: &Gradients| leaf.grad(gradients).map(|gradient| numbers("the gradient", gradient));
        self.leaves.borrow_mut().push((name.to_owned(), Box::new(read)));
        Ok(tensor)
    }

    /// A float input of `D` dimensions in double precision that records nothing, for what is not differentiated.
    pub(crate) fn double<const D: usize>(&self, name: &str) -> Result<Tensor<D>, GoldenError> {
        let (array, shape) = self.array::<D>(name)?;
        Ok(Tensor::from_data(TensorData::new(array.data.clone(), shape), (&self.device, DType::F64)))
    }

    /// The entries of an input, finite everywhere.
    pub(crate) fn finite(&self, name: &str) -> Result<Vec<f64>, GoldenError> {
        let data = &self.host(name)?.data;
        match data.iter().position(|value| !value.is_finite()) {
            Some(position) => {
                self.at(Err(LossError::NotFinite { tensor: "an input", position, value: data[position] }))
            }
            None => Ok(data.clone()),
        }
    }

    /// A single number given as a tensor without or with one entry, as `[1]`.
    pub(crate) fn scalar(&self, name: &str) -> Result<Tensor<1>, GoldenError> {
        if self.host(name)?.data.len() != 1 {
            return Err(self.case.error(name, "is not a single number"));
        }
        self.flat(name)
    }

    /// An integer input of `D` dimensions.
    pub(crate) fn ints<const D: usize>(&self, name: &str) -> Result<Tensor<D, Int>, GoldenError> {
        let (_, shape) = self.array::<D>(name)?;
        Ok(Tensor::from_data(TensorData::new(self.whole(name)?, shape), &self.device))
    }

    /// An input of `D` dimensions of zeros and ones, whatever its type in the file, as floats that record nothing.
    pub(crate) fn constant<const D: usize>(&self, name: &str) -> Result<Tensor<D>, GoldenError> {
        let (array, shape) = self.array::<D>(name)?;
        Ok(Tensor::from_data(TensorData::new(array.data.clone(), shape), (&self.device, DType::F32)))
    }

    /// Labels, each in `0..classes`, `[batch]`.
    pub(crate) fn labels(&self, name: &str, classes: usize) -> Result<Tensor<1, Int>, GoldenError> {
        self.at(check::labels(&self.whole(name)?, classes))?;
        self.ints::<1>(name)
    }

    /// The entries of an integer input.
    pub(crate) fn whole(&self, name: &str) -> Result<Vec<i64>, GoldenError> {
        let array = self.host(name)?;
        if array.data.iter().any(|value| value.fract() != 0.0 || value.abs() > 2f64.powi(53)) {
            return Err(self.case.error(name, "is not a list of whole numbers"));
        }
        Ok(array.data.iter().map(|&value| value as i64).collect())
    }

    /// An input as it stands in the file.
    pub(crate) fn host(&self, name: &str) -> Result<&'a Array, GoldenError> {
        let array = self.case.inputs.get(name).ok_or_else(|| self.case.error(name, "is missing"))?;
        let elements = array.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if elements != Some(array.data.len()) {
            return Err(self.case.error(name, "has a shape that does not match its data"));
        }
        Ok(array)
    }

    /// The case's options as the configuration of an objective. Each must be an option of it.
    pub(crate) fn config<C: Objective>(&self) -> Result<C, GoldenError> {
        self.config_without(&[])
    }

    /// As [`Inputs::config`], without the options `left_out`, which mean something else than an option.
    pub(crate) fn config_without<C: Objective>(&self, left_out: &[&str]) -> Result<C, GoldenError> {
        let mut params = self.case.params.clone();
        params.retain(|name, _| !left_out.contains(&name.as_str()));
        let config: C = serde_json::from_value(Value::Object(params))
            .map_err(|error| self.case.error("params", format!("cannot be read: {error}")))?;
        self.at(config.validate().map_err(|source| LossError::Config { name: C::INFO.name, source }))
    }

    /// One option.
    pub(crate) fn param<T: DeserializeOwned>(&self, name: &str) -> Result<T, GoldenError> {
        let value = self.case.params.get(name).ok_or_else(|| self.case.error(name, "is missing among the params"))?;
        serde_json::from_value(value.clone())
            .map_err(|error| self.case.error(name, format!("cannot be read as an option: {error}")))
    }

    /// One option, or what it is when left out.
    pub(crate) fn param_or<T: DeserializeOwned>(&self, name: &str, default: T) -> Result<T, GoldenError> {
        if self.case.params.contains_key(name) { self.param(name) } else { Ok(default) }
    }

    /// Says which case a loss refused.
    pub(crate) fn at<T>(&self, result: Result<T, LossError>) -> Result<T, GoldenError> {
        self.case.at(result)
    }

    /// An error about one input.
    pub(crate) fn error(&self, tensor: &str, problem: impl Into<String>) -> GoldenError {
        self.case.error(tensor, problem)
    }

    /// The gradient of the input `name`; `None` if the objective did not take it or does not depend on it.
    pub(super) fn gradient(&self, name: &str, gradients: &Gradients) -> Option<Result<Vec<f64>, LossError>> {
        let leaves = self.leaves.borrow();
        leaves.iter().find(|(leaf, _)| leaf == name).and_then(|(_, read)| read(gradients))
    }

    /// Whether the objective took the input `name` as a float tensor.
    pub(super) fn took(&self, name: &str) -> bool {
        self.leaves.borrow().iter().any(|(leaf, _)| leaf == name)
    }

    fn array<const D: usize>(&self, name: &str) -> Result<(&'a Array, [usize; D]), GoldenError> {
        let array = self.host(name)?;
        let shape = <[usize; D]>::try_from(array.shape.as_slice());
        let shape = shape.map_err(|_| {
            self.case.error(name, format!("has {} dimensions where the objective takes {D}", array.shape.len()))
        })?;
        Ok((array, shape))
    }
}

/// The entries of a tensor. Waits for the device.
pub(super) fn numbers<const D: usize>(what: &'static str, tensor: Tensor<D>) -> Result<Vec<f64>, LossError> {
    let data = tensor.try_into_data().map_err(|error| LossError::Read { tensor: what, reason: error.to_string() });
    data.and_then(|data| to_f64(what, &data))
}
