//! `[personal]`: models of the sites' own beside the one they share.

use serde::{Deserialize, Serialize};

use super::reader::Section;
use super::train::Model;

/// Most patterns of `blocks`, and most characters of one.
const PATTERNS_MAX: usize = 64;
const PATTERN_CHARS_MAX: usize = 200;
/// Longest personal training, in passes over the samples.
const EPOCHS_MAX: u32 = 10_000;

/// How each site comes to a model of its own. A plan without it has one model for all.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    /// FedBN (Li, Jiang, Zhang, Kamp, Dou 2021): normalisation blocks stay at the site.
    Fedbn,
    /// FedPer (Arivazhagan, Aggarwal, Singh, Choudhary 2019): the head stays at the site and trains with the body.
    Fedper,
    /// FedRep (Collins, Hassani, Mokhtari, Shakkottai 2021): the head stays at the site and trains first, with the body
    /// frozen; then the body trains as `[train]` says, with the head frozen.
    Fedrep {
        /// Passes in which only the head moves. 0 never trains the head.
        head_epochs: u32,
    },
    /// FedPAC (Xu, Tong, Huang 2023): features are aligned with the global centroids of their classes, and each site gets a
    /// head mixed of all sites' heads. The head trains first, with the body frozen, then the body with the head frozen.
    Fedpac {
        /// Weight of the alignment, at least 0; 0 leaves it out.
        lambda: f64,
        /// Passes in which only the head moves.
        head_epochs: u32,
    },
    /// FedBABU (Oh, Kim, Yun 2022): the head keeps its first values in training; sites fine-tune before they measure.
    Fedbabu(FineTune),
    /// Blocks that stay at the site, by name: FedPer with blocks of one's choice.
    Blocks {
        /// Names of blocks, in which `*` stands for any characters.
        keep: Vec<String>,
    },
    /// Sites train the received model a little more before they measure. Training and updates are as without it.
    FineTune(FineTune),
    /// Ditto (Li, Hu, Beirami, Smith 2021): a second model of the site's own, pulled to the shared one.
    Ditto {
        /// Strength of the pull, at least 0; 0 is training alone.
        lambda: f64,
        /// Passes of the personal model in each round.
        epochs: u32,
    },
    /// APFL (Deng, Kamani, Mahdavi 2020): the site answers with `alpha` parts of a model of its own and `1 - alpha` parts
    /// of the shared one, trained as this mixture.
    Apfl {
        /// Part of the site's own model: 0 is the shared model, 1 training alone.
        alpha: f64,
        /// Whether each round begins with a gradient step on `alpha`.
        adapt: bool,
    },
}

/// Training of a received model at a site that is about to measure it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FineTune {
    /// Passes over the site's training samples. 0 leaves the model as received.
    pub epochs: u32,
    /// What moves.
    pub moves: Moves,
}

/// What moves in fine-tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moves {
    /// Every block.
    All,
    /// The last layer.
    Head,
}

/// Some blocks of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockRule {
    /// Weights and biases of normalisation layers.
    Norm,
    /// The last layer.
    Head,
    /// Those whose name fits one of these patterns.
    Named(Vec<String>),
}

impl BlockRule {
    /// Whether `name` fits one of `patterns`, in which `*` stands for any characters, also none.
    #[must_use]
    pub fn fits(patterns: &[String], name: &str) -> bool {
        patterns.iter().any(|pattern| fits(pattern, name))
    }
}

/// Each part between two `*` is taken where it occurs first: if a later place works, the first one does.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = name.split_once(part) else { return false };
        name = after;
    }
    name.ends_with(last)
}

/// Most updates that FedPAC takes in a round: it solves a quadratic programme of so many weights for each, which takes seconds
/// for 128 and grows with the fourth power.
pub const FEDPAC_UPDATES_MAX: usize = 128;

const METHODS: &[&str] = &["fedbn", "fedper", "fedrep", "fedpac", "fedbabu", "blocks", "fine_tune", "ditto", "apfl"];

