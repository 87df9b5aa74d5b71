//! How different sites are: class counts, distance of label distributions, inequality of sizes.

use serde::Serialize;

/// Numbers about a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// Sites with at least one row.
    pub sites: usize,
    /// Rows of all sites.
    pub rows: u64,
    /// Rows of the smallest site.
    pub size_min: u64,
    /// Rows of the largest site.
    pub size_max: u64,
    /// Gini coefficient of the sizes: 0 is equal, near 1 is one site with everything.
    pub size_gini: f64,
    /// How many sites of equal size would be as unequal: one over the sum of squared shares of the rows.
    pub sites_effective: f64,
    /// Mean over sites, each counted once, of the total-variation distance between the site's label distribution and
    /// that of all rows together: 0 is the same everywhere, near 1 is one rare class a site. It is the earth mover's
    /// distance where every class is as far from every other.
    pub label_distance: f64,
    /// The same mean of the Hellinger distance, 0 to 1.
    pub hellinger: f64,
    /// The same mean of the Jensen-Shannon divergence in bits, 0 to 1.
    pub jensen_shannon: f64,
    /// Mean number of classes that a site has rows of.
    pub classes_per_site: f64,
}

impl Measures {
    /// Measures `sites` (rows of each) of a data set with `labels`. Rows and labels out of range are passed over, and so
    /// are sites without rows.
    #[must_use]
    pub fn of(sites: &[Vec<u32>], labels: &[u32], classes: usize) -> Self {
        let mut total = vec![0_u64; classes];
        for rows in sites {
            count(rows, labels, &mut total);
        }
        let mut sizes = Vec::new();
        let (mut distances, mut held) = ([0.0; 3], 0_u64);
        // One row of counts at a time: a table of all sites by all classes could be larger than the data.
        let mut counts = vec![0_u64; classes];
        for rows in sites {
            counts.fill(0);
            count(rows, labels, &mut counts);
            let size: u64 = counts.iter().sum();
            if size > 0 {
                sizes.push(size);
                let found = [total_variation, hellinger, jensen_shannon].map(|distance| distance(&counts, &total));
                distances.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
                held += counts.iter().filter(|count| **count > 0).count() as u64;
            }
        }
        let per_site = |sum: f64| if sizes.is_empty() { 0.0 } else { sum / sizes.len() as f64 };
        Self {
            sites: sizes.len(),
            rows: sizes.iter().sum(),
            size_min: sizes.iter().min().copied().unwrap_or(0),
            size_max: sizes.iter().max().copied().unwrap_or(0),
            sites_effective: effective(&sizes),
            label_distance: per_site(distances[0]),
            hellinger: per_site(distances[1]),
            jensen_shannon: per_site(distances[2]),
            classes_per_site: per_site(held as f64),
            size_gini: gini(sizes),
        }
    }
}

/// Rows of each class at one site, `[classes]`. Rows and labels out of range are passed over.
#[must_use]
pub fn site_class_counts(rows: &[u32], labels: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    count(rows, labels, &mut counts);
    counts
}

/// Rows of each class at each site, `[sites][classes]`: 8 bytes a number, so mind the product.
#[must_use]
pub fn class_counts(sites: &[Vec<u32>], labels: &[u32], classes: usize) -> Vec<Vec<u64>> {
    sites.iter().map(|rows| site_class_counts(rows, labels, classes)).collect()
}

fn count(rows: &[u32], labels: &[u32], counts: &mut [u64]) {
    for row in rows {
        if let Some(count) = labels.get(*row as usize).and_then(|label| counts.get_mut(*label as usize)) {
            *count += 1;
        }
    }
}

/// Pairs of shares of two distributions given as counts.
fn shares<'a>(a: &'a [u64], b: &'a [u64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let (a_sum, b_sum): (u64, u64) = (a.iter().sum(), b.iter().sum());
    a.iter().zip(b).map(move |(a, b)| (*a as f64 / a_sum as f64, *b as f64 / b_sum as f64))
}

