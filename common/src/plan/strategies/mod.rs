//! What there is to know about each strategy a plan may name: the one list behind plan names, `synod strategies` and
//! `docs/strategies.md`.

mod list;

use std::fmt::Write as _;

use serde::Serialize;

pub use list::STRATEGIES;

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
    /// Bounds what a few hostile or broken sites can do.
    Robust,
}

impl StrategyFamily {
    /// The name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::ServerOptimiser => "server optimiser",
            Self::Geometry => "geometry",
            Self::Robust => "robust",
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
                let text = if what == "Computes" { format!("`{text}`") } else { text.to_owned() };
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

    const SMALL: &str = "model = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n";

    fn read(aggregate: &str) -> Plan {
        // The strategy that needs another model and one round.
        let small = match aggregate.contains("sum") {
            true => format!("rounds = 1\n{}", SMALL.replace("logistic", "ridge")),
            false => SMALL.to_owned(),
        };
        let text =
            format!("{small}[train]\nloss_before = true\n[aggregate]\n{aggregate}\n[round]\narrival.count.min = 50\n");
        Plan::read(&text, &AnyLoss).unwrap_or_else(|e| panic!("{aggregate}: {e}"))
    }

    #[test]
    fn every_strategy_is_read_by_its_name_and_has_the_options_that_are_told() {
        for info in STRATEGIES {
            // What must be given has a value of its own; the rest has defaults.
            let given = if info.name == "fltrust" { "root = \"site-a\"" } else { "" };
            let plan = read(&format!("strategy = {{ {} = {{ {given} }} }}", info.name));
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
                assert!(told.default == "required" || told.default == value.to_string(), "{}: {name}", info.name);
            }
            for told in info.options.iter().filter(|o| !options.contains_key(o.name)) {
                assert!(told.default.parse::<toml::Value>().is_err(), "{}: {} has a default", info.name, told.name);
            }
        }
    }

    /// `UPDATE_DOCS=1` writes the list anew.
    #[test]
    fn the_document_has_this_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/strategies.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, _) = text.split_once("\n| strategy | family |").unwrap_or((&text, ""));
        let expected = format!("{}\n\n{}", before.trim_end(), StrategyInfo::markdown());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        assert_eq!(text, expected, "run UPDATE_DOCS=1 cargo test -p synod-common the_document");
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
        assert!(with(q).help.unwrap().contains("train.loss_before = true"));
        let few = with("[aggregate]\nstrategy = { bulyan = { hostile = 2 } }\n[round]\nupdates.count.min = 10");
        assert!(few.message.contains("needs 11 updates"), "{}", few.message);
        assert!(
            with(&format!("{q}[train]\nloss_before = true\noptimiser = {{ sgd = {{ lr = 0.0 }} }}"))
                .message
                .contains("lipschitz")
        );
    }
}
