//! From cells to the rows of a table.

use serde::Serialize;
use synod_common::plan::Headline;

use super::cell::{Cell, Variant};
use super::statistics::{mean_and_deviation, paired_test};

/// One loss and strategy over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which.
    pub variant: Variant,
    /// Runs that came to their end.
    pub finished: usize,
    /// Runs that failed.
    pub failed: usize,
    /// The headline metrics of the last models; `None` where no run has the metric.
    pub values: [Option<Spread>; 2],
    /// The first headline metric against the first row; `None` for that row and where no seed has both.
    pub difference: Option<Difference>,
}

/// Mean and spread over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation (n-1); `None` for one seed.
    pub sd: Option<f64>,
}

impl Spread {
    /// Of these values; `None` without any.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        mean_and_deviation(values).map(|(mean, sd)| Self { mean, sd })
    }
}

/// A difference within seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of this row's values minus the first row's.
    pub mean: f64,
    /// Seeds that both have.
    pub pairs: usize,
    /// Two-sided p value of Student's paired t-test; `None` where it is undefined. Not corrected for the number of rows.
    pub p: Option<f64>,
}

/// One row for each of `variants`, in that order.
#[must_use]
pub fn summarise(variants: &[Variant], cells: &[Cell], headlines: [Headline; 2]) -> Vec<Row> {
    let of = |variant: &Variant| cells.iter().filter(move |cell| cell.variant == *variant).collect::<Vec<_>>();
    let first = variants.first().map(of).unwrap_or_default();
    let row = |(place, variant): (usize, &Variant)| {
        let own = of(variant);
        let values = headlines.map(|headline| {
            let values: Vec<f64> = own.iter().filter_map(|cell| cell.value(headline.name)).collect();
            Spread::of(&values)
        });
        let finished = own.iter().filter(|cell| cell.finished().is_some()).count();
        let difference = (place > 0).then(|| difference(&own, &first, headlines[0].name)).flatten();
        Row { variant: variant.clone(), finished, failed: own.len() - finished, values, difference }
    };
    variants.iter().enumerate().map(row).collect()
}

fn difference(own: &[&Cell], first: &[&Cell], metric: &str) -> Option<Difference> {
    let pair = |cell: &&Cell| {
        let other = first.iter().find(|other| other.seed == cell.seed)?;
        Some(cell.value(metric)? - other.value(metric)?)
    };
    let differences: Vec<f64> = own.iter().filter_map(pair).collect();
    let (mean, _) = mean_and_deviation(&differences)?;
    Some(Difference { mean, pairs: differences.len(), p: paired_test(&differences) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::study::{CellResult, Finished};
    use synod_common::ids::Digest;
    use synod_common::metrics::Metrics;
    use synod_common::plan::Task;

    pub(crate) fn variant(loss: &str) -> Variant {
        Variant { loss: loss.to_owned(), strategy: "fedavg".to_owned() }
    }

    /// A cell whose accuracy climbs from 0.1 to `accuracy`.
    pub(crate) fn cell(loss: &str, seed: u64, accuracy: f64) -> Cell {
        let metrics = |value: f64| Metrics { samples: 10, values: [("accuracy".to_owned(), value)].into() };
        let central = [(0, metrics(0.1)), (1, metrics((0.1 + accuracy) / 2.0)), (2, metrics(accuracy))].into();
        let result = CellResult::Finished(Finished { central, model: Digest::of(b"m"), seconds: 1.5 });
        Cell { variant: variant(loss), seed, plan: Digest::of(&seed.to_le_bytes()), result }
    }

    pub(crate) fn failed(loss: &str, seed: u64) -> Cell {
        let result = CellResult::Failed { reason: "training diverged, \"as it does\"".to_owned() };
        Cell { result, ..cell(loss, seed, 0.0) }
    }

    #[test]
    fn differences_are_taken_within_seeds() {
        // Seeds differ by much, the losses within a seed by 0.01, 0.02 and 0.03.
        let cells = [
            cell("a", 1, 0.5),
            cell("b", 1, 0.51),
            cell("a", 2, 0.7),
            cell("b", 2, 0.72),
            cell("a", 3, 0.9),
            cell("b", 3, 0.93),
            cell("b", 4, 0.2),
            failed("a", 4),
        ];
        let headlines = Task::Classification { classes: 2 }.headlines();
        let rows = summarise(&[variant("a"), variant("b"), variant("c")], &cells, headlines);
        let [a, b, c] = rows.as_slice() else { panic!("three rows") };
        assert_eq!((a.finished, a.failed, a.difference), (3, 1, None));
        let spread = a.values[0].unwrap();
        assert!((spread.mean - 0.7).abs() < 1e-12 && (spread.sd.unwrap() - 0.2).abs() < 1e-12);
        assert_eq!(a.values[1], None);
        let difference = b.difference.unwrap();
        assert!((difference.mean - 0.02).abs() < 1e-12 && difference.pairs == 3);
        let t = 12_f64.sqrt();
        assert!((difference.p.unwrap() - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-9);
        assert_eq!((c.finished, c.failed, c.values, c.difference), (0, 0, [None, None], None));
    }
}
