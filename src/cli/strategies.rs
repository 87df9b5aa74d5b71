//! `synod strategies`.

use std::path::Path;

use synod_common::plan::{STRATEGIES, StrategyInfo};
use synod_coordinator::golden::{CaseReport, File, Verdict};

use super::args::StrategiesCommand;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::{golden, out};

pub(crate) fn run(command: &StrategiesCommand) -> Outcome {
    match command {
        StrategiesCommand::List { json } => list(*json),
        StrategiesCommand::Show { name } => return show(name),
        StrategiesCommand::Eval { file } => return eval(file),
    }
    Ok(Exit::Done)
}

fn list(json: bool) {
    if json {
        out::json(&serde_json::json!({ "version": 1, "strategies": STRATEGIES }));
        return;
    }
    let width = STRATEGIES.iter().map(|info| info.name.len()).max().unwrap_or(0);
    for info in STRATEGIES {
        out::line(format!("{:width$}  {:16}  {}", info.name, info.family.name(), info.summary));
    }
}

fn show(name: &str) -> Outcome {
    let Some(info) = StrategyInfo::find(name) else {
        let names: Vec<_> = STRATEGIES.iter().map(|info| info.name).collect();
        return Err(Failure::new(
            Exit::Usage,
            format!("there is no strategy {name:?}"),
            Some(&format!("there are: {}", names.join(", "))),
        ));
    };
    out::line(format!("{}: {}\n", info.name, info.summary));
    for (what, text) in info.facts() {
        out::line(format!("{what:9}  {text}"));
    }
    if !info.options.is_empty() {
        out::line("\nOptions");
        for o in info.options {
            out::line(format!("  {:16} default {:16} {:34} {}", o.name, o.default, o.range, o.meaning));
        }
    }
    out::line(format!(
        "\nIn a plan:\n  [aggregate.strategy.{name}]\nWith any strategy, under [aggregate]:\n  server_lr, clip_norm, server = \"sgd\" | \"adagrad\" | \"adam\" | \"yogi\""
    ));
    Ok(Exit::Done)
}

fn eval(path: &Path) -> Outcome {
    let file = File::parse(&golden::read(path)?).or_exit(Exit::Usage)?;
    Ok(golden::print(file.evaluate().into_iter().map(|report| {
        let result = result(&report);
        golden::Case { objective: report.objective, name: report.name, result }
    })))
}

fn result(report: &CaseReport) -> golden::Result {
    match &report.verdict {
        Verdict::Passed | Verdict::Failed => golden::Result::Compared {
            passed: report.verdict == Verdict::Passed,
            relative: golden::largest(report.comparisons.iter().map(|c| c.relative_error_max)),
            absolute: golden::largest(report.comparisons.iter().map(|c| c.absolute_error_max)),
        },
        Verdict::Broken { reason } => golden::Result::Broken { reason: reason.clone() },
        Verdict::Skipped { reason } => golden::Result::Skipped { reason: reason.clone() },
    }
}
