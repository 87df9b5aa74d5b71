//! The folder of a study: the plan, the finished cells, and what was made of them.

use std::fs;
use std::path::{Path, PathBuf};

use synod_common::plan::Plan;
use synod_simulations::study::{Cell, CellResult};

use crate::cli::exit::{Exit, Failure};
use crate::cli::folder::write_durably;

/// Largest cell that is read: a thousand metrics in ten thousand rounds are less.
const CELL_BYTES_MAX: u64 = 64 << 20;

/// The folder of a study.
pub(super) struct Store {
    path: PathBuf,
}

impl Store {
    /// Opens `path`: a new or empty folder, or one of a study of the same plan.
    pub(super) fn open(path: &Path, plan: &Plan) -> Result<Self, Failure> {
        let shown = path.display();
        let refuse = |why: &str| {
            let message = format!("the folder {shown} {why}; a comparison does not overwrite anything else");
            Failure::new(Exit::Usage, message, Some("choose another folder with --out, or remove this one"))
        };
        let cells = path.join("cells");
        let used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if used && !cells.is_dir() {
            return Err(refuse("is not empty and has no comparison in it"));
        }
        let text = plan.to_toml();
        match fs::read_to_string(path.join("plan.toml")) {
            Ok(known) if known != text => return Err(refuse("has a comparison of another plan in it")),
            Ok(_) => {}
            Err(_) => {
                let made =
                    fs::create_dir_all(&cells).and_then(|()| write_durably(&path.join("plan.toml"), text.as_bytes()));
                made.map_err(|error| failed(path, &error))?;
            }
        }
        Ok(Self { path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn place(&self, cell: &Cell) -> PathBuf {
        self.path.join("cells").join(format!("{}.json", cell.plan))
    }

    /// The result of `cell` from an earlier run into this folder. A file that is damaged is as good as none.
    pub(super) fn finished(&self, cell: &Cell) -> Option<CellResult> {
        let place = self.place(cell);
        if fs::metadata(&place).ok()?.len() > CELL_BYTES_MAX {
            return None;
        }
        let known: Cell = serde_json::from_slice(&fs::read(place).ok()?).ok()?;
        (known.plan == cell.plan && known.finished().is_some()).then_some(known.result)
    }

    /// Keeps a cell that finished; one that failed is run again.
    pub(super) fn keep(&self, cell: &Cell) -> Result<(), Failure> {
        if cell.finished().is_none() {
            return Ok(());
        }
        let text = serde_json::to_vec(cell).unwrap_or_default();
        write_durably(&self.place(cell), &text).map_err(|error| failed(&self.path, &error))
    }

    /// Writes a file of the folder and returns its path.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        write_durably(&path, bytes).map_err(|error| failed(&self.path, &error))?;
        Ok(path)
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot write in the folder {}: {error}", path.display());
    Failure::new(Exit::Usage, message, Some("choose a folder you may write to with --out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod_common::ids::Digest;
    use synod_common::plan::AnyLoss;
    use synod_simulations::study::{Finished, Variant};

    fn plan(seed: u64) -> Plan {
        let text = format!(
            "seed = {seed}\nmodel = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n"
        );
        Plan::read(&text, &AnyLoss).unwrap()
    }

    fn cell(result: CellResult) -> Cell {
        let variant = Variant { loss: "focal".to_owned(), strategy: "fedavg".to_owned() };
        Cell { variant, seed: 1, plan: plan(1).digest(), result }
    }

    #[test]
    fn finished_cells_are_found_again_and_failed_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &plan(1)).unwrap();
        let central = [(0, Default::default())].into();
        let finished = cell(CellResult::Finished(Finished { central, model: Digest::of(b"m"), seconds: 0.1 + 0.2 }));
        assert_eq!(store.finished(&finished), None);
        store.keep(&cell(CellResult::Failed { reason: "it did".to_owned() })).unwrap();
        assert_eq!(store.finished(&finished), None);
        store.keep(&finished).unwrap();
        let again = Store::open(folder.path(), &plan(1)).unwrap();
        assert_eq!(again.finished(&finished), Some(finished.result.clone()));
        fs::write(again.place(&finished), b"{").unwrap();
        assert_eq!(again.finished(&finished), None);
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path(), &plan(1)).unwrap();
        let error = Store::open(folder.path(), &plan(2)).err().unwrap();
        assert!(error.report.to_string().contains("another plan"));
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("thesis.tex"), b"x").unwrap();
        let error = Store::open(other.path(), &plan(1)).err().unwrap();
        assert!(error.report.to_string().contains("no comparison"));
    }
}
