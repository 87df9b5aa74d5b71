//! Local training and evaluation on one thread: samples per second for each model.
//!
//! One iteration is a whole call as a client makes it, with building the network and taking the difference, on
//! synthetic samples. Run with `cargo bench -p synod-client --bench training`.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use synod_client::catalogue::Zoo;
use synod_client::data::{Dataset, Inputs, SiteData};
use synod_client::device::DeviceChoice;
use synod_client::train::{Assignment, Trainer};
use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::Plan;
use synod_common::state::State;

/// What a real program uses: burn allocates a buffer per operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Case {
    name: &'static str,
    model: &'static str,
    shape: [usize; 3],
    batch: usize,
    /// Of one round: some tenths of a second.
    samples: usize,
}

const MLP: &str = "{ mlp = { hidden = [200, 200] } }";
const GRAY: [usize; 3] = [1, 28, 28];

const CASES: [Case; 8] = [
    Case { name: "logistic", model: "\"logistic\"", shape: GRAY, batch: 10, samples: 20_000 },
    Case { name: "logistic", model: "\"logistic\"", shape: GRAY, batch: 32, samples: 20_000 },
    Case { name: "logistic", model: "\"logistic\"", shape: GRAY, batch: 50, samples: 20_000 },
    Case { name: "mlp", model: MLP, shape: GRAY, batch: 10, samples: 5_000 },
    Case { name: "mlp", model: MLP, shape: GRAY, batch: 32, samples: 6_400 },
    Case { name: "mlp", model: MLP, shape: GRAY, batch: 50, samples: 10_000 },
    Case { name: "cnn", model: "\"cnn\"", shape: GRAY, batch: 32, samples: 320 },
    Case { name: "resnet8", model: "\"resnet8\"", shape: [3, 32, 32], batch: 32, samples: 160 },
];

fn plan(case: &Case) -> Plan {
    let text = format!(
        "model = {}\n[task.classification]\nclasses = 10\n[data]\nholdout = 0.0\n[data.source.npz]\n\
         file = \"none.npz\"\nshape = {:?}\n[train]\nbatch = {}\n[evaluate]\nsite_every = 0\n",
        case.model, case.shape, case.batch
    );
    Plan::read(&text, &Zoo).expect("a sound plan")
}

/// Samples that depend on their class, so that training does what it does on real ones.
fn site(plan: &Plan, case: &Case) -> SiteData {
    let values: usize = case.shape.iter().product();
    let value = |i: usize| ((i as f32) * 0.613).sin() + ((i / values % 10 * (i % values)) as f32 * 0.01).cos();
    let inputs = Inputs::F32((0..case.samples * values).map(value).collect());
    let labels = (0..case.samples as u32).map(|i| i % 10).collect::<Vec<u32>>();
    let dataset = Dataset::new(inputs, labels, case.shape.to_vec()).expect("sound samples");
    let rows = (0..case.samples as u32).collect();
    SiteData::for_site(plan, ClientId([1; 16]), Arc::new(dataset), rows, None, None).expect("a sound site")
}

fn training(criterion: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for evaluate in [false, true] {
        let mut group = criterion.benchmark_group(if evaluate { "evaluate" } else { "train" });
        group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
        for case in CASES.iter().filter(|case| !evaluate || case.batch == 32) {
            let plan = plan(case);
            let site = site(&plan, case);
            let trainer = Trainer::new(Arc::new(plan), &DeviceChoice::Cpu).expect("a sound plan");
            let global = trainer.initial();
            let (mut delta, nothing) = (vec![0.0; global.len()], State::default());
            group.throughput(Throughput::Elements(case.samples as u64));
            group.bench_function(BenchmarkId::new(case.name, case.batch), |bencher| {
                pool.install(|| {
                    bencher.iter(|| {
                        if evaluate {
                            black_box(trainer.evaluate(&global, &site.train).expect("evaluation"));
                        } else {
                            let watch = &mut |_| ControlFlow::Continue(());
                            let (round, client) = (RoundId(1), ClientId([1; 16]));
                            let (model, extra, state) = (&global, None, &nothing);
                            let task = Assignment { round, client, model, extra, state };
                            trainer.train(&task, &site, &mut delta, watch).expect("training");
                        }
                    });
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, training);
criterion_main!(benches);
