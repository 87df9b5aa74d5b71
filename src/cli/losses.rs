//! `synod losses`.

use std::path::Path;

use synod_client::device::DeviceChoice;
use synod_losses::golden::{CaseReport, File, Verdict};
use synod_losses::{CATALOGUE, LossConfig, LossInfo, Role, TaskKind};

use super::args::LossesCommand;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::{golden, out};

pub(crate) fn run(command: &LossesCommand) -> Outcome {
    match command {
        LossesCommand::List { task, json } => list(*task, *json),
        LossesCommand::Show { name } => return show(name),
        LossesCommand::Eval { file } => return eval(file),
    }
    Ok(Exit::Done)
}

/// Widest line of the listing.
const COLUMNS_MAX: usize = 120;

fn list(task: Option<TaskKind>, json: bool) {
    let chosen: Vec<&LossInfo> = CATALOGUE.iter().filter(|info| task.is_none_or(|task| info.fits(task))).collect();
    if json {
        let chosen: Vec<_> = chosen.into_iter().map(as_json).collect();
        out::json(&serde_json::json!({ "version": 1, "losses": chosen }));
        return;
    }
    let columns = out::columns().map_or(COLUMNS_MAX, |columns| columns.min(COLUMNS_MAX));
    listing(chosen, columns).iter().for_each(out::line);
}

/// One line an entry, under the heading of its family.
fn listing(mut infos: Vec<&LossInfo>, columns: usize) -> Vec<String> {
    infos.sort_by_key(|info| info.family);
    let width = infos.iter().map(|info| info.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for family in infos.chunk_by(|one, next| one.family == next.family) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(family[0].family.to_owned());
        for info in family {
            let start = format!("  {:width$}  {:5}  ", info.name, mark(info.role));
            lines.push(format!("{start}{}", shortened(&info.summary(), columns.saturating_sub(start.len()))));
        }
    }
    lines
}

/// What stands beside an entry that trains no model by itself.
fn mark(role: Role) -> &'static str {
    match role {
        Role::Loss => "",
        Role::Term => "term",
        Role::Meter => "meter",
        Role::Step => "step",
    }
}

/// The text in at most `columns` characters, but always some of it: cut between words and closed with an ellipsis.
fn shortened(text: &str, columns: usize) -> String {
    const COLUMNS_MIN: usize = 20;
    let columns = columns.max(COLUMNS_MIN);
    let Some((cut, _)) = text.char_indices().nth(columns) else { return text.to_owned() };
    // The ellipsis needs a column of its own.
    let head = &text[..text[..cut].char_indices().next_back().map_or(0, |(last, _)| last)];
    let words = head.rsplit_once(' ').map_or(head, |(words, _)| words);
    format!("{}…", words.trim_end_matches([',', ':', ';', '.']))
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
    out::line(in_a_plan(info));
    Ok(Exit::Done)
}

fn in_a_plan(info: &LossInfo) -> String {
    const OF_PLANS: [TaskKind; 3] = [TaskKind::Classification, TaskKind::MultiLabel, TaskKind::Regression];
    match info.role {
        Role::Loss if OF_PLANS.iter().any(|task| info.fits(*task)) => {
            format!("\nIn a plan:\n  [train.loss.{}]", info.name)
        }
        Role::Term if info.name == "margin_control" => "\nIn a plan:\n  [train.margin_control]".to_owned(),
        _ => "\nA function of the crate synod-losses; a plan does not name it.".to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_one_line_that_fits_under_the_heading_of_its_family() {
        for columns in [80, COLUMNS_MAX] {
            let lines = listing(CATALOGUE.iter().collect(), columns);
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{lines:#?}");
            for info in CATALOGUE {
                let heading = lines.iter().position(|line| line == info.family).unwrap();
                let family: Vec<_> = lines[heading..].iter().take_while(|line| !line.is_empty()).collect();
                let found = family.iter().filter(|line| line.split_whitespace().next() == Some(info.name)).count();
                assert_eq!(found, 1, "{}", info.name);
            }
        }
    }

    #[test]
    fn texts_are_cut_between_words() {
        assert_eq!(shortened("Cross-entropy of softmax probabilities.", 39), "Cross-entropy of softmax probabilities.");
        assert_eq!(shortened("Cross-entropy of softmax probabilities.", 38), "Cross-entropy of softmax…");
        assert_eq!(shortened("Größe, Länge und andere Maße", 22), "Größe, Länge und…");
        assert_eq!(shortened("", 0), "");
    }

    #[test]
    fn only_what_plans_take_is_told_as_part_of_a_plan() {
        let told = |name: &str| in_a_plan(LossConfig::find(name).unwrap());
        assert!(told("focal").contains("[train.loss.focal]"));
        assert!(told("margin_control").contains("[train.margin_control]"));
        for name in ["dice", "uniformity", "calibration_error", "soft_levels"] {
            assert!(told(name).contains("does not name it"), "{name}");
        }
    }
}
