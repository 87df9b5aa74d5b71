//! Reads `simulation.partition` and checks its options.

use super::partition::{ColumnOrder, Deal, PARTITIONS, Partition, Property, Remainder};
use crate::plan::reader::Section;

/// Reads the choice; without one, samples are split at random.
pub(super) fn read(s: &mut Section<'_, '_>) -> Partition {
    let Some(choice) = s.choice("partition") else { return Partition::Iid };
    let name = choice.name.clone();
    if !PARTITIONS.contains(&name.as_str()) {
        choice.unknown("partition", PARTITIONS);
        return Partition::Iid;
    }
    let mut o = choice.options;
    let partition = options(&name, &mut o);
    o.finish();
    partition
}

fn options(name: &str, o: &mut Section<'_, '_>) -> Partition {
    let alpha = |o: &mut Section<'_, '_>| o.number("alpha", 0.5, 1e-4..=1e6);
    let classes_per_site = |o: &mut Section<'_, '_>| o.number("classes_per_site", 2, 1..=100_000);
    match name {
        "dirichlet" => Partition::Dirichlet {
            alpha: alpha(o),
            samples_min: o.number("samples_min", 10, 1..=1_000_000),
            balanced: o.or("balanced", true),
        },
        "inner_dirichlet" => Partition::InnerDirichlet { alpha: alpha(o), sizes: sizes(o, false) },
        "shards" => Partition::Shards { classes_per_site: classes_per_site(o) },
        "pathological" => Partition::Pathological {
            classes_per_site: classes_per_site(o),
            deal: o.or("deal", Deal::FirstDeterministic),
        },
        "label_shards" => label_shards(o),
        "sizes" => Partition::Sizes { exponent: o.number("exponent", 1.0, 0.0..=10.0) },
        "linear" => Partition::Linear,
        "square" => Partition::Square,
        "exponential" => Partition::Exponential { rate: o.number("rate", 1.0, 0.0..=10.0) },
        "exact_sizes" => Partition::ExactSizes { sizes: sizes(o, true) },
        "continuous" => continuous(o),
        "distribution" => distribution(o, classes_per_site),
        "natural" => Partition::Natural,
        "grouped" => Partition::Grouped {
            group_size: o.number("group_size", 2, 1..=1_000_000),
            remainder: o.or("remainder", Remainder::Smaller),
        },
        "vertical" => Partition::Vertical {
            sizes: sizes(o, false),
            shared: o.or("shared", Vec::new()),
            order: o.or("order", ColumnOrder::Data),
        },
        "file" => Partition::File {
            path: o.required("path", "the file that says which site owns which training sample").unwrap_or_default(),
        },
        _ => Partition::Iid,
    }
}

fn sizes(o: &mut Section<'_, '_>, required: bool) -> Vec<u32> {
    let sizes: Vec<u32> = if required {
        o.required("sizes", "how many samples each site has").unwrap_or_default()
    } else {
        o.or("sizes", Vec::new())
    };
    if let Some(at) = sizes.iter().position(|size| *size == 0) {
        o.problem("sizes", format!("site {at} has the size 0, every site has at least 1"), None);
    }
    sizes
}

fn label_shards(o: &mut Section<'_, '_>) -> Partition {
    let size = o.number("size", 0, 0..=1_000_000_000);
    let default = if size == 0 { 2 } else { 0 };
    let per_site = o.number("per_site", default, 0..=1_000_000);
    if per_site == 0 && size == 0 {
        o.problem("per_site", "`per_site` is 0 and `size` is 0: there would be no pieces", Some("set one of them"));
    }
    Partition::LabelShards { per_site, size }
}

fn continuous(o: &mut Section<'_, '_>) -> Partition {
    let by = o.or("by", Property::Target);
    let input = o.optional_number("input", 0..=u32::MAX);
    if (by == Property::Input) != input.is_some() {
        o.problem("input", "`input` goes with `by = \"input\"`, and that with it", Some("write both, or neither"));
    }
    Partition::Continuous { by, input, strictness: o.number("strictness", 1.0, 0.0..=1.0) }
}

fn distribution(o: &mut Section<'_, '_>, classes_per_site: impl Fn(&mut Section<'_, '_>) -> u32) -> Partition {
    let shares: Vec<Vec<f64>> = o.or("shares", Vec::new());
    let bad = |share: &f64| !share.is_finite() || *share < 0.0;
    if let Some(class) =
        shares.iter().position(|row| row.iter().any(bad) || (!row.is_empty() && row.iter().sum::<f64>() <= 0.0))
    {
        o.problem(
            "shares",
            format!("the shares of class {class} are not numbers of at least 0 with a sum above 0"),
            None,
        );
    }
    Partition::Distribution {
        classes_per_site: classes_per_site(o),
        preassigned: o.number("preassigned", 0, 0..=1_000_000),
        sigma: o.number("sigma", 2.0, 0.0..=10.0),
        shares,
    }
}
