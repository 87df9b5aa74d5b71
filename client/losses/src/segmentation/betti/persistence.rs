//! Bars of an image and of the inclusion of one image in another, by union-find on pixels and, for loops, on faces.

use super::cubes::Filtration;

/// The death of what never dies.
pub(super) const NEVER: u32 = u32::MAX;

/// When something appears and when it vanishes, as ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) birth: u32,
    pub(super) death: u32,
}

/// Edges of an image, split by what they do.
pub(super) struct Edges {
    /// Edges that only ever join components, with the latest rank first.
    pub(super) tree: Vec<u32>,
    /// Edges that close a loop, with the latest rank first.
    pub(super) closing: Vec<u32>,
    /// A pair for each closing edge: its rank and that of the face that fills the loop.
    pub(super) loops: Vec<Pair>,
}

/// Splits the edges of an image and pairs those that close a loop with the face that fills it.
pub(super) fn loops(image: &Filtration) -> Edges {
    let edges: Vec<u32> = image.edges.iter().rev().copied().collect();
    join_faces(&edges, image, image)
}

/// The loops of `small` in `big`, of which `closing` are the edges that close loops of `small`, latest first.
pub(super) fn loops_within(closing: &[u32], small: &Filtration, big: &Filtration) -> Vec<Pair> {
    join_faces(closing, small, big).loops
}

/// Joins faces across edges, which come latest first; births are ranks in `births`, deaths in `deaths`. Faces beyond the
/// image are one and later than all.
fn join_faces(edges: &[u32], births: &Filtration, deaths: &Filtration) -> Edges {
    let outside = deaths.grid.cubes();
    let mut sets = Sets::new((0..=outside as u32).map(|cube| match deaths.rank.get(cube as usize) {
        Some(&rank) => rank,
        None => outside as u32,
    }));
    let (mut tree, mut closing, mut loops) = (Vec::new(), Vec::new(), Vec::new());
    for &edge in edges {
        let [left, right] = deaths.grid.sides(edge as usize).map(|side| sets.root(side.unwrap_or(outside)));
        if left == right {
            tree.push(edge);
            continue;
        }
        let (left_rank, right_rank) = (sets.remembered[left], sets.remembered[right]);
        closing.push(edge);
        loops.push(Pair { birth: births.rank[edge as usize], death: left_rank.min(right_rank) });
        sets.join(left, right, left_rank.max(right_rank));
    }
    Edges { tree, closing, loops }
}

/// The components of `small` in `big`, of which `tree` are the edges that join components, latest first. What never dies
/// comes last.
pub(super) fn components(tree: &[u32], small: &Filtration, big: &Filtration) -> Vec<Pair> {
    let mut sets = Sets::new(small.rank.iter().copied());
    let mut pairs = Vec::new();
    for &edge in tree.iter().rev() {
        let [left, right] = big.grid.ends(edge as usize).map(|end| sets.root(end));
        if left == right {
            continue;
        }
        let (left_rank, right_rank) = (sets.remembered[left], sets.remembered[right]);
        pairs.push(Pair { birth: left_rank.max(right_rank), death: big.rank[edge as usize] });
        sets.join(left, right, left_rank.min(right_rank));
    }
    pairs.push(Pair { birth: 0, death: NEVER });
    pairs
}

/// Disjoint sets, each of which remembers a rank.
struct Sets {
    parents: Vec<u32>,
    sizes: Vec<u32>,
    remembered: Vec<u32>,
}

impl Sets {
    fn new(ranks: impl Iterator<Item = u32>) -> Self {
        let remembered: Vec<u32> = ranks.collect();
        Self { parents: (0..remembered.len() as u32).collect(), sizes: vec![1; remembered.len()], remembered }
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] as usize != index {
            // Halving the path keeps later searches short.
            self.parents[index] = self.parents[self.parents[index] as usize];
            index = self.parents[index] as usize;
        }
        index
    }

    /// Joins two different sets, given by their roots.
    fn join(&mut self, left: usize, right: usize, remembered: u32) {
        let (larger, smaller) = if self.sizes[left] < self.sizes[right] { (right, left) } else { (left, right) };
        self.parents[smaller] = larger as u32;
        self.sizes[larger] += self.sizes[smaller];
        self.remembered[larger] = remembered;
    }
}
