//! A row of dots a name, with their mean and standard deviation.

use maud::{Markup, html};

use super::bars::shortened;
use super::lines::px;
use super::scale::Domain;
use crate::report::quantity::short;

const WIDTH: f64 = 640.0;
const ROW: f64 = 30.0;
const RIGHT: f64 = 66.0;
const BOTTOM: f64 = 40.0;

/// Values with a name.
#[derive(Clone, Debug)]
pub(crate) struct Dots {
    pub(crate) name: String,
    /// 1 to 8: the colour.
    pub(crate) tone: usize,
    /// What each value is of, and the value.
    pub(crate) values: Vec<(String, f64)>,
    pub(crate) mean: f64,
    pub(crate) deviation: Option<f64>,
}

/// Drawing of `rows` on one axis that need not begin at 0: places are compared, not lengths.
pub(crate) fn spread(rows: &[Dots], x_label: &str) -> Markup {
    let ends = rows.iter().flat_map(|row| {
        let deviation = row.deviation.unwrap_or(0.0);
        row.values.iter().map(|value| value.1).chain([row.mean - deviation, row.mean + deviation])
    });
    let x = Domain::around(ends, 5.0);
    let longest = rows.iter().map(|row| row.name.chars().count().min(28)).max().unwrap_or(0);
    let left = 18.0 + 7.2 * longest as f64;
    let height = ROW * rows.len() as f64 + BOTTOM + 6.0;
    let place = |value: f64| left + x.at(value) * (WIDTH - left - RIGHT);
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(format!("{x_label}, a row of dots each")) {
            @for tick in x.ticks() {
                @let at = place(tick);
                line.grid x1=(px(at)) x2=(px(at)) y1="2" y2=(height - BOTTOM) {}
                text.tick x=(px(at)) y=(height - BOTTOM + 17.0) text-anchor="middle" { (x.label(tick)) }
            }
            @for (i, row) in rows.iter().enumerate() {
                @let y = ROW * i as f64 + 19.0;
                text.name x=(px(left - 8.0)) y=(px(y + 4.5)) text-anchor="end" { (shortened(&row.name)) }
                @if let Some(deviation) = row.deviation {
                    rect class=(format!("band t{}", row.tone)) x=(px(place(row.mean - deviation))) y=(px(y - 9.0)) height="18" rx="2"
                        width=(px(place(row.mean + deviation) - place(row.mean - deviation))) {
                        title { (row.name) ": mean " (short(row.mean)) ", standard deviation " (short(deviation)) }
                    }
                }
                path class=(format!("line t{}", row.tone)) style="stroke-dasharray: none" d=(format!("M{0} {1}V{2}", px(place(row.mean)), px(y - 9.0), px(y + 9.0))) {}
                g class=(format!("dots t{}", row.tone)) {
                    @for (what, value) in &row.values {
                        circle cx=(px(place(*value))) cy=(px(y)) r="4" { title { (row.name) ", " (what) ": " (short(*value)) } }
                    }
                }
                text.value x=(WIDTH - RIGHT + 12.0) y=(px(y + 4.5)) { (short(row.mean)) }
            }
            line.axis x1=(px(left)) x2=(px(left)) y1="2" y2=(height - BOTTOM) {}
            text.label x=(px((left + WIDTH - RIGHT) / 2.0)) y=(height - 4.0) text-anchor="middle" { (x_label) }
        }
    }
}
