//! APFL's second model on the device: trained in step with the shared one, as a part of a mixture of both.
//!
//! Deng, Kamani, Mahdavi: Adaptive Personalized Federated Learning, 2020, algorithm 1. With the local copy `w` of the shared
//! model, the site's own `v` and the mixture `u = alpha v + (1 - alpha) w`, both of before the step, on the same batch:
//! `v <- v - eta alpha grad f(u)`, where the plan's optimiser takes the place of the plain step. Equation 11, once a round
//! before its first step: `alpha <- alpha - eta <v - w, grad f(u)>`, kept within 0 and 1.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::super::optimiser::Stepper;
use crate::models::Network;

pub(in crate::train) struct Companion {
    /// `v`; empty only while the optimiser rebuilds it.
    network: Option<Network>,
    stepper: Stepper,
    pub(in crate::train) alpha: f64,
    /// Whether alpha is to move before the next step.
    adapts: bool,
}

impl Companion {
    pub(in crate::train) fn new(network: Network, stepper: Stepper, alpha: f64, adapts: bool) -> Self {
        Self { network: Some(network), stepper, alpha, adapts }
    }

    pub(in crate::train) fn network(&self) -> &Network {
        self.network.as_ref().expect("every step puts the network back")
    }

    pub(in crate::train) fn stepper(&self) -> &Stepper {
        &self.stepper
    }

    /// Whether alpha is still to move.
    pub(in crate::train) fn adapts(&self) -> bool {
        self.adapts
    }

    /// The mixture with `shared`, in which parameters have the ids of this model.
    pub(in crate::train) fn mixed(&self, shared: &Network) -> Network {
        let mut parts = Parts(Vec::new());
        shared.visit(&mut parts);
        self.network().clone().map(&mut Mix { shared: parts.0.into_iter(), alpha: self.alpha })
    }

    /// A step by the `gradients` of the mixture with `shared`. `finish` sees them last, as they are given to the optimiser.
    pub(in crate::train) fn step(
        &mut self,
        shared: &Network,
        mut gradients: GradientsParams,
        lr: f64,
        finish: impl FnOnce(&Network, &mut GradientsParams),
    ) -> Result<(), String> {
        let Some(network) = self.network.take() else { return Ok(()) };
        let mut parts = Parts(Vec::new());
        shared.visit(&mut parts);
        let mut chain =
            Chain { shared: parts.0.into_iter(), gradients: &mut gradients, alpha: self.alpha, along: None };
        network.visit(&mut chain);
        if std::mem::take(&mut self.adapts)
            && let Some(along) = chain.along
        {
            let along = along.try_into_data().map_err(|error| error.to_string())?;
            let along = along.as_slice::<f32>().ok().and_then(|values| values.first()).copied().unwrap_or(f32::NAN);
            self.alpha = (self.alpha - lr * f64::from(along)).clamp(0.0, 1.0);
        }
        finish(&network, &mut gradients);
        self.network = Some(self.stepper.step(network, gradients, lr));
        Ok(())
    }
}

/// `alpha own + (1 - alpha) shared`, value by value: the mixture that a site answers with.
pub(super) fn mixture(own: &[f32], shared: &[f32], alpha: f64) -> Vec<f32> {
    let mix = |(own, shared): (&f32, &f32)| (alpha * f64::from(*own) + (1.0 - alpha) * f64::from(*shared)) as f32;
    own.iter().zip(shared).map(mix).collect()
}

/// The parameters of a module, flat, without recording.
struct Parts(Vec<Tensor<1>>);

impl ModuleVisitor for Parts {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let elements = value.dims().iter().product::<usize>();
        self.0.push(value.reshape([elements]));
    }
}

const SAME_FORM: &str = "both models are of one blueprint";

struct Mix {
    shared: std::vec::IntoIter<Tensor<1>>,
    alpha: f64,
}

impl ModuleMapper for Mix {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let own = tensor.inner();
        let shared = self.shared.next().expect(SAME_FORM).reshape(own.dims());
        let value = own * self.alpha + shared * (1.0 - self.alpha);
        Param::from_mapped_value(id, value.autodiff().require_grad(), mapper)
    }
}

/// From the gradient of the mixture to that of `v`, and the slope along `alpha`, `[1]`.
struct Chain<'a> {
    shared: std::vec::IntoIter<Tensor<1>>,
    gradients: &'a mut GradientsParams,
    alpha: f64,
    along: Option<Tensor<1>>,
}

impl ModuleVisitor for Chain<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let own = param.val().inner();
        let shared = self.shared.next().expect(SAME_FORM).reshape(own.dims());
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let slope = ((own - shared) * gradient.clone()).sum();
        self.along = Some(match self.along.take() {
            Some(along) => along + slope,
            None => slope,
        });
        self.gradients.register(param.id, gradient * self.alpha);
    }
}
