//! Charts as SVG inside the page: lines, horizontal bars, rows of dots, histograms, heat maps.
//!
//! Colours are CSS classes (`t1` to `t8` for series), so one chart serves light, dark and print. Everything with a
//! value has a `<title>`, which browsers show on hover and screen readers read.

mod bars;
mod heat;
mod histogram;
mod lines;
mod scale;
mod spread;

pub(super) use bars::{Bar, bars};
pub(super) use heat::{Heat, Shade};
pub(super) use histogram::histogram;
pub(super) use lines::{Band, BandLegend, Line, LineChart};
pub(super) use spread::{Dots, spread};
