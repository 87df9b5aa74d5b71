//! The samples of one site, real or simulated: what it trains on and what it measures models on.

use std::sync::Arc;

use synod_common::ids::{ClientId, RoundId};
use synod_common::plan::{Fit, Normalise, Plan};
use synod_common::random::{Purpose, stream};

use super::dataset::Dataset;
use super::error::DataError;
use super::normalise::{Normaliser, check_rows};
use super::share::{Rows, Share};
use super::split::split_off;

/// The samples of one site.
#[derive(Clone, Debug)]
pub struct SiteData {
    /// To train on; never empty.
    pub train: Share,
    /// To measure models on: held-out samples, or the site's own test samples.
    pub holdout: Option<Share>,
}

impl SiteData {
    /// Prepares the site `client`, which owns the samples `rows` of `dataset`.
    ///
    /// Test samples that the data itself marks for this site (`own_test`) are what models are measured on; otherwise the
    /// plan's share is held out, drawn from the site's own stream and stratified by class (of several labels, by the first). A normalisation fitted per
    /// site is fitted on the training samples alone; `pooled` is the one fitted on all sites', where the plan asks for
    /// that.
    ///
    /// # Errors
    /// When the site has no sample, a row is outside its data set, or the plan wants a pooled normalisation and none is
    /// given.
    pub fn for_site(
        plan: &Plan,
        client: ClientId,
        dataset: Arc<Dataset>,
        mut rows: Vec<u32>,
        own_test: Option<Rows>,
        pooled: Option<&Arc<Normaliser>>,
    ) -> Result<Self, DataError> {
        if rows.is_empty() {
            return Err(DataError::EmptySite { client });
        }
        check_rows(&dataset, &rows)?;
        rows.sort_unstable();
        let own_test = own_test.filter(|test| !test.rows.is_empty());
        let (train, holdout) = match own_test {
            Some(test) => (rows, Some(test)),
            None => {
                let mut rng = stream(plan.seed, RoundId(0), client, Purpose::Holdout);
                let groups = dataset.groups();
                let split = split_off(&rows, plan.data.holdout, |row| u64::from(groups[row as usize]), &mut rng);
                let taken = Rows { dataset: Arc::clone(&dataset), rows: split.taken };
                (split.kept, Some(taken).filter(|taken| !taken.rows.is_empty()))
            }
        };
        let normaliser = match (&plan.data.normalise, pooled) {
            (Normalise::Standard { fit: Fit::Pooled }, None) => return Err(DataError::NotPooled),
            (Normalise::Standard { fit: Fit::Pooled }, Some(pooled)) if dataset.has_missing() => {
                Arc::new(pooled.with_fill_of(&dataset, &train)?)
            }
            (Normalise::Standard { fit: Fit::Pooled }, Some(pooled)) => Arc::clone(pooled),
            _ => Arc::new(Normaliser::fit(plan, &dataset, &train)?),
        };
        let holdout = holdout.map(|held| Share::new(held.dataset, held.rows, Arc::clone(&normaliser))).transpose()?;
        Ok(Self { train: Share::new(dataset, train, normaliser)?, holdout })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Inputs;
    use crate::data::testing::plan;

    const DATA: &str =
        "[data]\nholdout = 0.25\n[data.source.npz]\nfile = \"x\"\nshape = [1]\n[data.normalise.standard]\n";

    fn dataset(labels: &[u32]) -> Arc<Dataset> {
        let inputs = Inputs::F32((0..labels.len()).map(|v| v as f32).collect());
        Arc::new(Dataset::new(inputs, labels.to_vec(), vec![1]).unwrap())
    }

    fn client(byte: u8) -> ClientId {
        ClientId([byte; 16])
    }

    #[test]
    fn the_holdout_is_the_site_s_own_draw_and_small_classes_stay() {
        let data = dataset(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2]);
        let plan = plan(3, DATA);
        let make =
            |c: u8, rows: Vec<u32>| SiteData::for_site(&plan, client(c), Arc::clone(&data), rows, None, None).unwrap();
        let site = make(1, data.all_rows());
        let holdout = site.holdout.clone().unwrap();
        assert_eq!(holdout.class_counts(3), [2, 1, 0]);
        assert_eq!(site.train.class_counts(3), [6, 3, 1]);
        let again = make(1, data.all_rows().into_iter().rev().collect());
        assert_eq!(again.train.rows(), site.train.rows());
        assert!((2..9).any(|c| make(c, data.all_rows()).train.rows() != site.train.rows()));
        // One sample stays for training.
        let one = make(1, vec![12]);
        assert_eq!((one.train.len(), one.holdout.is_none()), (1, true));
    }

    #[test]
    fn a_holdout_of_nothing_is_none() {
        let data = dataset(&[0, 0, 0, 0]);
        let plan = plan(2, &DATA.replace("0.25", "0"));
        let site = SiteData::for_site(&plan, client(1), Arc::clone(&data), data.all_rows(), None, None).unwrap();
        assert!(site.holdout.is_none());
        assert_eq!(site.train.len(), 4);
    }

    #[test]
    fn own_test_samples_are_the_holdout_under_the_training_samples_normalisation() {
        let (data, test) = (dataset(&[0, 0, 0]), dataset(&[1, 1]));
        let own = Some(Rows { dataset: test, rows: vec![1] });
        let site =
            SiteData::for_site(&plan(2, DATA), client(1), Arc::clone(&data), data.all_rows(), own, None).unwrap();
        assert_eq!(site.train.len(), 3);
        let (mut inputs, mut labels) = (Vec::new(), Vec::new());
        site.holdout.unwrap().gather(&[0], &mut inputs, &mut labels);
        // The training samples 0, 1, 2 have the mean 1 and the deviation 1; the test sample is 1.
        assert_eq!((inputs, labels), (vec![0.0], vec![1]));
    }

    #[test]
    fn an_empty_site_and_a_missing_pooled_fit_are_refused() {
        let data = dataset(&[0, 1]);
        let make = |plan: &Plan, rows: Vec<u32>, pooled: Option<&Arc<Normaliser>>| {
            SiteData::for_site(plan, client(1), Arc::clone(&data), rows, None, pooled)
        };
        assert!(matches!(make(&plan(2, DATA), vec![], None), Err(DataError::EmptySite { .. })));
        assert!(matches!(make(&plan(2, DATA), vec![2], None), Err(DataError::Parts { .. })));
        let pooled = plan(2, &format!("{DATA}fit = \"pooled\"\n[simulation]\nclients = 2\n"));
        assert!(matches!(make(&pooled, vec![0], None), Err(DataError::NotPooled)));
        let normaliser = Arc::new(Normaliser::fit(&pooled, &data, &[0, 1]).unwrap());
        let site = make(&pooled, vec![0], Some(&normaliser)).unwrap();
        assert!(Arc::ptr_eq(site.train.normaliser(), &normaliser));
    }
}
