//! The page as a whole, on made-up runs. Set `SYNOD_KEEP_REPORTS` to a folder to keep the pages and look at them.

use rand::RngExt;
use synod_common::event::{LeftOut, Outcome, RunEvent, Stamped};
use synod_common::ids::{Digest, RoundId, SiteName};
use synod_common::metrics::Metrics;
use synod_common::plan::{AnyLoss, Plan};
use synod_common::random::{Purpose, run_stream};

use super::{ComparisonRow, ReportInput, html};

fn plan(name: &str, rounds: u64, clients: usize) -> Plan {
    let text = format!(
        "name = {}
        seed = 7
        rounds = {rounds}
        [model.mlp]
        [task.classification]
        classes = 10
        [data]
        source = \"digits\"
        [train.margin_control]
        lambda = 0.1
        [aggregate.strategy.principal_gradient]
        [simulation]
        clients = {clients}
        [simulation.partition.dirichlet]
        alpha = 0.1",
        serde_json::to_string(name).unwrap()
    );
    Plan::read(&text, &AnyLoss).unwrap_or_else(|error| panic!("{error}"))
}

fn metrics(samples: u64, values: &[(&str, f64)]) -> Metrics {
    Metrics { samples, values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect() }
}

fn measured(samples: u64, accuracy: f64) -> Metrics {
    let loss = 2.3 * (1.0 - accuracy).powf(1.3) + 0.05;
    metrics(
        samples,
        &[
            ("accuracy", accuracy),
            ("balanced_accuracy", accuracy - 0.013),
            ("loss", loss),
            ("macro_f1", accuracy - 0.02),
            ("auroc", 0.5 + accuracy / 2.1),
        ],
    )
}

/// A run of `rounds` rounds with `cohort` of `clients` sites a round.
fn run(plan: &Plan, clients: usize, cohort: usize, rounds: u64) -> Vec<Stamped> {
    let mut rng = run_stream(11, Purpose::Shuffle);
    let sites: Vec<SiteName> = (0..clients).map(|i| format!("site-{i}").parse().unwrap()).collect();
    let model = |round: u64| Digest::of(&round.to_le_bytes());
    let mut events = Vec::new();
    let mut at_ms = 0;
    let mut push = |ms: u64, event: RunEvent| {
        at_ms += ms;
        events.push(Stamped { at_ms, event });
    };
    push(
        0,
        RunEvent::RunStarted {
            version: 1,
            name: plan.name.clone(),
            plan: plan.digest(),
            rounds,
            strategy: "principal_gradient".to_owned(),
            parameters: 55_050,
            model: model(0),
        },
    );
    for (i, site) in sites.iter().enumerate() {
        let counts: Vec<u64> = (0..10)
            .map(|class| {
                if (class + i) % 4 == 0 {
                    rng.random_range(80..150)
                } else if (class + i) % 4 == 1 {
                    rng.random_range(0..14)
                } else {
                    0
                }
            })
            .collect();
        push(
            1,
            RunEvent::SiteArrived {
                site: site.clone(),
                samples: Some(counts.iter().sum()),
                class_counts: Some(counts),
            },
        );
    }
    push(2, RunEvent::Evaluated { round: RoundId(0), metrics: measured(360, 0.11), confusion: None });
    let curve = |round: u64| 0.94 - 0.83 * (-6.0 * round as f64 / rounds as f64).exp();
    for round in 1..=rounds {
        let first = (round as usize * 7919) % clients;
        let members: Vec<SiteName> = (0..cohort).map(|i| sites[(first + i) % clients].clone()).collect();
        push(
            1,
            RunEvent::RoundStarted {
                round: RoundId(round),
                cohort: members.clone(),
                model: model(round - 1),
                deadline_ms: 60_000,
            },
        );
        let late = (round % 9 == 5).then(|| members[round as usize % members.len()].clone());
        let mut took_part = Vec::new();
        for (i, site) in members.iter().enumerate().filter(|(_, site)| Some(*site) != late.as_ref()) {
            let here = (curve(round - 1) + rng.random_range(-0.05..0.05)).clamp(0.0, 1.0);
            push(3, RunEvent::Progress { round: RoundId(round), site: site.clone(), step: 5, steps: 10, loss: 1.0 });
            push(
                3,
                RunEvent::UpdateAccepted {
                    round: RoundId(round),
                    site: site.clone(),
                    samples: 300 + 40 * (i as u64 % 5),
                    norm: (2.5 + 0.3 * (i % 9) as f64) * (-1.5 * round as f64 / rounds as f64).exp()
                        + rng.random_range(0.0..0.2),
                    bytes_down: 220_300,
                    bytes_up: 220_500,
                    train_ms: 40 + 9 * (i as u64 % 6) + rng.random_range(0..15),
                    train: metrics(300, &[("loss", 0.9 * (-3.0 * round as f64 / rounds as f64).exp())]),
                    before: Some(measured(60, here)),
                    after: Some(measured(60, (here + 0.3).min(0.99))),
                },
            );
            took_part.push(site.clone());
        }
        let left_out: Vec<LeftOut> = late
            .iter()
            .map(|site| LeftOut {
                site: site.clone(),
                reason: "no update within 60 s; check the site's connection, or raise round.updates.time.max"
                    .to_owned(),
            })
            .collect();
        push(
            20,
            RunEvent::RoundCommitted {
                round: RoundId(round),
                took_part,
                left_out,
                model: model(round),
                step_norm: 1.4 * (-1.8 * round as f64 / rounds as f64).exp(),
                ms: 95 + rng.random_range(0..40) + if round % 9 == 5 { 160 } else { 0 },
            },
        );
        let confusion = (round == rounds).then(|| {
            (0..10)
                .map(|row| {
                    (0..10)
                        .map(|column| if row == column { 33 } else { u64::from((row * 7 + column * 3) % 11 == 0) })
                        .collect()
                })
                .collect()
        });
        push(4, RunEvent::Evaluated { round: RoundId(round), metrics: measured(360, curve(round)), confusion });
    }
    for site in &sites {
        push(
            1,
            RunEvent::SiteEvaluated {
                round: RoundId(rounds),
                site: site.clone(),
                metrics: measured(60, rng.random_range(0.86..0.98)),
            },
        );
    }
    let bytes = 220_400 * cohort as u64 * rounds;
    push(
        1,
        RunEvent::RunFinished {
            outcome: Outcome::Completed,
            rounds,
            model: model(rounds),
            ms: 3960,
            bytes_down: bytes,
            bytes_up: bytes,
        },
    );
    events
}

