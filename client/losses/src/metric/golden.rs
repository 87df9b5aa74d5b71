//! The family's objectives in golden files.

use burn::tensor::{Int, Tensor};

use super::icnn::{Labelled, icnn};
use super::metrix::contrastive::metrix_contrastive;
use super::metrix::multi_similarity::metrix_multi_similarity;
use super::metrix::proxy_anchor::{self, metrix_proxy_anchor};
use super::metrix::{Mixed, mixed_labels};
use super::pairs::Triples;
use super::{adaptive_triplet, proto_triplet, prototypes, triplet_with_spread};
use crate::check;
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};
use crate::reduce::{Reduction, reduce};

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("susana-distancia", "proto_triplet", of_prototypes),
    Evaluator::new("susana-distancia", "icnn", of_neighbours),
    Evaluator::new("m2fnet-adaptive-triplet", "amt", |inputs| {
        let adapted = inputs.at(adaptive_triplet(&triples(inputs)?, &inputs.config()?))?;
        Outcome::loss(inputs.at(reduce(adapted.values, None, Reduction::Mean))?).with(
            inputs,
            "margins",
            adapted.margins,
        )
    }),
    Evaluator::new("m2fnet-adaptive-triplet", "total", |inputs| {
        let spread = inputs.at(triplet_with_spread(&triples(inputs)?, &inputs.config()?))?;
        Outcome::loss(spread.loss)
            .with(inputs, "triplet", spread.triplet)?
            .with(inputs, "variance", spread.variance)?
            .with(inputs, "covariance", spread.covariance)
    }),
    Evaluator::new("metrix", "contrastive", |inputs| {
        let mixing = Mixing::new(inputs)?;
        let Mixing { embeddings, labels, triplets, mix } = &mixing;
        let config = inputs.config_without(&["mix"])?;
        mixing.outcome(inputs, metrix_contrastive(embeddings, labels, triplets, *mix, &config))
    }),
    Evaluator::new("metrix", "multi_similarity", |inputs| {
        let mixing = Mixing::new(inputs)?;
        let Mixing { embeddings, labels, triplets, mix } = &mixing;
        let config = inputs.config_without(&["mix"])?;
        mixing.outcome(inputs, metrix_multi_similarity(embeddings, labels, triplets, *mix, &config))
    }),
    Evaluator::new("metrix", "proxy_anchor", |inputs| {
        let (embeddings, proxies) = (inputs.tensor::<2>("embeddings")?, inputs.tensor::<2>("proxies")?);
        let labels = inputs.labels("labels", proxies.dims()[0])?;
        let pairs = rows(inputs, "pairs", embeddings.dims()[0])?;
        let given = proxy_anchor::Inputs { embeddings, labels, proxies, pairs };
        let config = inputs.config_without(&["mix"])?;
        parts(inputs, inputs.at(metrix_proxy_anchor(&given, inputs.param("mix")?, &config))?)
    }),
];

fn triples(inputs: &Inputs<'_>) -> Result<Triples, GoldenError> {
    let (anchor, positive) = (inputs.tensor("anchor")?, inputs.tensor("positive")?);
    Ok(Triples { anchor, positive, negative: inputs.tensor("negative")? })
}

fn of_prototypes(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let config = inputs.config_without(&["way"])?;
    let query = inputs.tensor("query")?;
    let means = if inputs.has("support") {
        let way = inputs.param("way")?;
        let labels = inputs.labels("support_labels", way)?;
        inputs.at(prototypes(inputs.tensor("support")?, &labels, way))?
    } else {
        inputs.tensor::<2>("prototypes")?
    };
    let labels = inputs.labels("query_labels", means.dims()[0])?;
    let values = inputs.at(proto_triplet(&query, labels, &means, &config))?;
    Outcome::loss(inputs.at(reduce(values, None, Reduction::Mean))?).with(inputs, "prototypes", means)
}

fn of_neighbours(inputs: &Inputs<'_>) -> Result<Outcome, GoldenError> {
    let labelled = |rows: &str, labels: &str| {
        Ok::<_, GoldenError>(Labelled { rows: inputs.tensor(rows)?, labels: inputs.ints(labels)? })
    };
    let embeddings = labelled("embeddings", "labels")?;
    let targets = if inputs.has("target") { Some(labelled("target", "target_labels")?) } else { None };
    let scored = inputs.at(icnn(embeddings, targets, &inputs.config()?))?;
    let outcome = Outcome::loss(scored.loss)
        .with(inputs, "score", scored.score)?
        .with(inputs, "intra", scored.intra)?
        .with(inputs, "inter", scored.inter)?;
    Ok(outcome.with_value("gamma", scored.gamma))
}

/// What the mixed losses on triplets take.
struct Mixing {
    embeddings: Tensor<2>,
    labels: Tensor<1, Int>,
    triplets: Tensor<2, Int>,
    mix: f64,
}

impl Mixing {
    fn new(inputs: &Inputs<'_>) -> Result<Self, GoldenError> {
        let embeddings = inputs.tensor::<2>("embeddings")?;
        let triplets = rows(inputs, "triplets", embeddings.dims()[0])?;
        Ok(Self { embeddings, labels: inputs.ints("labels")?, triplets, mix: inputs.param("mix")? })
    }

    fn outcome(&self, inputs: &Inputs<'_>, mixed: Result<Mixed, crate::LossError>) -> Result<Outcome, GoldenError> {
        let outcome = parts(inputs, inputs.at(mixed)?)?;
        if self.triplets.dims()[0] == 0 {
            return Ok(outcome.with_values("mixed_labels", Vec::new()));
        }
        let labels = mixed_labels(&self.labels, &self.triplets, self.mix, &self.embeddings);
        outcome.with(inputs, "mixed_labels", labels)
    }
}

fn parts(inputs: &Inputs<'_>, mixed: Mixed) -> Result<Outcome, GoldenError> {
    Outcome::loss(mixed.loss).with(inputs, "clean", mixed.clean)?.with(inputs, "mixed", mixed.mixed)
}

/// Indices of rows of the batch.
fn rows(inputs: &Inputs<'_>, name: &str, batch: usize) -> Result<Tensor<2, Int>, GoldenError> {
    inputs.at(check::labels(&inputs.whole(name)?, batch))?;
    inputs.ints(name)
}
