//! Names of natural sites, from a column or from file names.

use std::collections::HashMap;
use std::path::Path;

use synod_common::ids::SiteName;

use crate::data::error::DataError;

/// Sites in the order in which the data names them.
#[derive(Default)]
pub(super) struct Sites {
    names: Vec<SiteName>,
    texts: Vec<String>,
    by_text: HashMap<String, u32>,
    by_name: HashMap<SiteName, u32>,
}

/// Why a text names no new site.
pub(super) enum SiteRefusal {
    /// It has no letter or digit.
    NoName,
    /// Another text gives the same name.
    Twice(DataError),
}

impl Sites {
    pub(super) fn into_names(self) -> Vec<SiteName> {
        self.names
    }

    /// The place of the site that `text` names, added if it is new.
    pub(super) fn place(&mut self, text: &str) -> Result<u32, SiteRefusal> {
        if let Some(place) = self.by_text.get(text) {
            return Ok(*place);
        }
        let name = SiteName::from_text(text).ok_or(SiteRefusal::NoName)?;
        self.add(name, text).map_err(SiteRefusal::Twice)
    }

    /// The place of the site named after `file`; each file is another site.
    pub(super) fn place_of_file(&mut self, file: &str) -> Result<u32, DataError> {
        let name = SiteName::from_text(&stem(file)).ok_or_else(|| DataError::NoSiteName { file: file.to_owned() })?;
        self.add(name, file)
    }

    fn add(&mut self, name: SiteName, text: &str) -> Result<u32, DataError> {
        if let Some(other) = self.by_name.get(&name) {
            let first = self.texts.get(*other as usize).cloned().unwrap_or_default();
            return Err(DataError::SiteTwice { name, first, second: text.to_owned() });
        }
        // Fits u32: each new site needs a row or a file of the plan.
        let place = self.names.len() as u32;
        self.names.push(name.clone());
        self.texts.push(text.to_owned());
        self.by_text.insert(text.to_owned(), place);
        self.by_name.insert(name, place);
        Ok(place)
    }
}

/// The file's name without folders, `.gz` and its last extension.
fn stem(file: &str) -> String {
    let path = Path::new(file.strip_suffix(".gz").unwrap_or(file));
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_sites_after_their_stem() {
        let mut sites = Sites::default();
        for file in ["raw/processed.cleveland.data", "St. Vincent.csv.gz", "va"] {
            sites.place_of_file(file).unwrap();
        }
        let names: Vec<String> = sites.into_names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["processed-cleveland", "st-vincent", "va"]);
    }

    #[test]
    fn clashes_are_refused() {
        let mut sites = Sites::default();
        sites.place_of_file("a/ward 1.csv").unwrap();
        let error = sites.place_of_file("b/ward-1.csv").unwrap_err().to_string();
        assert!(error.contains("ward-1") && error.contains("a/ward 1.csv"), "{error}");
        assert!(matches!(sites.place_of_file("***.csv"), Err(DataError::NoSiteName { .. })));
        let mut sites = Sites::default();
        assert!(matches!(sites.place("Ward 1"), Ok(0)));
        assert!(matches!(sites.place("Ward 1"), Ok(0)));
        assert!(matches!(sites.place("ward_1"), Err(SiteRefusal::Twice(_))));
        assert!(matches!(sites.place("–"), Err(SiteRefusal::NoName)));
    }
}
