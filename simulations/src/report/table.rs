//! The comparison as plain text, for the terminal.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use synod_common::plan::Headline;

use super::input::ComparisonRow;
use super::quantity::{megabytes, metric_or_dash};

/// One rule below the heading and nothing else: readable, and easy to cut into columns.
pub(super) const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The comparison as a plain-text table without colours or a final line break: model, the two headline metrics, rounds, megabytes up and down, seconds. Notes follow below the table.
#[must_use]
pub fn table(rows: &[ComparisonRow], headlines: [Headline; 2]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled).set_header([
        "model".to_owned(),
        format!("test {}", headlines[0].title),
        headlines[1].title.to_owned(),
        "rounds".to_owned(),
        "MB up".to_owned(),
        "MB down".to_owned(),
        "seconds".to_owned(),
    ]);
    let mut notes = Vec::new();
    for row in rows {
        let mut name = printable(&row.name);
        if !row.note.is_empty() {
            // The same note on several rows is printed once.
            let note = printable(&row.note);
            let number = notes.iter().position(|n| *n == note).unwrap_or_else(|| {
                notes.push(note);
                notes.len() - 1
            });
            name.push_str(&format!(" [{}]", number + 1));
        }
        table.add_row([
            name,
            metric_or_dash(row.metrics.get(headlines[0].name)),
            metric_or_dash(row.metrics.get(headlines[1].name)),
            row.rounds.to_string(),
            megabytes(row.bytes_up),
            megabytes(row.bytes_down),
            format!("{:.1}", row.seconds),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.to_string();
    for (number, note) in (1..).zip(notes) {
        text.push_str(&format!("\n[{number}] {note}"));
    }
    text
}

/// `text` without control characters, which could move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use synod_common::metrics::Metrics;
    use synod_common::plan::Task;

    use super::*;

    #[test]
    fn the_table_has_a_line_a_model_and_notes_below() {
        let row = |name: &str, accuracy: Option<f64>, bytes_up, note: &str| ComparisonRow {
            name: name.to_owned(),
            metrics: Metrics {
                samples: 360,
                values: accuracy.map(|a| ("accuracy".to_owned(), a)).into_iter().collect(),
            },
            rounds: 20,
            bytes_up,
            bytes_down: bytes_up,
            seconds: 1.26,
            note: note.to_owned(),
        };
        let text = table(
            &[
                row("global model", Some(0.9417), 4_300_000, ""),
                row("site-0 alone", Some(0.2), 0, "same steps"),
                row("\u{1b}[2Jsite-1 alone", None, 0, "same steps"),
            ],
            Task::Classification { classes: 2 }.headlines(),
        );
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                " model                  test accuracy   balanced accuracy   rounds   MB up   MB down   seconds",
                "───────────────────────────────────────────────────────────────────────────────────────────────",
                " global model                  0.9417                   –       20    4.30      4.30       1.3",
                " site-0 alone [1]              0.2000                   –       20       –         –       1.3",
                "  [2Jsite-1 alone [1]               –                   –       20       –         –       1.3",
                "[1] same steps",
            ]
        );
    }
}
