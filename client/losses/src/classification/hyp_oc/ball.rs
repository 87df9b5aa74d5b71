//! The Poincaré ball of curvature `-c`: points are rows with `c |x|^2 < 1`.

use burn::tensor::Tensor;

use crate::geometry::root;

/// Keeps norms and denominators away from 0, as in the released code.
pub(super) const EPS: f64 = 1e-5;

/// How far from the boundary points are kept, as a share of the radius.
const BOUNDARY: f64 = 1e-3;

/// Largest argument of a hyperbolic tangent.
const TANH_MAX: f64 = 15.0;

#[derive(Debug, Clone, Copy)]
pub(super) struct Ball {
    pub(super) c: f64,
    /// `sqrt(c)`, one over the radius.
    pub(super) s: f64,
}

impl Ball {
    pub(super) fn new(curvature: f64) -> Self {
        Self { c: curvature, s: curvature.sqrt() }
    }

    /// Möbius sum of rows; one of them may be a single row.
    pub(super) fn add(self, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        let product = (x.clone() * y.clone()).sum_dim(1) * (2.0 * self.c) + 1.0;
        let (xx, yy) = (square(x.clone()) * self.c, square(y.clone()) * self.c);
        let denominator = product.clone() + xx.clone() * yy.clone() + EPS;
        (x * (product + yy) + y * (xx.neg() + 1.0)) / denominator
    }

    /// Rows too near to the boundary, or beyond, moved to where they may be.
    pub(super) fn project(self, y: Tensor<2>) -> Tensor<2> {
        let radius = (1.0 - BOUNDARY) / self.s;
        let norm = length(y.clone());
        let inside = norm.clone().lower_equal_scalar(radius);
        y * (norm.recip() * radius).mask_fill(inside, 1.0)
    }

    /// Exponential map at the origin.
    pub(super) fn exp0(self, u: Tensor<2>) -> Tensor<2> {
        let n = length(u.clone()) * self.s;
        u * (tanh(n.clone()) / n)
    }

    /// Exponential map at a point of the ball.
    pub(super) fn exp_at(self, point: Tensor<2>, u: Tensor<2>) -> Tensor<2> {
        let n = length(u.clone()) * self.s;
        let reach = tanh(n.clone() * self.conformal(point.clone()) * 0.5);
        self.add(point, u * (reach / n))
    }

    /// Conformal factor `2 / (1 - c |x|^2)` of each row.
    pub(super) fn conformal(self, x: Tensor<2>) -> Tensor<2> {
        self.shrinkage(x).recip() * 2.0
    }

    /// `1 - c |x|^2` of each row.
    pub(super) fn shrinkage(self, x: Tensor<2>) -> Tensor<2> {
        square(x) * -self.c + 1.0
    }
}

/// `|x|^2` of each row.
pub(super) fn square(x: Tensor<2>) -> Tensor<2> {
    x.square().sum_dim(1)
}

/// `max(|x|, EPS)` of each row.
pub(super) fn length(x: Tensor<2>) -> Tensor<2> {
    root(square(x)).clamp_min(EPS)
}

fn tanh(x: Tensor<2>) -> Tensor<2> {
    x.clamp(-TANH_MAX, TANH_MAX).tanh()
}
