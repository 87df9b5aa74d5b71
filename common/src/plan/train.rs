//! The `[model]` and `[train]` sections: what is trained, and how a client trains it.

use serde::{Deserialize, Serialize};

use super::Catalogue;
use super::algorithm::Algorithms;
use super::reader::Section;
use super::task::Task;

/// Most hidden layers of an MLP, and most units in one.
pub(super) const HIDDEN_LAYERS_MAX: usize = 16;
/// Most units of one hidden layer.
pub(super) const HIDDEN_UNITS_MAX: u32 = 16_384;

/// The architecture.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// One linear layer: softmax regression.
    Logistic,
    /// Linear layers with an activation between them.
    Mlp {
        /// Units of each hidden layer.
        hidden: Vec<u32>,
        /// Between the layers.
        activation: Activation,
    },
    /// The CNN of the FedAvg paper (McMahan et al. 2017): conv 5x5x32, pool, conv 5x5x64, pool, 512, classes.
    /// Inputs are `[channels, height, width]`, at least 4 x 4.
    Cnn,
    /// The small CNN of NIID-Bench (Li et al. 2022), after LeNet-5: conv 5x5x6, pool, conv 5x5x16, pool, 120, 84, classes,
    /// convolutions without padding. Inputs are `[channels, height, width]`, at least 16 x 16.
    Lenet,
    /// A residual network of three stages with group normalisation, which needs no running statistics.
    Resnet8 {
        /// Channels of the first stage; the next ones have twice and four times as many.
        width: u32,
        /// Groups of each group normalisation; divides `width`.
        groups: u32,
    },
    /// Gaussian naive Bayes with one variance per input, from counts, sums and squares that sites add up in one round
    /// (Zheng et al. 2023).
    NaiveBayes {
        /// Added to each variance, above 0.
        var_eps: f64,
        /// Samples added to each class in the priors, at least 0.
        prior_smoothing: f64,
    },
    /// Linear least squares with a penalty, from products that sites add up in one round (Hoerl and Kennard 1970). A
    /// classification is fitted to ones and zeros.
    Ridge {
        /// Weight of the squared coefficients beside the sum of squared errors, above 0. The intercept has no penalty.
        lambda: f64,
    },
}

/// The function between the layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Gaussian error linear unit.
    Gelu,
}

const MODELS: &[&str] = &["logistic", "mlp", "cnn", "lenet", "resnet8", "naive_bayes", "ridge"];

impl Model {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Mlp { .. } => "mlp",
            Self::Cnn => "cnn",
            Self::Lenet => "lenet",
            Self::Resnet8 { .. } => "resnet8",
            Self::NaiveBayes { .. } => "naive_bayes",
            Self::Ridge { .. } => "ridge",
        }
    }

    /// Whether there are features between the inputs and the last layer.
    #[must_use]
    pub fn has_features(&self) -> bool {
        match self {
            Self::Logistic | Self::NaiveBayes { .. } | Self::Ridge { .. } => false,
            Self::Mlp { hidden, .. } => !hidden.is_empty(),
            Self::Cnn | Self::Lenet | Self::Resnet8 { .. } => true,
        }
    }

    /// Whether the model is fitted in closed form: its values are sums over samples, which sites add up in one round.
    #[must_use]
    pub fn is_closed_form(&self) -> bool {
        matches!(self, Self::NaiveBayes { .. } | Self::Ridge { .. })
    }

    pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        if !root.has("model") {
            root.problem(
                "",
                "`model` is missing: the architecture to train",
                Some("add model = \"logistic\", or [model.mlp] with hidden = [64]"),
            );
        }
        let choice = root.choice("model")?;
        let name = choice.name.clone();
        if !MODELS.contains(&name.as_str()) {
            choice.unknown("model", MODELS);
            return None;
        }
        let mut s = choice.options;
        let model = match name.as_str() {
            "mlp" => {
                let hidden: Vec<u32> = s.or("hidden", vec![64]);
                if hidden.len() > HIDDEN_LAYERS_MAX || hidden.iter().any(|h| *h == 0 || *h > HIDDEN_UNITS_MAX) {
                    s.problem("hidden", format!("`hidden` is {hidden:?}: at most {HIDDEN_LAYERS_MAX} layers of 1 to {HIDDEN_UNITS_MAX} units"), None);
                }
                Self::Mlp { hidden, activation: s.or("activation", Activation::Relu) }
            }
            "cnn" => Self::Cnn,
            "lenet" => Self::Lenet,
            "resnet8" => {
                let width = s.number("width", 16, 1..=1024);
                let groups = s.number("groups", 8, 1..=1024);
                if width % groups != 0 {
                    s.problem("groups", format!("`groups` is {groups}, which does not divide `width` = {width}"), None);
                }
                Self::Resnet8 { width, groups }
            }
            "naive_bayes" => Self::NaiveBayes {
                var_eps: s.number("var_eps", 1e-9, 1e-12..=1e6),
                prior_smoothing: s.number("prior_smoothing", 0.0, 0.0..=1e6),
            },
            "ridge" => Self::Ridge { lambda: s.number("lambda", 1.0, 1e-6..=1e12) },
            _ => Self::Logistic,
        };
        s.finish();
        Some(model)
    }
}

