//! Label skew by number of classes: each site has rows of so many classes and of no other.
//!
//! As in NIID-Bench (Li et al. 2022, "#C = k"), a site first gets a class in turn and then others at random, and a
//! class's rows are shared evenly among its holders. Two things differ: classes are dealt in a random order, and as
//! long as some class belongs to nobody it is dealt before others are drawn, so that no row is lost when sites are few.

use rand::RngExt;
use rand::seq::SliceRandom;
use synod_common::random::ChaCha12Rng;

use super::error::PartitionError;
use super::rule::even;

/// Splits `rows_of_classes[class]` over `clients` sites of `classes_per_site` classes.
pub(super) fn split(
    classes_per_site: u32,
    clients: usize,
    mut rows_of_classes: Vec<Vec<u32>>,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    let mut present: Vec<usize> =
        (0..rows_of_classes.len()).filter(|class| !rows_of_classes[*class].is_empty()).collect();
    let wanted = classes_per_site as usize;
    if wanted == 0 || wanted > present.len() {
        return Err(PartitionError::ClassesPerSite { classes_per_site, present: present.len() });
    }
    if clients.saturating_mul(wanted) < present.len() {
        return Err(PartitionError::ClassWithoutSite { clients, classes_per_site, present: present.len() });
    }
    // Every site needs a row of each of its classes: more places than rows cannot work, and the deal below stays small.
    let rows: usize = rows_of_classes.iter().map(Vec::len).sum();
    if clients.saturating_mul(wanted) > rows {
        return Err(PartitionError::ShardsTooFewRows { rows, clients, classes_per_site });
    }
    present.shuffle(rng);
    let holders = deal(clients, wanted, &present, rows_of_classes.len(), rng);
    let mut sites = vec![Vec::new(); clients];
    for (class, holders) in holders.iter().enumerate() {
        let rows = &mut rows_of_classes[class];
        if rows.len() < holders.len() {
            return Err(PartitionError::ClassTooSmall { class, rows: rows.len(), holders: holders.len() });
        }
        rows.shuffle(rng);
        let mut rest = rows.as_slice();
        for (site, size) in holders.iter().zip(even(rest.len(), holders.len().max(1))) {
            let (own, others) = rest.split_at(size);
            sites[*site as usize].extend_from_slice(own);
            rest = others;
        }
    }
    for rows in &mut sites {
        rows.sort_unstable();
    }
    Ok(sites)
}

/// The sites that hold each class, ascending.
fn deal(clients: usize, wanted: usize, present: &[usize], classes: usize, rng: &mut ChaCha12Rng) -> Vec<Vec<u32>> {
    let mut holders = vec![Vec::new(); classes];
    let mut own = Vec::with_capacity(wanted);
    for (site, number) in (0..clients).zip(0_u32..) {
        own.clear();
        own.push(present[site % present.len()]);
        // With fewer sites than classes, turn `slot` hands out the classes that the turns before left over.
        own.extend((1..wanted).map_while(|slot| present.get(slot * clients + site).copied()));
        if wanted * 2 > present.len() {
            let mut others: Vec<usize> = present.iter().copied().filter(|class| !own.contains(class)).collect();
            others.shuffle(rng);
            own.extend(others.into_iter().take(wanted - own.len()));
        }
        while own.len() < wanted {
            let class = present[rng.random_range(0..present.len())];
            if !own.contains(&class) {
                own.push(class);
            }
        }
        for class in &own {
            holders[*class].push(number);
        }
    }
    holders
}
