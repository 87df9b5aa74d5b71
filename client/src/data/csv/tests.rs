//! Each way in which a CSV file can be wrong, and what is said of it.

use super::{OwnersFrom, Part, Table};
use crate::data::error::DataError;
use crate::data::file::Input;
use crate::data::testing::{gzip, plan};
use synod_common::plan::{CsvSource, Source, Task};

const ROLES: &str = "label = \"ill\"\nnumeric = [\"age\", \"bp\"]\ncategorical = { sex = [\"m\", \"f\"] }\n";

fn source(more: &str) -> CsvSource {
    let roles = if more.contains("label =") { "" } else { ROLES };
    let text = format!("[data]\n[data.source.csv]\nfiles = [\"a.csv\"]\n{roles}{more}\n");
    match plan(2, &text).data.source {
        Source::Csv(csv) => csv,
        other => panic!("{other:?}"),
    }
}

/// What is read of one file.
#[derive(Debug, PartialEq)]
struct Read {
    inputs: Vec<f32>,
    labels: Vec<u32>,
    test: Vec<u32>,
    dropped: u64,
}

fn read_bytes(source: &CsvSource, bytes: &[u8]) -> Result<Read, DataError> {
    let mut table = Table::new(source, &Task::Classification { classes: 2 }, OwnersFrom::Nothing);
    table.read(Input::from_bytes("a.csv", Vec::leak(bytes.to_vec()))?, Part::Train)?;
    let dropped = table.files[0].dropped;
    Ok(Read { inputs: table.train.inputs, labels: table.train.labels, test: table.test.labels, dropped })
}

fn read(more: &str, text: &str) -> Result<Read, DataError> {
    read_bytes(&source(more), text.as_bytes())
}

fn error(more: &str, text: &str) -> String {
    read(more, text).expect_err("the file is wrong").to_string()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text:?} should say {part:?}");
    }
}

#[test]
fn columns_are_found_by_name_and_categories_become_one_hot() {
    let text = "id,sex, age ,ill,bp\nx,m,50,1,120\ny, f ,\"6.5\",0,1e2\n";
    let expected = Read {
        inputs: vec![50.0, 120.0, 1.0, 0.0, 6.5, 100.0, 0.0, 1.0],
        labels: vec![1, 0],
        test: vec![],
        dropped: 0,
    };
    assert_eq!(read("", text).unwrap(), expected);
    // A byte order mark, CRLF, blank lines, no line break at the end, gzip: all the same.
    let other = format!("\u{feff}{}", text.replace('\n', "\r\n\r\n").trim_end());
    assert_eq!(read("", &other).unwrap(), expected);
    assert_eq!(read_bytes(&source(""), &gzip(text.as_bytes())).unwrap(), expected);
    let tabs = text.replace(',', "\t");
    assert_eq!(read("delimiter = \"\\t\"", &tabs).unwrap(), expected);
}

#[test]
fn files_without_a_heading_use_the_names_of_the_plan() {
    let more = "columns = [\"age\", \"sex\", \"bp\", \"ill\"]";
    assert_eq!(read(more, "50,m,120,1\n").unwrap().inputs, [50.0, 120.0, 1.0, 0.0]);
    assert_says(&error(more, "50,m,120\n"), &["line 1", "3 fields", "4"]);
}

#[test]
fn label_values_stand_for_classes() {
    let more = "label = \"ill\"\nnumeric = [\"age\"]\nlabel_values = [[\"0\", \"healthy\"], [\"1\", \"2\"]]";
    let good = "age,ill\n1,healthy\n2,2\n3,1.0\n4,0\n";
    assert_eq!(read(more, good).unwrap().labels, [0, 1, 1, 0]);
    assert_says(&error(more, "age,ill\n1,sick\n"), &["line 2", "\"ill\"", "label values", "\"healthy\""]);
}

#[test]
fn missing_values_stop_drop_or_wait_for_the_mean() {
    let text = "age,bp,sex,ill\n1,2,m,0\n?,2,m,1\n3,NA,,0\n4,5,f,?\n";
    assert_says(&error("", text), &["a.csv line 3", "\"age\"", "missing", "on_missing"]);
    let dropped = read("on_missing = \"drop\"", text).unwrap();
    assert_eq!((dropped.labels, dropped.dropped), (vec![0], 3));
    // A row without a label is left out: a label has no mean.
    let mean = read("on_missing = \"mean\"", text).unwrap();
    assert_eq!((mean.labels, mean.dropped), (vec![0, 1, 0], 1));
    assert!(mean.inputs[4].is_nan() && mean.inputs[9].is_nan());
    assert_eq!(mean.inputs[10..], [0.0, 0.0]);
    let own = "missing = [\"-9\"]\non_missing = \"drop\"";
    assert_eq!(read(own, "age,bp,sex,ill\n-9,2,m,0\n1,2,f,1\n").unwrap().labels, [1]);
}

