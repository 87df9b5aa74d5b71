//! Lines over rounds, with bands behind them.

use maud::{Markup, html};

use super::scale::Domain;
use crate::report::quantity::short;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Most points of one line: two a pixel column would not be seen.
const POINTS_MAX: usize = 320;
/// Most points that are drawn as dots; longer lines have dots that only appear under the pointer.
const DOTS_MAX: usize = 60;

/// x, low, high.
type Span = (f64, f64, f64);

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// 1 to 8: the colour, and the dashes that tell lines apart without colour.
    pub(crate) tone: usize,
    /// (x, y), ascending in x; values that are not finite are left out.
    pub(crate) points: Vec<(f64, f64)>,
}

/// An area between two lines.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) name: String,
    pub(crate) tone: usize,
    /// Ascending in x.
    pub(crate) points: Vec<Span>,
}

/// Whether bands stand in the legend: not where each belongs to a line of its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BandLegend {
    With,
    Without,
}

/// Lines over rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineChart {
    pub(crate) y_label: &'static str,
    /// What x is, where it is no round.
    pub(crate) x_label: Option<&'static str>,
    /// A value the y axis always shows.
    pub(crate) anchor: Option<f64>,
    pub(crate) lines: Vec<Line>,
    pub(crate) bands: Vec<Band>,
}

impl LineChart {
    /// Whether there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.points.iter().all(|p| !p.1.is_finite()))
    }

    /// Legend and drawing.
    pub(crate) fn render(&self) -> Markup {
        self.render_with(BandLegend::With)
    }

    /// Legend, with or without the bands, and drawing.
    pub(crate) fn render_with(&self, bands_in_legend: BandLegend) -> Markup {
        let lines: Vec<(&Line, Vec<(f64, f64)>)> = self.lines.iter().map(|line| (line, thin(&line.points))).collect();
        let bands: Vec<(&Band, Vec<Span>)> = self.bands.iter().map(|band| (band, thin_band(&band.points))).collect();
        let xs = lines.iter().flat_map(|l| &l.1).map(|p| p.0).chain(bands.iter().flat_map(|b| &b.1).map(|p| p.0));
        let mut x = Domain::around(xs.clone(), 8.0);
        // Rounds are whole, and the axis ends where they do.
        if self.x_label.is_none() {
            x.step = x.step.max(1.0);
        }
        let x_name = self.x_label.unwrap_or("round");
        let (first, last) = xs.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if first < last {
            (x.low, x.high) = (first, last);
        }
        let ys = lines.iter().flat_map(|l| &l.1).map(|p| p.1);
        let ys = ys.chain(bands.iter().flat_map(|b| &b.1).flat_map(|p| [p.1, p.2])).chain(self.anchor);
        let y = Domain::around(ys, 5.0);
        let place = |px: f64, py: f64| {
            (LEFT + x.at(px) * (WIDTH - LEFT - RIGHT), TOP + (1.0 - y.at(py)) * (HEIGHT - TOP - BOTTOM))
        };
        let x_ticks: Vec<f64> = {
            let start = (x.low / x.step).ceil() * x.step;
            (0..50).map(|i| start + f64::from(i) * x.step).take_while(|t| *t <= x.high + 1e-9).collect()
        };
        html! {
            (legend(self, bands_in_legend))
            svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.label()) {
                @for tick in y.ticks() {
                    @let at = place(x.low, tick).1;
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(px(at)) y2=(px(at)) {}
                    text.tick x=(LEFT - 8.0) y=(px(at + 4.0)) text-anchor="end" { (y.label(tick)) }
                }
                @for tick in x_ticks {
                    @let at = place(tick, y.low).0;
                    line.axis x1=(px(at)) x2=(px(at)) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM + 5.0) {}
                    text.tick x=(px(at)) y=(HEIGHT - BOTTOM + 19.0) text-anchor="middle" { (x.label(tick)) }
                }
                line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
                text.label x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { (x_name) }
                text.label transform=(format!("translate(13 {}) rotate(-90)", (TOP + HEIGHT - BOTTOM) / 2.0)) text-anchor="middle" { (self.y_label) }
                @for (band, points) in &bands {
                    path class=(format!("band t{}", band.tone)) d=(outline(points, &place)) { title { (band.name) } }
                }
                @for (line, points) in &lines {
                    path class=(format!("line t{}", line.tone)) d=(route(points, &place)) {}
                }
                @for (line, points) in &lines {
                    g class=(format!("dots t{}{}", line.tone, if points.len() > DOTS_MAX { " quiet" } else { "" })) {
                        @for (vx, vy) in points {
                            @let (cx, cy) = place(*vx, *vy);
                            circle cx=(px(cx)) cy=(px(cy)) r="3" { title { (line.name) ", " (self.place_of(*vx)) ": " (short(*vy)) } }
                        }
                    }
                }
            }
        }
    }

    fn label(&self) -> String {
        let names: Vec<&str> = self.lines.iter().map(|line| line.name.as_str()).collect();
        format!("{} over {}: {}", self.y_label, self.x_label.unwrap_or("rounds"), names.join(", "))
    }

    fn place_of(&self, x: f64) -> String {
        match self.x_label {
            Some(unit) => format!("{} {unit}", short(x)),
            None => format!("round {x:.0}"),
        }
    }
}

