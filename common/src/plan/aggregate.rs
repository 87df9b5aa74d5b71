//! The `[aggregate]` section: clip, combine, step.

use serde::Serialize;

use super::reader::Section;
use super::strategies::STRATEGIES;
use super::strategy::{Strategy, Weighting};

/// How updates become the next global model: each is clipped, the strategy combines them to one step, and the server
/// optimiser takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aggregate {
    /// Learning rate of the server optimiser. Without one the next model is the old one plus `server_lr` times the step.
    pub server_lr: f64,
    /// Longest L2 norm an update counts with; a longer one is shortened to it. Absent: none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// The rule that combines.
    pub strategy: Strategy,
    /// What makes a step of the combined update. Absent: the step is the combined update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerOptimiser>,
}

/// Makes a step of the round's combined update, as an optimiser makes one of a gradient (FedOpt, Reddi et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerOptimiser {
    /// Steps that keep their speed (FedAvgM, Hsu et al. 2019).
    Sgd {
        /// Share of the last step that is kept: 0 to below 1. 0 is no optimiser at all.
        momentum: f64,
    },
    /// FedAdagrad.
    Adagrad {
        /// Decay of the mean.
        beta1: f64,
        /// Keeps the divisor above 0; a larger one makes the steps less adaptive.
        tau: f64,
    },
    /// FedAdam.
    Adam {
        /// Decay of the mean.
        beta1: f64,
        /// Decay of the mean of squares.
        beta2: f64,
        /// Keeps the divisor above 0; a larger one makes the steps less adaptive.
        tau: f64,
    },
    /// FedYogi.
    Yogi {
        /// Decay of the mean.
        beta1: f64,
        /// How far the mean of squares moves, at most.
        beta2: f64,
        /// Keeps the divisor above 0; a larger one makes the steps less adaptive.
        tau: f64,
    },
}

const SERVER_OPTIMISERS: &[&str] = &["sgd", "adagrad", "adam", "yogi"];

impl ServerOptimiser {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adagrad { .. } => "adagrad",
            Self::Adam { .. } => "adam",
            Self::Yogi { .. } => "yogi",
        }
    }

    /// The name that this optimiser has together with the plain mean.
    fn with_mean(self) -> &'static str {
        match self {
            Self::Sgd { .. } => "fedavgm",
            Self::Adagrad { .. } => "fedadagrad",
            Self::Adam { .. } => "fedadam",
            Self::Yogi { .. } => "fedyogi",
        }
    }

    /// The learning rate where a plan names none: adaptive steps have the size of the rate itself, 1 would end any run.
    fn default_lr(self) -> f64 {
        if matches!(self, Self::Sgd { .. }) { 1.0 } else { 0.1 }
    }

    /// The options of the optimiser `name`; `None` if there is no such optimiser.
    fn read(name: &str, o: &mut Section<'_, '_>) -> Option<Self> {
        let decay = |o: &mut Section<'_, '_>, key, default| o.number(key, default, 0.0..=0.999_999);
        let tau = |o: &mut Section<'_, '_>| o.number("tau", 1e-3, 1e-12..=1.0);
        Some(match name {
            "sgd" => Self::Sgd { momentum: decay(o, "momentum", 0.9) },
            "adagrad" => Self::Adagrad { beta1: decay(o, "beta1", 0.0), tau: tau(o) },
            "adam" => Self::Adam { beta1: decay(o, "beta1", 0.9), beta2: decay(o, "beta2", 0.99), tau: tau(o) },
            "yogi" => Self::Yogi { beta1: decay(o, "beta1", 0.9), beta2: decay(o, "beta2", 0.99), tau: tau(o) },
            _ => return None,
        })
    }
}

impl Default for Aggregate {
    /// Plain federated averaging.
    fn default() -> Self {
        let strategy = Strategy::Fedavg { weighting: Weighting::Samples };
        Self { server_lr: 1.0, clip_norm: None, strategy, server: None }
    }
}

impl Aggregate {
    /// What the whole is called: the strategy, and the server optimiser where there is one. The mean with an optimiser has
    /// the name that the field gives it, like `fedadam`.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.strategy, self.server) {
            (strategy, None) => strategy.name().to_owned(),
            (Strategy::Fedavg { .. }, Some(server)) => server.with_mean().to_owned(),
            (strategy, Some(server)) => format!("{} + {}", strategy.name(), server.name()),
        }
    }

    pub(super) fn read(mut s: Section<'_, '_>) -> Self {
        let clip_norm = s.optional_number("clip_norm", 1e-9..=1e6);
        let (strategy, of_strategy) = read_strategy(&mut s);
        let server = read_server(&mut s, of_strategy);
        let default_lr = server.map_or(1.0, ServerOptimiser::default_lr);
        let server_lr = s.number("server_lr", default_lr, 0.0..=1e3);
        s.finish();
        Self { server_lr, clip_norm, strategy, server }
    }
}

/// The strategy, and the server optimiser where the strategy's name stands for the mean with one.
fn read_strategy(s: &mut Section<'_, '_>) -> (Strategy, Option<ServerOptimiser>) {
    let default = Aggregate::default().strategy;
    let Some(mut choice) = s.choice("strategy") else { return (default, None) };
    let o = &mut choice.options;
    let read = if let Some(strategy) = Strategy::read(&choice.name, o) {
        Some((strategy, None))
    } else {
        let server = match choice.name.as_str() {
            "fedavgm" => "sgd",
            "fedadagrad" => "adagrad",
            "fedadam" => "adam",
            "fedyogi" => "yogi",
            _ => "",
        };
        ServerOptimiser::read(server, o)
            .map(|server| (Strategy::Fedavg { weighting: o.or("weighting", Weighting::Samples) }, Some(server)))
    };
    match read {
        Some(read) => {
            choice.options.finish();
            read
        }
        None => {
            let names: Vec<&str> = STRATEGIES.iter().map(|info| info.name).collect();
            choice.unknown("strategy", &names);
            (default, None)
        }
    }
}

fn read_server(s: &mut Section<'_, '_>, of_strategy: Option<ServerOptimiser>) -> Option<ServerOptimiser> {
    let Some(mut choice) = s.choice("server") else { return of_strategy };
    if let Some(server) = of_strategy {
        let name = server.with_mean();
        let help = format!("write strategy = \"fedavg\" with this server optimiser, or leave `server` to `{name}`");
        s.problem_at("server", Some(choice.span), format!("`{name}` has a server optimiser already"), Some(help));
        return of_strategy;
    }
    match ServerOptimiser::read(&choice.name, &mut choice.options) {
        Some(server) => {
            choice.options.finish();
            Some(server)
        }
        None => {
            choice.unknown("server", SERVER_OPTIMISERS);
            None
        }
    }
}
