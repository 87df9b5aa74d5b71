//! The page and the table of a study.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, ContentArrangement, Table};
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use synod_common::plan::{Headline, Plan};

use super::chart::{Band, Dots, Line, LineChart, spread};
use super::figures::{Figure, capital};
use super::page::{STYLE, plan_text};
use super::quantity::{count, metric_or_dash, time};
use super::table::{STYLE as TABLE_STYLE, printable};
use crate::study::{Cell, CellResult, Difference, Row, Spread};

/// Most variants with a line each: as many as there are colours.
const LINES_MAX: usize = 8;
/// Most failures that are told one by one.
const FAILURES_MAX: usize = 50;

/// What the page of a study is made from.
#[derive(Clone, Debug)]
pub struct StudyInput<'a> {
    /// The plan that all runs vary.
    pub plan: &'a Plan,
    /// Seeds of each variant.
    pub seeds: usize,
    /// All runs.
    pub cells: &'a [Cell],
    /// What [`summarise`](crate::study::summarise) made of them.
    pub rows: &'a [Row],
}

/// The rows as a plain-text table without colours or a final line break; a note on the test follows below it.
#[must_use]
pub fn study_table(rows: &[Row], headlines: [Headline; 2]) -> String {
    let strategies = several_strategies(rows);
    let mut heading = vec!["loss".to_owned()];
    heading.extend(strategies.then(|| "strategy".to_owned()));
    heading.extend(["seeds".to_owned(), format!("test {}", headlines[0].title), headlines[1].title.to_owned()]);
    heading.extend(["difference".to_owned(), "p".to_owned()]);
    let mut table = Table::new();
    table.load_style(TABLE_STYLE).set_content_arrangement(ContentArrangement::Disabled).set_header(heading);
    for row in rows {
        let mut cells = vec![printable(&row.variant.loss)];
        cells.extend(strategies.then(|| printable(&row.variant.strategy)));
        cells.push(seeds(row));
        cells.extend(row.values.map(plus_minus));
        cells.extend([difference(row.difference), p_value(row.difference)]);
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1 + usize::from(strategies)) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{}", NOTE)
}

const NOTE: &str = "± is the standard deviation over seeds; the difference to the first row is taken within seeds, p is that of a \
paired t-test, not corrected for the number of rows";

/// The page of a study, complete in itself.
#[must_use]
pub fn study_html(input: &StudyInput<'_>) -> String {
    let headlines = input.plan.task.headlines();
    let seconds: f64 = input.cells.iter().filter_map(Cell::finished).map(|run| run.seconds).sum();
    let failures: Vec<(&Cell, &str)> = input.cells.iter().filter_map(failure).collect();
    markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing may run or be fetched, whatever slipped into the page.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { (input.plan.name) " · Synod comparison" }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                header {
                    p.product { "Synod · comparison" }
                    h1 { (input.plan.name) }
                    p.lead {
                        (count(input.rows.len() as u64, "variant")) ", " (count(input.seeds as u64, "seed")) " each, "
                        (count(u64::from(input.plan.rounds), "round")) ", " (input.plan.model.name()) "; "
                        (count(input.cells.len() as u64, "run")) " in " (time((seconds * 1000.0) as u64)) "."
                    }
                }
                section {
                    h2 { "Results" }
                    div.card { (rows_table(input.rows, headlines)) p.note { (capital(NOTE)) "." } }
                }
                section {
                    h2 { "Spread over seeds" }
                    div.pair { @for headline in headlines { @if let Some(figure) = finals(input, headline) { (figure.render()) } } }
                }
                section {
                    h2 { "Learning" }
                    div.pair {
                        @for headline in headlines { @if let Some(figure) = curves(input, headline) { (figure.render()) } }
                    }
                }
                @if !failures.is_empty() {
                    section {
                        h2 { "Runs that failed" }
                        div.card { div.scroll { table {
                            thead { tr { th scope="col" { "run" } th.number scope="col" { "seed" } th.why scope="col" { "why" } } }
                            tbody { @for (cell, reason) in failures.iter().take(FAILURES_MAX) {
                                tr { th scope="row" { (name(input.rows, &cell.variant)) } td.number { (cell.seed) } td.why { (reason) } }
                            } }
                        } } @if failures.len() > FAILURES_MAX { p.note { "and " (failures.len() - FAILURES_MAX) " more" } } }
                    }
                }
                section {
                    h2 { "Details" }
                    details.card { summary { "The plan that was varied" span { "digest " (input.plan.digest().short()) } } (plan_text(&input.plan.to_toml())) }
                }
                footer { "Made by Synod " (env!("CARGO_PKG_VERSION")) ". This page is complete in itself: it loads nothing and runs nothing." }
            } }
        }
    }
    .into_string()
}

