//! The registry: names, options, errors, and that the listing says what is true.

use serde_json::{Value, json};
use synod_losses::calibration;
use synod_losses::classification::{self, focal};
use synod_losses::contrastive;
use synod_losses::regulariser::{self, margin_control};
use synod_losses::{CATALOGUE, LossConfig, LossError, Objective, Role, TaskKind, density, distillation, regression};

/// Headings that the documentation of every file has, in this order.
const HEADINGS: [&str; 6] = ["Formula", "Shapes", "Range and gradient", "Choices", "Source", "Example"];

#[test]
fn every_entry_is_documented_in_the_same_order() {
    for info in CATALOGUE {
        let docs = info.docs();
        let headings: Vec<&str> = docs.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        // Lines of examples that rustdoc hides begin with "# " as well.
        let headings: Vec<&str> = headings.into_iter().filter(|line| !line.starts_with("Ok::")).collect();
        assert_eq!(headings, HEADINGS, "{}", info.name);
        assert!(info.summary().ends_with('.'), "{}: {}", info.name, info.summary());
        assert!(HEADINGS.iter().all(|heading| !info.section(heading).is_empty()), "{}", info.name);
        assert!(info.docs().contains("```"), "{}", info.name);
        assert!(!info.tasks.is_empty(), "{}", info.name);
    }
    assert!(focal::Config::INFO.formula().contains("(1 - p_t)^gamma"));
    assert!(margin_control::Config::INFO.source().contains("MICCAI"));
    assert_eq!(focal::Config::INFO.section("No such heading"), "");
}

#[test]
fn names_are_unique_and_losses_come_in_the_order_of_the_list() {
    let mut names: Vec<&str> = CATALOGUE.iter().map(|info| info.name).collect();
    let losses: Vec<&str> = CATALOGUE.iter().filter(|info| info.role == Role::Loss).map(|info| info.name).collect();
    assert_eq!(losses, LossConfig::NAMES);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CATALOGUE.len());
    for config in LossConfig::defaults() {
        assert_eq!(config.info().name, config.name());
        assert_eq!(LossConfig::find(config.name()), Some(&config.info()));
        assert!(config.clone().validate().is_ok());
        assert!(config.info().tasks.iter().all(|&task| config.fits(task)));
    }
    assert!(LossConfig::names_for(TaskKind::Classification).starts_with(&["cross_entropy", "focal"]));
    assert_eq!(LossConfig::names_for(TaskKind::MultiLabel)[0], "binary_cross_entropy");
    assert!(LossConfig::names_for(TaskKind::MultiLabel).contains(&"decoupled_softmax"));
    assert!(!LossConfig::names_for(TaskKind::MultiLabel).contains(&"comic_balancer"), "it needs three branches");
    assert_eq!(LossConfig::names_for(TaskKind::Regression)[..4], ["mse", "mae", "huber", "gaussian_nll"]);
}

#[test]
fn listed_options_are_those_of_the_configuration() {
    let check = |name: &str, options: Value| {
        let options = options.as_object().unwrap().clone();
        let info = LossConfig::find(name).unwrap();
        assert_eq!(options.len(), info.options.len(), "{name}");
        for option in info.options {
            let default: Value = serde_json::from_str(option.default).unwrap();
            assert_eq!(options.get(option.name), Some(&default), "{name}.{}", option.name);
        }
    };
    for config in LossConfig::defaults() {
        check(config.name(), serde_json::to_value(config.options()).unwrap());
    }
    check("margin_control", serde_json::to_value(margin_control::Config::default()).unwrap());
    macro_rules! check_terms {
        ($($name:literal: $config:ty,)+) => {
            $(check($name, serde_json::to_value(<$config>::default()).unwrap());)+
        };
    }
    check_terms! {
        "align_gradients": distillation::align_gradients::Config,
        "landmark_assist": distillation::landmark_assist::Config,
        "soft_landmarks": distillation::soft_landmarks::Config,
        "cs_qmi": regression::cauchy_schwarz::cs_qmi::Config,
        "cs_divergence": regression::cauchy_schwarz::cs_divergence::Config,
        "private_responses": regression::aggregate::private_responses::Config,
        "inverse_gap": regression::bandit::inverse_gap::Config,
        "projected_step": regression::bandit::projected_step::Config,
        "soft_levels": regression::quality::soft_levels::Config,
        "map_gradient": regression::maps::map_gradient::Config,
        "reconstruction_score": density::reconstruction_score::Config,
        "mean_shift": density::mean_shift::Config,
        "momentum_update": density::momentum_update::Config,
        "linear_step": classification::linear_step::Config,
        "hyp_pc": classification::hyp_oc::hyp_pc::Config,
        "to_poincare": classification::hyp_oc::to_poincare::Config,
        "pseudo_negative": classification::hyp_oc::pseudo_negative::Config,
        "naive_bayes": classification::naive_bayes::Config,
        "correctness_calibrator": calibration::correctness_calibrator::Config,
        "temperature_scaling": calibration::temperature_scaling::Config,
        "calibration_error": calibration::calibration_error::Config,
        "wgsef": regulariser::wgsef::Config,
        "weight_distribution": regulariser::weight_distribution::Config,
        "signed_measure": regulariser::signed_measure::Config,
        "uniformity": contrastive::uniformity::Config,
        "tolerance": contrastive::tolerance::Config,
        "robust_contrastive": contrastive::robust_contrastive::Config,
        "noise_injection": contrastive::noise_injection::Config,
        "pseudo_label_batches": contrastive::pseudo_label_batches::Config,
        "hard_patches": contrastive::hard_patches::Config,
        "easy_to_hard_mask": contrastive::easy_to_hard_mask::Config,
    }
}

