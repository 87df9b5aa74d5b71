//! The UCI digits inside the binary: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, CC BY 4.0.

use super::error::DataError;
use super::file::Input;
use super::idx;
use super::load::Samples;

const IMAGES: &[u8] = include_bytes!("../../../data/digits/digits-images.idx.gz");
const LABELS: &[u8] = include_bytes!("../../../data/digits/digits-labels.idx.gz");

/// Reads the 1,797 images of `[1, 8, 8]`.
pub(super) fn read(classes: u32) -> Result<Samples, DataError> {
    let images = Input::from_bytes("the built-in digits", IMAGES)?;
    idx::read_pair(images, Input::from_bytes("the built-in digits", LABELS)?, &[1, 8, 8], classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Inputs;

    #[test]
    fn there_are_1797_digits() {
        let samples = read(10).unwrap();
        let mut counts = [0; 10];
        for label in &samples.labels {
            counts[*label as usize] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let Inputs::U8(bytes) = &samples.inputs else { panic!("digits are bytes") };
        assert_eq!(bytes.iter().max(), Some(&16));
        // The first image is a 0 whose first line is 0 0 5 13 9 1 0 0.
        assert_eq!(&bytes[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    }

    #[test]
    fn fewer_classes_than_digits_are_refused() {
        assert!(matches!(read(9), Err(DataError::Labels { count: 180, .. })));
    }
}
