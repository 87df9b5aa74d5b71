//! The one list of everything in the zoo, and what follows from it.
//!
//! To add a loss, write its file (a `Config` with [`Objective`] and a function), add one line to `losses!` below, and
//! put its golden file into `tests/golden/`. The configuration enum, the names in plans, the listing, the
//! documentation and the tests that run over the whole zoo follow.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::calibration::{calibration_error, correctness_aware, correctness_calibrator, temperature_scaling};
use crate::classification::hyp_oc::{hyp_ce, hyp_pc, pseudo_negative, to_poincare, total as hyp_oc};
use crate::classification::{
    aldr_kl, comp_sum, cross_entropy, ensloss, focal, ldr_kl, linear_step, naive_bayes, smooth_adv_comp_sum, z_loss,
};
use crate::contrastive::{
    amcl_barlow, amcl_simclr, amcl_simsiam, barlow_twins, easy_to_hard_mask, groco, hard_patches, hydra, info_nce,
    isogclr, isogclr_bimodal, masked_reconstruction, mixed_barlow_twins, noise_injection, nt_xent,
    pseudo_label_batches, robust_contrastive, scaled_negatives, simple_contrastive, target_anchored, tolerance,
    uniformity,
};
use crate::density::{apre, exact_nll, mean_shift, meco, momentum_update, nce, reconstruction_score};
use crate::distillation::{
    align_gradients, binary_kl, binary_kl_norm, dual_head, f_distill, f_distill_discriminator, f_divergence,
    group_guidance, kl_top, knowledge_distillation, landmark, landmark_assist, soft_landmarks,
};
use crate::error::LossError;
use crate::info::{LossInfo, Objective, Role, TaskKind};
use crate::metric::metrix;
use crate::metric::{
    adaptive_triplet, contrastive, icnn, multi_similarity, proto_triplet, proxy_anchor, triplet, triplet_with_spread,
};
use crate::multilabel::comic::{balancer, corrector, modifier};
use crate::multilabel::{bce, decoupled_softmax, soft_top_k, softmax};
use crate::regression::aggregate::{aggregate_responses, private_responses};
use crate::regression::bandit::{inverse_gap, perturbed_regression, projected_step};
use crate::regression::cauchy_schwarz::{cs_conditional, cs_divergence, cs_ib, cs_qmi};
use crate::regression::maps::{map_generator, map_gradient};
use crate::regression::quality::{binary_rank, fidelity, quality_score, soft_level_kl, soft_levels};
use crate::regression::{gaussian_nll, huber, mae, mse, object_depth};
use crate::regulariser::{margin_control, signed_measure, weight_distribution, wgsef};
use crate::segmentation::raters::{energy_distance, frechet, pulaski, sinkhorn, soft_ged};
use crate::segmentation::{betti, bev_dice, dice, focal_tversky, mip, tversky};
use crate::state::Remembering;
use crate::unlearning::flat;

macro_rules! losses {
    (
        losses { $($variant:ident($config:ty) = $name:literal,)+ }
        terms { $($term:ty,)* }
    ) => {
        /// A loss and its options, as a plan names them.
        ///
        /// In TOML it is a table with the loss as its only key, in JSON an object: `{"focal": {"gamma": 2.0}}`.
        /// Options left out have the paper's values; unknown options are errors. Deserialising does not look at
        /// ranges: call [`LossConfig::validate`], or build with [`LossConfig::from_name`], which does.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum LossConfig {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant($config),
            )+
        }

        /// Everything in the zoo, in the order of the list.
        pub const CATALOGUE: &[LossInfo] = &[$(<$config as Objective>::INFO,)+ $(<$term as Objective>::INFO,)*];

        impl LossConfig {
            /// Names of all losses (terms are not among them: a plan cannot train on a term alone).
            pub const NAMES: &[&str] = &[$($name,)+];

            /// Every loss of the zoo with the paper's options.
            pub fn defaults() -> Vec<Self> {
                vec![$(Self::$variant(<$config>::default()),)+]
            }

            /// Reads the options of the loss called `name` and checks them.
            ///
            /// # Errors
            /// [`LossError::Unknown`] lists the known names, the nearest first; [`LossError::Options`] if an option is
            /// unknown or of another type; [`LossError::Config`] if one is out of range.
            pub fn from_name<'de, D: Deserializer<'de>>(name: &str, options: D) -> Result<Self, LossError> {
                let config = match name {
                    $($name => <$config>::deserialize(options).map(Self::$variant),)+
                    _ => return Err(unknown(name)),
                };
                let info = Self::find(name);
                config
                    .map_err(|error| LossError::Options {
                        name: info.map_or("", |info| info.name),
                        reason: error.to_string(),
                        options: info.map_or(&[][..], |info| info.options).iter().map(|option| option.name).collect(),
                    })?
                    .validate()
            }

            /// Checks every option.
            ///
            /// # Errors
            /// [`LossError::Config`] names the first option outside its range.
            pub fn validate(self) -> Result<Self, LossError> {
                let name = self.name();
                match self {
                    $(Self::$variant(config) => config.validate().map(Self::$variant),)+
                }
                .map_err(|source| LossError::Config { name, source })
            }

            /// Its name in a plan.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// What the zoo knows about it.
            pub const fn info(&self) -> LossInfo {
                match self {
                    $(Self::$variant(_) => <$config as Objective>::INFO,)+
                }
            }

            /// Its options by themselves, without its name, for anything that serialises.
            pub fn options(&self) -> impl Serialize + '_ {
                LossOptions(self)
            }
        }

        struct LossOptions<'a>(&'a LossConfig);

        impl Serialize for LossOptions<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    $(LossConfig::$variant(config) => config.serialize(serializer),)+
                }
            }
        }
    };
}

