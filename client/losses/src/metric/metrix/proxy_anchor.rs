//! Proxy anchor loss with mixed embeddings.
//!
//! # Formula
//! With `F` the [proxy anchor loss](crate::metric::proxy_anchor()) of similarities and memberships, `lambda` the `mix` and,
//! for each pair `(i, j)`, the mixed row `unit(lambda x_i + (1 - lambda) x_j)` of `embeddings` `x`, which belongs to the
//! class of `i` with `lambda` and to that of `j` with `1 - lambda`:
//!
//! `loss = F(batch) + weight F(mixed rows)`
//!
//! # Shapes
//! `embeddings: [batch, width]` of at least two rows, `labels: [batch]` in `0..classes`, `proxies: [classes, width]`,
//! `pairs: [n, 2]` of rows of the batch; `n` may be 0. The loss is `[1]`.
//!
//! # Range and gradient
//! `[0, inf)` and smooth. Both mixed rows and the proxies have gradients. The order of the pairs changes nothing.
//! `weight = 0` gives the clean loss.
//!
//! # Choices
//! Rows are mixed as given and then divided by their length. The mixed part follows the paper's general formula; its
//! normalisers, those of the clean loss, are this library's choice. Which pairs and which `lambda`, drawn once a step from
//! Beta(2, 2), is the caller's choice.
//!
//! # Source
//! Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis: It Takes Two to Tango: Mixup for Deep Metric Learning,
//! ICLR 2022 (arXiv 2106.04990), general formula applied to proxies.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synod_losses::metric::metrix::proxy_anchor::{Config, Inputs, metrix_proxy_anchor};
//!
//! let device = Device::flex();
//! let rows = || Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
//! let labels = Tensor::<1, Int>::from_data([0, 1], &device);
//! let pairs = Tensor::<2, Int>::from_data([[0, 1]], &device);
//! let inputs = Inputs { embeddings: rows(), labels, proxies: rows(), pairs };
//! let loss = metrix_proxy_anchor(&inputs, 1.0, &Config::default())?;
//! assert!(loss.mixed.into_scalar::<f32>() > 0.0);
//! # Ok::<(), synod_losses::LossError>(())
//! ```

use burn::tensor::{Int, Tensor};

use super::mixing::{Mixed, check, column, mixed_rows};
use crate::error::LossError;
use crate::geometry::unit;
use crate::metric::pairs::memberships;
use crate::metric::proxy_anchor::{self, of_similarities, proxy_anchor};
use crate::option::{FINITE, NON_NEGATIVE, POSITIVE, objective};

objective! {
    "metrix_proxy_anchor", family: "metric", file: "proxy_anchor.rs", role: Loss, tasks: [Retrieval],
    remembers: None, cost: "O(B C D)",
    options: {
        alpha / with_alpha: f64 = 32.0, POSITIVE, "how much the worst placed sample prevails";
        margin / with_margin: f64 = 0.1, FINITE, "the similarity that parts near from far";
        weight / with_weight: f64 = 0.4, NON_NEGATIVE, "the weight of the mixed part";
    }
}

/// What the loss takes.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Outputs of the model, `[batch, width]`.
    pub embeddings: Tensor<2>,
    /// Their classes, `[batch]` in `0..classes`.
    pub labels: Tensor<1, Int>,
    /// One row per class, `[classes, width]`.
    pub proxies: Tensor<2>,
    /// Rows of the batch to be mixed, `[n, 2]`.
    pub pairs: Tensor<2, Int>,
}

/// The loss and its parts, with the share `mix` of `i` in each mixed row.
///
/// # Errors
/// [`LossError::EmptyBatch`], [`LossError::Shape`], and [`LossError::Config`] for a `mix` outside 0 to 1.
pub fn metrix_proxy_anchor(inputs: &Inputs, mix: f64, config: &Config) -> Result<Mixed, LossError> {
    let Inputs { embeddings, labels, proxies, pairs } = inputs;
    let count = check(NAME, embeddings, labels, ("pairs", pairs, 2), mix)?;
    let options = proxy_anchor::Config::default().with_alpha(config.alpha).with_margin(config.margin);
    let clean = proxy_anchor(embeddings.clone(), labels, proxies.clone(), &options)?;
    let mixed = (count > 0).then(|| {
        let [classes, _] = proxies.dims();
        let (i, j) = (column(pairs, 0), column(pairs, 1));
        let of = |rows: &Tensor<1, Int>| memberships(&labels.clone().select(0, rows.clone()), classes, embeddings);
        let shares = of(&i) * mix + of(&j) * (1.0 - mix);
        let rows = mixed_rows(embeddings, i, j, mix);
        of_similarities(unit(proxies.clone()).matmul(rows.transpose()), shares, &options)
    });
    Ok(Mixed::new(clean, mixed, config.weight))
}
