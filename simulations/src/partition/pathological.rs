//! Label skew by number of classes, dealt as the pathological partitioner of flwr-datasets deals them: a class's rows are
//! shared evenly among the sites it was dealt to, and rows of a class that nobody has belong to nobody.

use rand::RngExt;
use rand::seq::{SliceRandom, index};
use synod_common::plan::Deal;
use synod_common::random::ChaCha12Rng;

use super::error::PartitionError;
use super::rule::even;

/// Splits `rows_of_classes[class]` over `clients` sites of `classes_per_site` classes each.
pub(super) fn split(
    classes_per_site: u32,
    deal: Deal,
    clients: usize,
    mut rows_of_classes: Vec<Vec<u32>>,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    let present: Vec<usize> = (0..rows_of_classes.len()).filter(|class| !rows_of_classes[*class].is_empty()).collect();
    let wanted = classes_per_site as usize;
    if wanted == 0 || wanted > present.len() {
        return Err(PartitionError::ClassesPerSite { classes_per_site, present: present.len() });
    }
    let rows: usize = rows_of_classes.iter().map(Vec::len).sum();
    if clients.saturating_mul(wanted) > rows {
        return Err(PartitionError::ShardsTooFewRows { rows, clients, classes_per_site });
    }
    let mut holders = vec![Vec::new(); rows_of_classes.len()];
    for site in 0..clients {
        for at in places(site, wanted, present.len(), deal, rng) {
            holders[present[at]].push(site);
        }
    }
    let mut sites = vec![Vec::new(); clients];
    for (class, holders) in holders.iter().enumerate().filter(|(_, holders)| !holders.is_empty()) {
        let rows = &mut rows_of_classes[class];
        if rows.len() < holders.len() {
            return Err(PartitionError::ClassTooSmall { class, rows: rows.len(), holders: holders.len() });
        }
        rows.shuffle(rng);
        let mut rest = rows.as_slice();
        for (site, size) in holders.iter().zip(even(rest.len(), holders.len())) {
            let (own, others) = rest.split_at(size);
            sites[*site].extend_from_slice(own);
            rest = others;
        }
    }
    for rows in &mut sites {
        rows.sort_unstable();
    }
    Ok(sites)
}

/// The classes of a site, as places among the `present` ones.
fn places(site: usize, wanted: usize, present: usize, deal: Deal, rng: &mut ChaCha12Rng) -> Vec<usize> {
    match deal {
        Deal::Random => index::sample(rng, present, wanted).into_vec(),
        Deal::Deterministic => (0..wanted).map(|next| (site + next) % present).collect(),
        Deal::FirstDeterministic => {
            let mut own = vec![site % present];
            while own.len() < wanted {
                let at = rng.random_range(0..present);
                if !own.contains(&at) {
                    own.push(at);
                }
            }
            own
        }
    }
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::super::measures::site_class_counts;
    use super::*;

    #[test]
    fn sites_have_the_classes_that_were_dealt_to_them() {
        let labels: Vec<u32> = (0..400).map(|row| row % 4).collect();
        let by_class: Vec<Vec<u32>> = (0..4).map(|class| (class..400).step_by(4).collect()).collect();
        let split = |deal| {
            split(2, deal, 3, by_class.clone(), &mut run_stream(1, Purpose::Partition))
                .unwrap()
                .iter()
                .map(|rows| site_class_counts(rows, &labels, 4))
                .collect::<Vec<_>>()
        };
        assert_eq!(split(Deal::Deterministic), [[100, 50, 0, 0], [0, 50, 50, 0], [0, 0, 50, 100]]);
        for deal in [Deal::Random, Deal::FirstDeterministic] {
            let counts = split(deal);
            assert!(counts.iter().all(|site| site.iter().filter(|count| **count > 0).count() == 2), "{counts:?}");
            let first = counts.iter().enumerate().all(|(site, counts)| counts[site] > 0);
            assert!(deal == Deal::Random || first, "{counts:?}");
        }
    }
}
