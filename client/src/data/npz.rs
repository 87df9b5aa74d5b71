//! NumPy archives: a zip of arrays by name. Inputs are f32, f64 or u8; classes any integer type; rows of labels any
//! integer type or booleans; numbers to predict f32 or f64.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use npyz::npz::{NpzArchive, file_name_from_array_name};
use synod_common::plan::{NpzSource, Task};

use super::dataset::Inputs;
use super::error::{DataError, Names};
use super::file::{locate, read_values};
use super::labels::{check_finite, check_labels};
use super::limits::{DATA_BYTES_MAX, DEFLATE_RATIO_MAX, FILE_BYTES_MAX, NPZ_ARRAYS_MAX, ROWS_MAX};
use super::load::Samples;
use super::npy::{Header, read_header};
use super::targets::Targets;

const SAVE_AGAIN: &str = "save the arrays again with numpy.savez";

/// An open archive.
pub(super) struct Archive<R: Read + Seek> {
    name: String,
    bytes: u64,
    zip: NpzArchive<R>,
}

impl Archive<BufReader<File>> {
    pub(super) fn open(folder: &Path, file: &str) -> Result<Self, DataError> {
        let (path, bytes) = locate(folder, file)?;
        let reader = File::open(path).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
        Self::new(file, BufReader::new(reader), bytes)
    }
}

impl<R: Read + Seek> Archive<R> {
    fn new(name: &str, reader: R, bytes: u64) -> Result<Self, DataError> {
        if bytes > FILE_BYTES_MAX {
            let file = name.to_owned();
            return Err(DataError::TooLarge { file, what: "bytes", found: bytes, limit: FILE_BYTES_MAX });
        }
        let mut zip = NpzArchive::new(reader).map_err(|e| malformed(name, e.to_string(), "check the file name"))?;
        let arrays = zip.zip_archive().len();
        if arrays > NPZ_ARRAYS_MAX {
            let (file, found, limit) = (name.to_owned(), arrays as u64, NPZ_ARRAYS_MAX as u64);
            return Err(DataError::TooLarge { file, what: "arrays", found, limit });
        }
        Ok(Self { name: name.to_owned(), bytes, zip })
    }

    /// Reads the training samples.
    pub(super) fn read_train(&mut self, source: &NpzSource, task: &Task) -> Result<Samples, DataError> {
        self.read_pair(&source.inputs, &source.labels, &source.shape, task)
    }

    /// Reads the samples of the central test set, if the plan names them.
    pub(super) fn read_test(&mut self, source: &NpzSource, task: &Task) -> Result<Option<Samples>, DataError> {
        let (Some(inputs), Some(labels)) = (&source.test_inputs, &source.test_labels) else { return Ok(None) };
        self.read_pair(inputs, labels, &source.shape, task).map(Some)
    }

    fn read_pair(&mut self, inputs: &str, labels: &str, shape: &[usize], task: &Task) -> Result<Samples, DataError> {
        let labels_name = format!("{} array {labels:?}", self.name);
        let inputs_name = format!("{} array {inputs:?}", self.name);
        let targets = self.with_array(labels, |header, reader| read_targets(&labels_name, task, header, reader))?;
        let width = shape.iter().product::<usize>();
        let values = self.with_array(inputs, |header, reader| {
            let samples = header.shape.first().copied().unwrap_or(0);
            let found = header.shape.get(1..).unwrap_or_default();
            if found.iter().try_fold(1_u64, |n, d| n.checked_mul(*d)) != Some(width as u64) {
                let (file, found) = (inputs_name.clone(), found.to_vec());
                return Err(DataError::Shape { file, found, planned: shape.to_vec() });
            }
            if samples != targets.len() as u64 {
                let count = targets.len() as u64;
                return Err(DataError::Counts {
                    inputs: inputs_name.clone(),
                    samples,
                    labels: labels_name.clone(),
                    count,
                });
            }
            read_inputs(&inputs_name, header, reader)
        })?;
        if let Inputs::F32(numbers) = &values {
            check_finite(&inputs_name, numbers, width)?;
        }
        Ok(Samples { inputs: values, targets })
    }

