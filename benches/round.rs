//! What a round costs by itself: simulated rounds without local work against the memory they must read, and rounds over
//! loopback with real certificates. Prints ratios of one run; also the memory a strategy holds.
//!
//! `cargo bench --bench round`
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use synod_certs::tls::system_clock;
use synod_certs::{Identity, throwaway};
use synod_client::catalogue::Zoo;
use synod_client::data::{Dataset, Inputs, Loaded, SiteData};
use synod_client::device::DeviceChoice;
use synod_client::enrol::{NextKey, Wallet};
use synod_client::session::{Loader, SessionOptions, run as run_session};
use synod_client::train::Trainer;
use synod_common::event::RunEvent;
use synod_common::ids::SiteName;
use synod_common::plan::Plan;
use synod_common::state::State;
use synod_common::update::BufferPool;
use synod_coordinator::journal::{Journal, Keep};
use synod_coordinator::round::Setup;
use synod_coordinator::server::{Members, NoHost, ServeOptions, serve};
use synod_simulations::fleet::{Fleet, FleetOptions, Population};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A plan without local work for `clients` sites of the FedAvg CNN.
fn plan(clients: usize, rounds: u32, strategy: &str) -> Arc<Plan> {
    let text = format!(
        "rounds = {rounds}\nmodel = \"cnn\"\n[task.classification]\nclasses = 10\n[data]\nholdout = 0.0\ntest_fraction = 0.0\n\
         [data.source.idx]\nimages = \"x\"\nlabels = \"y\"\nshape = [1, 28, 28]\n[train]\nepochs = 0\n{strategy}\
         [round]\narrival.count.min = {clients}\n[evaluate]\ncentral_every = 0\nsite_every = 0\n[simulation]\nclients = {clients}\n"
    );
    Arc::new(Plan::read(&text, &Zoo).expect("the plan is good"))
}

fn samples(clients: usize) -> Loaded {
    let rows = clients * 10;
    let labels = (0..rows).map(|i| (i % 10) as u32).collect::<Vec<_>>();
    let dataset = Dataset::new(Inputs::U8(vec![0; rows * 784]), labels, vec![1, 28, 28]).expect("the shape is right");
    Loaded { train: Arc::new(dataset), test: None, assignment: None, traces: Vec::new(), notes: Vec::new() }
}

/// Seconds to read `updates` updates of `len` values twice, on all cores.
fn read_twice(updates: usize, len: usize) -> f64 {
    let buffers: Vec<Vec<f32>> = (0..updates).map(|i| vec![i as f32; len]).collect();
    let threads = cores();
    let mut best = f64::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        for _ in 0..2 {
            std::thread::scope(|scope| {
                for part in buffers.chunks(updates.div_ceil(threads)) {
                    scope.spawn(move || {
                        for buffer in part {
                            let words: &[u64] = bytemuck::cast_slice(buffer);
                            let sum = words.chunks_exact(8).fold([0_u64; 8], |mut s, c| {
                                for (s, c) in s.iter_mut().zip(c) {
                                    *s ^= c;
                                }
                                s
                            });
                            black_box(sum);
                        }
                    });
                }
            });
        }
        best = best.min(began.elapsed().as_secs_f64());
    }
    best
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Median seconds of a simulated round, after the first.
fn simulated(clients: usize, strategy: &str) -> f64 {
    let plan = plan(clients, 8, strategy);
    let population = Population::new(&plan, &samples(clients)).expect("the data is good");
    let trainer = Arc::new(Trainer::new(Arc::clone(&plan), &DeviceChoice::Cpu).expect("the plan is good"));
    let ends: Mutex<Vec<Instant>> = Mutex::default();
    let sink = |event: &RunEvent| {
        if matches!(event, RunEvent::RoundCommitted { .. }) {
            ends.lock().expect("no panic").push(Instant::now());
        }
    };
    let stop = AtomicBool::new(false);
    let fleet = Fleet { plan, trainer, population: &population, host: &NoHost, sink: &sink, stop: &stop };
    fleet.run(FleetOptions { threads: cores() }).expect("the run begins");
    let ends = ends.into_inner().expect("no panic");
    let mut rounds: Vec<f64> = ends.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Median seconds of a round over loopback with `clients` sites in this process.
fn loopback(clients: usize, strategy: &str) -> f64 {
    let plan = plan(clients, 8, strategy);
    let loaded = samples(clients);
    let population = Arc::new(Population::new(&plan, &loaded).expect("the data is good"));
    let trainer = Arc::new(Trainer::new(Arc::clone(&plan), &DeviceChoice::Cpu).expect("the plan is good"));
    let names: Vec<SiteName> = population.names().cloned().collect();
    let keys = tempfile::tempdir().expect("a temporary folder");
    let now = std::time::SystemTime::now();
    let made = throwaway(&names, keys.path(), now).expect("identities");
    let identity = |folder: &Path| Identity::load(folder, now).expect("an identity");
    let setup = Setup {
        plan: Arc::clone(&plan),
        layout: trainer.layout().clone(),
        initial: trainer.initial(),
        state: State::default(),
        pool: BufferPool::new(trainer.layout().len(), 16),
    };
    let ends: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let heard = Arc::clone(&ends);
    let sink = Arc::new(move |event: &RunEvent| {
        if matches!(event, RunEvent::RoundCommitted { .. }) {
            heard.lock().expect("no panic").push(Instant::now());
        }
    });
    let loader: Loader = Arc::new(move |_, site| {
        let data: Arc<SiteData> = population.site(site).map_err(|e| e.to_string())?;
        Ok((Arc::clone(&plan), (Arc::clone(&trainer), data)))
    });
    let run = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (told, address) = tokio::sync::oneshot::channel();
        let options = ServeOptions {
            members: Members::Certified(Arc::new(identity(&made.coordinator))),
            listen: ([127, 0, 0, 1], 0).into(),
            release: "bench".into(),
        };
        let listening = move |address| {
            let _ = told.send(address);
        };
        let journal = Journal::open_folder(&run.path().join("journal"), Keep::default()).expect("it begins");
        let serving =
            tokio::spawn(serve(options, setup, journal, Arc::new(NoHost), sink, listening, std::future::pending()));
        let address = address.await.expect("it listens").to_string();
        for folder in made.sites.values() {
            let options = SessionOptions {
                wallet: Arc::new(
                    Wallet::open(folder, NextKey::Same, "bench", system_clock(), Box::new(|_| {}))
                        .expect("an identity"),
                ),
                coordinator: address.clone(),
                release: "bench".into(),
                unreachable_max: Duration::from_secs(10),
                state: folder.join("state"),
                keep_every: Duration::from_secs(60),
                loader: Arc::clone(&loader),
            };
            tokio::spawn(run_session(options, Box::new(|_| {}), std::future::pending()));
        }
        let _ = serving.await;
    });
    let ends = ends.lock().expect("no panic");
    let mut rounds: Vec<f64> = ends.windows(2).map(|w| (w[1] - w[0]).as_secs_f64()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Bytes of this process in memory now, where the system says so.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * 4096)
}

