//! How many sites have which value.

use maud::{Markup, html};

use super::lines::px;
use super::scale::Domain;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
const BINS: usize = 25;

/// Counts of `values` (each in 0 to 1) in equal bins.
pub(crate) fn histogram(values: &[f64], x_label: &str) -> Markup {
    let mut bins = [0_u64; BINS];
    for value in values.iter().filter(|v| v.is_finite()) {
        bins[((value.clamp(0.0, 1.0) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let x = Domain { low: 0.0, high: 1.0, step: 0.2 };
    let y = Domain::around(bins.iter().map(|b| *b as f64).chain([0.0]), 4.0);
    let across = |value: f64| LEFT + x.at(value) * (WIDTH - LEFT - RIGHT);
    let down = |value: f64| TOP + (1.0 - y.at(value)) * (HEIGHT - TOP - BOTTOM);
    html! {
        svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(format!("sites by {x_label}")) {
            @for tick in y.ticks() {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(px(down(tick))) y2=(px(down(tick))) {}
                text.tick x=(LEFT - 8.0) y=(px(down(tick) + 4.0)) text-anchor="end" { (y.label(tick)) }
            }
            @for tick in x.ticks() {
                text.tick x=(px(across(tick))) y=(HEIGHT - BOTTOM + 18.0) text-anchor="middle" { (x.label(tick)) }
            }
            @for (i, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
                @let from = i as f64 / BINS as f64;
                @let to = (i + 1) as f64 / BINS as f64;
                rect.bar.t1 x=(px(across(from) + 1.0)) y=(px(down(*count as f64))) width=(px(across(to) - across(from) - 2.0))
                    height=(px(down(0.0) - down(*count as f64))) { title { (count) " sites: " (format!("{from:.2} to {to:.2}")) } }
            }
            line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
            text.label x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { (x_label) }
            text.label transform=(format!("translate(13 {}) rotate(-90)", (TOP + HEIGHT - BOTTOM) / 2.0)) text-anchor="middle" { "sites" }
        }
    }
}