#[test]
fn a_level_that_is_also_a_missing_text_is_a_level() {
    let more = "label = \"ill\"\ncategorical = { smoker = [\"yes\", \"NA\"] }";
    assert_eq!(read(more, "smoker,ill\nNA,0\n").unwrap().inputs, [0.0, 1.0]);
}

#[test]
fn bad_rows_name_their_line() {
    let heading = "age,bp,sex,ill\n";
    let row = |text: &str| error("", &format!("{heading}1,2,m,0\n{text}\n"));
    assert_says(&row("1,2,m"), &["a.csv line 3", "3 fields", "have 4", "delimiter"]);
    assert_says(&row("1,2,m,0,7"), &["line 3", "5 fields"]);
    assert_says(&row("one,2,m,0"), &["line 3", "\"age\"", "not a number"]);
    assert_says(&row("1,NaN,m,0"), &["line 3", "\"bp\"", "NaN or infinite"]);
    assert_says(&row("1,1e99,m,0"), &["line 3", "\"bp\"", "NaN or infinite"]);
    assert_says(&row("1,2,x,0"), &["line 3", "\"sex\"", "\"m\", \"f\"", "categorical"]);
    assert_says(&row("1,2,m,yes"), &["line 3", "\"ill\"", "class number", "label_values"]);
    // Lines are those of the file, blank lines and breaks inside quotes counted.
    let text = "age,bp,sex,ill,note\n\n1,2,m,0,\"two\nlines\"\n\nx,2,m,0,n\n";
    assert_says(&error("", text), &["line 6", "\"age\""]);
}

#[test]
fn labels_outside_the_classes_are_counted() {
    let text = "age,bp,sex,ill\n1,2,m,0\n1,2,m,2\n1,2,m,1\n1,2,m,-1\n";
    assert_says(&error("", text), &["a.csv", "2 labels outside the 2 classes", "(0 to 1)", "line 3", "label_values"]);
}

