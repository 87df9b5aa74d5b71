//! `synod compare`: a plan with several losses, strategies and seeds.

mod choice;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use synod_common::plan::Plan;
use synod_simulations::fleet::{FleetOptions, Population};
use synod_simulations::report::{StudyInput, study_html, study_table};
use synod_simulations::study::{Cell, CellResult, Interrupted, Row, Variant, csv, run_cell, summarise};

use super::args::CompareArgs;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::folder::RunFolder;
use super::simulate::{cores, load};
use super::{out, plan_file, stop};
use choice::{Choice, choices};
use store::Store;

/// A loss and a strategy, and how the plan gets them.
struct Column {
    variant: Variant,
    loss: Option<Choice>,
    strategy: Option<Choice>,
}

pub(crate) fn run(args: &CompareArgs, quiet: bool) -> Outcome {
    let base = plan_file::read(&args.plan)?;
    if base.simulation.is_none() {
        let help = "add [simulation] with clients and a partition";
        return Err(Failure::new(Exit::Usage, "a comparison needs a plan with a [simulation] section", Some(help)));
    }
    let columns = columns(&base, args)?;
    let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|i| base.seed.saturating_add(i)).collect();
    // Everything is checked before anything runs.
    let mut plans = Vec::with_capacity(seeds.len() * columns.len());
    for seed in &seeds {
        for column in &columns {
            plans.push((*seed, column, with(&base, column, *seed)?));
        }
    }
    let store = Store::open(&RunFolder::choose(args.out.as_deref(), &format!("{}-compare", base.name)), &base)?;
    let runtime = stop::runtime()?;
    let stop = stop::flag(&runtime, "finished runs are kept; the same command into the same folder goes on");
    let cells = run_cells(&plans, args, &store, &stop, quiet)?;
    let variants: Vec<Variant> = columns.into_iter().map(|column| column.variant).collect();
    let rows = summarise(&variants, &cells, base.task.headlines());
    conclude(&base, seeds.len(), &cells, &rows, &store, args)?;
    let failed = cells.iter().any(|cell| cell.finished().is_none());
    Ok(if stop.load(Ordering::Relaxed) {
        Exit::Interrupted
    } else if failed {
        Exit::Unfinished
    } else {
        Exit::Done
    })
}

/// The grid of losses and strategies; the plan's own where none are named.
fn columns(base: &Plan, args: &CompareArgs) -> Result<Vec<Column>, Failure> {
    let losses = args.losses.as_deref().map(|list| choices("--losses", list)).transpose()?;
    let strategies = args.strategies.as_deref().map(|list| choices("--strategies", list)).transpose()?;
    let or_own = |named: Option<Vec<Choice>>| {
        named.map_or_else(|| vec![None], |named| named.into_iter().map(Some).collect::<Vec<_>>())
    };
    let label =
        |choice: &Option<Choice>, own: &str| choice.as_ref().map_or_else(|| own.to_owned(), |c| c.label.clone());
    let (losses, strategies) = (or_own(losses), or_own(strategies));
    let mut columns = Vec::with_capacity(losses.len() * strategies.len());
    for strategy in &strategies {
        for loss in &losses {
            let variant = Variant {
                loss: label(loss, &base.train.loss.name),
                strategy: label(strategy, base.aggregate.strategy.name()),
            };
            columns.push(Column { variant, loss: loss.clone(), strategy: strategy.clone() });
        }
    }
    Ok(columns)
}

/// The plan with another loss, strategy and seed. Its text decides: reading it again checks them like everything else.
fn with(base: &Plan, column: &Column, seed: u64) -> Result<Arc<Plan>, Failure> {
    let name = format!("with the loss {} and the strategy {}", column.variant.loss, column.variant.strategy);
    let unexpected = |why: String| Failure::new(Exit::Unexpected, format!("the plan {name} has no text: {why}"), None);
    let mut plan: toml::Table =
        base.to_toml().parse().map_err(|error: toml::de::Error| unexpected(error.to_string()))?;
    let mut set = |section: &str, key: &str, choice: &Option<Choice>| {
        if let (Some(choice), Some(toml::Value::Table(section))) = (choice, plan.get_mut(section)) {
            section.insert(key.to_owned(), choice.to_value());
        }
    };
    set("train", "loss", &column.loss);
    set("aggregate", "strategy", &column.strategy);
    plan.insert("seed".to_owned(), toml::Value::Integer(i64::try_from(seed).unwrap_or(i64::MAX)));
    let text = toml::to_string(&plan).map_err(|error| unexpected(error.to_string()))?;
    plan_file::parse(&text, &name)
}

