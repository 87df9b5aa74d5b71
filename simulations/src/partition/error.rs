//! Why data cannot be split as asked, and what to change.

/// Why data cannot be split as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PartitionError {
    /// No site at all.
    #[error("the data cannot be split over 0 sites; set simulation.clients to 1 or more")]
    NoSites,
    /// Rows are numbered with 32 bits.
    #[error("the data has {rows} rows, a simulation numbers at most {}; use fewer rows", u32::MAX)]
    TooManyRows {
        /// Rows of the data.
        rows: usize,
    },
    /// Fewer rows than the rule needs.
    #[error(
        "{rows} rows cannot give each of {clients} sites {samples_min} or more; lower simulation.clients{}",
        if *samples_min > 1 { " or samples_min" } else { "" }
    )]
    TooFewRows {
        /// Rows of the data.
        rows: usize,
        /// Sites asked for.
        clients: usize,
        /// Rows each must have.
        samples_min: u32,
    },
    /// A label that is no class.
    #[error("row {row} has the label {label}, the task has the classes 0 to {}; correct the data or task.classification.classes", classes.saturating_sub(1))]
    Label {
        /// The row, counted from 0.
        row: usize,
        /// Its label.
        label: u32,
        /// Classes of the task.
        classes: usize,
    },
    /// No draw of the Dirichlet rule gave each site enough rows.
    #[error(
        "dirichlet(alpha = {alpha}) over {clients} sites left a site with fewer than samples_min = {samples_min} rows in each of \
         {redraws} draws: with {rows} rows and {classes} classes, draws this skewed hardly ever reach every site; {}",
        advice(*feasible_alpha, *best_min, *samples_min)
    )]
    Dirichlet {
        /// Concentration.
        alpha: f64,
        /// Sites asked for.
        clients: usize,
        /// Rows each must have.
        samples_min: u32,
        /// Rows of the data.
        rows: usize,
        /// Classes with rows.
        classes: usize,
        /// Draws made.
        redraws: u64,
        /// Rows of the smallest site in the best draw.
        best_min: u32,
        /// A larger concentration with which a few draws succeeded.
        feasible_alpha: Option<f64>,
    },
    /// Sites cannot hold that many different classes.
    #[error(
        "each site was to have {classes_per_site} classes, the data has rows of {present}; set classes_per_site to 1 to {present}"
    )]
    ClassesPerSite {
        /// Classes of a site asked for.
        classes_per_site: u32,
        /// Classes with rows.
        present: usize,
    },
    /// Some class would belong to nobody.
    #[error(
        "{clients} sites with {classes_per_site} classes each cannot own all {present} classes; raise simulation.clients or \
         classes_per_site until their product is {present} or more"
    )]
    ClassWithoutSite {
        /// Sites asked for.
        clients: usize,
        /// Classes of a site.
        classes_per_site: u32,
        /// Classes with rows.
        present: usize,
    },
    /// Fewer rows than places for them.
    #[error(
        "{rows} rows cannot give each of {clients} sites a row of {classes_per_site} classes; lower simulation.clients or \
         classes_per_site until their product is {rows} or less"
    )]
    ShardsTooFewRows {
        /// Rows of the data.
        rows: usize,
        /// Sites asked for.
        clients: usize,
        /// Classes of a site.
        classes_per_site: u32,
    },
    /// A class has fewer rows than sites that hold it.
    #[error(
        "class {class} has {rows} rows for the {holders} sites that hold it; lower simulation.clients or classes_per_site"
    )]
    ClassTooSmall {
        /// The class.
        class: usize,
        /// Its rows.
        rows: usize,
        /// Sites that hold it.
        holders: usize,
    },
    /// Sites with given sizes need more rows than there are.
    #[error("the sites are to have {wanted} rows together, there are {rows} to train on; lower the sizes")]
    SizesTooLarge {
        /// Rows asked for.
        wanted: usize,
        /// Rows of the data.
        rows: usize,
    },
    /// Sizes for another number of sites.
    #[error("there are sizes for {sizes} sites and {clients} sites; set simulation.clients to {sizes}")]
    SizesCount {
        /// Sizes listed.
        sizes: usize,
        /// Sites asked for.
        clients: usize,
    },
    /// A table of shares would not fit into memory.
    #[error(
        "{clients} sites with shares of {classes} classes each are more than {most} numbers; lower simulation.clients, or use \
         the partition dirichlet"
    )]
    TooManyShares {
        /// Sites asked for.
        clients: usize,
        /// Classes of the task.
        classes: usize,
        /// Most shares of all sites.
        most: usize,
    },
    /// Pieces of sorted rows do not fit the rows or the sites.
    #[error(
        "{rows} rows do not make {pieces} pieces of {size} or more with one or more for each of {clients} sites; lower \
         simulation.clients, per_site or size"
    )]
    Pieces {
        /// Rows of the data.
        rows: usize,
        /// Sites asked for.
        clients: usize,
        /// Pieces asked for.
        pieces: usize,
        /// Rows of a piece at least.
        size: usize,
    },
    /// A row of the table of shares has the wrong length.
    #[error(
        "class {class} is held by {holders} sites, `shares` has {found} numbers for it; write one for each site that holds the \
         class, in the order of sites"
    )]
    Shares {
        /// The class.
        class: usize,
        /// Sites that hold it.
        holders: usize,
        /// Numbers found.
        found: usize,
    },
    /// A class has fewer rows than are given out before shares.
    #[error("class {class} has {rows} rows, {holders} sites are to get {preassigned} each of it; lower preassigned")]
    Preassigned {
        /// The class.
        class: usize,
        /// Its rows.
        rows: usize,
        /// Sites that hold it.
        holders: usize,
        /// Rows each is to get first.
        preassigned: usize,
    },
    /// A rule left a site without rows.
    #[error("site {site} (counted from 0) got no rows; set preassigned to 1 or more, or lower simulation.clients")]
    EmptySite {
        /// The site's number.
        site: usize,
    },
    /// Sites of the data make no whole groups.
    #[error(
        "{owners} sites of the data do not make whole groups of {group_size}; choose another group_size or remainder"
    )]
    GroupRemainder {
        /// Sites of the data.
        owners: usize,
        /// Sites of one group.
        group_size: usize,
    },
    /// A vertical split gives no site samples of its own.
    #[error(
        "the partition `vertical` splits inputs, not samples: no site could compute a loss, and there is no training for that here; \
         `synod partition` shows and writes the split; choose another partition to train"
    )]
    Vertical,
    /// Fewer inputs than are to be dealt out.
    #[error("{wanted} inputs are to be dealt out, {inputs} are there; lower simulation.clients or the sizes")]
    TooFewInputs {
        /// Inputs there are.
        inputs: usize,
        /// Inputs asked for.
        wanted: usize,
    },
    /// No number to sort by.
    #[error("rows have no number to sort them by: this is a fault in the program, please report it")]
    NoProperty,
    /// The data names no owners.
    #[error(
        "this partition needs data that names its sites; give data.source.csv a site_column or one file a site, or choose another \
         partition"
    )]
    NoOwners,
    /// Owners for another number of rows.
    #[error("the data names {owners} owners for {rows} rows: this is a fault in the program, please report it")]
    OwnersLength {
        /// Owners given.
        owners: usize,
        /// Rows given.
        rows: usize,
    },
    /// The data names another number of sites than the plan.
    #[error(
        "there are to be {clients} sites, the rows to train on belong to {owners}; set simulation.clients to {owners}, or to 0 for as \
         many as the data names, and set aside fewer rows as test data if a site lost all of its own"
    )]
    OwnerCount {
        /// Sites asked for.
        clients: usize,
        /// Sites of the data.
        owners: usize,
    },
    /// A site of the data has no row.
    #[error(
        "site {owner} of the data (counted from 0) has no rows to train on; remove it, or set aside fewer rows as test data"
    )]
    EmptyOwner {
        /// The site's number.
        owner: usize,
    },
}

fn advice(feasible_alpha: Option<f64>, best_min: u32, samples_min: u32) -> String {
    let mut ways = Vec::new();
    if let Some(alpha) = feasible_alpha {
        ways.push(format!("set alpha to {alpha} or more"));
    } else {
        ways.push("raise alpha".to_owned());
    }
    if best_min > 0 && best_min < samples_min {
        ways.push(format!("lower samples_min (the best draw had {best_min})"));
    }
    ways.push("lower simulation.clients".to_owned());
    ways.join(", or ")
}
