//! What a plan needs before the first task: the site's samples, and what earlier lives of the client left for it.

use std::path::Path;
use std::sync::Arc;

use synod_common::ids::{Digest, SiteName};
use synod_common::plan::Plan;
use synod_common::update::{BufferPool, Update};
use synod_common::wire::Welcome;

use super::actions::{JobKey, Kept, Product};
use super::job::JobEvent;
use super::line::Lines;
use crate::data::SiteData;
use crate::keep::{Keeper, StateFolder, WorkFolder};
use crate::train::Trainer;
use crate::work::Work;

/// Buffers of a model's length that are kept for reuse: model, delta, and SCAFFOLD's vector.
const IDLE_BUFFERS_MAX: usize = 3;

/// A site's samples with a trainer for the plan.
pub type Loaded = (Arc<Trainer>, Arc<SiteData>);

/// Reads the plan's text and loads what the site has for it. Runs on a thread that may block.
pub type Loader = Arc<dyn Fn(&str, &SiteName) -> Result<(Arc<Plan>, Loaded), String> + Send + Sync>;

/// What was loaded for a plan.
pub(super) struct Prepared {
    pub(super) digest: Digest,
    pub(super) plan: Arc<Plan>,
    pub(super) work: Arc<Work>,
    pub(super) pool: BufferPool,
    /// There where the plan's sites keep something between rounds.
    pub(super) states: Option<Arc<StateFolder>>,
    /// Of the work in hand.
    pub(super) keeper: Keeper,
}

/// What was found on disk for a plan.
#[derive(Default)]
pub(super) struct Found {
    pub(super) kept: Kept,
    pub(super) update: Option<(JobKey, Arc<Update>)>,
    /// Why something that is there is of no use.
    pub(super) unusable: Option<String>,
}

impl Found {
    fn in_folder(folder: &WorkFolder) -> Self {
        match folder.update() {
            Ok(Some((key, update))) => {
                let loss = update.header.train.get("loss");
                Self {
                    kept: Kept::Update(Product { key, loss }),
                    update: Some((key, Arc::new(update))),
                    unusable: None,
                }
            }
            Err(error) => Self { unusable: Some(error.to_string()), ..Self::default() },
            Ok(None) => match folder.progress() {
                Ok(Some((key, _))) => Self { kept: Kept::Begun(key), ..Self::default() },
                Ok(None) => Self::default(),
                Err(error) => Self { unusable: Some(error.to_string()), ..Self::default() },
            },
        }
    }
}

/// Loads what the plan of `welcome` needs, unless it is the plan of the last connection.
pub(super) async fn prepare(
    lines: &Lines,
    before: Option<Arc<Prepared>>,
    welcome: &Welcome,
) -> Result<(Arc<Prepared>, Found), String> {
    if let Some(prepared) = before.filter(|prepared| prepared.digest == welcome.plan_digest) {
        return Ok((prepared, Found::default()));
    }
    let (lines, welcome) = (lines.clone(), welcome.clone());
    let loading = tokio::task::spawn_blocking(move || {
        let loaded = (lines.options.loader)(&welcome.plan, &welcome.site)?;
        let prepared = fit(loaded, &lines, welcome)?;
        let found = Found::in_folder(prepared.keeper.folder());
        Ok((Arc::new(prepared), found))
    });
    loading.await.map_err(|e| format!("loading the data failed: {e}"))?
}

fn fit((plan, (trainer, data)): (Arc<Plan>, Loaded), lines: &Lines, welcome: Welcome) -> Result<Prepared, String> {
    let digest = welcome.plan_digest;
    if trainer.plan_digest() != digest {
        return Err(
            "the coordinator's plan reads differently here; use the same Synod release on both sides".to_owned()
        );
    }
    if trainer.layout_digest() != welcome.layout {
        return Err("the plan's model has another layout here; use the same Synod release on both sides".to_owned());
    }
    let (parameters, samples, root) = (trainer.layout().len(), data.train.len(), &lines.options.state);
    let states = trainer.keeps_state().then(|| Arc::new(StateFolder::new(root, digest, parameters, samples)));
    let folder = WorkFolder::new(root, digest, parameters, samples);
    let jobs = lines.jobs.clone();
    let stored = Box::new(move |key, result| drop(jobs.send(JobEvent::Stored(key, result))));
    let keeper = Keeper::new(folder, stored).map_err(|error| format!("no thread to keep work: {error}"))?;
    let pool = BufferPool::new(parameters, IDLE_BUFFERS_MAX);
    Ok(Prepared { digest, plan, work: Arc::new(Work::new(welcome.site, trainer, data)), pool, states, keeper })
}

/// Reads a plan and loads a site's samples from `folder` for it.
///
/// # Errors
/// What is wrong with the plan or the data, in words.
pub fn load_folder(
    text: &str,
    site: &SiteName,
    folder: &Path,
    device: &crate::device::DeviceChoice,
) -> Result<(Arc<Plan>, Loaded), String> {
    let plan = Plan::read(text, &crate::catalogue::Zoo).map_err(|e| e.to_string())?;
    let loaded = crate::data::load_site(&plan, folder).map_err(|e| e.to_string())?;
    let rows = loaded.train.all_rows();
    let own_test = loaded.test.map(|test| crate::data::Rows { rows: test.all_rows(), dataset: test });
    let data = SiteData::for_site(&plan, site.client_id(), loaded.train, rows, own_test, None);
    let data = data.map_err(|e| e.to_string())?;
    let plan = Arc::new(plan);
    let trainer = Trainer::new(Arc::clone(&plan), device).map_err(|e| e.to_string())?;
    Ok((plan, (Arc::new(trainer), Arc::new(data))))
}
