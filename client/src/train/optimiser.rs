//! SGD, Adam and AdamW as PyTorch computes them, on tensors that stay where they are.
//!
//! burn's own optimisers are close to these, but scale the learning rate of Adam in another order and keep their state
//! in maps by parameter. Here a parameter's state is found by its place in the module, and what is not asked for
//! (momentum, weight decay) costs nothing.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use synod_common::plan::{AdamOptions, Optimiser};
use synod_common::state::State as Progress;

/// An optimiser with its state, which begins empty.
pub(super) struct Stepper {
    rule: Optimiser,
    steps: i32,
    /// State of each parameter in the order of the module, flattened: velocity, or both moments.
    state: Vec<Option<State>>,
}

struct State {
    first: Tensor<1>,
    /// Empty for SGD.
    second: Option<Tensor<1>>,
}

impl Stepper {
    pub(super) fn new(rule: Optimiser) -> Self {
        Self { rule, steps: 0, state: Vec::new() }
    }

    /// `module` after one step against `gradients`.
    pub(super) fn step<M: Module>(&mut self, module: M, gradients: GradientsParams, lr: f64) -> M {
        self.steps = self.steps.saturating_add(1);
        module.map(&mut Step { stepper: self, gradients, lr, place: 0 })
    }
}

/// Under which names a stepper is saved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) steps: &'static str,
    /// For each place how many moments it has.
    pub(super) moments: &'static str,
    /// All first moments one after the other, and all second ones.
    pub(super) first: &'static str,
    pub(super) second: &'static str,
}

impl Stepper {
    /// Writes the state into `progress`. Waits for the device.
    pub(super) fn save(&self, names: &Names, progress: &mut Progress) -> Result<(), String> {
        let (mut moments, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
        for state in &self.state {
            let present = [state.as_ref().map(|s| &s.first), state.as_ref().and_then(|s| s.second.as_ref())];
            moments.push(present.iter().flatten().count() as f32);
            for (tensor, values) in present.into_iter().zip([&mut first, &mut second]) {
                if let Some(tensor) = tensor {
                    let data = tensor.clone().try_into_data().map_err(|error| error.to_string())?;
                    values.extend_from_slice(data.as_slice::<f32>().map_err(|error| format!("{error:?}"))?);
                }
            }
        }
        progress.set_number(names.steps, f64::from(self.steps));
        for (name, values) in [(names.moments, moments), (names.first, first), (names.second, second)] {
            progress.set_vector(name, values);
        }
        Ok(())
    }

    /// Goes on from what [`save`](Self::save) wrote of a module whose parameters have these `lengths`; `None` if it does not
    /// fit.
    pub(super) fn load(
        &mut self,
        names: &Names,
        progress: &Progress,
        lengths: &[usize],
        device: &Device,
    ) -> Option<()> {
        let steps = progress.number(names.steps).filter(|steps| (0.0..f64::from(i32::MAX)).contains(steps))?;
        let (mut first, mut second) = (progress.vector(names.first)?, progress.vector(names.second)?);
        let take = |all: &mut &[f32], length: usize| {
            let (values, rest) = all.split_at_checked(length)?;
            *all = rest;
            Some(Tensor::<1>::from_data(TensorData::new(values.to_vec(), [length]), device))
        };
        let mut state = Vec::new();
        for (at, moments) in progress.vector(names.moments)?.iter().enumerate() {
            let length = *lengths.get(at)?;
            state.push(match *moments {
                0.0 => None,
                1.0 => Some(State { first: take(&mut first, length)?, second: None }),
                _ => Some(State { first: take(&mut first, length)?, second: Some(take(&mut second, length)?) }),
            });
        }
        (self.steps, self.state) = (steps as i32, state);
        (first.is_empty() && second.is_empty()).then_some(())
    }
}

struct Step<'a> {
    stepper: &'a mut Stepper,
    gradients: GradientsParams,
    lr: f64,
    place: usize,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let gradient = self.gradients.remove::<D>(id);
        let value = tensor.inner();
        let value = match gradient {
            Some(gradient) => self.update(value, gradient),
            None => value,
        };
        self.place += 1;
        Param::from_mapped_value(id, value.autodiff().require_grad(), mapper)
    }
}

impl Step<'_> {
    fn update<const D: usize>(&mut self, value: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        match self.stepper.rule {
            Optimiser::Sgd { momentum, weight_decay, .. } => {
                let gradient = decayed(gradient, &value, weight_decay);
                let velocity = if momentum == 0.0 { gradient } else { self.velocity(gradient, momentum) };
                value - velocity * self.lr
            }
            Optimiser::Adam(options) => {
                let gradient = decayed(gradient, &value, options.weight_decay);
                value - self.adam(gradient, &options)
            }
            Optimiser::AdamW(options) => {
                let value =
                    if options.weight_decay == 0.0 { value } else { value * (1.0 - self.lr * options.weight_decay) };
                value - self.adam(gradient, &options)
            }
        }
    }

    /// v = momentum v + g, with v = g in the first step.
    fn velocity<const D: usize>(&mut self, gradient: Tensor<D>, momentum: f64) -> Tensor<D> {
        let shape = gradient.dims();
        let velocity = match self.take() {
            Some(state) => state.first.reshape(shape) * momentum + gradient,
            None => gradient,
        };
        self.put(State { first: flat(velocity.clone()), second: None });
        velocity
    }

    /// What Adam takes from a parameter, with the moments corrected for their start at zero.
    fn adam<const D: usize>(&mut self, gradient: Tensor<D>, options: &AdamOptions) -> Tensor<D> {
        let AdamOptions { beta1, beta2, epsilon, .. } = *options;
        let shape = gradient.dims();
        let square = gradient.clone() * gradient.clone() * (1.0 - beta2);
        let part = gradient * (1.0 - beta1);
        let (first, second) = match self.take() {
            Some(State { first, second: Some(second) }) => {
                (first.reshape(shape) * beta1 + part, second.reshape(shape) * beta2 + square)
            }
            _ => (part, square),
        };
        self.put(State { first: flat(first.clone()), second: Some(flat(second.clone())) });
        let steps = self.stepper.steps;
        let rate = self.lr / (1.0 - beta1.powi(steps));
        let divisor = second.sqrt() * (1.0 / (1.0 - beta2.powi(steps)).sqrt()) + epsilon;
        first / divisor * rate
    }

    fn take(&mut self) -> Option<State> {
        self.stepper.state.get_mut(self.place).and_then(Option::take)
    }

    fn put(&mut self, state: State) {
        let states = &mut self.stepper.state;
        if states.len() <= self.place {
            states.resize_with(self.place + 1, || None);
        }
        states[self.place] = Some(state);
    }
}

