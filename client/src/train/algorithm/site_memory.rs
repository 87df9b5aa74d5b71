//! What a site keeps from one of its rounds to the next, and what follows from it.
//!
//! | algorithm | kept, `[layout.len()]` | in the first round |
//! |---|---|---|
//! | SCAFFOLD | `scaffold.control`: the site's control variate `c_i` | 0 |
//! | FedDyn | `feddyn.gradient`: the gradient of its loss where it last stopped | 0 |
//! | MOON | `moon.previous`: the model it trained last | the received model |
//!
//! SCAFFOLD is option II of Karimireddy, Kale, Mohri, Reddi, Stich, Suresh: SCAFFOLD: Stochastic Controlled Averaging for
//! Federated Learning, ICML 2020, algorithm 1: with `K` steps of the rate `eta` and the delta `y - x`,
//! `c_i+ = c_i - c - (y - x) / (K eta)`, and `c_i+ - c_i` goes to the coordinator. FedDyn is algorithm 1 of Acar, Zhao,
//! Navarro, Mattina, Whatmough, Saligrama: Federated Learning Based on Dynamic Regularization, ICLR 2021:
//! `g+ = g - alpha (y - x)`.

use synod_common::plan::Algorithms;
use synod_common::random::{ChaCha12Rng, Purpose, stream};
use synod_common::state::State;

use super::super::error::TrainError;
use super::super::trainer::Assignment;

const CONTROL: &str = "scaffold.control";
const GRADIENT: &str = "feddyn.gradient";
const PREVIOUS: &str = "moon.previous";

/// What a site knows at the start of a round.
pub(in crate::train) struct SiteMemory<'a> {
    algorithms: &'a Algorithms,
    task: &'a Assignment<'a>,
    control: Option<&'a [f32]>,
    gradient: Option<&'a [f32]>,
    /// MOON's last local model.
    pub(in crate::train) previous: Option<&'a [f32]>,
}

/// What a site knows at the end of a round.
pub(in crate::train) struct Remembered {
    /// To be kept once the update counts.
    pub(in crate::train) state: State,
    /// The change of the site's control variate, for the coordinator; there with SCAFFOLD.
    pub(in crate::train) control: Option<Vec<f32>>,
}

impl<'a> SiteMemory<'a> {
    /// What `task` brings for `algorithms`.
    ///
    /// # Errors
    /// When SCAFFOLD's control variate is missing, or a vector has another length than the model.
    pub(in crate::train) fn new(algorithms: &'a Algorithms, task: &'a Assignment<'a>) -> Result<Self, TrainError> {
        let expected = task.model.len();
        let fits = |name: &'static str, values: Option<&'a [f32]>| match values {
            Some(values) if values.len() != expected => Err(TrainError::State { name, expected, found: values.len() }),
            values => Ok(values),
        };
        if algorithms.scaffold.is_some() && fits("control", task.extra)?.is_none() {
            return Err(TrainError::State { name: "control", expected, found: 0 });
        }
        let kept = |name: &'static str| fits(name, task.state.vector(name));
        Ok(Self { algorithms, task, control: kept(CONTROL)?, gradient: kept(GRADIENT)?, previous: kept(PREVIOUS)? })
    }

    /// The algorithms of the training.
    pub(in crate::train) fn algorithms(&self) -> &'a Algorithms {
        self.algorithms
    }

    /// The site's random stream of this round for `purpose`.
    pub(in crate::train) fn stream(&self, seed: u64, purpose: Purpose) -> ChaCha12Rng {
        stream(seed, self.task.round, self.task.client, purpose)
    }

    /// The model the round begins with.
    pub(in crate::train) fn received(&self) -> &'a [f32] {
        self.task.model
    }

    /// What is added to every gradient of the round.
    pub(in crate::train) fn offset(&self) -> Option<Vec<f32>> {
        if let (Some(_), Some(global)) = (self.algorithms.scaffold, self.task.extra) {
            return Some(match self.control {
                Some(own) => global.iter().zip(own).map(|(global, own)| global - own).collect(),
                None => global.to_vec(),
            });
        }
        self.algorithms.feddyn.and(self.gradient).map(|gradient| gradient.iter().map(|g| -g).collect())
    }

    /// What is remembered after `steps` steps of the rate `lr` led to `delta`.
    pub(in crate::train) fn after(&self, delta: &[f32], steps: u64, lr: f64) -> Remembered {
        let mut state = State::default();
        let mut change = None;
        if let (Some(_), Some(global)) = (self.algorithms.scaffold, self.task.extra) {
            let (own, moved) = control_after(self.control, global, delta, steps as f64 * lr);
            state.set_vector(CONTROL, own);
            change = Some(moved);
        }
        if let Some(feddyn) = self.algorithms.feddyn {
            let before = |at: usize| self.gradient.map_or(0.0, |gradient| f64::from(gradient[at]));
            let after = |(at, delta): (usize, &f32)| (before(at) - feddyn.alpha * f64::from(*delta)) as f32;
            state.set_vector(GRADIENT, delta.iter().enumerate().map(after).collect());
        }
        if self.algorithms.moon.is_some() {
            let trained = self.task.model.iter().zip(delta).map(|(model, delta)| model + delta);
            state.set_vector(PREVIOUS, trained.collect());
        }
        Remembered { state, control: change }
    }
}

