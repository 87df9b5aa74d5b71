//! What `synod losses eval` and `synod strategies eval` have in common: reading a file of golden cases, and a line a case.

use std::path::Path;

use super::exit::{Exit, Failure, OrExit};
use super::out;

/// Largest file of golden cases.
const GOLDEN_BYTES_MAX: u64 = 64 << 20;

/// What became of a case.
pub(crate) enum Result {
    /// Compared: whether all numbers agree, and the largest errors.
    Compared { passed: bool, relative: f64, absolute: f64 },
    /// It could not be computed.
    Broken { reason: String },
    /// It is for somebody else.
    Skipped { reason: String },
}

/// One case.
pub(crate) struct Case {
    pub(crate) objective: String,
    pub(crate) name: String,
    pub(crate) result: Result,
}

/// The largest of some errors; a NaN counts as the largest.
pub(crate) fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |so_far, next| if next > so_far || next.is_nan() { next } else { so_far })
}

/// The bytes of the file.
pub(crate) fn read(path: &Path) -> std::result::Result<Vec<u8>, Failure> {
    let shown = path.display();
    let size = std::fs::metadata(path).or_exit(Exit::Usage)?.len();
    if size > GOLDEN_BYTES_MAX {
        let message = format!("{shown} has {size} bytes, at most {GOLDEN_BYTES_MAX} are read");
        return Err(Failure::new(Exit::Usage, message, None));
    }
    std::fs::read(path).or_exit(Exit::Usage)
}

/// A line for each case and one for all; a miss is an exit that is not 0.
pub(crate) fn print(cases: impl IntoIterator<Item = Case>) -> Exit {
    let (mut failed, mut passed, mut skipped) = (0, 0, 0);
    for Case { objective, name, result } in cases {
        let case = format!("{objective} / {name}");
        match result {
            Result::Compared { passed: agrees, relative, absolute } => {
                let verdict = if agrees { "passed" } else { "FAILED" };
                *(if agrees { &mut passed } else { &mut failed }) += 1;
                out::line(format!(
                    "{verdict}   {case}: largest relative error {relative:.2e}, absolute {absolute:.2e}"
                ));
            }
            Result::Broken { reason } => {
                failed += 1;
                out::line(format!("REFUSED  {case}: {reason}"));
            }
            Result::Skipped { reason } => {
                skipped += 1;
                out::line(format!("skipped  {case}: {reason}"));
            }
        }
    }
    out::line(format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if failed > 0 { Exit::Unfinished } else { Exit::Done }
}
