//! What algorithms do to the gradient of a step, parameter by parameter, on the device.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use synod_common::plan::FedSam;

/// Keeps the length of a gradient above 0 where it divides, as the authors of SAM do.
const EPSILON: f64 = 1e-12;

/// An offset and a pull, both constant over a round.
///
/// `g + offset + strength (w - w_received)`: FedProx has the strength `mu`, FedDyn the strength `alpha` and the offset minus
/// its gradient state, SCAFFOLD the offset `c - c_i`.
pub(in crate::train) struct Correction {
    strength: f64,
    received: Tensor<1>,
    offset: Option<Tensor<1>>,
}

impl Correction {
    /// The correction of a round that began with `received`; `None` where nothing is to be corrected.
    pub(in crate::train) fn new(
        strength: f64,
        offset: Option<Vec<f32>>,
        received: &[f32],
        device: &Device,
    ) -> Option<Self> {
        let flat = |values: Vec<f32>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        (strength != 0.0 || offset.is_some()).then(|| Self {
            strength,
            received: flat(received.to_vec()),
            offset: offset.map(flat),
        })
    }

    /// Corrects the gradients of `module`.
    pub(in crate::train) fn apply<M: Module>(&self, module: &M, gradients: &mut GradientsParams) {
        module.visit(&mut Apply { correction: self, gradients, at: 0 });
    }
}

struct Apply<'a> {
    correction: &'a Correction,
    gradients: &'a mut GradientsParams,
    /// Where the parameter begins in the flat model.
    at: usize,
}

impl ModuleVisitor for Apply<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let shape = value.dims();
        let range = self.at..self.at + shape.iter().product::<usize>();
        self.at = range.end;
        let Some(mut gradient) = self.gradients.remove::<D>(param.id) else { return };
        let part = |flat: &Tensor<1>| flat.clone().slice(range.clone()).reshape(shape);
        let Correction { strength, received, offset } = self.correction;
        if let Some(offset) = offset {
            gradient = gradient + part(offset);
        }
        if *strength != 0.0 {
            gradient = gradient + (value - part(received)) * *strength;
        }
        self.gradients.register(param.id, gradient);
    }
}

/// The L2 norm over all parameters, `[1]`, which stays on the device. With `eta` that of `T g`, see [`scaled`].
fn norm<M: Module>(module: &M, gradients: &GradientsParams, eta: Option<f64>) -> Option<Tensor<1>> {
    let mut squares = Squares { gradients, eta, sum: None };
    module.visit(&mut squares);
    squares.sum.map(Tensor::sqrt)
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    eta: Option<f64>,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let gradient = match self.eta {
            Some(eta) => scaled(param.val().inner(), gradient, eta),
            None => gradient,
        };
        let squares = (gradient.clone() * gradient).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + squares,
            None => squares,
        });
    }
}

/// Shortens the gradients of `module` to the norm `norm_max` over all parameters (Pascanu, Mikolov, Bengio: On the
/// Difficulty of Training Recurrent Neural Networks, 2013). Gradients within it keep every bit.
pub(in crate::train) fn clip<M: Module>(module: &M, gradients: &mut GradientsParams, norm_max: f64) {
    let Some(norm) = norm(module, gradients, None) else { return };
    let factor = (norm.recip() * norm_max).clamp_max(1.0);
    module.visit(&mut Scale { gradients, factor });
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor.clone().reshape([1; D]));
        }
    }
}

/// `T g` with `T = |w| + eta` for each weight `w` and 1 for biases, as in the code released with ASAM.
fn scaled<const D: usize>(value: Tensor<D>, gradient: Tensor<D>, eta: f64) -> Tensor<D> {
    if D > 1 { (value.abs() + eta) * gradient } else { gradient }
}

/// `module` moved by `rho` in the direction of steepest ascent, `w + rho g / |g|` (FedSAM; Qu, Li, Duan, Liu, Tang, Lu:
/// Generalized Federated Learning via Sharpness Aware Minimization, ICML 2022, algorithm 1).
///
/// Adaptive, `w + rho T^2 g / |T g|`: the distance is relative to the size of each weight, so that it means the same when
/// layers are rescaled (Kwon, Kim, Park, Choi: ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
/// Deep Neural Networks, ICML 2021; at sites, Caldarola, Caputo, Ciccone: Improving Generalization in Federated
/// Learning by Seeking Flat Minima, ECCV 2022).
pub(in crate::train) fn ascend<M: Module>(module: M, gradients: &GradientsParams, fedsam: &FedSam) -> M {
    let eta = fedsam.adaptive.then_some(fedsam.eta);
    match norm(&module, gradients, eta) {
        Some(norm) => module.map(&mut Ascend { gradients, eta, step: (norm + EPSILON).recip() * fedsam.rho }),
        None => module,
    }
}

struct Ascend<'a> {
    gradients: &'a GradientsParams,
    eta: Option<f64>,
    step: Tensor<1>,
}

