//! What an update counts for that was trained from an older model.

use serde::Serialize;

use super::reader::{Choice, Section};

/// How much of an update counts that is `t` rounds old (Xie, Koyejo, Gupta: Asynchronous Federated Optimization, 2019,
/// section 5.2). Its delta is taken times [`Staleness::weight`]; its say in the mean stays what it is, as in FedBuff (Nguyen et
/// al., AISTATS 2022, algorithm 1), so that old updates shorten the step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Staleness {
    /// `s(t) = 1`.
    Constant,
    /// `s(t) = (1 + t)^-a`.
    Polynomial {
        /// 0 to 100.
        a: f64,
    },
    /// `s(t) = 1` up to `b` rounds, then `1 / (a (t - b) + 1)`.
    Hinge {
        /// 0 to 1,000,000.
        a: f64,
        /// 0 to 1,000,000.
        b: u32,
    },
}

const STALENESS: &[&str] = &["constant", "polynomial", "hinge"];

impl Staleness {
    /// The weight of a delta that is `t` rounds old, in (0, 1]; exactly 1 for a fresh one.
    #[must_use]
    pub fn weight(self, t: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Polynomial { a } => (1.0 + t as f64).powf(-a),
            Self::Hinge { a, b } => 1.0 / (a * t.saturating_sub(u64::from(b)) as f64 + 1.0),
        }
    }

    pub(super) fn read(s: &mut Section<'_, '_>) -> Self {
        let default = Self::Polynomial { a: 0.5 };
        let Some(choice) = s.choice("staleness") else { return default };
        let mut o = choice.options;
        let staleness = match choice.name.as_str() {
            "constant" => Self::Constant,
            "polynomial" => Self::Polynomial { a: o.number("a", 0.5, 0.0..=100.0) },
            "hinge" => Self::Hinge { a: o.number("a", 10.0, 0.0..=1e6), b: o.number("b", 4, 0..=1_000_000) },
            _ => {
                Choice { options: o, ..choice }.unknown("staleness", STALENESS);
                return default;
            }
        };
        o.finish();
        staleness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_by_hand() {
        let polynomial = Staleness::Polynomial { a: 0.5 };
        assert_eq!([0, 3, 8].map(|t| polynomial.weight(t)), [1.0, 0.5, 1.0 / 3.0]);
        let hinge = Staleness::Hinge { a: 10.0, b: 4 };
        assert_eq!([0, 4, 5, 6].map(|t| hinge.weight(t)), [1.0, 1.0, 1.0 / 11.0, 1.0 / 21.0]);
        assert_eq!(Staleness::Constant.weight(1000), 1.0);
    }
}
