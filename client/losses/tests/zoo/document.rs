//! `docs/losses.md` and `docs/plan.md` name what the registry has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use synod_losses::{CATALOGUE, LossConfig, LossInfo, TaskKind};

/// The tasks of plans.
const OF_PLANS: [TaskKind; 3] = [TaskKind::Classification, TaskKind::MultiLabel, TaskKind::Regression];

/// What stands between these two headings is written from the registry.
const BEGIN: &str = "\n## The zoo\n";
const END: &str = "\n## Measured\n";

/// `UPDATE_DOCS=1` writes the list anew.
#[test]
fn the_document_has_this_zoo() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/losses.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}\n{}{END}{after}", markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    assert!(text == expected, "run UPDATE_DOCS=1 cargo test -p synod-losses --test zoo the_document");
}

#[test]
fn the_document_of_plans_names_every_loss_of_a_task() {
    let text = include_str!("../../../../docs/plan.md");
    for task in OF_PLANS {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{}` | `", word(task)))).unwrap();
        let names: Vec<_> = LossConfig::names_for(task).iter().map(|name| format!("`{name}`")).collect();
        assert!(row.contains(&format!("| {} |", names.join(", "))), "{row}: {names:?}");
    }
}

/// The tasks, and one table for each family.
fn markdown() -> String {
    let mut out = String::from("| task | a loss is given |\n|---|---|\n");
    let tasks: BTreeSet<TaskKind> = CATALOGUE.iter().flat_map(|info| info.tasks).copied().collect();
    for task in tasks {
        let _ = writeln!(out, "| `{}` | {} |", word(task), task.inputs());
    }
    let mut families: BTreeMap<&str, Vec<&LossInfo>> = BTreeMap::new();
    for info in CATALOGUE {
        families.entry(info.family).or_default().push(info);
    }
    for (family, members) in families {
        let _ = writeln!(
            out,
            "\n### {family}\n\n| name | role | tasks | remembers | cost | source |\n|---|---|---|---|---|---|"
        );
        for info in members {
            let tasks: Vec<_> = info.tasks.iter().map(|task| word(task).replace('_', " ")).collect();
            let cells = [
                format!("`{}`", info.name),
                word(info.role),
                tasks.join(", "),
                word(info.remembers),
                info.cost.to_owned(),
                info.source().replace('\n', " "),
            ];
            let _ = writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    out
}

/// The name of a variant, as JSON has it.
fn word(variant: impl Serialize) -> String {
    serde_json::to_value(variant).unwrap().as_str().unwrap().to_owned()
}