/// How a client trains in one round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Train {
    /// Passes over the site's training samples. 0 trains nothing, which measures what a round costs by itself.
    pub epochs: u32,
    /// Local steps instead of epochs: a fixed number of batches, going round the samples as often as needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Samples of one step.
    pub batch: u32,
    /// Longest gradient of a step, as the L2 norm over all parameters; a longer one is shortened to it. Absent: none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Whether sites measure the received model's loss on their training samples before they train, at the price of one
    /// pass over them: q-FedAvg needs it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub loss_before: bool,
    /// The objective.
    pub loss: LossChoice,
    /// Margin control (FedLD), added to any loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin_control: Option<MarginControl>,
    /// How a step changes the parameters. Its state begins anew each round.
    pub optimiser: Optimiser,
    /// How the learning rate changes over rounds.
    pub schedule: Schedule,
    /// What is added to plain training.
    #[serde(skip_serializing_if = "Algorithms::is_empty")]
    pub algorithm: Algorithms,
}

/// An objective of the loss zoo with its options, checked by the zoo.
#[derive(Clone, Debug, PartialEq)]
pub struct LossChoice {
    /// The name.
    pub name: String,
    /// Its options, complete with defaults.
    pub options: toml::Table,
}

impl Serialize for LossChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.name, &self.options)])
    }
}

/// Margin control: `lambda` times ln(1 + sum p^2), added to the loss (FedLD, card 17 part A).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MarginControl {
    /// Its weight, at least 0.
    pub lambda: f64,
    /// Over what the logarithm is taken.
    pub reduction: MarginReduction,
}

/// Over what margin control takes its logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarginReduction {
    /// One logarithm for the whole batch, as the authors' released code does.
    Batch,
    /// The mean over samples, which does not depend on the batch size.
    Mean,
}

/// How a step changes the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// 0 to below 1.
        momentum: f64,
        /// Added to the gradient: `weight_decay` times the parameter.
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba 2015); `weight_decay` is added to the gradient.
    Adam(AdamOptions),
    /// AdamW (Loshchilov and Hutter 2019); `weight_decay` shrinks the parameter directly.
    AdamW(AdamOptions),
}

/// Options of Adam and AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AdamOptions {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Keeps the divisor above 0.
    pub epsilon: f64,
    /// See the optimiser.
    pub weight_decay: f64,
}

impl Optimiser {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::Adam(_) => "adam",
            Self::AdamW(_) => "adam_w",
        }
    }

    /// The learning rate before any schedule.
    #[must_use]
    pub fn lr(&self) -> f64 {
        match self {
            Self::Sgd { lr, .. } => *lr,
            Self::Adam(o) | Self::AdamW(o) => o.lr,
        }
    }
}

/// How the learning rate changes over rounds: a factor on the optimiser's `lr`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// Rounds over which the rate climbs linearly from near 0 to full.
    pub warmup_rounds: u32,
    /// After the warm-up.
    pub decay: Decay,
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// It stays.
    Constant,
    /// Half a cosine from 1 to `last` at the last round.
    Cosine {
        /// The factor at the last round.
        last: f64,
    },
    /// Times `factor` each `every` rounds.
    Step {
        /// Rounds between two falls.
        every: u32,
        /// Factor of each fall.
        factor: f64,
    },
    /// Times `factor` each round.
    Exponential {
        /// Factor of each round.
        factor: f64,
    },
}

impl Schedule {
    /// The factor on the learning rate in round `round` (counted from 1) of `rounds`.
    #[must_use]
    pub fn factor(&self, round: u64, rounds: u64) -> f64 {
        let warmup = u64::from(self.warmup_rounds);
        if round <= warmup {
            return round as f64 / (warmup + 1) as f64;
        }
        let since = (round - warmup - 1) as f64;
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Cosine { last } => {
                let span = rounds.saturating_sub(warmup + 1).max(1) as f64;
                let half = 0.5 * (1.0 + (std::f64::consts::PI * (since / span).min(1.0)).cos());
                last + (1.0 - last) * half
            }
            Decay::Step { every, factor } => factor.powf((since / f64::from(every.max(1))).floor()),
            Decay::Exponential { factor } => factor.powf(since),
        }
    }
}

impl Train {
    /// Steps of the local optimiser in a round over `samples` samples.
    #[must_use]
    pub fn steps_of(&self, samples: u64) -> u64 {
        match self.steps {
            Some(steps) => u64::from(steps),
            None => samples.div_ceil(u64::from(self.batch.max(1))).saturating_mul(u64::from(self.epochs)),
        }
    }

