//! What each objective computes from a case's inputs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Array, Case, GoldenError};
use crate::aggregate::{
    Keep, Layout, Orientation, Principal, Shares, fedgh, gram_blocks, principal_coefficients, principal_from_grams,
};

/// Quantities by name.
type Found = BTreeMap<String, Vec<f64>>;

/// Most entries of all inputs of a case.
const ENTRIES_MAX: usize = 1 << 24;

impl Case {
    pub(super) fn principal_gradient(&self) -> Result<Found, GoldenError> {
        let mut params = self.params.clone();
        let keep = take(&mut params, "keep", Value::as_f64, "a number above 0, at most 1")?;
        let orientation =
            match take(&mut params, "orientation", |v| v.as_str().map(str::to_owned), "a text")?.as_deref() {
                None | Some("own") => Orientation::Own,
                Some("majority") => Orientation::Majority,
                Some(other) => return Err(option("orientation", other.into(), "it is `own` or `majority`")),
            };
        refuse_rest(&params)?;
        let mut config = Principal { orientation, ..Principal::default() };
        if let Some(keep) = keep {
            config.keep = Keep::new(keep)?;
        }
        let blocks: Vec<Vec<Vec<f32>>> = (0..)
            .map(|block| format!("block{block}"))
            .take_while(|name| self.inputs.contains_key(name))
            .map(|name| self.rows(&name))
            .collect::<Result<_, _>>()?;
        let sites = blocks.first().ok_or_else(|| array("block0", "is missing"))?.len();
        if blocks.iter().any(|block| block.len() != sites) {
            return Err(array("block0", "has another number of rows than a later block"));
        }
        let updates: Vec<Vec<f32>> = (0..sites)
            .map(|site| blocks.iter().filter_map(|block| block.get(site)).flatten().copied().collect())
            .collect();
        let updates: Vec<&[f32]> = updates.iter().map(Vec::as_slice).collect();
        let layout = Layout::new(blocks.iter().map(|block| block.first().map_or(0, Vec::len)))?;
        let shares = Shares::uniform(sites)?;
        let grams = gram_blocks(&updates, &layout)?;
        let mut out = vec![0.0; layout.parameters()];
        principal_from_grams(&grams, &updates, &layout, &shares, &config, &mut out)?;
        let mut found = Found::new();
        for (block, (range, gram)) in layout.ranges().iter().zip(&grams).enumerate() {
            let aggregate = out.get(range.clone()).unwrap_or_default();
            found.insert(format!("block{block}.aggregate"), wide(aggregate));
            found.insert(format!("block{block}.coefficients"), principal_coefficients(gram, &shares, &config)?);
        }
        Ok(found)
    }

    pub(super) fn fedgh(&self) -> Result<Found, GoldenError> {
        refuse_rest(&self.params)?;
        let (updates, previous) = (self.rows("block")?, self.rows("previous")?.concat());
        let updates: Vec<&[f32]> = updates.iter().map(Vec::as_slice).collect();
        let mut out = vec![0.0; previous.len()];
        fedgh(&updates, &previous, &mut out)?;
        Ok(Found::from([("aggregate".to_owned(), wide(&out))]))
    }

    /// The rows of the matrix `name`; a vector is one row.
    fn rows(&self, name: &str) -> Result<Vec<Vec<f32>>, GoldenError> {
        let value = self.inputs.get(name).ok_or_else(|| array(name, "is missing"))?;
        let Array { shape, data } = serde_json::from_value(value.clone())?;
        let (rows, columns) = match shape.as_slice() {
            [columns] => (1, *columns),
            [rows, columns] => (*rows, *columns),
            _ => return Err(array(name, "is neither a vector nor a matrix")),
        };
        if rows.checked_mul(columns) != Some(data.len()) || data.is_empty() {
            return Err(array(name, "is empty or has a shape that does not match its data"));
        }
        if data.len() > ENTRIES_MAX {
            return Err(array(name, "has more than 16,777,216 entries"));
        }
        Ok(data.chunks(columns).map(|row| row.iter().map(|value| *value as f32).collect()).collect())
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Takes an option out, if it is there and of the right kind.
fn take<T>(
    params: &mut Map<String, Value>,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
    allowed: &'static str,
) -> Result<Option<T>, GoldenError> {
    let Some(value) = params.remove(name) else { return Ok(None) };
    read(&value).map(Some).ok_or_else(|| option(name, value, allowed))
}

fn refuse_rest(params: &Map<String, Value>) -> Result<(), GoldenError> {
    match params.iter().next() {
        Some((name, value)) => Err(option(name, value.clone(), "which the objective does not know")),
        None => Ok(()),
    }
}

fn array(name: &str, problem: &'static str) -> GoldenError {
    GoldenError::Array { array: name.to_owned(), problem }
}

fn option(name: &str, value: Value, allowed: &'static str) -> GoldenError {
    GoldenError::Option { option: name.to_owned(), value, allowed }
}
