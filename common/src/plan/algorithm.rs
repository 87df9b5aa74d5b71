//! `[train.algorithm]`: what a client adds to plain local training so that sites with different data drift apart less.

use serde::Serialize;

use super::reader::Section;

/// The algorithms of a plan. Any number may be named together; each adds one piece to a local step, and without any a
/// client trains as in FedAvg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Algorithms {
    /// A pull towards the received model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fedprox: Option<FedProx>,
    /// Logits calibrated by the site's class counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fedlc: Option<FedLc>,
    /// Distillation of what the received model knows of the classes that are not true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fedntd: Option<FedNtd>,
    /// Steps by the gradient at the worst point nearby.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fedsam: Option<FedSam>,
    /// Features that are kept from correlating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feddecorr: Option<FedDecorr>,
    /// Features near those of the received model, away from those of the site's last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moon: Option<Moon>,
    /// Contrast between two views of a sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isogclr: Option<IsoGclr>,
    /// Control variates at the sites and at the coordinator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaffold: Option<Scaffold>,
    /// A dynamic regulariser at the sites, and its counterpart at the coordinator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feddyn: Option<FedDyn>,
}

/// FedProx (Li et al. 2020): adds `mu / 2 |w - w_global|^2` to the objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FedProx {
    /// Strength of the pull, at least 0; 0 is FedAvg.
    pub mu: f64,
}

/// FedLC (Zhang et al. 2022): subtracts `tau n_c^(-1/4)` from the logit of class `c`, of which the site has `n_c`
/// training samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FedLc {
    /// Strength of the calibration, at least 0; 0 is FedAvg.
    pub tau: f64,
}

/// FedNTD (Lee et al. 2022): adds `beta` times the divergence between received and local model over the classes that
/// are not true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FedNtd {
    /// Weight, at least 0; 0 is FedAvg.
    pub beta: f64,
    /// Temperature, above 0.
    pub tau: f64,
}

/// FedSAM (Qu et al. 2022): the gradient is taken `rho` away in the direction of steepest ascent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FedSam {
    /// Distance, at least 0; 0 is FedAvg.
    pub rho: f64,
    /// Whether distance is relative to the size of each weight, as in ASAM.
    pub adaptive: bool,
    /// Added to that size, above 0.
    pub eta: f64,
}

/// FedDecorr (Shi et al. 2023): adds `beta / d^2` times the squared Frobenius norm of the features' correlations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FedDecorr {
    /// Weight, at least 0; 0 is FedAvg.
    pub beta: f64,
}

/// MOON (Li et al. 2021): adds `mu` times a contrast between the features of three models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moon {
    /// Weight, at least 0; 0 is FedAvg.
    pub mu: f64,
    /// Temperature, above 0.
    pub tau: f64,
}

/// iSogCLR (Qiu et al. 2023): adds `weight` times a contrast between the features of two noisy views of each sample, whose
/// temperature belongs to the sample. What is not here is as in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct IsoGclr {
    /// Weight, at least 0; 0 is FedAvg.
    pub weight: f64,
    /// Standard deviation of the Gaussian noise that makes a view of an input.
    pub noise: f64,
    /// Distance from uniform that negatives may have.
    pub rho: f64,
    /// Step size of temperatures.
    pub eta: f64,
    /// Temperature of samples never seen, between 0.05 and 1.
    pub tau_initial: f64,
}

/// SCAFFOLD (Karimireddy et al. 2020), option II. It has no options: the coordinator's step is `aggregate.server_lr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scaffold {}

/// FedDyn (Acar et al. 2021).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FedDyn {
    /// Strength of the regulariser, above 0.
    pub alpha: f64,
}

impl Algorithms {
    /// Whether none is named: FedAvg.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names in a plan of those that are there.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            ("fedprox", self.fedprox.is_some()),
            ("fedlc", self.fedlc.is_some()),
            ("fedntd", self.fedntd.is_some()),
            ("fedsam", self.fedsam.is_some()),
            ("feddecorr", self.feddecorr.is_some()),
            ("moon", self.moon.is_some()),
            ("isogclr", self.isogclr.is_some()),
            ("scaffold", self.scaffold.is_some()),
            ("feddyn", self.feddyn.is_some()),
        ];
        all.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
    }

    /// How strongly every step is pulled back to the received model: FedProx and FedDyn together.
    #[must_use]
    pub fn pull(&self) -> f64 {
        self.fedprox.map_or(0.0, |fedprox| fedprox.mu) + self.feddyn.map_or(0.0, |feddyn| feddyn.alpha)
    }

    /// Whether sites keep something from one round to the next.
    #[must_use]
    pub fn has_site_state(&self) -> bool {
        self.moon.is_some() || self.scaffold.is_some() || self.feddyn.is_some() || self.isogclr.is_some()
    }

    pub(super) fn read(train: &mut Section<'_, '_>) -> Self {
        let Some(mut s) = train.section("algorithm") else { return Self::default() };
        let algorithms = Self {
            fedprox: options(&mut s, "fedprox", |o| FedProx { mu: weight(o, "mu", 0.01) }),
            fedlc: options(&mut s, "fedlc", |o| FedLc { tau: weight(o, "tau", 1.0) }),
            fedntd: options(&mut s, "fedntd", |o| FedNtd { beta: weight(o, "beta", 1.0), tau: temperature(o, 1.0) }),
            fedsam: options(&mut s, "fedsam", |o| FedSam {
                rho: weight(o, "rho", 0.05),
                adaptive: o.or("adaptive", false),
                eta: o.number("eta", 0.01, 1e-6..=1e3),
            }),
            feddecorr: options(&mut s, "feddecorr", |o| FedDecorr { beta: weight(o, "beta", 0.1) }),
            moon: options(&mut s, "moon", |o| Moon { mu: weight(o, "mu", 1.0), tau: temperature(o, 0.5) }),
            isogclr: options(&mut s, "isogclr", |o| IsoGclr {
                weight: weight(o, "weight", 0.1),
                noise: weight(o, "noise", 0.1),
                rho: o.number("rho", 0.4, -100.0..=100.0),
                eta: o.number("eta", 0.03, 1e-6..=10.0),
                tau_initial: o.number("tau_initial", 0.1, 0.05..=1.0),
            }),
            scaffold: options(&mut s, "scaffold", |_| Scaffold {}),
            feddyn: options(&mut s, "feddyn", |o| FedDyn { alpha: o.number("alpha", 0.01, 1e-6..=1e3) }),
        };
        s.finish();
        algorithms
    }
}

