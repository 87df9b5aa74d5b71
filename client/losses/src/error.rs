//! What can go wrong when a loss is configured or evaluated.

use std::fmt;

use burn::tensor::TensorData;

/// A loss could not be built or evaluated.
///
/// Every variant is the caller's or the configuration's fault, except [`LossError::Read`]: there the device failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A tensor has another shape than the loss needs.
    #[error("{loss} needs {tensor} of shape {expected}, got {found:?}; check how the batch was put together")]
    Shape {
        /// Name of the loss or of the term.
        loss: &'static str,
        /// Which tensor.
        tensor: &'static str,
        /// The shape it needs, in words.
        expected: String,
        /// The shape it got.
        found: Vec<usize>,
    },

    /// There is nothing to average over.
    #[error("{loss} got an empty batch, whose mean does not exist; leave out empty batches")]
    EmptyBatch {
        /// Name of the loss or of the term.
        loss: &'static str,
    },

    /// A label names a class that the model does not have.
    #[error(
        "label {label} at position {position} is not in 0..{classes}, the classes of the model; correct the label or \
         the model's number of classes"
    )]
    Label {
        /// Index of the first such label.
        position: usize,
        /// Its value.
        label: i64,
        /// Number of classes.
        classes: usize,
    },

    /// A label of two classes is neither -1 nor 1.
    #[error("label {label} at position {position} is neither -1 nor 1; write the two classes as -1 and 1")]
    Sign {
        /// Index of the first such label.
        position: usize,
        /// Its value.
        label: i64,
    },

    /// A tensor holds NaN or an infinity.
    #[error(
        "{tensor} is {value} at flat position {position}: training has diverged or an input is not finite; lower the \
         learning rate, clip gradients or check the data"
    )]
    NotFinite {
        /// Which tensor.
        tensor: &'static str,
        /// Index in row-major order of the first such value.
        position: usize,
        /// The value.
        value: f64,
    },

    /// Numbers on the host are not what the loss needs.
    #[error("{loss} cannot use {input}: {problem}")]
    Value {
        /// Name of the loss or of the step.
        loss: &'static str,
        /// Which of its inputs.
        input: &'static str,
        /// What is wrong and what is needed.
        problem: String,
    },

    /// Per-class options do not match the number of classes.
    #[error(
        "option `{option}` of {loss} has {given} entries, the model has {classes} classes; give one number for each \
         class, in the order of the labels"
    )]
    PerClass {
        /// Name of the loss.
        loss: &'static str,
        /// Name of the option.
        option: &'static str,
        /// How many entries the option has.
        given: usize,
        /// Number of classes.
        classes: usize,
    },

    /// No loss has this name.
    #[error("no loss is called `{name}`; known losses, nearest name first: {}", nearest.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// All known names, sorted by distance to `name`.
        nearest: Vec<&'static str>,
    },

    /// The options of a loss could not be read.
    #[error("could not read the options of loss `{name}`: {reason}; it knows {}", known(options))]
    Options {
        /// Name of the loss.
        name: &'static str,
        /// What the deserialiser said.
        reason: String,
        /// Names of the options the loss knows.
        options: Vec<&'static str>,
    },

    /// The options of a loss were read but are not allowed.
    #[error("loss `{name}` is not configured correctly: {source}")]
    Config {
        /// Name of the loss.
        name: &'static str,
        /// Which option, and why.
        source: ConfigError,
    },

    /// The loss exists, but not for this use.
    #[error("loss `{name}` does not take {wanted}; choose one that does: {}", others.join(", "))]
    Unfit {
        /// Name of the loss.
        name: &'static str,
        /// What the caller has, in words.
        wanted: &'static str,
        /// Losses that would fit.
        others: Vec<&'static str>,
    },

    /// What a loss remembers does not fit.
    #[error("the loss' memory `{column}` {problem}; remove the site's stored state if its data or the plan changed")]
    Memory {
        /// Name of the column.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// A tensor could not be copied to the host.
    #[error("could not read {tensor} from the device: {reason}; check the device's memory and driver")]
    Read {
        /// Which tensor.
        tensor: &'static str,
        /// What the device said.
        reason: String,
    },
}

fn known(options: &[&'static str]) -> String {
    if options.is_empty() { "no options".to_owned() } else { options.join(", ") }
}

/// An option has a value outside its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{option}` is {value}, allowed is {allowed}")]
#[non_exhaustive]
pub struct ConfigError {
    /// Name of the option, as written in a plan.
    pub option: &'static str,
    /// The value it had.
    pub value: String,
    /// The range or form it must have, in words.
    pub allowed: &'static str,
}

impl ConfigError {
    /// Says that `option` has `value`, outside `allowed`.
    pub fn new(option: &'static str, value: impl fmt::Display, allowed: &'static str) -> Self {
        Self { option, value: value.to_string(), allowed }
    }
}

/// Copies a tensor's data, already on the host, to `f64`.
pub(crate) fn to_f64(tensor: &'static str, data: &TensorData) -> Result<Vec<f64>, LossError> {
    data.try_to_vec_as::<f64>().map_err(|error| LossError::Read { tensor, reason: error.to_string() })
}
