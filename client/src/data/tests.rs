//! Loading whole plans from folders: made-up ones, and real ones where the environment names their folder.

use std::sync::Arc;

use super::testing::{Folder, idx, plan, real_data};
use super::{DataError, Dataset, Inputs, Normaliser, Place, Rows, Share, SiteData, check, load, load_site};
use synod_common::plan::Plan;

fn counts(data: &Arc<Dataset>, classes: usize) -> Vec<u64> {
    let plan = plan(2, "[data]\nsource = \"digits\"\nnormalise = \"none\"\n");
    let normaliser = Arc::new(Normaliser::fit(&plan, data, &[]).unwrap());
    Share::whole(Arc::clone(data), normaliser).class_counts(classes)
}

fn wards(more: &str) -> Plan {
    plan(
        2,
        &format!(
            "[data]\ntest_fraction = 0.25\n[data.source.csv]\nfiles = [\"north.csv\", \"south.csv\"]\nlabel = \"y\"\nnumeric = [\"x\"]\n{more}"
        ),
    )
}

/// Two wards of eight rows, `x` counting from `first`, `y` alternating.
fn write_wards(folder: &Folder) {
    for (name, first) in [("north.csv", 0), ("south.csv", 100)] {
        let rows: String = (0..8).map(|i| format!("{},{}\n", first + i, i % 2)).collect();
        folder.write(name, format!("x,y\n{rows}").as_bytes());
    }
}

#[test]
fn the_digits_need_no_folder_and_split_by_class() {
    let plan = plan(10, "[data]\nsource = \"digits\"\n");
    let loaded = load(&plan, "nowhere".as_ref()).unwrap();
    let test = loaded.test.unwrap();
    assert_eq!((loaded.train.len(), test.len(), loaded.train.shape()), (1438, 359, [1, 8, 8].as_slice()));
    assert_eq!(counts(&test, 10), [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]);
    let again = load(&plan, "nowhere".as_ref()).unwrap();
    assert!(again.train == loaded.train && again.test == Some(test));
    assert!(load_site(&plan, "nowhere".as_ref()).unwrap().test.is_none());
}

#[test]
fn idx_files_with_a_test_set() {
    let folder = Folder::new();
    folder.write("x", &idx(8, &[3, 1, 2], &[1, 2, 3, 4, 5, 6]));
    folder.write("y", &idx(8, &[3], &[0, 1, 0]));
    let text = "[data]\n[data.source.idx]\nimages = \"x\"\nlabels = \"y\"\nshape = [1, 2]\ntest_images = \"tx\"\ntest_labels = \"ty\"\n";
    let plan = plan(2, text);
    assert!(matches!(load(&plan, folder.path()), Err(DataError::NotFound { file, .. }) if file == "tx"));
    // A site needs no central test files.
    assert_eq!(load_site(&plan, folder.path()).unwrap().train.len(), 3);
    folder.write("tx", &idx(8, &[1, 1, 2], &[7, 8]));
    folder.write("ty", &idx(8, &[1], &[1]));
    let loaded = load(&plan, folder.path()).unwrap();
    assert_eq!((loaded.train.len(), loaded.test.unwrap().groups()), (3, [1].as_slice()));
}

#[test]
fn files_are_natural_sites_and_the_test_set_takes_from_each() {
    let folder = Folder::new();
    write_wards(&folder);
    let loaded = load(&wards("[simulation]\npartition = \"natural\"\n"), folder.path()).unwrap();
    let owners = loaded.train.owners().unwrap();
    assert_eq!(owners.names().iter().map(|n| n.as_str()).collect::<Vec<_>>(), ["north", "south"]);
    assert_eq!(owners.rows().iter().map(Vec::len).collect::<Vec<_>>(), [6, 6]);
    let test = loaded.test.unwrap();
    assert_eq!(counts(&test, 2), [2, 2]);
    // Split off at random: it is nobody's own test set.
    assert!(test.owners().is_none());
    assert!(load(&wards(""), folder.path()).unwrap().train.owners().is_none());
}

#[test]
fn a_site_reads_the_files_it_has() {
    let folder = Folder::new();
    assert!(matches!(load_site(&wards(""), folder.path()), Err(DataError::NotFound { .. })));
    write_wards(&folder);
    std::fs::remove_file(folder.path().join("north.csv")).unwrap();
    let loaded = load_site(&wards(""), folder.path()).unwrap();
    assert_eq!((loaded.train.len(), loaded.test.is_none()), (8, true));
    assert!(loaded.notes[0].contains("north.csv is not in"), "{:?}", loaded.notes);
    // A simulation needs all of them.
    assert!(matches!(load(&wards(""), folder.path()), Err(DataError::NotFound { .. })));
}

