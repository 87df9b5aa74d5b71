//! How a matrix is cut into tiles that fit into registers.

use pulp::Simd;

/// Vectors side by side in a tile.
pub(super) const fn panel<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Sums that registers hold, besides what is multiplied.
pub(super) const fn sums<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 24 } else { 12 }
}

/// Heights that tiles have.
const HEIGHTS: [usize; 9] = [12, 10, 8, 6, 5, 4, 3, 2, 1];

/// The height of the next tile of `vectors` vectors, where `left` rows are left.
pub(super) fn height<S: Simd>(left: usize, vectors: usize) -> usize {
    HEIGHTS.into_iter().find(|height| *height <= left && height * vectors <= sums::<S>()).unwrap_or(1)
}

/// Calls `$tile::<S, HEIGHT, VECTORS>(arguments)` for the height and width found at run time.
macro_rules! tile {
    ($size:expr, $tile:ident $arguments:tt) => {
        tile!(@ $size, $tile $arguments;
            (12 1) (10 1) (8 1) (6 1) (5 1) (4 1) (3 1) (2 1) (1 1)
            (12 2) (10 2) (8 2) (6 2) (5 2) (4 2) (3 2) (2 2) (1 2)
            (8 3) (6 3) (5 3) (4 3) (3 3) (2 3) (1 3)
            (6 4) (5 4) (4 4) (3 4) (2 4) (1 4))
    };
    (@ $size:expr, $tile:ident $arguments:tt; $(($r:literal $n:literal))*) => {
        match $size {
            // The condition is known when this is compiled: tiles that do not fit are left out.
            $(($r, $n) if $r * $n <= tile::sums::<S>() && $n <= tile::panel::<S>() => $tile::<S, $r, $n> $arguments,)*
            _ => {}
        }
    };
}
pub(super) use tile;
