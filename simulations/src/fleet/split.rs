//! Who the sites of a simulation are and which rows are theirs.

use std::borrow::Cow;

use synod_client::data::{Dataset, Inputs, Loaded, Owners, Targets};
use synod_common::ids::SiteName;
use synod_common::plan::{Partition, Plan, Property, Simulation, Task};
use synod_common::random::{Purpose, run_stream};

use super::error::FleetError;
use crate::partition::{Samples, partition};
use crate::shift::long_tail;

/// The sites in order, and the rows of each.
pub(super) struct Split {
    pub(super) names: Vec<SiteName>,
    pub(super) rows: Vec<Vec<u32>>,
}

/// Splits the training samples of `loaded` as the plan says.
pub(super) fn split(plan: &Plan, simulation: &Simulation, loaded: &Loaded) -> Result<Split, FleetError> {
    let dataset = &*loaded.train;
    let rule = &simulation.partition;
    let owners = dataset.owners().filter(|_| rule.takes_owners_of_data());
    let named = owners.filter(|_| *rule == Partition::Natural).map(Owners::names);
    let clients = named.map_or(simulation.clients as usize, <[SiteName]>::len);
    if simulation.clients != 0 && simulation.clients as usize != clients {
        return Err(FleetError::Natural { found: clients, expected: simulation.clients as usize });
    }
    let (mut labels, classes) = groups(dataset, &plan.task);
    let mut owner_of = owners.map(Owners::of).or(loaded.assignment.as_deref()).map(Cow::Borrowed);
    if let Some(owners) = owner_of.as_deref().filter(|owners| owners.len() != labels.len()) {
        return Err(FleetError::Assignment { owners: owners.len(), rows: labels.len() });
    }
    let mut property = property(dataset, rule);
    // Where classes are made rare, the others of their rows are nobody's, and rules see what is left.
    let kept = simulation
        .shift
        .as_ref()
        .and_then(|shift| shift.long_tail.as_ref())
        .map(|tail| long_tail(tail.ratio, &labels, classes, &mut run_stream(plan.seed, Purpose::LongTail)));
    if let Some(kept) = &kept {
        let pick = |of: &[u32]| kept.iter().map(|row| of[*row as usize]).collect::<Vec<_>>();
        labels = Cow::Owned(pick(&labels));
        owner_of = owner_of.map(|of| Cow::Owned(pick(&of)));
        property = property.map(|of| kept.iter().map(|row| of[*row as usize]).collect());
    }
    let samples = Samples { labels: &labels, classes, owners: owner_of.as_deref(), property: property.as_deref() };
    let mut rows = partition(rule, clients, samples, &mut run_stream(plan.seed, Purpose::Partition))?;
    if let Some(kept) = &kept {
        rows.iter_mut().flatten().for_each(|row| *row = kept[*row as usize]);
    }
    let names = match named {
        Some(named) if simulation.names.is_empty() => named.to_vec(),
        _ => simulation.names_of(rows.len()),
    };
    if names.len() != rows.len() {
        return Err(FleetError::Natural { found: rows.len(), expected: names.len() });
    }
    Ok(Split { names, rows })
}

/// Groups into which a regression's samples are dealt by the size of their first target.
const TARGET_GROUPS: usize = 10;

/// The group of each sample by which the partitions of label skew deal them out, and how many groups there are: its
/// class; its first label or none; in regression the tenth of the samples, ordered by the first target, that it is in.
pub(super) fn groups<'d>(dataset: &'d Dataset, task: &Task) -> (Cow<'d, [u32]>, usize) {
    match dataset.targets() {
        Targets::Classes(_) => (Cow::Borrowed(dataset.groups()), task.classes()),
        Targets::Labels(_) => (Cow::Borrowed(dataset.groups()), task.classes() + 1),
        Targets::Numbers(matrix) => {
            let first = |row: &u32| matrix.row(*row as usize)[0];
            let mut order = dataset.all_rows();
            order.sort_by(|a, b| first(a).total_cmp(&first(b)));
            let mut groups = vec![0; order.len()];
            for (rank, row) in order.iter().enumerate() {
                groups[*row as usize] = (rank * TARGET_GROUPS / order.len()) as u32;
            }
            (Cow::Owned(groups), TARGET_GROUPS)
        }
    }
}

/// The number of each sample by which the partition `continuous` sorts; nothing for the others.
fn property(dataset: &Dataset, rule: &Partition) -> Option<Vec<f64>> {
    let Partition::Continuous { by, input, .. } = rule else { return None };
    let width = dataset.sample_values();
    let value = |at: usize| match dataset.inputs() {
        Inputs::F32(values) => f64::from(values[at]),
        Inputs::U8(values) => f64::from(values[at]),
    };
    let of = |row: usize| match by {
        Property::Target => match dataset.targets() {
            Targets::Classes(classes) => f64::from(classes[row]),
            Targets::Labels(matrix) | Targets::Numbers(matrix) => f64::from(matrix.row(row)[0]),
        },
        // A plan names an input that samples have.
        Property::Input => value(row * width + (input.unwrap_or(0) as usize).min(width - 1)),
        Property::Mean => (row * width..(row + 1) * width).map(value).sum::<f64>() / width as f64,
    };
    Some((0..dataset.len()).map(of).collect())
}
