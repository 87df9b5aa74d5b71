//! Horizontal bars, one a name, each with an optional second value as a ring.

use maud::{Markup, html};

use super::lines::px;
use super::scale::Domain;
use crate::report::quantity::short;

const WIDTH: f64 = 640.0;
const ROW: f64 = 24.0;
const RIGHT: f64 = 60.0;
const BOTTOM: f64 = 40.0;

/// A bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: Option<f64>,
    pub(crate) ring: Option<f64>,
}

/// Legend and drawing of `bars` from zero; `names` says what bar and ring are.
pub(crate) fn bars(bars: &[Bar], names: [&str; 2], x_label: &str) -> Markup {
    let values = bars.iter().flat_map(|b| [b.value, b.ring]).flatten().filter(|v| v.is_finite());
    let x = Domain::around(values.chain([0.0, 1.0]), 5.0);
    let longest = bars.iter().map(|b| b.name.chars().count().min(28)).max().unwrap_or(0);
    let left = 18.0 + 7.2 * longest as f64;
    let height = ROW * bars.len() as f64 + BOTTOM + 6.0;
    let place = |value: f64| left + x.at(value) * (WIDTH - left - RIGHT);
    let rings = bars.iter().any(|b| b.ring.is_some());
    html! {
        ul.legend {
            li { svg viewBox="0 0 26 10" aria-hidden="true" { rect.bar.t1 x="1" y="0" width="24" height="10" rx="2" {} } (names[0]) }
            @if rings { li { svg viewBox="0 0 26 10" aria-hidden="true" { circle.ring.t2 cx="13" cy="5" r="4" {} } (names[1]) } }
        }
        svg.chart viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(format!("{x_label}, a bar a site")) {
            @for tick in x.ticks() {
                @let at = place(tick);
                line.grid x1=(px(at)) x2=(px(at)) y1="2" y2=(height - BOTTOM) {}
                text.tick x=(px(at)) y=(height - BOTTOM + 17.0) text-anchor="middle" { (x.label(tick)) }
            }
            @for (i, bar) in bars.iter().enumerate() {
                @let y = ROW * i as f64 + 4.0;
                text.name x=(px(left - 8.0)) y=(px(y + 14.0)) text-anchor="end" { (shortened(&bar.name)) }
                @if let Some(value) = bar.value.filter(|v| v.is_finite()) {
                    rect.bar.t1 x=(px(place(0.0))) y=(px(y + 2.0)) width=(px(place(value) - place(0.0))) height="15" rx="2" {
                        title { (bar.name) ": " (names[0]) " " (short(value)) }
                    }
                }
                @if let Some(ring) = bar.ring.filter(|v| v.is_finite()) {
                    circle.ring.t2 cx=(px(place(ring))) cy=(px(y + 9.5)) r="5" { title { (bar.name) ": " (names[1]) " " (short(ring)) } }
                }
                @if let Some(value) = bar.value {
                    text.value x=(WIDTH - RIGHT + 12.0) y=(px(y + 14.0)) { (short(value)) }
                }
            }
            line.axis x1=(px(left)) x2=(px(left)) y1="2" y2=(height - BOTTOM) {}
            text.label x=(px((left + WIDTH - RIGHT) / 2.0)) y=(height - 4.0) text-anchor="middle" { (x_label) }
        }
    }
}

/// At most 28 characters.
pub(super) fn shortened(name: &str) -> String {
    if name.chars().count() <= 28 { name.to_owned() } else { name.chars().take(27).chain(['…']).collect() }
}
