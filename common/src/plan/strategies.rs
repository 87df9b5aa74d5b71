//! What there is to know about each strategy a plan may name: the one list behind plan names, `synod strategies` and
//! `docs/strategies.md`.

use std::fmt::Write as _;

use serde::Serialize;

/// What kind of rule a strategy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyFamily {
    /// A mean, with one weight or another.
    Mean,
    /// The mean with an optimiser at the coordinator.
    ServerOptimiser,
    /// Follows the directions that updates share.
    Geometry,
}

impl StrategyFamily {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::ServerOptimiser => "server optimiser",
            Self::Geometry => "geometry",
        }
    }
}

/// One option of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OptionInfo {
    /// Its key.
    pub name: &'static str,
    /// Its value where the plan has none, as TOML; for an option without such a value, what stands in for it.
    pub default: &'static str,
    /// What it may be.
    pub range: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// One strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StrategyInfo {
    /// The name in a plan.
    pub name: &'static str,
    /// What kind of rule it is.
    pub family: StrategyFamily,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What it computes: `d_i` is the update of site i, `p_i` its share, `m` the number of updates, `x` the model.
    pub formula: &'static str,
    /// Its options.
    pub options: &'static [OptionInfo],
    /// What is remembered from round to round.
    pub state: &'static str,
    /// What the coordinator holds and does in a round.
    pub cost: &'static str,
    /// What setting turns it into which other rule.
    pub identities: &'static str,
    /// When to use it, and what it needs.
    pub when: &'static str,
    /// Where it is from.
    pub source: &'static str,
}

const NOTHING: &str = "nothing";
const ON_ARRIVAL: &str = "16 bytes a parameter and at most 4 updates, however many arrive; one pass over each";
const HELD: &str = "the round's updates; one pass over them";
const GRAM: &str = "the round's updates and 8 bytes for each pair and block; two passes, the first on arrival";

const fn weighting(default: &'static str) -> OptionInfo {
    OptionInfo {
        name: "weighting",
        default,
        range: "samples | uniform | { capped = N }",
        meaning: "the say of each update: its samples, one each, or its samples of which at most N count",
    }
}

const SCOPE: OptionInfo = OptionInfo {
    name: "scope",
    default: "\"block\"",
    range: "block | model",
    meaning: "what has directions of its own: each block, or the whole model",
};

const fn beta1(default: &'static str) -> OptionInfo {
    OptionInfo { name: "beta1", default, range: "0 to below 1", meaning: "decay of the mean of updates" }
}

const BETA2: OptionInfo =
    OptionInfo { name: "beta2", default: "0.99", range: "0 to below 1", meaning: "decay of the mean of squares" };

const TAU: OptionInfo = OptionInfo {
    name: "tau",
    default: "0.001",
    range: "1e-12 to 1",
    meaning: "keeps the divisor above 0; a large one makes all parameters move alike",
};

const REDDI: &str = "Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2";
const FEDLD: &str =
    "Zeng et al., Tackling Data Heterogeneity in Federated Learning via Loss Decomposition, MICCAI 2024";
const ADAPTIVE_WHEN: &str = "gradients of very different size, such as embeddings and rare words; server_lr is 0.1 unless \
                             set, and should be tuned";
const MOMENTS: &str = "the mean of updates and of their squares: 8 bytes a parameter, twice while a round is committed";