fn comparison() -> Vec<ComparisonRow> {
    let row = |name: &str, accuracy: f64, rounds: u64, bytes: u64, seconds: f64, note: &str| ComparisonRow {
        name: name.to_owned(),
        metrics: measured(360, accuracy),
        rounds,
        bytes_up: bytes,
        bytes_down: bytes,
        seconds,
        note: note.to_owned(),
    };
    vec![
        row("global model (FedLD)", 0.9389, 20, 17_640_000, 3.96, ""),
        row("FedAvg, same plan", 0.9167, 20, 17_640_000, 2.1, "simulated, same seed and data"),
        row("pooled training", 0.9722, 20, 0, 1.3, "all samples in one place: the upper mark"),
        row("site-0 alone", 0.2944, 20, 0, 0.4, ""),
        row("site-1 alone", 0.2833, 20, 0, 0.4, ""),
        row("site-2 alone", 0.1944, 20, 0, 0.4, ""),
        row("site-3 alone", 0.2028, 20, 0, 0.4, ""),
    ]
}

fn page(plan: &Plan, events: &[Stamped], comparison: &[ComparisonRow]) -> String {
    html(&ReportInput {
        title: None,
        plan,
        plan_toml: &plan.to_toml(),
        events,
        comparison,
        targets: &[],
        site_class_counts: None,
    })
}

fn keep(name: &str, page: &str) {
    if let Some(folder) = std::env::var_os("SYNOD_KEEP_REPORTS") {
        std::fs::write(std::path::Path::new(&folder).join(name), page).unwrap();
    }
}