impl Personal {
    /// The name in a plan.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fedbn => "fedbn",
            Self::Fedper => "fedper",
            Self::Fedrep { .. } => "fedrep",
            Self::Fedpac { .. } => "fedpac",
            Self::Fedbabu(_) => "fedbabu",
            Self::Blocks { .. } => "blocks",
            Self::FineTune(_) => "fine_tune",
            Self::Ditto { .. } => "ditto",
            Self::Apfl { .. } => "apfl",
        }
    }

    /// The blocks that stay at the site: it trains them and sends a delta of 0.
    #[must_use]
    pub fn local_blocks(&self) -> Option<BlockRule> {
        match self {
            Self::Fedbn => Some(BlockRule::Norm),
            Self::Fedper | Self::Fedrep { .. } => Some(BlockRule::Head),
            Self::Blocks { keep } => Some(BlockRule::Named(keep.clone())),
            Self::Fedpac { .. } | Self::Fedbabu(_) | Self::FineTune(_) | Self::Ditto { .. } | Self::Apfl { .. } => None,
        }
    }

    /// Whether there are blocks of the shared model that do not move in training, or begin elsewhere at each site.
    #[must_use]
    pub fn fixes_blocks(&self) -> bool {
        self.local_blocks().is_some() || matches!(self, Self::Fedbabu(_) | Self::Fedpac { .. })
    }

    /// What sites do to a received model before they measure it.
    #[must_use]
    pub fn fine_tune(&self) -> Option<FineTune> {
        match self {
            Self::Fedbabu(tune) | Self::FineTune(tune) => Some(*tune),
            Self::Fedbn
            | Self::Fedper
            | Self::Fedrep { .. }
            | Self::Fedpac { .. }
            | Self::Blocks { .. }
            | Self::Ditto { .. }
            | Self::Apfl { .. } => None,
        }
    }

    /// Whether sites keep something from one round to the next.
    #[must_use]
    pub fn has_site_state(&self) -> bool {
        self.fine_tune().is_none() && !matches!(self, Self::Fedpac { .. })
    }

    /// What the central evaluation does not see, for people.
    #[must_use]
    pub fn central_note(&self) -> &'static str {
        match self {
            Self::Fedbn | Self::Blocks { .. } => {
                "the central evaluation measures the shared model; blocks that stay at sites have their first values in it"
            }
            Self::Fedper | Self::Fedrep { .. } | Self::Fedbabu(_) => {
                "the central evaluation measures the shared model, whose head is not trained; look at the sites' metrics"
            }
            Self::Fedpac { .. } | Self::FineTune(_) | Self::Ditto { .. } | Self::Apfl { .. } => {
                "the central evaluation measures the shared model; the sites' metrics are those of their own models"
            }
        }
    }

    /// Why `model` cannot be made personal this way, if so.
    pub(super) fn unfit(&self, model: &Model) -> Option<&'static str> {
        let head = match self {
            Self::Fedbn if !matches!(model, Model::Resnet8 { .. }) => {
                return Some("keeps normalisation blocks at the site, which this model has none of");
            }
            Self::Fedper | Self::Fedrep { .. } | Self::Fedpac { .. } | Self::Fedbabu(_) => true,
            Self::FineTune(tune) => tune.moves == Moves::Head,
            Self::Fedbn | Self::Blocks { .. } | Self::Ditto { .. } | Self::Apfl { .. } => false,
        };
        (head && !model.has_features()).then_some("tells the head from the body, and this model is one layer only")
    }

    pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Self> {
        let choice = root.choice("personal")?;
        let name = choice.name.clone();
        if !METHODS.contains(&name.as_str()) {
            choice.unknown("personal method", METHODS);
            return None;
        }
        let mut o = choice.options;
        let epochs = |o: &mut Section<'_, '_>, default| o.number("epochs", default, 0..=EPOCHS_MAX);
        let tune = |o: &mut Section<'_, '_>| FineTune { epochs: epochs(o, 5), moves: o.or("moves", Moves::All) };
        let personal = match name.as_str() {
            "fedbn" => Self::Fedbn,
            "fedper" => Self::Fedper,
            "fedrep" => Self::Fedrep { head_epochs: o.number("head_epochs", 5, 0..=EPOCHS_MAX) },
            "fedpac" => Self::Fedpac {
                lambda: o.number("lambda", 1.0, 0.0..=1e6),
                head_epochs: o.number("head_epochs", 1, 0..=EPOCHS_MAX),
            },
            "fedbabu" => Self::Fedbabu(tune(&mut o)),
            "blocks" => {
                let keep: Option<Vec<String>> = o.required("keep", "the names of blocks that stay at the site");
                let keep = keep.unwrap_or_default();
                if keep.len() > PATTERNS_MAX || keep.iter().any(|p| p.chars().count() > PATTERN_CHARS_MAX) {
                    let message =
                        format!("`keep` has at most {PATTERNS_MAX} names of at most {PATTERN_CHARS_MAX} characters");
                    o.problem("keep", message, Some("use * for any characters, like \"stage1.*\""));
                }
                Self::Blocks { keep }
            }
            "fine_tune" => Self::FineTune(tune(&mut o)),
            "ditto" => Self::Ditto { lambda: o.number("lambda", 0.1, 0.0..=1e6), epochs: epochs(&mut o, 1) },
            _ => Self::Apfl { alpha: o.number("alpha", 0.5, 0.0..=1.0), adapt: o.or("adapt", false) },
        };
        o.finish();
        Some(personal)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AnyLoss, Plan};
    use super::*;

    fn plan(model: &str, personal: &str) -> Result<Plan, Vec<(String, String)>> {
        let text = format!(
            "model = {model}\n{personal}\n[task.classification]\nclasses = 10\n[data]\nsource = \"digits\"\n[simulation]\nclients = 2\n"
        );
        Plan::read(&text, &AnyLoss).map_err(|e| e.problems.into_iter().map(|p| (p.path, p.message)).collect())
    }

    #[test]
    fn every_method_is_read_with_its_defaults_and_read_back() {
        for name in METHODS {
            let text = match *name {
                "blocks" => "personal = { blocks = { keep = [\"fc.*\"] } }".to_owned(),
                name => format!("personal = \"{name}\""),
            };
            let plan = plan("\"resnet8\"", &text).unwrap();
            let personal = plan.personal.as_ref().unwrap();
            assert_eq!(personal.name(), *name);
            assert_eq!(Plan::read(&plan.to_toml(), &AnyLoss), Ok(plan.clone()));
        }
        let options = plan("\"cnn\"", "personal = { fedbabu = { epochs = 2, moves = \"head\" } }").unwrap();
        assert_eq!(options.personal, Some(Personal::Fedbabu(FineTune { epochs: 2, moves: Moves::Head })));
        assert!(!plan("\"cnn\"", "").unwrap().to_toml().contains("personal"), "old plans keep their digest");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let refused = |model: &str, text: &str| plan(model, text).unwrap_err().remove(0);
        assert!(refused("\"cnn\"", "personal = \"fedbn\"").1.contains("normalisation"));
        assert!(refused("\"logistic\"", "personal = \"fedper\"").1.contains("one layer"));
        assert!(refused("\"cnn\"", "personal = \"fedprep\"").1.contains("no personal method"));
        assert_eq!(refused("\"cnn\"", "personal = { apfl = { alpha = 1.5 } }").0, "personal.apfl.alpha");
        assert_eq!(refused("\"cnn\"", "personal = { ditto = { lambda = -1.0 } }").0, "personal.ditto.lambda");
        assert!(refused("\"cnn\"", "personal = { blocks = {} }").1.contains("missing"));
        assert!(plan("\"logistic\"", "personal = \"ditto\"").is_ok());
        let pac = "personal = \"fedpac\"\n";
        assert!(
            refused("\"cnn\"", &format!("{pac}train = {{ algorithm = {{ scaffold = {{}} }} }}")).1.contains("scaffold")
        );
        assert!(refused("\"cnn\"", &format!("{pac}round = {{ cohort = 129 }}")).1.contains("129"));
        let many = "model = { mlp = {} }\npersonal = \"fedpac\"\n[task.multi_label]\nclasses = 2\n[data]\nsource = { npz = { file = \"x.npz\", shape = [3] } }\n";
        let refused = Plan::read(many, &AnyLoss).unwrap_err().problems.remove(0);
        assert!(refused.message.contains("centroid for each class"), "{}", refused.message);
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("fc.weight", "fc.weight", true),
            ("fc", "fc.weight", false),
            ("fc.*", "fc.weight", true),
            ("*.norm.*", "stage1.first.norm.bias", true),
            ("*.norm.*", "stage1.first.conv.weight", false),
            ("*bias", "bias", true),
            ("a*b*a", "aba", true),
            ("a*ba", "aba", true),
            ("ab*ba", "aba", false),
            ("*", "", true),
        ] {
            assert_eq!(BlockRule::fits(&[pattern.to_owned()], name), expected, "{pattern} {name}");
        }
        assert!(!BlockRule::fits(&[], "a"));
    }
}
