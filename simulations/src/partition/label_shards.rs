//! Label skew by pieces: rows sorted by class are cut into pieces, which are dealt to the sites at random.
//!
//! Source: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
//! section 3: 200 pieces of 300 samples, two a site. Options as in the shard partitioner of flwr-datasets: pieces a site,
//! samples a piece, or both. Rows of a class are in random order, so that where a piece begins is not decided by the
//! order of the data.

use rand::seq::SliceRandom;
use synod_common::random::ChaCha12Rng;

use super::error::PartitionError;
use super::rule::even;

/// Splits `rows_of_classes[class]` over `clients` sites.
pub(super) fn split(
    per_site: u32,
    size: u32,
    clients: usize,
    mut rows_of_classes: Vec<Vec<u32>>,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    for rows in &mut rows_of_classes {
        rows.shuffle(rng);
    }
    let sorted = rows_of_classes.concat();
    let rows = sorted.len();
    let (per_site, size) = (per_site as usize, size as usize);
    // Every way must leave each site a piece, and every piece a row.
    let pieces = if per_site > 0 { clients.saturating_mul(per_site) } else { rows / size.max(1) };
    if pieces < clients || pieces.saturating_mul(size.max(1)) > rows {
        return Err(PartitionError::Pieces { rows, clients, pieces, size: size.max(1) });
    }
    let sizes = if size == 0 { even(rows, pieces) } else { vec![size; pieces] };
    let mut cuts = Vec::with_capacity(pieces);
    let mut rest = sorted.as_slice();
    for size in sizes {
        let (piece, others) = rest.split_at(size);
        cuts.push(piece);
        rest = others;
    }
    cuts.shuffle(rng);
    let mut cuts = cuts.into_iter();
    let sites = even(pieces, clients).into_iter().map(|own| {
        let mut rows = cuts.by_ref().take(own).collect::<Vec<_>>().concat();
        rows.sort_unstable();
        rows
    });
    Ok(sites.collect())
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::*;

    #[test]
    fn pieces_have_one_class_or_two_neighbours() {
        let by_class: Vec<Vec<u32>> = (0..10).map(|class| (class * 100..(class + 1) * 100).collect()).collect();
        let split =
            |per_site, size| split(per_site, size, 10, by_class.clone(), &mut run_stream(2, Purpose::Partition));
        for (per_site, size, rows) in [(2, 0, 1000), (2, 50, 1000), (2, 30, 600), (0, 50, 1000), (0, 7, 994)] {
            let sites = split(per_site, size).unwrap();
            let mut all = sites.concat();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), rows, "{per_site} {size}");
            if size == 50 || size == 0 {
                let classes =
                    |rows: &[u32]| rows.iter().map(|row| row / 100).collect::<std::collections::BTreeSet<_>>();
                assert!(sites.iter().all(|rows| rows.len() == 100 && classes(rows).len() <= 2));
            }
        }
        assert!(matches!(split(3, 50), Err(PartitionError::Pieces { .. })));
        assert!(matches!(split(0, 200), Err(PartitionError::Pieces { .. })));
        assert!(matches!(split(101, 0), Err(PartitionError::Pieces { .. })));
    }
}
