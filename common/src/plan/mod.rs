//! The plan: one TOML file that defines a federated run, the same for everyone who takes part.
//!
//! ```text
//! TOML text ── read ──► Plan (checked, complete with defaults) ── canonical TOML ──► digest = identity of the run
//! ```
//!
//! Reading reports all problems at once, each with its place. Options that belong to another crate (losses) are checked
//! through a [`Catalogue`], so that this crate stays free of tensors.

mod aggregate;
mod algorithm;
mod closed_form;
mod data;
mod federation;
mod personal;
mod reader;
mod resolved;
mod round;
mod simulation;
mod staleness;
mod strategies;
mod strategy;
mod task;
mod together;
mod train;
mod units;

pub use aggregate::{Aggregate, ServerOptimiser};
pub use algorithm::{Algorithms, FedDecorr, FedDyn, FedLc, FedNtd, FedProx, FedSam, IsoGclr, Moon, Scaffold};
pub use closed_form::RIDGE_INPUTS_MAX;
pub use data::{
    COLUMNS_MAX, CsvSource, DIGIT_ATTRIBUTES, DataPlan, Fit, INPUT_VALUES_MAX, IdxSource, Normalise, NpzSource,
    OnMissing, Source,
};
pub use federation::{Evaluate, SITES_MAX, Screening};
pub use personal::{BlockRule, FineTune, Moves, Personal};
pub use reader::Problem;
pub use resolved::{AnyLoss, Catalogue, PLAN_BYTES_MAX, Plan, PlanError, Refusal};
pub use round::{Arrival, Async, Count, Evaluation, Late, OnTooFew, RoundPlan, Time, TimeMax, Updates};
pub use simulation::{
    Attack, Availability, ColumnOrder, Concept, Contrast, Deal, Drift, DriftKind, InputNoise, LabelNoise,
    LabelNoiseKind, LongTail, Partition, Profile, Property, Remainder, Rotation, Scanner, Shift, Simulation,
    SiteArrival, Spread, Unlabelled,
};
pub use staleness::Staleness;
pub use strategies::{OptionInfo, STRATEGIES, StrategyFamily, StrategyInfo};
pub use strategy::{DirectionLength, Orientation, PrincipalGradient, Scope, StepNorm, Strategy, Weighting};
pub use task::{Better, CLASSES_MAX, Headline, LABELS_MAX, OUTPUTS_MAX, Task};
pub use train::{
    Activation, AdamOptions, Decay, LossChoice, MarginControl, MarginReduction, Model, Optimiser, Schedule, Train,
};
pub use units::{DURATION_MAX, PlanDuration};
