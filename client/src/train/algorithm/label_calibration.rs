//! FedLC: logits calibrated by how rare a class is at the site.
//!
//! `logit_c - tau n_c^(-1/4)`, of which any loss is then taken: the pairwise margin between classes `y` and `i` is
//! `tau (n_y^(-1/4) - n_i^(-1/4))`, largest where the true class is rare. A class that the site does not have counts as
//! `n = 1e-8`, which lowers its logit by `100 tau`: it leaves the softmax, and its weights are not pushed away.
//!
//! Zhang, Li, Wei, Zheng, Zhao, Zhang: Federated Learning with Label Distribution Skew via Logits Calibration, ICML 2022,
//! equation 6.

/// Stands for the number of samples of a class that is not there; the authors' choice.
const ABSENT: f64 = 1e-8;

/// What is subtracted from each logit, `[classes]`, for a site with `counts[c]` training samples of class `c`.
pub(super) fn margins(counts: &[u64], tau: f64) -> Vec<f32> {
    let samples = |count: u64| if count == 0 { ABSENT } else { count as f64 };
    counts.iter().map(|count| (tau * samples(*count).powf(-0.25)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::margins;

    #[test]
    fn rare_classes_get_the_larger_margin_and_absent_ones_leave() {
        // 1^(-1/4) = 1, 16^(-1/4) = 1/2, 10000^(-1/4) = 1/10, (1e-8)^(-1/4) = 100.
        assert_eq!(margins(&[1, 16, 10_000, 0], 2.0), [2.0, 1.0, 0.2, 200.0]);
    }
}