impl ModuleMapper for Ascend<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let mut value = tensor.inner();
        if let Some(mut gradient) = self.gradients.get::<D>(id) {
            if let Some(eta) = self.eta {
                gradient = scaled(value.clone(), scaled(value.clone(), gradient, eta), eta);
            }
            value = value + gradient * self.step.clone().reshape([1; D]);
        }
        Param::from_mapped_value(id, value.autodiff().require_grad(), mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::Linear;
    use burn::tensor::Gradients;

    use super::*;

    const START: [f32; 4] = [1.0, -2.0, 0.5, 3.0];

    fn module() -> Linear {
        let device = Device::flex().autodiff();
        let weight = Tensor::<2>::from_data(TensorData::new(START[..2].to_vec(), [1, 2]), &device);
        let bias = Tensor::<1>::from_data(TensorData::new(START[2..].to_vec(), [2]), &device);
        Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) }
    }

    /// The gradients (w1, 2 w2, 3 w3, 4 w4).
    fn gradients(module: &Linear) -> GradientsParams {
        let all = Tensor::cat(vec![module.weight.val().reshape([2]), module.bias.as_ref().unwrap().val()], 0);
        let scale = Tensor::<1>::from_data([0.5, 1.0, 1.5, 2.0], &Device::flex());
        let gradients: Gradients = (all.clone() * all * scale).sum().backward();
        GradientsParams::from_grads(gradients, module)
    }

    fn flat(module: &Linear, gradients: &GradientsParams) -> Vec<f32> {
        let weight = gradients.get::<2>(module.weight.id).unwrap().into_data().try_to_vec::<f32>().unwrap();
        let bias = gradients.get::<1>(module.bias.as_ref().unwrap().id).unwrap();
        [weight, bias.into_data().try_to_vec().unwrap()].concat()
    }

    #[test]
    fn offset_and_pull_are_added_where_they_belong() {
        let module = module();
        let received = [0.0, -2.0, 1.5, 1.0];
        let offset = vec![10.0, 20.0, 30.0, 40.0];
        let mut corrected = gradients(&module);
        assert_eq!(flat(&module, &corrected), [1.0, -4.0, 1.5, 12.0]);
        Correction::new(0.5, Some(offset), &received, &Device::flex()).unwrap().apply(&module, &mut corrected);
        // g + offset + 0.5 (w - received).
        assert_eq!(flat(&module, &corrected), [1.0 + 10.0 + 0.5, -4.0 + 20.0, 1.5 + 30.0 - 0.5, 12.0 + 40.0 + 1.0]);
        assert!(Correction::new(0.0, None, &received, &Device::flex()).is_none());
    }

    #[test]
    fn a_long_gradient_is_shortened_and_a_short_one_keeps_its_bits() {
        let module = module();
        let length = (1.0_f32 + 16.0 + 2.25 + 144.0).sqrt();
        let mut clipped = gradients(&module);
        clip(&module, &mut clipped, 2.0);
        for (found, g) in flat(&module, &clipped).iter().zip([1.0, -4.0, 1.5, 12.0]) {
            assert!((found - g * 2.0 / length).abs() < 1e-6, "{found}");
        }
        let mut kept = gradients(&module);
        clip(&module, &mut kept, 12.8);
        assert_eq!(flat(&module, &kept), [1.0, -4.0, 1.5, 12.0]);
    }

    #[test]
    fn the_worst_point_nearby_is_rho_away_along_the_gradient() {
        let at = module();
        let worst = ascend(at.clone(), &gradients(&at), &FedSam { rho: 0.5, adaptive: false, eta: 0.01 });
        let mut found = [0.0; 4];
        crate::models::write_flat(&worst, &mut found).unwrap();
        let length = (1.0_f32 + 16.0 + 2.25 + 144.0).sqrt();
        for ((found, start), g) in found.iter().zip(START).zip([1.0, -4.0, 1.5, 12.0]) {
            assert!((found - (start + 0.5 * g / length)).abs() < 1e-6, "{found}");
        }
        // The gradient there belongs to the same parameters.
        let there = gradients(&worst);
        assert!((flat(&at, &there)[3] - 4.0 * found[3]).abs() < 1e-5);
    }

    #[test]
    fn an_adaptive_ascent_goes_as_far_as_weights_are_large() {
        let at = module();
        let worst = ascend(at.clone(), &gradients(&at), &FedSam { rho: 0.5, adaptive: true, eta: 0.25 });
        let mut found = [0.0; 4];
        crate::models::write_flat(&worst, &mut found).unwrap();
        // T is |w| + 0.25 for the two weights, 1 for the two biases.
        let (scale, g) = ([1.25_f32, 2.25, 1.0, 1.0], [1.0, -4.0, 1.5, 12.0]);
        let length = scale.iter().zip(g).map(|(t, g)| (t * g).powi(2)).sum::<f32>().sqrt();
        for ((found, start), (t, g)) in found.iter().zip(START).zip(scale.iter().zip(g)) {
            assert!((found - (start + 0.5 * t * t * g / length)).abs() < 1e-6, "{found}");
        }
    }
}
