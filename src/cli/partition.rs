//! `synod partition`: who would own which sample in a simulation of a plan.

use std::path::Path;
use std::sync::Arc;

use synod_common::ids::SiteName;
use synod_common::plan::{Partition, Plan, Simulation, Task};
use synod_common::random::{Purpose, run_stream};
use synod_simulations::fleet::Population;
use synod_simulations::partition::{
    Measures, NOBODY, Shades, assignment_file, columns, owners_of, picture, shown, site_class_counts,
};

use super::args::PartitionArgs;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::folder::write_durably;
use super::simulate::load;
use super::{out, plan_file};

/// Version of the object that `--json` prints.
const JSON_VERSION: u32 = 1;

pub(crate) fn run(args: &PartitionArgs, quiet: bool, colour: Option<bool>) -> Outcome {
    let plan = plan_file::read(&args.plan)?;
    let Some(simulation) = &plan.simulation else {
        let message = "the plan has no [simulation] section, so there is nothing to split";
        return Err(Failure::new(Exit::Usage, message, Some("add [simulation] with clients and a partition")));
    };
    if let Partition::Vertical { .. } = simulation.partition {
        return vertical(&plan, simulation, args);
    }
    let loaded = load(&plan, args.data.as_deref(), &args.plan)?;
    if !quiet {
        loaded.notes.iter().for_each(|note| out::note(format!("note: {note}")));
    }
    let population = Population::new(&plan, &loaded).or_exit(Exit::Data)?;
    if let Some(file) = &args.out {
        write(file, &population)?;
    }
    if args.json {
        json(&plan, simulation, &population);
    } else {
        text(&plan, simulation, &population, args.show, colour)?;
    }
    Ok(Exit::Done)
}

fn write(file: &Path, population: &Population) -> Result<(), Failure> {
    let sites: Vec<Vec<u32>> = population.rows().map(<[u32]>::to_vec).collect();
    let bytes = assignment_file(&owners_of(&sites, population.dataset().len()));
    write_durably(file, &bytes).map_err(|error| {
        let message = format!("cannot write {}: {error}", file.display());
        Failure::new(Exit::Usage, message, Some("choose a place you may write to with --out"))
    })
}

/// Training samples without a label at all sites together.
fn unlabelled(simulation: &Simulation, population: &Population) -> Result<u64, Failure> {
    if simulation.shift.as_ref().is_none_or(|shift| shift.unlabelled.is_none()) {
        return Ok(0);
    }
    let mut unlabelled = 0;
    for (name, size) in population.names().zip(population.sizes()) {
        let site = population.site(name).or_exit(Exit::Data)?;
        // Held-out samples that are not among the site's own rows are test samples of the data.
        let held = site.holdout.as_ref().filter(|held| Arc::ptr_eq(held.dataset(), population.dataset()));
        unlabelled += size.saturating_sub(site.train.len() + held.map_or(0, |held| held.len())) as u64;
    }
    Ok(unlabelled)
}

fn measures(population: &Population) -> Measures {
    let (labels, classes) = population.groups();
    let sites: Vec<Vec<u32>> = population.rows().map(<[u32]>::to_vec).collect();
    Measures::of(&sites, &labels, classes)
}

