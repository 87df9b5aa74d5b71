//! An architecture as a list of named layers: from it come layout, first values and files.

use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::plan::{Activation, BlockRule, Model, Plan};

use super::closed_form::{ClosedForm, NaiveBayes, Ridge};
use super::error::ModelError;
use crate::catalogue::model_outputs;

/// The layers of a plan's model in order, and how they are put together.
#[derive(Clone, Debug)]
pub(crate) struct Blueprint {
    pub(super) layers: Vec<Layer>,
    pub(super) form: Form,
    layout: Layout,
}

/// How layers are put together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    Logistic,
    /// The layers answer with what the statistics of the layout give.
    ClosedForm(ClosedForm),
    Mlp(Activation),
    /// For images `[channels, height, width]`.
    Cnn([usize; 3]),
    /// For images `[channels, height, width]`.
    Lenet([usize; 3]),
    /// For images `[channels, height, width]`, with this many groups in each normalisation.
    Resnet8([usize; 3], usize),
}

/// One layer with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) kind: LayerKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LayerKind {
    /// `weight: [inputs, outputs]`, `bias: [outputs]`.
    Linear { inputs: usize, outputs: usize },
    /// `weight: [outputs, inputs, kernel, kernel]`, `bias: [outputs]` except before a normalisation.
    Conv { inputs: usize, outputs: usize, kernel: usize, bias: Bias },
    /// `weight: [channels]`, `bias: [channels]`.
    Norm { channels: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bias {
    Yes,
    No,
}

impl Layer {
    fn new(name: impl Into<String>, kind: LayerKind) -> Self {
        Self { name: name.into(), kind }
    }

    fn linear(name: impl Into<String>, inputs: usize, outputs: usize) -> Self {
        Self::new(name, LayerKind::Linear { inputs, outputs })
    }

    /// The tensors of the layer in order: `weight` and, if it has one, `bias`.
    fn blocks(&self) -> Vec<BlockSpec> {
        let (weight, bias) = match self.kind {
            LayerKind::Linear { inputs, outputs } => (vec![inputs, outputs], Some(outputs)),
            LayerKind::Conv { inputs, outputs, kernel, bias } => {
                (vec![outputs, inputs, kernel, kernel], (bias == Bias::Yes).then_some(outputs))
            }
            LayerKind::Norm { channels } => (vec![channels], Some(channels)),
        };
        let block = |tensor: &str, shape| BlockSpec {
            name: format!("{}.{tensor}", self.name),
            shape,
            kind: BlockKind::Parameter,
        };
        let mut blocks = vec![block("weight", weight)];
        blocks.extend(bias.map(|outputs| block("bias", vec![outputs])));
        blocks
    }
}

/// The blocks of the plan's model.
///
/// # Errors
/// When the model is larger than a layout may be, or takes another kind of input.
pub fn layout(plan: &Plan) -> Result<Layout, ModelError> {
    Ok(Blueprint::new(plan)?.layout)
}

impl Blueprint {
    pub(crate) fn new(plan: &Plan) -> Result<Self, ModelError> {
        let inputs = plan.data.input_values();
        let outputs = model_outputs(plan);
        let (form, layers) = match &plan.model {
            Model::Logistic => (Form::Logistic, vec![Layer::linear("fc", inputs, outputs)]),
            Model::NaiveBayes { var_eps, prior_smoothing } => {
                let (var_eps, prior_smoothing) = (*var_eps, *prior_smoothing);
                let form = ClosedForm::NaiveBayes(NaiveBayes { inputs, classes: outputs, var_eps, prior_smoothing });
                (Form::ClosedForm(form), vec![Layer::linear("fc", inputs, outputs)])
            }
            Model::Ridge { lambda } => {
                let form = ClosedForm::Ridge(Ridge { inputs, outputs, lambda: *lambda });
                (Form::ClosedForm(form), vec![Layer::linear("fc", inputs, outputs)])
            }
            Model::Mlp { hidden, activation } => {
                let units = || hidden.iter().map(|units| *units as usize);
                let from = std::iter::once(inputs).chain(units());
                let to = units().chain(std::iter::once(outputs));
                let layers = from.zip(to).enumerate().map(|(i, (a, b))| Layer::linear(format!("layers.{i}"), a, b));
                (Form::Mlp(*activation), layers.collect())
            }
            Model::Cnn => {
                let shape = image(plan, 4)?;
                (Form::Cnn(shape), cnn(shape, outputs))
            }
            Model::Lenet => {
                let shape = image(plan, 16)?;
                (Form::Lenet(shape), lenet(shape, outputs))
            }
            Model::Resnet8 { width, groups } => {
                let shape = image(plan, 4)?;
                (Form::Resnet8(shape, *groups as usize), resnet8(shape[0], *width as usize, outputs))
            }
        };
        let blocks = match &form {
            Form::ClosedForm(form) => form.blocks(),
            _ => layers.iter().flat_map(Layer::blocks).collect(),
        };
        let layout = Layout::new(blocks).map_err(|source| ModelError::Layout { model: plan.model.name(), source })?;
        Ok(Self { layers, form, layout })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How the model is fitted, where its values are sums over samples.
    pub(crate) fn closed_form(&self) -> Option<&ClosedForm> {
        match &self.form {
            Form::ClosedForm(form) => Some(form),
            _ => None,
        }
    }

    /// For each block in order whether `rule` names it.
    pub(crate) fn members(&self, rule: &BlockRule) -> Vec<bool> {
        let head = self.layers.len() - 1;
        let of_layer = |(place, layer): (usize, &Layer)| {
            let member = |block: BlockSpec| match rule {
                BlockRule::Norm => matches!(layer.kind, LayerKind::Norm { .. }),
                BlockRule::Head => place == head,
                BlockRule::Named(patterns) => BlockRule::fits(patterns, &block.name),
            };
            layer.blocks().into_iter().map(member).collect::<Vec<_>>()
        };
        self.layers.iter().enumerate().flat_map(of_layer).collect()
    }

    /// Checks that `values` has as many values as the model.
    pub(crate) fn check(&self, values: &[f32]) -> Result<(), ModelError> {
        let expected = self.layout.len();
        if values.len() == expected { Ok(()) } else { Err(ModelError::Values { expected, found: values.len() }) }
    }
}

/// The plan has been checked for this; a plan built by hand has not.
fn image(plan: &Plan, side_min: usize) -> Result<[usize; 3], ModelError> {
    match plan.data.input_shape().as_slice() {
        &[channels, height, width] if height >= side_min && width >= side_min => Ok([channels, height, width]),
        shape => Err(ModelError::Input { model: plan.model.name(), shape: shape.to_vec() }),
    }
}

const CNN_CHANNELS: [usize; 2] = [32, 64];
const CNN_HIDDEN: usize = 512;

fn cnn([channels, height, width]: [usize; 3], outputs: usize) -> Vec<Layer> {
    let [first, second] = CNN_CHANNELS;
    let conv =
        |name: &str, inputs, outputs| Layer::new(name, LayerKind::Conv { inputs, outputs, kernel: 5, bias: Bias::Yes });
    // Two poolings halve each side, rounding down.
    let flat = second.saturating_mul(height / 4).saturating_mul(width / 4);
    vec![
        conv("conv1", channels, first),
        conv("conv2", first, second),
        Layer::linear("fc1", flat, CNN_HIDDEN),
        Layer::linear("fc2", CNN_HIDDEN, outputs),
    ]
}

const LENET_CHANNELS: [usize; 2] = [6, 16];
const LENET_HIDDEN: [usize; 2] = [120, 84];

fn lenet([channels, height, width]: [usize; 3], outputs: usize) -> Vec<Layer> {
    let [first, second] = LENET_CHANNELS;
    let conv =
        |name: &str, inputs, outputs| Layer::new(name, LayerKind::Conv { inputs, outputs, kernel: 5, bias: Bias::Yes });
    // A convolution without padding takes 4 from each side, a pooling halves it, rounding down.
    let after = |side: usize| ((side - 4) / 2 - 4) / 2;
    let flat = second.saturating_mul(after(height)).saturating_mul(after(width));
    let [hidden1, hidden2] = LENET_HIDDEN;
    vec![
        conv("conv1", channels, first),
        conv("conv2", first, second),
        Layer::linear("fc1", flat, hidden1),
        Layer::linear("fc2", hidden1, hidden2),
        Layer::linear("fc3", hidden2, outputs),
    ]
}

fn resnet8(channels: usize, width: usize, outputs: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut unit = |name: String, inputs, outputs, kernel| {
        layers.push(Layer::new(format!("{name}.conv"), LayerKind::Conv { inputs, outputs, kernel, bias: Bias::No }));
        layers.push(Layer::new(format!("{name}.norm"), LayerKind::Norm { channels: outputs }));
    };
    unit("stem".to_owned(), channels, width, 3);
    let mut inputs = width;
    for (stage, outputs) in [width, 2 * width, 4 * width].into_iter().enumerate() {
        unit(format!("stage{}.first", stage + 1), inputs, outputs, 3);
        unit(format!("stage{}.second", stage + 1), outputs, outputs, 3);
        if inputs != outputs {
            unit(format!("stage{}.shortcut", stage + 1), inputs, outputs, 1);
        }
        inputs = outputs;
    }
    layers.push(Layer::linear("fc", inputs, outputs));
    layers
}
