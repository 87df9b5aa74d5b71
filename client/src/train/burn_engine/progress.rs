//! A training of burn's as a [`State`], and back.

use synod_common::state::State;

use super::super::error::TrainError;
use super::super::optimiser::{Names, Stepper};
use super::super::personal::Companion;
use super::BurnLearner;
use crate::models::{Network, write_flat};

const MODEL: &str = "model";
const OPTIMISER: Names = Names { steps: "steps", moments: "moments", first: "moments.first", second: "moments.second" };
/// The second model that trains along, where there is one.
const OWN: &str = "own.model";
const OWN_OPTIMISER: Names =
    Names { steps: "own.steps", moments: "own.moments", first: "own.moments.first", second: "own.moments.second" };
const OWN_ALPHA: &str = "own.alpha";
/// 1 while alpha has not moved yet.
const OWN_ADAPTS: &str = "own.adapts";
/// How far the noise of views is drawn, in words of the stream.
const VIEWS: &str = "views.word";
/// Whole numbers below this are exact in the state's numbers.
const EXACT_MAX: u128 = 1 << 53;

impl BurnLearner<'_> {
    /// Writes all that the next steps depend on; `false` where it cannot be written exactly.
    pub(super) fn save_progress(&self, progress: &mut State) -> Result<bool, String> {
        let flat = |network: &Network| {
            let mut values = vec![0.0; self.engine.blueprint.layout().len()];
            write_flat(network, &mut values).map(|()| values)
        };
        progress.set_vector(MODEL, flat(self.network())?);
        self.stepper.save(&OPTIMISER, progress)?;
        if let Some(companion) = &self.companion {
            progress.set_vector(OWN, flat(companion.network())?);
            companion.stepper().save(&OWN_OPTIMISER, progress)?;
            progress.set_number(OWN_ALPHA, companion.alpha);
            progress.set_number(OWN_ADAPTS, f64::from(u8::from(companion.adapts())));
        }
        let Some(views) = &self.views else { return Ok(true) };
        let position = views.position();
        progress.set_number(VIEWS, position as f64);
        Ok(position < EXACT_MAX)
    }

    /// Goes on from what [`save_progress`](Self::save_progress) wrote; `None` if it does not fit.
    pub(super) fn load_progress(&mut self, progress: &State) -> Result<Option<()>, TrainError> {
        let engine = self.engine;
        let lengths: Vec<usize> = engine.blueprint.layout().blocks().iter().map(|block| block.elements()).collect();
        let part = |model: &str, names: &Names| -> Result<Option<(Network, Stepper)>, TrainError> {
            let mut stepper = Stepper::new(engine.optimiser);
            let model = progress.vector(model).filter(|model| engine.blueprint.check(model).is_ok());
            match model.zip(stepper.load(names, progress, &lengths, &engine.plain)) {
                Some((model, ())) => Ok(Some((Network::new(&engine.blueprint, model, &engine.recording)?, stepper))),
                None => Ok(None),
            }
        };
        let Some((network, stepper)) = part(MODEL, &OPTIMISER)? else { return Ok(None) };
        (self.network, self.stepper) = (Some(network), stepper);
        if self.companion.is_some() {
            let numbers = progress.number(OWN_ALPHA).zip(progress.number(OWN_ADAPTS));
            let Some(((own, stepper), (alpha, adapts))) = part(OWN, &OWN_OPTIMISER)?.zip(numbers) else {
                return Ok(None);
            };
            self.companion = Some(Companion::new(own, stepper, alpha, adapts == 1.0));
        }
        if let Some(views) = &mut self.views {
            let Some(position) = progress.number(VIEWS).filter(|at| (0.0..EXACT_MAX as f64).contains(at)) else {
                return Ok(None);
            };
            views.go_to(position as u128);
        }
        Ok(Some(()))
    }
}
