//! A split as text: a table of class counts with the size of each count as a shade.

/// Most sites that are shown; of more, evenly spaced ones.
pub const SITES_SHOWN_MAX: usize = 40;
/// Most columns; more classes are put together in ranges.
pub const COLUMNS_MAX: usize = 32;
/// Shades without colours, from nothing to the largest.
const CHARACTERS: [char; 6] = [' ', '·', '░', '▒', '▓', '█'];
/// Shades of the 256-colour palette, from nothing to the largest.
const COLOURS: [u8; 8] = [232, 17, 18, 19, 26, 32, 38, 51];

/// How counts are shaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shades {
    /// By characters before each number.
    Characters,
    /// By the background of each number, with terminal colours.
    Colours,
}

/// The counts of classes at sites as a table: one line a site with its name, its number of rows and one cell a class, whose
/// shade is its share of the largest count. `sites` has a name and the counts `[classes]` of each.
#[must_use]
pub fn picture(sites: &[(String, Vec<u64>)], classes: usize, shades: Shades) -> String {
    let per_column = classes.div_ceil(COLUMNS_MAX).max(1);
    let columns: Vec<String> = (0..classes)
        .step_by(per_column)
        .map(|from| if per_column == 1 { from.to_string() } else { format!("{from}+") })
        .collect();
    let grouped = |counts: &[u64]| counts.chunks(per_column).map(|part| part.iter().sum()).collect::<Vec<u64>>();
    let rows: Vec<(&str, u64, Vec<u64>)> =
        sites.iter().map(|(name, counts)| (name.as_str(), counts.iter().sum(), grouped(counts))).collect();
    let largest = rows.iter().flat_map(|row| &row.2).copied().max().unwrap_or(0);
    let width_of = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let names = width_of(&mut rows.iter().map(|row| row.0.to_owned()).chain(["site".to_owned()]));
    let sizes = width_of(&mut rows.iter().map(|row| row.1.to_string()).chain(["rows".to_owned()]));
    let cells = width_of(&mut columns.iter().cloned().chain([largest.to_string()]));
    let mut text = format!("{:names$}  {:>sizes$} ", "site", "rows");
    for column in &columns {
        text.push_str(&format!("  {column:>cells$}"));
    }
    for (name, size, counts) in rows {
        text.push_str(&format!("\n{name:names$}  {size:>sizes$} "));
        for count in counts {
            text.push_str(&cell(count, largest, cells, shades));
        }
    }
    text
}

/// The positions of the sites to show of `sites`: all, or as many as fit on a screen, evenly spaced.
pub fn shown(sites: usize) -> impl Iterator<Item = usize> {
    let count = sites.min(SITES_SHOWN_MAX);
    (0..count).map(move |at| at * sites / count)
}

fn cell(count: u64, largest: u64, width: usize, shades: Shades) -> String {
    match shades {
        Shades::Characters => format!(" {}{count:>width$}", CHARACTERS[shade(count, largest, CHARACTERS.len())]),
        Shades::Colours => {
            let background = COLOURS[shade(count, largest, COLOURS.len())];
            let ink = if (38..232).contains(&background) { 16 } else { 255 };
            format!("\u{1b}[48;5;{background}m\u{1b}[38;5;{ink}m {count:>width$} \u{1b}[0m")
        }
    }
}

/// Which of `shades` shows `count`: the first nothing alone, the others equal parts up to the largest.
fn shade(count: u64, largest: u64, shades: usize) -> usize {
    if count == 0 || largest == 0 {
        return 0;
    }
    let part = (count as f64 / largest as f64 * (shades - 1) as f64).ceil() as usize;
    part.clamp(1, shades - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_as_a_table_with_shades() {
        let sites = vec![("site-0".to_owned(), vec![10, 0, 3]), ("b".to_owned(), vec![1, 5, 4])];
        let text = picture(&sites, 3, Shades::Characters);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            ["site    rows    0   1   2", "site-0    13  █10   0 ░ 3", "b         10  · 1 ▒ 5 ░ 4"].map(str::to_owned)
        );
        let coloured = picture(&sites, 3, Shades::Colours);
        assert!(coloured.contains("\u{1b}[48;5;51m\u{1b}[38;5;16m 10 \u{1b}[0m"), "{coloured:?}");
    }

    #[test]
    fn many_sites_and_classes_are_thinned_out() {
        let sites: Vec<(String, Vec<u64>)> = (0..1000).map(|site| (format!("site-{site}"), vec![1; 100])).collect();
        let text = picture(&sites[..2], 100, Shades::Characters);
        assert!(text.lines().all(|line| line.split_whitespace().count() <= 2 + 2 * COLUMNS_MAX), "{text}");
        let positions: Vec<usize> = shown(sites.len()).collect();
        assert_eq!((positions.len(), positions[0], positions[SITES_SHOWN_MAX - 1]), (SITES_SHOWN_MAX, 0, 975));
        assert_eq!((shown(0).count(), shown(3).count()), (0, 3));
    }
}
