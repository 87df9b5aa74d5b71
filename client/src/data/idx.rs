//! IDX files: four bytes `0, 0, type, dimensions`, the dimensions as big-endian `u32`, then the values.

use std::io::Read;
use std::path::Path;

use synod_common::plan::{IdxSource, SITES_MAX};

use super::dataset::Inputs;
use super::error::DataError;
use super::file::{Input, Length, read_values};
use super::labels::{check_finite, check_labels};
use super::limits::{DATA_BYTES_MAX, ROWS_MAX};
use super::load::Samples;

const U8: u8 = 0x08;
const F32: u8 = 0x0d;
/// Dimensions of a file: samples, and at most three of one sample, and room for a file with more to be named well.
const DIMENSIONS_MAX: u8 = 8;

/// An array as the file has it.
struct Array {
    dims: Vec<u64>,
    values: Inputs,
}

/// Reads the training samples.
pub(super) fn read_train(source: &IdxSource, folder: &Path, classes: u32) -> Result<Samples, DataError> {
    read_pair(Input::open(folder, &source.images)?, Input::open(folder, &source.labels)?, &source.shape, classes)
}

/// Reads the samples of the central test set, if the plan names them.
pub(super) fn read_test(source: &IdxSource, folder: &Path, classes: u32) -> Result<Option<Samples>, DataError> {
    let (Some(images), Some(labels)) = (&source.test_images, &source.test_labels) else { return Ok(None) };
    read_pair(Input::open(folder, images)?, Input::open(folder, labels)?, &source.shape, classes).map(Some)
}

/// Reads the file of a partition: the position of its site for each training sample, [`u32::MAX`] for none. Bytes are
/// enough for 256 sites; f32 holds the position of every site exactly, and -1 for none.
pub(super) fn read_assignment(path: &str, folder: &Path) -> Result<Vec<u32>, DataError> {
    let input = Input::open(folder, path)?;
    let name = input.name.clone();
    let Array { dims, values } = read_array(input)?;
    let wrong = |why| malformed(&name, why, "write the file with `synod partition PLAN --out FILE`");
    if dims.len() != 1 {
        return Err(wrong(format!("it has {} dimensions, positions of sites have one", dims.len())));
    }
    match values {
        Inputs::U8(bytes) => Ok(bytes.into_iter().map(u32::from).collect()),
        Inputs::F32(numbers) => {
            let position = |(row, number): (usize, f32)| match number {
                -1.0 => Ok(u32::MAX),
                // Within this range a whole f32 is that u32.
                whole if whole.fract() == 0.0 && (0.0..SITES_MAX as f32).contains(&whole) => Ok(whole as u32),
                other => Err(wrong(format!("sample {row} has {other}, which is no position of a site"))),
            };
            numbers.into_iter().enumerate().map(position).collect()
        }
    }
}

/// Reads a file of samples and the file of their labels.
pub(super) fn read_pair(images: Input, labels: Input, shape: &[usize], classes: u32) -> Result<Samples, DataError> {
    let (images_name, labels_name) = (images.name.clone(), labels.name.clone());
    let labels = read_labels(labels, classes)?;
    let Array { dims, values } = read_array(images)?;
    let samples = dims.first().copied().unwrap_or(0);
    let width = shape.iter().product::<usize>();
    if dims.iter().skip(1).product::<u64>() != width as u64 {
        let found = dims.get(1..).unwrap_or_default().to_vec();
        return Err(DataError::Shape { file: images_name, found, planned: shape.to_vec() });
    }
    if samples != labels.len() as u64 {
        let (count, inputs) = (labels.len() as u64, images_name);
        return Err(DataError::Counts { inputs, samples, labels: labels_name, count });
    }
    if let Inputs::F32(numbers) = &values {
        check_finite(&images_name, numbers, width)?;
    }
    Ok(Samples { inputs: values, targets: labels.into() })
}

fn read_labels(input: Input, classes: u32) -> Result<Vec<u32>, DataError> {
    let name = input.name.clone();
    let Array { dims, values } = read_array(input)?;
    if dims.len() != 1 {
        let why = format!("it has {} dimensions, labels have one", dims.len());
        return Err(malformed(&name, why, "check whether the names of samples and labels are exchanged in the plan"));
    }
    match values {
        Inputs::U8(bytes) => check_labels(&name, bytes.into_iter().map(|b| Some(u32::from(b))), classes),
        Inputs::F32(_) => {
            Err(malformed(&name, "its labels are f32 numbers".to_owned(), "write labels as bytes (type 0x08)"))
        }
    }
}

