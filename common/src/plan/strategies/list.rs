//! The entries of the list.

use super::{OptionInfo, StrategyFamily, StrategyInfo};

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

const fn scope(default: &'static str) -> OptionInfo {
    OptionInfo {
        name: "scope",
        default,
        range: "block | model",
        meaning: "what has directions of its own: each block, or the whole model",
    }
}

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

const HOSTILE: OptionInfo =
    OptionInfo { name: "hostile", default: "1", range: "0 and more", meaning: "hostile sites to withstand, f" };

const YIN: &str = "Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018";
const BLANCHARD: &str =
    "Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, NeurIPS 2017, section 4";
const REDDI: &str = "Reddi et al., Adaptive Federated Optimization, ICLR 2021, algorithm 2";
const FEDLD: &str =
    "Zeng et al., Tackling Data Heterogeneity in Federated Learning via Loss Decomposition, MICCAI 2024";
const ADAPTIVE_WHEN: &str = "gradients of very different size, such as embeddings and rare words; server_lr is 0.1 unless \
                             set, and should be tuned";
const MOMENTS: &str = "the mean of updates and of their squares: 8 bytes a parameter, twice while a round is committed";

/// Every strategy, family by family. Of robust ones `when` states the largest share of hostile sites.
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
        name: "sum",
        family: StrategyFamily::Mean,
        summary: "the sum of the updates, exact and in no order: the model is a sum over all samples",
        formula: "x <- x + sum_i d_i",
        options: &[],
        state: NOTHING,
        cost: ON_ARRIVAL,
        identities: "the model is the one of the pooled samples, however they are split",
        when: "model = naive_bayes or ridge, which need it, and nothing else takes it",
        source: "Zheng et al., Revisiting Discriminative vs. Generative Classifiers: Theory and Implications, ICML 2023, for \
                 naive Bayes; the addition of sufficient statistics is older than federated learning",
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
                  received model on the training samples of site i",
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
        when: "the worst-off site counts; needs train.loss_before = true, which costs the sites a pass over their samples",
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
            scope("\"block\""),
        ],
        state: NOTHING,
        cost: GRAM,
        identities: "one update comes back as it is",
        when: "label skew, together with margin control",
        source: FEDLD,
    },
    StrategyInfo {
        name: "principal_projection",
        family: StrategyFamily::Geometry,
        summary: "the mean, lengthened along each principal direction the more, the less of the updates it carries",
        formula: "step = (1 + l) argmin_x sum_i p_i (<d_i, x> / |d_i| - |d_i|)^2 + l |x|^2 with l = damping: the mean, its \
                  component along the principal direction j of d_i / |d_i| times (1 + l) / (s_j + l), s_j its eigenvalue, \
                  of all 1",
        options: &[
            OptionInfo {
                name: "damping",
                default: "1.0",
                range: "above 0",
                meaning: "no direction grows by more than (1 + damping) / damping",
            },
            OptionInfo {
                name: "keep",
                default: "1.0",
                range: "above 0, at most 1",
                meaning: "share of the principal directions that is kept",
            },
            weighting("\"samples\""),
            scope("\"model\""),
        ],
        state: NOTHING,
        cost: GRAM,
        identities: "a large damping gives fedavg with the same weighting; one update, or equal ones, come back as they are",
        when: "sites pull in different directions, so that the mean is too short, and nobody has tuned server_lr",
        source: "Synod, coordinator/src/aggregate/principal/projection.rs; after Pierra 1984 and FedExP (Jhunjhunwala et al., \
                 ICLR 2023)",
    },
    StrategyInfo {
        name: "fedgh",
        family: StrategyFamily::Geometry,
        summary: "updates are paired along the direction of past steps, and conflicts in a pair are taken out",
        formula: "sort by <d_i, h>; join first with last, second with last but one, ..., until two are left: in a pair with \
                  <a, b> < 0 a loses its part along b and b its part along a; the sum over m is the step g; h <- 0.99 h + \
                  0.01 g, in the first round h is the mean",
        options: &[scope("\"block\"")],
        state: "h: 4 bytes a parameter, twice while a round is committed",
        cost: GRAM,
        identities: "updates without conflicts give the uniform mean",
        when: "the baseline beside principal_gradient in the comparison of FedLD",
        source: FEDLD,
    },
    StrategyInfo {
        name: "pcgrad",
        family: StrategyFamily::Geometry,
        summary: "each update loses what goes against another, then they are averaged",
        formula: "p_i = d_i; for each other j, the strongest conflict first: if <p_i, d_j> < 0: p_i <- p_i - <p_i, d_j> / \
                  |d_j|^2 d_j; step = the mean of all p_i by shares. The paper draws the order of j at random",
        options: &[weighting("\"uniform\""), scope("\"model\"")],
        state: NOTHING,
        cost: GRAM,
        identities: "updates without conflicts give fedavg with the same weighting",
        when: "sites pull in opposite directions and each should lose as little as possible",
        source: "Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020, algorithm 1",
    },
    StrategyInfo {
        name: "cagrad",
        family: StrategyFamily::Geometry,
        summary: "the direction near the mean that is best for the site that gains least",
        formula: "step = argmax_d min_i <d_i, d> over |d - g| <= c |g| with the mean g = sum_i p_i d_i",
        options: &[
            OptionInfo {
                name: "c",
                default: "0.5",
                range: "0 to below 1",
                meaning: "how far from the mean, in lengths of it",
            },
            weighting("\"uniform\""),
            scope("\"model\""),
        ],
        state: NOTHING,
        cost: GRAM,
        identities: "c = 0 is fedavg with the same weighting; equal updates give 1 + c times the update",
        when: "a minority of sites falls behind under the mean",
        source: "Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS 2021, equation 1",
    },
    StrategyInfo {
        name: "fedmgda_plus",
        family: StrategyFamily::Geometry,
        summary: "a direction that is good for every site, near the sites' weights",
        formula: "n_i = d_i / |d_i|; step = sum_i w_i n_i for the w with sum 1, w_i >= 0 and |w_i - p_i| <= epsilon that make \
                  it shortest; with length = mean_of_norms times sum_i p_i |d_i|",
        options: &[
            OptionInfo {
                name: "epsilon",
                default: "0.1",
                range: "0 to 1",
                meaning: "how far each weight may be from the site's share",
            },
            OptionInfo {
                name: "length",
                default: "\"mean_of_norms\"",
                range: "direction | mean_of_norms",
                meaning: "at most 1 as published, where server_lr gives the length; or the updates' mean length",
            },
            weighting("\"uniform\""),
        ],
        state: NOTHING,
        cost: GRAM,
        identities: "epsilon = 0 is the mean of the directions, epsilon = 1 is MGDA, which goes against no site",
        when: "no site may lose, however small or large its update is",
        source: "Hu et al., Federated Learning Meets Multi-objective Optimization, 2020, algorithm 1",
    },
    StrategyInfo {
        name: "median",
        family: StrategyFamily::Robust,
        summary: "the median of each parameter",
        formula: "step_k = median_i d_i,k; of an even number of updates the mean of the two in the middle",
        options: &[],
        state: NOTHING,
        cost: HELD,
        identities: "up to two updates give the uniform mean",
        when: "withstands fewer than half of the sites; sites with few samples count as much as large ones, and what only a \
               minority learns is lost",
        source: YIN,
    },
    StrategyInfo {
        name: "trimmed_mean",
        family: StrategyFamily::Robust,
        summary: "the mean of each parameter without its smallest and largest values",
        formula: "step_k = the mean of d_1,k .. d_m,k without the floor(trim m) smallest and as many largest",
        options: &[OptionInfo {
            name: "trim",
            default: "0.1",
            range: "0 to below 0.5",
            meaning: "share of the updates cut off at either end",
        }],
        state: NOTHING,
        cost: HELD,
        identities: "trim = 0 is fedavg with weighting = uniform, near 0.5 it is median",
        when: "withstands a share of `trim` of the sites; keeps more of the honest ones than median",
        source: YIN,
    },
    StrategyInfo {
        name: "geometric_median",
        family: StrategyFamily::Robust,
        summary: "the point with the smallest sum of distances to the updates",
        formula: "step = argmin_z sum_i p_i |z - d_i| over the whole model, by smoothed Weiszfeld steps",
        options: &[
            weighting("\"samples\""),
            OptionInfo {
                name: "smoothing",
                default: "0.000001",
                range: "1e-12 to 1e6",
                meaning: "the distance below which nearness counts no more",
            },
            OptionInfo {
                name: "iterations_max",
                default: "1000",
                range: "0 to 100,000",
                meaning: "steps at most; they stop when nothing moves any more",
            },
        ],
        state: NOTHING,
        cost: GRAM,
        identities: "iterations_max = 0, or smoothing above all distances, is fedavg",
        when: "withstands hostile sites with less than half of the weight; cap or even out the weights so that no site has it",
        source: "Pillutla et al., Robust Aggregation for Federated Learning, IEEE Transactions on Signal Processing 2022",
    },
    StrategyInfo {
        name: "norm_clipping",
        family: StrategyFamily::Robust,
        summary: "the mean of updates that are shortened to the median of their norms",
        formula: "step = sum_i p_i d_i min(1, factor median_j |d_j| / |d_i|)",
        options: &[
            weighting("\"samples\""),
            OptionInfo { name: "factor", default: "1.0", range: "1e-6 to 1e6", meaning: "times the median norm" },
        ],
        state: NOTHING,
        cost: HELD,
        identities: "a large factor is fedavg; for a fixed bound set aggregate.clip_norm with any strategy",
        when: "withstands fewer than half of the sites in the sense that each moves the model by no more than an ordinary \
               one; needs no number to be guessed",
        source: "Sun et al., Can You Really Backdoor Federated Learning?, 2019, section 4",
    },
    StrategyInfo {
        name: "krum",
        family: StrategyFamily::Robust,
        summary: "the one update that is nearest to the others",
        formula: "step = the d_i with the smallest sum of |d_i - d_j|^2 over its m - f - 2 nearest d_j",
        options: &[HOSTILE],
        state: NOTHING,
        cost: GRAM,
        identities: "multi_krum with keep = 1",
        when: "withstands f of m sites where m >= 2 f + 3, that is up to (m - 3) / 2; wasteful where sites differ much",
        source: BLANCHARD,
    },
    StrategyInfo {
        name: "multi_krum",
        family: StrategyFamily::Robust,
        summary: "the mean of the updates that are nearest to the others",
        formula: "step = the uniform mean of the `keep` updates with the smallest scores of krum",
        options: &[
            HOSTILE,
            OptionInfo {
                name: "keep",
                default: "updates - f - 2",
                range: "1 to the number of updates",
                meaning: "updates averaged",
            },
        ],
        state: NOTHING,
        cost: GRAM,
        identities: "keep = 1 is krum, keep = m is fedavg with weighting = uniform",
        when: "withstands f of m sites where m >= 2 f + 3 and keep <= m - f - 2",
        source: BLANCHARD,
    },
    StrategyInfo {
        name: "bulyan",
        family: StrategyFamily::Robust,
        summary: "krum chooses whom to hear, then each parameter is averaged near its median",
        formula: "m - 2 f updates are chosen by krum one after the other; step_k = the mean of the m - 4 f chosen values \
                  nearest to their median",
        options: &[HOSTILE],
        state: NOTHING,
        cost: GRAM,
        identities: "hostile = 0 is fedavg with weighting = uniform",
        when: "withstands f of m sites where m >= 4 f + 3, that is up to (m - 3) / 4, and bounds every single parameter",
        source: "El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018, section 4",
    },
    StrategyInfo {
        name: "fltrust",
        family: StrategyFamily::Robust,
        summary: "updates count as far as they agree with that of a trusted site",
        formula: "t_i = max(0, cos(d_i, d_root)); step = sum_i t_i (|d_root| / |d_i|) d_i / sum_i t_i over all sites but the \
                  root",
        options: &[OptionInfo {
            name: "root",
            default: "required",
            range: "a site's name",
            meaning: "the trusted site; its samples are the root data set, its own update is not averaged",
        }],
        state: NOTHING,
        cost: GRAM,
        identities: "sites that all send the root's update give that update",
        when: "withstands any number of hostile sites, m - 1 of m, as long as the root is honest and its few samples are like \
               the others'; a round without the root's update has no result",
        source: "Cao et al., FLTrust: Byzantine-robust Federated Learning via Trust Bootstrapping, NDSS 2021, equations 2 to 4",
    },
];
