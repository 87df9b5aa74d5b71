//! Label skew with given sizes: every site draws the shares of its own classes.
//!
//! Each site draws class shares from Dirichlet(alpha). Then places are filled one by one, in a random order over the
//! sites: the class is drawn from the site's shares among the classes that still have rows, the row at random from the
//! class. Where none of a site's classes has rows left, the class is drawn in proportion to what is left.
//!
//! Source: Acar et al., "Federated Learning Based on Dynamic Regularization", ICLR 2021, and the code published with it,
//! which draws again until it meets a class with rows; leaving out empty classes has the same distribution and ends.

use rand::RngExt;
use rand::seq::SliceRandom;
use synod_common::random::ChaCha12Rng;

use super::dirichlet::LogGamma;
use super::error::PartitionError;

/// Most class shares of all sites together: 400 MB.
const SHARES_MAX: usize = 50_000_000;

/// Fills sites of `sizes` from `rows_of_classes[class]`.
pub(super) fn split(
    alpha: f64,
    sizes: &[usize],
    mut rows_of_classes: Vec<Vec<u32>>,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    let rows: usize = rows_of_classes.iter().map(Vec::len).sum();
    let wanted = sizes.iter().fold(0_usize, |sum, size| sum.saturating_add(*size));
    if wanted > rows {
        return Err(PartitionError::SizesTooLarge { wanted, rows });
    }
    let classes = rows_of_classes.len();
    let entries = sizes.len().saturating_mul(classes);
    if entries > SHARES_MAX {
        return Err(PartitionError::TooManyShares { clients: sizes.len(), classes, most: SHARES_MAX });
    }
    let log_gamma = LogGamma::new(alpha);
    let mut shares = Vec::with_capacity(entries);
    for _ in sizes {
        let logs: Vec<f64> = (0..classes).map(|_| log_gamma.sample(rng)).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        shares.extend(logs.iter().map(|log| (log - top).exp()));
    }
    for rows in &mut rows_of_classes {
        rows.shuffle(rng);
    }
    let mut places: Vec<u32> = (0_u32..).zip(sizes).flat_map(|(site, size)| std::iter::repeat_n(site, *size)).collect();
    places.shuffle(rng);
    let mut sites = vec![Vec::new(); sizes.len()];
    for site in places {
        let site = site as usize;
        let own = &shares[site * classes..(site + 1) * classes];
        let class = draw(own, &rows_of_classes, rng);
        sites[site].extend(class.and_then(|class| rows_of_classes[class].pop()));
    }
    for rows in &mut sites {
        rows.sort_unstable();
    }
    Ok(sites)
}

/// A class with rows left, drawn by `shares`; in proportion to the rows left where those have none.
fn draw(shares: &[f64], rows_of_classes: &[Vec<u32>], rng: &mut ChaCha12Rng) -> Option<usize> {
    let open = |class: &usize| !rows_of_classes[*class].is_empty();
    let total: f64 = (0..shares.len()).filter(open).map(|class| shares[class]).sum();
    let left: usize = rows_of_classes.iter().map(Vec::len).sum();
    let by_share = total > 0.0;
    let weight = |class: usize| if by_share { shares[class] } else { rows_of_classes[class].len() as f64 };
    let mut at = rng.random::<f64>() * if by_share { total } else { left as f64 };
    let mut last = None;
    for class in (0..shares.len()).filter(open).filter(|class| weight(*class) > 0.0) {
        last = Some(class);
        at -= weight(class);
        if at < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::*;

    fn classes(rows: u32) -> Vec<Vec<u32>> {
        (0..10).map(|class| (class..rows).step_by(10).collect()).collect()
    }

    fn rng(seed: u64) -> ChaCha12Rng {
        run_stream(seed, Purpose::Partition)
    }

    #[test]
    fn sizes_are_kept_and_small_alphas_are_one_class_a_site() {
        let sizes = [50, 30, 20, 10];
        for alpha in [1e-4, 0.5, 100.0] {
            let sites = split(alpha, &sizes, classes(200), &mut rng(1)).unwrap();
            assert_eq!(sites.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        }
        let sites = split(1e-4, &[10, 10], classes(1000), &mut rng(3)).unwrap();
        assert!(sites.iter().all(|rows| rows.iter().all(|row| row % 10 == rows[0] % 10)), "{sites:?}");
    }

    #[test]
    fn all_rows_can_be_shared_out() {
        let sites = split(0.01, &[500, 300, 200], classes(1000), &mut rng(9)).unwrap();
        let mut all: Vec<u32> = sites.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn more_than_there_is_is_refused() {
        let error = split(1.0, &[60, 50], classes(100), &mut rng(1)).unwrap_err();
        assert_eq!(error, PartitionError::SizesTooLarge { wanted: 110, rows: 100 });
        assert!(matches!(
            split(1.0, &vec![1; 6_000_000], classes(6_000_000), &mut rng(1)),
            Err(PartitionError::TooManyShares { .. })
        ));
    }
}
