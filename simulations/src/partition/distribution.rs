//! Label skew by a table of shares.
//!
//! Site i holds the classes i, i+1, …, `classes_per_site` of them, counted around. Each holder of a class first gets
//! `preassigned` rows of it; the others are shared out in proportion to the class's row of the table, which has one number
//! for each holder in the order of sites. Without a table the shares are log-normal draws.
//!
//! Source: the split of MNIST in Li et al., "Federated Optimization in Heterogeneous Networks" (FedProx), MLSys 2020, and
//! the distribution partitioner of flwr-datasets. Shares are rounded at their running sums, so that no row is lost.

use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use synod_common::random::ChaCha12Rng;

use super::error::PartitionError;

/// The options of the rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    pub(super) classes_per_site: u32,
    pub(super) preassigned: u32,
    pub(super) sigma: f64,
    pub(super) shares: &'a [Vec<f64>],
}

/// Splits `rows_of_classes[class]` over `clients` sites.
pub(super) fn split(
    table: Table<'_>,
    clients: usize,
    mut rows_of_classes: Vec<Vec<u32>>,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    let classes = rows_of_classes.len();
    let wanted = table.classes_per_site as usize;
    if wanted == 0 || wanted > classes {
        return Err(PartitionError::ClassesPerSite { classes_per_site: table.classes_per_site, present: classes });
    }
    let mut sites = vec![Vec::new(); clients];
    for (class, rows) in rows_of_classes.iter_mut().enumerate() {
        let holders: Vec<usize> =
            (0..clients).filter(|site| (class + classes - site % classes) % classes < wanted).collect();
        let given = table.shares.get(class);
        if !table.shares.is_empty() && given.map_or(0, Vec::len) != holders.len() {
            return Err(PartitionError::Shares { class, holders: holders.len(), found: given.map_or(0, Vec::len) });
        }
        let preassigned = table.preassigned as usize;
        if holders.len().saturating_mul(preassigned) > rows.len() {
            return Err(PartitionError::Preassigned { class, rows: rows.len(), holders: holders.len(), preassigned });
        }
        let shares: Vec<f64> = match given {
            Some(shares) => shares.clone(),
            None => holders
                .iter()
                .map(|_| {
                    let normal: f64 = StandardNormal.sample(rng);
                    (table.sigma * normal).exp()
                })
                .collect(),
        };
        rows.shuffle(rng);
        let mut rest = rows.as_slice();
        let shared = rest.len() - holders.len() * preassigned;
        let total: f64 = shares.iter().sum();
        let (mut sum, mut from) = (0.0, 0);
        for (at, (site, share)) in holders.iter().zip(&shares).enumerate() {
            sum += share;
            let last = at + 1 == holders.len();
            let to = if last { shared } else { ((sum / total * shared as f64).round() as usize).clamp(from, shared) };
            let (own, others) = rest.split_at(preassigned + to - from);
            sites[*site].extend_from_slice(own);
            (rest, from) = (others, to);
        }
    }
    if let Some(site) = sites.iter().position(Vec::is_empty) {
        return Err(PartitionError::EmptySite { site });
    }
    for rows in &mut sites {
        rows.sort_unstable();
    }
    Ok(sites)
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::super::measures::site_class_counts;
    use super::*;

    fn counts(table: Table<'_>, clients: usize) -> Result<Vec<Vec<u64>>, PartitionError> {
        let labels: Vec<u32> = (0..300).map(|row| row / 100).collect();
        let by_class = (0..3).map(|class| (class * 100..(class + 1) * 100).collect()).collect();
        let sites = split(table, clients, by_class, &mut run_stream(1, Purpose::Partition))?;
        Ok(sites.iter().map(|rows| site_class_counts(rows, &labels, 3)).collect())
    }

    #[test]
    fn a_table_is_followed() {
        // Holders: class 0 sites 0, 2 and 3; class 1 sites 0, 1 and 3; class 2 sites 1 and 2.
        let shares = [vec![1.0, 2.0, 5.0], vec![1.0, 1.0, 0.0], vec![3.0, 1.0]];
        let table = Table { classes_per_site: 2, preassigned: 4, sigma: 0.0, shares: &shares };
        assert_eq!(counts(table, 4).unwrap(), [[15, 48, 0], [0, 48, 73], [26, 0, 27], [59, 4, 0]]);
        let short = Table { shares: &shares[..2], ..table };
        assert_eq!(counts(short, 4).unwrap_err(), PartitionError::Shares { class: 2, holders: 2, found: 0 });
        let many = Table { preassigned: 34, ..table };
        assert!(matches!(counts(many, 4), Err(PartitionError::Preassigned { class: 0, .. })));
    }

    #[test]
    fn shares_are_drawn_where_there_is_no_table() {
        let drawn = |sigma| counts(Table { classes_per_site: 2, preassigned: 1, sigma, shares: &[] }, 6).unwrap();
        let all: u64 = drawn(2.0).iter().flatten().sum();
        assert_eq!(all, 300);
        assert!(drawn(0.0).iter().flatten().all(|count| *count == 0 || *count == 25));
        assert_ne!(drawn(2.0), drawn(0.0));
    }
}