#[test]
fn a_configuration_survives_json_and_toml() {
    for config in crate::support::variants(3) {
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<LossConfig>(&json).unwrap(), config);
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<LossConfig>(&text).unwrap(), config, "{text}");
        let options = serde_json::to_value(config.options()).unwrap();
        assert_eq!(LossConfig::from_name(config.name(), options).unwrap(), config);
    }
}

#[test]
fn toml_takes_the_loss_as_a_table() {
    #[derive(serde::Deserialize)]
    struct Train {
        loss: LossConfig,
    }
    let train: Train = toml::from_str("[loss.focal]\ngamma = 1.5\n").unwrap();
    assert_eq!(train.loss, LossConfig::Focal(focal::Config::default().with_gamma(1.5)));
    let train: Train = toml::from_str("loss = { cross_entropy = {} }").unwrap();
    assert_eq!(train.loss, LossConfig::default());
    assert!(toml::from_str::<Train>("[loss.focal]\ngama = 1.5\n").is_err());
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_first() {
    let error = LossConfig::from_name("crossentropy", json!({})).unwrap_err();
    assert!(matches!(&error, LossError::Unknown { nearest, .. } if nearest[0] == "cross_entropy"), "{error}");
    let error = LossConfig::from_name("fokal", json!({})).unwrap_err();
    let start = "no loss is called `fokal`; known losses, nearest name first: focal, ";
    assert!(error.to_string().starts_with(start), "{error}");
    let error = LossConfig::from_name(&"x".repeat(100_000), json!({})).unwrap_err();
    assert!(error.to_string().len() < 200 + 40 * LossConfig::NAMES.len());
}

#[test]
fn a_term_is_no_loss() {
    assert!(matches!(LossConfig::from_name("margin_control", json!({})), Err(LossError::Unknown { .. })));
}

#[test]
fn wrong_options_are_answered_with_the_known_ones() {
    let error = LossConfig::from_name("focal", json!({ "gama": 2.0 })).unwrap_err();
    assert!(matches!(&error, LossError::Options { name: "focal", .. }));
    assert!(error.to_string().ends_with("it knows gamma, alpha"), "{error}");
    assert!(LossConfig::from_name("focal", json!({ "gamma": "two" })).is_err());
}

#[test]
fn options_out_of_range_are_refused() {
    let refused = |name: &str, options: Value, option: &str| {
        let error = LossConfig::from_name(name, options).unwrap_err();
        assert!(matches!(&error, LossError::Config { source, .. } if source.option == option), "{error}");
    };
    refused("cross_entropy", json!({ "label_smoothing": 1.0 }), "label_smoothing");
    refused("cross_entropy", json!({ "label_smoothing": -0.1 }), "label_smoothing");
    refused("cross_entropy", json!({ "class_weights": [1.0, -1.0] }), "class_weights");
    refused("cross_entropy", json!({ "class_weights": [0.0, 0.0] }), "class_weights");
    refused("cross_entropy", json!({ "class_weights": [] }), "class_weights");
    refused("focal", json!({ "gamma": -1.0 }), "gamma");
    refused("focal", json!({ "alpha": [-1.0] }), "alpha");
    refused("binary_cross_entropy", json!({ "pos_weight": [-1.0] }), "pos_weight");
    refused("huber", json!({ "delta": 0.0 }), "delta");
    refused("gaussian_nll", json!({ "log_variance_min": 31.0 }), "log_variance_min");
    refused("knowledge_distillation", json!({ "temperature": 0.0 }), "temperature");
    refused("knowledge_distillation", json!({ "alpha": 1.5 }), "alpha");
    refused("landmark_kd", json!({ "alpha_mi_tol": 0.1 }), "alpha_mi_tol");
    refused("landmark_kd", json!({ "boundary_fraction": 0.0 }), "boundary_fraction");
    refused("kl_top", json!({ "k": 0 }), "k");
    refused("f_distill", json!({ "ratio_lower": 20.0 }), "ratio_lower");
    refused("f_distill", json!({ "t_min": 1.0 }), "t_min");
    refused("cs_ib", json!({ "beta": -0.1 }), "beta");
    refused("cs_ib", json!({ "sigma": 0.0 }), "sigma");
    refused("aggregate_responses", json!({ "rho": 1.1 }), "rho");
    refused("perturbed_regression", json!({ "width": 0 }), "width");
    refused("apre", json!({ "beta": 0.0 }), "beta");
    refused("meco", json!({ "gamma": 0.0 }), "gamma");
    let error = LossConfig::from_name("focal", json!({ "gamma": -1.0 })).unwrap_err();
    assert_eq!(error.to_string(), "loss `focal` is not configured correctly: `gamma` is -1.0, allowed is finite, >= 0");
    for lambda in [-0.01, f64::NAN, f64::INFINITY] {
        assert!(margin_control::Config::default().with_lambda(lambda).validate().is_err());
    }
    assert!(margin_control::Config::default().with_lambda(0.0).validate().is_ok());
    assert!(focal::Config::default().with_gamma(f64::NAN).validate().is_err());
}
