//! The UCI digits inside the binary: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, CC BY 4.0.
//!
//! Targets of the other tasks are derived from the digit, so that there is something to try without any file.

use synod_common::plan::{DIGIT_ATTRIBUTES, Task};

use super::error::DataError;
use super::file::Input;
use super::idx;
use super::load::Samples;
use super::targets::{Matrix, Targets};

const IMAGES: &[u8] = include_bytes!("../../../data/digits/digits-images.idx.gz");
const LABELS: &[u8] = include_bytes!("../../../data/digits/digits-labels.idx.gz");

/// For each attribute, the digits that have it.
const ATTRIBUTES: [&[u32]; DIGIT_ATTRIBUTES] = [
    // Even.
    &[0, 2, 4, 6, 8],
    // Prime.
    &[2, 3, 5, 7],
    // At least five.
    &[5, 6, 7, 8, 9],
    // Drawn with a closed loop.
    &[0, 6, 8, 9],
    // A multiple of three.
    &[0, 3, 6, 9],
];

/// Reads the 1,797 images of `[1, 8, 8]` with the targets of `task`: the digit, its attributes, or the digit as a number.
pub(super) fn read(task: &Task) -> Result<Samples, DataError> {
    let classes = if let Task::Classification { classes } = task { *classes } else { 10 };
    let images = Input::from_bytes("the built-in digits", IMAGES)?;
    let samples = idx::read_pair(images, Input::from_bytes("the built-in digits", LABELS)?, &[1, 8, 8], classes)?;
    let digits = samples.targets.groups().into_iter();
    let targets = match task {
        Task::Classification { .. } => return Ok(samples),
        Task::MultiLabel { .. } => {
            let attributes = |digit| ATTRIBUTES.map(|having| f32::from(u8::from(having.contains(&digit))));
            Targets::Labels(Matrix::new(digits.flat_map(attributes).collect(), DIGIT_ATTRIBUTES)?)
        }
        Task::Regression { .. } => Targets::Numbers(Matrix::new(digits.map(|digit| digit as f32).collect(), 1)?),
    };
    Ok(Samples { inputs: samples.inputs, targets })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Inputs;

    #[test]
    fn there_are_1797_digits() {
        let samples = read(&Task::Classification { classes: 10 }).unwrap();
        assert_eq!(samples.targets.class_counts(0..1797, 10), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let Inputs::U8(bytes) = &samples.inputs else { panic!("digits are bytes") };
        assert_eq!(bytes.iter().max(), Some(&16));
        // The first image is a 0 whose first line is 0 0 5 13 9 1 0 0.
        assert_eq!(&bytes[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    }

    #[test]
    fn derived_targets_follow_the_digit() {
        // The first ten digits are 0 to 9 in order.
        let attributes = read(&Task::MultiLabel { classes: 5 }).unwrap().targets;
        let matrix = attributes.matrix().unwrap();
        assert_eq!((matrix.len(), matrix.row(0)), (1797, [1.0, 0.0, 0.0, 1.0, 1.0].as_slice()));
        assert_eq!(
            (matrix.row(7), matrix.row(2)),
            ([0.0, 1.0, 1.0, 0.0, 0.0].as_slice(), [1.0, 1.0, 0.0, 0.0, 0.0].as_slice())
        );
        let task = Task::Regression { outputs: 1, mean: vec![0.0], std: vec![1.0] };
        let numbers = read(&task).unwrap().targets;
        assert_eq!(numbers.matrix().unwrap().values()[..10], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn fewer_classes_than_digits_are_refused() {
        assert!(matches!(read(&Task::Classification { classes: 9 }), Err(DataError::Labels { count: 180, .. })));
    }
}
