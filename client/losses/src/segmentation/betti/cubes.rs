//! An image as a filtered cubical complex: pixels are vertices, neighbours span edges, blocks of two by two are faces.
//!
//! Cubes lie on a grid of `2 height - 1` rows and `2 width - 1` columns: a pixel at two even coordinates, an edge at one, a
//! face at none.

use std::cmp::Ordering;

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

    /// 0 for a pixel, 1 for an edge, 2 for a face.
    pub(super) fn dimension(self, cube: usize) -> usize {
        let (row, column) = (cube / self.columns, cube % self.columns);
        row % 2 + column % 2
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

    /// The pixel of the image under a vertex.
    fn pixel(self, vertex: usize) -> usize {
        vertex / self.columns / 2 * self.columns.div_ceil(2) + vertex % self.columns / 2
    }
}

/// All cubes of an image in the order in which they appear.
pub(super) struct Filtration {
    pub(super) grid: Grid,
    /// Cubes by rank.
    pub(super) order: Vec<u32>,
    /// Ranks by cube.
    pub(super) rank: Vec<u32>,
    /// The pixel that a cube waits for, by cube.
    pub(super) source: Vec<u32>,
}

/// What decides the rank of a cube.
struct Key {
    time: f64,
    /// Dimension, then later pixels first, then larger offsets first.
    tie: u64,
    cube: u32,
}

impl Filtration {
    /// The filtration of an image of fewer than 2^29 pixels.
    pub(super) fn new(image: &Image, direction: Direction) -> Self {
        let grid = Grid { rows: 2 * image.height - 1, columns: 2 * image.width - 1 };
        let times: Vec<f64> = image.pixels.iter().map(|&pixel| direction.time(pixel)).collect();
        let (mut keys, mut source) = (Vec::with_capacity(grid.cubes()), Vec::with_capacity(grid.cubes()));
        for cube in 0..grid.cubes() {
            let (pixel, offset) = last(grid, cube, &times);
            source.push(pixel as u32);
            let late = u64::from(u32::MAX - pixel as u32) << 2 | (3 - offset);
            keys.push(Key { time: times[pixel], tie: (grid.dimension(cube) as u64) << 34 | late, cube: cube as u32 });
        }
        keys.sort_unstable_by(|left, right| {
            left.time.partial_cmp(&right.time).unwrap_or(Ordering::Equal).then(left.tie.cmp(&right.tie))
        });
        let order: Vec<u32> = keys.into_iter().map(|key| key.cube).collect();
        let mut rank = vec![0; order.len()];
        for (position, &cube) in order.iter().enumerate() {
            rank[cube as usize] = position as u32;
        }
        Self { grid, order, rank, source }
    }

    /// Cubes of a dimension in the order in which they appear.
    pub(super) fn of_dimension(&self, dimension: usize) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.order.iter().copied().filter(move |&cube| self.grid.dimension(cube as usize) == dimension)
    }
}

/// The first pixel of a cube, row by row, that none of its pixels is later than, and where the rest of the cube lies from
/// there: for an edge 0 above, 1 left, 2 below, 3 right; for a face 0 if it is the bottom right corner, 1 the bottom left,
/// 2 the top right, 3 the top left.
fn last(grid: Grid, cube: usize, times: &[f64]) -> (usize, u64) {
    let (row, column) = (cube / grid.columns, cube % grid.columns);
    let later = |latest: (usize, u64), (vertex, offset): (usize, u64)| {
        let pixel = grid.pixel(vertex);
        if times[pixel] > times[latest.0] { (pixel, offset) } else { latest }
    };
    // Corners in row-major order.
    match (row % 2, column % 2) {
        (0, 0) => (grid.pixel(cube), 0),
        (0, _) => later((grid.pixel(cube - 1), 3), (cube + 1, 1)),
        (_, 0) => later((grid.pixel(cube - grid.columns), 2), (cube + grid.columns, 0)),
        _ => {
            let (above, below) = (cube - grid.columns, cube + grid.columns);
            [(above + 1, 2), (below - 1, 1), (below + 1, 0)].into_iter().fold((grid.pixel(above - 1), 3), later)
        }
    }
}
