//! One entrance for all rules, with the checks they share.

use rand::seq::SliceRandom;
use synod_common::plan::Partition;
use synod_common::random::ChaCha12Rng;

use super::error::PartitionError;
use super::{continuous, dirichlet, distribution, inner_dirichlet, label_shards, owners, pathological, shards, sizes};

/// What a rule knows of the rows that it splits.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// The class of each row, or its group in tasks without classes.
    pub labels: &'a [u32],
    /// How many classes there are.
    pub classes: usize,
    /// The site of each row where the data or a file says so, [`NOBODY`](super::NOBODY) for none.
    pub owners: Option<&'a [u32]>,
    /// The number of each row by which `continuous` sorts.
    pub property: Option<&'a [f64]>,
}

/// Splits the rows `0..labels.len()` over sites by `rule`; no row goes to two sites, every row goes to one where the rule
/// does not say otherwise, every site has a row, and the rows of a site are in ascending order.
///
/// `clients` is the number of sites; with `natural` and `grouped` it may be 0 for as many as the owners make.
///
/// # Errors
/// When rows, classes and sites do not fit the rule; the message says what to change.
pub fn partition(
    rule: &Partition,
    clients: usize,
    samples: Samples<'_>,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<u32>>, PartitionError> {
    let Samples { labels, classes, owners, property } = samples;
    let rows = labels.len();
    let count = u32::try_from(rows).map_err(|_| PartitionError::TooManyRows { rows })?;
    if let Some((row, label)) = labels.iter().enumerate().find(|(_, label)| **label as usize >= classes) {
        return Err(PartitionError::Label { row, label: *label, classes });
    }
    let by_owner = matches!(rule, Partition::Natural | Partition::Grouped { .. } | Partition::File { .. });
    if clients == 0 && !by_owner {
        return Err(PartitionError::NoSites);
    }
    if rows < clients && !by_owner {
        return Err(PartitionError::TooFewRows { rows, clients, samples_min: 1 });
    }
    let owners = || owners.ok_or(PartitionError::NoOwners);
    let by_class = || rows_of_classes(labels, classes);
    match rule {
        Partition::Natural | Partition::File { .. } => owners::natural(clients, rows, owners()?),
        Partition::Grouped { group_size, remainder } => {
            owners::grouped(clients, rows, owners()?, *group_size as usize, *remainder)
        }
        Partition::Iid => Ok(cut(shuffled(count, rng), &even(rows, clients))),
        Partition::Sizes { exponent } => Ok(cut(shuffled(count, rng), &sizes::power_law(rows, clients, *exponent))),
        Partition::Linear => Ok(cut(shuffled(count, rng), &sizes::growing_power(rows, clients, 1))),
        Partition::Square => Ok(cut(shuffled(count, rng), &sizes::growing_power(rows, clients, 2))),
        Partition::Exponential { rate } => Ok(cut(shuffled(count, rng), &sizes::exponential(rows, clients, *rate))),
        Partition::ExactSizes { sizes } => Ok(cut(shuffled(count, rng), &exact(sizes, clients, rows)?)),
        Partition::Continuous { strictness, .. } => {
            let values = property.filter(|values| values.len() == rows).ok_or(PartitionError::NoProperty)?;
            Ok(cut(continuous::order(values, *strictness, rng), &even(rows, clients)))
        }
        Partition::Dirichlet { alpha, samples_min, balanced } => {
            let rule = dirichlet::Rule { alpha: *alpha, samples_min: *samples_min, balanced: *balanced };
            dirichlet::split(rule, clients, by_class(), rng)
        }
        Partition::InnerDirichlet { alpha, sizes } => {
            let sizes = if sizes.is_empty() { even(rows, clients) } else { exact(sizes, clients, rows)? };
            inner_dirichlet::split(*alpha, &sizes, by_class(), rng)
        }
        Partition::Shards { classes_per_site } => shards::split(*classes_per_site, clients, by_class(), rng),
        Partition::Pathological { classes_per_site, deal } => {
            pathological::split(*classes_per_site, *deal, clients, by_class(), rng)
        }
        Partition::LabelShards { per_site, size } => label_shards::split(*per_site, *size, clients, by_class(), rng),
        Partition::Distribution { classes_per_site, preassigned, sigma, shares } => {
            let (classes_per_site, preassigned, sigma) = (*classes_per_site, *preassigned, *sigma);
            let table = distribution::Table { classes_per_site, preassigned, sigma, shares };
            distribution::split(table, clients, by_class(), rng)
        }
        Partition::Vertical { .. } => Err(PartitionError::Vertical),
    }
}

