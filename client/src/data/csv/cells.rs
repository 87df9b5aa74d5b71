//! From the text of a cell to a number, a level or a class.

use std::collections::HashMap;

use crate::data::error::{CellProblem, Names};

/// Texts with a number each. Texts that are equal as numbers are equal: files of different sites write `1` and `1.0`.
pub(super) struct Texts {
    exact: HashMap<String, u32>,
    numbers: Vec<(f64, u32)>,
    order: Vec<String>,
}

impl Texts {
    pub(super) fn new<'a>(texts: impl Iterator<Item = (usize, &'a String)>) -> Self {
        let mut all = Self { exact: HashMap::new(), numbers: Vec::new(), order: Vec::new() };
        for (index, text) in texts {
            // Fits u32: a plan is at most a megabyte of text.
            let (text, index) = (text.trim(), index as u32);
            all.order.push(text.to_owned());
            if let Some(number) = finite(text) {
                all.numbers.push((number, index));
            }
            all.exact.entry(text.to_owned()).or_insert(index);
        }
        all
    }

    pub(super) fn find(&self, text: &str) -> Option<u32> {
        if let Some(index) = self.exact.get(text) {
            return Some(*index);
        }
        if self.numbers.is_empty() {
            return None;
        }
        let number = finite(text)?;
        self.numbers.iter().find(|(other, _)| *other == number).map(|(_, index)| *index)
    }

    pub(super) fn names(&self) -> Names {
        Names::new(self.order.iter().map(String::as_str))
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The number in `text`, in single precision.
pub(super) fn number(text: &str) -> Result<f32, CellProblem> {
    let number: f64 = text.parse().map_err(|_| CellProblem::NotANumber)?;
    let single = number as f32;
    if single.is_finite() { Ok(single) } else { Err(CellProblem::NotFinite) }
}

/// The class number in `text`; `None` for a whole number that is no class: negative or huge.
pub(super) fn class(text: &str) -> Result<Option<u32>, CellProblem> {
    if let Ok(class) = text.parse() {
        return Ok(Some(class));
    }
    let number = text.parse::<f64>().map_err(|_| CellProblem::NotAClass)?;
    if number.fract() != 0.0 {
        return Err(CellProblem::NotAClass);
    }
    Ok((0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_finite() {
        assert_eq!(number("-1.5e2"), Ok(-150.0));
        assert_eq!(number(".7"), Ok(0.7));
        for bad in ["NaN", "inf", "-inf", "1e39"] {
            assert_eq!(number(bad), Err(CellProblem::NotFinite), "{bad}");
        }
        for bad in ["", "1,5", "abc", "0x10"] {
            assert_eq!(number(bad), Err(CellProblem::NotANumber), "{bad}");
        }
    }

    #[test]
    fn classes_are_whole_numbers() {
        assert_eq!(class("3"), Ok(Some(3)));
        assert_eq!(class("3.0"), Ok(Some(3)));
        assert_eq!(class("-1"), Ok(None));
        assert_eq!(class("99999999999"), Ok(None));
        for bad in ["1.5", "ill", "", "NaN", "inf"] {
            assert_eq!(class(bad), Err(CellProblem::NotAClass), "{bad}");
        }
    }

    #[test]
    fn levels_compare_as_texts_and_then_as_numbers() {
        let levels = ["1", "2.0", "other"].map(str::to_owned);
        let texts = Texts::new(levels.iter().enumerate());
        assert_eq!(
            ["1", "1.0", "2", "other", "3", "Other", "NaN"].map(|t| texts.find(t)),
            [Some(0), Some(0), Some(1), Some(2), None, None, None]
        );
    }
}