    /// Opens an array, checks its size by its header, lets `read` read the values, and checks the archive's sum.
    fn with_array<T>(
        &mut self,
        array: &str,
        read: impl FnOnce(&Header, &mut dyn Read) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        if !self.zip.array_names().any(|name| name == array) {
            let mut there: Vec<&str> = self.zip.array_names().collect();
            there.sort_unstable();
            let (file, array) = (self.name.clone(), array.to_owned());
            return Err(DataError::NoArray { file, array, there: Names::new(there) });
        }
        let name = format!("{} array {array:?}", self.name);
        let failed = |why: String| malformed(&name, why, SAVE_AGAIN);
        let mut entry =
            self.zip.zip_archive().by_name(&file_name_from_array_name(array)).map_err(|e| failed(e.to_string()))?;
        let unpacked_max = entry.compressed_size().min(self.bytes).saturating_mul(DEFLATE_RATIO_MAX);
        let mut reader = entry.by_ref().take(FILE_BYTES_MAX);
        let header = read_header(&mut reader).map_err(|(why, help)| malformed(&name, why, help))?;
        let rows = header.shape.first().copied().unwrap_or(0);
        if rows > ROWS_MAX {
            return Err(DataError::TooLarge { file: name, what: "samples", found: rows, limit: ROWS_MAX });
        }
        let Some(width) =
            header.kind.get(1..).and_then(|size| size.parse::<u64>().ok()).filter(|w| (1..=8).contains(w))
        else {
            return Err(wrong_type(&name, &header, "numbers of 1 to 8 bytes"));
        };
        let bytes = header.shape.iter().try_fold(width, |n, d| n.checked_mul(*d)).unwrap_or(u64::MAX);
        // Inputs of 8 bytes become 4, so the file may have twice the memory's limit.
        if bytes > 2 * DATA_BYTES_MAX {
            return Err(DataError::TooLarge { file: name, what: "bytes", found: bytes, limit: 2 * DATA_BYTES_MAX });
        }
        if bytes > unpacked_max {
            return Err(DataError::Length { file: name, expected: bytes, found: format!("at most {unpacked_max}") });
        }
        let values = read(&header, &mut reader)?;
        // Reading to the end also makes zip check its sum.
        match reader.read(&mut [0]) {
            Ok(0) => Ok(values),
            Ok(_) => Err(DataError::Length { file: name, expected: bytes, found: "more".to_owned() }),
            Err(source) => Err(DataError::Read { file: name, source }),
        }
    }
}

fn malformed(file: &str, why: String, help: &'static str) -> DataError {
    DataError::Malformed { file: file.to_owned(), format: "NPZ", why, help }
}

fn wrong_type(name: &str, header: &Header, expected: &str) -> DataError {
    let why = format!(
        "its values are of type {:?}, expected are {expected}",
        header.kind.chars().take(20).collect::<String>()
    );
    malformed(name, why, "convert it with astype before saving")
}

/// Number of values; the caller has checked that they fit.
fn count(header: &Header) -> usize {
    header.shape.iter().product::<u64>() as usize
}

fn read_inputs(name: &str, header: &Header, reader: &mut dyn Read) -> Result<Inputs, DataError> {
    let count = count(header);
    let values = match (header.kind.as_str(), header.order) {
        ("u1", _) => read_values(reader, count, |[byte]| byte).map(Inputs::U8),
        ("f4", b'>') => read_values(reader, count, f32::from_be_bytes).map(Inputs::F32),
        ("f4", _) => read_values(reader, count, f32::from_le_bytes).map(Inputs::F32),
        ("f8", b'>') => read_values(reader, count, |b| f64::from_be_bytes(b) as f32).map(Inputs::F32),
        ("f8", _) => read_values(reader, count, |b| f64::from_le_bytes(b) as f32).map(Inputs::F32),
        _ => return Err(wrong_type(name, header, "f32, f64 or u8")),
    };
    values.map_err(|source| DataError::Read { file: name.to_owned(), source })
}