fn malformed(file: &str, why: String, help: &'static str) -> DataError {
    DataError::Malformed { file: file.to_owned(), format: "IDX", why, help }
}

fn read_array(mut input: Input) -> Result<Array, DataError> {
    const HELP: &str = "check the file name, or copy the file again";
    let mut head = [0; 4];
    input.reader.read_exact(&mut head).map_err(|e| input.error(e))?;
    let [zero, also_zero, kind, dimensions] = head;
    if (zero, also_zero) != (0, 0) {
        return Err(malformed(&input.name, "it does not begin with two zero bytes".to_owned(), HELP));
    }
    let width: u64 = match kind {
        U8 => 1,
        F32 => 4,
        other => {
            let why = format!("its values are of type 0x{other:02x}");
            return Err(malformed(&input.name, why, "write values as u8 (0x08) or f32 (0x0d)"));
        }
    };
    if dimensions == 0 || dimensions > DIMENSIONS_MAX {
        return Err(malformed(&input.name, format!("it claims {dimensions} dimensions"), HELP));
    }
    let dims =
        read_values(&mut input.reader, usize::from(dimensions), u32::from_be_bytes).map_err(|e| input.error(e))?;
    let dims: Vec<u64> = dims.into_iter().map(u64::from).collect();
    let rows = dims.first().copied().unwrap_or(0);
    if rows > ROWS_MAX {
        return Err(DataError::TooLarge { file: input.name, what: "samples", found: rows, limit: ROWS_MAX });
    }
    let bytes = dims.iter().try_fold(width, |n, d| n.checked_mul(*d)).unwrap_or(u64::MAX);
    if bytes > DATA_BYTES_MAX {
        return Err(DataError::TooLarge { file: input.name, what: "bytes", found: bytes, limit: DATA_BYTES_MAX });
    }
    let expected = 4 + 4 * u64::from(dimensions) + bytes;
    let found = match input.length {
        Length::Exact(length) if length != expected => Some(length.to_string()),
        Length::AtMost(length) if length < expected => Some(format!("at most {length}")),
        Length::Exact(_) | Length::AtMost(_) => None,
    };
    if let Some(found) = found {
        return Err(DataError::Length { file: input.name, expected, found });
    }
    // Fits usize: the file of this length exists, or its packed form is large enough.
    let count = (bytes / width) as usize;
    let values = if kind == U8 {
        read_values(&mut input.reader, count, |[byte]| byte).map(Inputs::U8)
    } else {
        read_values(&mut input.reader, count, f32::from_be_bytes).map(Inputs::F32)
    };
    let values = values.map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            DataError::Length { file: input.name.clone(), expected, found: "fewer".to_owned() }
        }
        _ => input.error(e),
    })?;
    // Reading to the end also makes gzip check its sum.
    if input.reader.read(&mut [0]).map_err(|e| input.error(e))? != 0 {
        return Err(DataError::Length { file: input.name, expected, found: "more".to_owned() });
    }
    Ok(Array { dims, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{gzip, idx};

    fn leak(bytes: Vec<u8>) -> &'static [u8] {
        Box::leak(bytes.into_boxed_slice())
    }

    fn read(images: Vec<u8>, labels: Vec<u8>, shape: &[usize]) -> Result<Samples, DataError> {
        let images = Input::from_bytes("images", leak(images))?;
        read_pair(images, Input::from_bytes("labels", leak(labels))?, shape, 3)
    }

    fn error(images: Vec<u8>, labels: Vec<u8>, shape: &[usize]) -> String {
        read(images, labels, shape).err().expect("the files are wrong").to_string()
    }

    #[test]
    fn bytes_and_numbers_are_read_plain_and_packed() {
        let labels = idx(U8, &[2], &[2, 0]);
        let bytes = idx(U8, &[2, 1, 2], &[1, 2, 3, 255]);
        let samples = read(bytes.clone(), gzip(&labels), &[1, 2]).unwrap();
        assert_eq!(samples.targets, vec![2, 0].into());
        assert!(samples.inputs == Inputs::U8(vec![1, 2, 3, 255]));
        assert!(read(gzip(&bytes), labels.clone(), &[2]).unwrap().inputs == samples.inputs);
        let numbers = [0.5_f32, -1.0].map(f32::to_be_bytes).concat();
        let samples = read(idx(F32, &[2, 1], &numbers), labels, &[1]).unwrap();
        assert!(samples.inputs == Inputs::F32(vec![0.5, -1.0]));
    }

    #[test]
    fn a_length_that_differs_from_the_header_is_refused_before_reading() {
        let labels = idx(U8, &[2], &[0, 0]);
        assert!(error(idx(U8, &[2, 2], &[1, 2, 3]), labels.clone(), &[2]).contains("should have 16 bytes"));
        assert!(error(idx(U8, &[2, 2], &[1, 2, 3, 4, 5]), labels.clone(), &[2]).contains("has 17"));
        assert!(error(gzip(&idx(U8, &[2, 2], &[1, 2, 3])), labels.clone(), &[2]).contains("fewer"));
        assert!(error(gzip(&idx(U8, &[2, 2], &[1, 2, 3, 4, 5])), labels.clone(), &[2]).contains("more"));
        // A forged header of 4 GiB in a file of a few bytes, which must not allocate 4 GiB.
        assert!(error(gzip(&idx(U8, &[1 << 16, 1 << 16], &[])), labels.clone(), &[2]).contains("at most"));
        assert!(error(idx(U8, &[u32::MAX, 2], &[]), labels.clone(), &[2]).contains("samples"));
        assert!(error(idx(U8, &[9, u32::MAX, u32::MAX, 9], &[]), labels, &[2]).contains("bytes, at most"));
    }

    #[test]
    fn other_formats_are_refused() {
        let labels = idx(U8, &[1], &[0]);
        assert!(error(b"a,b\n".to_vec(), labels.clone(), &[1]).contains("zero bytes"));
        assert!(error(vec![], labels.clone(), &[1]).contains("images"));
        assert!(error(idx(0x0b, &[1, 1], &[0, 0]), labels.clone(), &[1]).contains("0x0b"));
        assert!(error(idx(U8, &[], &[0]), labels.clone(), &[1]).contains("0 dimensions"));
        assert!(error(idx(U8, &[1, 1], &[0]), idx(U8, &[1, 1], &[0]), &[1]).contains("exchanged"));
        assert!(error(idx(U8, &[1, 1], &[0]), idx(F32, &[1], &[0; 4]), &[1]).contains("bytes (type"));
        let mut packed = gzip(&idx(U8, &[1, 4], &[0, 1, 2, 3]));
        let last = packed.len() - 6;
        packed[last] ^= 1;
        assert!(error(packed, labels, &[4]).contains("could not read images"));
    }

    #[test]
    fn samples_that_do_not_fit_the_plan_are_refused() {
        let labels = idx(U8, &[2], &[0, 1]);
        assert!(error(idx(U8, &[2, 3], &[0; 6]), labels.clone(), &[2]).contains("[3]"));
        assert!(error(idx(U8, &[3, 2], &[0; 6]), labels.clone(), &[2]).contains("3 samples"));
        let text = error(idx(U8, &[3, 1], &[0; 3]), idx(U8, &[3], &[0, 3, 9]), &[1]);
        assert!(text.contains("2 labels outside the 3 classes") && text.contains("sample 1"), "{text}");
        let numbers = [0.5_f32, f32::NAN].map(f32::to_be_bytes).concat();
        assert!(error(idx(F32, &[2, 1], &numbers), labels, &[1]).contains("sample 1"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            kind in proptest::sample::select(vec![U8, F32, 0, 9]),
            dims in proptest::collection::vec(0_u32..4, 0..4),
            rest in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            cut in 0_usize..40,
        ) {
            let mut bytes = idx(kind, &dims, &rest);
            bytes.truncate(bytes.len().saturating_sub(cut / 8));
            let _ = read(bytes.clone(), rest.clone(), &[2]);
            let _ = read(gzip(&bytes), bytes.clone(), &[2]);
            let _ = read(rest, bytes, &[1]);
        }
    }

    #[test]
    fn an_assignment_is_bytes_or_whole_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let read = |kind: u8, values: &[u8], count: u32| {
            let bytes = [&[0, 0, kind, 1][..], &count.to_be_bytes(), values].concat();
            std::fs::write(folder.path().join("who"), bytes).unwrap();
            read_assignment("who", folder.path())
        };
        let floats = |numbers: &[f32]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
        assert_eq!(read(0x08, &[3, 0, 255], 3).unwrap(), [3, 0, 255]);
        assert_eq!(read(0x0d, &floats(&[9_999_999.0, -1.0, 300.0]), 3).unwrap(), [9_999_999, u32::MAX, 300]);
        for wrong in [0.5, -2.0, 1e9, f32::NAN] {
            assert!(read(0x0d, &floats(&[wrong]), 1).unwrap_err().to_string().contains("sample 0"));
        }
    }
}