fn legend(chart: &LineChart, bands: BandLegend) -> Markup {
    html! {
        ul.legend {
            @for line in &chart.lines {
                li { svg viewBox="0 0 26 10" aria-hidden="true" { path class=(format!("line t{}", line.tone)) d="M1 5H25" {} } (line.name) }
            }
            @for band in chart.bands.iter().filter(|_| bands == BandLegend::With) {
                li { svg viewBox="0 0 26 10" aria-hidden="true" { path class=(format!("band t{}", band.tone)) d="M1 0H25V10H1Z" {} } (band.name) }
            }
        }
    }
}

/// A coordinate with one digit after the point.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

fn route(points: &[(f64, f64)], place: &impl Fn(f64, f64) -> (f64, f64)) -> String {
    let mut path = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let (x, y) = place(*x, *y);
        path.push_str(&format!("{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' }));
    }
    path
}

fn outline(points: &[Span], place: &impl Fn(f64, f64) -> (f64, f64)) -> String {
    let there = points.iter().map(|p| (p.0, p.2));
    let back = points.iter().rev().map(|p| (p.0, p.1));
    let around: Vec<(f64, f64)> = there.chain(back).collect();
    route(&around, place) + "Z"
}

/// At most [`POINTS_MAX`] of the finite points: of each stretch the lowest and the highest, so that no spike is lost, and
/// the two ends.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.1.is_finite()).collect();
    if points.len() <= POINTS_MAX {
        return points;
    }
    let stretch = points.len().div_ceil(POINTS_MAX / 2 - 1);
    let mut kept = vec![points[0]];
    for part in points.chunks(stretch) {
        let low = (0..part.len()).min_by(|a, b| part[*a].1.total_cmp(&part[*b].1)).unwrap_or(0);
        let high = (0..part.len()).max_by(|a, b| part[*a].1.total_cmp(&part[*b].1)).unwrap_or(0);
        kept.push(part[low.min(high)]);
        kept.push(part[low.max(high)]);
    }
    kept.push(points[points.len() - 1]);
    kept.dedup();
    kept
}

/// At most [`POINTS_MAX`] points: each stretch from its lowest low to its highest high.
fn thin_band(points: &[Span]) -> Vec<Span> {
    let points: Vec<Span> = points.iter().copied().filter(|p| p.1.is_finite() && p.2.is_finite()).collect();
    let stretch = points.len().div_ceil(POINTS_MAX).max(1);
    points
        .chunks(stretch)
        .map(|part| {
            let low = part.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
            let high = part.iter().map(|p| p.2).fold(f64::NEG_INFINITY, f64::max);
            (part[part.len() / 2].0, low, high)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_ends_and_spikes() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), 0.5)).collect();
        points[70_001].1 = 9.0;
        points[3].1 = f64::NAN;
        let kept = thin(&points);
        assert!(kept.len() <= POINTS_MAX);
        assert!(kept.contains(&(70_001.0, 9.0)));
        assert_eq!((kept[0].0, kept[kept.len() - 1].0), (0.0, 99_999.0));
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_chart_of_one_point_or_none_is_drawn() {
        for points in [vec![], vec![(1.0, 2.0)], vec![(1.0, f64::NAN)]] {
            let chart = LineChart { lines: vec![Line { name: "a".into(), tone: 1, points }], ..LineChart::default() };
            assert!(!chart.render().into_string().contains("NaN"));
        }
    }
}
