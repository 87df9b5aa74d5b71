//! The whole plan: reading, checking what concerns several sections, the canonical text and its digest.

use serde::Serialize;
use toml::de::DeTable;

use super::aggregate::Aggregate;
use super::data::DataPlan;
use super::federation::{Evaluate, Screening};
use super::personal::Personal;
use super::reader::{Problem, Problems, Section};
use super::round::RoundPlan;
use super::simulation::Simulation;
use super::task::Task;
use super::together::check_together;
use super::train::{Model, Train};
use crate::ids::Digest;

/// Longest plan, in bytes: ten thousand columns fit.
pub const PLAN_BYTES_MAX: usize = 1 << 20;

/// A checked plan, complete with defaults. It is what its digest says it is: change it only through its text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// A name for people.
    pub name: String,
    /// The seed of every draw of the run.
    pub seed: u64,
    /// Rounds to run.
    pub rounds: u32,
    /// What the model is for.
    pub task: Task,
    /// The architecture.
    pub model: Model,
    /// How samples are written and become numbers.
    pub data: DataPlan,
    /// How a client trains.
    pub train: Train,
    /// How sites come to models of their own; absent: one model for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal>,
    /// How updates become the next model.
    pub aggregate: Aggregate,
    /// Who takes part in a round and how long it may take.
    pub round: RoundPlan,
    /// What an update must satisfy.
    pub screening: Screening,
    /// When models are measured.
    pub evaluate: Evaluate,
    /// How one data set becomes many sites; only where sites are simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
}

/// Checks names and options that other crates own.
pub trait Catalogue {
    /// Checks the loss `name` with `options` for `task` and returns the options complete with defaults.
    ///
    /// # Errors
    /// When there is no such loss, it does not fit the task, or an option is wrong.
    fn loss(&self, task: &Task, name: &str, options: toml::Table) -> Result<toml::Table, Refusal>;
}

/// Why a [`Catalogue`] refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What and why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Accepts every loss as it is: for a coordinator that only needs the rest of the plan, and for tests.
#[derive(Debug, Clone, Copy)]
pub struct AnyLoss;

impl Catalogue for AnyLoss {
    fn loss(&self, _task: &Task, _name: &str, options: toml::Table) -> Result<toml::Table, Refusal> {
        Ok(options)
    }
}

/// Why a text is no plan: every problem found, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan has {} problem{}{}", problems.len(), if problems.len() == 1 { "" } else { "s" }, first(problems))]
pub struct PlanError {
    /// The text that was read.
    pub source_text: String,
    /// What is wrong with it; never empty.
    pub problems: Vec<Problem>,
}

fn first(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("; {}: {}", p.path, p.message)).collect()
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// All problems of the text at once: syntax, unknown keys, wrong types, values out of range, sections that do not
    /// fit each other.
    pub fn read(text: &str, catalogue: &dyn Catalogue) -> Result<Self, PlanError> {
        let problems = Problems::default();
        if text.len() > PLAN_BYTES_MAX {
            problems.add(
                "",
                None,
                format!("the plan has {} bytes, at most {PLAN_BYTES_MAX} are read", text.len()),
                None,
            );
            return Err(PlanError { source_text: String::new(), problems: problems.into_vec() });
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                problems.add("", error.span(), error.message().trim_end(), None);
            }
            return Err(PlanError { source_text: text.to_owned(), problems: problems.into_vec() });
        }
        let span = document.span();
        let root = Section::new(&problems, String::new(), Some(span.start..span.start), document.into_inner());
        let plan = read_root(root, catalogue);
        if let Some(plan) = &plan {
            check_together(plan, &problems);
        }
        let problems = problems.into_vec();
        match plan {
            Some(plan) if problems.is_empty() => Ok(plan),
            _ => Err(PlanError { source_text: text.to_owned(), problems }),
        }
    }

    /// The canonical text: every key with its value. Reading it gives the same plan.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a plan has only values that TOML can hold")
    }

    /// Whether sites keep something from one of their rounds to the next.
    #[must_use]
    pub fn has_site_state(&self) -> bool {
        self.train.algorithm.has_site_state() || self.personal.as_ref().is_some_and(Personal::has_site_state)
    }

    /// The identity of the run: the digest of the canonical text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_toml().as_bytes())
    }
}

