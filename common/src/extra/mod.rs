//! Extra vectors: what travels beside the model of a task and beside the delta of an update, as raw values of their own.
//!
//! | method | with a training task | with an evaluation task | with an update |
//! |---|---|---|---|
//! | SCAFFOLD | the control variate, `[layout.len()]` | | its change at the site, `[layout.len()]` |
//! | FedPAC | the site's head and the classes' centroids, [`Guide`] | the same | [`ClassStatistics`] |
//!
//! Both sides know the lengths from plan and layout, so nothing on the wire says them.

mod fedpac;

pub use fedpac::{ClassStatistics, Guide, StatisticsError};

use crate::blocks::Layout;
use crate::plan::{Personal, Plan};
use crate::wire::TaskKind;

/// Lengths of the extra vectors of a run, in values; `None` where nothing travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// With a task to train.
    pub train: Option<usize>,
    /// With a task to measure.
    pub evaluate: Option<usize>,
    /// With an update.
    pub update: Option<usize>,
}

impl Extras {
    /// Those of `plan`, whose model has `layout`.
    #[must_use]
    pub fn new(plan: &Plan, layout: &Layout) -> Self {
        if plan.train.algorithm.scaffold.is_some() {
            return Self { train: Some(layout.len()), evaluate: None, update: Some(layout.len()) };
        }
        match (&plan.personal, layout.head()) {
            (Some(Personal::Fedpac { .. }), Some(head)) => {
                let guide = Some(Guide::values(&head));
                Self { train: guide, evaluate: guide, update: Some(ClassStatistics::values(&head)) }
            }
            _ => Self::default(),
        }
    }

    /// With a task of `kind`.
    #[must_use]
    pub fn of_task(&self, kind: TaskKind) -> Option<usize> {
        match kind {
            TaskKind::Train => self.train,
            TaskKind::Evaluate => self.evaluate,
        }
    }

    /// Bytes of `values`, as they travel.
    #[must_use]
    pub fn bytes(values: Option<usize>) -> u64 {
        values.map_or(0, |values| values as u64 * 4)
    }
}
