//! Checks that need more than one section of a plan.

use super::data::{Fit, Normalise, Source};
use super::federation::Partition;
use super::reader::Problems;
use super::resolved::Plan;
use super::strategy::Strategy;
use super::task::Task;
use super::train::{Model, Optimiser};

/// Adds what does not fit together to `problems`.
pub(super) fn check_together(plan: &Plan, problems: &Problems) {
    let shape = plan.data.input_shape();
    let side_min = match plan.model {
        Model::Cnn | Model::Resnet8 { .. } => Some(4),
        Model::Lenet => Some(16),
        Model::Logistic | Model::Mlp { .. } => None,
    };
    if let Some(side_min) = side_min {
        let fits = matches!(shape.as_slice(), [_, h, w] if *h >= side_min && *w >= side_min);
        if !fits {
            problems.add(
                "model",
                None,
                format!("the model `{}` takes images [channels, height, width] of at least {side_min} x {side_min}, the data has the shape {shape:?}", plan.model.name()),
                Some("choose model = \"logistic\" or [model.mlp], or give `shape` three dimensions".to_owned()),
            );
        }
    }
    if let Normalise::Given { mean, .. } = &plan.data.normalise {
        let allowed = [1, shape[0], plan.data.input_values()];
        if !allowed.contains(&mean.len()) {
            problems.add(
                "data.normalise.given.mean",
                None,
                format!("`mean` has {} values, the shape {shape:?} allows {allowed:?}", mean.len()),
                None,
            );
        }
    }
    if let (Source::Csv(csv), Task::Classification { classes }) = (&plan.data.source, &plan.task)
        && !csv.label_values.is_empty()
        && csv.label_values.len() != *classes as usize
    {
        problems.add(
            "data.source.csv.label_values",
            None,
            format!("`label_values` names {} classes, the task has {classes}", csv.label_values.len()),
            None,
        );
    }
    let pooled = matches!(plan.data.normalise, Normalise::Standard { fit: Fit::Pooled });
    match &plan.simulation {
        None if pooled => problems.add(
            "data.normalise.standard.fit",
            None,
            "`fit = \"pooled\"` needs all sites' samples in one place, which only a simulation has",
            Some("use fit = \"site\", or [data.normalise.given] with mean and std".to_owned()),
        ),
        Some(simulation) => {
            if simulation.partition == Partition::Natural && !matches!(plan.data.source, Source::Csv(_)) {
                problems.add(
                    "simulation.partition.natural",
                    None,
                    format!(
                        "the source `{}` names no sites; `natural` needs CSV files or a site_column",
                        plan.data.source.name()
                    ),
                    Some("use another partition, such as [simulation.partition.dirichlet]".to_owned()),
                );
            }
            if let (Partition::Shards { classes_per_site }, Task::Classification { classes }) =
                (&simulation.partition, &plan.task)
                && classes_per_site > classes
            {
                problems.add(
                    "simulation.partition.shards.classes_per_site",
                    None,
                    format!("`classes_per_site` is {classes_per_site}, the task has {classes} classes"),
                    None,
                );
            }
            if simulation.clients != 0 && plan.round.sites_min > simulation.clients {
                problems.add(
                    "round.sites_min",
                    None,
                    format!(
                        "`sites_min` is {}, there are {} simulated clients: no round could ever begin",
                        plan.round.sites_min, simulation.clients
                    ),
                    Some("lower round.sites_min or raise simulation.clients".to_owned()),
                );
            }
            if simulation.clients != 0 && plan.round.cohort > simulation.clients {
                problems.add(
                    "round.cohort",
                    None,
                    format!(
                        "the cohort of {} is larger than the {} simulated clients",
                        plan.round.cohort, simulation.clients
                    ),
                    Some("lower round.cohort, or set it to 0 for everyone".to_owned()),
                );
            }
        }
        None => {}
    }
    check_strategy(plan, problems);
}

/// What a strategy needs of the rest of the plan.
fn check_strategy(plan: &Plan, problems: &Problems) {
    let name = plan.aggregate.strategy.name();
    let problem = |message: String, help: &str| {
        problems.add(&format!("aggregate.strategy.{name}"), None, message, Some(help.to_owned()));
    };
    let train = &plan.train.optimiser;
    if matches!(plan.aggregate.strategy, Strategy::Fednova { .. }) && !matches!(train, Optimiser::Sgd { .. }) {
        problem(
            format!("`{name}` knows how far steps of sgd carry, the plan trains with `{}`", train.name()),
            "choose [train.optimiser.sgd], or strategy = \"fedavg\"",
        );
    }
    if let Strategy::Qfedavg { lipschitz, .. } = plan.aggregate.strategy {
        if !plan.train.loss_before {
            problem(
                format!(
                    "`{name}` weighs sites by the loss of the received model, which the plan does not ask them for"
                ),
                "set train.loss_before = true",
            );
        }
        if lipschitz.is_none() && train.lr() == 0.0 {
            problem(
                format!("`{name}` takes `lipschitz` to be one over the local learning rate, which is 0"),
                "set aggregate.strategy.qfedavg.lipschitz",
            );
        }
    }
    // As many updates as a round has when all goes well.
    let round = &plan.round;
    let there = round.sites_min.max(plan.simulation.as_ref().map_or(0, |s| s.clients));
    let updates = [round.updates_min, round.cohort, there].into_iter().find(|n| *n > 0).unwrap_or(0);
    let needed = plan.aggregate.strategy.updates_min();
    if updates < needed {
        problem(
            format!("`{name}` with these options needs {needed} updates, a round may close with {updates}"),
            "raise round.updates_min, or choose options that need fewer",
        );
    }
}