/// Every strategy, in the order of the families.
pub const STRATEGIES: &[StrategyInfo] = &[
    StrategyInfo {
        name: "fedavg",
        family: StrategyFamily::Mean,
        summary: "the weighted mean of the updates",
        formula: "x <- x + server_lr * sum_i p_i d_i",
        options: &[weighting("\"samples\"")],
        state: NOTHING,
        cost: ON_ARRIVAL,
        identities: "weighting = { capped = 1 } is uniform",
        when: "first; everything else is compared with it",
        source: "McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017",
    },
    StrategyInfo {
        name: "fednova",
        family: StrategyFamily::Mean,
        summary: "the mean of updates per local step, so that sites that do more steps do not pull the model their way",
        formula: "x <- x + server_lr * t_eff * sum_i p_i d_i / a_i, t_eff = sum_i p_i a_i; with t_i local steps of \
                  momentum r: a_i = (t_i - r (1 - r^t_i) / (1 - r)) / (1 - r), which is t_i for r = 0",
        options: &[weighting("\"samples\"")],
        state: NOTHING,
        cost: HELD,
        identities: "equal numbers of local steps are fedavg",
        when: "epochs over sites of very different size; needs train.optimiser = sgd; a site that did no step counts with nothing",
        source: "Wang et al., Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization, \
                 NeurIPS 2020, equation 7 and section 4.2",
    },
    StrategyInfo {
        name: "qfedavg",
        family: StrategyFamily::Mean,
        summary: "sites where the model does badly have a larger say",
        formula: "x <- x + server_lr * sum_i F_i^q d_i / sum_i (F_i^q + q F_i^(q-1) L |d_i|^2), F_i the loss of the \
                  received model at site i",
        options: &[
            OptionInfo {
                name: "q",
                default: "0.2",
                range: "0 to 100",
                meaning: "how much fairness; the paper uses 0.001 to 5",
            },
            OptionInfo {
                name: "lipschitz",
                default: "1 / the local learning rate",
                range: "1e-9 to 1e9",
                meaning: "L, the bound on the gradient's slope",
            },
        ],
        state: NOTHING,
        cost: HELD,
        identities: "q = 0 is fedavg with weighting = uniform",
        when: "the worst-off site counts; needs losses of the received model: data.holdout (or test rows at the sites) and \
               evaluate.site_every = 1",
        source: "Li et al., Fair Resource Allocation in Federated Learning, ICLR 2020, algorithm 2",
    },
    StrategyInfo {
        name: "fedavgm",
        family: StrategyFamily::ServerOptimiser,
        summary: "the mean with momentum at the coordinator",
        formula: "v <- momentum v + sum_i p_i d_i; x <- x + server_lr v",
        options: &[
            OptionInfo {
                name: "momentum",
                default: "0.9",
                range: "0 to below 1",
                meaning: "share of the last step that is kept",
            },
            weighting("\"samples\""),
        ],
        state: "v: 4 bytes a parameter, twice while a round is committed",
        cost: ON_ARRIVAL,
        identities: "momentum = 0 is fedavg",
        when: "small cohorts, where one round's mean swings; the step grows to 1 / (1 - momentum) times the mean, lower \
               server_lr with it",
        source: "Hsu et al., Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification, 2019",
    },
    StrategyInfo {
        name: "fedadagrad",
        family: StrategyFamily::ServerOptimiser,
        summary: "the mean with Adagrad at the coordinator",
        formula: "d = sum_i p_i d_i; m <- beta1 m + (1 - beta1) d; v <- v + d^2; x <- x + server_lr m / (sqrt(v) + tau); \
                  v begins at tau^2",
        options: &[beta1("0.0"), TAU, weighting("\"samples\"")],
        state: MOMENTS,
        cost: ON_ARRIVAL,
        identities: "a large tau with server_lr = tau comes near fedavg with beta1 = 0",
        when: ADAPTIVE_WHEN,
        source: REDDI,
    },
    StrategyInfo {
        name: "fedadam",
        family: StrategyFamily::ServerOptimiser,
        summary: "the mean with Adam at the coordinator",
        formula: "d = sum_i p_i d_i; m <- beta1 m + (1 - beta1) d; v <- beta2 v + (1 - beta2) d^2; \
                  x <- x + server_lr m / (sqrt(v) + tau); v begins at tau^2, nothing is corrected for the beginning",
        options: &[beta1("0.9"), BETA2, TAU, weighting("\"samples\"")],
        state: MOMENTS,
        cost: ON_ARRIVAL,
        identities: "a large tau with server_lr = tau comes near fedavg with beta1 = 0",
        when: ADAPTIVE_WHEN,
        source: REDDI,
    },
    StrategyInfo {
        name: "fedyogi",
        family: StrategyFamily::ServerOptimiser,
        summary: "the mean with Yogi at the coordinator: as Adam, but the mean of squares moves by small steps only",
        formula: "d = sum_i p_i d_i; m <- beta1 m + (1 - beta1) d; v <- v - (1 - beta2) d^2 sign(v - d^2); \
                  x <- x + server_lr m / (sqrt(v) + tau); v begins at tau^2",
        options: &[beta1("0.9"), BETA2, TAU, weighting("\"samples\"")],
        state: MOMENTS,
        cost: ON_ARRIVAL,
        identities: "beta2 = 0 is fedadam with beta2 = 0 where d^2 < v",
        when: ADAPTIVE_WHEN,
        source: REDDI,
    },
    StrategyInfo {
        name: "principal_gradient",
        family: StrategyFamily::Geometry,
        summary: "the updates along the directions that matter to most sites (FedLD)",
        formula: "the first directions of the Gram matrix of the updates per block, until `keep` of them are there; each \
                  with the sign and length that the sites' updates have along it",
        options: &[
            OptionInfo {
                name: "keep",
                default: "0.8",
                range: "above 0, at most 1",
                meaning: "share of the principal directions that is kept",
            },
            OptionInfo {
                name: "orientation",
                default: "\"own\"",
                range: "own | majority",
                meaning: "which way a direction counts for a client: as released, or as the paper's text has it",
            },
            OptionInfo {
                name: "warmup_rounds",
                default: "1",
                range: "0 and more",
                meaning: "rounds at the start that use the plain mean",
            },
            weighting("\"uniform\""),
            OptionInfo {
                name: "norm",
                default: "\"as_released\"",
                range: "as_released | mean | mean_of_norms",
                meaning: "the length of the step: as the formula has it, of the plain mean, or of the mean length",
            },
            SCOPE,
        ],
        state: NOTHING,
        cost: GRAM,
        identities: "one update comes back as it is",
        when: "label skew, together with margin control",
        source: FEDLD,
    },
    StrategyInfo {
        name: "fedgh",
        family: StrategyFamily::Geometry,
        summary: "updates are paired along the direction of past steps, and conflicts in a pair are taken out",
        formula: "sort by <d_i, h>; join first with last, second with last but one, ..., until two are left: in a pair with \
                  <a, b> < 0 a loses its part along b and b its part along a; the sum over m is the step g; h <- 0.99 h + \
                  0.01 g, in the first round h is the mean",
        options: &[SCOPE],
        state: "h: 4 bytes a parameter, twice while a round is committed",
        cost: GRAM,
        identities: "updates without conflicts give the uniform mean",
        when: "the baseline beside principal_gradient in the comparison of FedLD",
        source: FEDLD,
    },
];

