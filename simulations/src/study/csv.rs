//! All cells as comma-separated text, for other tools.

use std::collections::BTreeSet;

use super::cell::{Cell, CellResult};

/// A heading and one line a cell: loss, strategy, seed, outcome, seconds, model, plan, then the last model's metrics by
/// name. What a cell does not have is empty.
#[must_use]
pub fn csv(cells: &[Cell]) -> String {
    let finished = cells.iter().filter_map(|cell| cell.finished()?.last());
    let metrics: BTreeSet<&str> = finished.flat_map(|m| m.values.keys().map(String::as_str)).collect();
    let mut text = "loss,strategy,seed,outcome,seconds,model,plan".to_owned();
    for metric in &metrics {
        text.push(',');
        text.push_str(metric);
    }
    text.push('\n');
    for cell in cells {
        let (outcome, seconds, model) = match &cell.result {
            CellResult::Finished(f) => ("finished".to_owned(), format!("{:.3}", f.seconds), f.model.to_string()),
            CellResult::Failed { reason } => (format!("failed: {reason}"), String::new(), String::new()),
        };
        let fields = [
            cell.variant.loss.clone(),
            cell.variant.strategy.clone(),
            cell.seed.to_string(),
            outcome,
            seconds,
            model,
            cell.plan.to_string(),
        ];
        let values = metrics.iter().map(|metric| cell.value(metric).map_or_else(String::new, |v| v.to_string()));
        let fields: Vec<String> = fields.into_iter().chain(values).map(|field| quoted(&field)).collect();
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// As RFC 4180 has it: quotes around a field with a comma, a quote or a line break, quotes inside doubled.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::summary::tests::{cell, failed};

    #[test]
    fn a_line_a_cell_with_fields_quoted_where_needed() {
        let text = csv(&[cell("focal{gamma=2, alpha=[1.0]}", 1, 0.75), failed("mse", 2)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "loss,strategy,seed,outcome,seconds,model,plan,accuracy");
        assert!(lines[1].starts_with("\"focal{gamma=2, alpha=[1.0]}\",fedavg,1,finished,1.500,"), "{}", lines[1]);
        assert!(lines[1].ends_with(",0.75"), "{}", lines[1]);
        assert!(
            lines[2].starts_with("mse,fedavg,2,\"failed: training diverged, \"\"as it does\"\"\",,,"),
            "{}",
            lines[2]
        );
        assert_eq!(lines.len(), 3);
    }
}