fn text(
    plan: &Plan,
    simulation: &Simulation,
    population: &Population,
    show: bool,
    colour: Option<bool>,
) -> Result<(), Failure> {
    if show {
        let (labels, classes) = population.groups();
        let names: Vec<&SiteName> = population.names().collect();
        let rows: Vec<&[u32]> = population.rows().collect();
        // Counts of those that are shown alone: a table of all sites could be larger than the data.
        let counts = |at: usize| (names[at].to_string(), site_class_counts(rows[at], &labels, classes));
        let shown_sites: Vec<usize> = shown(names.len()).collect();
        let table: Vec<_> = shown_sites.iter().map(|at| counts(*at)).collect();
        let shades = if colour.unwrap_or_else(out::has_colours) { Shades::Colours } else { Shades::Characters };
        let groups = match plan.task {
            Task::Classification { .. } => "classes",
            Task::MultiLabel { .. } => "first labels, and none at the end",
            Task::Regression { .. } => "tenths by the first target",
        };
        out::line(format!("rows of each site by {groups}\n\n{}", picture(&table, classes, shades)));
        if table.len() < names.len() {
            out::line(format!("{} of {} sites, evenly spaced", table.len(), names.len()));
        }
        out::line("");
    }
    let m = measures(population);
    let (all, partition) = (population.dataset().len(), simulation.partition.name());
    out::line(format!("partition             {partition}, {} sites, {} of {all} training samples", m.sites, m.rows));
    out::line(format!("samples of a site     {} to {}, Gini {:.3}", m.size_min, m.size_max, m.size_gini));
    out::line(format!("effective sites       {:.1}", m.sites_effective));
    out::line(format!("classes of a site     {:.1}", m.classes_per_site));
    out::line(format!(
        "distance of labels    total variation {:.3}, Hellinger {:.3}, Jensen-Shannon {:.3}",
        m.label_distance, m.hellinger, m.jensen_shannon
    ));
    let unlabelled = unlabelled(simulation, population)?;
    if unlabelled > 0 {
        out::line(format!("without a label       {unlabelled} samples, on which nobody trains"));
    }
    Ok(())
}

fn json(plan: &Plan, simulation: &Simulation, population: &Population) {
    let (labels, classes) = population.groups();
    let sites = population.names().zip(population.rows());
    let sites: Vec<_> = sites
        .map(|(name, rows)| {
            serde_json::json!({ "site": name, "samples": rows.len(), "classes": site_class_counts(rows, &labels, classes) })
        })
        .collect();
    out::json(&serde_json::json!({
        "version": JSON_VERSION,
        "plan": plan.digest(),
        "partition": simulation.partition.name(),
        "samples": population.dataset().len(),
        "measures": measures(population),
        "sites": sites,
    }));
}

/// A vertical split needs no samples: the plan says how many inputs there are.
fn vertical(plan: &Plan, simulation: &Simulation, args: &PartitionArgs) -> Outcome {
    let Partition::Vertical { sizes, shared, order } = &simulation.partition else { return Ok(Exit::Done) };
    let inputs = plan.data.input_values();
    let mut rng = run_stream(plan.seed, Purpose::Partition);
    let sites = columns(simulation.clients as usize, inputs, sizes, shared, *order, &mut rng).or_exit(Exit::Data)?;
    if args.out.is_some() {
        let message =
            "a vertical split gives every site all samples, which a file of a site for each sample cannot say";
        return Err(Failure::new(Exit::Usage, message, Some("use --json, which lists the inputs of each site")));
    }
    let names = simulation.names_of(sites.len());
    if args.json {
        let sites: Vec<_> = names
            .iter()
            .zip(&sites)
            .map(|(site, inputs)| serde_json::json!({ "site": site, "inputs": inputs }))
            .collect();
        let partition = simulation.partition.name();
        out::json(&serde_json::json!({
            "version": JSON_VERSION, "plan": plan.digest(), "partition": partition, "inputs": inputs, "sites": sites,
        }));
        return Ok(Exit::Done);
    }
    out::line(format!("partition             vertical, {} sites, all samples at each, {inputs} inputs", sites.len()));
    let owners = owners_of(&sites, inputs);
    let nobody = owners.iter().filter(|owner| **owner == NOBODY).count();
    out::line(format!("inputs of nobody      {nobody}"));
    for at in shown(sites.len()).filter(|_| args.show) {
        let list: Vec<String> = sites[at].iter().map(ToString::to_string).collect();
        out::line(format!("{}: {}", names[at], list.join(" ")));
    }
    out::line("note: nothing trains on a vertical split; this is to look at and to write out with --json");
    Ok(Exit::Done)
}
