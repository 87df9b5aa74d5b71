//! Plans of simulations: everything that the section may say, and what it may not.

#![allow(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use synod_common::plan::{AnyLoss, Plan};

const REST: &str = "model = \"logistic\"\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n";

fn read(simulation: &str) -> Result<Plan, String> {
    Plan::read(&format!("{REST}[simulation]\n{simulation}"), &AnyLoss).map_err(|error| error.to_string())
}

fn refused(simulation: &str) -> String {
    read(simulation).expect_err(simulation)
}

#[test]
fn every_option_survives_the_canonical_text() {
    let partitions = [
        "partition = \"iid\"",
        "partition.dirichlet = { alpha = 0.3, samples_min = 3, balanced = false }",
        "partition.inner_dirichlet = { alpha = 0.3, sizes = [10, 20, 30] }",
        "partition.shards.classes_per_site = 3",
        "partition.pathological = { classes_per_site = 3, deal = \"random\" }",
        "partition.label_shards = { per_site = 3, size = 20 }",
        "partition.label_shards.size = 20",
        "partition.sizes.exponent = 0.5",
        "partition = \"linear\"",
        "partition = \"square\"",
        "partition.exponential.rate = 0.2",
        "partition.exact_sizes.sizes = [5, 6, 7]",
        "partition.continuous = { by = \"input\", input = 63, strictness = 0.5 }",
        "partition.distribution = { classes_per_site = 1, preassigned = 2, shares = [[1, 2], [3.5]] }",
        "partition.vertical = { sizes = [10, 20, 30], shared = [0, 1], order = \"random\" }",
        "partition.file.path = \"who.idx\"",
    ];
    let rest = "[simulation.shift]\nnoise = {}\nrotation = { degrees = -30.0, spread = \"random\" }\ncontrast = { spread = \"same\" }\nscanner = {}\n\
        label_noise = { kind = \"pairs\" }\nconcept = {}\nunlabelled = {}\nlong_tail = {}\n\
        [simulation.arrival]\nlate = 0.5\nuntil = 9\nleaving = 0.1\n[simulation.drift]\nwhat = \"inputs\"\n\
        [[simulation.profile]]\nname = \"a\"\navailability = { day_night = { zones = 3.0 } }\n\
        [[simulation.profile]]\navailability.markov = { on = \"1h\", off = \"90m\" }\n\
        [[simulation.profile]]\nshare = 0.0\navailability.trace.path = \"trace.csv\"\n[[simulation.profile]]\ndropout = 0.1\n";
    for partition in partitions {
        let plan = read(&format!("clients = 3\n{partition}\n{rest}")).unwrap();
        let again = Plan::read(&plan.to_toml(), &AnyLoss).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again, plan, "{partition}");
        assert_eq!(again.digest(), plan.digest(), "{partition}");
        let simulation = plan.simulation.unwrap();
        assert!(partition.contains(simulation.partition.name()), "{partition}");
        assert_eq!(simulation.profiles.len(), 4);
    }
}

#[test]
fn listed_sizes_say_how_many_sites_there_are() {
    assert_eq!(read("partition.exact_sizes.sizes = [5, 6]").unwrap().simulation.unwrap().clients, 2);
    assert!(refused("clients = 3\npartition.exact_sizes.sizes = [5, 6]").contains("lists 2 sites, there are 3"));
    assert!(refused("partition.exact_sizes.sizes = [5, 0]").contains("site 1 has the size 0"));
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    for (simulation, reason) in [
        ("clients = 2\npartition = \"squares\"", "no partition `squares`"),
        ("clients = 2\npartition.pathological.classes_per_site = 11", "the task has 10 classes"),
        ("clients = 2\npartition.label_shards.per_site = 0", "no pieces"),
        ("clients = 2\npartition.continuous.by = \"input\"", "goes with"),
        ("clients = 2\npartition.continuous = { by = \"input\", input = 64 }", "the inputs 0 to 63"),
        ("clients = 2\npartition.distribution.shares = [[1.0], [0.0]]", "the shares of class 1"),
        ("clients = 2\npartition = \"grouped\"", "names no sites"),
        ("clients = 65\npartition = \"vertical\"", "65 inputs are to be dealt out, 64 are there"),
        ("clients = 2\npartition.vertical.shared = [64]", "there is no input 64"),
        ("clients = 2\nshift.noise.deviation = -1.0", "`deviation` is -1"),
        ("clients = 2\nshift.blur = {}", "unknown key `blur`"),
        ("clients = 2\narrival = { from = 5, until = 4 }", "before the round it begins with"),
        ("clients = 2\ndrift.from = 3", "`what` is missing"),
        ("clients = 2\ndrift = { what = \"labels\", from = 3, until = 3 }", "it comes after `from`"),
        ("clients = 2\ndrift.what = \"inputs\"", "[simulation.shift], which is not there"),
        ("clients = 2\nprofile = {}", "a list of tables"),
        ("clients = 2\n[[simulation.profile]]\nshare = 0.0", "all shares are 0"),
        ("clients = 2\n[[simulation.profile]]\nspeed = 1.0", "unknown key `speed`"),
        ("clients = 2\n[[simulation.profile]]\navailability = \"nightly\"", "no availability `nightly`"),
        ("clients = 2\n[[simulation.profile]]\navailability.markov.on = \"0s\"", "a mean time is above that"),
        ("clients = 2\n[[simulation.profile]]\navailability.day_night = { from = 5, until = 5 }", "the same hour"),
        ("clients = 2\nattack = \"inner_product\"\n[[simulation.profile]]", "have no time of their own"),
    ] {
        let text = refused(simulation);
        assert!(text.contains(reason), "{simulation}: {text}");
    }
}