#[test]
fn test_rows_of_a_site_are_its_own() {
    let folder = Folder::new();
    let row = |x: u32, ward: &str, set: &str| format!("{x},{},{ward},{set}\n", x % 2);
    let text = format!(
        "x,y,ward,set\n{}{}{}{}",
        row(0, "A", "train"),
        row(1, "B", "test"),
        row(2, "B", "train"),
        row(3, "A", "test")
    );
    folder.write("all.csv", text.as_bytes());
    let source = "files = [\"all.csv\"]\nlabel = \"y\"\nnumeric = [\"x\"]\nsite_column = \"ward\"\nsplit_column = \"set\"\nsplit_test = \"test\"\n";
    let plan = plan(2, &format!("[data]\n[data.source.csv]\n{source}[simulation]\npartition = \"natural\"\n"));
    let loaded = load(&plan, folder.path()).unwrap();
    let test = loaded.test.unwrap();
    let (train_rows, test_rows) = (loaded.train.owners().unwrap().rows(), test.owners().unwrap().rows());
    assert_eq!((&train_rows, &test_rows), (&vec![vec![0], vec![1]], &vec![vec![1], vec![0]]));
    let name = &loaded.train.owners().unwrap().names()[0];
    let own = Rows { dataset: test, rows: test_rows[0].clone() };
    let site =
        SiteData::for_site(&plan, name.client_id(), loaded.train, train_rows[0].clone(), Some(own), None).unwrap();
    let mut inputs = Vec::new();
    site.holdout.unwrap().gather(&[0], &mut inputs, &mut Vec::new());
    // One training row with x = 0: centred on it and not scaled.
    assert_eq!(inputs, [3.0]);
    // At the site itself the other rows of its file are its own too, whatever the column says.
    assert!(load_site(&plan, folder.path()).unwrap().train.owners().is_none());
}

#[test]
fn nothing_left_to_train_on_is_an_error() {
    let folder = Folder::new();
    for (rows, expected) in [("", "there are no rows"), ("?,0\n?,1\n", "2 of 2 rows are left out")] {
        for name in ["north.csv", "south.csv"] {
            folder.write(name, format!("x,y\n{rows}").as_bytes());
        }
        folder.write("south.csv", b"x,y\n");
        let text = load(&wards("on_missing = \"drop\"\n"), folder.path()).unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains("north.csv"), "{text}");
    }
}

#[test]
fn the_check_reports_every_file_and_what_is_wrong_with_it() {
    let folder = Folder::new();
    folder.write("north.csv", b"x,y\n1,0\n?,1\n5,0\n");
    folder.write("south.csv", b"x,y\n1,0,3\n");
    let report = check(&wards("on_missing = \"mean\"\n"), folder.path(), Place::Site);
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].contains("south.csv line 2"));
    assert_eq!((report.files[0].rows, report.files[0].kept, report.files[0].missing["x"]), (3, 3, 1));
    assert!(report.files[1].problem.is_some());
    let train = report.train.unwrap();
    assert_eq!((train.samples, train.class_counts), (3, vec![2, 1]));
    let range = &train.ranges[0];
    assert_eq!((range.input.as_str(), range.min, range.max, range.missing), ("x", Some(1.0), Some(5.0), 1));
    let report = check(&wards(""), "nowhere".as_ref(), Place::Simulation);
    assert_eq!((report.problems.len(), report.files.len()), (2, 0));
}