fn read_root(mut root: Section<'_, '_>, catalogue: &dyn Catalogue) -> Option<Plan> {
    let name: String = root.or("name", "unnamed".to_owned());
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        root.problem("name", "`name` is 1 to 100 printable characters", None);
    }
    let seed = root.number("seed", 1, 0..=i64::MAX as u64);
    let rounds = root.number("rounds", 10, 1..=1_000_000);
    let task = Task::read(&mut root);
    let model = Model::read(&mut root);
    if !root.has("data") {
        root.problem(
            "",
            "`data` is missing: where samples come from",
            Some("add [data] with a source, like source = \"digits\""),
        );
    }
    let data = DataPlan::read(root.section("data"), task.as_ref());
    let train = Train::read(root.section_or_empty("train"), task.as_ref(), catalogue);
    let personal = Personal::read(&mut root);
    let aggregate = Aggregate::read(root.section_or_empty("aggregate"));
    let round = RoundPlan::read(root.section_or_empty("round"));
    let screening = Screening::read(root.section_or_empty("screening"));
    let evaluate = Evaluate::read(root.section_or_empty("evaluate"));
    let simulation = root.section("simulation").map(Simulation::read);
    root.finish();
    Some(Plan {
        name,
        seed,
        rounds,
        task: task?,
        model: model?,
        data: data?,
        train: train?,
        personal,
        aggregate,
        round,
        screening,
        evaluate,
        simulation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        rounds = 3
        model = "logistic"
        [task.classification]
        classes = 10
        [data]
        source = "digits"
    "#;

    fn problems(text: &str) -> Vec<(String, String)> {
        let error = Plan::read(text, &AnyLoss).expect_err("the plan is wrong");
        error.problems.into_iter().map(|p| (p.path, p.message)).collect()
    }

    #[test]
    fn a_small_plan_gets_every_default() {
        let plan = Plan::read(SMALL, &AnyLoss).unwrap();
        insta::assert_snapshot!(plan.to_toml());
    }

    #[test]
    fn the_canonical_text_reads_back_as_the_same_plan() {
        let text = format!(
            "{SMALL}
            [data.normalise.given]
            mean = [1.0]
            std = [2.5]
            [train]
            steps = 7
            [train.loss.focal]
            gamma = 2.0
            [train.margin_control]
            lambda = 0.1
            [train.optimiser.adam_w]
            [train.schedule]
            warmup_rounds = 1
            [train.schedule.decay.cosine]
            [aggregate.strategy.principal_gradient]
            orientation = \"majority\"
            [round.updates]
            time.max = \"90s\"
            [simulation]
            names = [\"a\", \"b\"]
            [simulation.partition.dirichlet]
            alpha = 0.1"
        );
        let plan = Plan::read(&text, &AnyLoss).unwrap();
        let again = Plan::read(&plan.to_toml(), &AnyLoss).unwrap();
        assert_eq!(plan, again);
        assert_eq!(plan.digest(), again.digest());
    }

    #[test]
    fn the_digest_sees_every_key() {
        let plan = Plan::read(SMALL, &AnyLoss).unwrap();
        let other = Plan::read(&format!("seed = 2\n{SMALL}"), &AnyLoss).unwrap();
        assert_ne!(plan.digest(), other.digest());
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = r#"
            rouns = 3
            seed = "one"
            [model.mpl]
            [task.classification]
            classes = 1
            [data]
            source = "digits"
            holdout = 1.5
            [train]
            batch = 0
            lr = 0.1
            [round]
            cohort = 4
            updates = { count = { min = 5 }, time = { max = "soon" } }
            [aggregate.strategy.fedavg]
            [aggregate.strategy.principal_gradient]
        "#;
        insta::assert_debug_snapshot!(problems(text));
    }

    /// What is said of plans of the other tasks, one plan after the other.
    #[test]
    fn tasks_say_what_they_need() {
        let plan = |task: &str, source: &str, train: &str| {
            problems(&format!("model = \"logistic\"\n[task.{task}\n[data.source.{source}\n[train]\n{train}"))
        };
        let csv = |targets: &str| format!("csv]\nfiles = [\"a.csv\"]\nnumeric = [\"x\"]\n{targets}");
        let told = [
            plan("multi_label]\nclasses = 2", &csv("label = \"y\""), ""),
            plan("multi_label]\nclasses = 3", &csv("targets = [\"a\", \"a\"]"), ""),
            plan("multi-label]", &csv("targets = [\"x\"]"), ""),
            plan("regression]\noutputs = 2\nmean = [1.0]", &csv("targets = [\"a\", \"b\"]"), ""),
            plan("regression]\nstd = [0.0]", &csv("targets = [\"a\"]"), ""),
            plan("regression]", &csv("targets = [\"a\"]"), "margin_control = {}"),
            plan("regression]", "idx]\nimages = \"a\"\nlabels = \"b\"\nshape = [4]", ""),
            plan("multi_label]\nclasses = 4", "digits]", ""),
            plan("regresion]", "digits]", ""),
        ];
        insta::assert_debug_snapshot!(told);
    }

    #[test]
    fn problems_have_places_and_help() {
        let text = "[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n[model.mlp]\nhiden = [1]\n";
        let error = Plan::read(text, &AnyLoss).unwrap_err();
        let problem = &error.problems[0];
        assert_eq!(problem.path, "model.mlp.hiden");
        assert_eq!(&text[problem.span.clone().unwrap()], "hiden");
        assert_eq!(problem.help.as_deref(), Some("did you mean `hidden`?"));
    }

    #[test]
    fn sections_that_do_not_fit_each_other_are_refused() {
        let text = "model = \"cnn\"\n[task.classification]\nclasses = 2\n[data.source.csv]\nfiles = [\"a.csv\"]\nlabel = \"y\"\nnumeric = [\"x\"]\n";
        assert!(problems(text)[0].1.contains("takes images"));
        let text = format!("{SMALL}\n[simulation]\nclients = 4\npartition = \"natural\"\n[round]\ncohort = 9");
        let all = problems(&text);
        assert_eq!(all.len(), 2, "{all:?}");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z\\[\\]=.\"0-9 \n]{0,200}") {
            let _ = Plan::read(&text, &AnyLoss);
        }

        #[test]
        fn no_edit_of_a_good_plan_makes_the_reader_panic(at in 0..SMALL.len(), with in "[ -~]{0,3}") {
            let text = format!("{}{}{}", &SMALL[..at], with, &SMALL[(at + 1).min(SMALL.len())..]);
            if let Ok(plan) = Plan::read(&text, &AnyLoss) {
                proptest::prop_assert_eq!(Plan::read(&plan.to_toml(), &AnyLoss), Ok(plan));
            }
        }
    }
}
