//! Named parameter blocks over one flat buffer of f32.
//!
//! A [`Layout`] is what coordinator and clients must agree on before a byte of a model travels: block names, shapes and
//! their order. The values themselves are one `[f32]` of [`Layout::len`] elements, block after block, each row-major.

use serde::{Deserialize, Serialize};

use crate::ids::Digest;

/// Most blocks of a model. The largest common networks have a few thousand.
pub const BLOCKS_MAX: usize = 16_384;
/// Most parameters of a model: 2^31, or 8 GiB of f32.
pub const PARAMETERS_MAX: usize = 1 << 31;
/// Longest block name, in bytes.
pub const BLOCK_NAME_BYTES_MAX: usize = 200;
/// Most dimensions of a block.
pub const DIMENSIONS_MAX: usize = 8;

/// What a block holds, and so how it may be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockKind {
    /// Trained values: combined by the strategy.
    Parameter,
    /// Values that training leaves behind, such as running means: always combined by the weighted mean.
    State,
}

/// One named tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSpec {
    /// The path of the tensor in the model, like `conv1.weight`.
    pub name: String,
    /// Its dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// What it holds.
    pub kind: BlockKind,
}

impl BlockSpec {
    /// Elements of the block; saturates instead of overflowing.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1, |n, d| n.saturating_mul(*d))
    }
}

/// The blocks of a model in their fixed order. Construction checks, so nothing later does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    blocks: Vec<BlockSpec>,
    offsets: Vec<usize>,
    len: usize,
}

/// Why blocks form no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No block, or more than [`BLOCKS_MAX`].
    #[error("a model has 1 to {BLOCKS_MAX} blocks, this one has {0}")]
    Count(usize),
    /// A name that is empty, too long or used twice.
    #[error("block name {0:?} is empty, longer than {BLOCK_NAME_BYTES_MAX} bytes, or used twice")]
    Name(String),
    /// A block without elements, or with too many dimensions.
    #[error(
        "block {name:?} has the shape {shape:?}: every dimension is at least 1 and there are at most {DIMENSIONS_MAX}"
    )]
    Shape {
        /// The block.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// More than [`PARAMETERS_MAX`] values.
    #[error("the model has more than {PARAMETERS_MAX} values")]
    TooLarge,
}

impl Layout {
    /// Checks `blocks` and computes where each begins.
    ///
    /// # Errors
    /// When there are no blocks or too many, a name is bad or used twice, a shape is empty, or the model is too large.
    pub fn new(blocks: Vec<BlockSpec>) -> Result<Self, LayoutError> {
        if blocks.is_empty() || blocks.len() > BLOCKS_MAX {
            return Err(LayoutError::Count(blocks.len()));
        }
        let mut names = std::collections::HashSet::new();
        let mut offsets = Vec::with_capacity(blocks.len());
        let mut len = 0_usize;
        for block in &blocks {
            if block.name.is_empty() || block.name.len() > BLOCK_NAME_BYTES_MAX || !names.insert(block.name.as_str()) {
                return Err(LayoutError::Name(block.name.chars().take(80).collect()));
            }
            if block.shape.len() > DIMENSIONS_MAX || block.shape.contains(&0) {
                return Err(LayoutError::Shape { name: block.name.clone(), shape: block.shape.clone() });
            }
            offsets.push(len);
            len = len.saturating_add(block.elements());
            if len > PARAMETERS_MAX {
                return Err(LayoutError::TooLarge);
            }
        }
        Ok(Self { blocks, offsets, len })
    }

    /// The blocks in order.
    #[must_use]
    pub fn blocks(&self) -> &[BlockSpec] {
        &self.blocks
    }

    /// Values of the whole model.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a layout has at least one value")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the whole model on the wire.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.len as u64 * 4
    }

    /// Each block with its range in the flat buffer.
    pub fn ranges(&self) -> impl Iterator<Item = (&BlockSpec, std::ops::Range<usize>)> {
        self.blocks.iter().zip(&self.offsets).map(|(block, start)| (block, *start..*start + block.elements()))
    }

    /// The digest of names, shapes and kinds.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("synod 2026 layout");
        for block in &self.blocks {
            hasher.update(&(block.name.len() as u64).to_le_bytes());
            hasher.update(block.name.as_bytes());
            hasher.update(&[match block.kind {
                BlockKind::Parameter => 0,
                BlockKind::State => 1,
            }]);
            hasher.update(&(block.shape.len() as u64).to_le_bytes());
            for d in &block.shape {
                hasher.update(&(*d as u64).to_le_bytes());
            }
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// The model hash: the digest of the layout and of the values as little-endian f32.
    #[must_use]
    pub fn model_digest(&self, values: &[f32]) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("synod 2026 model");
        hasher.update(&self.digest().0);
        update_with_values(&mut hasher, values);
        Digest(*hasher.finalize().as_bytes())
    }
}

/// The digest of values alone, as little-endian f32: what a raw block stream carries at its end.
#[must_use]
pub fn values_digest(values: &[f32]) -> Digest {
    vectors_digest(&[values])
}

/// The digest of several vectors one after the other, as [`values_digest`] of them joined.
#[must_use]
pub fn vectors_digest(vectors: &[&[f32]]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    vectors.iter().for_each(|values| update_with_values(&mut hasher, values));
    Digest(*hasher.finalize().as_bytes())
}

fn update_with_values(hasher: &mut blake3::Hasher, values: &[f32]) {
    if cfg!(target_endian = "little") {
        hasher.update(bytemuck::cast_slice(values));
    } else {
        for value in values {
            hasher.update(&value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, shape: &[usize]) -> BlockSpec {
        BlockSpec { name: name.into(), shape: shape.into(), kind: BlockKind::Parameter }
    }

    #[test]
    fn ranges_follow_each_other() {
        let layout = Layout::new(vec![block("w", &[2, 3]), block("b", &[3]), block("t", &[])]).unwrap();
        let ranges: Vec<_> = layout.ranges().map(|(b, r)| (b.name.clone(), r)).collect();
        assert_eq!(ranges, vec![("w".into(), 0..6), ("b".into(), 6..9), ("t".into(), 9..10)]);
        assert_eq!(layout.len(), 10);
        assert_eq!(layout.bytes(), 40);
    }

    #[test]
    fn bad_layouts_are_refused() {
        assert_eq!(Layout::new(vec![]), Err(LayoutError::Count(0)));
        assert!(matches!(Layout::new(vec![block("a", &[1]), block("a", &[1])]), Err(LayoutError::Name(_))));
        assert!(matches!(Layout::new(vec![block("a", &[0, 2])]), Err(LayoutError::Shape { .. })));
        assert_eq!(Layout::new(vec![block("a", &[usize::MAX, 2])]), Err(LayoutError::TooLarge));
    }

    #[test]
    fn the_model_digest_sees_values_shapes_and_names() {
        let a = Layout::new(vec![block("w", &[2, 3])]).unwrap();
        let b = Layout::new(vec![block("w", &[3, 2])]).unwrap();
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_ne!(a.model_digest(&values), b.model_digest(&values));
        let mut other = values;
        other[5] = 5.000_001;
        assert_ne!(a.model_digest(&values), a.model_digest(&other));
    }
}