fn failure(cell: &Cell) -> Option<(&Cell, &str)> {
    match &cell.result {
        CellResult::Failed { reason } => Some((cell, reason)),
        CellResult::Finished(_) => None,
    }
}

fn several_strategies(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.variant.strategy != rows[0].variant.strategy)
}

/// A variant by what tells it apart.
fn name(rows: &[Row], variant: &crate::study::Variant) -> String {
    if several_strategies(rows) { format!("{} · {}", variant.loss, variant.strategy) } else { variant.loss.clone() }
}

fn seeds(row: &Row) -> String {
    if row.failed == 0 { row.finished.to_string() } else { format!("{} ({} failed)", row.finished, row.failed) }
}

fn plus_minus(spread: Option<Spread>) -> String {
    match spread {
        Some(Spread { mean, sd: Some(sd) }) => format!("{} ± {}", metric_or_dash(Some(mean)), metric_or_dash(Some(sd))),
        other => metric_or_dash(other.map(|spread| spread.mean)),
    }
}

fn difference(difference: Option<Difference>) -> String {
    difference.map_or_else(|| "–".to_owned(), |difference| format!("{:+.4}", difference.mean))
}

fn p_value(difference: Option<Difference>) -> String {
    match difference.and_then(|difference| difference.p) {
        None => "–".to_owned(),
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}

fn rows_table(rows: &[Row], headlines: [Headline; 2]) -> Markup {
    let best = headlines.iter().enumerate().map(|(at, headline)| {
        let means = rows.iter().filter_map(|row| row.values[at]).map(|spread| spread.mean);
        means.reduce(|best, mean| if headline.prefers(mean, best) { mean } else { best })
    });
    let best: Vec<Option<f64>> = best.collect();
    let strategies = several_strategies(rows);
    markup! {
        div.scroll { table.comparison {
            thead { tr {
                th scope="col" { "loss" } @if strategies { th scope="col" { "strategy" } } th.number scope="col" { "seeds" }
                th.number scope="col" { "test " (headlines[0].title) } th.number scope="col" { (headlines[1].title) }
                th.number scope="col" { "difference to the first" } th.number scope="col" { "p" }
            } }
            tbody { @for (i, row) in rows.iter().enumerate() {
                tr.own[i == 0] {
                    th scope="row" { (row.variant.loss) }
                    @if strategies { td { (row.variant.strategy) } }
                    td.number { (seeds(row)) }
                    @for (value, best) in row.values.iter().zip(&best) {
                        td.number {
                            @if value.is_some() && value.map(|v| v.mean) == *best { strong { (plus_minus(*value)) } } @else { (plus_minus(*value)) }
                        }
                    }
                    td.number { (difference(row.difference)) }
                    td.number { (p_value(row.difference)) }
                }
            } }
        } }
    }
}

/// The last models' values, a row of dots a variant.
fn finals(input: &StudyInput<'_>, headline: Headline) -> Option<Figure> {
    let at = input.plan.task.headlines().iter().position(|h| h.name == headline.name)?;
    let dots = input.rows.iter().enumerate().filter_map(|(i, row)| {
        let spread = row.values[at]?;
        let own = input.cells.iter().filter(|cell| cell.variant == row.variant);
        let values = own.filter_map(|cell| Some((format!("seed {}", cell.seed), cell.value(headline.name)?)));
        let (mean, deviation) = (spread.mean, spread.sd);
        Some(Dots { name: name(input.rows, &row.variant), tone: i % 8 + 1, values: values.collect(), mean, deviation })
    });
    let dots: Vec<Dots> = dots.collect();
    (!dots.is_empty()).then(|| Figure {
        title: format!("{} of the last models", capital(headline.title)),
        text: "A dot is a seed, the stroke their mean, the area one standard deviation to each side.".to_owned(),
        drawing: spread(&dots, &format!("{} on the central test set", headline.title)),
    })
}

/// The mean over seeds of a metric by round, with the range of the seeds.
fn curves(input: &StudyInput<'_>, headline: Headline) -> Option<Figure> {
    let mut chart = LineChart { y_label: headline.title, ..LineChart::default() };
    for (i, row) in input.rows.iter().enumerate().take(LINES_MAX) {
        let mut by_round: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for run in input.cells.iter().filter(|cell| cell.variant == row.variant).filter_map(Cell::finished) {
            for (round, metrics) in &run.central {
                by_round.entry(*round).or_default().extend(metrics.get(headline.name));
            }
        }
        let (name, tone) = (name(input.rows, &row.variant), i % 8 + 1);
        let (mut line, mut band) = (Vec::new(), Vec::new());
        for (round, values) in by_round {
            let range = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
            line.extend(Spread::of(&values).map(|spread| (round as f64, spread.mean)));
            band.push((round as f64, range.0, range.1));
        }
        chart.bands.push(Band { name: format!("{name}, lowest to highest seed"), tone, points: band });
        chart.lines.push(Line { name, tone, points: line });
    }
    let more = input.rows.len().saturating_sub(LINES_MAX);
    let mut text =
        "Means over seeds on the central test set; the area reaches from the lowest to the highest seed.".to_owned();
    if more > 0 {
        text.push_str(&format!(" The first {LINES_MAX} variants are drawn, {more} more are in the table."));
    }
    (!chart.is_empty()).then(|| Figure {
        title: format!("{} per round", capital(headline.title)),
        text,
        drawing: chart.render_with(super::chart::BandLegend::Without),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::summarise;
    use crate::study::tests::{cell, failed, variant};
    use synod_common::plan::{AnyLoss, Task};

    const HEADLINES: fn() -> [Headline; 2] = || Task::Classification { classes: 2 }.headlines();

    fn rows() -> (Vec<Cell>, Vec<Row>) {
        let cells = vec![
            cell("cross_entropy", 1, 0.5),
            cell("focal{gamma=2}", 1, 0.6),
            cell("cross_entropy", 2, 0.7),
            cell("focal{gamma=2}", 2, 0.78),
            failed("<b>mse</b>", 1),
        ];
        let variants = ["cross_entropy", "focal{gamma=2}", "<b>mse</b>"].map(variant);
        let rows = summarise(&variants, &cells, HEADLINES());
        (cells, rows)
    }

    #[test]
    fn the_table_has_a_line_a_variant() {
        let text = study_table(&rows().1, HEADLINES());
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>().join(" "),
            "loss seeds test accuracy balanced accuracy difference p"
        );
        assert!(lines[2].contains("cross_entropy") && lines[2].contains("0.6000 ± 0.1414"), "{text}");
        assert!(
            lines[3].contains("0.6900 ± 0.1273") && lines[3].contains("+0.0900") && lines[3].contains("0.070"),
            "{text}"
        );
        assert!(lines[4].contains("0 (1 failed)"), "{text}");
    }

    #[test]
    fn the_page_is_complete_and_what_came_from_outside_is_escaped() {
        let text = "model = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n";
        let plan = Plan::read(text, &AnyLoss).unwrap();
        let (cells, rows) = rows();
        let page = study_html(&StudyInput { plan: &plan, seeds: 2, cells: &cells, rows: &rows });
        assert!(page.contains("Accuracy of the last models") && page.contains("Accuracy per round"));
        assert!(page.contains("training diverged") && page.contains("&lt;b&gt;mse"));
        assert!(!page.contains("<b>mse") && !page.contains("<script") && !page.contains("NaN"));
    }
}