/// The site's next control variate and its change. Where no way was gone (`way = K eta` is 0), nothing was learned of the
/// gradient, and nothing changes.
fn control_after(own: Option<&[f32]>, global: &[f32], delta: &[f32], way: f64) -> (Vec<f32>, Vec<f32>) {
    let own: Vec<f32> = own.map_or_else(|| vec![0.0; delta.len()], <[f32]>::to_vec);
    if way == 0.0 {
        return (own, vec![0.0; delta.len()]);
    }
    let change = |(global, delta): (&f32, &f32)| (-f64::from(*global) - f64::from(*delta) / way) as f32;
    let change: Vec<f32> = global.iter().zip(delta).map(change).collect();
    (own.iter().zip(&change).map(|(own, change)| own + change).collect(), change)
}

#[cfg(test)]
mod tests {
    use synod_common::ids::{ClientId, RoundId};
    use synod_common::plan::{FedDyn, Moon, Scaffold};

    use super::*;

    const MODEL: [f32; 2] = [1.0, 2.0];
    const C: [f32; 2] = [0.5, -1.0];

    fn task(state: &State) -> Assignment<'_> {
        Assignment { round: RoundId(1), client: ClientId([1; 16]), model: &MODEL, extra: Some(&C), state }
    }

    #[test]
    fn scaffold_by_hand() {
        let algorithms = Algorithms { scaffold: Some(Scaffold {}), ..Algorithms::default() };
        let (empty, mut kept) = (State::default(), State::default());
        let first = task(&empty);
        let memory = SiteMemory::new(&algorithms, &first).unwrap();
        assert_eq!(memory.offset().unwrap(), [0.5, -1.0], "c - 0");
        // Four steps of 0.25 make a way of 1: c_i+ = 0 - c - delta.
        let after = memory.after(&[-3.0, 1.0], 4, 0.25);
        assert_eq!(after.state.vector(CONTROL).unwrap(), [2.5, 0.0]);
        assert_eq!(after.control.unwrap(), [2.5, 0.0]);
        kept.set_vector(CONTROL, vec![2.5, 0.0]);
        let second = task(&kept);
        let memory = SiteMemory::new(&algorithms, &second).unwrap();
        assert_eq!(memory.offset().unwrap(), [-2.0, -1.0], "c - c_i");
        let after = memory.after(&[-1.0, 1.0], 2, 0.25);
        assert_eq!(after.control.unwrap(), [1.5, -1.0], "-c - delta / 0.5");
        assert_eq!(after.state.vector(CONTROL).unwrap(), [4.0, -1.0]);
        let idle = memory.after(&[0.0, 0.0], 0, 0.25);
        assert_eq!((idle.state.vector(CONTROL).unwrap(), idle.control.unwrap()), ([2.5, 0.0].as_slice(), vec![0.0; 2]));
    }

    #[test]
    fn feddyn_and_moon_by_hand() {
        let algorithms = Algorithms {
            feddyn: Some(FedDyn { alpha: 0.5 }),
            moon: Some(Moon { mu: 1.0, tau: 0.5 }),
            ..Algorithms::default()
        };
        let empty = State::default();
        let first = task(&empty);
        let memory = SiteMemory::new(&algorithms, &first).unwrap();
        assert!(memory.offset().is_none() && memory.previous.is_none());
        let after = memory.after(&[2.0, -4.0], 3, 0.1);
        assert!(after.control.is_none());
        assert_eq!(after.state.vector(GRADIENT).unwrap(), [-1.0, 2.0]);
        assert_eq!(after.state.vector(PREVIOUS).unwrap(), [3.0, -2.0]);
        let second = task(&after.state);
        let memory = SiteMemory::new(&algorithms, &second).unwrap();
        assert_eq!(memory.offset().unwrap(), [1.0, -2.0], "minus the gradient");
        assert_eq!(memory.previous.unwrap(), [3.0, -2.0]);
        assert_eq!(memory.after(&[2.0, 0.0], 3, 0.1).state.vector(GRADIENT).unwrap(), [-2.0, 2.0]);
    }

    #[test]
    fn vectors_of_another_model_are_refused_and_scaffold_needs_its_control() {
        let algorithms = Algorithms { scaffold: Some(Scaffold {}), ..Algorithms::default() };
        let mut state = State::default();
        state.set_vector(CONTROL, vec![0.0; 3]);
        assert!(matches!(
            SiteMemory::new(&algorithms, &task(&state)),
            Err(TrainError::State { name: CONTROL, expected: 2, found: 3 })
        ));
        let empty = State::default();
        let without = Assignment { extra: None, ..task(&empty) };
        assert!(matches!(SiteMemory::new(&algorithms, &without), Err(TrainError::State { found: 0, .. })));
    }
}
