//! Signed measure of two fields on a graph: pushes the joint pattern of their connected parts towards a target.
//!
//! # Formula
//! A vertex is present at `(x, y)` when both its values are at most `(x, y)`, an edge when both its ends are. The measure
//! is a list of points with multiplicities `m`:
//!
//! - `hilbert0`: with `H(x, y)` the number of connected components present, at each pair `(X_i, Y_j)` of the sorted
//!   distinct values `m = H(X_i, Y_j) - H(X_i-1, Y_j) - H(X_i, Y_j-1) + H(X_i-1, Y_j-1)`, where `m` is not 0;
//! - `euler`: 1 at each vertex' values, -1 at each edge's, the larger of its ends' in each coordinate.
//!
//! `feature_k = sum over points of m exp(-|point - centre_k|^2 / (2 sigma^2))`, and
//! `loss = mean_k (feature_k - target_k)^2`.
//!
//! # Shapes
//! `values: [vertices, 2]`, edges as pairs of vertices, `centres: [bumps, 2]`, `target: [bumps]`; features are `[bumps]`,
//! the loss is `[1]`, one graph at a time.
//!
//! # Range and gradient
//! `[0, inf)`. Multiplicities are constants; each coordinate of a point is that of one vertex (the first that has the
//! value; of an edge's equal ends the first), to which its gradient goes. The loss jumps where values change their order.
//! Multiplicities add up to the components of the whole graph, or to vertices minus edges.
//!
//! # Choices
//! The two simplest of the paper's descriptors; bumps with a squared error instead of its transport distances. Points are
//! found on the host, which waits for the device; values are compared as they are. Scale values to `[0, 1]` and take 3x3
//! to 6x6 centres. `hilbert0` is for at most 2^15 vertices: it takes their number times that of vertices and edges.
//!
//! # Source
//! Scoccola, Setlur, Loiseaux, Carrière, Oudot: Differentiability and Optimization of Multiparameter Persistent
//! Homology, ICML 2024.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synod_losses::regulariser::signed_measure::{Config, signed_measure};
//!
//! let values = Tensor::<2>::from_data([[0.0, 0.0], [0.5, 0.25]], &Device::flex());
//! // The second vertex joins the component of the first as soon as it is there.
//! let points = signed_measure(&values, &[[0, 1]], &Config::default())?;
//! assert_eq!(points.iter().map(|point| point.multiplicity).collect::<Vec<_>>(), [1]);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::LossError;
use crate::host::read_finite;
use crate::option::{POSITIVE, any, constants, objective};

/// Which measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Of the number of connected components.
    #[default]
    Hilbert0,
    /// Of vertices minus edges.
    Euler,
}

objective! {
    "signed_measure", family: "regulariser", file: "signed_measure.rs", role: Term, tasks: [Segmentation],
    remembers: None, cost: "O(V (V + E)) for V vertices and E edges, euler O(V + E)",
    options: {
        kind / with_kind: Kind = Kind::Hilbert0 => "\"hilbert0\"", any("\"hilbert0\", \"euler\""), "measure that is taken";
        sigma / with_sigma: f64 = 0.3, POSITIVE, "width of the bumps";
    }
}

/// Most vertices of `hilbert0`.
const VERTICES_MAX: usize = 1 << 15;

/// A point of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Point {
    /// The vertex whose first value is the point's.
    pub x: usize,
    /// The vertex whose second value is the point's.
    pub y: usize,
    /// How often the point counts, never 0.
    pub multiplicity: i64,
}

/// The loss and the features it compares.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parts {
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// The features, `[bumps]`.
    pub feature: Tensor<1>,
}

/// The loss for `values: [vertices, 2]` on a graph with these undirected edges. Waits for the device.
///
/// # Errors
/// As [`signed_measure`]; [`LossError::Shape`] also for centres and targets.
pub fn signed_measure_loss(
    values: &Tensor<2>,
    edges: &[[usize; 2]],
    centres: &Tensor<2>,
    target: Tensor<1>,
    config: &Config,
) -> Result<Parts, LossError> {
    let points = signed_measure(values, edges, config)?;
    let [bumps, _] = two_columns("centres", centres)?;
    check::vector(NAME, "target", &target, bumps)?;
    let feature = feature(values, &points, centres, config.sigma);
    Ok(Parts { loss: (feature.clone() - target).square().mean(), feature })
}

/// Points of the measure, by rising first and then second value. Waits for the device.
///
/// # Errors
/// [`LossError::EmptyBatch`] without vertices, [`LossError::Shape`], [`LossError::NotFinite`], and [`LossError::Value`]
/// for an edge out of range or from a vertex to itself, or for more than 2^15 vertices.
pub fn signed_measure(values: &Tensor<2>, edges: &[[usize; 2]], config: &Config) -> Result<Vec<Point>, LossError> {
    let [vertices, _] = two_columns("values", values)?;
    let refuse = |input, problem| Err(LossError::Value { loss: NAME, input, problem });
    if let Some([from, to]) = edges.iter().find(|[from, to]| from == to || *from.max(to) >= vertices) {
        let problem = format!("{from} to {to} does not join two of the {vertices} vertices");
        return refuse("an edge", problem);
    }
    let values: Vec<[f64; 2]> = read_finite("values", values)?.chunks(2).map(|pair| [pair[0], pair[1]]).collect();
    let mut points = match config.kind {
        Kind::Euler => euler(&values, edges),
        Kind::Hilbert0 if vertices > VERTICES_MAX => {
            return refuse(
                "values",
                format!("there are {vertices} vertices, at most {VERTICES_MAX} are taken; use euler"),
            );
        }
        Kind::Hilbert0 => hilbert(&values, edges),
    };
    points.sort_by(|left, right| {
        let by = |coordinate: usize, left: usize, right: usize| {
            values[left][coordinate].total_cmp(&values[right][coordinate])
        };
        by(0, left.x, right.x).then(by(1, left.y, right.y)).then(left.multiplicity.cmp(&right.multiplicity))
    });
    Ok(points)
}

