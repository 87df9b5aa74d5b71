//! Losses of a student's and a teacher's logits, all held against the same laws.

use burn::tensor::{DType, Device, Tensor, TensorData};
use synod_losses::LossError;
use synod_losses::distillation::f_divergence::FDiv;
use synod_losses::distillation::kl_top::Mode;
use synod_losses::distillation::{
    binary_kl, binary_kl_norm, binary_kl_norm::binary_kl_norm as norm, f_divergence, kl_top,
};

use crate::support::{assert_close, assert_gradient, leaf, noise, numbers};

type Loss = Box<dyn Fn(Tensor<2>, Tensor<2>) -> Result<Tensor<1>, LossError>>;
type Naive = Box<dyn Fn(&[f64], &[f64]) -> f64>;

struct Entry {
    label: String,
    loss: Loss,
    /// Of one row of the student and one of the teacher.
    naive: Naive,
    /// A constant added to a row changes nothing.
    ignores_shift: bool,
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
    row.iter().map(|logit| logit.exp() / sum).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn binary(q: f64, p: f64) -> f64 {
    q * (q / p).ln() + (1.0 - q) * ((1.0 - q) / (1.0 - p)).ln()
}

/// `f(r)` as the table of the paper prints it.
fn f(f_div: FDiv, r: f64) -> f64 {
    match f_div {
        FDiv::Rkl => -r.ln(),
        FDiv::Srkl => (r + 1.0) * (0.5 + 0.5 / r).ln(),
        FDiv::Js => r * r.ln() - (r + 1.0) * ((r + 1.0) / 2.0).ln(),
        FDiv::Sh => 4.0 * (1.0 - r.sqrt()),
        FDiv::Fkl => r * r.ln(),
        FDiv::Sfkl => (r + 1.0) * ((r + 1.0) / 2.0).ln(),
        FDiv::Jeffreys => (r - 1.0) * r.ln(),
        FDiv::Neyman => (1.0 - r).powi(2) / (2.0 * r),
    }
}

const ALL: [FDiv; 8] = [FDiv::Rkl, FDiv::Srkl, FDiv::Js, FDiv::Sh, FDiv::Fkl, FDiv::Sfkl, FDiv::Jeffreys, FDiv::Neyman];

fn naive_top(student: &[f64], teacher: &[f64], k: usize, mode: Mode) -> f64 {
    let mut chosen: Vec<usize> = (0..teacher.len()).collect();
    chosen.sort_by(|&left, &right| teacher[right].total_cmp(&teacher[left]));
    chosen.truncate(k);
    let of = |row: &[f64]| match mode {
        Mode::Truncated => chosen.iter().map(|&class| softmax(row)[class]).collect::<Vec<_>>(),
        Mode::Renormalized => softmax(&chosen.iter().map(|&class| row[class]).collect::<Vec<_>>()),
    };
    of(teacher).iter().zip(of(student)).map(|(p, q)| p * (p / q).ln()).sum()
}

fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    for t in [1.0, 4.0] {
        let config = binary_kl::Config::default().with_temperature(t);
        entries.push(Entry {
            label: format!("binary_kl {t}"),
            loss: Box::new(move |student, teacher| binary_kl(student, teacher, &config)),
            naive: Box::new(move |student, teacher| {
                let pairs = student.iter().zip(teacher);
                pairs.map(|(s, z)| t * t * binary(sigmoid(z / t), sigmoid(s / t))).sum()
            }),
            ignores_shift: false,
        });
        let config = binary_kl_norm::Config::default().with_temperature(t);
        entries.push(Entry {
            label: format!("binary_kl_norm {t}"),
            loss: Box::new(move |student, teacher| norm(student, teacher, &config)),
            naive: Box::new(move |student, teacher| {
                let pairs = student.iter().zip(teacher);
                pairs.map(|(s, z)| t * t * binary(0.5, sigmoid((s - z) / t))).sum()
            }),
            ignores_shift: false,
        });
    }
    for (k, mode) in [(2, Mode::Truncated), (3, Mode::Renormalized), (1, Mode::Renormalized), (9, Mode::Truncated)] {
        let config = kl_top::Config::default().with_k(k).with_mode(mode);
        entries.push(Entry {
            label: format!("kl_top {k} {mode:?}"),
            loss: Box::new(move |student, teacher| kl_top(student, teacher, &config)),
            naive: Box::new(move |student, teacher| naive_top(student, teacher, k, mode)),
            ignores_shift: true,
        });
    }
    for f_div in ALL {
        let config = f_divergence::Config::default().with_f_div(f_div);
        entries.push(Entry {
            label: format!("f_divergence {f_div:?}"),
            loss: Box::new(move |student, teacher| f_divergence(student, teacher, &config)),
            naive: Box::new(move |student, teacher| {
                let pairs = softmax(student).into_iter().zip(softmax(teacher));
                pairs.map(|(q, p)| q * f(f_div, p / q)).sum()
            }),
            ignores_shift: true,
        });
    }
    entries
}