/// Runs what the store does not have, seed by seed, because the runs of a seed share their samples. Ends early when
/// `stop` is set.
fn run_cells(
    plans: &[(u64, &Column, Arc<Plan>)],
    args: &CompareArgs,
    store: &Store,
    stop: &AtomicBool,
    quiet: bool,
) -> Result<Vec<Cell>, Failure> {
    let options = FleetOptions { threads: args.threads.unwrap_or_else(cores) };
    let progress = Progress::new(plans.len(), quiet);
    let mut cells = Vec::with_capacity(plans.len());
    let mut samples: Option<(u64, Population)> = None;
    for (seed, column, plan) in plans {
        let result = CellResult::Failed { reason: String::new() };
        let mut cell = Cell { variant: column.variant.clone(), seed: *seed, plan: plan.digest(), result };
        progress.begin(&cell);
        if let Some(result) = store.finished(&cell) {
            cell.result = result;
            progress.end(&cell, plan, "from the folder");
            cells.push(cell);
            continue;
        }
        let population = match samples.take().filter(|known| known.0 == *seed) {
            Some(known) => known.1,
            None => {
                let loaded = load(plan, args.data.as_deref(), &args.plan)?;
                Population::new(plan, &loaded).or_exit(Exit::Data)?
            }
        };
        match run_cell(plan, &population, &args.device, options, stop) {
            Ok(result) => cell.result = result,
            Err(Interrupted) => break,
        }
        samples = Some((*seed, population));
        store.keep(&cell)?;
        progress.end(&cell, plan, "");
        cells.push(cell);
    }
    Ok(cells)
}

/// Writes table, cells and page, and says where they are.
fn conclude(
    base: &Plan,
    seeds: usize,
    cells: &[Cell],
    rows: &[Row],
    store: &Store,
    args: &CompareArgs,
) -> Result<(), Failure> {
    let page = study_html(&StudyInput { plan: base, seeds, cells, rows });
    let report = store.write("report.html", page.as_bytes())?;
    let table = store.write("cells.csv", csv(cells).as_bytes())?;
    let headlines = base.task.headlines();
    if args.json {
        out::json(&serde_json::json!({
            "version": 1,
            "plan": base.digest(),
            "headlines": headlines.map(|headline| headline.name),
            "rows": rows,
            "cells": cells,
            "folder": store.path(),
            "report": report,
        }));
        return Ok(());
    }
    out::line(study_table(rows, headlines));
    for cell in cells {
        if let CellResult::Failed { reason } = &cell.result {
            out::line(format!("failed: {} {}, seed {}: {reason}", cell.variant.loss, cell.variant.strategy, cell.seed));
        }
    }
    out::line(format!("cells   {}", table.display()));
    out::line(format!("report  {}", report.display()));
    Ok(())
}

/// A line for each run that ended, and a bar where a person looks.
struct Progress {
    bar: Option<ProgressBar>,
    cells: usize,
    quiet: bool,
}

impl Progress {
    fn new(cells: usize, quiet: bool) -> Self {
        let bar = (!quiet && out::is_watched()).then(|| {
            let style = ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ ");
            ProgressBar::new(cells as u64).with_style(style)
        });
        Self { bar, cells, quiet }
    }

    fn begin(&self, cell: &Cell) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} {}, seed {}", cell.variant.loss, cell.variant.strategy, cell.seed));
        }
    }

    fn end(&self, cell: &Cell, plan: &Plan, note: &str) {
        if self.quiet {
            return;
        }
        let [main, _] = plan.task.headlines();
        let what = match (&cell.result, cell.value(main.name)) {
            (CellResult::Failed { reason }, _) => format!("failed: {reason}"),
            (CellResult::Finished(run), Some(value)) => format!("{} {value:.4}, {:.1} s", main.title, run.seconds),
            (CellResult::Finished(run), None) => format!("{:.1} s", run.seconds),
        };
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        let text = format!("{} {}, seed {}: {what}{note}", cell.variant.loss, cell.variant.strategy, cell.seed);
        match &self.bar {
            Some(bar) => {
                bar.println(text);
                bar.inc(1);
                if bar.position() == self.cells as u64 {
                    bar.finish_and_clear();
                }
            }
            None => out::note(text),
        }
    }
}
