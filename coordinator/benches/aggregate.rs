//! Aggregation against the speed of memory. Prints ratios of medians measured in turns, as absolute figures do not travel.
//!
//! `cargo bench -p synod-coordinator --bench aggregate` measures CPU time on one thread, which neighbours on the machine
//! disturb least, and elapsed time on two. Words after `--` choose among the settings by their names (`resnet`, `100`). With
//! `-- --criterion` criterion measures the same operations instead, one by one and on rayon's own pool.

#![expect(clippy::print_stdout, reason = "a bench prints what it found")]
#![allow(missing_docs, reason = "not a library")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use pulp::{Arch, Simd, WithSimd};
use rustix::time::{ClockId, clock_gettime};
use synod_coordinator::aggregate::{
    AggregateError, BufferedSum, Cagrad, ExactSum, FedMgda, GeometricMedian, Gram, GramBlocks, Krum, Layout, Principal,
    Screened, Shares, Trim, Weighted, bulyan, cagrad_coefficients, combine, coordinate_median, fedmgda_coefficients,
    geometric_median_coefficients, gram_blocks, krum_coefficients, mean, pcgrad_coefficients, principal,
    principal_from_grams, screen, trimmed_mean,
};

/// Reads everything, at the speed of memory.
struct Read<'a>(&'a [f32]);

impl WithSimd for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let mut lanes = [0.0f32; 64];
        for values in self.0.as_chunks::<64>().0 {
            for i in 0..64 {
                lanes[i] += values[i];
            }
        }
        lanes.into_iter().sum()
    }
}

/// The plain streaming sum that exactness is compared with: `out += w * x` in `f32`, on one thread.
struct PlainSum<'a>(f32, &'a [f32], &'a mut [f32]);

impl WithSimd for PlainSum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, x) in self.2.iter_mut().zip(self.1) {
            *out += self.0 * x;
        }
    }
}

/// Updates of one size, and every buffer the operations need, so that no page is new while the clock runs.
struct Setting {
    layout: Layout,
    updates: Vec<Arc<[f32]>>,
    shares: Shares,
    weight: NonZeroU32,
    out: Vec<f32>,
    sum: ExactSum,
    buffered: BufferedSum<Arc<[f32]>>,
    /// All updates but the last have arrived.
    arrived: GramBlocks<usize, Arc<[f32]>>,
    turn: usize,
}

impl Setting {
    fn new(lengths: &[usize], m: usize) -> Self {
        let layout = Layout::new(lengths.iter().copied()).expect("blocks");
        let d = layout.parameters();
        // Correlated like the updates of one round; a hash instead of a generator, which would take longer than the bench.
        let value = |i: usize, x: usize| {
            let hash = |n: usize| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 24) as f32 - 0.5;
            0.01 * (hash(x) + hash(x.wrapping_mul(31).wrapping_add(i * 1_000_003)))
        };
        let updates: Vec<Arc<[f32]>> = (0..m).map(|i| (0..d).map(|x| value(i, x)).collect()).collect();
        let mut arrived = GramBlocks::new(layout.clone(), m);
        updates[..m - 1].iter().enumerate().for_each(|(i, u)| arrived.push(i, Arc::clone(u)).expect("finite"));
        Self {
            updates,
            shares: Shares::uniform(m).expect("some"),
            weight: NonZeroU32::new(600).expect("not zero"),
            out: vec![1.0; d],
            sum: ExactSum::new(d),
            buffered: BufferedSum::new(d),
            arrived,
            turn: 0,
            layout,
        }
    }

    /// Another update each time, as arrivals are not in the cache.
    fn next(&mut self) -> Arc<[f32]> {
        self.turn = (self.turn + 1) % self.updates.len();
        Arc::clone(&self.updates[self.turn])
    }
}