losses! {
    losses {
        CrossEntropy(cross_entropy::Config) = "cross_entropy",
        Focal(focal::Config) = "focal",
        CompSum(comp_sum::Config) = "comp_sum",
        SmoothAdvCompSum(smooth_adv_comp_sum::Config) = "smooth_adv_comp_sum",
        ZLoss(z_loss::Config) = "z_loss",
        LdrKl(ldr_kl::Config) = "ldr_kl",
        AldrKl(aldr_kl::Config) = "aldr_kl",
        Ensloss(ensloss::Config) = "ensloss",
        HypCe(hyp_ce::Config) = "hyp_ce",
        HypOc(hyp_oc::Config) = "hyp_oc",
        CorrectnessAware(correctness_aware::Config) = "correctness_aware",
        Flat(flat::Config) = "flat",
        BinaryCrossEntropy(bce::Config) = "binary_cross_entropy",
        ComicModifier(modifier::Config) = "comic_modifier",
        ComicCorrector(corrector::Config) = "comic_corrector",
        DecoupledSoftmax(decoupled_softmax::Config) = "decoupled_softmax",
        MultilabelSoftmax(softmax::Config) = "multilabel_softmax",
        SoftTopK(soft_top_k::Config) = "soft_top_k",
        Contrastive(contrastive::Config) = "contrastive",
        Triplet(triplet::Config) = "triplet",
        MultiSimilarity(multi_similarity::Config) = "multi_similarity",
        ProxyAnchor(proxy_anchor::Config) = "proxy_anchor",
        ProtoTriplet(proto_triplet::Config) = "proto_triplet",
        Icnn(icnn::Config) = "icnn",
        AdaptiveTriplet(adaptive_triplet::Config) = "adaptive_triplet",
        TripletWithSpread(triplet_with_spread::Config) = "triplet_with_spread",
        MetrixContrastive(metrix::contrastive::Config) = "metrix_contrastive",
        MetrixMultiSimilarity(metrix::multi_similarity::Config) = "metrix_multi_similarity",
        MetrixProxyAnchor(metrix::proxy_anchor::Config) = "metrix_proxy_anchor",
        Mse(mse::Config) = "mse",
        Mae(mae::Config) = "mae",
        Huber(huber::Config) = "huber",
        GaussianNll(gaussian_nll::Config) = "gaussian_nll",
        ObjectDepth(object_depth::Config) = "object_depth",
        Dice(dice::Config) = "dice",
        Tversky(tversky::Config) = "tversky",
        FocalTversky(focal_tversky::Config) = "focal_tversky",
        BevDice(bev_dice::Config) = "bev_dice",
        Mip(mip::Config) = "mip",
        EnergyDistance(energy_distance::Config) = "energy_distance",
        Sinkhorn(sinkhorn::Config) = "sinkhorn",
        Frechet(frechet::Config) = "frechet",
        SoftGed(soft_ged::Config) = "soft_ged",
        Pulaski(pulaski::Config) = "pulaski",
        BettiMatching(betti::loss::Config) = "betti_matching",
        DiceBettiMatching(betti::with_dice::Config) = "dice_betti_matching",
        NtXent(nt_xent::Config) = "nt_xent",
        InfoNce(info_nce::Config) = "info_nce",
        SimpleContrastive(simple_contrastive::Config) = "simple_contrastive",
        BarlowTwins(barlow_twins::Config) = "barlow_twins",
        MixedBarlowTwins(mixed_barlow_twins::Config) = "mixed_barlow_twins",
        AmclSimclr(amcl_simclr::Config) = "amcl_simclr",
        AmclSimsiam(amcl_simsiam::Config) = "amcl_simsiam",
        AmclBarlow(amcl_barlow::Config) = "amcl_barlow",
        ScaledNegatives(scaled_negatives::Config) = "scaled_negatives",
        Isogclr(isogclr::Config) = "isogclr",
        IsogclrBimodal(isogclr_bimodal::Config) = "isogclr_bimodal",
        Groco(groco::Config) = "groco",
        TargetAnchored(target_anchored::Config) = "target_anchored",
        Hydra(hydra::Config) = "hydra",
        MaskedReconstruction(masked_reconstruction::Config) = "masked_reconstruction",
        KnowledgeDistillation(knowledge_distillation::Config) = "knowledge_distillation",
        BinaryKl(binary_kl::Config) = "binary_kl",
        BinaryKlNorm(binary_kl_norm::Config) = "binary_kl_norm",
        DualHead(dual_head::Config) = "dual_head",
        LandmarkKd(landmark::Config) = "landmark_kd",
        KlTop(kl_top::Config) = "kl_top",
        FDivergence(f_divergence::Config) = "f_divergence",
        FDistill(f_distill::Config) = "f_distill",
        FDistillDiscriminator(f_distill_discriminator::Config) = "f_distill_discriminator",
        GroupGuidance(group_guidance::Config) = "group_guidance",
        CsConditional(cs_conditional::Config) = "cs_conditional",
        CsIb(cs_ib::Config) = "cs_ib",
        AggregateResponses(aggregate_responses::Config) = "aggregate_responses",
        PerturbedRegression(perturbed_regression::Config) = "perturbed_regression",
        SoftLevelKl(soft_level_kl::Config) = "soft_level_kl",
        Fidelity(fidelity::Config) = "fidelity",
        BinaryRank(binary_rank::Config) = "binary_rank",
        QualityScore(quality_score::Config) = "quality_score",
        MapGenerator(map_generator::Config) = "map_generator",
        Apre(apre::Config) = "apre",
        Meco(meco::Config) = "meco",
        ExactNll(exact_nll::Config) = "exact_nll",
        Nce(nce::Config) = "nce",
    }
    terms {
        linear_step::Config,
        hyp_pc::Config,
        to_poincare::Config,
        pseudo_negative::Config,
        naive_bayes::Config,
        correctness_calibrator::Config,
        temperature_scaling::Config,
        calibration_error::Config,
        margin_control::Config,
        uniformity::Config,
        tolerance::Config,
        robust_contrastive::Config,
        noise_injection::Config,
        pseudo_label_batches::Config,
        hard_patches::Config,
        easy_to_hard_mask::Config,
        wgsef::Config,
        weight_distribution::Config,
        signed_measure::Config,
        align_gradients::Config,
        landmark_assist::Config,
        soft_landmarks::Config,
        cs_qmi::Config,
        cs_divergence::Config,
        private_responses::Config,
        inverse_gap::Config,
        projected_step::Config,
        soft_levels::Config,
        map_gradient::Config,
        reconstruction_score::Config,
        mean_shift::Config,
        momentum_update::Config,
        balancer::Config,
        betti::error::Config,
    }
}

