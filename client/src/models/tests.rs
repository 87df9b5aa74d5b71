//! Blueprint, networks and files agree with each other and with naive arithmetic.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use synod_common::plan::{AnyLoss, Plan};

use super::{Blueprint, ModelError, Network, export, initial, layout, write_flat};

/// A plan for the digits with this model, written as in TOML.
pub(super) fn plan(model: &str, classes: u32) -> Plan {
    let section = model.starts_with('[');
    let (before, after) = if section { ("", model) } else { (model, "") };
    let text = format!("{before}\n[task.classification]\nclasses = {classes}\n[data]\nsource = \"digits\"\n{after}");
    Plan::read(&text, &AnyLoss).unwrap()
}

/// The same for images of this shape in an archive.
fn plan_of_shape(model: &str, shape: [usize; 3]) -> Plan {
    let data = format!("[data.source.npz]\nfile = \"a.npz\"\nshape = {shape:?}\n");
    let text = format!("model = {model}\n[task.classification]\nclasses = 3\n{data}");
    Plan::read(&text, &AnyLoss).unwrap()
}

const MODELS: [&str; 6] = [
    "model = \"logistic\"",
    "[model.mlp]\nhidden = [7, 5]\nactivation = \"tanh\"",
    "[model.mlp]\nhidden = [6]\nactivation = \"gelu\"",
    "[model.mlp]\nhidden = []",
    "model = \"cnn\"",
    "[model.resnet8]\nwidth = 8\ngroups = 4",
];

fn network(plan: &Plan, values: &[f32]) -> Network {
    Network::new(&Blueprint::new(plan).unwrap(), values, &Device::flex()).unwrap()
}

fn forward(network: &Network, inputs: &[f32], samples: usize) -> Vec<f32> {
    let inputs = TensorData::new(inputs.to_vec(), [samples, inputs.len() / samples]);
    network.forward(Tensor::from_data(inputs, &Device::flex())).into_data().try_into_vec().unwrap()
}

/// Numbers in about ±1 without a pattern that layers could share.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i as f32) * 12.9898).sin()).collect()
}

#[test]
fn networks_have_the_shapes_and_order_of_their_blueprint_and_return_their_values() {
    struct Shapes(Vec<Vec<usize>>);
    impl ModuleVisitor for Shapes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().dims().to_vec());
        }
    }
    for model in MODELS {
        let plan = plan(model, 3);
        let layout = layout(&plan).unwrap();
        let values = numbers(layout.len());
        let network = network(&plan, &values);
        let mut shapes = Shapes(Vec::new());
        network.visit(&mut shapes);
        let expected: Vec<_> = layout.blocks().iter().map(|block| block.shape.clone()).collect();
        assert_eq!(shapes.0, expected, "{model}");
        let mut back = vec![0.0; values.len()];
        write_flat(&network, &mut back).unwrap();
        assert_eq!(back, values, "{model}");
        assert!(write_flat(&network, &mut back[1..]).is_err());
        assert!(write_flat(&network, &mut vec![0.0; values.len() + 1]).is_err());
    }
}

#[test]
fn layouts_name_their_blocks() {
    let names = |model| {
        let layout = layout(&plan(model, 10)).unwrap();
        layout.blocks().iter().map(|block| format!("{} {:?}", block.name, block.shape)).collect::<Vec<_>>()
    };
    assert_eq!(names(MODELS[0]), ["fc.weight [64, 10]", "fc.bias [10]"]);
    let cnn = ["conv1.weight [32, 1, 5, 5]", "conv1.bias [32]", "conv2.weight [64, 32, 5, 5]", "conv2.bias [64]"];
    assert_eq!(names(MODELS[4])[..4], cnn);
    assert_eq!(
        names(MODELS[4])[4..],
        ["fc1.weight [256, 512]", "fc1.bias [512]", "fc2.weight [512, 10]", "fc2.bias [10]"]
    );
    let resnet = names(MODELS[5]);
    assert!(resnet.contains(&"stage2.shortcut.conv.weight [16, 8, 1, 1]".to_owned()), "{resnet:?}");
    assert!(!resnet.iter().any(|name| name.starts_with("stage1.shortcut")));
}