#[test]
fn headings_that_do_not_fit_are_refused() {
    assert_says(&error("", "age,sex,ill\n1,m,0\n"), &["no column \"bp\"", "\"age\", \"sex\", \"ill\"", "columns"]);
    assert_says(&error("", "age,bp,age,sex,ill\n"), &["\"age\" twice"]);
    assert_says(&error("", ""), &["empty", "heading line"]);
    assert_eq!(read("", "age,bp,sex,ill\n").unwrap().labels, Vec::<u32>::new());
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_are_used() {
    let with = |cell: &[u8]| [b"note,age,bp,sex,ill\n", cell, b"\n"].concat();
    let text = read_bytes(&source(""), &with(b"x,1,2,\xff,0")).unwrap_err().to_string();
    assert_says(&text, &["line 2", "\"sex\"", "UTF-8"]);
    // Columns the plan does not use may hold anything.
    assert!(read_bytes(&source(""), &with(b"\xff,1,2,m,0")).is_ok());
    let text = read_bytes(&source(""), b"age,b\xff,sex,ill\n").unwrap_err().to_string();
    assert_says(&text, &["line 1", "number 2", "UTF-8"]);
}

#[test]
fn errors_never_show_what_is_in_a_cell() {
    for row in ["secret,2,m,0", "1,2,secret,0", "1,2,m,secret", "secret"] {
        let text = error("", &format!("age,bp,sex,ill\n{row}\n"));
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn a_quote_that_is_never_closed_stops_at_the_limit() {
    let mut text = "age,bp,sex,ill\n1,2,m,0\n1,2,\"m,0\n".to_owned();
    text.push_str(&"1,2,m,0\n".repeat(400_000));
    assert_says(&error("", &text), &["longer than 1048576 bytes", "line 3", "quote"]);
}

#[test]
fn the_split_column_marks_test_rows() {
    let more = "split_column = \"set\"\nsplit_test = \"test\"";
    let text = "age,bp,sex,ill,set\n1,2,m,0,train\n1,2,m,1,test\n1,2,m,0,\n";
    let read = read(more, text).unwrap();
    assert_eq!((read.labels, read.test), (vec![0, 0], vec![1]));
}

#[test]
fn sites_come_from_a_column() {
    let csv = source("site_column = \"ward\"");
    let table = |text: &str| {
        let mut table = Table::new(&csv, &Task::Classification { classes: 2 }, OwnersFrom::Column);
        let input = Input::from_bytes("a.csv", Vec::leak(text.as_bytes().to_vec())).unwrap();
        table.read(input, Part::Train).map(|()| table)
    };
    let mut good = table("age,bp,sex,ill,ward\n1,2,m,0,North\n1,2,m,0,South 2\n1,2,f,0,North\n").unwrap();
    assert_eq!(good.train.owners, [0, 1, 0]);
    let names: Vec<String> = good.take_site_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["north", "south-2"]);
    let fails = |text: &str| table(text).err().expect("the file is wrong").to_string();
    assert_says(&fails("age,bp,sex,ill\n1,2,m,0\n"), &["no column \"ward\""]);
    assert_says(&fails("age,bp,sex,ill,ward\n1,2,m,0,\n"), &["line 2", "\"ward\"", "missing"]);
    assert_says(&fails("age,bp,sex,ill,ward\n1,2,m,0,--\n"), &["line 2", "\"ward\"", "site name"]);
    let twice = fails("age,bp,sex,ill,ward\n1,2,m,0,A b\n1,2,m,0,A-B\n");
    assert_says(&twice, &["site name a-b", "rename"]);
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = read_bytes(&source("on_missing = \"mean\""), &bytes);
        let with_heading = [b"age,bp,sex,ill\n".as_slice(), &bytes].concat();
        let _ = read_bytes(&source("on_missing = \"mean\""), &with_heading);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[0-9mf,?\"\n .eE+-]{0,120}") {
        let result = read("on_missing = \"mean\"", &format!("age,bp,sex,ill\n{text}"));
        if let Ok(read) = result {
            proptest::prop_assert_eq!(read.inputs.len(), read.labels.len() * 4);
            proptest::prop_assert!(read.inputs.iter().all(|v| !v.is_infinite()));
            proptest::prop_assert!(read.labels.iter().all(|label| *label < 2));
        }
    }
}

/// A plan of another task, and what it reads of one file as rows of targets.
fn targets(task: &str, more: &str, text: &str) -> Result<Vec<f32>, DataError> {
    let plan = format!("model = \"logistic\"\n{task}[data.source.csv]\nfiles = [\"a.csv\"]\nnumeric = [\"x\"]\n{more}");
    let plan = synod_common::plan::Plan::read(&plan, &synod_common::plan::AnyLoss).unwrap();
    let Source::Csv(source) = &plan.data.source else { panic!("the source is CSV") };
    let mut table = Table::new(source, &plan.task, OwnersFrom::Nothing);
    table.read(Input::from_bytes("a.csv", Vec::leak(text.as_bytes().to_vec()))?, Part::Train)?;
    Ok(table.train.targets)
}

#[test]
fn label_columns_are_flags_and_comments_are_passed_over() {
    let read =
        |text: &str| targets("[task.multi_label]\nclasses = 2\n", "targets = [\"b\", \"a\"]\ncomment = \"#\"\n", text);
    assert_eq!(read("# 1 input, 2 labels\na,x,b\n1,5,0\n# more\n0,6,1.0\n").unwrap(), [0.0, 1.0, 1.0, 0.0]);
    let text = read("a,x,b\n1,5,2\n").unwrap_err().to_string();
    assert_says(&text, &["line 2", "\"b\"", "0 or 1"]);
    assert_says(&read("a,x,b\n?,5,1\n").unwrap_err().to_string(), &["line 2", "\"a\"", "missing"]);
    assert_says(&read("x,b\n5,1\n").unwrap_err().to_string(), &["\"a\""]);
}

#[test]
fn target_columns_are_numbers_and_a_missing_one_drops_the_row() {
    let more = "targets = [\"y\", \"z\"]\non_missing = \"mean\"\n";
    let read = |text: &str| targets("[task.regression]\noutputs = 2\n", more, text);
    assert_eq!(read("y,x,z\n-1.5,1,2\nNA,2,3\n4,?,1e3\n").unwrap(), [-1.5, 2.0, 4.0, 1000.0]);
    assert_says(&read("y,x,z\nhigh,1,2\n").unwrap_err().to_string(), &["line 2", "\"y\"", "not a number"]);
}