fn pictures(folder: &str) {
    let Some(folder) = real_data(folder) else { return };
    let text = "[data]\n[data.source.idx]\nimages = \"train-images-idx3-ubyte.gz\"\nlabels = \"train-labels-idx1-ubyte.gz\"\ntest_images = \"t10k-images-idx3-ubyte.gz\"\ntest_labels = \"t10k-labels-idx1-ubyte.gz\"\nshape = [1, 28, 28]\n";
    let plan = plan(10, text);
    let loaded = load(&plan, &folder).unwrap();
    let test = loaded.test.unwrap();
    assert_eq!((loaded.train.len(), test.len(), loaded.train.sample_values()), (60_000, 10_000, 784));
    assert!(matches!(loaded.train.inputs(), Inputs::U8(bytes) if bytes.len() == 60_000 * 784));
    let normaliser = Arc::new(Normaliser::fit(&plan, &loaded.train, &[]).unwrap());
    let share = Share::whole(loaded.train, normaliser);
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    share.gather(&[0, 59_999], &mut inputs, &mut labels);
    assert!(inputs.iter().all(|v| (0.0..=1.0).contains(v)) && inputs.contains(&1.0));
    if folder.ends_with("mnist") && !folder.ends_with("fashion-mnist") {
        assert_eq!(share.class_counts(10), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    } else {
        assert_eq!(share.class_counts(10), [6000; 10]);
    }
}

#[test]
fn real_fashion_mnist() {
    pictures("fashion-mnist");
}

#[test]
fn real_mnist() {
    pictures("mnist");
}

const HOSPITALS: &str = r#"
[data]
test_fraction = 0
[data.source.csv]
files = ["processed.cleveland.data", "processed.hungarian.data", "processed.switzerland.data", "processed.va.data"]
columns = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak", "slope", "ca", "thal", "num"]
label = "num"
label_values = [["0"], ["1", "2", "3", "4"]]
numeric = ["age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak"]
categorical = { cp = ["1", "2", "3", "4"], restecg = ["0", "1", "2"] }
on_missing = "drop"
[simulation]
partition = "natural"
"#;

#[test]
fn real_heart_disease_from_the_raw_files() {
    let Some(folder) = real_data("heart-disease") else { return };
    let plan = plan(2, HOSPITALS);
    let loaded = load(&plan, &folder).unwrap();
    let owners = loaded.train.owners().unwrap();
    let sizes: Vec<usize> = owners.rows().iter().map(Vec::len).collect();
    assert_eq!(sizes, [303, 261, 46, 130]);
    assert_eq!(owners.names()[2].as_str(), "processed-switzerland");
    // Cleveland 91 + 48, Hungarian 65 + 33, Switzerland 30 + 15, VA 66 + 35 with disease.
    assert_eq!(counts(&loaded.train, 2)[1], 383);
    assert!(
        loaded.notes.iter().any(|n| n.contains("processed.va.data: 70 of 200 rows left out")),
        "{:?}",
        loaded.notes
    );
    let text = HOSPITALS.replace("\"drop\"", "\"mean\"");
    let plan = self::plan(2, &text);
    let loaded = load(&plan, &folder).unwrap();
    assert_eq!((loaded.train.len(), loaded.train.has_missing()), (920, true));
    let rows = loaded.train.owners().unwrap().rows();
    for (name, rows) in loaded.train.owners().unwrap().names().iter().zip(rows) {
        let site = SiteData::for_site(&plan, name.client_id(), Arc::clone(&loaded.train), rows, None, None).unwrap();
        let holdout = site.holdout.unwrap();
        for share in [site.train, holdout] {
            let positions: Vec<u32> = (0..u32::try_from(share.len()).unwrap()).collect();
            let (mut inputs, mut labels) = (Vec::new(), Vec::new());
            share.gather(&positions, &mut inputs, &mut labels);
            assert!(inputs.iter().all(|v| v.is_finite() && v.abs() < 100.0), "{name}");
        }
    }
}

#[test]
fn real_heart_disease_with_its_published_split() {
    let Some(folder) = real_data("heart-disease") else { return };
    let numeric = "\"age\", \"sex\", \"trestbps\", \"chol\", \"fbs\", \"thalach\", \"exang\", \"oldpeak\", \"cp_2\", \"cp_3\", \"cp_4\", \"restecg_1\", \"restecg_2\"";
    let source = format!(
        "files = [\"flamby_split.csv\"]\nlabel = \"label\"\nnumeric = [{numeric}]\nsite_column = \"site\"\nsplit_column = \"set\"\nsplit_test = \"test\"\n"
    );
    let plan = plan(2, &format!("[data]\n[data.source.csv]\n{source}[simulation]\npartition = \"natural\"\n"));
    let loaded = load(&plan, &folder).unwrap();
    let sizes = |data: &Dataset| data.owners().unwrap().rows().iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&loaded.train), [199, 172, 30, 85]);
    assert_eq!(sizes(&loaded.test.unwrap()), [104, 89, 16, 45]);
}
