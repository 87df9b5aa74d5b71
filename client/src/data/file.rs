//! Opening a file of the data folder: plain or gzip, with its size known or bounded before anything is allocated.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::{DataError, Names};
use super::limits::{DEFLATE_RATIO_MAX, FILE_BYTES_MAX};

/// What is known about the length of an unpacked file before reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// Exactly so many bytes.
    Exact(u64),
    /// At most so many bytes: the most that the packed size allows.
    AtMost(u64),
}

/// An open file of samples, unpacked while it is read.
pub(super) struct Input {
    /// Its name in messages.
    pub(super) name: String,
    /// Its bytes, unpacked.
    pub(super) reader: Box<dyn BufRead>,
    /// How many there are.
    pub(super) length: Length,
}

impl Input {
    /// Opens `file` inside `folder`; gzip is known by its first bytes, whatever the name.
    pub(super) fn open(folder: &Path, file: &str) -> Result<Self, DataError> {
        let (path, bytes) = locate(folder, file)?;
        let reader = File::open(path).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
        Self::new(file, BufReader::with_capacity(1 << 16, reader), bytes)
    }

    /// Reads bytes in memory as if they were the file `name`.
    pub(super) fn from_bytes(name: &str, bytes: &'static [u8]) -> Result<Self, DataError> {
        Self::new(name, Cursor::new(bytes), bytes.len() as u64)
    }

    fn new(name: &str, mut reader: impl BufRead + 'static, bytes: u64) -> Result<Self, DataError> {
        if bytes > FILE_BYTES_MAX {
            let file = name.to_owned();
            return Err(DataError::TooLarge { file, what: "bytes", found: bytes, limit: FILE_BYTES_MAX });
        }
        let start = reader.fill_buf().map_err(|source| DataError::Read { file: name.to_owned(), source })?;
        let (reader, length): (Box<dyn BufRead>, _) = if start.starts_with(&[0x1f, 0x8b]) {
            let unpacked_max = bytes.saturating_mul(DEFLATE_RATIO_MAX).min(FILE_BYTES_MAX);
            // One byte more than the limit shows that there is more.
            let unpacked = MultiGzDecoder::new(reader).take(FILE_BYTES_MAX + 1);
            (Box::new(BufReader::with_capacity(1 << 16, unpacked)), Length::AtMost(unpacked_max))
        } else {
            (Box::new(reader), Length::Exact(bytes))
        };
        Ok(Self { name: name.to_owned(), reader, length })
    }

    /// Turns a reading error into one that names the file.
    pub(super) fn error(&self, source: io::Error) -> DataError {
        DataError::Read { file: self.name.clone(), source }
    }
}

/// Where `file` is inside `folder`, and its size.
pub(super) fn locate(folder: &Path, file: &str) -> Result<(PathBuf, u64), DataError> {
    let path = inside(folder, file)?;
    match fs::metadata(&path) {
        Ok(about) if about.is_file() => Ok((path, about.len())),
        Ok(_) => {
            let source = io::Error::other("it is not a regular file");
            Err(DataError::Read { file: file.to_owned(), source })
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(DataError::NotFound { file: file.to_owned(), folder: folder.to_owned(), there: listing(folder) })
        }
        Err(source) => Err(DataError::Read { file: file.to_owned(), source }),
    }
}

/// Joins `file` to `folder`. A plan comes from elsewhere, so it must not reach out of the folder.
fn inside(folder: &Path, file: &str) -> Result<PathBuf, DataError> {
    let relative = Path::new(file);
    let stays = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if file.is_empty() || !stays {
        return Err(DataError::OutsideFolder { file: file.to_owned() });
    }
    Ok(folder.join(relative))
}

fn listing(folder: &Path) -> Names {
    // A folder may hold millions of files; a message shows a dozen.
    const LOOKED_AT: usize = 1000;
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(LOOKED_AT)
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Names::new(names.iter().map(String::as_str))
}

/// Reads `count` values of `N` bytes each. The caller has checked `count` against the length of the file.
pub(super) fn read_values<T, const N: usize>(
    reader: &mut dyn Read,
    count: usize,
    value: impl Fn([u8; N]) -> T,
) -> io::Result<Vec<T>> {
    const CHUNK_VALUES: usize = 8192;
    let mut out = Vec::with_capacity(count);
    let mut chunk = vec![0; CHUNK_VALUES.min(count) * N];
    while out.len() < count {
        let bytes = &mut chunk[..CHUNK_VALUES.min(count - out.len()) * N];
        reader.read_exact(bytes)?;
        out.extend(bytes.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{Folder, gzip};

    #[test]
    fn names_stay_inside_the_folder() {
        let folder = Folder::new();
        for bad in ["", "/etc/hostname", "../x.csv", "a/../../x.csv"] {
            assert!(matches!(locate(folder.path(), bad), Err(DataError::OutsideFolder { .. })), "{bad:?}");
        }
        folder.write("site.csv", b"x");
        assert!(locate(folder.path(), "./site.csv").is_ok());
    }

    #[test]
    fn a_missing_file_lists_what_is_there() {
        let folder = Folder::new();
        folder.write("ward-a.csv", b"x");
        let error = locate(folder.path(), "ward_a.csv").unwrap_err().to_string();
        assert!(error.contains("\"ward-a.csv\"") && error.contains("--data"), "{error}");
        assert!(locate(folder.path(), "ward-a.csv/x").is_err());
        assert!(locate(folder.path(), ".").is_err());
    }

    #[test]
    fn gzip_is_known_by_its_bytes() {
        let folder = Folder::new();
        folder.write("packed", &gzip(b"hello"));
        folder.write("plain.gz", b"hello");
        for (name, length) in [("packed", None), ("plain.gz", Some(Length::Exact(5)))] {
            let mut input = Input::open(folder.path(), name).unwrap();
            let mut text = String::new();
            input.reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello");
            assert_eq!(matches!(input.length, Length::Exact(_)), length.is_some());
        }
    }
}
