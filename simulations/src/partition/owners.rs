//! Sites that the data or a file names, alone or several in one.

use std::collections::BTreeSet;

use synod_common::plan::Remainder;

use super::error::PartitionError;

/// The owner of a row that belongs to no site.
pub const NOBODY: u32 = u32::MAX;

/// The rows of each owner; `clients` is how many there should be, 0 for as many as there are.
pub(super) fn natural(clients: usize, rows: usize, owners: &[u32]) -> Result<Vec<Vec<u32>>, PartitionError> {
    if owners.len() != rows {
        return Err(PartitionError::OwnersLength { owners: owners.len(), rows });
    }
    let Some(last) = owners.iter().filter(|owner| **owner != NOBODY).max() else {
        return Err(PartitionError::TooFewRows { rows, clients, samples_min: 1 });
    };
    let named = *last as usize + 1;
    let sites = if clients == 0 { named } else { clients };
    if named != sites {
        return Err(PartitionError::OwnerCount { clients: sites, owners: named });
    }
    // More sites than rows leave one of them empty; seen before memory is taken for them.
    if sites > rows {
        let taken: BTreeSet<u32> = owners.iter().copied().collect();
        let owner = (0_u32..).zip(&taken).find(|(i, t)| i != *t).map_or(taken.len(), |(i, _)| i as usize);
        return Err(PartitionError::EmptyOwner { owner });
    }
    let mut split = vec![Vec::new(); sites];
    for (row, owner) in (0_u32..).zip(owners).filter(|(_, owner)| **owner != NOBODY) {
        split[*owner as usize].push(row);
    }
    match split.iter().position(Vec::is_empty) {
        Some(owner) => Err(PartitionError::EmptyOwner { owner }),
        None => Ok(split),
    }
}

/// Each `group_size` consecutive owners as one site, as the grouped natural-id partitioner of flwr-datasets makes them.
pub(super) fn grouped(
    clients: usize,
    rows: usize,
    owners: &[u32],
    group_size: usize,
    remainder: Remainder,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    let own = natural(0, rows, owners)?;
    let group_size = group_size.max(1);
    let (whole, rest) = (own.len() / group_size, own.len() % group_size);
    if rest > 0 && remainder == Remainder::Refuse || whole == 0 && remainder != Remainder::Smaller {
        return Err(PartitionError::GroupRemainder { owners: own.len(), group_size });
    }
    let last = whole.saturating_sub(1);
    let mut groups: Vec<Vec<u32>> = Vec::new();
    for (owner, rows) in own.into_iter().enumerate() {
        let group = match remainder {
            Remainder::Bigger => (owner / group_size).min(last),
            Remainder::Drop if owner / group_size >= whole => break,
            Remainder::Smaller | Remainder::Drop | Remainder::Refuse => owner / group_size,
        };
        groups.resize_with(groups.len().max(group + 1), Vec::new);
        groups[group].extend(rows);
    }
    for rows in &mut groups {
        rows.sort_unstable();
    }
    if clients != 0 && groups.len() != clients {
        return Err(PartitionError::OwnerCount { clients, owners: groups.len() });
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_owners_and_what_is_left_of_them() {
        // Five owners; 2 and 4 have two rows.
        let owners = [0, 4, 1, 2, 3, 2, 4];
        let split = |remainder| grouped(0, 7, &owners, 2, remainder);
        assert_eq!(split(Remainder::Smaller).unwrap(), [vec![0, 2], vec![3, 4, 5], vec![1, 6]]);
        assert_eq!(split(Remainder::Bigger).unwrap(), [vec![0, 2], vec![1, 3, 4, 5, 6]]);
        assert_eq!(split(Remainder::Drop).unwrap(), [vec![0, 2], vec![3, 4, 5]]);
        let error = split(Remainder::Refuse).unwrap_err();
        assert_eq!(error, PartitionError::GroupRemainder { owners: 5, group_size: 2 });
        assert_eq!(grouped(0, 7, &owners, 5, Remainder::Refuse).unwrap().len(), 1);
        assert!(grouped(0, 7, &owners, 9, Remainder::Bigger).is_err());
        assert!(grouped(4, 7, &owners, 2, Remainder::Smaller).is_err());
    }

    #[test]
    fn rows_of_nobody_are_left_out() {
        assert_eq!(natural(2, 4, &[1, NOBODY, 0, 1]).unwrap(), [vec![2], vec![0, 3]]);
        assert!(natural(0, 2, &[NOBODY, NOBODY]).is_err());
    }
}
