//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use synod_client::device::DeviceChoice;
use synod_common::ids::SiteName;
use synod_coordinator::journal::{KeepModels, KeepUpdates};
use synod_losses::TaskKind;

pub(crate) use super::enrol::args::{CLIENT_HOME, HomeArgs, JoinArgs, MembersCommand, ServiceCommand};

pub(super) const EXIT_CODES: &str = "Exit codes: 0 done · 1 unexpected · 2 usage or configuration · 3 coordinator unreachable · \
4 identity refused · 5 the run ended without its goal · 6 data or model does not fit · 130 interrupted";

/// Federated learning in one binary: coordinator, clients and simulator.
#[derive(Parser, Debug)]
#[command(name = "synod", version, after_help = format!("Examples:\n  synod demo\n  synod plan new study.toml\n  synod simulate study.toml --out runs/first\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Show nothing but the result.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Log more to standard error; twice for every message. SYNOD_LOG sets a filter instead.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours in messages; NO_COLOR is respected.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a whole federation on this machine: a coordinator and four client processes over QUIC.
    #[command(after_help = "Examples:\n  synod demo\n  synod demo --out runs/demo --seed 3")]
    Demo(DemoArgs),
    /// Run a plan with virtual sites on this machine.
    #[command(
        after_help = "Examples:\n  synod simulate plans/demo.toml\n  synod simulate plans/demo.toml --seed 2 --clients 8 --out runs/eight --json\n  SYNOD_DATA=~/data synod simulate plans/fashion-mnist.toml --threads 2"
    )]
    Simulate(SimulateArgs),
    /// Run a plan with several losses, strategies and seeds, and compare them.
    #[command(
        after_help = "Examples:\n  synod compare plans/demo.toml --losses 'cross_entropy,focal{gamma=1.5}' --seeds 5\n  synod compare plans/demo.toml --strategies fedavg,principal_gradient --seeds 3 --out studies/demo\n\nRun again into the same folder, it goes on where it ended."
    )]
    Compare(CompareArgs),
    /// Show who owns which sample in a simulation of a plan, and how much sites differ.
    #[command(
        after_help = "Examples:\n  synod partition plans/demo.toml --show\n  synod partition plans/demo.toml --json\n  synod partition plans/demo.toml --out owners.idx"
    )]
    Partition(PartitionArgs),
    /// Write, check and show plans.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Coordinate a run.
    #[command(subcommand)]
    Coordinator(CoordinatorCommand),
    /// Check, tidy and read the journal of a run.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Take part in a run as a site.
    #[command(subcommand)]
    Client(ClientCommand),
    /// The losses a plan may name.
    #[command(subcommand)]
    Losses(LossesCommand),
    /// The strategies a plan may name.
    #[command(subcommand)]
    Strategies(StrategiesCommand),
    /// Make the certificates of a federation.
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Play federations in which everything fails, or fuzz what reads bytes; for who works on Synod.
    #[command(
        hide = true,
        after_help = "Examples:\n  synod chaos --seeds 10000\n  synod chaos --replay 4711 -v\n  synod chaos --fuzz 1000000 --target frames"
    )]
    Chaos(ChaosArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ChaosArgs {
    /// Seeds to play.
    #[arg(long, default_value_t = 1000)]
    pub(crate) seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    /// Play one seed and show its last lines; all of them with -v.
    #[arg(long, value_name = "SEED", conflicts_with = "seeds")]
    pub(crate) replay: Option<u64>,
    /// Give so many inputs to each fuzz target instead.
    #[arg(long, value_name = "EXECUTIONS", conflicts_with_all = ["seeds", "replay"])]
    pub(crate) fuzz: Option<u64>,
    /// Only this fuzz target.
    #[arg(long, requires = "fuzz")]
    pub(crate) target: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Where the run is kept [default: synod-out/demo-N, a new one each time].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The seed of every draw.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Rounds to run.
    #[arg(long)]
    pub(crate) rounds: Option<u32>,
    /// Print the comparison as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    /// The plan.
    #[arg(value_name = "PLAN.toml")]
    pub(crate) plan: PathBuf,
    /// The folder that the plan's file names are relative to [default: the plan's own folder].
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Use this seed instead of the plan's: another run, with another digest.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Simulate so many sites instead of the plan's: another run, with another digest.
    #[arg(long)]
    pub(crate) clients: Option<u32>,
    /// Run so many rounds instead of the plan's: another run, with another digest.
    #[arg(long)]
    pub(crate) rounds: Option<u32>,
    /// Worker threads [default: one a core]. The result does not depend on it.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Where the run is kept [default: synod-out/NAME-N, a new one each time].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The device that trains: auto, cpu, wgpu:N, cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Compare with other ways to train: each site alone, FedAvg, all data pooled.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) compare: Vec<Compare>,
    /// Print the time to these values of the main metric, like 0.8,0.9: on the virtual clock, where the plan has profiles.
    #[arg(long, value_delimiter = ',')]
    pub(crate) targets: Vec<f64>,
    /// Print events as JSON lines to standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// The plan, which has a section for simulations.
    #[arg(value_name = "PLAN.toml")]
    pub(crate) plan: PathBuf,
    /// The losses, like 'cross_entropy,focal{gamma=1.5}' [default: the plan's].
    #[arg(long, value_name = "LIST")]
    pub(crate) losses: Option<String>,
    /// The strategies, like 'fedavg,principal_gradient{keep=0.5}' [default: the plan's].
    #[arg(long, value_name = "LIST")]
    pub(crate) strategies: Option<String>,
    /// Run each with so many seeds, from the plan's seed upwards.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: u32,
    /// The folder that the plan's file names are relative to [default: the plan's own folder].
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Worker threads [default: one a core]. The results do not depend on it.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Where cells, table and report are kept [default: synod-out/NAME-compare-N, a new one each time].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The device that trains: auto, cpu, wgpu:N, cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PartitionArgs {
    /// The plan, which has a section for simulations.
    #[arg(value_name = "PLAN.toml")]
    pub(crate) plan: PathBuf,
    /// The folder that the plan's file names are relative to [default: the plan's own folder].
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Show the samples of each class at each site.
    #[arg(long)]
    pub(crate) show: bool,
    /// Print one JSON object instead.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the site of each training sample to this file, which the partition `file` reads.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What to compare a run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compare {
    /// Each site trains by itself.
    Alone,
    /// The same plan with plain averaging.
    Fedavg,
    /// All samples in one place.
    Pooled,
}

#[derive(Subcommand, Debug)]
pub(crate) enum PlanCommand {
    /// Write a commented plan to begin with.
    #[command(after_help = "Examples:\n  synod plan new study.toml\n  synod plan new heart.toml --template csv")]
    New {
        /// The file to write; it must not exist.
        file: PathBuf,
        /// What the data looks like.
        #[arg(long, value_enum, default_value_t = Template::Digits)]
        template: Template,
    },
    /// Check a plan and print its digest; all problems are shown at once.
    #[command(after_help = "Examples:\n  synod plan check plans/demo.toml\n  synod plan check plans/demo.toml --json")]
    Check {
        /// The plan.
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the plan complete with defaults: what the digest is taken of.
    #[command(after_help = "Examples:\n  synod plan show plans/demo.toml")]
    Show {
        /// The plan.
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Plans to begin with.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Template {
    /// The digits inside the binary: runs at once.
    Digits,
    /// Images in IDX files.
    Idx,
    /// Tables in CSV files.
    Csv,
    /// Arrays in NPZ archives.
    Npz,
}

#[derive(Subcommand, Debug)]
pub(crate) enum CoordinatorCommand {
    /// Coordinate one run of a plan and end with it; run again after a crash, it goes on.
    #[command(
        after_help = "Examples:\n  synod coordinator serve study.toml --key-file unlock.key\n  synod coordinator serve plans/demo.toml --identity certs/coordinator --listen 127.0.0.1:0 --json"
    )]
    Serve(ServeArgs),
    /// Say where a served run is and what it waits for: what, who, since when, until when, and what happens then.
    #[command(
        after_help = "Examples:\n  synod coordinator status\n  synod coordinator status synod-out/heart-1a2b3c4d --json\n\nIt reads status.json in the run's folder and needs no connection."
    )]
    Status(StatusArgs),
    #[command(flatten)]
    Members(MembersCommand),
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// The run's folder [default: the one in synod-out that was written last].
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The same as DIR.
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    pub(crate) run: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The plan.
    #[arg(value_name = "PLAN.toml")]
    pub(crate) plan: PathBuf,
    /// The coordinator's identity folder, from `synod certs`, instead of a coordinator made by `synod coordinator init`: then
    /// everybody whom the authority certified may take part.
    #[arg(long, env = "SYNOD_IDENTITY", value_name = "DIR")]
    pub(crate) identity: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// The UDP address to listen on; port 0 lets the system choose.
    #[arg(long, env = "SYNOD_LISTEN", default_value = "0.0.0.0:7443")]
    pub(crate) listen: SocketAddr,
    /// Where the run is kept. A run that is there and did not come to its end goes on [default: synod-out/NAME-DIGEST, the
    /// newest one].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Begin a run anew, in a new folder, where one of this plan is there already.
    #[arg(long, conflicts_with = "out")]
    pub(crate) new: bool,
    /// How many models to keep in the journal, the newest: a number from 1, or all.
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) keep_models: KeepModels,
    /// Which updates to keep in the journal: open, those of the open round, or all.
    #[arg(long, value_name = "WHICH", default_value = "open")]
    pub(crate) keep_updates: KeepUpdates,
    /// A folder with the plan's files, to measure the global model on the central test set. Without it only the sites
    /// measure; the digits need none.
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub(crate) test_data: Option<PathBuf>,
    /// Print the address and events as JSON lines to standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum JournalCommand {
    /// Verify every entry and every value, and say where the run is. Changes nothing.
    #[command(
        after_help = "Examples:\n  synod journal check synod-out/heart-3fe1a0c2\n  synod journal check synod-out/heart-3fe1a0c2 --json"
    )]
    Check {
        /// The run's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove values that nothing refers to, and give back unused space. The run goes on as before.
    #[command(
        after_help = "Examples:\n  synod journal compact synod-out/heart-3fe1a0c2\n  synod journal compact synod-out/heart-3fe1a0c2 --keep-models 1"
    )]
    Compact {
        /// The run's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// How many models to keep, the newest: a number from 1, or all.
        #[arg(long, value_name = "N", default_value = "all")]
        keep_models: KeepModels,
        /// Which updates to keep: open, those of the open round, or all.
        #[arg(long, value_name = "WHICH", default_value = "all")]
        keep_updates: KeepUpdates,
    },
    /// Print every entry as a line of JSON, or write a model that is kept.
    #[command(
        after_help = "Examples:\n  synod journal export synod-out/heart-3fe1a0c2 > entries.jsonl\n  synod journal export synod-out/heart-3fe1a0c2 --model model.safetensors --round 12"
    )]
    Export {
        /// The run's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Write a model to this file, which must not exist, instead of printing entries.
        #[arg(long, value_name = "FILE.safetensors")]
        model: Option<PathBuf>,
        /// The round of the model [default: the newest].
        #[arg(long, requires = "model")]
        round: Option<u64>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum ClientCommand {
    /// Take part in one run and end with it.
    #[command(
        after_help = "Examples:\n  synod client run --data /srv/study\n  synod client run --coordinator 127.0.0.1:7443 --identity certs/site-0 --rehearse"
    )]
    Run(ClientArgs),
    /// Join a federation with the line that its operator sent.
    #[command(
        after_help = "Examples:\n  synod client join quic://study.example.org:7443 --token TOKEN --pin sha256:DIGEST\n  synod client join quic://study.example.org:7443 --token TOKEN --pin sha256:DIGEST --home /var/lib/synod --wait 1h"
    )]
    Join(JoinArgs),
    /// Let the system start the client.
    #[command(subcommand)]
    Service(ServiceCommand),
}

