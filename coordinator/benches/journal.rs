//! What durability costs: an update in the journal against a plain file that is written and synced, alone and in groups, and the
//! time until a coordinator that crashed can go on. On the disk of the build folder; medians of one run.
//!
//! `cargo bench -p synod-coordinator --bench journal`
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use synod_common::blocks::{BlockKind, BlockSpec, Layout};
use synod_common::ids::{RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::state::State;
use synod_common::update::{BufferPool, Update, UpdateHeader};
use synod_coordinator::journal::{Journal, Keep, Write};
use synod_coordinator::round::{Action, Event, Machine, Millis, Received, Setup};

/// Sites of the round, and so updates that can be written.
const SITES: usize = 24;
/// Updates of one group: as many uploads as the coordinator reads at a time.
const GROUP: usize = 8;

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn layout(parameters: usize) -> Layout {
    let block = BlockSpec { name: "w".into(), shape: vec![parameters], kind: BlockKind::Parameter };
    Layout::new(vec![block]).expect("one block")
}

fn setup(parameters: usize) -> Setup {
    let text = format!(
        "rounds = 2\nmodel = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n[round]\narrival.count.min = {SITES}\n"
    );
    Setup {
        plan: Arc::new(Plan::read(&text, &AnyLoss).expect("the plan is good")),
        layout: layout(parameters),
        initial: vec![0.0; parameters],
        state: State::default(),
        pool: BufferPool::new(parameters, 2 * GROUP),
    }
}

fn update(setup: &Setup, which: usize) -> Update {
    let header = UpdateHeader {
        round: RoundId(1),
        plan: setup.plan.digest(),
        layout: setup.layout.digest(),
        samples: 5,
        steps: 1,
        loss_before: None,
        before: None,
        train: Metrics::default(),
        after: None,
        train_ms: 1,
    };
    let mut delta = setup.pool.take();
    delta.iter_mut().zip(0_u32..).for_each(|(v, i)| *v = (i as f32).mul_add(1e-12, which as f32 * 1e-4));
    Update { header, delta, extra: None }
}

/// Milliseconds of `work`.
fn ms(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What the journal takes of `actions`.
fn writes(actions: Vec<Action>) -> Vec<Write> {
    let write = |action| match action {
        Action::Journal(record) => Some(Write::Record(record)),
        _ => None,
    };
    actions.into_iter().filter_map(write).collect()
}

fn plain(folder: &Path, parameters: usize) -> f64 {
    let bytes = vec![1_u8; 4 * parameters];
    let write = |n: usize| {
        let path = folder.join(format!("plain-{n}"));
        let mut file = File::create(&path).expect("the folder is writable");
        file.write_all(&bytes).expect("there is room");
        file.sync_all().expect("it can be synced");
    };
    median((0..GROUP).map(|n| ms(|| write(n))).collect())
}

fn measure(folder: &Path, parameters: usize) {
    let run = folder.join("journal");
    let setup_here = setup(parameters);
    let mut journal = Journal::open_folder(&run, Keep::default()).expect("it begins");
    let mut machine = Machine::new(setup(parameters));
    let mut actions = Vec::new();
    machine.step(Millis(0), Event::Start, &mut actions);
    let names: Vec<SiteName> = (0..SITES).map(|n| format!("s{n}").parse().expect("a name")).collect();
    for site in &names {
        let event = Event::Arrived { site: site.clone(), samples: 5, class_counts: vec![] };
        machine.step(Millis(0), event, &mut actions);
    }
    journal.write(writes(actions));
    // Spent buffers go back to the pool as soon as the machine has them.
    let mut accept = |sites: std::ops::Range<usize>| {
        let (mut actions, updates) = (Vec::new(), sites.len());
        for n in sites {
            let received = Received::screen(update(&setup_here, n));
            machine.step(Millis(1), Event::Update { site: names[n].clone(), received }, &mut actions);
        }
        let group = writes(actions);
        assert_eq!(group.len(), updates, "all of them pass");
        let mut told = Vec::new();
        let took = ms(|| told = journal.write(group));
        for event in told {
            assert!(matches!(event, Event::Journalled(_)), "it is durable");
            machine.step(Millis(1), event, &mut Vec::new());
        }
        took
    };
    let alone = median((0..GROUP).map(|n| accept(n..n + 1)).collect());
    let together = accept(GROUP..2 * GROUP) / GROUP as f64;
    let plain = plain(folder, parameters);
    drop((journal, machine));
    let mut setup_again = Some(setup(parameters));
    let resumed = ms(|| {
        let journal = Journal::open_folder(&run, Keep::default()).expect("it is whole");
        let machine = journal.machine(setup_again.take().expect("there is one")).expect("it goes on");
        assert!(machine.outcome().is_none(), "the round is open");
    });
    let megabytes = 4.0 * parameters as f64 / 1e6;
    say(&format!(
        "{megabytes:7.1} MB  plain file {plain:7.2} ms  journal {alone:7.2} ms ({:.2} x)  in groups of {GROUP} {together:7.2} ms each ({:.2} x)  resume with {} updates {resumed:8.1} ms",
        alone / plain,
        together / plain,
        2 * GROUP
    ));
}

fn main() {
    for parameters in [2_500, 61_706, 1_663_370, 11_173_962] {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder beside the build");
        measure(folder.path(), parameters);
    }
}
