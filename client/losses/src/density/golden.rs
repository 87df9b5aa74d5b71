//! The family's objectives in golden files.

use super::*;
use crate::golden::{Evaluator, GoldenError, Inputs, Outcome};

/// Names in golden files.
pub(crate) const GOLDEN: &[Evaluator] = &[
    Evaluator::new("apre-mss", "apre", |inputs| {
        let values = apre(inputs.tensor("output")?, inputs.tensor("target")?, &inputs.config()?);
        let values = inputs.at(values)?;
        Outcome::loss(values.clone().mean()).with(inputs, "scores", values)
    }),
    Evaluator::new("apre-mss", "mse_score", |inputs| {
        let values = inputs.at(reconstruction_score(inputs.tensor("recon")?, inputs.tensor("target")?))?;
        Outcome::loss(values.clone().mean()).with(inputs, "scores", values)
    }),
    Evaluator::new("apre-mss", "mean_shift", |inputs| {
        let (data, config) = (rows(inputs, "data")?, inputs.config()?);
        let mut outcome = Outcome::without_loss();
        for (pass, moved) in inputs.at(mean_shift(&data, &config))?.into_iter().enumerate() {
            outcome = outcome.with_values(&format!("pass_{}", pass + 1), moved.values().to_vec());
        }
        if !inputs.has("query") {
            return Ok(outcome);
        }
        let query = inputs.at(mean_shift_queries(&rows(inputs, "query")?, &data, &config))?;
        Ok(outcome.with_values("query_shifted", query.values().to_vec()))
    }),
    Evaluator::new("apre-mss", "mss_score", |inputs| {
        let scoring: apre::Config = inputs.config_without(&["k", "times"])?;
        let shift = inputs.config_without(&["alpha", "beta"])?;
        let targets = mean_shift_queries(&rows(inputs, "query")?, &rows(inputs, "data")?, &shift);
        let targets = inputs.at(targets)?;
        let constants = inputs.tensor::<2>("query")?.detach();
        let (output, shape) = (inputs.tensor("output")?, constants.dims());
        let scored = crate::option::constants(&constants, targets.values()).reshape(shape);
        Outcome::without_loss().with_values("targets", targets.values().to_vec()).with(
            inputs,
            "scores",
            inputs.at(apre(output, scored, &scoring))?,
        )
    }),
    Evaluator::new("meco", "meco_step", |inputs| {
        let config = inputs.config_without(&["first_step"])?;
        let log_u = match inputs.param_or("first_step", false)? {
            true => None,
            false => Some(inputs.scalar("log_u")?),
        };
        let (data, noise, q) = samples(inputs)?;
        let values = inputs.at(meco(data, noise, q, log_u, &config))?;
        Outcome::loss(values.loss).with(inputs, "log_u_new", values.log_u)?.with(inputs, "ratio", values.ratio)?.with(
            inputs,
            "data_term",
            values.data,
        )
    }),
    Evaluator::new("meco", "exact_nll", |inputs| {
        let (data, noise, q) = samples(inputs)?;
        Ok(Outcome::loss(inputs.at(exact_nll(data, noise, q))?))
    }),
    Evaluator::new("meco", "nce", |inputs| {
        let (log_p_data, log_p_noise, log_q_noise) = samples(inputs)?;
        let (log_q_data, log_z) = (inputs.tensor("log_q_data")?, inputs.scalar("log_z")?);
        let given = nce::Inputs { log_p_data, log_q_data, log_p_noise, log_q_noise, log_z };
        Ok(Outcome::loss(inputs.at(nce(given))?))
    }),
    Evaluator::new("meco", "momentum_update", |inputs| {
        let (v, grad, theta) = (inputs.tensor("v")?, inputs.tensor("grad")?, inputs.tensor("theta")?);
        let moved = inputs.at(momentum_update(v, grad, theta, &inputs.config()?))?;
        Outcome::without_loss().with(inputs, "v_new", moved.v)?.with(inputs, "theta_new", moved.theta)
    }),
];

fn rows(inputs: &Inputs<'_>, name: &str) -> Result<mean_shift::Rows, GoldenError> {
    let &[_, features] = inputs.host(name)?.shape.as_slice() else {
        return Err(inputs.error(name, "is not a matrix"));
    };
    inputs.at(mean_shift::Rows::new(inputs.finite(name)?, features))
}

type Vector = burn::tensor::Tensor<1>;

fn samples(inputs: &Inputs<'_>) -> Result<(Vector, Vector, Vector), GoldenError> {
    Ok((inputs.tensor("log_p_data")?, inputs.tensor("log_p_noise")?, inputs.tensor("log_q_noise")?))
}
