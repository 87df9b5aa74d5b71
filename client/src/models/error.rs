//! What can go wrong with a model.

use synod_common::blocks::LayoutError;

/// A model could not be laid out, read or written.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The architecture of the plan has no valid layout.
    #[error("the model `{model}` of the plan cannot be built: {source}; make it smaller")]
    Layout {
        /// Name of the architecture.
        model: &'static str,
        /// Why.
        #[source]
        source: LayoutError,
    },
    /// The architecture takes another kind of input.
    #[error(
        "the model `{model}` takes images [channels, height, width] of at least 4 x 4, the data has the shape \
         {shape:?}; choose `logistic` or `mlp`, or give the shape three dimensions"
    )]
    Input {
        /// Name of the architecture.
        model: &'static str,
        /// Shape of one sample.
        shape: Vec<usize>,
    },
    /// Another number of values than the model has.
    #[error("the model has {expected} values, {found} were given; they belong to another plan")]
    Values {
        /// Values of the model.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The sums that a model is fitted from do not give one.
    #[error("the model `{model}` cannot be fitted: {reason}; {help}")]
    Fit {
        /// Name of the architecture.
        model: &'static str,
        /// Why.
        reason: String,
        /// What to do.
        help: &'static str,
    },
    /// A model file could not be read or written.
    #[error("could not {verb} the model file {path}: {source}; check the path, its permissions and the disk's space")]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// Which file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A model file is larger than the plan's model can be.
    #[error(
        "the model file {path} has {bytes} bytes, a model of this plan has at most {bytes_max}; it is another file"
    )]
    TooLarge {
        /// Which file.
        path: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Bytes are no safetensors file, or it could not be put together.
    #[error("the model is not a sound safetensors file: {0}; export it again")]
    Format(#[from] safetensors::SafeTensorError),
    /// A file holds other blocks than the model.
    #[error("the model file does not fit the plan: {reason}; use the plan it was trained by")]
    Misfit {
        /// What differs.
        reason: String,
    },
}