#[derive(Args, Debug)]
pub(crate) struct ClientArgs {
    /// The folder that `synod client join` made.
    #[arg(long, env = "SYNOD_CLIENT_HOME", value_name = "DIR", default_value = CLIENT_HOME)]
    pub(crate) home: PathBuf,
    /// The coordinator, as host:port [default: the one that was joined].
    #[arg(long, env = "SYNOD_COORDINATOR")]
    pub(crate) coordinator: Option<String>,
    /// This site's identity folder [default: the one in the home folder].
    #[arg(long, env = "SYNOD_IDENTITY", value_name = "DIR")]
    pub(crate) identity: Option<PathBuf>,
    /// Make a new key with each renewal of the certificate.
    #[arg(long)]
    pub(crate) new_key: bool,
    /// The folder with this site's samples, in the files that the plan names.
    #[arg(long, env = "SYNOD_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Use the samples that the plan's simulation section gives to the site of this name, instead of the site's own:
    /// a rehearsal with real processes.
    #[arg(long)]
    pub(crate) rehearse: bool,
    /// Where this site keeps what it must not lose: the work in hand, and what some algorithms remember between rounds
    /// [default: state, in the home folder, or in the identity folder where one is given].
    #[arg(long, env = "SYNOD_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The device that trains: auto, cpu, wgpu:N, cuda:N.
    #[arg(long, default_value = "auto")]
    pub(crate) device: DeviceChoice,
    /// How often the progress of a training is kept; after a crash, the same command goes on from there.
    #[arg(long, default_value = "1m", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) keep_every: Duration,
    /// How long to try to reach the coordinator before giving up, like 30s or 2h. With a task in hand at least until the
    /// task's time is over.
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    pub(crate) patience: Duration,
}