fn decayed<const D: usize>(gradient: Tensor<D>, value: &Tensor<D>, weight_decay: f64) -> Tensor<D> {
    if weight_decay == 0.0 { gradient } else { gradient + value.clone() * weight_decay }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let elements = tensor.dims().iter().product::<usize>();
    tensor.reshape([elements])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::Linear;

    const START: [f32; 4] = [1.0, -2.0, 0.5, 3.0];
    const LR: f64 = 0.1;

    /// `steps` steps on the loss sum (i + 1) / 2 w_i^2, whose gradient is (i + 1) w_i, over a weight and a bias.
    fn run(rule: Optimiser, steps: usize) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let weight = Tensor::<2>::from_data(TensorData::new(START[..2].to_vec(), [1, 2]), &device);
        let bias = Tensor::<1>::from_data(TensorData::new(START[2..].to_vec(), [2]), &device);
        let mut module = Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) };
        let mut stepper = Stepper::new(rule);
        for _ in 0..steps {
            let all = Tensor::cat(vec![module.weight.val().reshape([2]), module.bias.as_ref().unwrap().val()], 0);
            let scale = Tensor::<1>::from_data([0.5, 1.0, 1.5, 2.0], &device);
            let loss = (all.clone() * all * scale).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), &module);
            module = stepper.step(module, gradients, LR);
        }
        let mut out = vec![0.0; 4];
        crate::models::write_flat(&module, &mut out).unwrap();
        out
    }

    /// The same in f64 with `rule(place, step, parameter, gradient)`, which returns the next parameter.
    fn oracle(steps: usize, mut rule: impl FnMut(usize, i32, f64, f64) -> f64) -> Vec<f64> {
        let mut w: Vec<f64> = START.iter().map(|v| f64::from(*v)).collect();
        for step in 1..=steps {
            for (i, w) in w.iter_mut().enumerate() {
                *w = rule(i, step as i32, *w, (i + 1) as f64 * *w);
            }
        }
        w
    }

    fn assert_near(found: &[f32], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-6 * (1.0 + expected.abs()), "{found} {expected}");
        }
    }

    #[test]
    fn plain_sgd() {
        let rule = Optimiser::Sgd { lr: LR, momentum: 0.0, weight_decay: 0.0 };
        // 1 - 0.1 * 1, -2 + 0.1 * 4, 0.5 - 0.1 * 1.5, 3 - 0.1 * 12.
        assert_near(&run(rule, 1), &[0.9, -1.6, 0.35, 1.8]);
    }

    #[test]
    fn sgd_with_momentum_and_weight_decay() {
        let (momentum, weight_decay) = (0.9, 0.01);
        let rule = Optimiser::Sgd { lr: LR, momentum, weight_decay };
        let mut v = [0.0; 4];
        let expected = oracle(5, |i, _, w, g| {
            v[i] = momentum * v[i] + g + weight_decay * w;
            w - LR * v[i]
        });
        assert_near(&run(rule, 5), &expected);
    }

    fn options(weight_decay: f64) -> AdamOptions {
        AdamOptions { lr: LR, beta1: 0.9, beta2: 0.99, epsilon: 1e-3, weight_decay }
    }

    /// PyTorch's documented formula: m and v corrected separately, epsilon outside the root.
    fn adam_step(state: &mut (f64, f64), step: i32, g: f64) -> f64 {
        let AdamOptions { beta1, beta2, epsilon, .. } = options(0.0);
        state.0 = beta1 * state.0 + (1.0 - beta1) * g;
        state.1 = beta2 * state.1 + (1.0 - beta2) * g * g;
        let (m, v) = (state.0 / (1.0 - beta1.powi(step)), state.1 / (1.0 - beta2.powi(step)));
        LR * m / (v.sqrt() + epsilon)
    }

    #[test]
    fn adam_adds_weight_decay_to_the_gradient() {
        // The first step is lr times the sign, but for epsilon.
        assert_near(
            &run(Optimiser::Adam(options(0.0)), 1),
            &[1.0 - LR / 1.001, -2.0 + LR * 4.0 / 4.001, 0.5 - LR * 1.5 / 1.501, 3.0 - LR * 12.0 / 12.001],
        );
        let mut state = [(0.0, 0.0); 4];
        let expected = oracle(6, |i, step, w, g| w - adam_step(&mut state[i], step, g + 0.1 * w));
        assert_near(&run(Optimiser::Adam(options(0.1)), 6), &expected);
    }

    #[test]
    fn adam_w_shrinks_the_parameter() {
        let mut state = [(0.0, 0.0); 4];
        let expected = oracle(6, |i, step, w, g| w * (1.0 - LR * 0.1) - adam_step(&mut state[i], step, g));
        assert_near(&run(Optimiser::AdamW(options(0.1)), 6), &expected);
    }
}
