//! Files that a crash leaves whole or not at all.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

/// Writes `path` by way of a file beside it: content and name are on the disk when this returns. The folder is made.
pub(super) fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        folder.parent().filter(|parent| parent.is_dir()).map_or(Ok(()), |parent| File::open(parent)?.sync_all())?;
    }
    let temporary = path.with_extension("partial");
    let mut file = BufWriter::new(File::create(&temporary)?);
    content(&mut file)?;
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