impl StrategyInfo {
    /// The entry of the strategy `name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        STRATEGIES.iter().find(|info| info.name == name)
    }

    /// The table of all strategies and one chapter for each, in Markdown, for `docs/strategies.md`.
    #[must_use]
    pub fn markdown() -> String {
        let mut out = String::from("| strategy | family | what it does | remembers |\n|---|---|---|---|\n");
        for info in STRATEGIES {
            let state = info.state.split(':').next().unwrap_or_default();
            let _ = writeln!(out, "| `{}` | {} | {} | {state} |", info.name, info.family.name(), info.summary);
        }
        for info in STRATEGIES {
            let _ = write!(out, "\n### `{}`\n\n", info.name);
            for (what, text) in info.facts() {
                let _ = writeln!(out, "- **{what}**: {text}");
            }
            if !info.options.is_empty() {
                let _ = writeln!(out, "\n| option | default | range | meaning |\n|---|---|---|---|");
                for o in info.options {
                    let cells = [o.default, o.range, o.meaning].map(|cell| cell.replace('|', "\\|"));
                    let _ = writeln!(out, "| `{}` | {} |", o.name, cells.join(" | "));
                }
            }
        }
        out
    }

    /// Everything but the options, as pairs of a heading and a text.
    #[must_use]
    pub fn facts(&self) -> [(&'static str, &'static str); 7] {
        [
            ("Computes", self.formula),
            ("Remembers", self.state),
            ("Costs", self.cost),
            ("Becomes", self.identities),
            ("Use", self.when),
            ("Family", self.family.name()),
            ("Source", self.source),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AnyLoss, Plan};
    use super::*;

    const SMALL: &str =
        "model = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\nholdout = 0.1\n";

    fn read(aggregate: &str) -> Plan {
        let text = format!("{SMALL}[aggregate]\n{aggregate}\n[round]\nsites_min = 50\n");
        Plan::read(&text, &AnyLoss).unwrap_or_else(|e| panic!("{aggregate}: {e}"))
    }

    #[test]
    fn every_strategy_is_read_by_its_name_and_has_the_options_that_are_told() {
        for info in STRATEGIES {
            let plan = read(&format!("strategy = \"{}\"", info.name));
            assert_eq!(plan.aggregate.name(), info.name);
            let canonical: toml::Table = plan.to_toml().parse().unwrap();
            let of = |key: &str| {
                let choice =
                    canonical["aggregate"].get(key).and_then(toml::Value::as_table).cloned().unwrap_or_default();
                choice.into_iter().flat_map(|(_, options)| options.as_table().cloned().unwrap_or_default())
            };
            let options: toml::Table = of("strategy").chain(of("server")).collect();
            for (name, value) in &options {
                let told =
                    info.options.iter().find(|o| o.name == name).unwrap_or_else(|| panic!("{}: {name}", info.name));
                assert_eq!(told.default, value.to_string(), "{}: {name}", info.name);
            }
            for told in info.options.iter().filter(|o| !options.contains_key(o.name)) {
                assert!(told.default.parse::<toml::Value>().is_err(), "{}: {} has a default", info.name, told.name);
            }
        }
    }

    #[test]
    fn options_of_strategies_are_read_and_checked() {
        let plan = read("strategy = { fedavg = { weighting = { capped = 40 } } }\nclip_norm = 2.5\nserver = \"yogi\"");
        assert_eq!((plan.aggregate.name(), plan.aggregate.clip_norm), ("fedyogi".to_owned(), Some(2.5)));
        assert_eq!(Plan::read(&plan.to_toml(), &AnyLoss), Ok(plan));
        let plan = read("strategy = \"fednova\"\nserver = { sgd = { momentum = 0.5 } }");
        assert_eq!((plan.aggregate.name(), plan.aggregate.server_lr), ("fednova + sgd".to_owned(), 1.0));
        assert_eq!(read("strategy = \"fedadam\"").digest(), read("server = \"adam\"").digest());
        assert_eq!(read("strategy = \"fedadam\"\nserver_lr = 1.0").aggregate.server_lr, 1.0);
    }

    #[test]
    fn what_cannot_work_is_refused_with_help() {
        let refused = |text: &str| Plan::read(text, &AnyLoss).unwrap_err().problems.remove(0);
        let with = |rest: &str| refused(&format!("{SMALL}{rest}"));
        assert!(with("[aggregate]\nstrategy = \"fedadm\"").help.unwrap().contains("`fedadam`"));
        assert!(with("[aggregate]\nstrategy = \"fedadam\"\nserver = \"sgd\"").message.contains("already"));
        assert!(with("[aggregate]\nserver = \"adamw\"").message.contains("no server"));
        assert!(with("[aggregate.strategy.fedavg.weighting]\ncapped = 0").path.contains("weighting"));
        assert!(with("[train]\noptimiser = \"adam\"\n[aggregate]\nstrategy = \"fednova\"").message.contains("sgd"));
        let q = "[aggregate]\nstrategy = \"qfedavg\"\n";
        assert!(with(&format!("{q}[evaluate]\nsite_every = 2")).message.contains("site_every"));
        assert!(refused(&format!("{}{q}", SMALL.replace("0.1", "0.0"))).message.contains("held out"));
        assert!(with(&format!("{q}[train.optimiser.sgd]\nlr = 0.0")).message.contains("lipschitz"));
    }
}