/// Name, updates handled per call, operation.
type Operation = (&'static str, f64, fn(&mut Setting));

const ON_ARRIVAL: [Operation; 8] = [
    ("plain f32 sum", 1.0, |s| {
        let update = s.next();
        Arch::new().dispatch(PlainSum(600.0, &update, &mut s.out));
    }),
    ("BufferedSum::push_screened", 4.0, |s| {
        let mut spent = Vec::with_capacity(4);
        let screened = Screened { norm_squared: 1.0, abs_max: 0.01 };
        for _ in 0..4 {
            let update = s.next();
            s.buffered.push_screened(s.weight, update, screened, &mut spent).expect("in the window");
        }
    }),
    ("read", 1.0, |s| {
        black_box(Arch::new().dispatch(Read(&s.next())));
    }),
    ("screen", 1.0, |s| {
        black_box(screen(&s.next())).expect("finite");
    }),
    ("ExactSum::add", 1.0, |s| {
        let update = s.next();
        s.sum.add(s.weight, &update).expect("in the window");
    }),
    ("ExactSum::add_group of 4", 4.0, |s| {
        let updates: [Arc<[f32]>; 4] = std::array::from_fn(|_| s.next());
        s.sum.add_group(&updates.each_ref().map(|u| Weighted { weight: s.weight, values: u })).expect("in the window");
    }),
    ("BufferedSum::push", 4.0, |s| {
        let mut spent = Vec::with_capacity(4);
        for _ in 0..4 {
            let update = s.next();
            s.buffered.push(s.weight, update, &mut spent).expect("in the window");
        }
    }),
    ("ExactSum::mean", 1.0, |s| s.sum.mean(&mut s.out).expect("not empty")),
];

const AT_THE_END: [Operation; 5] = [
    ("mean", 1.0, |s| mean(&refs(&s.updates), &s.shares, &mut s.out).expect("finite")),
    ("read all, one thread", 1.0, |s| {
        s.updates.iter().for_each(|u| {
            black_box(Arch::new().dispatch(Read(u)));
        });
    }),
    ("Gram matrices", 1.0, |s| {
        black_box(gram_blocks(&refs(&s.updates), &s.layout).expect("finite"));
    }),
    ("principal", 1.0, |s| {
        let config = Principal::default();
        principal(&refs(&s.updates), &s.layout, &s.shares, &config, &mut s.out).expect("finite");
    }),
    ("principal from the last arrival on", 1.0, |s| {
        let (last, config) = (s.updates.len() - 1, Principal::default());
        s.arrived.push(last, Arc::clone(&s.updates[last])).expect("finite");
        let (grams, updates) = (s.arrived.grams(), refs(&s.updates));
        principal_from_grams(&grams, &updates, &s.layout, &s.shares, &config, &mut s.out).expect("finite");
        s.arrived.remove(&last);
    }),
];

/// The other rules, all updates there, the whole model as one block.
const RULES: [Operation; 9] = [
    AT_THE_END[0],
    ("coordinate median", 1.0, |s| coordinate_median(&refs(&s.updates), &mut s.out).expect("finite")),
    ("trimmed mean", 1.0, |s| {
        trimmed_mean(&refs(&s.updates), Trim::new(0.2).expect("a fraction"), &mut s.out).expect("finite");
    }),
    ("geometric median", 1.0, |s| {
        by_gram(s, |gram, shares| geometric_median_coefficients(gram, shares, GeometricMedian::default()));
    }),
    ("Krum", 1.0, |s| by_gram(s, |gram, _| krum_coefficients(gram, Krum { hostile: 1, keep: 1 }))),
    ("Bulyan", 1.0, |s| bulyan(&refs(&s.updates), 1, &mut s.out).expect("enough")),
    ("PCGrad", 1.0, |s| by_gram(s, pcgrad_coefficients)),
    ("CAGrad", 1.0, |s| by_gram(s, |gram, shares| cagrad_coefficients(gram, shares, Cagrad::default()))),
    ("FedMGDA+", 1.0, |s| by_gram(s, |gram, shares| fedmgda_coefficients(gram, shares, FedMgda::default()))),
];

fn by_gram(s: &mut Setting, coefficients: impl Fn(&Gram, &Shares) -> Result<Vec<f64>, AggregateError> + Sync) {
    let Setting { layout, updates, shares, out, .. } = s;
    combine(&refs(updates), &layout.whole(), |_, gram| coefficients(gram, shares), out).expect("finite");
}

fn refs(updates: &[Arc<[f32]>]) -> Vec<&[f32]> {
    updates.iter().map(AsRef::as_ref).collect()
}

/// Seconds on the clock: of this thread's work, or elapsed.
fn now(cpu: bool) -> f64 {
    let time = clock_gettime(if cpu { ClockId::ThreadCPUTime } else { ClockId::Monotonic });
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Medians in milliseconds per update, in turns, and how much longer than the first operation each takes.
fn compare(setting: &mut Setting, operations: &[Operation], time: Duration, cpu: bool) -> Vec<f64> {
    let mut taken: Vec<Vec<f64>> = vec![Vec::new(); operations.len()];
    let start = now(false);
    // The first turn fills caches and pages.
    for turn in 0..1000 {
        for ((_, updates, operation), taken) in operations.iter().zip(&mut taken) {
            let start = now(cpu);
            operation(setting);
            if turn > 0 {
                taken.push((now(cpu) - start) * 1e3 / updates);
            }
        }
        if turn >= 5 && now(false) - start > time.as_secs_f64() {
            break;
        }
    }
    let median = |t: &mut Vec<f64>| {
        t.sort_by(f64::total_cmp);
        t[t.len() / 2]
    };
    let medians: Vec<f64> = taken.iter_mut().map(median).collect();
    for ((name, ..), ms) in operations.iter().zip(&medians) {
        println!("    {name:36} {ms:9.3} ms  {:5.2} x {}", ms / medians[0], operations[0].0);
    }
    medians
}

/// Block sizes of an MLP for 28 x 28 images, of the FedAvg CNN and of ResNet-18.
fn models() -> [Vec<usize>; 3] {
    let mut resnet = vec![64 * 3 * 9, 64, 64];
    for (channels, convolutions) in [
        (64, vec![64 * 64 * 9; 4]),
        (128, vec![128 * 64 * 9, 128 * 128 * 9, 128 * 64, 128 * 128 * 9, 128 * 128 * 9]),
        (256, vec![256 * 128 * 9, 256 * 256 * 9, 256 * 128, 256 * 256 * 9, 256 * 256 * 9]),
        (512, vec![512 * 256 * 9, 512 * 512 * 9, 512 * 256, 512 * 512 * 9, 512 * 512 * 9]),
    ] {
        convolutions.into_iter().for_each(|length| resnet.extend([length, channels, channels]));
    }
    resnet.extend([5120, 10]);
    [vec![784 * 128, 128, 1280, 10], vec![800, 32, 51_200, 64, 3136 * 512, 512, 5120, 10], resnet]
}

fn main() {
    let [mlp, cnn, resnet] = models();
    let sizes = [("mlp", &mlp, 10), ("cnn", &cnn, 10), ("resnet", &resnet, 10), ("cnn", &cnn, 100), ("mlp", &mlp, 500)];
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let chosen = sizes
        .into_iter()
        .filter(|(model, _, m)| words.is_empty() || words.iter().any(|word| word == model || *word == m.to_string()));
    if std::env::args().any(|a| a == "--criterion") {
        let mut criterion = Criterion::default().warm_up_time(Duration::from_millis(300)).sample_size(10);
        for (model, lengths, m) in chosen {
            let mut setting = Setting::new(lengths, m);
            let mut group = criterion.benchmark_group(format!("{model} x {m}"));
            for (name, _, operation) in ON_ARRIVAL.iter().chain(&AT_THE_END).chain(&RULES[1..]) {
                group.bench_function(*name, |b| b.iter(|| operation(&mut setting)));
            }
        }
        criterion.final_summary();
        return;
    }
    for (model, lengths, m) in chosen {
        let mut setting = Setting::new(lengths, m);
        let parameters = setting.layout.parameters();
        println!("{model}: {parameters} parameters, {} blocks, {m} updates", lengths.len());
        for threads in [1, 2] {
            let cpu = threads == 1;
            println!("  threads: {threads}, {}", if cpu { "CPU time" } else { "elapsed time" });
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| {
                if m == 10 {
                    let taken = compare(&mut setting, &ON_ARRIVAL, Duration::from_millis(1500), cpu);
                    println!("    exact sum at {:.2} of the speed of a plain f32 sum", taken[0] / taken[1]);
                }
                let taken = compare(&mut setting, &AT_THE_END, Duration::from_secs(if m > 10 { 8 } else { 4 }), cpu);
                let bytes = (4 * parameters * m) as f64;
                println!("    memory is read at {:.1} GB/s", bytes / taken[1] / 1e6);
                compare(&mut setting, &RULES, Duration::from_secs(4), cpu);
                if model == "resnet" {
                    let released = [6000.0, 8000.0].map(|ms| ms / taken[3]);
                    println!("    principal is {:.0} to {:.0} times as fast as 6 to 8 s", released[0], released[1]);
                }
            });
        }
    }
}