#[derive(Subcommand, Debug)]
pub(crate) enum LossesCommand {
    /// List the losses and what else the zoo has.
    #[command(
        after_help = "Examples:\n  synod losses list\n  synod losses list --task classification\n  synod losses list --json"
    )]
    List {
        /// Only what can be used for this task: classification, multi_label, regression, segmentation, …
        #[arg(long, value_parser = task_kind)]
        task: Option<TaskKind>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show formula, shapes, options and source of a loss.
    #[command(after_help = "Examples:\n  synod losses show cross_entropy\n  synod losses show margin_control")]
    Show {
        /// The loss.
        name: String,
    },
    /// Check losses against a file of golden cases: values and gradients.
    #[command(after_help = "Examples:\n  synod losses eval client/losses/tests/golden/17-fedld.json")]
    Eval {
        /// The file.
        file: PathBuf,
    },
}

fn task_kind(text: &str) -> Result<TaskKind, serde::de::value::Error> {
    TaskKind::deserialize(text.replace('-', "_").into_deserializer())
}

#[derive(Subcommand, Debug)]
pub(crate) enum StrategiesCommand {
    /// List the strategies.
    #[command(after_help = "Examples:\n  synod strategies list\n  synod strategies list --json")]
    List {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show formula, options, cost, use and source of a strategy.
    #[command(after_help = "Examples:\n  synod strategies show fedadam\n  synod strategies show principal_gradient")]
    Show {
        /// The strategy.
        name: String,
    },
    /// Check strategies against a file of golden cases: steps and coefficients.
    #[command(
        after_help = "Cases that are about losses are skipped; `synod losses eval` checks them.\n\nExamples:\n  synod strategies eval coordinator/tests/golden/17-fedld.json"
    )]
    Eval {
        /// JSON file of cases.
        file: PathBuf,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum CertsCommand {
    /// Make the authority of a federation.
    #[command(after_help = "Examples:\n  synod certs authority study-a --out certs/authority")]
    Authority {
        /// Its name.
        name: SiteName,
        /// Where to keep it. Whoever has this folder can make identities.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How long it is valid, like 365days.
        #[arg(long, default_value = "1825days", value_parser = humantime::parse_duration)]
        validity: Duration,
    },
    /// Make the identity of a coordinator.
    #[command(
        after_help = "Examples:\n  synod certs coordinator main --authority certs/authority --out certs/coordinator"
    )]
    Coordinator(IdentityArgs),
    /// Make the identity of a site.
    #[command(
        after_help = "Examples:\n  synod certs site st-vincent --authority certs/authority --out certs/st-vincent"
    )]
    Site(IdentityArgs),
    /// Show who an identity folder is, and until when.
    #[command(after_help = "Examples:\n  synod certs show certs/st-vincent")]
    Show {
        /// The identity folder.
        folder: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct IdentityArgs {
    /// Its name: lower-case letters, digits and hyphens.
    pub(crate) name: SiteName,
    /// The authority's folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) authority: PathBuf,
    /// Where to keep the identity.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How long it is valid, like 30days.
    #[arg(long, default_value = "90days", value_parser = humantime::parse_duration)]
    pub(crate) validity: Duration,
}
