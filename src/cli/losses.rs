//! `synod losses`.

use std::path::Path;

use synod_client::device::DeviceChoice;
use synod_losses::golden::{CaseReport, Comparison, File, Verdict};
use synod_losses::{CATALOGUE, LossConfig, LossInfo, Role};

use super::args::LossesCommand;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::out;

/// Largest file of golden cases.
const GOLDEN_BYTES_MAX: u64 = 256 << 20;

pub(crate) fn run(command: &LossesCommand) -> Outcome {
    match command {
        LossesCommand::List { json } => list(*json),
        LossesCommand::Show { name } => return show(name),
        LossesCommand::Eval { file } => return eval(file),
    }
    Ok(Exit::Done)
}

fn list(json: bool) {
    if json {
        let all: Vec<_> = CATALOGUE.iter().map(as_json).collect();
        out::json(&serde_json::json!({ "version": 1, "losses": all }));
        return;
    }
    let width = CATALOGUE.iter().map(|i| i.name.len()).max().unwrap_or(0);
    for info in CATALOGUE {
        out::line(format!("{:width$}  {:14}  {}", info.name, info.family, info.summary()));
    }
}

fn as_json(info: &LossInfo) -> serde_json::Value {
    let options: Vec<_> = info
        .options
        .iter()
        .map(|o| serde_json::json!({ "name": o.name, "default": o.default, "range": o.range, "meaning": o.meaning }))
        .collect();
    serde_json::json!({
        "name": info.name,
        "family": info.family,
        "role": info.role,
        "tasks": info.tasks,
        "remembers": info.remembers,
        "cost": info.cost,
        "summary": info.summary(),
        "formula": info.formula(),
        "source": info.source(),
        "options": options,
    })
}

fn show(name: &str) -> Outcome {
    let Some(info) = LossConfig::find(name) else {
        let names: Vec<_> = CATALOGUE.iter().map(|i| i.name).collect();
        return Err(Failure::new(
            Exit::Usage,
            format!("there is no loss {name:?}"),
            Some(&format!("there are: {}", names.join(", "))),
        ));
    };
    out::line(format!("{} ({})\n", info.name, info.family));
    out::line(info.docs());
    if !info.options.is_empty() {
        out::line("\nOptions");
        for o in info.options {
            out::line(format!("  {:16} default {:10} {:14} {}", o.name, o.default, o.range, o.meaning));
        }
    }
    out::line(match info.role {
        Role::Loss => format!("\nIn a plan:\n  [train.loss.{name}]"),
        Role::Term => format!("\nIn a plan:\n  [train.{name}]"),
        Role::Meter | Role::Step => "\nA function of the crate synod-losses; a plan does not name it.".to_owned(),
    });
    Ok(Exit::Done)
}

/// One line for a case: its verdict and the largest errors.
fn describe(report: &CaseReport) -> String {
    let worst = |error: fn(&Comparison) -> f64| report.comparisons.iter().map(error).fold(0.0, f64::max);
    let verdict = match &report.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "FAILED",
        Verdict::Skipped { reason } => return format!("skipped  {} / {}: {reason}", report.objective, report.name),
    };
    format!(
        "{verdict}   {} / {}: largest relative error {:.2e}, absolute {:.2e}",
        report.objective,
        report.name,
        worst(|c| c.relative_error_max),
        worst(|c| c.absolute_error_max)
    )
}

fn eval(path: &Path) -> Outcome {
    let shown = path.display();
    let size = std::fs::metadata(path).or_exit(Exit::Usage)?.len();
    if size > GOLDEN_BYTES_MAX {
        return Err(Failure::new(
            Exit::Usage,
            format!("{shown} has {size} bytes, at most {GOLDEN_BYTES_MAX} are read"),
            None,
        ));
    }
    let bytes = std::fs::read(path).or_exit(Exit::Usage)?;
    let file = File::parse(&bytes).or_exit(Exit::Usage)?;
    let device = DeviceChoice::Cpu.open().or_exit(Exit::Unexpected)?;
    let (mut failed, mut passed, mut skipped) = (0, 0, 0);
    // A case that is refused is a miss; the others are still worth seeing.
    for report in file.cases.iter().map(|case| file.evaluate_case(case, &device)) {
        let report = match report {
            Ok(report) => report,
            Err(error) => {
                out::line(format!("REFUSED  {error}"));
                failed += 1;
                continue;
            }
        };
        out::line(describe(&report));
        match report.verdict {
            Verdict::Passed => passed += 1,
            Verdict::Failed => failed += 1,
            Verdict::Skipped { .. } => skipped += 1,
        }
    }
    out::line(format!("{passed} passed, {failed} failed, {skipped} skipped"));
    Ok(if failed > 0 { Exit::Unfinished } else { Exit::Done })
}
