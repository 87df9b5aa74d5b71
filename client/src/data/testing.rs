//! What the tests of this module share.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use synod_common::plan::{AnyLoss, Plan};

/// A folder that goes when it is dropped.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).unwrap();
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A plan with `classes` classes and this `[data]` section.
pub(super) fn plan(classes: u32, data: &str) -> Plan {
    let text = format!("model = \"logistic\"\n[task.classification]\nclasses = {classes}\n{data}");
    Plan::read(&text, &AnyLoss).unwrap_or_else(|error| panic!("{error}"))
}

/// An IDX file.
pub(super) fn idx(kind: u8, dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, u8::try_from(dims.len()).unwrap()];
    for dim in dims {
        bytes.extend_from_slice(&dim.to_be_bytes());
    }
    bytes.extend_from_slice(values);
    bytes
}

/// The folder of real data sets that the environment names; without it the test says that it is skipped.
pub(super) fn real_data(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("SYNOD_DATA") else {
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "skipped: set SYNOD_DATA to a folder that has {name} to run this test");
        return None;
    };
    Some(Path::new(&folder).join(name))
}
