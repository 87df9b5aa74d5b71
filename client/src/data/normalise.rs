//! From raw values to model inputs: missing numbers filled, then each input scaled as the plan says.

use synod_common::plan::{Normalise, Plan};

use super::dataset::{Dataset, Inputs};
use super::error::DataError;

/// Added to each standard deviation before dividing, as FLamby does.
const STD_EPSILON: f64 = 1e-9;
/// An input whose standard deviation is below this share of its mean is constant but for rounding. It is centred and not
/// scaled: dividing by a deviation of nothing would turn the first other value into a billion.
const CONSTANT_SHARE: f64 = 1e-12;

/// A fitted normalisation, applied to samples while a batch is gathered.
#[derive(Clone, Debug, PartialEq)]
pub struct Normaliser {
    scale: Scale,
    /// For each input, what replaces a missing value, already normalised. Empty where nothing is missing.
    fill: Vec<f32>,
}

/// `(value - mean) * factor`.
#[derive(Clone, Debug, PartialEq)]
enum Scale {
    Identity,
    One { mean: f32, factor: f32 },
    PerChannel { mean: Vec<f32>, factor: Vec<f32>, plane: usize },
    PerInput { mean: Vec<f64>, factor: Vec<f64> },
}

impl Scale {
    fn one(&self, value: f64, input: usize) -> f64 {
        match self {
            Self::Identity => value,
            Self::One { mean, factor } => (value - f64::from(*mean)) * f64::from(*factor),
            Self::PerChannel { mean, factor, plane } => {
                (value - f64::from(mean[input / plane])) * f64::from(factor[input / plane])
            }
            Self::PerInput { mean, factor } => (value - mean[input]) * factor[input],
        }
    }
}

/// A raw value of a sample.
trait Raw: Copy {
    fn single(self) -> f32;
}

impl Raw for f32 {
    fn single(self) -> f32 {
        self
    }
}

impl Raw for u8 {
    fn single(self) -> f32 {
        f32::from(self)
    }
}

impl Normaliser {
    /// Fits the plan's normalisation on the samples `rows` of `dataset`: a site's training samples, or all sites'.
    ///
    /// Missing numbers count as the mean of the measured ones; where none is measured, as 0.
    ///
    /// # Errors
    /// When the plan's constants do not fit the shape, or a row is outside the data set.
    pub fn fit(plan: &Plan, dataset: &Dataset, rows: &[u32]) -> Result<Self, DataError> {
        check_rows(dataset, rows)?;
        let scale = match &plan.data.normalise {
            Normalise::None => Scale::Identity,
            Normalise::Divide { by } => Scale::One { mean: 0.0, factor: (1.0 / by) as f32 },
            Normalise::Given { mean, std } => given(mean, std, dataset)?,
            Normalise::Standard { .. } => {
                let mean = means(dataset, rows);
                let factor = deviations(dataset, rows, &mean).iter().zip(&mean).map(|(s, m)| factor(*s, *m)).collect();
                Scale::PerInput { mean, factor }
            }
        };
        Ok(Self { scale, fill: Vec::new() }.filled(dataset, rows))
    }

    /// The same scaling with missing numbers replaced by the means of other samples: a site's own, under a scaling that
    /// was fitted on all sites together.
    ///
    /// # Errors
    /// When a row is outside the data set.
    pub fn with_fill_of(&self, dataset: &Dataset, rows: &[u32]) -> Result<Self, DataError> {
        check_rows(dataset, rows)?;
        Ok(self.clone().filled(dataset, rows))
    }

    fn filled(mut self, dataset: &Dataset, rows: &[u32]) -> Self {
        if dataset.has_missing() {
            let means = means(dataset, rows);
            self.fill = means.iter().enumerate().map(|(input, mean)| self.scale.one(*mean, input) as f32).collect();
        }
        self
    }

    /// Appends the normalised sample `row` of `dataset`.
    pub(super) fn append(&self, dataset: &Dataset, row: usize, out: &mut Vec<f32>) {
        let width = dataset.sample_values();
        let place = row * width..(row + 1) * width;
        match dataset.inputs() {
            Inputs::U8(values) => self.scale_into(&values[place], out),
            Inputs::F32(values) => {
                let start = out.len();
                self.scale_into(&values[place], out);
                if dataset.has_missing() {
                    for (input, value) in out[start..].iter_mut().enumerate() {
                        if value.is_nan() {
                            *value = self.fill.get(input).copied().unwrap_or(0.0);
                        }
                    }
                }
            }
        }
    }

