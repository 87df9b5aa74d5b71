//! Checks that need more than one section of a plan.

use super::closed_form::check_closed_form;
use super::data::{DIGIT_ATTRIBUTES, Fit, Normalise, Source};
use super::personal::{FEDPAC_UPDATES_MAX, Personal};
use super::reader::Problems;
use super::resolved::Plan;
use super::simulation::{Attack, DriftKind, Partition, Simulation};
use super::strategy::{Strategy, Weighting};
use super::task::Task;
use super::train::{Model, Optimiser};

/// Adds what does not fit together to `problems`.
pub(super) fn check_together(plan: &Plan, problems: &Problems) {
    let shape = plan.data.input_shape();
    let side_min = match plan.model {
        Model::Cnn | Model::Resnet8 { .. } => Some(4),
        Model::Lenet => Some(16),
        Model::Logistic | Model::Mlp { .. } | Model::NaiveBayes { .. } | Model::Ridge { .. } => None,
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
    check_targets(plan, problems);
    let pooled = matches!(plan.data.normalise, Normalise::Standard { fit: Fit::Pooled });
    match &plan.simulation {
        None if pooled => problems.add(
            "data.normalise.standard.fit",
            None,
            "`fit = \"pooled\"` needs all sites' samples in one place, which only a simulation has",
            Some("use fit = \"site\", or [data.normalise.given] with mean and std".to_owned()),
        ),
        Some(simulation) => {
            if matches!(simulation.attack, Some(Attack::LabelFlip { .. }))
                && !matches!(plan.task, Task::Classification { .. })
            {
                problems.add(
                    "simulation.attack.label_flip",
                    None,
                    "flipped labels need a task with one class per sample",
                    Some("use task.classification, or another attack".to_owned()),
                );
            }
            check_partition(plan, simulation, problems);
            check_shift(plan, simulation, problems);
            if simulation.clients != 0 && plan.round.arrival.count.min > simulation.clients {
                problems.add(
                    "round.arrival.count.min",
                    None,
                    format!(
                        "`min` is {}, there are {} simulated clients: no round could ever begin",
                        plan.round.arrival.count.min, simulation.clients
                    ),
                    Some("lower round.arrival.count.min or raise simulation.clients".to_owned()),
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
    check_closed_form(plan, problems);
    check_algorithms(plan, problems);
    check_personal(plan, problems);
    check_old_updates(plan, problems);
}

/// What rounds need that count updates of older models.
fn check_old_updates(plan: &Plan, problems: &Problems) {
    if !plan.round.takes_old() {
        return;
    }
    let key = if plan.round.asynchronous.is_some() { "round.async" } else { "round.updates.late" };
    let problem = |message: String, help: &str| problems.add(key, None, message, Some(help.to_owned()));
    if !matches!(plan.aggregate.strategy, Strategy::Fedavg { .. }) {
        let name = plan.aggregate.strategy.name();
        let message =
            format!("`{name}` compares or adds up updates of one model; updates of older ones go into a mean only");
        problem(message, "use strategy = \"fedavg\", with a server optimiser if you like");
    }
    let is_fedpac = matches!(plan.personal, Some(Personal::Fedpac { .. }));
    if plan.has_site_state() || plan.train.algorithm.feddyn.is_some() || is_fedpac {
        let message = "algorithms and personal models with which sites keep something go on from the last round that counted, which an older update is not";
        problem(
            message.to_owned(),
            "leave out scaffold, feddyn, moon, isogclr, fedpac and personal models that sites keep",
        );
    }
    let colludes = |s: &super::simulation::Simulation| {
        matches!(s.attack, Some(Attack::InnerProduct { .. } | Attack::LittleIsEnough { .. }))
    };
    if plan.simulation.as_ref().is_some_and(colludes) {
        let message = "hostile sites that agree on what they send need a common beginning";
        problem(message.to_owned(), "use another attack, such as sign_flip");
    }
}

/// What the partition needs of the data and the task.
fn check_partition(plan: &Plan, simulation: &Simulation, problems: &Problems) {
    let partition = &simulation.partition;
    let name = partition.name();
    let problem = |key: &str, message: String, help: Option<&str>| {
        problems.add(&format!("simulation.partition.{name}{key}"), None, message, help.map(str::to_owned));
    };
    if partition.takes_owners_of_data() && !matches!(plan.data.source, Source::Csv(_)) {
        let source = plan.data.source.name();
        problem(
            "",
            format!("the source `{source}` names no sites; `{name}` needs CSV files or a site_column"),
            Some("use another partition, such as [simulation.partition.dirichlet]"),
        );
    }
    let inputs = plan.data.input_values();
    match partition {
        Partition::Shards { classes_per_site }
        | Partition::Pathological { classes_per_site, .. }
        | Partition::Distribution { classes_per_site, .. } => {
            if let Task::Classification { classes } = &plan.task
                && classes_per_site > classes
            {
                let message = format!("`classes_per_site` is {classes_per_site}, the task has {classes} classes");
                problem(".classes_per_site", message, None);
            }
        }
        Partition::Continuous { input: Some(input), .. } if *input as usize >= inputs => {
            problem(".input", format!("`input` is {input}, samples have the inputs 0 to {}", inputs - 1), None);
        }
        Partition::Vertical { sizes, shared, .. } => {
            if let Some(outside) = shared.iter().find(|input| **input as usize >= inputs) {
                problem(".shared", format!("there is no input {outside}, samples have 0 to {}", inputs - 1), None);
            }
            let dealt = inputs.saturating_sub(shared.len());
            let wanted = sizes.iter().map(|size| *size as usize).sum::<usize>().max(simulation.clients as usize);
            if wanted > dealt {
                problem("", format!("{wanted} inputs are to be dealt out, {dealt} are there"), None);
            }
        }
        Partition::Iid
        | Partition::Dirichlet { .. }
        | Partition::InnerDirichlet { .. }
        | Partition::LabelShards { .. }
        | Partition::Sizes { .. }
        | Partition::Linear
        | Partition::Square
        | Partition::Exponential { .. }
        | Partition::ExactSizes { .. }
        | Partition::Continuous { .. }
        | Partition::Natural
        | Partition::Grouped { .. }
        | Partition::File { .. } => {}
    }
}

/// What the differences between sites need of the data and the task.
fn check_shift(plan: &Plan, simulation: &Simulation, problems: &Problems) {
    check_drift(plan, simulation, problems);
    let Some(shift) = &simulation.shift else { return };
    if shift.changes_labels() && !matches!(plan.task, Task::Classification { .. }) {
        let message = "`label_noise`, `concept` and `long_tail` need a task with one class per sample";
        let help = "use task.classification, or remove them".to_owned();
        problems.add("simulation.shift", None, message, Some(help));
    }
    let shape = plan.data.input_shape();
    if shift.rotation.is_some() && !matches!(shape.as_slice(), [_, _, _] | [_, _]) {
        let message = format!("`rotation` turns images, the data has the shape {shape:?}");
        problems.add("simulation.shift.rotation", None, message, None);
    }
}

/// What drift, and sites with clocks, need of the rest of the plan.
fn check_drift(plan: &Plan, simulation: &Simulation, problems: &Problems) {
    let problem = |path: &str, message: &str, help: &str| {
        problems.add(&format!("simulation.{path}"), None, message, Some(help.to_owned()));
    };
    let drift = simulation.drift.as_ref().map(|drift| drift.what);
    let of_classes = matches!(drift, Some(DriftKind::Labels | DriftKind::Concept));
    if of_classes && !matches!(plan.task, Task::Classification { .. }) {
        let message = "drift of labels and concepts needs a task with one class per sample";
        problem("drift", message, "use task.classification, or what = \"inputs\"");
    }
    if drift == Some(DriftKind::Inputs) && simulation.shift.is_none() {
        problem("drift", "inputs are to drift towards [simulation.shift], which is not there", "add that section");
    }
    let colludes = matches!(simulation.attack, Some(Attack::InnerProduct { .. } | Attack::LittleIsEnough { .. }));
    if colludes && !simulation.profiles.is_empty() {
        let message =
            "hostile sites that wait for each other have no time of their own, which profiles give every site";
        problem("attack", message, "choose an attack of single sites, or remove the profiles");
    }
}

/// What the algorithms of `[train.algorithm]` need of the rest of the plan.
fn check_algorithms(plan: &Plan, problems: &Problems) {
    let algorithms = &plan.train.algorithm;
    let problem = |name: &str, message: String, help: &str| {
        problems.add(&format!("train.algorithm.{name}"), None, message, Some(help.to_owned()));
    };
    let of_features = [
        ("moon", algorithms.moon.is_some()),
        ("feddecorr", algorithms.feddecorr.is_some()),
        ("isogclr", algorithms.isogclr.is_some()),
    ];
    for (name, there) in of_features {
        if there && !plan.model.has_features() {
            let message = format!("`{name}` works on the features before the last layer, which this model has none of");
            problem(name, message, "choose [model.mlp] with hidden layers, model = \"cnn\" or \"resnet8\"");
        }
    }
    for (name, there) in [("fedlc", algorithms.fedlc.is_some()), ("fedntd", algorithms.fedntd.is_some())] {
        if there && !matches!(plan.task, Task::Classification { .. }) {
            let message =
                format!("`{name}` works on the logits of a classification, the task is `{}`", plan.task.name());
            problem(name, message, "leave it out, or choose [task.classification]");
        }
    }
    let optimiser = &plan.train.optimiser;
    if algorithms.scaffold.is_some() && !matches!(optimiser, Optimiser::Sgd { momentum: 0.0, .. }) {
        let message = "`scaffold` reads the mean gradient off the way a site went, which takes sgd without momentum";
        problem("scaffold", message.to_owned(), "set [train.optimiser.sgd] with momentum = 0");
    }
    if algorithms.scaffold.is_some() && algorithms.feddyn.is_some() {
        let message = "`scaffold` and `feddyn` both correct the drift of a site; together they would correct it twice";
        problem("feddyn", message.to_owned(), "name one of them");
    }
    let uniform_mean = matches!(plan.aggregate.strategy, Strategy::Fedavg { weighting: Weighting::Uniform });
    let aggregate = &plan.aggregate;
    if algorithms.feddyn.is_some()
        && !(uniform_mean && aggregate.server.is_none() && aggregate.server_lr == 1.0 && aggregate.clip_norm.is_none())
    {
        let message = "`feddyn` makes the next model of the uniform mean of the updates as they are";
        let help = "set strategy = { fedavg = { weighting = \"uniform\" } }, without server, server_lr and clip_norm";
        problem("feddyn", message.to_owned(), help);
    }
}

/// What `[personal]` needs of the rest of the plan.
fn check_personal(plan: &Plan, problems: &Problems) {
    let Some(personal) = &plan.personal else { return };
    let problem = |message: String, help: &str| {
        problems.add(&format!("personal.{}", personal.name()), None, message, Some(help.to_owned()));
    };
    let name = personal.name();
    if let Some(reason) = personal.unfit(&plan.model) {
        problem(format!("`{name}` {reason}"), "choose another model, or another personal method such as \"ditto\"");
    }
    if matches!(personal, Personal::Fedpac { .. }) {
        if !matches!(plan.task, Task::Classification { .. }) {
            let message = format!("`{name}` has a centroid for each class, the task is `{}`", plan.task.name());
            problem(message, "choose [task.classification], or personal = \"fedrep\"");
        }
        let updates = match (plan.round.cohort, &plan.simulation) {
            (0, Some(simulation)) => simulation.clients.max(plan.round.arrival.count.min),
            (0, None) => plan.round.arrival.count.min,
            (cohort, _) => cohort,
        };
        if updates as usize > FEDPAC_UPDATES_MAX {
            let message =
                format!("`{name}` takes at most {FEDPAC_UPDATES_MAX} updates a round, a round may have {updates}");
            problem(message, "set round.cohort to at most 128");
        }
    }
    let algorithms = &plan.train.algorithm;
    if personal.fixes_blocks() && (algorithms.scaffold.is_some() || algorithms.feddyn.is_some()) {
        let message = format!(
            "with `{name}` blocks stay out of the update or begin elsewhere at each site, and `scaffold` and `feddyn` would correct their drift"
        );
        problem(message, "remove [train.algorithm] scaffold and feddyn, or use personal = \"ditto\"");
    }
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
    if let (Strategy::Fltrust { root }, Some(simulation)) = (&plan.aggregate.strategy, &plan.simulation)
        && !simulation.partition.takes_owners_of_data()
        && !simulation.site_names().any(|name| name == *root)
    {
        problem(
            format!("the trusted site {root} is none of the simulated ones"),
            "name one of simulation.names, or site-0, site-1, …",
        );
    }
    if matches!(plan.aggregate.strategy, Strategy::Fltrust { .. }) && plan.round.cohort != 0 {
        problem(
            format!("`{name}` needs the update of the trusted site in every round, a cohort may be drawn without it"),
            "set round.cohort = 0",
        );
    }
    let round = &plan.round;
    let there = round.arrival.count.min.max(plan.simulation.as_ref().map_or(0, |s| s.clients));
    let updates = round.updates_floor(there);
    let needed = plan.aggregate.strategy.updates_min();
    if updates < needed {
        problem(
            format!("`{name}` with these options needs {needed} updates, a round may close with {updates}"),
            "raise round.updates.count.min, or choose options that need fewer",
        );
    }
}

/// What the task needs of the source and of margin control.
fn check_targets(plan: &Plan, problems: &Problems) {
    let (task, source) = (plan.task.name(), &plan.data.source);
    let outputs = match (&plan.task, source) {
        (Task::Classification { .. }, _) => return,
        (Task::MultiLabel { .. }, Source::Digits) => Some(DIGIT_ATTRIBUTES),
        (Task::Regression { .. }, Source::Digits) => Some(1),
        (_, Source::Idx(_)) => {
            problems.add(
                "data.source.idx",
                None,
                format!("the source `idx` has one class for each sample, which is not enough for the task `{task}`"),
                Some("use csv with `targets`, or npz with a two-dimensional array".to_owned()),
            );
            None
        }
        (_, Source::Csv(_) | Source::Npz(_)) => None,
    };
    if let Some(outputs) = outputs.filter(|outputs| *outputs != plan.task.outputs()) {
        let key = if plan.task.classes() > 0 { "classes" } else { "outputs" };
        problems.add(
            &format!("task.{task}.{key}"),
            None,
            format!("`{key}` is {}, for this task the digits have {outputs}", plan.task.outputs()),
            Some(format!("write {key} = {outputs}")),
        );
    }
    if plan.train.margin_control.is_some() {
        problems.add(
            "train.margin_control",
            None,
            format!("margin control works on the softmax of a classification, the task is `{task}`"),
            Some("remove [train.margin_control]".to_owned()),
        );
    }
}
