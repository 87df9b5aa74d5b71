//! An image as a filtered cubical complex: pixels are vertices, neighbours span edges, blocks of two by two are faces.
//!
//! Cubes lie on a grid of `2 height - 1` rows and `2 width - 1` columns: a pixel at two even coordinates, an edge at one, a
//! face at none.

/// Pixels of an image, row after row, all finite, with at least one row and column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) pixels: Vec<f64>,
}

/// Whether features are born from bright pixels or from dark ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Superlevel,
    Sublevel,
}

impl Direction {
    /// When a pixel appears; earlier is lower.
    fn time(self, pixel: f64) -> f64 {
        match self {
            // Adding 0 makes the negative zero a positive one; the two would not be told apart by `<` either.
            Self::Superlevel => -pixel + 0.0,
            Self::Sublevel => pixel + 0.0,
        }
    }

    /// The pixel that appears first of two.
    pub(super) fn first(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Superlevel => left.max(right),
            Self::Sublevel => left.min(right),
        }
    }

    /// The value at which what never dies ends.
    pub(super) const fn end(self) -> f64 {
        match self {
            Self::Superlevel => 0.0,
            Self::Sublevel => 1.0,
        }
    }
}

/// The grid of cubes over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    pub(super) fn cubes(self) -> usize {
        self.rows * self.columns
    }

    /// The two pixels of an edge.
    pub(super) fn ends(self, edge: usize) -> [usize; 2] {
        let step = if (edge / self.columns).is_multiple_of(2) { 1 } else { self.columns };
        [edge - step, edge + step]
    }

    /// The faces beside an edge; `None` where the image ends.
    pub(super) fn sides(self, edge: usize) -> [Option<usize>; 2] {
        let (row, column) = (edge / self.columns, edge % self.columns);
        if row % 2 == 0 {
            [(row > 0).then(|| edge - self.columns), (row + 1 < self.rows).then(|| edge + self.columns)]
        } else {
            [(column > 0).then(|| edge - 1), (column + 1 < self.columns).then(|| edge + 1)]
        }
    }
}

/// All cubes of an image in the order in which they appear.
pub(super) struct Filtration {
    pub(super) grid: Grid,
    /// Cubes by rank.
    pub(super) order: Vec<u32>,
    /// Edges in the order in which they appear.
    pub(super) edges: Vec<u32>,
    /// Ranks by cube.
    pub(super) rank: Vec<u32>,
    /// The pixel that a cube waits for, by cube.
    pub(super) source: Vec<u32>,
}

/// Pixels fit into this many bits of a key, so that cubes, up to four for each, fit into 31.
const PIXEL_BITS: u32 = 29;

/// What decides the rank of a cube, as one number that sorts fast: time, dimension, later pixels first, larger offsets
/// first; the cube itself fills the last 31 bits.
fn key(time: f64, dimension: usize, pixel: usize, offset: u64, cube: usize) -> u128 {
    // The bits of finite floats, the sign turned, are in the order of the floats.
    let bits = time.to_bits();
    let time = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    let late = (1 << PIXEL_BITS) - 1 - pixel as u64;
    let tie = (dimension as u64) << 62 | late << 33 | (3 - offset) << 31 | cube as u64;
    u128::from(time) << 64 | u128::from(tie)
}

/// The cube of a key.
const fn cube_of(key: u128) -> u32 {
    key as u32 & (u32::MAX >> 1)
}

/// The dimension of a key's cube.
const fn dimension_of(key: u128) -> u32 {
    (key as u64 >> 62) as u32
}

impl Filtration {
    /// The filtration of an image of fewer than 2^29 pixels.
    pub(super) fn new(image: &Image, direction: Direction) -> Self {
        let grid = Grid { rows: 2 * image.height - 1, columns: 2 * image.width - 1 };
        let times: Vec<f64> = image.pixels.iter().map(|&pixel| direction.time(pixel)).collect();
        let (mut keys, mut source) = (Vec::with_capacity(grid.cubes()), Vec::with_capacity(grid.cubes()));
        for (row, column) in (0..grid.rows).flat_map(|row| (0..grid.columns).map(move |column| (row, column))) {
            let (pixel, offset) = last(image.width, row, column, &times);
            keys.push(key(times[pixel], row % 2 + column % 2, pixel, offset, source.len()));
            source.push(pixel as u32);
        }
        keys.sort_unstable();
        let edges = keys.iter().filter(|&&key| dimension_of(key) == 1).map(|&key| cube_of(key)).collect();
        let order: Vec<u32> = keys.into_iter().map(cube_of).collect();
        let mut rank = vec![0; order.len()];
        for (position, &cube) in order.iter().enumerate() {
            rank[cube as usize] = position as u32;
        }
        Self { grid, order, edges, rank, source }
    }
}

/// The first pixel of a cube, row by row, that none of its pixels is later than, and where the rest of the cube lies from
/// there: for an edge 0 above, 1 left, 2 below, 3 right; for a face 0 if it is the bottom right corner, 1 the bottom left,
/// 2 the top right, 3 the top left.
fn last(width: usize, row: usize, column: usize, times: &[f64]) -> (usize, u64) {
    let first = row / 2 * width + column / 2;
    let later = |latest: (usize, u64), (pixel, offset): (usize, u64)| {
        if times[pixel] > times[latest.0] { (pixel, offset) } else { latest }
    };
    // Corners in row-major order.
    match (row % 2, column % 2) {
        (0, 0) => (first, 0),
        (0, _) => later((first, 3), (first + 1, 1)),
        (_, 0) => later((first, 2), (first + width, 0)),
        _ => [(first + 1, 2), (first + width, 1), (first + width + 1, 0)].into_iter().fold((first, 3), later),
    }
}