fn matrix(values: &[f64], rows: usize, dtype: DType) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [rows, values.len() / rows]);
    Tensor::<2>::from_data(data, (&Device::flex().autodiff(), dtype)).require_grad()
}

#[test]
fn values_equal_naive_loops_and_gradients_finite_differences() {
    for (rows, classes) in [(1, 2), (3, 5)] {
        let (student, teacher) = (noise(rows * classes, 1), noise(rows * classes, 2));
        for entry in entries() {
            let of = |student: &[f64]| {
                numbers((entry.loss)(leaf(student, [rows, classes]), leaf(&teacher, [rows, classes])).unwrap())
            };
            let rows_of = student.chunks(classes).zip(teacher.chunks(classes));
            let expected: Vec<f64> = rows_of.map(|(s, t)| (entry.naive)(s, t)).collect();
            assert_close(&entry.label, &of(&student), &expected, 1e-7);
            assert_gradient(&entry.label, &student, [rows, classes], 1e-6, |student| {
                (entry.loss)(student, leaf(&teacher, [rows, classes])).unwrap().sum()
            });
            let shifted: Vec<f64> = student.iter().map(|logit| logit + 3.0).collect();
            if entry.ignores_shift {
                assert_close(&entry.label, &of(&shifted), &expected, 1e-7);
            }
        }
    }
}

#[test]
fn no_gradient_reaches_the_teacher_and_rows_are_independent() {
    let (student, teacher) = (noise(12, 3), noise(12, 4));
    let reverse = |values: &[f64]| values.chunks(4).rev().flatten().copied().collect::<Vec<f64>>();
    for entry in entries() {
        let (live, constant) = (leaf(&student, [3, 4]), leaf(&teacher, [3, 4]));
        let values = (entry.loss)(live, constant.clone()).unwrap();
        assert!(constant.grad(&values.clone().sum().backward()).is_none(), "{}", entry.label);
        let back = (entry.loss)(leaf(&reverse(&student), [3, 4]), leaf(&reverse(&teacher), [3, 4])).unwrap();
        let back: Vec<f64> = numbers(back).into_iter().rev().collect();
        assert_close(&entry.label, &back, &numbers(values), 1e-12);
    }
}

#[test]
fn equal_logits_cost_nothing_and_pull_nowhere() {
    for entry in entries().into_iter().filter(|entry| !entry.label.contains("kl_top 2")) {
        let student = matrix(&noise(8, 5), 2, DType::F32);
        let values = (entry.loss)(student.clone(), student.clone().detach()).unwrap();
        assert_close(&entry.label, &numbers(values.clone()), &[0.0; 2], 1e-6);
        let gradient = numbers(student.grad(&values.sum().backward()).unwrap());
        assert_close(&entry.label, &gradient, &[0.0; 8], 1e-6);
    }
}

