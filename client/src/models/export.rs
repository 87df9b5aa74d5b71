//! Models as safetensors files.
//!
//! Blocks keep their names. The weights of linear layers are transposed to PyTorch's `[outputs, inputs]`, so that a
//! PyTorch module of the same names takes the file as its `state_dict`. The file's metadata has one entry, `synod`, a
//! JSON object with the digests of the plan and of the model; one entry, because several come out in any order, and the
//! same model should be the same bytes.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use synod_common::blocks::BlockSpec;
use synod_common::ids::Digest;
use synod_common::plan::Plan;

use super::blueprint::Blueprint;
use super::error::ModelError;

/// Most bytes of a file beyond its values: names and shapes of as many blocks as a layout may have.
const HEADER_BYTES_MAX: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct About {
    plan: Digest,
    model: Digest,
}

/// Writes the model `values` of `plan` to `path`. A file that is there already is replaced only by a complete one.
///
/// # Errors
/// When `values` are of another model, or the file cannot be written.
pub fn write(plan: &Plan, values: &[f32], path: &Path) -> Result<(), ModelError> {
    let bytes = to_bytes(plan, values)?;
    let partial = path.with_extension("safetensors.partial");
    let failed = |source| ModelError::File { verb: "write", path: path.display().to_string(), source };
    std::fs::write(&partial, bytes).map_err(failed)?;
    std::fs::rename(&partial, path).map_err(failed)
}

/// Reads the model of `plan` from `path`.
///
/// # Errors
/// When the file cannot be read, is no safetensors file, or holds another model.
pub fn read(plan: &Plan, path: &Path) -> Result<Vec<f32>, ModelError> {
    let failed = |source: io::Error| ModelError::File { verb: "read", path: path.display().to_string(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    let bytes_max = Blueprint::new(plan)?.layout().bytes() + HEADER_BYTES_MAX;
    if bytes > bytes_max {
        return Err(ModelError::TooLarge { path: path.display().to_string(), bytes, bytes_max });
    }
    from_bytes(plan, &std::fs::read(path).map_err(failed)?)
}

/// The model `values` of `plan` as the bytes of a safetensors file.
///
/// # Errors
/// When `values` are of another model.
pub fn to_bytes(plan: &Plan, values: &[f32]) -> Result<Vec<u8>, ModelError> {
    let blueprint = Blueprint::new(plan)?;
    blueprint.check(values)?;
    let layout = blueprint.layout();
    let about = About { plan: plan.digest(), model: layout.model_digest(values) };
    let about = serde_json::to_string(&about).expect("two digests have a JSON form");
    let tensors: Vec<(&BlockSpec, Vec<usize>, Vec<u8>)> = layout
        .ranges()
        .map(|(block, range)| {
            let (shape, bytes) = match matrix(block) {
                Some([rows, columns]) => {
                    let transposed = transpose(&values[range], columns, |i| i);
                    (vec![columns, rows], to_le_bytes(transposed))
                }
                None => (block.shape.clone(), to_le_bytes(values[range].iter().copied())),
            };
            (block, shape, bytes)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(block, shape, bytes)| Ok((&block.name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, ModelError>>()?;
    Ok(serialize(views, Some(HashMap::from([("synod".to_owned(), about)])))?)
}

/// The model of `plan` from the bytes of a safetensors file, written here or by PyTorch.
///
/// # Errors
/// When the bytes are no safetensors file or hold another model; when they name a plan or a model digest and it is not
/// that of `plan` or of the values.
pub fn from_bytes(plan: &Plan, bytes: &[u8]) -> Result<Vec<f32>, ModelError> {
    let blueprint = Blueprint::new(plan)?;
    let layout = blueprint.layout();
    let file = SafeTensors::deserialize(bytes)?;
    if file.len() != layout.blocks().len() {
        let (found, expected) = (file.len(), layout.blocks().len());
        return Err(misfit(format!("it holds {found} blocks, the model has {expected}")));
    }
    let mut values = Vec::with_capacity(layout.len());
    for block in layout.blocks() {
        let tensor = file.tensor(&block.name).map_err(|_| misfit(format!("block `{}` is not in it", block.name)))?;
        let shape = match matrix(block) {
            Some([rows, columns]) => vec![columns, rows],
            None => block.shape.clone(),
        };
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            let (dtype, found) = (tensor.dtype(), tensor.shape());
            let name = &block.name;
            return Err(misfit(format!("block `{name}` is {dtype:?} {found:?}, the model has F32 {shape:?}")));
        }
        let (numbers, _) = tensor.data().as_chunks::<4>();
        match matrix(block) {
            Some([rows, _]) => values.extend(transpose(numbers, rows, f32::from_le_bytes)),
            None => values.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes))),
        }
    }
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    if let Some(text) = metadata.metadata().as_ref().and_then(|entries| entries.get("synod")) {
        let about: About =
            serde_json::from_str(text).map_err(|error| misfit(format!("its metadata is damaged ({error})")))?;
        if about.plan != plan.digest() {
            let (theirs, ours) = (about.plan.short(), plan.digest().short());
            return Err(misfit(format!("it was trained by plan {theirs}…, this is plan {ours}…")));
        }
        if about.model != layout.model_digest(&values) {
            return Err(misfit("its values do not have the digest it names, it was changed or damaged".to_owned()));
        }
    }
    Ok(values)
}

fn misfit(reason: String) -> ModelError {
    ModelError::Misfit { reason }
}

/// The shape of a block that PyTorch holds transposed. Only linear layers have blocks of two dimensions,
/// and sums over samples, which are laid out like them.
fn matrix(block: &BlockSpec) -> Option<[usize; 2]> {
    block.shape.as_slice().try_into().ok()
}

/// The elements of a row-major matrix with `columns` columns, column after column.
fn transpose<T: Copy, U>(matrix: &[T], columns: usize, to: impl Fn(T) -> U + Copy) -> impl Iterator<Item = U> {
    (0..columns).flat_map(move |column| matrix.iter().skip(column).step_by(columns).map(move |value| to(*value)))
}

fn to_le_bytes(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(f32::to_le_bytes).collect()
}