/// Most bytes in memory above those at the start while an aggregator takes `updates` updates, in models.
fn memory(strategy: &str, updates: usize) -> Option<f64> {
    use std::num::NonZeroU32;
    use synod_common::ids::RoundId;
    use synod_coordinator::aggregate::screen;
    use synod_coordinator::round::{Aggregator, Contribution};
    let plan = plan(2, 1, strategy);
    let layout = data_layout(&plan);
    let before = resident()?;
    let pool = BufferPool::new(layout.len(), 1);
    let mut aggregator = Aggregator::new(&plan, RoundId(5), &layout, updates, updates).ok()?;
    let peak = AtomicU64::new(0);
    let contribution = Contribution { samples: NonZeroU32::MIN, steps: 1, loss_before: None, age: 0 };
    for i in 0..updates {
        let mut delta = pool.take();
        delta.fill(i as f32 * 1e-3);
        let screened = screen(&delta).ok()?;
        let id = SiteName::new(&format!("site-{i}")).ok()?.client_id();
        aggregator.push(id, contribution, delta, screened, None).ok()?;
        peak.fetch_max(resident()?, Ordering::Relaxed);
    }
    Some(peak.load(Ordering::Relaxed).saturating_sub(before) as f64 / layout.bytes() as f64)
}

fn data_layout(plan: &Plan) -> synod_common::blocks::Layout {
    synod_client::models::layout(plan).expect("the plan is good")
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, strategy, updates] = arguments.as_slice()
        && flag == "--memory"
    {
        let models = memory(strategy, updates.parse().unwrap_or(1));
        return say(&models.map_or_else(|| "?".to_owned(), |m| format!("{m:.1}")));
    }
    let fedavg = "[aggregate.strategy.fedavg]\n";
    let principal = "[aggregate.strategy.principal_gradient]\nwarmup_rounds = 0\n";
    let len = data_layout(&plan(2, 1, fedavg)).len();
    say(&format!("cnn, {len} parameters, {} cores", cores()));
    for (name, strategy) in [("fedavg", fedavg), ("principal_gradient", principal)] {
        for updates in [4, 16, 64] {
            // A process of its own: an allocator keeps what was freed.
            let child = std::env::current_exe().and_then(|exe| {
                std::process::Command::new(exe).args(["--memory", strategy, &updates.to_string()]).output()
            });
            let models = child.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
            say(&format!("memory held by {name:18} for {updates:3} updates: {models:>5} models"));
        }
    }
    let yardstick = read_twice(100, len);
    say(&format!("reading 100 updates twice: {:7.1} ms (yardstick)", yardstick * 1e3));
    for (name, clients, strategy) in [("fedavg", 100, fedavg), ("principal_gradient", 10, principal)] {
        let seconds = simulated(clients, strategy);
        let ratio = seconds / (yardstick * clients as f64 / 100.0);
        say(&format!(
            "simulated round without local work, {name:18} {clients:3} sites: {:7.1} ms = {ratio:.2} x the yardstick for as many updates",
            seconds * 1e3
        ));
    }
    for (name, strategy) in [("fedavg", fedavg), ("principal_gradient", principal)] {
        let seconds = loopback(4, strategy);
        let rate = 2.0 * 4.0 * len as f64 * 4.0 / seconds / 1e9;
        say(&format!(
            "loopback round without local work,  {name:18}   4 sites: {:7.1} ms, {rate:.2} GB/s down and up",
            seconds * 1e3
        ));
    }
}