fn two_columns(name: &'static str, tensor: &Tensor<2>) -> Result<[usize; 2], LossError> {
    match check::matrix(NAME, name, tensor)? {
        [rows, 2] => Ok([rows, 2]),
        [rows, columns] => {
            let (expected, found) = (format!("[{rows}, 2]"), vec![rows, columns]);
            Err(LossError::Shape { loss: NAME, tensor: name, expected, found })
        }
    }
}

/// Bumps of the points at each centre, `[bumps]`.
fn feature(values: &Tensor<2>, points: &[Point], centres: &Tensor<2>, sigma: f64) -> Tensor<1> {
    let [bumps, _] = centres.dims();
    let count = points.len();
    if count == 0 {
        return Tensor::zeros([bumps], (&values.device(), values.dtype()));
    }
    let coordinate = |column: usize, of: fn(&Point) -> usize| {
        let vertices: Vec<i64> = points.iter().map(|point| of(point) as i64).collect();
        let vertices = Tensor::<1, Int>::from_data(vertices.as_slice(), &values.device());
        let at = values.clone().select(0, vertices).slice([0..count, column..column + 1]);
        let centre = centres.clone().slice([0..bumps, column..column + 1]).reshape([1, bumps]);
        (at - centre).square()
    };
    let squares = coordinate(0, |point| point.x) + coordinate(1, |point| point.y);
    let multiplicities: Vec<f64> = points.iter().map(|point| point.multiplicity as f64).collect();
    let weights = constants(values, &multiplicities).reshape([count, 1]);
    ((squares * (-0.5 / (sigma * sigma))).exp() * weights).sum_dim(0).reshape([bumps])
}

fn euler(values: &[[f64; 2]], edges: &[[usize; 2]]) -> Vec<Point> {
    let mut sums: BTreeMap<(usize, usize), i64> = (0..values.len()).map(|vertex| ((vertex, vertex), 1)).collect();
    for &[from, to] in edges {
        let larger = |column: usize| if values[to][column] > values[from][column] { to } else { from };
        *sums.entry((larger(0), larger(1))).or_default() -= 1;
    }
    let points = sums.into_iter().filter(|(_, multiplicity)| *multiplicity != 0);
    points.map(|((x, y), multiplicity)| Point { x, y, multiplicity }).collect()
}

fn hilbert(values: &[[f64; 2]], edges: &[[usize; 2]]) -> Vec<Point> {
    let mut neighbours = vec![Vec::new(); values.len()];
    for &[from, to] in edges {
        neighbours[from].push(to);
        neighbours[to].push(from);
    }
    let (columns, rows) = (levels(values, 0), levels(values, 1));
    // H of the last row, with a 0 before the first column.
    let mut below = vec![0i64; columns.len() + 1];
    let mut points = Vec::new();
    for row in &rows {
        let level = values[row[0]][1];
        let mut parts = Components { parent: vec![ABSENT; values.len()], count: 0 };
        let mut here = vec![0i64];
        for column in &columns {
            for &vertex in column.iter().filter(|&&vertex| values[vertex][1] <= level) {
                parts.add(vertex, &neighbours[vertex]);
            }
            here.push(parts.count);
        }
        for (i, column) in columns.iter().enumerate() {
            let multiplicity = here[i + 1] - here[i] - below[i + 1] + below[i];
            if multiplicity != 0 {
                points.push(Point { x: column[0], y: row[0], multiplicity });
            }
        }
        below = here;
    }
    points
}

/// The vertices of each distinct value of a coordinate, both in ascending order.
fn levels(values: &[[f64; 2]], coordinate: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&left, &right| values[left][coordinate].total_cmp(&values[right][coordinate]));
    let same = |left: &usize, right: &usize| values[*left][coordinate] == values[*right][coordinate];
    order
        .chunk_by(same)
        .map(|level| {
            let mut level = level.to_vec();
            level.sort_unstable();
            level
        })
        .collect()
}

/// Parent of a vertex that is not there.
const ABSENT: usize = usize::MAX;

/// Connected components of the vertices that are there.
struct Components {
    parent: Vec<usize>,
    count: i64,
}

impl Components {
    fn add(&mut self, vertex: usize, neighbours: &[usize]) {
        self.parent[vertex] = vertex;
        self.count += 1;
        for &neighbour in neighbours {
            if self.parent[neighbour] == ABSENT {
                continue;
            }
            let (one, other) = (self.root(vertex), self.root(neighbour));
            if one != other {
                self.parent[one] = other;
                self.count -= 1;
            }
        }
    }

    fn root(&mut self, mut vertex: usize) -> usize {
        while self.parent[vertex] != vertex {
            self.parent[vertex] = self.parent[self.parent[vertex]];
            vertex = self.parent[vertex];
        }
        vertex
    }
}