    pub(super) fn read(section: Section<'_, '_>, task: Option<&Task>, catalogue: &dyn Catalogue) -> Option<Self> {
        let mut s = section;
        let epochs = s.number("epochs", 1, 0..=100_000);
        let steps = s.optional_number("steps", 1..=10_000_000);
        let batch = s.number("batch", 32, 1..=65_536);
        let loss = read_loss(&mut s, task, catalogue);
        let margin_control = s.section("margin_control").map(|mut m| {
            let control = MarginControl {
                lambda: m.number("lambda", 0.03, 0.0..=1e6),
                reduction: m.or("reduction", MarginReduction::Batch),
            };
            m.finish();
            control
        });
        let optimiser = read_optimiser(&mut s);
        let schedule = read_schedule(&mut s);
        let clip_norm = s.optional_number("clip_norm", 1e-9..=1e6);
        let loss_before = s.or("loss_before", false);
        let algorithm = Algorithms::read(&mut s);
        s.finish();
        Some(Self {
            epochs,
            steps,
            batch,
            clip_norm,
            loss_before,
            loss: loss?,
            margin_control,
            optimiser,
            schedule,
            algorithm,
        })
    }
}

fn read_loss(s: &mut Section<'_, '_>, task: Option<&Task>, catalogue: &dyn Catalogue) -> Option<LossChoice> {
    let (name, span, options) = match s.choice("loss") {
        Some(mut choice) => {
            let options = choice.options.rest();
            (choice.name, Some(choice.span), options)
        }
        None => (task?.default_loss().to_owned(), s.span(), toml::Table::new()),
    };
    match catalogue.loss(task?, &name, options) {
        Ok(options) => Some(LossChoice { name, options }),
        Err(refusal) => {
            s.problem_at(&format!("loss.{name}"), span, refusal.message, refusal.help);
            None
        }
    }
}

const OPTIMISERS: &[&str] = &["sgd", "adam", "adam_w"];

fn read_optimiser(s: &mut Section<'_, '_>) -> Optimiser {
    let default = Optimiser::Sgd { lr: 0.05, momentum: 0.0, weight_decay: 0.0 };
    let Some(choice) = s.choice("optimiser") else { return default };
    let name = choice.name.clone();
    if !OPTIMISERS.contains(&name.as_str()) {
        choice.unknown("optimiser", OPTIMISERS);
        return default;
    }
    let mut o = choice.options;
    let optimiser = if name == "sgd" {
        Optimiser::Sgd {
            lr: o.number("lr", 0.05, 0.0..=1e3),
            momentum: o.number("momentum", 0.0, 0.0..=0.999_999),
            weight_decay: o.number("weight_decay", 0.0, 0.0..=1e3),
        }
    } else {
        let options = AdamOptions {
            lr: o.number("lr", 0.001, 0.0..=1e3),
            beta1: o.number("beta1", 0.9, 0.0..=0.999_999),
            beta2: o.number("beta2", 0.999, 0.0..=0.999_999_9),
            epsilon: o.number("epsilon", 1e-8, 1e-12..=1.0),
            weight_decay: o.number("weight_decay", if name == "adam_w" { 0.01 } else { 0.0 }, 0.0..=1e3),
        };
        if name == "adam" { Optimiser::Adam(options) } else { Optimiser::AdamW(options) }
    };
    o.finish();
    optimiser
}

const DECAYS: &[&str] = &["constant", "cosine", "step", "exponential"];

fn read_schedule(s: &mut Section<'_, '_>) -> Schedule {
    let mut schedule = Schedule { warmup_rounds: 0, decay: Decay::Constant };
    let Some(mut section) = s.section("schedule") else { return schedule };
    schedule.warmup_rounds = section.number("warmup_rounds", 0, 0..=1_000_000);
    if let Some(choice) = section.choice("decay") {
        let name = choice.name.clone();
        if DECAYS.contains(&name.as_str()) {
            let mut o = choice.options;
            schedule.decay = match name.as_str() {
                "cosine" => Decay::Cosine { last: o.number("last", 0.0, 0.0..=1.0) },
                "step" => Decay::Step {
                    every: o.number("every", 10, 1..=1_000_000),
                    factor: o.number("factor", 0.5, 0.0..=1.0),
                },
                "exponential" => Decay::Exponential { factor: o.number("factor", 0.99, 0.0..=1.0) },
                _ => Decay::Constant,
            };
            o.finish();
        } else {
            choice.unknown("decay", DECAYS);
        }
    }
    section.finish();
    schedule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_warms_up_and_falls() {
        let cosine = Schedule { warmup_rounds: 1, decay: Decay::Cosine { last: 0.0 } };
        let factors: Vec<_> = (1..=4).map(|r| cosine.factor(r, 4)).collect();
        assert_eq!(factors[0], 0.5);
        assert_eq!(factors[1], 1.0);
        assert!((factors[2] - 0.5).abs() < 1e-12);
        assert!(factors[3].abs() < 1e-12);
        let step = Schedule { warmup_rounds: 0, decay: Decay::Step { every: 2, factor: 0.5 } };
        assert_eq!((1..=5).map(|r| step.factor(r, 5)).collect::<Vec<_>>(), vec![1.0, 1.0, 0.5, 0.5, 0.25]);
    }
}
