//! `synod losses`.

use std::path::Path;

use synod_client::device::DeviceChoice;
use synod_losses::golden::{CaseReport, File, Verdict};
use synod_losses::{CATALOGUE, LossConfig, LossInfo, Role};

use super::args::LossesCommand;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::{golden, out};

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

fn eval(path: &Path) -> Outcome {
    let file = File::parse(&golden::read(path)?).or_exit(Exit::Usage)?;
    let device = DeviceChoice::Cpu.open().or_exit(Exit::Unexpected)?;
    Ok(golden::print(file.cases.iter().map(|case| {
        // A case that is refused is a miss; the others are still worth seeing.
        let result = match file.evaluate_case(case, &device) {
            Ok(report) => result(&report),
            Err(error) => golden::Result::Broken { reason: error.to_string() },
        };
        golden::Case { objective: case.objective.clone(), name: case.name.clone(), result }
    })))
}

fn result(report: &CaseReport) -> golden::Result {
    match &report.verdict {
        Verdict::Passed | Verdict::Failed => golden::Result::Compared {
            passed: report.verdict == Verdict::Passed,
            relative: golden::largest(report.comparisons.iter().map(|c| c.relative_error_max)),
            absolute: golden::largest(report.comparisons.iter().map(|c| c.absolute_error_max)),
        },
        Verdict::Skipped { reason } => golden::Result::Skipped { reason: reason.clone() },
    }
}
