//! Size skew: sites whose sizes follow a law.
//!
//! `linear`, `square` and `exponential` are the laws of flwr-datasets, which rounds down and gives the last site the rest;
//! here sizes are rounded by largest remainders, and every site has a row.

/// Sizes proportional to `(i + 1)^-exponent`; see [`falling`].
pub(super) fn power_law(rows: usize, clients: usize, exponent: f64) -> Vec<usize> {
    falling(rows, &(0..clients).map(|site| (site as f64 + 1.0).powf(-exponent)).collect::<Vec<_>>())
}

/// Sizes proportional to `(i + 1)^exponent`; see [`falling`].
pub(super) fn growing_power(rows: usize, clients: usize, exponent: i32) -> Vec<usize> {
    let weights: Vec<f64> = (0..clients).rev().map(|site| (site as f64 + 1.0).powi(exponent)).collect();
    reversed(falling(rows, &weights))
}

/// Sizes proportional to `exp(rate i)`; see [`falling`].
pub(super) fn exponential(rows: usize, clients: usize, rate: f64) -> Vec<usize> {
    // From the largest down, so that no weight is beyond what a number can hold.
    let weights: Vec<f64> = (0..clients).map(|below| (-rate * below as f64).exp()).collect();
    reversed(falling(rows, &weights))
}

fn reversed(mut sizes: Vec<usize>) -> Vec<usize> {
    sizes.reverse();
    sizes
}

/// Sizes proportional to `weights`, which never grow, that add up to `rows`, rounded by largest remainders, each at least
/// 1. `rows` is at least the number of weights.
///
/// Sites whose quota is below 1 have one row, and the rest is shared out anew among the others.
fn falling(rows: usize, weights: &[f64]) -> Vec<usize> {
    let clients = weights.len();
    let mut total: f64 = weights.iter().sum();
    let mut large = clients;
    // Weights fall with the number of the site, so the sites below one row are the last ones.
    while large > 1 && (rows - (clients - large)) as f64 * weights[large - 1] < total {
        large -= 1;
        total -= weights[large];
    }
    let shared = rows - (clients - large);
    // The sum anew: what the subtractions above left has lost digits.
    let total: f64 = weights[..large].iter().sum();
    let mut sizes = vec![1; clients];
    let mut remainders = Vec::with_capacity(large);
    let mut given = 0;
    for site in 0..large {
        let quota = shared as f64 * weights[site] / total;
        let whole = (quota.floor() as usize).clamp(1, shared);
        sizes[site] = whole;
        given += whole;
        remainders.push((quota - quota.floor(), site));
    }
    remainders.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut order = remainders.iter().map(|(_, site)| *site).cycle();
    while given < shared {
        if let Some(site) = order.next() {
            sizes[site] += 1;
            given += 1;
        }
    }
    // Only rounding in the last digit can give out too much; the largest site is the first.
    sizes[0] -= given - shared;
    sizes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_follow_the_law_and_every_site_has_one_row() {
        assert_eq!(power_law(100, 4, 0.0), [25, 25, 25, 25]);
        assert_eq!(power_law(10, 4, 0.0), [3, 3, 2, 2]);
        // Quotas 48, 24, 16, 12.
        assert_eq!(power_law(100, 4, 1.0), [48, 24, 16, 12]);
        assert_eq!(power_law(20, 5, 10.0), [16, 1, 1, 1, 1]);
        assert_eq!(power_law(3, 3, 2.0), [1, 1, 1]);
    }

    #[test]
    fn growing_laws_are_hand_worked() {
        assert_eq!(growing_power(100, 4, 1), [10, 20, 30, 40]);
        assert_eq!(growing_power(300, 4, 2), [10, 40, 90, 160]);
        // Shares e^0 to e^2 of 11.107: quotas 9.0, 24.5 and 66.5 of 100 rows.
        assert_eq!(exponential(100, 3, 1.0), [9, 24, 67]);
        assert_eq!(exponential(9, 3, 0.0), [3, 3, 3]);
        assert_eq!(exponential(2000, 1000, 10.0).iter().sum::<usize>(), 2000);
    }

    proptest! {
        #[test]
        fn sizes_add_up_fall_and_stay_near_their_quota(clients in 1_usize..300, extra in 0_usize..20_000, exponent in 0.0..10.0) {
            let rows = clients + extra;
            let sizes = power_law(rows, clients, exponent);
            prop_assert_eq!(sizes.iter().sum::<usize>(), rows);
            prop_assert!(sizes.iter().all(|s| *s >= 1));
            prop_assert!(sizes.windows(2).all(|w| w[0] + 1 >= w[1]));
        }
    }
}