#[test]
fn lenet_has_the_sizes_of_niid_bench() {
    let size = |shape| {
        let mut plan = plan_of_shape("\"lenet\"", shape);
        plan.task = synod_common::plan::Task::Classification { classes: 10 };
        layout(&plan).unwrap().len()
    };
    assert_eq!(size([1, 28, 28]), 44_426);
    assert_eq!(size([3, 32, 32]), 62_006);
    let plan = plan_of_shape("\"lenet\"", [1, 16, 17]);
    let logits = forward(&network(&plan, &initial(&plan).unwrap()), &numbers(16 * 17), 1);
    assert!(logits.len() == 3 && logits.iter().all(|logit| logit.is_finite()));
}

#[test]
fn the_fedavg_cnn_of_28_by_28_has_the_papers_size() {
    let mut plan = plan_of_shape("\"cnn\"", [1, 28, 28]);
    plan.task = synod_common::plan::Task::Classification { classes: 10 };
    assert_eq!(layout(&plan).unwrap().len(), 1_663_370);
}

#[test]
fn image_models_take_any_image_of_at_least_4_by_4() {
    for shape in [[1, 4, 4], [3, 5, 9], [2, 32, 32]] {
        for model in ["\"cnn\"", "{ resnet8 = { width = 4, groups = 2 } }"] {
            let plan = plan_of_shape(model, shape);
            let values = initial(&plan).unwrap();
            let logits = forward(&network(&plan, &values), &numbers(2 * shape.iter().product::<usize>()), 2);
            assert_eq!(logits.len(), 6);
            assert!(logits.iter().all(|logit| logit.is_finite()));
        }
    }
    let mut plan = plan(MODELS[0], 3);
    plan.data = plan_of_shape("\"logistic\"", [3, 4, 3]).data;
    plan.model = synod_common::plan::Model::Cnn;
    assert!(matches!(layout(&plan), Err(ModelError::Input { .. })));
}

#[test]
fn a_model_that_is_too_large_is_refused() {
    let mut plan = plan_of_shape("\"logistic\"", [3, 4000, 4000]);
    plan.task = synod_common::plan::Task::Classification { classes: 100_000 };
    assert!(matches!(layout(&plan), Err(ModelError::Layout { .. })));
}

/// `x W + b` in f64.
fn linear(x: &[f64], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let column = |j: usize| x.iter().enumerate().map(move |(i, x)| x * f64::from(weight[i * bias.len() + j]));
    bias.iter().enumerate().map(|(j, b)| f64::from(*b) + column(j).sum::<f64>()).collect()
}

fn assert_near(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() <= tolerance * (1.0 + expected.abs()), "{found} {expected}");
    }
}

#[test]
fn an_mlp_is_linear_layers_with_activations_between() {
    // The series of erf, good for small arguments.
    let erf = |x: f64| {
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    };
    let gelu = |x: f64| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()));
    let activations: [(&str, &dyn Fn(f64) -> f64); 3] =
        [("relu", &|x| x.max(0.0)), ("tanh", &f64::tanh), ("gelu", &gelu)];
    for (name, function) in activations {
        let plan = plan(&format!("[model.mlp]\nhidden = [5]\nactivation = \"{name}\""), 3);
        let layout = layout(&plan).unwrap();
        let values: Vec<f32> = numbers(layout.len()).iter().map(|v| v * 0.2).collect();
        let block: Vec<&[f32]> = layout.ranges().map(|(_, range)| &values[range]).collect();
        let inputs = numbers(64);
        let x: Vec<f64> = inputs.iter().map(|v| f64::from(*v)).collect();
        let hidden: Vec<f64> = linear(&x, block[0], block[1]).into_iter().map(function).collect();
        let expected = linear(&hidden, block[2], block[3]);
        assert_near(&forward(&network(&plan, &values), &inputs, 1), &expected, 1e-5);
    }
}

/// Images as `[channel][row][column]`.
type Image = Vec<Vec<Vec<f64>>>;