/// Half the sum of absolute differences.
fn total_variation(a: &[u64], b: &[u64]) -> f64 {
    shares(a, b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

/// The root of half the sum of squared differences of roots.
fn hellinger(a: &[u64], b: &[u64]) -> f64 {
    (shares(a, b).map(|(a, b)| (a.sqrt() - b.sqrt()).powi(2)).sum::<f64>() / 2.0).sqrt()
}

/// The mean of the divergences from the middle of both, in bits.
fn jensen_shannon(a: &[u64], b: &[u64]) -> f64 {
    let part = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
    shares(a, b).map(|(a, b)| (part(a, f64::midpoint(a, b)) + part(b, f64::midpoint(a, b))) / 2.0).sum()
}

fn effective(sizes: &[u64]) -> f64 {
    let total: u64 = sizes.iter().sum();
    let squares: f64 = sizes.iter().map(|size| (*size as f64 / total as f64).powi(2)).sum();
    if squares > 0.0 { 1.0 / squares } else { 0.0 }
}

fn gini(mut sizes: Vec<u64>) -> f64 {
    sizes.sort_unstable();
    let total: u64 = sizes.iter().sum();
    if total == 0 {
        return 0.0;
    }
    let n = sizes.len() as f64;
    let ranked: f64 = sizes.iter().enumerate().map(|(i, size)| (i as f64 + 1.0) * *size as f64).sum();
    2.0 * ranked / (n * total as f64) - (n + 1.0) / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sites_have_no_distance_and_no_inequality() {
        let labels = [0, 1, 0, 1];
        let measures = Measures::of(&[vec![0, 1], vec![2, 3]], &labels, 2);
        assert_eq!((measures.label_distance, measures.size_gini, measures.classes_per_site), (0.0, 0.0, 2.0));
        assert_eq!(class_counts(&[vec![0, 1], vec![0, 2]], &labels, 2), [[1, 1], [2, 0]]);
    }

    #[test]
    fn hand_worked_distance_and_inequality() {
        // All rows: 3 of class 0 and 1 of class 1. Site 0: (1, 0), distance 1/4. Site 1: (2/3, 1/3), distance 1/12.
        let measures = Measures::of(&[vec![0], vec![1, 2, 3], vec![]], &[0, 0, 0, 1], 2);
        assert!((measures.label_distance - (0.25 + 1.0 / 12.0) / 2.0).abs() < 1e-12);
        // One minus the sum of roots of products, which is the square of the Hellinger distance.
        let by_hand = |p: f64| (1.0 - (p * 0.75).sqrt() - ((1.0 - p) * 0.25).sqrt()).sqrt();
        assert!((measures.hellinger - (by_hand(1.0) + by_hand(2.0 / 3.0)) / 2.0).abs() < 1e-12);
        // Shares 1/4 and 3/4: 1 / (1/16 + 9/16).
        assert!((measures.sites_effective - 1.6).abs() < 1e-12);
        // Sizes 1 and 3: mean absolute difference over twice the mean, 1 / (2 * 2) = 0.25.
        assert!((measures.size_gini - 0.25).abs() < 1e-12);
        assert_eq!((measures.sites, measures.rows, measures.size_min, measures.size_max), (2, 4, 1, 3));
    }

    #[test]
    fn sites_without_a_common_class_are_farthest_apart() {
        // Two of two classes: each site is half a bit, and a little, away from the whole.
        let measures = Measures::of(&[vec![0], vec![1]], &[0, 1], 2);
        let middle = 0.75_f64;
        let bits = (1.0 * (1.0 / middle).log2() + 0.5 * (0.5 / middle).log2() + 0.5 * (0.5_f64 / 0.25).log2()) / 2.0;
        assert!((measures.jensen_shannon - bits).abs() < 1e-12, "{measures:?}");
        assert_eq!((measures.label_distance, measures.sites_effective), (0.5, 2.0));
    }

    #[test]
    fn nothing_measures_as_nothing() {
        let measures = Measures::of(&[vec![], vec![7]], &[], 3);
        assert_eq!((measures.sites, measures.rows, measures.size_gini), (0, 0, 0.0));
    }
}
