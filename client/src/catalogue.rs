//! Names and options of losses, for the reader of plans.

use synod_common::plan::{Catalogue, Plan, Refusal, Task};
use synod_losses::regression::columns_per_output;
use synod_losses::{LossConfig, LossError, TaskKind};

/// The loss zoo as a plan's reader sees it.
#[derive(Clone, Copy, Debug)]
pub struct Zoo;

impl Catalogue for Zoo {
    fn loss(&self, task: &Task, name: &str, options: toml::Table) -> Result<toml::Table, Refusal> {
        let kind = kind_of(task);
        let config = LossConfig::from_name(name, toml::Value::Table(options)).map_err(|error| refuse(&error, kind))?;
        if !config.fits(kind) {
            return Err(Refusal {
                message: format!("the loss `{name}` is not for the task `{}`", task.name()),
                help: Some(fitting(kind)),
            });
        }
        check_per_class(task, &config)?;
        toml::Table::try_from(config.options()).map_err(|error| Refusal {
            message: format!("the options of `{name}` have no TOML form: {error}"),
            help: None,
        })
    }
}

/// The zoo's word for a task.
pub(crate) fn kind_of(task: &Task) -> TaskKind {
    match task {
        Task::Classification { .. } => TaskKind::Classification,
        Task::MultiLabel { .. } => TaskKind::MultiLabel,
        Task::Regression { .. } => TaskKind::Regression,
    }
}

/// The loss of a plan.
pub(crate) fn loss_of(plan: &Plan) -> Result<LossConfig, LossError> {
    let choice = &plan.train.loss;
    LossConfig::from_name(&choice.name, toml::Value::Table(choice.options.clone()))
}

/// Outputs of the plan's model for one sample: those of the task, and in regression as many columns for each as the loss
/// needs.
pub(crate) fn model_outputs(plan: &Plan) -> usize {
    // A plan whose loss is unknown cannot train, and its task's outputs are the best guess for reading its files.
    let columns = loss_of(plan).map_or(1, |loss| columns_per_output(&loss));
    plan.task.outputs() * columns
}

fn fitting(kind: TaskKind) -> String {
    format!("losses for this task: {}", LossConfig::names_for(kind).join(", "))
}

fn refuse(error: &LossError, kind: TaskKind) -> Refusal {
    let help = matches!(error, LossError::Unknown { .. }).then(|| fitting(kind));
    Refusal { message: error.to_string(), help }
}

/// The zoo checks the number of per-class options in the first step; the plan knows it now.
fn check_per_class(task: &Task, config: &LossConfig) -> Result<(), Refusal> {
    let (option, given) = match config {
        LossConfig::CrossEntropy(config) => ("class_weights", config.class_weights.as_ref().map(Vec::len)),
        LossConfig::Focal(config) => ("alpha", config.alpha.as_ref().map(Vec::len)),
        LossConfig::BinaryCrossEntropy(config) => ("pos_weight", config.pos_weight.as_ref().map(Vec::len)),
        _ => return Ok(()),
    };
    let classes = task.outputs();
    match given {
        Some(given) if given != classes => Err(Refusal {
            message: format!("`{option}` of `{}` has {given} entries, the task has {classes} classes", config.name()),
            help: Some("give one number for each class, in the order of the labels".to_owned()),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, options: &str) -> Result<toml::Table, Refusal> {
        Zoo.loss(&Task::Classification { classes: 3 }, name, options.parse().unwrap())
    }

    #[test]
    fn options_come_back_complete_and_are_stable() {
        let options = ask("focal", "").unwrap();
        assert_eq!(options["gamma"].as_float(), Some(2.0));
        assert_eq!(ask("focal", &options.to_string()).unwrap(), options);
        assert_eq!(ask("cross_entropy", "label_smoothing = 0.1").unwrap()["label_smoothing"].as_float(), Some(0.1));
    }

    #[test]
    fn wrong_names_and_options_are_refused_with_what_to_do() {
        let refusal = ask("crossentropy", "").unwrap_err();
        assert!(refusal.message.contains("cross_entropy"), "{refusal:?}");
        assert!(refusal.help.unwrap().starts_with("losses for this task: cross_entropy, focal"));
        assert_eq!(ask("mse", "").unwrap_err().message, "the loss `mse` is not for the task `classification`");
        assert!(ask("focal", "gama = 1.0").unwrap_err().message.contains("gamma"));
        assert!(ask("focal", "gamma = -1.0").unwrap_err().message.contains("gamma"));
        let refusal = ask("cross_entropy", "class_weights = [1.0, 2.0]").unwrap_err();
        assert!(refusal.message.contains("has 2 entries, the task has 3 classes"), "{refusal:?}");
    }
}