#[test]
fn extremes_stay_finite_and_broken_inputs_are_refused() {
    for entry in entries() {
        for (student, teacher, rows) in [
            (&[1e3, -1e3, 0.0, 0.0, 0.0, 0.0][..], &[-1e3, 1e3, 0.0, 1e3, 1e3, 1e3][..], 2),
            (&[1e3, -1e3], &[1e3, -1e3], 1),
            (&[0.0, 0.0], &[-1e3, 1e3], 1),
        ] {
            let live = matrix(student, rows, DType::F32);
            let values = (entry.loss)(live.clone(), matrix(teacher, rows, DType::F32)).unwrap();
            let gradient = numbers(live.grad(&values.clone().sum().backward()).unwrap());
            let all = [numbers(values), gradient].concat();
            assert!(all.iter().all(|value| value.is_finite()), "{}: {all:?}", entry.label);
        }
        let device = Device::flex();
        let zeros = |rows, classes| Tensor::<2>::zeros([rows, classes], &device);
        assert!(matches!((entry.loss)(zeros(0, 3), zeros(0, 3)), Err(LossError::EmptyBatch { .. })));
        assert!(matches!((entry.loss)(zeros(2, 3), zeros(3, 2)), Err(LossError::Shape { .. })));
        match (entry.loss)(zeros(2, 1), zeros(2, 1)) {
            Ok(values) => assert_close(&entry.label, &numbers(values), &[0.0; 2], 1e-9),
            Err(error) => assert!(matches!(error, LossError::Shape { loss: "f_divergence", .. }), "{error}"),
        }
    }
}

#[test]
fn normalised_binary_kl_is_symmetric_bounded_in_force_and_quadratic_when_hot() {
    let (a, b) = (noise(6, 6), noise(6, 7));
    let config = |t| binary_kl_norm::Config::default().with_temperature(t);
    let value = |a: &[f64], b: &[f64], t| numbers(norm(leaf(a, [2, 3]), leaf(b, [2, 3]), &config(t)).unwrap());
    assert_close("symmetric", &value(&a, &b, 2.0), &value(&b, &a, 2.0), 1e-12);
    let squares: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2) / 8.0).sum();
    assert_close("hot", &[value(&a, &b, 1e4).iter().sum()], &[squares], 1e-7);
    // The same in single precision, where the form for large numbers would have lost every digit.
    let (live, constant) = (matrix(&a, 2, DType::F32), matrix(&b, 2, DType::F32));
    let hot: f64 = numbers(norm(live, constant, &config(1e4)).unwrap()).iter().sum();
    assert_close("hot f32", &[hot], &[squares], 1e-5);
    let live = leaf(&a.iter().map(|x| x * 100.0).collect::<Vec<_>>(), [2, 3]);
    let values = norm(live.clone(), leaf(&b, [2, 3]), &config(2.0)).unwrap();
    assert!(numbers(live.grad(&values.sum().backward()).unwrap()).iter().all(|slope| slope.abs() <= 1.0));
}

#[test]
fn of_equal_teacher_logits_the_first_are_taken() {
    let config = kl_top::Config::default().with_k(2);
    let teacher = leaf(&[0.0, 1.0, 1.0, 1.0], [1, 4]);
    let student = leaf(&[0.0, 0.0, 0.0, 5.0], [1, 4]);
    let expected = naive_top(&[0.0, 0.0, 0.0, 5.0], &[0.0, 1.0, 1.0, 1.0], 2, Mode::Truncated);
    assert_close("ties", &numbers(kl_top(student, teacher, &config).unwrap()), &[expected], 1e-12);
}

/// `h(r) = r^2 f''(r)` and `f(1) = 0`, by second differences of the paper's table.
#[test]
fn weights_of_ratios_are_those_of_the_divergence() {
    for f_div in ALL {
        assert_close("f(1)", &[f(f_div, 1.0)], &[0.0], 1e-15);
        for r in [0.3, 1.0, 2.5] {
            let step = 1e-4;
            let second = (f(f_div, r + step) - 2.0 * f(f_div, r) + f(f_div, r - step)) / (step * step);
            assert_close(&format!("{f_div:?}"), &numbers(f_div.weight(leaf(&[r], [1]))), &[r * r * second], 1e-6);
        }
    }
}

#[test]
fn jensen_shannon_is_symmetric_and_bounded() {
    let (a, b) = (noise(6, 8), noise(6, 9));
    let config = f_divergence::Config::default();
    let value = |a: &[f64], b: &[f64]| numbers(f_divergence(leaf(a, [2, 3]), leaf(b, [2, 3]), &config).unwrap());
    assert_close("symmetric", &value(&a, &b), &value(&b, &a), 1e-12);
    assert!(value(&a, &b).iter().all(|&value| value < 2.0 * 2f64.ln()));
}
