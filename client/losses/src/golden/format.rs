//! What stands in a golden file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::LossError;

/// Largest golden file that is read: some hundred times the largest there is.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// A golden file.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct File {
    /// What the file is about.
    pub loss: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// One case of a golden file.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// What is computed.
    pub objective: String,
    /// Its options.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Its tensors by name.
    pub inputs: BTreeMap<String, Array>,
    /// What must come out.
    pub expected: Expected,
    /// Allowed relative difference.
    pub rtol: f64,
    /// Allowed absolute difference, added to the relative one.
    pub atol: f64,
}

/// A tensor in a golden file.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its entries in row-major order.
    pub data: Vec<f64>,
    /// `"i64"` for integers; left out for floats.
    #[serde(default)]
    pub dtype: Option<String>,
}

/// What must come out of a case.
#[derive(Debug, Clone, Default, Deserialize)]
#[non_exhaustive]
pub struct Expected {
    /// The loss value.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Gradients of the loss by the name of the input.
    #[serde(default)]
    pub grads: BTreeMap<String, Array>,
    /// Anything else by name: a number, a truth value, a list of numbers, or an [`Array`].
    #[serde(default)]
    pub other: BTreeMap<String, Value>,
}

/// A golden file could not be evaluated. That a number differs is no error but a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// The file is larger than [`FILE_BYTES_MAX`].
    #[error("the golden file has {bytes} bytes, at most {FILE_BYTES_MAX} are read; split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The file is not JSON, or not in the golden format.
    #[error("could not read the golden file: {0}; it needs `loss` and `cases`, see the documentation of the format")]
    Format(#[from] serde_json::Error),
    /// A tensor, an option or an expected number of a case cannot be used.
    #[error("case `{case}`: {tensor} {problem}; correct the golden file")]
    Array {
        /// Name of the case.
        case: String,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The loss refused the case.
    #[error("case `{case}`: {source}")]
    Loss {
        /// Name of the case.
        case: String,
        /// Why.
        source: LossError,
    },
}

impl File {
    /// Reads a golden file.
    ///
    /// # Errors
    /// [`GoldenError::TooLarge`], [`GoldenError::Format`].
    pub fn parse(bytes: &[u8]) -> Result<Self, GoldenError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(GoldenError::TooLarge { bytes: bytes.len() });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The name of what the file is about, without a number before it.
    pub(crate) fn subject(&self) -> &str {
        let name = self.loss.trim_start_matches(|c: char| c.is_ascii_digit());
        if name.len() == self.loss.len() { name } else { name.trim_start_matches('-') }
    }
}

impl Case {
    pub(crate) fn error(&self, tensor: &str, problem: impl Into<String>) -> GoldenError {
        GoldenError::Array { case: self.name.clone(), tensor: tensor.to_owned(), problem: problem.into() }
    }

    pub(crate) fn at<T>(&self, result: Result<T, LossError>) -> Result<T, GoldenError> {
        result.map_err(|source| GoldenError::Loss { case: self.name.clone(), source })
    }

    /// The numbers of an expected quantity.
    pub(crate) fn expected_numbers(&self, name: &str, value: &Value) -> Result<Vec<f64>, GoldenError> {
        let number = |value: &Value| value.as_f64().or_else(|| value.as_bool().map(f64::from));
        let list = |list: &Vec<Value>| list.iter().map(number).collect::<Option<Vec<f64>>>();
        let numbers = match value {
            Value::Array(values) => list(values),
            Value::Object(object) => object.get("data").and_then(Value::as_array).and_then(list),
            single => number(single).map(|value| vec![value]),
        };
        numbers.ok_or_else(|| self.error(name, "is expected, but is neither a number, a list of numbers nor an array"))
    }
}