    fn scale_into<T: Raw>(&self, values: &[T], out: &mut Vec<f32>) {
        match &self.scale {
            Scale::Identity => out.extend(values.iter().map(|v| v.single())),
            Scale::One { mean, factor } => out.extend(values.iter().map(|v| (v.single() - mean) * factor)),
            Scale::PerChannel { mean, factor, plane } => {
                for ((values, mean), factor) in values.chunks_exact(*plane).zip(mean).zip(factor) {
                    out.extend(values.iter().map(|v| (v.single() - mean) * factor));
                }
            }
            Scale::PerInput { mean, factor } => {
                // Double precision: a column like a year has a mean far from 0 and a small deviation.
                let scaled = values.iter().zip(mean).zip(factor);
                out.extend(scaled.map(|((v, mean), factor)| ((f64::from(v.single()) - mean) * factor) as f32));
            }
        }
    }
}

/// Checks that all `rows` are in `dataset`.
pub(super) fn check_rows(dataset: &Dataset, rows: &[u32]) -> Result<(), DataError> {
    match rows.iter().find(|row| **row as usize >= dataset.len()) {
        None => Ok(()),
        Some(row) => {
            Err(DataError::Parts { why: format!("row {row} is outside a data set of {} samples", dataset.len()) })
        }
    }
}

fn factor(deviation: f64, mean: f64) -> f64 {
    if deviation <= mean.abs() * CONSTANT_SHARE { 1.0 } else { 1.0 / (deviation + STD_EPSILON) }
}

fn given(mean: &[f64], std: &[f64], dataset: &Dataset) -> Result<Scale, DataError> {
    let (shape, width) = (dataset.shape(), dataset.sample_values());
    let factor: Vec<f64> = std.iter().map(|s| 1.0 / s).collect();
    let channels = shape.first().copied().unwrap_or(1);
    match (mean, factor.as_slice()) {
        ([mean], [factor]) => Ok(Scale::One { mean: *mean as f32, factor: *factor as f32 }),
        _ if mean.len() != factor.len() || (mean.len() != width && mean.len() != channels) => {
            let why = format!("{} means and {} deviations for samples of the shape {shape:?}", mean.len(), std.len());
            Err(DataError::Parts { why })
        }
        _ if mean.len() == width => Ok(Scale::PerInput { mean: mean.to_vec(), factor }),
        _ => Ok(Scale::PerChannel {
            mean: mean.iter().map(|m| *m as f32).collect(),
            factor: factor.iter().map(|f| *f as f32).collect(),
            plane: width / channels,
        }),
    }
}

/// Calls `each` with every value of the rows that is there, row by row.
fn for_each_value(dataset: &Dataset, rows: &[u32], mut each: impl FnMut(usize, f64)) {
    let width = dataset.sample_values();
    for row in rows {
        let start = *row as usize * width;
        match dataset.inputs() {
            Inputs::U8(values) => {
                values[start..start + width].iter().enumerate().for_each(|(input, v)| each(input, f64::from(*v)));
            }
            Inputs::F32(values) => {
                for (input, value) in values[start..start + width].iter().enumerate() {
                    if !value.is_nan() {
                        each(input, f64::from(*value));
                    }
                }
            }
        }
    }
}

/// The mean of each input over the values that are there; 0 where there is none.
fn means(dataset: &Dataset, rows: &[u32]) -> Vec<f64> {
    let mut sums = vec![(0.0, 0_u64); dataset.sample_values()];
    for_each_value(dataset, rows, |input, value| {
        sums[input].0 += value;
        sums[input].1 += 1;
    });
    sums.into_iter().map(|(sum, count)| if count == 0 { 0.0 } else { sum / count as f64 }).collect()
}