/// The array as the targets of `task`.
fn read_targets(name: &str, task: &Task, header: &Header, reader: &mut dyn Read) -> Result<Targets, DataError> {
    if let Task::Classification { classes } = task {
        let labels = read_labels(name, header, reader)?;
        return Ok(Targets::Classes(check_labels(name, labels.into_iter(), *classes)?));
    }
    let outputs = task.outputs() as u64;
    let fits = match header.shape.as_slice() {
        [_] => outputs == 1,
        [_, width] => *width == outputs,
        _ => false,
    };
    if !fits {
        let why = format!("it has the shape {:?}, the task `{}` has {outputs} outputs", header.shape, task.name());
        return Err(malformed(name, why, "save the targets as one row of numbers for each sample"));
    }
    let failed = |source| DataError::Read { file: name.to_owned(), source };
    let numbers = match (task, header.kind.as_str()) {
        // NumPy's booleans are bytes of 0 and 1.
        (Task::MultiLabel { .. }, "b1") => {
            read_values(reader, count(header), |[byte]: [u8; 1]| f32::from(byte)).map_err(failed)?
        }
        (Task::MultiLabel { .. }, kind) if kind.starts_with(['i', 'u']) => {
            let labels = read_integers(name, header, reader)?;
            labels.into_iter().map(|label| label.map_or(f32::NAN, |label| label as f32)).collect()
        }
        (Task::Regression { .. }, "f4" | "f8") => match read_inputs(name, header, reader)? {
            Inputs::F32(numbers) => numbers,
            Inputs::U8(bytes) => bytes.into_iter().map(f32::from).collect(),
        },
        (Task::MultiLabel { .. }, _) => return Err(wrong_type(name, header, "integers or booleans")),
        (Task::Regression { .. } | Task::Classification { .. }, _) => {
            return Err(wrong_type(name, header, "f32 or f64"));
        }
    };
    Targets::from_numbers(name, task, numbers)
}

/// Labels as they are; `None` is one that fits no class number at all.
fn read_labels(name: &str, header: &Header, reader: &mut dyn Read) -> Result<Vec<Option<u32>>, DataError> {
    if header.shape.len() != 1 {
        let why = format!("it has {} dimensions, labels have one", header.shape.len());
        return Err(malformed(name, why, "save the labels as one list of class numbers, not one-hot"));
    }
    read_integers(name, header, reader)
}

