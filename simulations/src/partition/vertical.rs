//! Vertical splits: sites have different inputs of the same samples.
//!
//! As the vertical partitioners of flwr-datasets: inputs are dealt out as evenly as possible or by given sizes, in the order
//! of the data or at random, and `shared` ones go to everybody. Inputs beyond the sizes belong to nobody. Synod has no
//! training over vertical splits, whose sites cannot compute a loss alone; the split can be looked at and written out.

use rand::seq::SliceRandom;
use synod_common::plan::ColumnOrder;
use synod_common::random::ChaCha12Rng;

use super::error::PartitionError;
use super::rule::even;

/// The inputs of each of `clients` sites, ascending, of samples with `inputs` values.
///
/// # Errors
/// When there are fewer inputs than are to be dealt out.
pub fn columns(
    clients: usize,
    inputs: usize,
    sizes: &[u32],
    shared: &[u32],
    order: ColumnOrder,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    if clients == 0 {
        return Err(PartitionError::NoSites);
    }
    let mut dealt: Vec<u32> = (0_u32..).take(inputs).filter(|input| !shared.contains(input)).collect();
    let sizes = if sizes.is_empty() { even(dealt.len(), clients) } else { sizes.iter().map(|s| *s as usize).collect() };
    let wanted = sizes.iter().fold(0_usize, |sum, size| sum.saturating_add(*size));
    if wanted > dealt.len() || dealt.len() < clients {
        return Err(PartitionError::TooFewInputs { inputs: dealt.len(), wanted: wanted.max(clients) });
    }
    if order == ColumnOrder::Random {
        dealt.shuffle(rng);
    }
    let mut dealt = dealt.into_iter();
    let sites = sizes.iter().map(|size| {
        let mut own: Vec<u32> = dealt.by_ref().take(*size).chain(shared.iter().copied()).collect();
        own.sort_unstable();
        own.dedup();
        own
    });
    Ok(sites.collect())
}

#[cfg(test)]
mod tests {
    use synod_common::random::{Purpose, run_stream};

    use super::*;

    #[test]
    fn inputs_are_dealt_evenly_or_by_size_and_shared_ones_go_to_everybody() {
        let split = |clients, sizes: &[u32], shared: &[u32], order| {
            columns(clients, 7, sizes, shared, order, &mut run_stream(1, Purpose::Partition))
        };
        assert_eq!(split(3, &[], &[], ColumnOrder::Data).unwrap(), [vec![0, 1, 2], vec![3, 4], vec![5, 6]]);
        assert_eq!(split(2, &[1, 3], &[6], ColumnOrder::Data).unwrap(), [vec![0, 6], vec![1, 2, 3, 6]]);
        let mut all = split(3, &[], &[], ColumnOrder::Random).unwrap().concat();
        all.sort_unstable();
        assert_eq!(all, (0..7).collect::<Vec<_>>());
        assert!(split(8, &[], &[], ColumnOrder::Data).is_err() && split(2, &[4, 4], &[], ColumnOrder::Data).is_err());
    }
}
