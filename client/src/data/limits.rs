//! Limits of what is read, in one place, each with its reason.

/// Largest file, packed or unpacked: 16 GiB. More does not fit the memory of the machines this runs on.
pub const FILE_BYTES_MAX: u64 = 16 << 30;
/// Most memory the inputs of one data set may take: 16 GiB.
pub const DATA_BYTES_MAX: u64 = 16 << 30;
/// Most samples of one data set: row numbers are `u32`, and a share keeps one for each of its samples.
pub const ROWS_MAX: u64 = 1 << 30;
/// Longest row of a CSV file, line breaks inside quotes included: ten thousand columns of a hundred characters. It keeps
/// a quote that is never closed from swallowing the file.
pub const LINE_BYTES_MAX: u64 = 1 << 20;
/// Most columns of a CSV file: reading one needs its place among all of them.
pub(super) const FILE_COLUMNS_MAX: usize = 100_000;
/// Longest header of a NumPy array; NumPy's own limit is 10,000.
pub(super) const NPY_HEADER_BYTES_MAX: usize = 10_000;
/// Most arrays of a NumPy archive.
pub(super) const NPZ_ARRAYS_MAX: usize = 100_000;
/// Deflate never packs more than 1032 bytes into one; a size that claims more is false.
pub(super) const DEFLATE_RATIO_MAX: u64 = 1032;
/// Most names that a message lists.
pub(super) const NAMES_SHOWN: usize = 12;