fn read_integers(name: &str, header: &Header, reader: &mut dyn Read) -> Result<Vec<Option<u32>>, DataError> {
    let count = count(header);
    let big = header.order == b'>';
    macro_rules! integers {
        ($type:ty) => {
            read_values(reader, count, |bytes| {
                let value = if big { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) };
                u32::try_from(value).ok()
            })
        };
    }
    let values = match header.kind.as_str() {
        "u1" => integers!(u8),
        "u2" => integers!(u16),
        "u4" => integers!(u32),
        "u8" => integers!(u64),
        "i1" => integers!(i8),
        "i2" => integers!(i16),
        "i4" => integers!(i32),
        "i8" => integers!(i64),
        _ => return Err(wrong_type(name, header, "integers")),
    };
    values.map_err(|source| DataError::Read { file: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    use npyz::WriterBuilder;
    use npyz::npz::NpzWriter;

    /// Builds an archive from arrays.
    struct Builder(NpzWriter<Cursor<Vec<u8>>>);

    impl Builder {
        fn new() -> Self {
            Self(NpzWriter::new(Cursor::new(Vec::new())))
        }

        fn array<T: npyz::AutoSerialize + Copy>(mut self, name: &str, shape: &[u64], values: &[T]) -> Self {
            let mut writer =
                self.0.array(name, Default::default()).unwrap().default_dtype().shape(shape).begin_nd().unwrap();
            writer.extend(values.iter().copied()).unwrap();
            writer.finish().unwrap();
            self
        }

        fn bytes(mut self) -> Vec<u8> {
            self.0.zip_writer().finish().unwrap().into_inner()
        }
    }

    fn source(shape: &[usize]) -> NpzSource {
        NpzSource {
            file: "a.npz".to_owned(),
            inputs: "x".to_owned(),
            labels: "y".to_owned(),
            test_inputs: None,
            test_labels: None,
            shape: shape.to_vec(),
        }
    }

    fn read(bytes: &[u8], shape: &[usize]) -> Result<Samples, DataError> {
        Archive::new("a.npz", Cursor::new(bytes), bytes.len() as u64)?
            .read_train(&source(shape), &Task::Classification { classes: 3 })
    }

    fn error(builder: Builder, shape: &[usize]) -> String {
        read(&builder.bytes(), shape).err().expect("the archive is wrong").to_string()
    }

    #[test]
    fn inputs_of_three_types_and_labels_of_any_integer_type() {
        let bytes = Builder::new().array("x", &[2, 2], &[1.5_f32, 2.0, 3.0, 4.0]).array("y", &[2], &[2_i64, 0]).bytes();
        let samples = read(&bytes, &[1, 2]).unwrap();
        assert!(samples.inputs == Inputs::F32(vec![1.5, 2.0, 3.0, 4.0]));
        assert_eq!(samples.targets, vec![2, 0].into());
        let bytes = Builder::new().array("x", &[1, 2], &[1.5_f64, 2.0]).array("y", &[1], &[2_u8]).bytes();
        assert!(read(&bytes, &[2]).unwrap().inputs == Inputs::F32(vec![1.5, 2.0]));
        let bytes = Builder::new().array("x", &[1, 2], &[7_u8, 255]).array("y", &[1], &[1_i16]).bytes();
        assert!(read(&bytes, &[2]).unwrap().inputs == Inputs::U8(vec![7, 255]));
    }

    #[test]
    fn wrong_arrays_are_refused() {
        let good = || Builder::new().array("y", &[2], &[0_i32, 1]);
        let text = error(good().array("X", &[2, 1], &[0.0_f32; 2]), &[1]);
        assert!(text.contains("\"X\", \"y\""), "{text}");
        assert!(error(good().array("x", &[2, 3], &[0.0_f32; 6]), &[1]).contains("[3]"));
        assert!(error(good().array("x", &[3, 1], &[0.0_f32; 3]), &[1]).contains("3 samples"));
        assert!(error(good().array("x", &[2, 1], &[0_i32; 2]), &[1]).contains("\"i4\""));
        assert!(error(good().array("x", &[2, 1], &[0.0, f32::INFINITY]), &[1]).contains("sample 1"));
        assert!(error(good().array("x", &[2, 1], &[0.0, 1e300_f64]), &[1]).contains("sample 1"));
        assert!(error(Builder::new().array("y", &[2], &[0.0_f32, 1.0]), &[1]).contains("integers"));
        assert!(error(Builder::new().array("y", &[2, 1], &[0_u8, 1]), &[1]).contains("one-hot"));
        let text = error(Builder::new().array("y", &[3], &[0_i8, -1, 3]), &[1]);
        assert!(text.contains("2 labels outside") && text.contains("sample 1"), "{text}");
        assert!(read(b"not a zip", &[1]).is_err());
    }

    #[test]
    fn rows_of_labels_and_numbers_are_read_for_their_tasks() {
        let read = |builder: Builder, task: &Task| {
            let bytes = builder.array("x", &[2, 1], &[0.0_f32; 2]).bytes();
            Archive::new("a.npz", Cursor::new(&bytes), bytes.len() as u64)?.read_train(&source(&[1]), task)
        };
        let of = |values: &[f32], builder: Builder, task: &Task| {
            assert_eq!(read(builder, task).unwrap().targets.matrix().unwrap().values(), values);
        };
        let labels = Task::MultiLabel { classes: 2 };
        of(&[0.0, 1.0, 1.0, 1.0], Builder::new().array("y", &[2, 2], &[0_u8, 1, 1, 1]), &labels);
        of(&[0.0, 1.0, 1.0, 0.0], Builder::new().array("y", &[2, 2], &[false, true, true, false]), &labels);
        let one = Task::Regression { outputs: 1, mean: vec![0.0], std: vec![1.0] };
        of(&[0.5, -1.0], Builder::new().array("y", &[2], &[0.5_f64, -1.0]), &one);
        of(&[0.5, -1.0], Builder::new().array("y", &[2, 1], &[0.5_f32, -1.0]), &one);

        let refused = |builder: Builder, task: &Task| read(builder, task).err().expect("it is refused").to_string();
        let text = refused(Builder::new().array("y", &[2, 2], &[0_i64, 1, -1, 0]), &labels);
        assert!(text.contains("1 sample with labels other than 0 and 1") && text.contains("sample 1"), "{text}");
        assert!(refused(Builder::new().array("y", &[2, 3], &[0_u8; 6]), &labels).contains("[2, 3]"));
        assert!(refused(Builder::new().array("y", &[2, 2], &[0.0_f32; 4]), &labels).contains("integers or booleans"));
        assert!(refused(Builder::new().array("y", &[2], &[0_i32; 2]), &one).contains("f32 or f64"));
        assert!(refused(Builder::new().array("y", &[2], &[0.0, f32::NAN]), &one).contains("sample 1"));
        assert!(refused(Builder::new().array("y", &[3], &[0.0_f32; 3]), &one).contains("2 samples"));
    }

    /// A zip archive of one array that is not packed.
    fn stored(array: &str, bytes: &[u8]) -> Vec<u8> {
        let mut sum = flate2::Crc::new();
        sum.update(bytes);
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let name = format!("{array}.npy");
        let about =
            [&[0; 4], sum.sum().to_le_bytes().as_slice(), &length, &length, &[name.len() as u8, 0, 0, 0]].concat();
        let entry = [b"PK\x03\x04\x14\0\0\0\0\0", about.as_slice(), name.as_bytes(), bytes].concat();
        let directory = [b"PK\x01\x02\x14\0\x14\0\0\0\0\0", about.as_slice(), &[0; 14], name.as_bytes()].concat();
        let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
        let start = u32::try_from(entry.len()).unwrap().to_le_bytes();
        [&entry, &directory, b"PK\x05\x06\0\0\0\0\x01\0\x01\0".as_slice(), &size, &start, &[0, 0]].concat()
    }

    fn npy(shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\0", u16::try_from(text.len()).unwrap().to_le_bytes().as_slice(), text.as_bytes(), values]
            .concat()
    }

    #[test]
    fn a_forged_size_is_refused_before_allocating() {
        let labels = |shape: &str| {
            let bytes = stored("y", &npy(shape, &[0, 1]));
            let mut archive = Archive::new("a.npz", Cursor::new(&bytes), bytes.len() as u64).unwrap();
            archive.with_array("y", |header, reader| read_labels("y", header, reader)).map_err(|e| e.to_string())
        };
        assert_eq!(labels("(2,)"), Ok(vec![Some(0), Some(1)]));
        assert!(labels("(999999999,)").unwrap_err().contains("at most"));
        assert!(labels("(999999999, 9999999999)").unwrap_err().contains("bytes, at most"));
        assert!(labels("(99999999999,)").unwrap_err().contains("samples, at most"));
        assert!(labels("(3,)").unwrap_err().contains("could not read"));
        assert!(labels("(1,)").unwrap_err().contains("more"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read(&bytes, &[1]);
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in 0_usize..600, with in proptest::num::u8::ANY, cut in 0_usize..600) {
            let mut bytes = Builder::new().array("y", &[2], &[0_u8, 1]).array("x", &[2, 1], &[0.5_f32; 2]).bytes();
            let length = bytes.len();
            bytes[at % length] = with;
            let _ = read(&bytes, &[1]);
            bytes.truncate(cut % length);
            let _ = read(&bytes, &[1]);
        }
    }
}
