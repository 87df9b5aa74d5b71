//! `synod strategies`.

use serde::Serialize;

use super::args::StrategiesCommand;
use super::exit::{Exit, Outcome};
use super::out;

/// What is told of a strategy.
#[derive(Serialize)]
struct Info {
    name: &'static str,
    summary: &'static str,
    options: &'static [OptionInfo],
    source: &'static str,
}

#[derive(Serialize)]
struct OptionInfo {
    name: &'static str,
    default: &'static str,
    choices: &'static str,
    meaning: &'static str,
}

const WEIGHTING: &str = "the say of each update";

const STRATEGIES: &[Info] = &[
    Info {
        name: "fedavg",
        summary: "the weighted mean of the updates; exact, order-free sums in the memory of four models",
        options: &[OptionInfo {
            name: "weighting",
            default: "samples",
            choices: "samples | uniform",
            meaning: WEIGHTING,
        }],
        source: "McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017",
    },
    Info {
        name: "principal_gradient",
        summary: "the updates along the directions that matter to most clients (FedLD); holds the round's updates",
        options: &[
            OptionInfo {
                name: "keep",
                default: "0.8",
                choices: "above 0, at most 1",
                meaning: "share of the principal directions that is kept",
            },
            OptionInfo {
                name: "orientation",
                default: "own",
                choices: "own | majority",
                meaning: "which way a direction counts for a client: as released, or as the paper's text has it",
            },
            OptionInfo {
                name: "warmup_rounds",
                default: "1",
                choices: "0 and more",
                meaning: "rounds at the start that use the plain mean",
            },
            OptionInfo { name: "weighting", default: "uniform", choices: "samples | uniform", meaning: WEIGHTING },
            OptionInfo {
                name: "norm",
                default: "as_released",
                choices: "as_released | mean | mean_of_norms",
                meaning: "the length of the step: as the formula has it, of the plain mean, or of the mean length",
            },
            OptionInfo {
                name: "scope",
                default: "block",
                choices: "block | model",
                meaning: "what has directions of its own",
            },
        ],
        source: "Zeng et al., Tackling Data Heterogeneity in Federated Learning via Loss Decomposition, MICCAI 2024",
    },
];

pub(crate) fn run(command: &StrategiesCommand) -> Outcome {
    let StrategiesCommand::List { json } = command;
    if *json {
        out::json(&serde_json::json!({ "version": 1, "strategies": STRATEGIES }));
        return Ok(Exit::Done);
    }
    for info in STRATEGIES {
        out::line(format!(
            "{}\n  {}\n  source: {}\n  in a plan: [aggregate.strategy.{}]",
            info.name, info.summary, info.source, info.name
        ));
        for o in info.options {
            out::line(format!("    {:14} default {:12} {:36} {}", o.name, o.default, o.choices, o.meaning));
        }
        out::line("");
    }
    Ok(Exit::Done)
}