/// Every element that is opened is closed in turn; elements without content are those that HTML knows as such.
fn assert_well_formed(page: &str) {
    const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
    let mut open: Vec<&str> = Vec::new();
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("an open tag: {part}"));
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            let name = tag.split_whitespace().next().unwrap_or_default();
            if !VOID.contains(&name) {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn a_demo_run_makes_a_complete_page() {
    let plan = plan("digits, four sites", 20, 4);
    let page = page(&plan, &run(&plan, 4, 4, 20), &comparison());
    keep("demo.html", &page);
    assert_well_formed(&page);
    for text in [
        "digits, four sites",
        "completed",
        "0.938",
        "20 planned",
        "Accuracy per round",
        "Loss per round",
        "Accuracy at each site",
        "Class counts at each site",
        "Length of updates",
        "Time of a round",
        "What is taken for what",
        "site-3 alone",
        "no update within 60 s",
        "margin_control",
        &plan.digest().to_string(),
        &Digest::of(&20_u64.to_le_bytes()).to_string(),
    ] {
        assert!(page.contains(text), "{text} is on the page");
    }
    for never in ["NaN", "inf\"", "<script", "http://", "https://", "url(", " src=", "@import"] {
        assert!(!page.contains(never), "{never} is not on the page");
    }
    assert!(page.len() < 150_000, "{} bytes", page.len());
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let evil = "<script>alert(1)</script>\" onload=\"x";
    let plan = plan(evil, 3, 3);
    let mut events = run(&plan, 3, 3, 3);
    let site: SiteName = "site-1".parse().unwrap();
    events.push(Stamped {
        at_ms: 1,
        event: RunEvent::UpdateRefused { round: RoundId(2), site: site.clone(), reason: evil.to_owned() },
    });
    let left_out = vec![LeftOut { site, reason: evil.to_owned() }];
    events.push(Stamped {
        at_ms: 1,
        event: RunEvent::RoundRetried { round: RoundId(3), updates: 1, updates_min: 3, left_out },
    });
    let outcome = Outcome::Stopped { reason: evil.to_owned() };
    events.push(Stamped {
        at_ms: 1,
        event: RunEvent::RunFinished { outcome, rounds: 2, model: Digest::of(b""), ms: 9, bytes_down: 0, bytes_up: 0 },
    });
    let mut rows = comparison();
    rows[0].name = evil.to_owned();
    rows[1].note = evil.to_owned();
    let page = page(&plan, &events, &rows);
    assert_well_formed(&page);
    assert!(!page.contains("<script") && !page.contains("\" onload"));
    assert!(page.matches("&lt;script&gt;").count() >= 7);
}

#[test]
fn a_page_without_events_says_so() {
    let plan = plan("empty", 3, 3);
    let page = page(&plan, &[], &[]);
    assert_well_formed(&page);
    assert!(page.contains("no end recorded") && !page.contains("NaN"));
}

#[test]
fn a_large_run_makes_a_small_page() {
    let plan = plan("large", 1000, 10_000);
    let page = page(&plan, &run(&plan, 10_000, 50, 1000), &comparison());
    keep("large.html", &page);
    assert_well_formed(&page);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(page.contains("24 of 10\u{202f}000 sites are shown"));
}

#[test]
fn values_that_are_not_finite_or_out_of_range_are_drawn_around() {
    let plan = plan("odd", 2, 3);
    let mut events = run(&plan, 3, 3, 2);
    for event in &mut events {
        match &mut event.event {
            RunEvent::UpdateAccepted { norm, train, train_ms, bytes_up, .. } => {
                *norm = f64::INFINITY;
                *train_ms = u64::MAX;
                *bytes_up = u64::MAX;
                train.values.insert("loss".to_owned(), f64::NAN);
            }
            RunEvent::Evaluated { metrics, confusion, .. } => {
                metrics.values.insert("accuracy".to_owned(), f64::NAN);
                metrics.values.insert("loss".to_owned(), 1e300);
                // A row that is too long and one that is too short.
                *confusion = Some(vec![vec![1, 2, u64::MAX], vec![]]);
            }
            _ => {}
        }
    }
    let page = page(&plan, &events, &[]);
    assert_well_formed(&page);
    let drawn = ["d=\"M", "cx=\"", "cy=\"", "y=\"", "width=\""];
    for attribute in drawn {
        assert!(
            !page.contains(&format!("{attribute}NaN")) && !page.contains(&format!("{attribute}inf")),
            "{attribute}"
        );
    }
}