/// The standard deviation (n-1) of each input, missing values counted as the mean.
fn deviations(dataset: &Dataset, rows: &[u32], means: &[f64]) -> Vec<f64> {
    let mut squares = vec![0.0; dataset.sample_values()];
    for_each_value(dataset, rows, |input, value| squares[input] += (value - means[input]).powi(2));
    let divisor = rows.len().saturating_sub(1).max(1) as f64;
    squares.into_iter().map(|sum| (sum / divisor).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::plan;

    fn fitted(normalise: &str, inputs: Inputs, shape: &[usize], fit_on: &[u32]) -> Vec<f32> {
        let samples = inputs.len() / shape.iter().product::<usize>();
        let data = Dataset::new(inputs, vec![0; samples], shape.to_vec()).unwrap();
        let text = format!("[data]\nnormalise = \"none\"\n[data.source.npz]\nfile = \"x\"\nshape = {shape:?}\n");
        let plan = plan(2, &text.replace("normalise = \"none\"", normalise));
        let normaliser = Normaliser::fit(&plan, &data, fit_on).unwrap();
        let mut out = Vec::new();
        (0..samples).for_each(|row| normaliser.append(&data, row, &mut out));
        out
    }

    #[test]
    fn constants_scale_everything_channels_or_inputs() {
        let bytes = || Inputs::U8(vec![0, 51, 102, 255]);
        assert_eq!(fitted("normalise = \"none\"", bytes(), &[2, 2], &[]), [0.0, 51.0, 102.0, 255.0]);
        assert_eq!(fitted("normalise.divide.by = 51", bytes(), &[2, 2], &[]), [0.0, 1.0, 2.0, 5.0]);
        let given = |mean: &str, std: &str| format!("normalise.given = {{ mean = {mean}, std = {std} }}");
        assert_eq!(fitted(&given("[51.0]", "[0.5]"), bytes(), &[2, 2], &[]), [-102.0, 0.0, 102.0, 408.0]);
        assert_eq!(fitted(&given("[0.0, 102.0]", "[1.0, 0.5]"), bytes(), &[2, 2], &[]), [0.0, 51.0, 0.0, 306.0]);
        let per_input = given("[0.0, 1.0, 2.0, 255.0]", "[1.0, 0.5, 1.0, 1.0]");
        assert_eq!(fitted(&per_input, bytes(), &[2, 2], &[]), [0.0, 100.0, 100.0, 0.0]);
    }

    #[test]
    fn standard_scaling_is_fitted_on_the_given_rows_with_n_minus_1() {
        // Rows 0 to 2 have the mean 2 and, divided by n-1, the deviation 1; row 3 does not count.
        let out = fitted("normalise = \"standard\"", Inputs::F32(vec![1.0, 2.0, 3.0, 10.0]), &[1], &[0, 1, 2]);
        for (value, expected) in out.iter().zip([-1.0, 0.0, 1.0, 8.0]) {
            assert!((value - expected).abs() < 1e-6, "{out:?}");
        }
        let out = fitted("normalise = \"standard\"", Inputs::U8(vec![1, 2, 3, 10]), &[1], &[0, 1, 2]);
        assert!((out[3] - 8.0).abs() < 1e-6);
    }

    #[test]
    fn constant_inputs_do_not_explode() {
        let values = vec![0.1, 0.1, 0.1, 1.1];
        let out = fitted("normalise = \"standard\"", Inputs::F32(values), &[1], &[0, 1, 2]);
        assert!(out[..3].iter().all(|v| v.abs() < 1e-6) && (out[3] - 1.0).abs() < 1e-6, "{out:?}");
        // One training row has no deviation either.
        assert_eq!(fitted("normalise = \"standard\"", Inputs::F32(vec![5.0, 7.0]), &[1], &[0]), [0.0, 2.0]);
    }

    #[test]
    fn missing_values_become_the_mean_and_never_reach_the_model() {
        let values = || Inputs::F32(vec![1.0, f32::NAN, f32::NAN, f32::NAN, 3.0, f32::NAN]);
        let raw = fitted("normalise = \"none\"", values(), &[2], &[0, 1, 2]);
        assert_eq!(raw, [1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
        // Deviations -1, 0, 1 of three rows: the deviation is 1.
        let out = fitted("normalise = \"standard\"", values(), &[2], &[0, 1, 2]);
        assert_eq!(out, [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0].map(|v: f32| if v == 0.0 { 0.0 } else { v }));
        assert_eq!(fitted("normalise.divide.by = 2", values(), &[2], &[0, 1, 2])[2], 1.0);
    }

    #[test]
    fn a_pooled_scale_can_have_a_site_s_own_fill() {
        let text = "[data]\nnormalise = \"none\"\n[data.source.npz]\nfile = \"x\"\nshape = [1]\n";
        let plan = plan(2, text);
        let data = Dataset::new(Inputs::F32(vec![1.0, f32::NAN, 5.0]), vec![0; 3], vec![1]).unwrap();
        let pooled = Normaliser::fit(&plan, &data, &[0, 1, 2]).unwrap();
        let own = pooled.with_fill_of(&data, &[1, 2]).unwrap();
        let value = |normaliser: &Normaliser| {
            let mut out = Vec::new();
            normaliser.append(&data, 1, &mut out);
            out[0]
        };
        assert_eq!((value(&pooled), value(&own)), (3.0, 5.0));
        assert!(Normaliser::fit(&plan, &data, &[3]).is_err());
    }
}
