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
    /// Mean over sites, each counted once, of the total-variation distance between the site's label distribution and
    /// that of all rows together: 0 is the same everywhere, near 1 is one rare class a site.
    pub label_distance: f64,
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
        let (mut distances, mut held) = (0.0, 0_u64);
        // One row of counts at a time: a table of all sites by all classes could be larger than the data.
        let mut counts = vec![0_u64; classes];
        for rows in sites {
            counts.fill(0);
            count(rows, labels, &mut counts);
            let size: u64 = counts.iter().sum();
            if size > 0 {
                sizes.push(size);
                distances += total_variation(&counts, &total);
                held += counts.iter().filter(|count| **count > 0).count() as u64;
            }
        }
        let per_site = |sum: f64| if sizes.is_empty() { 0.0 } else { sum / sizes.len() as f64 };
        Self {
            sites: sizes.len(),
            rows: sizes.iter().sum(),
            size_min: sizes.iter().min().copied().unwrap_or(0),
            size_max: sizes.iter().max().copied().unwrap_or(0),
            label_distance: per_site(distances),
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

/// Half the sum of absolute differences of two distributions given as counts.
fn total_variation(a: &[u64], b: &[u64]) -> f64 {
    let (a_sum, b_sum): (u64, u64) = (a.iter().sum(), b.iter().sum());
    a.iter().zip(b).map(|(a, b)| (*a as f64 / a_sum as f64 - *b as f64 / b_sum as f64).abs()).sum::<f64>() / 2.0
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
        // Sizes 1 and 3: mean absolute difference over twice the mean, 1 / (2 * 2) = 0.25.
        assert!((measures.size_gini - 0.25).abs() < 1e-12);
        assert_eq!((measures.sites, measures.rows, measures.size_min, measures.size_max), (2, 4, 1, 3));
    }

    #[test]
    fn nothing_measures_as_nothing() {
        let measures = Measures::of(&[vec![], vec![7]], &[], 3);
        assert_eq!((measures.sites, measures.rows, measures.size_gini), (0, 0, 0.0));
    }
}