/// A 5x5 convolution that keeps the size, ReLU, then the maximum of each 2x2 square: in the order of the paper.
fn conv_relu_pool(image: &Image, weight: &[f32], bias: &[f32]) -> Image {
    let (height, width) = (image[0].len() as isize, image[0][0].len() as isize);
    let at = |c: usize, y: isize, x: isize| {
        if (0..height).contains(&y) && (0..width).contains(&x) { image[c][y as usize][x as usize] } else { 0.0 }
    };
    let value = |o: usize, y: isize, x: isize| {
        let mut sum = f64::from(bias[o]);
        for c in 0..image.len() {
            for (k, w) in weight[(o * image.len() + c) * 25..][..25].iter().enumerate() {
                sum += f64::from(*w) * at(c, y + k as isize / 5 - 2, x + k as isize % 5 - 2);
            }
        }
        sum.max(0.0)
    };
    let pooled = |o, y, x| value(o, y, x).max(value(o, y, x + 1)).max(value(o, y + 1, x)).max(value(o, y + 1, x + 1));
    let row = |o, y| (0..width / 2).map(|x| pooled(o, 2 * y, 2 * x)).collect();
    (0..bias.len()).map(|o| (0..height / 2).map(|y| row(o, y)).collect()).collect()
}

#[test]
fn the_cnn_is_what_the_paper_describes() {
    let plan = plan_of_shape("\"cnn\"", [2, 5, 4]);
    let layout = layout(&plan).unwrap();
    let values = initial(&plan).unwrap();
    let block: Vec<&[f32]> = layout.ranges().map(|(_, range)| &values[range]).collect();
    let inputs = numbers(40);
    let pixel = |c: usize, y: usize, x: usize| f64::from(inputs[(c * 5 + y) * 4 + x]);
    let image: Image = (0..2).map(|c| (0..5).map(|y| (0..4).map(|x| pixel(c, y, x)).collect()).collect()).collect();
    let image = conv_relu_pool(&image, block[0], block[1]);
    let image = conv_relu_pool(&image, block[2], block[3]);
    let flat: Vec<f64> = image.into_iter().flatten().flatten().collect();
    let hidden: Vec<f64> = linear(&flat, block[4], block[5]).into_iter().map(|v| v.max(0.0)).collect();
    let expected = linear(&hidden, block[6], block[7]);
    assert_near(&forward(&network(&plan, &values), &inputs, 1), &expected, 1e-5);
}

#[test]
fn files_round_trip_and_are_the_same_bytes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for model in MODELS {
        let plan = plan(model, 3);
        let values = numbers(layout(&plan).unwrap().len());
        export::write(&plan, &values, &path).unwrap();
        assert_eq!(export::read(&plan, &path).unwrap(), values, "{model}");
        assert_eq!(std::fs::read(&path).unwrap(), export::to_bytes(&plan, &values).unwrap());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left");
    let error = export::read(&plan(MODELS[0], 3), &folder.path().join("none")).unwrap_err();
    assert!(error.to_string().contains("could not read the model file"), "{error}");
}

#[test]
fn linear_weights_are_pytorchs_way_round() {
    let plan = plan(MODELS[0], 2);
    let values = numbers(130);
    let bytes = export::to_bytes(&plan, &values).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let weight = file.tensor("fc.weight").unwrap();
    assert_eq!(weight.shape(), [2, 64]);
    // Row 0 of PyTorch's matrix is column 0 of ours.
    assert_eq!(weight.data()[4..8], values[2].to_le_bytes());
}

#[test]
fn files_of_other_models_and_damaged_files_are_refused() {
    let plan = plan(MODELS[1], 3);
    let values = initial(&plan).unwrap();
    let bytes = export::to_bytes(&plan, &values).unwrap();
    let refused = |plan: &Plan, bytes: &[u8]| export::from_bytes(plan, bytes).unwrap_err().to_string();
    assert!(refused(&self::plan(MODELS[4], 3), &bytes).contains("it holds 6 blocks, the model has 8"));
    assert!(refused(&self::plan(MODELS[1], 4), &bytes).contains("the model has F32 [4, 5]"));
    let mut other = plan.clone();
    other.seed += 1;
    assert!(refused(&other, &bytes).contains("it was trained by plan"));
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(refused(&plan, &damaged).contains("changed or damaged"));
    assert!(refused(&plan, &bytes[..bytes.len() - 1]).contains("not a sound safetensors file"));
    assert!(refused(&plan, &[0xff; 64]).contains("not a sound safetensors file"));
    assert!(matches!(export::to_bytes(&plan, &values[1..]), Err(ModelError::Values { .. })));
}