impl LossConfig {
    /// Whether it can be used for `task`.
    pub fn fits(&self, task: TaskKind) -> bool {
        self.info().fits(task)
    }

    /// That it cannot be used for `task`, with the losses that can.
    pub fn unfit(&self, task: TaskKind) -> LossError {
        LossError::Unfit { name: self.name(), wanted: task.inputs(), others: Self::names_for(task) }
    }

    /// The loss as one that remembers from step to step, if it does: then training must go through
    /// [`Remembering::objective`]. Without memory every sample counts as one seen for the first time.
    pub fn remembering(&self) -> Option<&dyn Remembering> {
        match self {
            Self::AldrKl(config) => Some(config),
            Self::ComicModifier(config) => Some(config),
            Self::ComicCorrector(config) => Some(config),
            _ => None,
        }
    }

    /// What the zoo knows about the loss or term called `name`.
    pub fn find(name: &str) -> Option<&'static LossInfo> {
        CATALOGUE.iter().find(|info| info.name == name)
    }

    /// Names of the losses that can be used for `task`.
    pub fn names_for(task: TaskKind) -> Vec<&'static str> {
        let fitting = CATALOGUE.iter().filter(|info| info.role == Role::Loss && info.fits(task));
        fitting.map(|info| info.name).collect()
    }
}

impl Default for LossConfig {
    /// Plain cross-entropy.
    fn default() -> Self {
        Self::CrossEntropy(cross_entropy::Config::default())
    }
}

/// All names, nearest to what was asked for first.
fn unknown(name: &str) -> LossError {
    // A name from outside may be of any length; beyond this it resembles nothing, and the distance costs its length.
    let asked: String = name.chars().take(NAME_CHARS_MAX).collect();
    let mut nearest = LossConfig::NAMES.to_vec();
    nearest.sort_by_key(|known| strsim::damerau_levenshtein(&asked, known));
    LossError::Unknown { name: asked, nearest }
}

const NAME_CHARS_MAX: usize = 64;