fn options<T>(s: &mut Section<'_, '_>, name: &'static str, read: impl FnOnce(&mut Section<'_, '_>) -> T) -> Option<T> {
    let mut o = s.section(name)?;
    let options = read(&mut o);
    o.finish();
    Some(options)
}

fn weight(o: &mut Section<'_, '_>, key: &'static str, default: f64) -> f64 {
    o.number(key, default, 0.0..=1e6)
}

fn temperature(o: &mut Section<'_, '_>, default: f64) -> f64 {
    o.number("tau", default, 1e-3..=1e3)
}

#[cfg(test)]
mod tests {
    use super::super::{AnyLoss, Plan};

    fn plan(extra: &str) -> Result<Plan, Vec<String>> {
        let text = format!(
            "model = {{ mlp = {{}} }}\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n{extra}"
        );
        Plan::read(&text, &AnyLoss).map_err(|error| error.problems.into_iter().map(|p| p.path).collect())
    }

    #[test]
    fn several_are_named_together_and_read_back() {
        let text = "[train]\nclip_norm = 2.0\nloss_before = true\n[train.algorithm.fedprox]\nmu = 0.5\n[train.algorithm]\nscaffold = {}\nmoon = { tau = 0.2 }\nfedlc = {}\nfedntd = {}\nfedsam = {}\nfeddecorr = {}";
        let plan = plan(text).unwrap();
        let algorithm = plan.train.algorithm;
        assert_eq!(algorithm.names(), ["fedprox", "fedlc", "fedntd", "fedsam", "feddecorr", "moon", "scaffold"]);
        assert_eq!(algorithm.fedprox.map(|o| o.mu), Some(0.5));
        assert_eq!(algorithm.moon.map(|o| (o.mu, o.tau)), Some((1.0, 0.2)));
        assert!(algorithm.has_site_state());
        assert_eq!(Plan::read(&plan.to_toml(), &AnyLoss).unwrap(), plan);
    }

    #[test]
    fn a_plan_without_algorithms_keeps_the_digest_it_had() {
        let text = plan("").unwrap().to_toml();
        for key in ["algorithm", "clip_norm", "loss_before"] {
            assert!(!text.contains(key), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |extra: &str| plan(extra).unwrap_err();
        assert_eq!(refused("[train.algorithm.fedprox]\nmu = -1.0"), ["train.algorithm.fedprox.mu"]);
        assert_eq!(refused("[train.algorithm.fedsam]\neta = 0.0"), ["train.algorithm.fedsam.eta"]);
        assert_eq!(refused("[train.algorithm.fedproxy]"), ["train.algorithm.fedproxy"]);
        assert_eq!(refused("[train.algorithm]\nscaffold = {}\n[train.optimiser.adam]"), ["train.algorithm.scaffold"]);
        assert_eq!(
            refused("[train.algorithm]\nscaffold = {}\n[train.optimiser.sgd]\nmomentum = 0.9"),
            ["train.algorithm.scaffold"]
        );
        assert_eq!(refused("[train.algorithm.feddyn]"), ["train.algorithm.feddyn"]);
        let uniform = "[aggregate.strategy.fedavg]\nweighting = \"uniform\"\n[train.algorithm]\nfeddyn = {}";
        assert!(plan(uniform).is_ok());
        assert_eq!(refused(&format!("{uniform}\nscaffold = {{}}")), ["train.algorithm.feddyn"]);
        let many = "model = { mlp = {} }\n[task.multi_label]\nclasses = 2\n[data]\nsource = { npz = { file = \"x.npz\", shape = [3] } }\n[train.algorithm]\nfedlc = {}\nfedntd = {}";
        let refused = Plan::read(many, &AnyLoss).unwrap_err();
        let paths: Vec<&str> = refused.problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["train.algorithm.fedlc", "train.algorithm.fedntd"]);
        let flat = "model = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n[train.algorithm]\nmoon = {}\nfeddecorr = {}";
        let refused = Plan::read(flat, &AnyLoss).unwrap_err();
        let paths: Vec<&str> = refused.problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["train.algorithm.moon", "train.algorithm.feddecorr"]);
    }
}
