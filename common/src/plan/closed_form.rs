//! What models in closed form need of the rest of the plan: one round of sums from everyone, and nothing that trains.

use super::reader::Problems;
use super::resolved::Plan;
use super::strategy::Strategy;
use super::task::Task;
use super::train::Model;

/// Most values of one sample for `ridge`: its layout has the square of it, and fitting costs the cube.
pub const RIDGE_INPUTS_MAX: usize = 2048;

/// Adds to `problems` what a model in closed form does not go together with, and the strategy `sum` without one.
pub(super) fn check_closed_form(plan: &Plan, problems: &Problems) {
    let sums = matches!(plan.aggregate.strategy, Strategy::Sum);
    let name = plan.model.name();
    if !plan.model.is_closed_form() {
        if sums {
            problems.add(
                "aggregate.strategy.sum",
                None,
                format!("`sum` adds up statistics of samples, the model `{name}` is trained in steps"),
                Some("choose model = \"naive_bayes\" or \"ridge\", or strategy = \"fedavg\"".to_owned()),
            );
        }
        return;
    }
    let (train, aggregate) = (&plan.train, &plan.aggregate);
    let require = |holds: bool, path: &str, why: &str, help: &str| {
        if !holds {
            problems.add(path, None, format!("the model `{name}` {why}"), Some(help.to_owned()));
        }
    };
    let (task, help) = match (&plan.model, &plan.task) {
        (_, Task::Classification { .. }) | (Model::Ridge { .. }, Task::Regression { .. }) => (true, ""),
        (Model::Ridge { .. }, _) => (false, "choose [task.classification] or [task.regression]"),
        _ => (false, "choose [task.classification], or model = \"ridge\" for a regression"),
    };
    require(task, "task", "is not for this task", help);
    require(sums, "aggregate.strategy", "is a sum over samples", "set aggregate.strategy = \"sum\"");
    let plain = aggregate.server.is_none() && aggregate.server_lr == 1.0 && aggregate.clip_norm.is_none();
    require(plain, "aggregate", "takes the sums as they are", "leave out server, server_lr and clip_norm");
    require(plan.rounds == 1, "rounds", "is complete after one round", "set rounds = 1");
    let help = "set round.cohort = 0";
    require(plan.round.cohort == 0, "round.cohort", "takes the samples of every site at once", help);
    let once = train.epochs == 1 && train.steps.is_none();
    require(once, "train", "looks at each sample once", "leave out epochs and steps");
    let plain = train.clip_norm.is_none() && train.margin_control.is_none() && train.algorithm.is_empty();
    require(plain, "train", "is not trained in steps", "leave out clip_norm, margin_control and algorithm");
    let help = "leave out [personal]";
    require(plan.personal.is_none(), "personal", "is the same for every site", help);
    let loss = plan.task.default_loss();
    let help = format!("leave out [train.loss], or name `{loss}`");
    require(train.loss.name == loss, "train.loss", "has no loss of its own, this one only measures it", &help);
    let inputs = plan.data.input_values();
    if matches!(plan.model, Model::Ridge { .. }) && inputs > RIDGE_INPUTS_MAX {
        problems.add(
            "model.ridge",
            None,
            format!(
                "samples have {inputs} values, `ridge` takes at most {RIDGE_INPUTS_MAX}: its sums grow with the square"
            ),
            Some("choose model = \"logistic\" or \"naive_bayes\", or samples with fewer values".to_owned()),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{AnyLoss, Plan};

    fn problems(model: &str, rest: &str) -> Vec<String> {
        let text = format!(
            "model = \"{model}\"\n{rest}\n[data.source.npz]\nfile = \"x.npz\"\nshape = [{}]\n",
            if rest.contains("wide") { 2049 } else { 4 }
        );
        match Plan::read(&text, &AnyLoss) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems.into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect(),
        }
    }

    const CLASSES: &str = "task.classification.classes = 3\n";
    const NUMBERS: &str = "task.regression = {}\n";

    #[test]
    fn sums_of_one_round_are_a_good_plan() {
        let sum = "rounds = 1\naggregate.strategy = \"sum\"\n";
        assert_eq!(problems("naive_bayes", &format!("{CLASSES}{sum}")), [""; 0]);
        assert_eq!(problems("ridge", &format!("{CLASSES}{sum}")), [""; 0]);
        assert_eq!(problems("ridge", &format!("{NUMBERS}{sum}")), [""; 0]);
    }

    #[test]
    fn everything_that_would_make_the_sums_wrong_is_refused_by_name() {
        let refused = |model: &str, rest: &str, told: &str| {
            let all = problems(model, rest);
            assert!(all.len() == 1 && all[0].starts_with(told), "{rest}: {all:?}");
        };
        for (extra, path) in [
            ("aggregate.server_lr = 0.5\n", "aggregate: "),
            ("aggregate.clip_norm = 1.0\n", "aggregate: "),
            ("aggregate.server = \"adam\"\n", "aggregate: "),
            ("round.cohort = 2\nround.arrival.count.min = 2\n", "round.cohort: "),
            ("train.epochs = 2\n", "train: the model `ridge` looks"),
            ("train.steps = 5\n", "train: the model `ridge` looks"),
            ("train.margin_control = {}\n", "train: the model `ridge` is not"),
            ("train.algorithm.fedprox = {}\n", "train: the model `ridge` is not"),
            ("train.loss.focal = {}\n", "train.loss: "),
            ("personal.apfl = {}\n", "personal: "),
            ("name = \"wide\"\n", "model.ridge: samples have 2049"),
        ] {
            refused("ridge", &format!("rounds = 1\naggregate.strategy = \"sum\"\n{CLASSES}{extra}"), path);
        }
        refused("ridge", &format!("rounds = 2\naggregate.strategy = \"sum\"\n{CLASSES}"), "rounds: ");
        refused("ridge", &format!("rounds = 1\n{CLASSES}"), "aggregate.strategy: ");
        refused("naive_bayes", &format!("rounds = 1\naggregate.strategy = \"sum\"\n{NUMBERS}"), "task: ");
        refused("logistic", &format!("aggregate.strategy = \"sum\"\n{CLASSES}"), "aggregate.strategy.sum: ");
    }
}