/// The sizes a plan lists, checked against the sites and rows there are.
fn exact(sizes: &[u32], clients: usize, rows: usize) -> Result<Vec<usize>, PartitionError> {
    let sizes: Vec<usize> = sizes.iter().map(|size| *size as usize).collect();
    let wanted = sizes.iter().fold(0_usize, |sum, size| sum.saturating_add(*size));
    if sizes.len() != clients {
        return Err(PartitionError::SizesCount { sizes: sizes.len(), clients });
    }
    if wanted > rows {
        return Err(PartitionError::SizesTooLarge { wanted, rows });
    }
    Ok(sizes)
}

/// `rows` over `clients` as evenly as whole numbers allow, larger ones first.
pub(super) fn even(rows: usize, clients: usize) -> Vec<usize> {
    (0..clients).map(|site| rows / clients + usize::from(site < rows % clients)).collect()
}

/// The rows of each class in ascending order.
fn rows_of_classes(labels: &[u32], classes: usize) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::new(); classes];
    for (row, label) in (0_u32..).zip(labels) {
        rows[*label as usize].push(row);
    }
    rows
}

fn shuffled(count: u32, rng: &mut ChaCha12Rng) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..count).collect();
    rows.shuffle(rng);
    rows
}

/// Cuts `rows` into pieces of `sizes`, each sorted.
fn cut(rows: Vec<u32>, sizes: &[usize]) -> Vec<Vec<u32>> {
    let mut rows = rows.into_iter();
    sizes
        .iter()
        .map(|size| {
            let mut own: Vec<u32> = rows.by_ref().take(*size).collect();
            own.sort_unstable();
            own
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;
    use synod_common::ids::Digest;
    use synod_common::plan::{Deal, Property};
    use synod_common::random::{Purpose, run_stream};

    use super::super::measures::site_class_counts;
    use super::*;

    fn labels(rows: usize, classes: u32, seed: u64) -> Vec<u32> {
        let mut rng = run_stream(seed, Purpose::TestSplit);
        (0..rows).map(|_| rng.random_range(0..classes)).collect()
    }

    fn split(rule: &Partition, clients: usize, labels: &[u32], seed: u64) -> Result<Vec<Vec<u32>>, PartitionError> {
        let property: Vec<f64> = labels.iter().map(|label| f64::from(*label)).collect();
        let samples = Samples { labels, classes: 10, owners: None, property: Some(&property) };
        partition(rule, clients, samples, &mut run_stream(seed, Purpose::Partition))
    }

    fn every_row_once(split: &[Vec<u32>], rows: usize) -> bool {
        let mut all: Vec<u32> = split.iter().flatten().copied().collect();
        all.sort_unstable();
        all.len() == rows && all.iter().zip(0_u32..).all(|(row, i)| *row == i)
    }

    fn digest(split: &[Vec<u32>]) -> String {
        let mut bytes = Vec::new();
        for site in split {
            bytes.extend((site.len() as u64).to_le_bytes());
            bytes.extend(site.iter().flat_map(|row| row.to_le_bytes()));
        }
        Digest::of(&bytes).short()
    }

    fn rules() -> impl Strategy<Value = Partition> {
        prop_oneof![
            Just(Partition::Iid),
            (0.05..100.0).prop_map(|alpha| Partition::Dirichlet { alpha, samples_min: 1, balanced: true }),
            (1_u32..=10).prop_map(|classes_per_site| Partition::Shards { classes_per_site }),
            (0.0..4.0).prop_map(|exponent| Partition::Sizes { exponent }),
            (0.05..100.0).prop_map(|alpha| Partition::Dirichlet { alpha, samples_min: 1, balanced: false }),
            (0.05..100.0).prop_map(|alpha| Partition::InnerDirichlet { alpha, sizes: Vec::new() }),
            (1_u32..4).prop_map(|per_site| Partition::LabelShards { per_site, size: 0 }),
            Just(Partition::Linear),
            Just(Partition::Square),
            (0.0..4.0).prop_map(|rate| Partition::Exponential { rate }),
            (0.0..=1.0).prop_map(|strictness| Partition::Continuous { by: Property::Target, input: None, strictness }),
            (0_u32..3).prop_map(|preassigned| Partition::Distribution {
                classes_per_site: 10,
                preassigned,
                sigma: 1.0,
                shares: Vec::new(),
            }),
        ]
    }

    /// Rules that may leave rows to nobody.
    fn rules_with_a_rest() -> impl Strategy<Value = Partition> {
        let deals = prop_oneof![Just(Deal::Random), Just(Deal::Deterministic), Just(Deal::FirstDeterministic)];
        prop_oneof![
            (1_u32..=10, deals).prop_map(|(classes_per_site, deal)| Partition::Pathological { classes_per_site, deal }),
            (0_u32..4, 1_u32..40).prop_map(|(per_site, size)| Partition::LabelShards { per_site, size }),
            prop::collection::vec(1_u32..40, 1..20).prop_map(|sizes| Partition::ExactSizes { sizes }),
            (0.05..10.0, prop::collection::vec(1_u32..40, 1..20))
                .prop_map(|(alpha, sizes)| Partition::InnerDirichlet { alpha, sizes }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn no_row_has_two_owners_and_sizes_are_kept(
            rule in rules_with_a_rest(), clients in 1_usize..20, rows in 0_usize..900, seed in 0_u64..1000,
        ) {
            let labels = labels(rows, 10, seed);
            let clients = rule.listed_sizes().map_or(clients, <[u32]>::len);
            let first = split(&rule, clients, &labels, seed);
            prop_assert_eq!(&first, &split(&rule, clients, &labels, seed));
            if let Ok(sites) = first {
                let mut all: Vec<u32> = sites.concat();
                let count = all.len();
                all.sort_unstable();
                all.dedup();
                prop_assert!(all.len() == count && all.iter().all(|row| (*row as usize) < rows));
                prop_assert!(sites.len() == clients && sites.iter().all(|s| !s.is_empty() && s.is_sorted()));
                if let Some(sizes) = rule.listed_sizes() {
                    prop_assert!(sites.iter().zip(sizes).all(|(rows, size)| rows.len() == *size as usize));
                }
            }
        }

        #[test]
        fn every_row_has_one_owner_and_the_seed_decides(
            rule in rules(), clients in 1_usize..40, rows in 0_usize..1500, seed in 0_u64..1000,
        ) {
            let labels = labels(rows, 10, seed);
            let first = split(&rule, clients, &labels, seed);
            prop_assert_eq!(&first, &split(&rule, clients, &labels, seed));
            if let Ok(sites) = first {
                prop_assert_eq!(sites.len(), clients);
                prop_assert!(every_row_once(&sites, rows));
                prop_assert!(sites.iter().all(|s| !s.is_empty() && s.is_sorted()));
            }
        }

        #[test]
        fn natural_sites_are_the_owners(owners in prop::collection::vec(0_u32..6, 1..60)) {
            let labels = vec![0; owners.len()];
            let mut rng = run_stream(1, Purpose::Partition);
            let samples = Samples { labels: &labels, classes: 1, owners: Some(&owners), property: None };
            match partition(&Partition::Natural, 0, samples, &mut rng) {
                Ok(sites) => {
                    prop_assert!(every_row_once(&sites, owners.len()));
                    for (site, rows) in (0_u32..).zip(&sites) {
                        prop_assert!(rows.iter().all(|row| owners[*row as usize] == site));
                    }
                }
                Err(PartitionError::EmptyOwner { owner }) => prop_assert!(!owners.contains(&(owner as u32))),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

    #[test]
    fn equal_sizes_differ_by_one_at_most() {
        let sites = split(&Partition::Iid, 7, &labels(100, 10, 1), 3).unwrap();
        let sizes: Vec<usize> = sites.iter().map(Vec::len).collect();
        assert_eq!(sizes, [15, 15, 14, 14, 14, 14, 14]);
    }

    #[test]
    fn another_seed_gives_another_split() {
        let labels = labels(500, 10, 1);
        for rule in [
            Partition::Iid,
            Partition::Dirichlet { alpha: 0.5, samples_min: 5, balanced: true },
            Partition::Shards { classes_per_site: 2 },
            Partition::Sizes { exponent: 1.0 },
        ] {
            assert_ne!(split(&rule, 10, &labels, 1), split(&rule, 10, &labels, 2), "{rule:?}");
        }
    }

    #[test]
    fn draws_are_pinned() {
        // A change here changes every recorded simulation: note it in the changelog. It also fails when an update of
        // the crates rand or rand_distr moves draws.
        let labels: Vec<u32> = (0..1000_u32).map(|row| row * 7 % 10).collect();
        let pins = [
            (Partition::Iid, "a8efc2b0"),
            (Partition::Dirichlet { alpha: 0.3, samples_min: 10, balanced: true }, "4099143f"),
            (Partition::Shards { classes_per_site: 2 }, "f7142a56"),
            (Partition::Sizes { exponent: 1.2 }, "cf589921"),
        ];
        let found: Vec<String> = pins.iter().map(|(rule, _)| digest(&split(rule, 12, &labels, 42).unwrap())).collect();
        assert_eq!(found, pins.map(|(_, pin)| pin.to_owned()));
    }

    #[test]
    fn sites_of_shards_have_their_number_of_classes_and_no_class_is_lost() {
        for (clients, classes_per_site) in [(10, 1), (10, 2), (4, 3), (5, 2), (100, 2), (1, 10), (37, 10)] {
            let labels = labels(6000, 10, 5);
            let sites = split(&Partition::Shards { classes_per_site }, clients, &labels, 9).unwrap();
            for rows in &sites {
                let counts = site_class_counts(rows, &labels, 10);
                assert_eq!(counts.iter().filter(|c| **c > 0).count(), classes_per_site as usize);
            }
            for class in 0..10 {
                let shares: Vec<u64> =
                    sites.iter().map(|rows| site_class_counts(rows, &labels, 10)[class]).filter(|c| *c > 0).collect();
                let spread = shares.iter().max().unwrap() - shares.iter().min().unwrap();
                assert!(spread <= 1, "class {class} is shared evenly among its holders");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_advice() {
        let text = |rule: Partition, clients, labels: &[u32]| split(&rule, clients, labels, 1).unwrap_err().to_string();
        let ten = labels(10, 10, 1);
        assert!(text(Partition::Iid, 0, &ten).contains("set simulation.clients to 1"));
        assert!(text(Partition::Iid, 11, &ten).contains("lower simulation.clients"));
        assert!(text(Partition::Iid, 1, &[0, 10]).contains("row 1 has the label 10"));
        assert!(text(Partition::Natural, 1, &ten).contains("site_column"));
        let hundred: Vec<u32> = (0..100).map(|row| row % 10).collect();
        assert!(text(Partition::Shards { classes_per_site: 11 }, 5, &hundred).contains("1 to 10"));
        assert!(text(Partition::Shards { classes_per_site: 2 }, 4, &hundred).contains("cannot own all 10 classes"));
        assert!(text(Partition::Shards { classes_per_site: 10 }, 50, &hundred).contains("100 or less"));
        let rare: Vec<u32> = (0..100).map(|row| if row == 0 { 1 } else { 0 }).collect();
        assert!(
            text(Partition::Shards { classes_per_site: 1 }, 4, &rare).contains("class 1 has 1 rows for the 2 sites")
        );
        assert!(
            text(Partition::Dirichlet { alpha: 1.0, samples_min: 30, balanced: true }, 4, &hundred)
                .contains("samples_min")
        );
        let mut rng = run_stream(1, Purpose::Partition);
        let natural = |clients, owners: &[u32], rng: &mut ChaCha12Rng| {
            let labels = vec![0; owners.len()];
            let samples = Samples { labels: &labels, classes: 1, owners: Some(owners), property: None };
            partition(&Partition::Natural, clients, samples, rng).unwrap_err()
        };
        assert_eq!(natural(3, &[0, 1, 4], &mut rng), PartitionError::OwnerCount { clients: 3, owners: 5 });
        assert_eq!(natural(0, &[0, u32::MAX - 1], &mut rng), PartitionError::EmptyOwner { owner: 1 });
        assert_eq!(natural(3, &[0, 1, 1], &mut rng), PartitionError::OwnerCount { clients: 3, owners: 2 });
        assert_eq!(natural(0, &[0, 0, 2], &mut rng), PartitionError::EmptyOwner { owner: 1 });
    }
}
