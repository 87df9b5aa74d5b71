//! A journal in a real folder.

use std::fs;
use std::sync::mpsc;

use super::super::{Entry, Journal, JournalError, JournalWriter, Keep, Write};
use super::script::site;
use crate::round::Event;

#[test]
fn two_coordinators_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Journal::open_folder(folder.path(), Keep::default()).unwrap();
    let error = Journal::open_folder(folder.path(), Keep::default()).unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(first);
    assert!(Journal::open_folder(folder.path(), Keep::default()).is_ok(), "a lock ends with its holder");
}

#[test]
fn a_place_that_cannot_be_written_and_one_without_a_journal_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let error = Journal::open_folder(&file.join("journal"), Keep::default()).unwrap_err().to_string();
    assert!(error.starts_with("cannot make the folder"), "{error}");
    let error = Journal::open_existing(folder.path(), Keep::default()).unwrap_err();
    assert!(matches!(error, JournalError::Missing { .. }), "{error}");
    assert!(!folder.path().join("lock").exists(), "looking for a journal leaves nothing");
}

#[test]
fn what_a_crash_left_half_written_is_removed_and_files_of_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open_folder(folder.path(), Keep::default()).unwrap());
    let blobs = folder.path().join("blobs");
    let stranger = "ab".repeat(32);
    for name in [&format!("{stranger}.partial"), &stranger, "notes.txt"] {
        fs::write(blobs.join(name), "x").unwrap();
    }
    Journal::open_folder(folder.path(), Keep::default()).unwrap().collect_garbage().unwrap();
    let left: Vec<_> = fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
}

#[test]
fn the_writer_answers_in_order_and_what_it_answered_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open_folder(folder.path(), Keep::default()).unwrap();
    let (tell, told) = mpsc::channel();
    let writer = JournalWriter::start(journal, move |event| tell.send(event).unwrap()).unwrap();
    let names: Vec<String> = (0..200).map(|n| format!("site-{n}")).collect();
    for name in &names {
        writer.write(Write::Record(Box::new(Entry::SiteJoined { site: site(name) }.into())));
    }
    let journal = writer.finish().unwrap();
    assert_eq!(journal.entries(), 200);
    let answered: Vec<String> = told
        .try_iter()
        .map(|event| match event {
            Event::Journalled(record) => match record.entry() {
                Entry::SiteJoined { site } => site.to_string(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(answered, names);
}
