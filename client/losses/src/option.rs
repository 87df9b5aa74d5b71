//! What the options of losses in several families share.

use burn::tensor::{Tensor, TensorData};

use crate::error::ConfigError;

/// Numbers from a configuration as a tensor, on the device and in the number type of `like`.
pub(crate) fn constants<const D: usize>(like: &Tensor<D>, values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&like.device(), like.dtype()))
}

/// Checks an option with one weight per class. Their number is checked when the number of classes is known.
pub(crate) fn validate_per_class(option: &'static str, weights: Option<&[f64]>) -> Result<(), ConfigError> {
    const ALLOWED: &str = "one finite number of at least 0 for each class, not all 0";
    let Some(weights) = weights else { return Ok(()) };
    if let Some(weight) = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        return Err(ConfigError::new(option, weight, ALLOWED));
    }
    if weights.iter().all(|&weight| weight == 0.0) {
        return Err(ConfigError::new(option, format!("{weights:?}"), ALLOWED));
    }
    Ok(())
}

/// What an option may be: a test and the same in words.
pub(crate) struct Allowed<T> {
    pub(crate) test: fn(&T) -> bool,
    pub(crate) text: &'static str,
}

/// Any value of an option's type, which `text` lists.
pub(crate) const fn any<T>(text: &'static str) -> Allowed<T> {
    Allowed { test: |_| true, text }
}

pub(crate) const POSITIVE: Allowed<f64> =
    Allowed { test: |value| value.is_finite() && *value > 0.0, text: "finite, > 0" };
pub(crate) const NON_NEGATIVE: Allowed<f64> =
    Allowed { test: |value| value.is_finite() && *value >= 0.0, text: "finite, >= 0" };
pub(crate) const NON_POSITIVE: Allowed<f64> =
    Allowed { test: |value| value.is_finite() && *value <= 0.0, text: "finite, <= 0" };
pub(crate) const FINITE: Allowed<f64> = Allowed { test: |value| value.is_finite(), text: "finite" };
/// A share that may be nothing or all.
pub(crate) const SHARE: Allowed<f64> = Allowed { test: |value| (0.0..=1.0).contains(value), text: "[0, 1]" };
/// A share that is not all.
pub(crate) const SHARE_BELOW_ONE: Allowed<f64> = Allowed { test: |value| (0.0..1.0).contains(value), text: "[0, 1)" };
/// A share that is neither nothing nor all.
pub(crate) const INNER_SHARE: Allowed<f64> = Allowed { test: |value| *value > 0.0 && *value < 1.0, text: "(0, 1)" };
/// A rate of an average: it must move.
pub(crate) const RATE: Allowed<f64> = Allowed { test: |value| *value > 0.0 && *value <= 1.0, text: "(0, 1]" };
pub(crate) const AT_LEAST_ONE: Allowed<usize> = Allowed { test: |value| *value >= 1, text: ">= 1" };

/// Defines `NAME` and the `Config` of an objective from one list of its options: fields, defaults, `with_*` methods,
/// listing and checks.
///
/// An option reads `field / with_field: type = default, allowed, "meaning";`, with `=> "json"` after the default where
/// JSON writes it differently from Rust. `also` checks what several options must be together.
macro_rules! objective {
    (
        $name:literal, family: $family:literal, file: $file:literal, role: $role:ident, tasks: [$($task:ident),+],
        remembers: $remembers:ident, cost: $cost:literal,
        options: { $($field:ident / $with:ident: $type:ty = $default:expr $(=> $json:literal)?, $allowed:expr, $meaning:literal;)* }
        $(also: $also:expr)?
    ) => {
        const NAME: &str = $name;

        #[doc = concat!("Options of `", $name, "`. What each may be stands in [`INFO`](crate::Objective::INFO).")]
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[non_exhaustive]
        pub struct Config {
            $(
                #[doc = concat!("`", stringify!($field), "`: ", $meaning, ".")]
                pub $field: $type,
            )*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Config {
            $(
                #[doc = concat!("Sets `", stringify!($field), "`: ", $meaning, ".")]
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }

        impl $crate::info::Objective for Config {
            const INFO: $crate::info::LossInfo = $crate::info::LossInfo {
                name: NAME,
                family: $family,
                role: $crate::info::Role::$role,
                tasks: &[$($crate::info::TaskKind::$task),+],
                options: &[$($crate::info::OptionInfo::new(
                    stringify!($field),
                    $crate::option::objective!(@json $default $(=> $json)?),
                    $crate::option::objective!(@allowed $type, $allowed).text,
                    $meaning,
                ),)*],
                remembers: $crate::info::Remembers::$remembers,
                cost: $cost,
                file: include_str!($file),
            };

            fn validate(self) -> Result<Self, $crate::error::ConfigError> {
                $($crate::option::validate(stringify!($field), &self.$field, &$crate::option::objective!(@allowed $type, $allowed))?;)*
                $(($also)(&self)?;)?
                Ok(self)
            }
        }
    };
    (@json $default:expr => $json:literal) => { $json };
    (@json $default:expr) => { stringify!($default) };
    (@allowed $type:ty, $allowed:expr) => {{
        const ALLOWED: $crate::option::Allowed<$type> = $allowed;
        ALLOWED
    }};
}
pub(crate) use objective;

/// Refuses an option that is not what is allowed.
pub(crate) fn validate<T: std::fmt::Debug>(
    option: &'static str,
    value: &T,
    allowed: &Allowed<T>,
) -> Result<(), ConfigError> {
    if (allowed.test)(value) { Ok(()) } else { Err(ConfigError::new(option, format!("{value:?}"), allowed.text)) }
}
