//! Tables of counts as shaded cells with their numbers.

use maud::{Markup, html};

use super::bars::shortened;
use super::lines::px;

const WIDTH: f64 = 640.0;
const ROW: f64 = 24.0;
const TOP: f64 = 40.0;
/// Cells narrower than this have no room for a number.
const NUMBER_WIDTH_MIN: f64 = 22.0;

/// What a cell's shade is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shade {
    /// The largest count of all.
    All,
    /// The sum of the cell's row.
    Row,
}

/// Counts by row and column.
#[derive(Clone, Debug)]
pub(crate) struct Heat {
    pub(crate) rows: Vec<(String, Vec<u64>)>,
    pub(crate) columns: Vec<String>,
    pub(crate) row_label: &'static str,
    pub(crate) column_label: &'static str,
    pub(crate) shade: Shade,
}

impl Heat {
    /// The drawing.
    pub(crate) fn render(&self) -> Markup {
        let longest = self.rows.iter().map(|r| r.0.chars().count().min(28)).max().unwrap_or(0);
        let left = (18.0 + 7.2 * longest as f64).max(64.0);
        let cell = ((WIDTH - left - 6.0) / self.columns.len().max(1) as f64).min(64.0);
        let width = left + cell * self.columns.len() as f64 + 6.0;
        let height = TOP + ROW * self.rows.len() as f64 + 4.0;
        let largest = self.rows.iter().flat_map(|r| &r.1).copied().max().unwrap_or(0).max(1) as f64;
        let digits = self.rows.iter().flat_map(|r| &r.1).copied().max().unwrap_or(0).to_string().len();
        let numbered = cell >= NUMBER_WIDTH_MIN && cell >= 7.5 * digits as f64 + 4.0;
        // Every column named where names fit, else about ten of them.
        let widest = self.columns.iter().map(|c| c.chars().count()).max().unwrap_or(1).min(12) as f64;
        let every = ((widest * 7.5 + 4.0) / cell).ceil().max(1.0) as usize;
        html! {
            svg.chart.heat viewBox=(format!("0 0 {WIDTH} {height}")) role="img"
                aria-label=(format!("counts by {} and {}", self.row_label, self.column_label)) {
                text.label x=(px(left - 8.0)) y="14" text-anchor="end" { (self.row_label) }
                text.label x=(px((left + width) / 2.0)) y="14" text-anchor="middle" { (self.column_label) }
                @for (i, name) in self.columns.iter().enumerate().filter(|(i, _)| i.is_multiple_of(every)) {
                    text.tick x=(px(left + cell * (i as f64 + 0.5))) y=(TOP - 8.0) text-anchor="middle" { (name.chars().take(12).collect::<String>()) }
                }
                @for (r, (name, counts)) in self.rows.iter().enumerate() {
                    @let y = TOP + ROW * r as f64;
                    @let sum = counts.iter().map(|count| *count as f64).sum::<f64>().max(1.0);
                    text.name x=(px(left - 8.0)) y=(px(y + 16.0)) text-anchor="end" { (shortened(name)) }
                    @for (c, count) in counts.iter().enumerate().take(self.columns.len()) {
                        @let x = left + cell * c as f64;
                        // The root spreads small counts, which a linear shade would all show as nothing.
                        @let share = (*count as f64 / if self.shade == Shade::All { largest } else { sum }).sqrt();
                        g {
                            title { (name) ", " (self.column_label) " " (self.columns[c]) ": " (count) }
                            rect.empty x=(px(x + 0.5)) y=(px(y + 0.5)) width=(px(cell - 1.0)) height=(ROW - 1.0) {}
                            @if *count > 0 {
                                rect.shade x=(px(x + 0.5)) y=(px(y + 0.5)) width=(px(cell - 1.0)) height=(ROW - 1.0)
                                    fill-opacity=(format!("{:.2}", 0.06 + 0.94 * share)) {}
                            }
                            @if numbered {
                                text class=(if *count == 0 { "cell zero" } else if share > 0.62 { "cell strong" } else { "cell" })
                                    x=(px(x + cell / 2.0)) y=(px(y + 16.0)) text-anchor="middle" { (count) }
                            }
                        }
                    }
                }
            }
        }
    }
}
