#[derive(Clone, Copy)] struct Instant(f64);
impl Instant { fn now() -> Self { Self(std::fs::read_to_string("/proc/self/schedstat").unwrap().split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9) } fn elapsed(&self) -> f64 { Self::now().0 - self.0 } }
use synod_common::plan::Optimiser;
use synod_kernels::*;
fn main() {
    let which: Vec<String> = std::env::args().skip(1).collect();
    let lin = |o, r: bool| Layer::Linear { outputs: o, activation: r.then_some(Activation::Relu) };
    let conv = |o, p| Layer::Conv { outputs: o, kernel: 5, padding: p };
    let cases: Vec<(&str, [usize; 3], Vec<Layer>, usize, f64)> = vec![
        ("logistic", [1, 28, 28], vec![lin(10, false)], 10, 2.0 * 2.0 * 7840.0),
        ("mlp", [1, 28, 28], vec![lin(200, true), lin(200, true), lin(10, false)], 10, 2.0 * (2.0 * 156800.0 + 3.0 * 42000.0)),
        ("cnn", [1, 28, 28], vec![conv(32, 2), conv(64, 2), lin(512, true), lin(10, false)], 32, 2.0 * (2.0 * 627200.0 + 3.0 * (10035200.0 + 1605632.0))),
        ("lenet", [3, 32, 32], vec![conv(6, 0), conv(16, 0), lin(120, true), lin(84, true), lin(10, false)], 32, 2.0 * (2.0 * 352800.0 + 3.0 * (240000.0 + 59000.0))),
    ];
    for (name, sample, layers, batch, flops) in cases {
        if !which.is_empty() && !which.iter().any(|w| w == name) { continue; }
        let network = Network::new(sample, &layers).unwrap();
        let model: Vec<f32> = (0..network.parameters()).map(|i| ((i * 7919 % 1000) as f32 / 1000.0 - 0.5) * 0.05).collect();
        let n: usize = sample.iter().product();
        let batches: Vec<Vec<f32>> = (0..20).map(|b| (0..n * batch).map(|i| ((i * 31 + b * 77) % 101) as f32 / 50.0 - 1.0).collect()).collect();
        let labels: Vec<i64> = (0..batch).map(|i| (i % 10) as i64).collect();
        for rule in [Optimiser::Sgd { lr: 0.01, momentum: 0.0, weight_decay: 0.0 }, Optimiser::Sgd { lr: 0.01, momentum: 0.9, weight_decay: 0.0 }] {
            let mut training = Training::new(&network, &model, rule, None, None);
            let mut loss = 0.0;
            let (mut f, mut s, mut b) = (0.0, 0.0, 0.0);
            let begin = Instant::now();
            let mut steps = 0;
            while begin.elapsed() < 0.7 {
                let x = &batches[steps % 20];
                let t = Instant::now();
                training.forward(x, batch);
                let u = Instant::now();
                loss = training.cross_entropy(&labels, None);
                let v = Instant::now();
                training.backward(x, 0.01);
                f += (u.0 - t.0); s += (v.0 - u.0); b += v.elapsed();
                steps += 1;
            }
            let t = begin.elapsed();
            let rate = (steps * batch) as f64 / t;
            println!("{name} b{batch} {rate:.0} samples/s {:.0} GFLOP/s, us a step: forward {:.2} loss {:.2} backward {:.2} ({loss:.4})", rate * flops / 1e9, f / steps as f64 * 1e6, s / steps as f64 * 1e6, b / steps as f64 * 1e6);
        }
    }
}
